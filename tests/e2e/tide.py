# SPDX-License-Identifier: MIT
"""tide against real servers, one that lies, one that dies: counts, exit codes, what is kept."""

import json
import os
import shutil
import socket
import subprocess
import threading
import time

import ebb
from case import RSS_COUNTS, Skipped, case, equal, program, true, within

# What SMALL leaves out. memcached counts what has expired until it comes across it.
REPLACED = "churn seconds=200ms value=fixed:90 writes=50%\nresize share=30% value=fixed:40 settle=50ms\n"
EXPIRED = "fill items=300 value=fixed:70 ttl=1s\nexpire settle=500ms\n"

DELAY_SECONDS = 0.4

SMALL = "fill live=1mb written=2mb value=uniform:50-500\ndelete share=50% settle=100ms\n"


def environment():
    return {name: value for name, value in os.environ.items() if not name.startswith("EBB_")}


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
    done = subprocess.run([os.path.abspath(path), "run", scenario, "--json", result] + arguments,
                          capture_output=True, env=environment(), text=True, timeout=60, check=False)
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
    """Passes on to a server, late if that is wanted: whoever asks here does not know its process."""

    def __init__(self, port, delay_seconds=0):
        super().__init__(daemon=True)
        self.to, self.delay_seconds = port, delay_seconds
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

    def carry(self, source, to):
        try:
            while data := source.recv(65536):
                time.sleep(self.delay_seconds)
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
    """Speaks RESP to many; each seventh value it is asked for is gone, or has another first byte; or
    after so many values it closes, or keeps all waiting once."""

    def __init__(self, how, after=None):
        super().__init__(daemon=True)
        self.how, self.after, self.values, self.gets, self.is_late = how, after, {}, 0, False
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
            if self.how == "close":
                return None
            if not self.is_late:
                self.is_late = True
                time.sleep(DELAY_SECONDS)
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
            if self.gets % 7 == 0 and self.how in ("drop", "corrupt"):
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
def a_stall_is_seen_in_full(t):
    """Each millisecond of it: had tide asked again only after the answer, one question of many would
    be late, and p99.9 would not know of it."""
    run, _ = lied_to(t, "delay", 0, after=300)
    phase, samples = run["phases"][0], run["samples"]
    true(phase["stall_max_seconds"] >= DELAY_SECONDS - 0.01, "longest: %s" % phase["stall_max_seconds"])
    true(phase["stall_p999_seconds"] >= DELAY_SECONDS / 2, "p99.9: %s" % phase["stall_p999_seconds"])
    equal(run["totals"]["stall_max_seconds"], phase["stall_max_seconds"], "of the run")
    column = samples["columns"].index("stall_seconds")
    true(phase["overslept_seconds"] > 0, "a sleeper is always a little late")
    true(max(row[column] for row in samples["rows"]) >= DELAY_SECONDS - 0.06, "in the samples")


@case(limit=60)
def a_way_that_is_long_is_no_stall(t):
    """Ten milliseconds to the server and back: a probe that asks again only after the answer would be
    nine more behind with each question, most of two seconds in the end."""
    server = t.start()
    there = t.own(Elsewhere(server.resp_port, 0.005))
    run, _ = tide(t, ["--server", "127.0.0.1:%d" % there.port, "--pid", str(server.pid)], "idle seconds=2\n")
    longest = run["phases"][0]["stall_max_seconds"]
    true(0.01 <= longest < 1, "longest: %s" % longest)


