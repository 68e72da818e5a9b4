# SPDX-License-Identifier: MIT
"""What is answered, byte for byte: the recordings of wire/, and what no recording can hold.

The recordings were made with Redis 7.0 and memcached 1.6 and are checked against these programs
again where they are installed in such a version. Where Ebb means to answer otherwise, the request
stands in DIFFERENCES with the reason, and with what Ebb must answer instead.
"""

import glob
import os
import random
import re
import time

import ebb
import script
import talk
from case import (MIB, RSS_COUNTS, SCALE, Failed, Skipped, case, equal, program, shown, true,
                  within)

WIRE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "wire")
SHOWN_MOST = 20

# (file, request as a regular expression, reason, Ebb's reply as a regular expression)
DIFFERENCES = (
    ("expiry.txt", "TTL far", "Ebb keeps 48 bits of milliseconds: the year 10889 is its last",
     r":\d{12,16}\r\n"),
    ("connection.txt", "CONFIG GET maxmemory", "Ebb has a limit by default: part of the machine's",
     r"(\*2|%1)\r\n\$9\r\nmaxmemory\r\n\$\d+\r\n[1-9]\d*\r\n"),
    ("connection.txt", "CONFIG GET maxmemory-policy", "and a policy for it, as a cache needs one",
     r"(\*2|%1)\r\n\$16\r\nmaxmemory-policy\r\n\$14\r\nallkeys-s3fifo\r\n"),
    ("bits.txt", "bitfield sat .*", "far below the least number Redis saturates to the greatest",
     r"\*1\r\n:(0|-128)\r\n"),
) + tuple(("mc_newer.txt",) + row for row in (
    (r"ms cas 1 E500 .*", "E came with memcached 1.6.27", r"HD c500\r\n"),
    (r"mg cas c E1", "the same", r"HD c500\r\n"),
    (r"ma cas E600 c v", "the same", r"VA 1 c600\r\n6\r\n"),
    (r"mg cas c k", "the same", r"HD c600 kcas\r\n"),
    (r"md cas E700 I k", "the same", r"HD kcas\r\n"),
    (r"mg cas c v", "the same", r"VA 1 c700 X W\r\n6\r\n"),
    (r"mg cas2 E800 .*", "the same", r"HD c800 W\r\n"),
    (r"ma num E900 .*", "the same", r"VA 1 c900\r\n3\r\n"),
    (r"md gone x F5", "x came after 1.6.27", r"HD\r\n"),
    (r"mg gone f s t v O1", "the same", r"VA 0 f5 s0 t-1 O1\r\n\r\n"),
    (r"md gone x I q", "the same", r""),
    (r"mg gone f s v O2", "the same", r"VA 0 f0 s0 O2 X W\r\n\r\n"),
    (r"ms join 2 s k.*", "s of ms came after 1.6.18", r"HD s2 kjoin\r\n"),
    (r"ms join 3 MA s.*", "the same", r"HD s5\r\n"),
    (r"ms joined 3 MA N0 s.*", "N of ms came after 1.6.18", r"HD s3\r\n"),
    (r"ms joined2 3 MP N0.*", "the same", r"HD\r\n"),
    (r"mg joined v", "the same", r"VA 3\r\nnew\r\n"),
    (r"mg (Y!Q==|YQ==YQ==|==YQ) b", "a key has one spelling",
     r"CLIENT_ERROR error decoding key\r\n"),
    (r"mg AAEC b N0 k", "1.6.18 forgets that such a key is binary, and breaks the line",
     r"HD kAAEC b W\r\n"),
    (r"mg AAEC b k v", "the same", r"VA 2 kAAEC b\r\nyy\r\n"),
))


def difference(step):
    name = os.path.basename(step.source.split(":")[0])
    for file, request, reason, reply in DIFFERENCES:
        if file == name and re.fullmatch(request, step.text):
            return reason, reply
    return None


def unpadded(reply):
    """memcached pads a shrunken number only if none of its threads holds the item at that moment: of
    the real one no particular padding can be asked."""
    return re.sub(rb"VALUE (\S+ \d+) \d+\r\n(\d+) *\r\n", rb"VALUE \1 -\r\n\2\r\n", reply)


META_LINE = re.compile(rb"^(?:HD|VA|NS|EX|NF)(?: .*)?$", re.MULTILINE)


