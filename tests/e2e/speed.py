# SPDX-License-Identifier: MIT
"""The programs of `make bench-speed`, each for a second: that they say what happened, and that a
reply that is not right is noticed. How fast anything was is not asked here.
"""

import json
import os
import re
import socket
import subprocess
import threading
import time

import ebb
from case import Failed, Skipped, case, equal, shown, true

FOLDER = os.path.join(os.path.dirname(ebb.binary()), "bench")
PROTOCOLS = ("resp", "text", "meta")
OPERATIONS = 20000


def tool(name):
    path = os.path.join(FOLDER, name)
    if not os.access(path, os.X_OK):
        raise Skipped("%s is not built" % path)
    return path


def run(*words, code=0):
    done = subprocess.run(list(map(str, words)), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          check=False, timeout=100)
    said = done.stdout.decode() + done.stderr.decode()
    if done.returncode != code:
        raise Failed("%s: exit code %d\n%s" % (" ".join(map(str, words)), done.returncode, said))
    return said


def drive(port, protocol, *words, code=0):
    return run(tool("drive"), "--port", port, "--protocol", protocol, "--operations", OPERATIONS,
               "--warm", 0, "--keys", 1000, *words, code=code)


def number(said, pattern):
    found = re.search(pattern, said)
    true(found, "no %s in: %s" % (pattern, shown(said, 1000)))
    return float(found.group(1))


class Limit:
    """The responder, on a free port."""

    def __init__(self, value_bytes):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process = subprocess.Popen([tool("limit"), "--port", str(self.port), "--value-bytes",
                                         str(value_bytes)])
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except ConnectionRefusedError:
                time.sleep(0.02)
        raise Failed("limit does not listen")

    def close(self):
        self.process.terminate()
        equal(self.process.wait(10), 0, "exit code of limit")


@case(limit=60)
def the_driver_counts_what_it_asked_for(t):
    for protocol in PROTOCOLS:
        port = t.server.resp_port if protocol == "resp" else t.server.memcached_port
        for words in (("--depth", 16), ("--multiget", 10), ("--value-bytes", 100000, "--keys", 20),
                      ("--zipf", 0.9, "--threads", 2, "--get-ratio", 0.5)):
            said = drive(port, protocol, "--fill", *words, "--pid", t.server.process.pid)
            true(number(said, r"\((\d+) in") >= OPERATIONS, "operations: " + said)
            equal(number(said, r"misses +(\d+)"), 0, "misses")
            true(number(said, r"server +(\d+) ns") > 0, "the server's time: " + said)


@case(limit=60)
def commands_at_the_server_are_those_of_the_driver(t):
    client = t.resp()
    drive(t.server.resp_port, "resp", "--fill", "--get-ratio", 0.5, "--connections", 5)
    stats = client.call("INFO", "commandstats").decode()
    gets = number(stats, r"cmdstat_get:calls=(\d+)")
    sets = number(stats, r"cmdstat_set:calls=(\d+)") - 1000
    true(OPERATIONS <= gets + sets <= OPERATIONS + 10, "%d gets and %d sets" % (gets, sets))
    true(0.45 * OPERATIONS < gets < 0.55 * OPERATIONS, "%d gets of %d" % (gets, OPERATIONS))
    equal(client.call("DBSIZE"), 1000, "keys")


@case(limit=60)
def keys_that_are_not_there_are_misses(t):
    for protocol in PROTOCOLS:
        port = t.server.resp_port if protocol == "resp" else t.server.memcached_port
        for multiget in (1, 7):
            said = drive(port, protocol, "--get-ratio", 1, "--multiget", multiget)
            misses = number(said, r"misses +(\d+)")
            true(misses >= OPERATIONS, "%s: %d misses" % (protocol, misses))


@case(limit=30)
def a_refusal_ends_the_driver(t):
    server = t.start("--requirepass", "secret")
    said = drive(server.resp_port, "resp", code=2)
    true("not the reply that was expected: -NOAUTH" in said, said)
    said = drive(server.resp_port, "resp", "--depth", 0, code=2)
    true("--depth: 0 is not a number" in said, said)


def answer_one(listener, answer):
    connection, _ = listener.accept()
    with connection:
        connection.recv(4096)
        connection.sendall(answer)
        connection.recv(1)