@case(limit=60)
def a_server_that_is_killed_leaves_what_was_seen(t):
    port = ebb.free_port()
    server = subprocess.Popen([os.path.abspath(ebb.binary()), "--port", str(port), "--memcached-port", "0",
                               "--http-port", "0", "--logfile", os.path.join(t.folder, "log")],
                              env=environment())
    try:
        within(20, lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0, "the server does not listen")
        csv = os.path.join(t.folder, "r.csv")
        page = os.path.join(t.folder, "r.html")
        threading.Timer(1, server.kill).start()
        run, said = tide(t, ["--server", "127.0.0.1:%d" % port, "--csv", csv, "--report", page],
                         "fill items=1000 value=fixed:100\nchurn seconds=50 writes=50% value=fixed:100\n", 2)
    finally:
        server.kill()
        server.wait()
    true("lost the connection" in said or "process is gone" in said, said)
    equal((run["completed"], len(run["phases"])), (False, 2), "completed, phases")
    true(run["error"] in said, run["error"])
    with open(csv, encoding="ascii") as file:
        equal(len(file.readlines()), len(run["samples"]["rows"]) + 1, "lines")
    true(len(run["samples"]["rows"]) > 5, "samples")
    true(os.path.getsize(page) > 10000, "the page")


@case(limit=60)
def a_run_that_is_interrupted_keeps_what_was_seen(t):
    """By a signal that reaches tide alone, as kill sends it: the server is ended in order."""
    result = os.path.join(t.folder, "r.json")
    scenario = os.path.join(t.folder, "s.tide")
    with open(scenario, "w", encoding="ascii") as file:
        file.write("fill items=1000 value=fixed:100\nidle seconds=50\n")
    path = os.path.join(os.path.dirname(os.path.abspath(ebb.binary())), "tide")
    if not RSS_COUNTS or not os.access(path, os.X_OK):
        raise Skipped("tide is not built")
    with subprocess.Popen([path, "run", scenario, "--json", result, "--spawn", os.path.abspath(ebb.binary()) +
                           " --port %p --memcached-port 0 --http-port 0 --loglevel warning"],
                          env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as run:
        seen = ""
        while "idle" not in seen:
            line = run.stderr.readline()
            true(line != "", "it ended: " + seen)
            seen += line
        run.terminate()
        _, said = run.communicate(timeout=30)
    equal(run.returncode, 2, "exit code, with " + said)
    with open(result, encoding="utf-8") as file:
        kept = json.load(file)
    equal((kept["completed"], kept["error"], len(kept["phases"])), (False, "interrupted", 2), "what is kept")


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
    for option, message in (("--csv", "/dev/full can't be written"), ("--report", "/dev/full: No space left")):
        run, said = tide(t, [option, "/dev/full", "--spawn", os.path.abspath(ebb.binary()) +
                             " --port %p --memcached-port 0 --http-port 0"], "idle seconds=50ms\n", 2)
        true(message in said, said)
        equal(run["completed"], True, "the figures are kept")
    for arguments, message in ((["--server", "nowhere"], "--server is HOST:PORT"),
                               (["--protocol", "http"], "--protocol is"),
                               (["--spawn", "false"], "the server ended at once"),
                               ([], "one of --server and --spawn is needed")):
        _, said = tide(t, arguments, wanted=2)
        true(message in said, said)


@case(limit=60)
def comparing_goes_on_without_a_peer(t):
    """Where there is no memcached: the tools that the script needs, and no other program."""
    if not RSS_COUNTS:
        raise Skipped("tide is the same beside every build")
    tools, made = os.path.join(t.folder, "bin"), os.path.join(t.folder, "made")
    os.mkdir(tools)
    for tool in ("sh", "awk", "id", "mkdir", "grep"):
        os.symlink(shutil.which(tool), os.path.join(tools, tool))
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    build = os.path.dirname(os.path.abspath(ebb.binary()))
    command = [os.path.join(root, "bench/tide/compare.sh"), os.path.join(build, "tide"),
               os.path.abspath(ebb.binary()), made]
    chosen = {"PATH": tools, "SCALE": "0.002", "SCENARIOS": "redis-frag", "SERVERS": "ebb memcached"}
    for is_again in (False, True):
        done = subprocess.run(command, capture_output=True, env=chosen, text=True, timeout=50, check=False)
        equal(done.returncode, 0, done.stderr)
        true("memcached is not installed" in done.stderr, done.stderr)
        equal("redis-frag on ebb" in done.stderr, not is_again, "whether it is played")
        true("redis-frag  server" in done.stdout, done.stdout)
        true(os.path.getsize(os.path.join(made, "report.html")) > 10000, "the page")