def unnumbered(reply):
    """Meta replies without CAS numbers, which are each server's own, and without times that may be a
    second more or less. What is left of a time gone by is 0, or for memcached 2^32 less that."""
    return META_LINE.sub(lambda line: re.sub(rb" (c)[1-9]\d*| (t)(?:\d{3,}|0)\b| (l)\d{1,2}", rb" \1\2\3#",
                                             line[0]), reply)


def is_same(got, wanted, is_ebb):
    texts = [unnumbered(text) for text in (got[0], wanted[0])]
    if not is_ebb:
        texts = [unpadded(text) for text in texts]
    return texts[0] == texts[1] and got[1] == wanted[1]


def replay(port, path, version, is_ebb):
    """Plays a script; returns the differences as text."""
    memcached = "mc_" in path
    player = script.Player(port, version, memcached)
    wrong = []
    try:
        player.flush()
        for step in script.load(path):
            got = player.play(step)
            if got is None:
                continue
            known = difference(step) if is_ebb else None
            if known:
                if not re.fullmatch(known[1].encode("latin-1"), got[0], re.DOTALL):
                    wrong.append("%s %s\n  got    %s\n  wanted %s (%s)" % (
                        step.source, step.text, shown(got[0]), known[1], known[0]))
            elif not is_same(got, (step.wanted(version), step.closed), is_ebb):
                wrong.append("%s %s\n  got    %s%s\n  wanted %s%s" % (
                    step.source, shown(step.text, 100), shown(got[0]), " closed" * got[1],
                    shown(step.wanted(version)), " closed" * step.closed))
            if got[1] and not step.closed:
                player.connect()
    finally:
        player.close()
    return wrong


def replay_all(port, pattern, version, is_ebb=True):
    paths = sorted(glob.glob(os.path.join(WIRE, pattern)))
    true(paths, "no scripts " + pattern)
    wrong = []
    for path in paths:
        wrong += replay(port, path, version, is_ebb)
    if wrong:
        more = len(wrong) - SHOWN_MOST
        raise Failed("\n".join(wrong[:SHOWN_MOST]) + ("\nand %d more" % more if more > 0 else ""))


@case()
def resp2_answers_like_redis(t):
    replay_all(t.server.resp_port, "[!m]*.txt", 2)


@case()
def resp3_answers_like_redis(t):
    replay_all(t.server.resp_port, "[!m]*.txt", 3)


@case()
def memcached_answers_like_memcached(t):
    replay_all(t.server.memcached_port, "mc_*.txt", 2)


def start_redis(t):
    """The real thing on a free port; skips the test where it is missing or of another time."""
    path = program("redis-server")
    said = t.run(path, "--version").text
    if not re.search(r"v=7\.[02]\.", said):
        raise Skipped("redis-server is not 7.0 or 7.2: " + said.strip())
    port = ebb.free_port()
    t.spawn(path, "--port", str(port), "--save", "", "--bind", "127.0.0.1", "--logfile",
            os.path.join(t.folder, "redis.log"))
    wait_port(port)
    return port


def start_memcached(t):
    path = program("memcached")
    said = t.run(path, "-V").text
    if not re.search(r"memcached 1\.6\.", said):
        raise Skipped("memcached is not 1.6: " + said.strip())
    port = ebb.free_port()
    user = ("-u", "nobody") if os.geteuid() == 0 else ()
    t.spawn(path, *user, "-l", "127.0.0.1", "-p", str(port), "-U", "0")
    wait_port(port)
    return port


def wait_port(port):
    end = time.monotonic() + 10
    while True:
        try:
            talk.Wire(port).close()
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)


@case()
def recordings_of_redis_are_true(t):
    port = start_redis(t)
    for version in (2, 3):
        replay_all(port, "[!m]*.txt", version, is_ebb=False)


@case()
def recordings_of_memcached_are_true(t):
    replay_all(start_memcached(t), "mc_*.txt", 2, is_ebb=False)


# What names versions, addresses and times.

