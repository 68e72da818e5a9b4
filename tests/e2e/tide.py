# SPDX-License-Identifier: MIT
"""tide against real servers, one that lies, one that dies: counts, exit codes, what is kept."""

import json
import os
import socket
import subprocess
import threading

import ebb
from case import RSS_COUNTS, Skipped, case, equal, program, true

# What SMALL leaves out. memcached counts what has expired until it comes across it.
REPLACED = "churn seconds=200ms value=fixed:90 writes=50%\nresize share=30% value=fixed:40 settle=50ms\n"
EXPIRED = "fill items=300 value=fixed:70 ttl=1s\nexpire settle=500ms\n"

SMALL = "fill live=1mb written=2mb value=uniform:50-500\ndelete share=50% settle=100ms\n"


def tide(t, arguments, text=SMALL, wanted=0):
    """Runs it; returns what it wrote as JSON, and what it said."""
    path = os.path.join(os.path.dirname(ebb.binary()), "tide")
    if not RSS_COUNTS:
        raise Skipped("tide is the same beside every build")
    if not os.access(path, os.X_OK):
        raise Skipped("tide is not built")
    scenario, result = os.path.join(t.folder, "s.tide"), os.path.join(t.folder, "r.json")
    with open(scenario, "w", encoding="ascii") as file:
        file.write(text)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("EBB_")}
    done = subprocess.run([os.path.abspath(path), "run", scenario, "--json", result] + arguments,
                          capture_output=True, env=clean, text=True, timeout=60, check=False)
    equal(done.returncode, wanted, "exit code, with " + done.stderr)
    if not os.path.exists(result):
        return None, done.stderr
    with open(result, encoding="utf-8") as file:
        return json.load(file), done.stderr


def agree(run):
    for phase in run["phases"]:
        counted = phase["server_live_bytes"]
        true(counted is not None and abs(counted - phase["live_bytes"]) <= 0.01 * phase["live_bytes"],
             "%s: tide counts %s, the server %s" % (phase["name"], phase["live_bytes"], counted))


@case(limit=60)
def live_bytes_agree_with_the_server(t):
    ebb_path = os.path.abspath(ebb.binary())
    agree(tide(t, ["--spawn", ebb_path + " --port %p --memcached-port 0 --http-port 0"],
               SMALL + REPLACED + EXPIRED)[0])
    agree(tide(t, ["--protocol", "memcached", "--spawn",
                   ebb_path + " --memcached-port %p --port 0 --http-port 0"])[0])


@case(limit=60)
def live_bytes_agree_with_memcached(t):
    user = " -u root" if os.geteuid() == 0 else ""
    agree(tide(t, ["--protocol", "memcached", "--spawn",
                   program("memcached") + " -l 127.0.0.1 -p %p -U 0 -m 256" + user])[0])


@case(limit=60)
def live_bytes_agree_by_the_meta_protocol(t):
    user = " -u root" if os.geteuid() == 0 else ""
    for server in (os.path.abspath(ebb.binary()) + " --memcached-port %p --port 0 --http-port 0",
                   program("memcached") + " -l 127.0.0.1 -p %p -U 0 -m 256" + user):
        run, _ = tide(t, ["--protocol", "meta", "--spawn", server], SMALL + REPLACED)
        agree(run)
        equal(run["server"]["protocol"], "meta", "protocol")


@case(limit=60)
def live_bytes_agree_with_redis(t):
    run, _ = tide(t, ["--spawn", program("redis-server") + " --bind 127.0.0.1 --port %p --save ''"],
                  SMALL + REPLACED + EXPIRED)
    agree(run)
    equal(sum(phase["missing"] + phase["wrong"] for phase in run["phases"]), 0, "faults")
    true(run["phases"][0]["resident_bytes"] > run["phases"][0]["live_bytes"], "resident")


