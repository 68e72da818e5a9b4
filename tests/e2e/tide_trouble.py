# SPDX-License-Identifier: MIT
"""tide in trouble: servers that lie, dawdle, die or want a password, disks that are full, and commands
that can't be carried out: what it says, its exit code, what it keeps."""

import json
import os
import socket
import subprocess
import threading
import time

import ebb
from case import RSS_COUNTS, Skipped, case, equal, program, true, within
from tide import environment, tide

DELAY_SECONDS = 0.4


# ---- servers that lie ----

class Resp:
    """What the liar needs of a protocol: requests as words, and replies."""

    name = "resp"
    stored = b"+OK\r\n"

    @staticmethod
    def request(stream):
        line = stream.readline()
        if line[:1] != b"*":
            return line.upper().split()
        words = []
        for _ in range(int(line[1:])):
            length = int(stream.readline()[1:])
            words.append(stream.read(length + 2)[:-2])
        return words

    @staticmethod
    def deleted(is_found):
        return b":%d\r\n" % is_found

    @staticmethod
    def value(_key, value):
        return b"$-1\r\n" if value is None else b"$%d\r\n%s\r\n" % (len(value), value)

    @staticmethod
    def other(words):
        return {b"PING": b"+PONG\r\n", b"DBSIZE": b":0\r\n"}.get(words[0], b"$0\r\n\r\n")


class Memcached:
    name = "memcached"
    stored = b"STORED\r\n"

    @staticmethod
    def request(stream):
        words = stream.readline().split()
        if words and words[0] == b"set":
            return [b"SET", words[1], stream.read(int(words[4]) + 2)[:-2]]
        return [{b"get": b"GET", b"delete": b"DEL"}.get(words[0], words[0])] + words[1:] if words else []

    @staticmethod
    def deleted(is_found):
        return b"DELETED\r\n" if is_found else b"NOT_FOUND\r\n"

    @staticmethod
    def value(key, value):
        return b"END\r\n" if value is None else b"VALUE %s 0 %d\r\n%s\r\nEND\r\n" % (key, len(value), value)

    @staticmethod
    def other(words):
        return b"VERSION 1\r\n" if words[0] == b"version" else b"STAT curr_items 0\r\nEND\r\n"


class Liar(threading.Thread):
    """Serves many; each seventh value it is asked for is gone, or has another first byte; each seventh
    write is not done; or after so many values it closes, or keeps all waiting once; or it refuses to read, or
    hangs up on the probe."""

    def __init__(self, how, after=None, protocol=Resp):
        super().__init__(daemon=True)
        self.how, self.after, self.protocol = how, after, protocol
        self.values, self.gets, self.sets, self.is_late = {}, 0, 0, False
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
        try:
            with client, client.makefile("rwb") as stream:
                while words := self.protocol.request(stream):
                    with self.lock:
                        reply = self.answer(words)
                    if reply is None:
                        return
                    stream.write(reply)
                    stream.flush()
        except OSError:
            pass  # tide has gone

    def answer(self, words):
        if words[0] == b"SET":
            return self.store(words[1], words[2])
        if words[0] == b"DEL":
            return self.protocol.deleted(self.values.pop(words[1], None) is not None)
        if words[0] != b"GET":
            return self.protocol.other(words)
        if self.how == "hang up" and words[1] == b"pulse":
            self.gets += 1
            return None if self.gets == 50 else self.protocol.value(words[1], None)
        value = self.values.get(words[1])
        if value is not None:
            self.gets += 1
            if self.how == "refuse":
                return b"-ERR no\r\n" if self.protocol is Resp else b"SERVER_ERROR no\r\n"
            if self.gets % 7 == 0 and self.how in ("drop", "corrupt"):
                value = None if self.how == "drop" else bytes([value[0] ^ 1]) + value[1:]
        return self.protocol.value(words[1], value)

    def store(self, key, value):
        if self.after is not None and len(self.values) >= self.after:
            if self.how == "close":
                return None
            if not self.is_late:
                self.is_late = True
                time.sleep(DELAY_SECONDS)
        self.sets += 1
        if self.how != "forget" or self.sets % 7 != 0:
            self.values[key] = value
        return self.protocol.stored


def lied_to(t, how, wanted, after=None, protocol=Resp):
    liar = t.own(Liar(how, after, protocol))
    return tide(t, ["--server", "127.0.0.1:%d" % liar.port, "--protocol", protocol.name, "--pid", str(os.getpid())],
                "fill items=700 value=fixed:100\n", wanted)


@case(limit=60)
def a_server_that_lies_is_caught(t):
    for protocol in (Resp, Memcached):
        for how, name, other in (("drop", "missing", "wrong"), ("forget", "missing", "wrong"),
                                 ("corrupt", "wrong", "missing")):
            totals = lied_to(t, how, 1, protocol=protocol)[0]["totals"]
            equal((totals[name], totals[other]), (100, 0), "%s by %s" % (how, protocol.name))


@case(limit=60)
def a_server_that_will_not_say_is_no_proof(t):
    """Of a value whose reading is refused nothing is known: neither right nor missing."""
    for protocol in (Resp, Memcached):
        run, said = lied_to(t, "refuse", 2, protocol=protocol)
        true("the server refused a read: " in said and " no" in said, said)
        equal(run["completed"], False, "completed")