@case()
def hello_names_server_and_version(t):
    for version in (2, 3):
        client = t.resp()
        reply = client.call("HELLO", version)
        fields = reply if version == 3 else dict(zip(reply[::2], reply[1::2]))
        equal(fields[b"proto"], version, "proto")
        equal(fields[b"mode"], b"standalone", "mode")
        equal(fields[b"role"], b"master", "role")
        equal(fields[b"modules"], [], "modules")
        equal(fields[b"id"], client.call("CLIENT", "ID"), "id")
        equal(list(fields), [b"server", b"version", b"proto", b"id", b"mode", b"role", b"modules"],
              "the fields of HELLO")
        true(int(fields[b"version"].split(b".")[0]) >= 7, "version %r" % fields[b"version"])
        equal(client.call_bytes("GET", "nothing"), b"_\r\n" if version == 3 else b"$-1\r\n", "nil")
    first, second = t.resp(), t.resp()
    true(second.call("CLIENT", "ID") > first.call("CLIENT", "ID"), "CLIENT ID grows")
    equal(first.call("HELLO", 3, "SETNAME", "me")[b"proto"], 3, "HELLO with SETNAME")
    equal(first.call("CLIENT", "GETNAME"), b"me", "the name")
    equal(first.call("HELLO", 2)[5], 2, "back to RESP2")
    equal(first.call_bytes("GET", "nothing"), b"$-1\r\n", "nil after going back")
    equal(first.call("HELLO")[5], 2, "HELLO alone keeps the version")


@case()
def clients_tell_their_library(t):
    client = t.resp()
    equal(client.call("CLIENT", "SETINFO", "LIB-NAME", "redis-py"), "OK", "LIB-NAME")
    equal(client.call("client", "setinfo", "lib-ver", "4.3.4"), "OK", "LIB-VER")
    for words in (("LIB-NAME", "a b"), ("LIB-COLOUR", "red"), ("LIB-NAME",)):
        reply = client.call("CLIENT", "SETINFO", *words)
        true(isinstance(reply, talk.Error) and reply.startswith("ERR "), "%r: %r" % (words, reply))


COMMANDS = ("ping echo quit hello auth select client command config info dbsize flushdb flushall "
            "get set setex psetex setnx getset getdel getex mget mset append strlen incr decr "
            "incrby decrby del unlink exists type expire pexpire expireat pexpireat ttl pttl "
            "persist keys scan randomkey memory").encode().split()