@case(limit=30)
def a_byte_too_many_is_noticed(t):
    for answer in (b"$3\r\nabc\r\n$", b"$4\r\nabcd\r\n", b"+OK\r\n"):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            thread = threading.Thread(target=answer_one, args=(listener, answer))
            thread.start()
            said = drive(listener.getsockname()[1], "resp", "--connections", 1, "--get-ratio", 1,
                         "--value-bytes", 3, code=2)
            thread.join()
        true("too many: $" in said or "not the reply" in said, said)
        t.note(said.strip())


@case(limit=60)
def the_responder_answers_like_a_server(t):
    for value_bytes in (1, 100, 16384, 200000):
        limit = t.own(Limit(value_bytes))
        for protocol in PROTOCOLS:
            for words in (("--depth", 4), ("--multiget", 5)):
                said = drive(limit.port, protocol, *words, "--value-bytes", value_bytes,
                             "--operations", 2000, "--connections", 5)
                equal(number(said, r"misses +(\d+)"), 0, "misses")


@case(limit=30)
def the_responder_takes_commands_in_pieces(t):
    limit = t.own(Limit(3))
    sent = (b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\n12345\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"
            b"set k 0 0 2\r\nxx\r\nget k l\r\nmg k k v\r\nms k 2\r\nxx\r\nmn\r\nwhat\r\n")
    wanted = (b"+OK\r\n$3\r\nvvv\r\nSTORED\r\nVALUE k 0 3\r\nvvv\r\nVALUE l 0 3\r\nvvv\r\nEND\r\n"
              b"VA 3 kk\r\nvvv\r\nHD\r\nMN\r\nERROR\r\n")
    for step in (1, 3, 7, len(sent)):
        with socket.create_connection(("127.0.0.1", limit.port)) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.settimeout(10)
            for at in range(0, len(sent), step):
                client.sendall(sent[at:at + step])
                time.sleep(0.001 if step < len(sent) else 0)
            client.shutdown(socket.SHUT_WR)
            got = b""
            while len(got) < len(wanted):
                part = client.recv(65536)
                if not part:
                    break
                got += part
        equal(got, wanted, "answers to pieces of %d bytes" % step)


@case(limit=30)
def the_responder_waits_for_who_does_not_read(t):
    limit = t.own(Limit(100000))
    count = 500
    with socket.create_connection(("127.0.0.1", limit.port)) as client:
        client.sendall(b"mg k v\r\n" * count)
        time.sleep(0.2)
        client.settimeout(10)
        left = count * len(b"VA 100000\r\n" + b"v" * 100000 + b"\r\n")
        while left > 0:
            got = len(client.recv(1 << 20))
            true(got > 0, "%d bytes are missing" % left)
            left -= got


def race(t, seconds, *words):
    path = os.path.join(t.folder, "figures.json")
    said = run(tool("race"), *words, "--binary", ebb.binary(), "--rounds", 1, "--seconds", seconds,
               "--json", path)
    with open(path, encoding="utf-8") as file:
        return said, json.load(file)


@case(limit=90)
def a_short_race_prints_what_was_to_be_reached(t):
    said, figures = race(t, 0.05, "courses", "workers", "scrapes", "--quick", "--cold", "1mb",
                         "--server", "ebb,limit")
    for text in ("depth 32, 100 B: CPU per key against limit", "MGET 100, cold",
                 "100 scrapes/s against none", "not measured: one of the two is not there"):
        true(text in said, "no %r in: %s" % (text, shown(said, 4000)))
    rates = {f["row"]: f["value"] for f in figures
             if f["topic"] == "1 MiB" and f["name"] == "operations/s"}
    equal(sorted(rates), sorted(a + b for a in ("ebb", "limit") for b in ("", " text", " meta")),
          "contestants")
    true(all(rate > 0 for rate in rates.values()), "operations/s: %s" % rates)
    reached = [f for f in figures if f["topic"] == "reach"]
    true(all("met" in f and f["value"] > 0 for f in reached) and len(reached) > 5, reached)


@case(limit=90)
def stalls_and_crowds_are_watched(t):
    said, figures = race(t, 1, "stalls", "crowd", "--quick", "--items", 50000, "--crowd", 200,
                         "--server", "ebb")
    did = {(f["phase"], f["name"]): f["value"] for f in figures if f["topic"] == "stalls"}
    for phase, counter in (("trimming", "trimmed_bytes"), ("expiring", "expired"),
                           ("compacting", "moved_bytes"), ("evicting", "evicted")):
        true(did[phase, counter] > 0, "nothing %s while %s: %s" % (counter, phase, said))
    true("RSS of an idle connection, 200 of them, B" in said, said)
