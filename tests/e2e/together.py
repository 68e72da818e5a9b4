# SPDX-License-Identifier: MIT
"""Many connections that have something to say at the same moment: their commands are run together,
and each still gets what it asked for, in order, whatever the others do."""

import random

import talk
from case import MIB, case, equal, true

CONNECTIONS = 50


def held_up(t, server, send):
    """Calls send() while the only worker sleeps, so that all of it is there when it wakes up."""
    sleeper = t.resp(server)
    sleeper.send(talk.command("DEBUG", "SLEEP", "0.3"))
    send()
    equal(sleeper.reply(), "OK", "it woke up")


@case()
def each_is_answered_what_it_asked(t):
    server = t.start("--threads=1")
    wires = [t.resp(server) for _ in range(CONNECTIONS)]
    for number in range(CONNECTIONS):
        wires[0].call("SET", "key%d" % number, "value%d" % number)
    for depth in (1, 3, 8, 40):
        def send(depth=depth):
            for number, wire in enumerate(wires):
                wire.send(b"".join(
                    talk.command("APPEND", "mine%d" % number, "x") if step % 3 == 2 else
                    talk.command("GET", "key%d" % ((number + step) % CONNECTIONS))
                    for step in range(depth)))
        before = [wires[0].call("STRLEN", "mine%d" % n) for n in range(CONNECTIONS)]
        held_up(t, server, send)
        for number, wire in enumerate(wires):
            appended = before[number]
            for step in range(depth):
                if step % 3 == 2:
                    appended += 1
                    equal(wire.reply(), appended, "what %d appended" % number)
                else:
                    equal(wire.reply(), b"value%d" % ((number + step) % CONNECTIONS),
                          "what %d asked for" % number)


@case()
def both_protocols_take_turns(t):
    server = t.start("--threads=1")
    redis = [t.resp(server) for _ in range(20)]
    memcached = [t.memcached(server) for _ in range(20)]
    redis[0].call("SET", "k", "one")

    def send():
        for number in range(20):
            redis[number].send(talk.command("SET", "r%d" % number, "of redis"))
            memcached[number].send(b"set m%d 0 0 12\r\nof memcached\r\nget k\r\n" % number)
            redis[number].send(talk.command("GET", "k"))
    held_up(t, server, send)
    for number in range(20):
        equal(redis[number].reply(), "OK", "stored")
        equal(redis[number].reply(), b"one", "read")
        equal(memcached[number].line(), b"STORED", "stored")
        equal(memcached[number].until(b"END\r\n"), b"VALUE k 0 3\r\none\r\nEND\r\n", "read")
        equal(redis[0].call("GET", "m%d" % number), b"of memcached", "there")
        equal(redis[0].call("GET", "r%d" % number), b"of redis", "there")


class Odd:
    """What one of many does: bytes, and a look at what comes back."""

    def __init__(self, data, look):
        self.data, self.look = data, look


def odd_ones(value):
    many = [b"many%d" % n for n in range(40)]
    command, crlf = talk.command, b"\r\n"

    def replies(*wanted):
        return lambda wire: [equal(wire.reply(), one, "reply") for one in wanted]

    def closes(data):
        return lambda wire: equal(wire.until_closed(), data, "all it says")
    return (
        Odd(command("GET", "k"), replies(b"v")),
        Odd(command("SELECT", "1") + command("GET", "k") + command("SELECT", "0") +
            command("GET", "k"), replies("OK", b"other", "OK", b"v")),
        Odd(command("MULTI") + command("GET", "k") + command("INCR", "n") + command("EXEC"), None),
        Odd(command("GET", "long"), replies(value)),
        Odd(command("GET", "k") + command("GET", "long") + command("GET", "k"),
            replies(b"v", value, b"v")),
        Odd(command("MGET", *many), replies([b"m" * 10000] * 40)),
        Odd(command("GET", "k") + command("QUIT") + command("GET", "k"), closes(b"$1\r\nv\r\n+OK\r\n")),
        Odd(b"*1\r\n:4\r\n", closes(b"-ERR Protocol error: expected '$', got ':'\r\n")),
        Odd(command("GET", "k") + b"*x" + crlf, closes(
            b"$1\r\nv\r\n-ERR Protocol error: invalid multibulk length\r\n")),
        Odd(b"PING\r\nECHO \"a b\"\r\n", replies("PONG", b"a b")),
        Odd(command("NOTHING"), lambda wire: true("unknown command" in wire.reply(), "refused")),
        Odd(command("CLIENT", "REPLY", "SKIP") + command("GET", "k") + command("GET", "k"),
            replies(b"v")),
        Odd(command("SET", "big%d" % len(value), b"y" * 3000), replies("OK")),
        Odd(command("SET", "bigger", b"y" * 30000), replies("OK")),
    )