@case()
def a_long_command_of_short_arguments_is_read_in_long_pieces(t):
    """Read one by one they would cost ten thousand system calls, and seconds beside others."""
    client, count, size = t.resp(), 10000, 150
    request = talk.command("MSET", *(word for n in range(count)
                                     for word in ("key:%d" % n, b"%d." % n * (size // 6))))
    equal(client.call("PING"), "PONG", "PING")
    reads = t.server.reads()
    client.send(request)
    equal(client.reply(), "OK", "MSET")
    reads = t.server.reads() - reads
    t.measured("%d reads of %.1f MiB" % (reads, len(request) / MIB))
    true(reads < count / 10, "%d reads of %d arguments" % (reads, 2 * count))
    for n in (0, 1, count // 2, count - 1):
        equal(client.call("GET", "key:%d" % n), b"%d." % n * (size // 6), "key:%d" % n)


@case()
def command_lists_and_describes_itself(t):
    client = t.resp()
    rows = {row[0]: row for row in client.call("COMMAND")}
    equal(client.call("COMMAND", "COUNT"), len(rows), "COMMAND COUNT")
    equal([name for name in COMMANDS if name not in rows], [], "commands missing from COMMAND")
    docs = client.call("COMMAND", "DOCS", "get", "SET")
    docs = dict(zip(docs[::2], docs[1::2]))
    equal(sorted(docs), [b"get", b"set"], "COMMAND DOCS get SET")
    fields = dict(zip(docs[b"get"][::2], docs[b"get"][1::2]))
    true(fields[b"summary"] and fields[b"since"] == b"1.0.0" and fields[b"group"] == b"string",
         "COMMAND DOCS get: %r" % fields)
    true(len(client.call("COMMAND", "DOCS")) == 2 * len(rows), "COMMAND DOCS has a row for each")


@case()
def command_rows_agree_with_redis(t):
    redis = t.own(talk.Resp(start_redis(t)))
    rows = {row[0]: row for row in t.resp().call("COMMAND")}
    wrong = []
    for name in COMMANDS:
        theirs, ours = redis.call("COMMAND", "INFO", name)[0], rows[name]
        if theirs[1] != ours[1] or theirs[3:6] != ours[3:6]:
            wrong.append("%s: arity and keys %r, Redis %r" % (name.decode(), [ours[1]] + ours[3:6],
                                                             [theirs[1]] + theirs[3:6]))
        if ("write" in theirs[2]) != ("write" in ours[2]):
            wrong.append("%s: flags %r, Redis %r" % (name.decode(), ours[2], theirs[2]))
        for mine, other in [(ours, theirs)] + list(zip(ours[9], theirs[9])):
            # How many keys a script has stands in its words, which has no specification here.
            specs = [spec[2:] if spec[0] == b"notes" else spec for spec in other[8]]
            if mine[0] == other[0] and mine[8] != specs and mine[8]:
                wrong.append("%s: keys %r, Redis %r" % (name.decode(), mine[8], specs))
    equal(wrong, [], "rows of COMMAND")


@case()
def keys_of_a_command_line_are_those_of_redis(t):
    """Of every command and subcommand there is, with all sorts of words."""
    redis, client, wrong = t.own(talk.Resp(start_redis(t))), t.resp(), []
    names = []
    for row in client.call("COMMAND"):
        names += [[row[0]]] + [sub[0].split(b"|") for sub in row[9]]
    tails = ("a b c d e f", "a 2 c d e f", "1 2 x y z w", "and to k1 k2 1 2", "a b GET NX",
             "a get u8 0 get u8 1", "a get u8 0 set u8 0 1", "a overflow wrap get u8 0", "a get u8")
    for name in names:
        for words in {tuple(tail.split()[:count]) for tail in tails for count in range(7)}:
            for kind in ("GETKEYS", "GETKEYSANDFLAGS"):
                line = ("COMMAND", kind, *name, *words)
                got, wanted = client.call(*line), redis.call(*line)
                if got != wanted and wanted != talk.Error("ERR Invalid command specified"):
                    wrong.append("%r: got %r, wanted %r" % (line, got, wanted))
    equal(wrong[:10], [], "keys of command lines")


@case()
def info_holds_what_clients_parse(t):
    client = t.resp()
    client.call("SET", "k", "v", "EX", 100)
    client.call("GET", "k")
    client.call("GET", "nothing")
    text = client.call("INFO").decode()
    true(all(line == "" or line.startswith("# ") or ":" in line for line in text.split("\r\n")),
         "lines of INFO")
    fields = dict(line.split(":", 1) for line in text.split("\r\n") if ":" in line)
    equal(fields["redis_mode"], "standalone", "redis_mode")
    equal(int(fields["process_id"]), t.server.pid, "process_id")
    equal(int(fields["tcp_port"]), t.server.resp_port, "tcp_port")
    equal((fields["role"], fields["loading"]), ("master", "0"), "role and loading")
    equal(int(fields["keyspace_hits"]), 1, "keyspace_hits")
    equal(int(fields["keyspace_misses"]), 1, "keyspace_misses")
    true(re.match(r"keys=1,expires=1,avg_ttl=\d+$", fields["db0"]), "db0:" + fields["db0"])
    true(int(fields["used_memory"]) > 0, "used_memory")
    true(int(fields["connected_clients"]) >= 1, "connected_clients")
    rss = t.server.rss()
    true(abs(int(fields["used_memory_rss"]) - rss) < 0.1 * rss + MIB, "used_memory_rss %s, RSS %d" %
         (fields["used_memory_rss"], rss))
    for name in ("redis_version", "uptime_in_seconds", "maxmemory", "maxmemory_policy",
                 "used_memory_human", "used_memory_peak", "total_commands_processed",
                 "expired_keys", "evicted_keys", "total_connections_received", "cluster_enabled"):
        true(name in fields, "INFO lacks " + name)
    section = client.call("INFO", "keyspace").decode()
    true(section.startswith("# Keyspace\r\ndb0:") and "redis_version" not in section, section)
    equal(client.call("INFO", "nothing-of-the-sort"), b"", "an unknown section")
    client.call("HELLO", 3)
    true(client.call_bytes("INFO", "server").startswith(b"="), "INFO is verbatim text in RESP3")


@case()
def slow_commands_are_kept(t):
    client = t.resp()
    client.call("CONFIG", "SET", "slowlog-log-slower-than", 100000)
    client.call("CLIENT", "SETNAME", "sleeper")
    client.call("SLOWLOG", "RESET")
    client.send(talk.command("SET", "k", "v") * 50 + talk.command("DEBUG", "SLEEP", "0.3") +
                talk.command("GET", "k") * 50)
    for _ in range(101):
        client.reply()
    entries = client.call("SLOWLOG", "GET", -1)
    equal([entry[3] for entry in entries], [[b"DEBUG", b"SLEEP", b"0.3"]], "what is in SLOWLOG")
    true(300000 <= entries[0][2] < 5000000, "it took %d us" % entries[0][2])
    true(abs(entries[0][1] - time.time()) < 30, "when it was")
    equal(entries[0][5], b"sleeper", "who it was")
    histogram = client.call("LATENCY", "HISTOGRAM", "debug")
    equal(histogram[0], b"debug", "LATENCY HISTOGRAM")
    equal((histogram[1][1], histogram[1][3][-1]), (1, 1), "its calls")
    true(histogram[1][3][-2] >= 300000, "its bucket")
    client.call("CONFIG", "SET", "slowlog-log-slower-than", 0)
    client.call("CONFIG", "SET", "slowlog-max-len", 3)
    client.call("AUTH", "secret")
    client.call("PING", "x" * 200)
    words = [entry[3] for entry in client.call("SLOWLOG", "GET")]
    equal(words[:2], [[b"PING", b"x" * 128 + b"... (72 more bytes)"], [b"AUTH", b"(redacted)"]],
          "every command is kept, without passwords")
    equal(client.call("SLOWLOG", "LEN"), 3, "not more than slowlog-max-len")
    client.call("CONFIG", "SET", "slowlog-log-slower-than", -1)
    client.call("SLOWLOG", "RESET")
    client.call("PING")
    equal(client.call("SLOWLOG", "LEN"), 0, "nothing is kept")


@case()
def what_takes_long_is_an_event(t):
    server = t.start("--latency-monitor-threshold", "100")
    client = t.resp(server)
    equal(client.call("LATENCY", "LATEST"), [], "at the start")
    client.call("DEBUG", "SLEEP", "0.2")
    (name, when, latest, longest), = client.call("LATENCY", "LATEST")
    equal(name, b"command", "LATENCY LATEST")
    true(abs(when - time.time()) < 30 and 200 <= latest == longest < 5000, (when, latest, longest))
    equal(client.call("LATENCY", "HISTORY", "command"), [[when, latest]], "LATENCY HISTORY")
    true(b"all time high %d ms" % longest in client.call("LATENCY", "GRAPH", "command"), "GRAPH")
    true(b"1. command: 1 latency spikes" in client.call("LATENCY", "DOCTOR"), "LATENCY DOCTOR")
    equal(client.call("LATENCY", "RESET"), 1, "LATENCY RESET")
    client.call("CONFIG", "SET", "latency-monitor-threshold", 0)
    client.call("DEBUG", "SLEEP", "0.2")
    equal(client.call("LATENCY", "LATEST"), [], "nothing is kept")


@case()
def transactions_are_of_one_moment(t):
    """Two counters that are only ever raised together are never seen apart, over three workers."""
    server = t.start("--threads", "3")
    writers = [t.own(talk.Resp(server.resp_port)) for _ in range(4)]
    reader = t.own(talk.Resp(server.resp_port))
    raised = b"".join(talk.command(*words) for words in (
        ("MULTI",), ("INCR", "one"), ("INCRBY", "two", 1), ("INCR", "three"), ("EXEC",)))
    rounds = 400 // SCALE
    for writer in writers:
        writer.send(raised * rounds)
    for _ in range(200 // SCALE):
        reader.send(talk.command("MULTI") + talk.command("GET", "three") +
                    talk.command("GET", "one") + talk.command("GET", "two") + talk.command("EXEC"))
        replies = [reader.reply() for _ in range(5)]
        true(len(set(replies[4])) == 1, "seen apart: %r" % replies[4])
    for writer in writers:
        for _ in range(rounds):
            replies = [writer.reply() for _ in range(5)]
            true(len(set(replies[4])) == 1, "raised apart: %r" % replies[4])
    equal(reader.call("MGET", "one", "two", "three"), [b"%d" % (4 * rounds)] * 3, "in the end")


@case()
def watches_guard_against_other_workers(t):
    """Optimistic locking as clients do it: no increment is lost, though all take turns at it."""
    server = t.start("--threads", "3")
    clients = [t.own(talk.Resp(server.resp_port)) for _ in range(6)]
    clients[0].call("SET", "n", 0)
    done, failed = 0, 0
    for _ in range(150 // SCALE):
        for client in clients:
            client.send(talk.command("WATCH", "n") + talk.command("GET", "n"))
        values = [(client.reply(), client.reply())[1] for client in clients]
        for client, value in zip(clients, values):
            client.send(talk.command("MULTI") + talk.command("SET", "n", int(value) + 1) +
                        talk.command("EXEC"))
        for client in clients:
            result = [client.reply() for _ in range(3)][2]
            done += result is not None
            failed += result is None
    equal(int(clients[0].call("GET", "n")), done, "increments, %d of them refused" % failed)
    true(done >= 150 // SCALE and failed > 0, "%d done, %d refused" % (done, failed))


def clients_of(client, *words):
    text = client.call("CLIENT", "LIST", *words).decode()
    return [dict(field.split("=", 1) for field in line.split(" ")) for line in text.splitlines()]


@case()
def clients_see_each_other(t):
    """CLIENT LIST and KILL over all workers."""
    server = t.start("--threads", "3")
    clients = [t.own(talk.Resp(server.resp_port)) for _ in range(7)]
    ids = [client.call("CLIENT", "ID") for client in clients]
    for number, client in enumerate(clients):
        client.call("CLIENT", "SETNAME", "name%d" % number)
    clients[1].call("SELECT", 5)
    clients[2].call("MULTI")
    clients[2].call("GET", "k")
    rows = {int(row["id"]): row for row in clients_of(clients[0])}
    equal(sorted(rows), sorted(ids), "ids in CLIENT LIST")
    equal([rows[i]["name"] for i in ids], ["name%d" % n for n in range(7)], "names")
    equal(rows[ids[1]]["db"], "5", "db")
    equal((rows[ids[2]]["flags"], rows[ids[2]]["multi"]), ("x", "1"), "in MULTI")
    equal((rows[ids[0]]["cmd"], rows[ids[3]]["cmd"]), ("client|list", "client|setname"), "cmd")
    equal(len(clients_of(clients[0], "ID", ids[3], ids[4], 99999)), 2, "CLIENT LIST ID")
    equal(clients[0].call("CLIENT", "KILL", "ID", ids[3]), 1, "CLIENT KILL ID")
    equal(clients[0].call("CLIENT", "KILL", rows[ids[4]]["addr"]), "OK", "CLIENT KILL address")
    for number in (3, 4):
        true(clients[number].until_closed() == b"", "client %d is closed" % number)
    equal(clients[0].call("CLIENT", "KILL", "TYPE", "normal"), 4, "CLIENT KILL TYPE skips itself")
    equal(clients[0].call("PING"), "PONG", "the one that stays")
    equal(clients[0].call("CLIENT", "KILL", "ID", ids[0], "SKIPME", "no"), 1, "itself")
    true(clients[0].until_closed() == b"", "it is closed after the reply")


@case()
def times_of_life_are_exact(t):
    client = t.resp()
    for words, pttl in ((("PEXPIRE", "k", 50000), 50000), (("EXPIRE", "k", 50), 50000),
                        (("PEXPIREAT", "k", int(time.time() * 1000) + 50000), 50000),
                        (("SET", "k", "v", "PX", 20000), 20000), (("PSETEX", "k", 9000, "v"), 9000),
                        (("GETEX", "k", "PX", 7000), 7000), (("SETEX", "k", 6, "v"), 6000)):
        client.call("SET", "k", "v")
        client.call(*words)
        left = client.call("PTTL", "k")
        true(pttl - 2000 < left <= pttl, "%r leaves PTTL %r" % (words, left))
    client.call("SET", "k", "v", "PX", 300)
    begin = time.monotonic()
    while client.call("EXISTS", "k"):
        time.sleep(0.005)
    took = time.monotonic() - begin
    true(0.28 < took < 1, "300 ms lasted %.3f s" % took)


@case()
def scan_finds_what_stays(t):
    """Keys that are there from first to last are given, while others come and go in masses."""
    client, chance = t.resp(), random.Random(7)
    stay = {b"stay:%d" % n for n in range(5000)}
    for key in stay:
        client.send(talk.command("SET", key, "v"))
    for _ in stay:
        client.reply()
    seen, cursor, calls, made = set(), 0, 0, 0
    while True:
        cursor, keys = client.call("SCAN", int(cursor), "COUNT", 100)
        seen.update(keys)
        calls += 1
        for _ in range(200):  # ten thousands of new keys in the first half, then gone
            made += 1
            client.send(talk.command("SET", "come:%d" % made, "v") if calls < 25 else
                        talk.command("DEL", *("come:%d" % chance.randrange(5000) for _ in "1234")))
        for _ in range(200):
            client.reply()
        if int(cursor) == 0:
            break
        true(calls < 5000, "SCAN does not come to an end")
    equal(len(stay - seen), 0, "keys that SCAN left out")
    found, cursor = [], 0
    while True:
        cursor, keys = client.call("SCAN", int(cursor), "MATCH", "stay:1*", "COUNT", 1000)
        found += keys
        if int(cursor) == 0:
            break
    equal(set(found), {k for k in stay if k.startswith(b"stay:1")}, "SCAN MATCH")
    equal(sorted(client.call("KEYS", "stay:*")), sorted(stay), "KEYS")


@case()
def large_values_pass(t):
    client, plain = t.resp(), t.memcached()
    chance = random.Random(3)
    for size in (65535, 65536, 65537, 1 << 20, 5000001, 64 << 20):
        value = chance.randbytes(size)
        equal(client.call("SET", "large", value), "OK", "SET of %d bytes" % size)
        true(client.call("GET", "large") == value, "GET of %d bytes" % size)
        equal(client.call("APPEND", "large", "tail"), size + 4, "APPEND to %d bytes" % size)
        true(client.call("GET", "large") == value + b"tail", "GET after APPEND")
    value = chance.randbytes(1000000)
    equal(plain.ask("set large 5 0 %d" % len(value), value), b"STORED", "memcached's set")
    true(plain.get("large")[:2] == (5, value), "memcached's get")


@case()
def cas_is_unique_to_a_value(t):
    client = t.memcached()
    client.ask("set k 0 0 1", "a")
    first = client.get("k", "gets")[2]
    equal(client.get("k", "gets")[2], first, "the number stays while the value does")
    equal(client.ask("cas k 0 0 1 %d" % (first + 1000), "x"), b"EXISTS", "a wrong number")
    equal(client.ask("cas k 3 0 1 %d" % first, "b"), b"STORED", "the right number")
    equal(client.ask("cas k 0 0 1 %d" % first, "c"), b"EXISTS", "a used number")
    seen = {first}
    for line, value in (("set k 0 0 1", "1"), ("incr k 1", None), ("append k 0 0 1", "1"),
                        ("prepend k 0 0 1", "1"), ("decr k 1", None), ("replace k 0 0 1", "9")):
        client.ask(line, value)
        number = client.get("k", "gets")[2]
        true(number not in seen, "%s keeps the number" % line)
        seen.add(number)
    number = client.get("k", "gets")[2]
    equal(t.resp().call("APPEND", "k", "x"), 2, "a change through RESP")
    equal(client.ask("cas k 0 0 1 %d" % number, "z"), b"EXISTS", "the number from before it")


@case()
def memcached_stats_count(t):
    client = t.memcached()
    client.ask("set k 0 0 1", "v")
    client.get("k")
    client.get("nothing")
    client.ask("delete nothing")
    stats = client.stats()
    equal(int(stats["pid"]), t.server.pid, "pid")
    for name, count in (("cmd_set", 1), ("cmd_get", 2), ("get_hits", 1), ("get_misses", 1),
                        ("delete_misses", 1), ("curr_items", 1), ("cas_misses", 0),
                        ("cas_hits", 0), ("cas_badval", 0)):
        equal(int(stats[name]), count, "STAT " + name)
    for name in ("uptime", "time", "version", "pointer_size", "curr_connections", "bytes",
                 "limit_maxbytes", "threads", "total_connections", "evictions", "bytes_read",
                 "bytes_written", "total_items", "cmd_flush", "cmd_touch"):
        true(name in stats, "stats lacks " + name)
    true(re.match(rb"VERSION \d+\.\d+\.\d+$", client.ask("version")), "version")


@case()
def memcached_sees_all_connections(t):
    server = t.start("--threads", "3")
    clients = [t.memcached(server) for _ in range(6)]
    for client in clients:
        client.ask("mn")
    t.resp(server).call("PING")
    clients[1].send(b"set half 0 0 10\r\nabc")
    waits = lambda: sorted(v for k, v in clients[0].stats("conns").items() if k.endswith(":state"))
    within(10, lambda: waits() == ["conn_nread"] + ["conn_parse_cmd"] + ["conn_read"] * 4, "states")
    conns = clients[0].stats("conns")
    mine = {"tcp:%s:%d" % client.socket.getsockname()[:2] for client in clients}
    equal({v for k, v in conns.items() if k.endswith(":addr")}, mine, "their addresses")
    equal({v for k, v in conns.items() if k.endswith(":listen_addr")},
          {"tcp:127.0.0.1:%d" % server.memcached_port}, "where they came in")
    equal({v for k, v in conns.items() if k.endswith(":secs_since_last_cmd")} - set("0123456789"),
          set(), "idle seconds")
    equal(t.resp(server).call("CLIENT", "LIST").count(b"\n"), 2, "of them in CLIENT LIST")


@case()
def a_refused_value_may_come_later(t):
    """Behind a command that itself came in two parts."""
    client, value = t.memcached(), b"v" * 50000
    for line, answer in ((b"ms k 3 z", b"CLIENT_ERROR invalid flag"),
                         (b"set k 0 0 %d" % (600 * MIB), b"SERVER_ERROR object too large for cache")):
        client.send(b"set a 0 0 50000\r\n" + value[:25000])
        time.sleep(0.05)
        client.send(value[25000:] + b"\r\n" + line + b"\r\n")
        equal(client.line(), b"STORED", "the command before")
        equal(client.line(), answer, "the refused one")
        if b"ms" in line:
            client.send(b"mn\n\r\nmn\r\n")
            equal(client.line(), b"MN", "the command behind it")


@case()
def a_dump_waits_for_its_reader(t):
    """Others are served, and no more is in memory than the reader takes; keys that stay are given
    once, however the rest changes; commands behind it are run after it."""
    count = 30000 // SCALE
    client = t.resp()
    for number in range(count):
        client.send(talk.command("SET", "key:%d:%s" % (number, "x" * 150), "v"))
    for _ in range(count):
        client.reply()
    reader = t.own(talk.Memcached(t.server.memcached_port, receive_bytes=4096))
    rss = t.server.rss()
    reader.send(b"lru_crawler metadump all\r\nmn\r\nversion\r\n")
    other = t.memcached()
    for number in range(500):
        equal(other.ask("set other:%d 0 0 1" % number, "x"), b"STORED", "a set meanwhile")
    true(t.server.rss() - rss < 4 * MIB or not RSS_COUNTS, "a dump held in memory")
    text = reader.until(b"END\r\n")
    seen = re.findall(rb"^key=key%3A(\d+)%3Ax+ exp=-1 la=\d+ cas=0 fetch=no cls=\d+ size=\d+$", text,
                      re.MULTILINE)
    equal(len(seen), count, "lines")
    equal(len(set(seen)), count, "keys")
    equal(reader.line(), b"MN", "the command behind it")
    true(reader.line().startswith(b"VERSION"), "and the next")
    reader.send(b"lru_crawler mgdump hash\r\n")
    other.ask("mn")
    reader.vanish()
    again = t.memcached()
    again.send(b"lru_crawler mgdump all\r\n" * 3)
    for _ in range(3):
        true(again.until(b"\r\nEN\r\n").count(b"\r\n") > count, "mgdump")
    t.memcached().send(b"lru_crawler metadump all\r\n")  # under way when the server ends


@case()
def readme_lists_the_commands(t):
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    with open(os.path.join(root, "README.md"), encoding="utf-8") as file:
        rows = re.search(r"<!-- commands:.*?-->\n\n(.*?)\n\n", file.read(), re.DOTALL).group(1)
    listed = [word.lower() for row in rows.split("\n") if not row.startswith("- memcached")
              for word in row.split(": ")[1].split()]
    known = [name.decode() for name in t.resp().call("COMMAND", "LIST") if b"|" not in name]
    equal(sorted(listed), sorted(known), "the commands in README.md")