@case(limit=60)
def a_stall_is_seen_in_full(t):
    """Each millisecond of it: had tide asked again only after the answer, one question of many would
    be late, and p99.9 would not know of it."""
    for protocol in (Resp, Memcached):
        run, _ = lied_to(t, "delay", 0, after=300, protocol=protocol)
        phase, samples = run["phases"][0], run["samples"]
        true(phase["stall_max_seconds"] >= DELAY_SECONDS - 0.01, "longest: %s" % phase["stall_max_seconds"])
        true(phase["stall_p999_seconds"] >= DELAY_SECONDS / 2, "p99.9: %s" % phase["stall_p999_seconds"])
        equal(run["totals"]["stall_max_seconds"], phase["stall_max_seconds"], "of the run")
        column = samples["columns"].index("stall_seconds")
        true(phase["overslept_seconds"] > 0, "a sleeper is always a little late")
        true(max(row[column] for row in samples["rows"]) >= DELAY_SECONDS - 0.06, "in the samples")


@case(limit=60)
def a_run_without_its_probe_ends(t):
    liar = t.own(Liar("hang up"))
    run, said = tide(t, ["--server", "127.0.0.1:%d" % liar.port, "--pid", str(os.getpid())], "idle seconds=50\n", 2)
    true("lost the connection of the probe" in said, said)
    equal((run["completed"], len(run["phases"])), (False, 1), "completed, phases")


# ---- servers that want a password ----

def is_let_in(t, spawn, secret, more=None):
    run, _ = tide(t, spawn + secret, more=more)
    equal((run["completed"], run["phases"][0]["live_off"]), (True, 0), "what it did as one who may")
    return run


@case(limit=60)
def a_password_opens_ebb_by_both_protocols(t):
    for protocol, ports in (("resp", "--port %p --memcached-port 0"), ("memcached", "--memcached-port %p --port 0")):
        spawn = ["--protocol", protocol, "--spawn", os.path.abspath(ebb.binary()) + " " + ports +
                 " --http-port 0 --loglevel warning --requirepass sesame"]
        run = is_let_in(t, spawn, ["--pass", "sesame"])
        true("sesame" not in json.dumps(run) and "--requirepass ***" in run["server"]["command"], "what is kept")
        is_let_in(t, spawn, ["--user", "default"], {"TIDE_AUTH": "sesame"})
        for secret, message in ((["-a", "wrong"], "the login was refused: "), ([], "wants a password"),
                                (["--user", "joe"], "--user needs --pass")):
            _, said = tide(t, spawn + secret, wanted=2)
            true(message in said, said)


@case(limit=60)
def a_password_opens_redis_and_memcached(t):
    redis = program("redis-server") + " --bind 127.0.0.1 --port %p --save '' --loglevel warning"
    memcached = program("memcached") + " -l 127.0.0.1 -p %p -U 0 -m 64" + (" -u root" if os.geteuid() == 0 else "")
    tokens = os.path.join(t.folder, "tokens")
    with open(tokens, "w", encoding="ascii") as file:
        file.write("joe:sesame\n")
    joe = ["--user", "joe", "--pass", "sesame"]
    is_let_in(t, ["--spawn", redis + " --user joe on '>sesame' allkeys allcommands"], joe)
    is_let_in(t, ["--spawn", redis + " --requirepass sesame"], ["--pass", "sesame"])
    for protocol in ("memcached", "meta"):
        is_let_in(t, ["--protocol", protocol, "--spawn", memcached + " -Y " + tokens], joe)
    for protocol, open_to_all in (("resp", redis), ("memcached", memcached)):
        _, said = tide(t, ["--protocol", protocol, "--spawn", open_to_all] + joe, wanted=2)
        true("the login was refused: " in said, said)


# ---- servers that go ----

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


# ---- what can't be done ----

SMALL_FILES = ("sh", "-c", 'trap "" XFSZ; ulimit -f 1; exec "$0" "$@"')


@case(limit=60)
def a_full_disk_leaves_what_was_there(t):
    arguments = ["--spawn", os.path.abspath(ebb.binary()) +
                 " --port %p --memcached-port 0 --http-port 0 --loglevel warning",
                 "--csv", os.path.join(t.folder, "r.csv"), "--report", os.path.join(t.folder, "r.html")]

    def files():
        found = {}
        for name in os.listdir(t.folder):
            with open(os.path.join(t.folder, name), "rb") as file:
                found[name] = file.read()
        return found
    tide(t, arguments, "idle seconds=1\n")
    before = files()
    equal(sorted(before), ["r.csv", "r.html", "r.json", "s.tide"], "files")
    _, said = tide(t, arguments, "idle seconds=1\n", 2, through=SMALL_FILES)
    true("r.json can't be written: File too large" in said and "r.csv can't be written" in said, said)
    equal(files(), before, "files")


@case(limit=60)
def what_can_not_be_written_is_said_before_the_run(t):
    for option in ("--json", "--csv", "--report"):
        path = os.path.join(t.folder, "nowhere", "file")
        _, said = tide(t, ["--server", "127.0.0.1:1", option, path], wanted=2)
        true(path + " can't be written: No such file" in said, said)


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
                               (["--spawn", "false %p"], "the server ended at once"),
                               (["--spawn", "false"], "the command has no %p"),
                               ([], "one of --server and --spawn is needed")):
        _, said = tide(t, arguments, wanted=2)
        true(message in said, said)