class Elsewhere(threading.Thread):
    """Passes on to a server: whoever asks here does not know its process."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.to = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.start()

    def run(self):
        while True:
            try:
                client, _ = self.listener.accept()
                server = socket.create_connection(("127.0.0.1", self.to))
            except OSError:
                return
            for pair in ((client, server), (server, client)):
                threading.Thread(target=self.carry, args=pair, daemon=True).start()

    def close(self):
        self.listener.close()

    @staticmethod
    def carry(source, to):
        try:
            while data := source.recv(65536):
                to.sendall(data)
            to.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def is_measured_from(run, source):
    true(source in run["server"]["memory_source"], run["server"]["memory_source"])
    for phase in run["phases"]:
        true(phase["resident_bytes"] > phase["live_bytes"], "resident")
        true(phase["cpu_seconds"] is not None and phase["cpu_seconds"] >= 0, "CPU time")


@case(limit=60)
def a_server_elsewhere_is_measured_by_its_word(t):
    server = t.start()
    there = t.own(Elsewhere(server.resp_port))
    run, said = tide(t, ["--server", "127.0.0.1:%d" % there.port])
    is_measured_from(run, "INFO (used_memory_rss)")
    true("memory from INFO" in said, said)
    t.resp(server).call("FLUSHALL")
    there = t.own(Elsewhere(server.memcached_port))
    _, said = tide(t, ["--server", "127.0.0.1:%d" % there.port, "--protocol", "memcached"], wanted=2)
    true("memcached does not say its resident memory" in said, said)


@case(limit=60)
def memory_is_read_from_a_page_of_metrics(t):
    server = t.start()
    for path, name in (("", "process_resident_memory_bytes"),
                       ("/metrics/redis", "redis_memory_used_rss_bytes")):
        url = "http://127.0.0.1:%d%s" % (server.http_port, path)
        run, _ = tide(t, ["--server", "127.0.0.1:%d" % server.resp_port, "--metrics", url])
        is_measured_from(run, "%s (%s)" % (url, name))
        t.resp(server).call("FLUSHALL")
    _, said = tide(t, ["--server", "127.0.0.1:%d" % server.resp_port, "--metrics", url + "/nothing"], wanted=2)
    true("no page of metrics there" in said, said)


class Liar(threading.Thread):
    """Speaks RESP to many; each seventh value it is asked for is gone, or has another first byte, or
    it closes after so many commands."""

    def __init__(self, how, after=None):
        super().__init__(daemon=True)
        self.how, self.after, self.values, self.gets = how, after, {}, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()
        self.start()

    def run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def close(self):
        self.listener.close()

    def serve(self, client):
        with client, client.makefile("rwb") as stream:
            while True:
                line = stream.readline()
                if not line:
                    return
                words = line.split()
                if line[:1] == b"*":
                    words = []
                    for _ in range(int(line[1:])):
                        length = int(stream.readline()[1:])
                        words.append(stream.read(length + 2)[:-2])
                with self.lock:
                    reply = self.answer(words)
                if reply is None:
                    return
                stream.write(reply)
                stream.flush()

    def answer(self, words):
        verb = words[0].upper()
        if self.after is not None and verb == b"SET" and len(self.values) >= self.after:
            return None
        if verb == b"SET":
            self.values[words[1]] = words[2]
            return b"+OK\r\n"
        if verb == b"DEL":
            return b":%d\r\n" % (self.values.pop(words[1], None) is not None)
        if verb == b"DBSIZE":
            return b":0\r\n"
        if verb != b"GET":
            return b"+PONG\r\n" if verb == b"PING" else b"$0\r\n\r\n"
        value = self.values.get(words[1])
        if value is not None:
            self.gets += 1
            if self.gets % 7 == 0:
                value = None if self.how == "drop" else bytes([value[0] ^ 1]) + value[1:]
        return b"$-1\r\n" if value is None else b"$%d\r\n%s\r\n" % (len(value), value)


def lied_to(t, how, wanted, after=None):
    liar = t.own(Liar(how, after))
    return tide(t, ["--server", "127.0.0.1:%d" % liar.port, "--pid", str(os.getpid())],
                "fill items=700 value=fixed:100\n", wanted)


@case(limit=60)
def a_server_that_lies_is_caught(t):
    for how, name, other in (("drop", "missing", "wrong"), ("corrupt", "wrong", "missing")):
        totals = lied_to(t, how, 1)[0]["totals"]
        equal((totals[name], totals[other]), (100, 0), how)


@case(limit=60)
def a_server_that_goes_leaves_what_was_seen(t):
    run, said = lied_to(t, "close", 2, after=300)
    true("lost the connection" in said, said)
    equal(run["completed"], False, "completed")
    equal(len(run["phases"]), 1, "phases")


@case(limit=60)
def what_can_not_be_done_is_said(t):
    _, said = tide(t, ["--server", "127.0.0.1:1"], wanted=2)
    true("nobody there" in said, said)
    _, said = tide(t, ["--server", "127.0.0.1:1"], "fill live=1mb value=fixed:1\nidle seconds=x\n", 2)
    true(":2:6: seconds is a time" in said, said)
    _, said = tide(t, ["--json", "/dev/full", "--spawn", os.path.abspath(ebb.binary()) +
                       " --port %p --memcached-port 0 --http-port 0"], "idle seconds=50ms\n", 2)
    true("/dev/full can't be written" in said, said)