@case(limit=60)
def whatever_the_others_do(t):
    server, chance = t.start("--threads=1"), random.Random(7)
    setup, value = t.resp(server), random.Random(1).randbytes(200000)
    setup.call("SET", "k", "v")
    setup.call("SET", "long", value)
    for n in range(40):
        setup.call("SET", "many%d" % n, b"m" * 10000)
    setup.call("SELECT", "1")
    setup.call("SET", "k", "other")
    odd = odd_ones(value)
    for _ in range(6):
        chosen = [(t.resp(server), chance.choice(odd)) for _ in range(CONNECTIONS)]
        cut = [(t.resp(server), chance.choice(odd[:3])) for _ in range(5)]

        def send():
            for wire, one in chosen:
                wire.send(one.data)
            for wire, one in cut:
                wire.send(one.data[:-3])
        held_up(t, server, send)
        for wire, one in cut:
            wire.send(one.data[-3:])
        for wire, one in chosen + cut:
            if one.look:
                one.look(wire)
                continue
            equal([wire.reply() for _ in range(3)], ["OK", "QUEUED", "QUEUED"], "queued")
            equal(wire.reply()[0], b"v", "of the transaction")
        for wire, _ in chosen + cut:
            wire.close()


@case(limit=60)
def who_goes_takes_nobody_along(t):
    server = t.start("--threads=1")
    wires = [t.resp(server) for _ in range(CONNECTIONS)]
    setup = t.resp(server)
    setup.call("SET", "k", "v")
    setup.call("SET", "long", b"l" * (2 * MIB))
    slow = [t.resp(server, receive_bytes=65536) for _ in range(4)]
    victim = wires[7].call("CLIENT", "ID")

    def send():
        for number, wire in enumerate(wires):
            wire.send(talk.command("CLIENT", "KILL", "ID", victim) if number == 20 else
                      talk.command("GET", "k"))
            if number % 10 == 3:
                slow[number // 10 % 4].send(talk.command("GET", "long"))
            if number % 10 == 5:
                wire.vanish()
    held_up(t, server, send)
    for number, wire in enumerate(wires):
        if number % 10 == 5 or number == 7:
            continue
        equal(wire.reply(), 1 if number == 20 else b"v", "for number %d" % number)
    for wire in slow:
        equal(wire.reply(), b"l" * (2 * MIB), "a slow one")


@case()
def replies_of_others_count_for_nobodys_limit(t):
    server = t.start("--threads=1", "--client-output-limit=1mb")
    wires = [t.resp(server) for _ in range(30)]
    keys = [b"key%d" % n for n in range(15)]
    for key in keys:
        wires[0].call("SET", key, b"z" * 15000)  # short enough to be copied into the replies

    def send():
        for wire in wires:
            wire.send(talk.command("MGET", *keys))
    held_up(t, server, send)
    for wire in wires:
        equal(wire.reply(), [b"z" * 15000] * 15, "each within its own")


@case()
def who_says_much_takes_turns_with_the_others(t):
    server = t.start("--threads=1")
    much, other = t.resp(server), t.resp(server)
    request = talk.command("ECHO", "x" * 1000)
    count = 600  # 600 KB, nearly ten times what is read at once

    def turns():
        return server.metrics().one("ebb_loop_stall_seconds_count")
    held_up(t, server, lambda: much.send(request * count))
    for _ in range(count):
        equal(much.reply(), b"x" * 1000, "its own")
    before = turns()
    held_up(t, server, lambda: (much.send(request * count), other.send(talk.command("PING"))))
    equal(other.reply(), "PONG", "the other's")
    for _ in range(count):
        equal(much.reply(), b"x" * 1000, "its own")
    true(turns() - before >= 8, "it has been served in %d turns" % (turns() - before))
