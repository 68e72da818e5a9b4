# SPDX-License-Identifier: MIT
"""tide against real servers: whose memory it reads, and whether its counts are theirs."""

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

SMALL = "fill live=1mb written=2mb value=uniform:50-500\ndelete share=50% settle=100ms\n"


def environment():
    return {name: value for name, value in os.environ.items()
            if not name.startswith("EBB_") and name != "TIDE_AUTH"}


def tide(t, arguments, text=SMALL, wanted=0, more=None, through=()):
    """Runs it, with more of an environment, through another program; returns what it wrote as JSON,
    and what it said."""
    path = os.path.join(os.path.dirname(ebb.binary()), "tide")
    if not RSS_COUNTS:
        raise Skipped("tide is the same beside every build")
    if not os.access(path, os.X_OK):
        raise Skipped("tide is not built")
    scenario, result = os.path.join(t.folder, "s.tide"), os.path.join(t.folder, "r.json")
    with open(scenario, "w", encoding="ascii") as file:
        file.write(text)
    done = subprocess.run([*through, os.path.abspath(path), "run", scenario, "--json", result] + arguments,
                          capture_output=True, env=environment() | (more or {}), text=True, timeout=60,
                          check=False)
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
                   ebb_path + " --memcached-port %p --port 0 --http-port 0"], SMALL + REPLACED + EXPIRED)[0])


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


@case(limit=60)
def what_a_limit_has_evicted_is_no_longer_live(t):
    """tide learns of it by reading back: until then it takes for live what it wrote."""
    run, _ = tide(t, ["--evicting", "--spawn", os.path.abspath(ebb.binary()) +
                      " --port %p --memcached-port 0 --http-port 0 --loglevel warning --maxmemory 24mb"],
                  "fill live=32mb written=64mb value=fixed:1000\ndelete share=50% settle=100ms\n")
    agree(run)
    equal((run["totals"]["missing"], run["totals"]["wrong"]), (0, 0), "faults")
    true(4e6 < run["phases"][0]["live_bytes"] < 24 * 1024 * 1024, "live: %s" % run["phases"][0]["live_bytes"])
    equal(run["phases"][0]["peak_over_live"], None, "peak")


@case(limit=60)
def whose_memory_it_is_the_listener_says(t):
    """Behind a shell that stays, the server is its child; and both are ended."""
    run, said = tide(t, ["--spawn", "cd / && LC_ALL=C " + os.path.abspath(ebb.binary()) +
                         " --port %p --memcached-port 0 --http-port 0 --loglevel warning; true"],
                     "fill live=8mb value=fixed:1000\n")
    true(run["phases"][0]["resident_over_live"] > 1, "resident")
    true("memory from process %d " % run["server"]["pid"] in said, said)
    host, port = run["server"]["address"].split(":")
    within(10, lambda: socket.socket().connect_ex((host, int(port))) != 0, "the server runs on")
    server = t.start()
    for pid in (os.getpid(), 999999999):
        _, said = tide(t, ["--server", "localhost:%d" % server.resp_port, "--pid", str(pid)], wanted=2)
        true("--pid %d is not the server on localhost" % pid in said and "that is %d\n" % server.pid in said, said)


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
        true("redis-frag, scale 0.002, times 0.002  server" in done.stdout, done.stdout)
        true(os.path.getsize(os.path.join(made, "report.html")) > 10000, "the page")
