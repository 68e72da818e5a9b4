# SPDX-License-Identifier: MIT
"""Values of 16 KiB and more are sent from where they lie. Whatever becomes of them meanwhile, every
byte is of one moment; and a client that does not read holds nothing that it does not pay for.

A value here is a token of 16 bytes again and again, another one each time it is written: bytes of
two values in one reply are seen.
"""

import os
import random
import select
import threading
import time

import talk
from case import MIB, RSS_COUNTS, SCALE, SLOW_FACTOR, case, equal, true, within

TOKEN_BYTES = 16
SIZES = (MIB, 300 * 1024, 40000, 20 * 1024)


def token(number):
    return b"<%014d>" % number


def value(number, size):
    return token(number) * (size // TOKEN_BYTES)


def is_value(data):
    return data == data[:TOKEN_BYTES] * (len(data) // TOKEN_BYTES)


def holds_no_pin(metrics, what):
    equal(metrics.one("ebb_pinned_bytes"), 0, "pinned bytes " + what)
    equal(metrics.one("ebb_pinned_spans"), 0, "pinned spans " + what)


class Churn:
    """Another client that writes, deletes, flushes and compacts until it is closed."""

    def __init__(self, t, keys):
        self.client, self.keys, self.ends, self.wrong = t.resp(), keys, False, None
        self.writes = 0
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _step(self, dice):
        key = random.choice(self.keys)
        if dice == 0:
            return ("FLUSHALL",)
        if dice < 150:
            self.writes += 1
            size = SIZES[self.writes % len(SIZES)]
            return "SET", key, value(self.writes, size)
        return (("DEL", key), ("PEXPIRE", key, 20), ("PERSIST", key), ("APPEND", key, b""),
                ("GETEX", key, "EX", 100), ("RENAME", key, random.choice(self.keys)),
                ("COPY", key, random.choice(self.keys), "REPLACE"),
                ("MEMORY", "PURGE"))[dice % 8]

    def _run(self):
        try:
            while not self.ends:
                self.client.call(*self._step(random.randrange(200)))
        except Exception as error:  # told by close(), on the test's own thread
            self.wrong = error

    def close(self):
        self.ends = True
        self.thread.join()
        if self.wrong:
            raise self.wrong


class Reader:
    """A client that asks for long values in pipelines, and takes them in pieces of its own size."""

    def __init__(self, t, number, keys, rounds):
        window = 65536 if number % 3 == 0 else None
        self.wire = t.resp(receive_bytes=window)
        self.wire.socket.setblocking(False)
        self.piece = (4096, 65536, 1 << 20)[number % 3]
        self.keys, self.rounds, self.open, self.values = keys, rounds, 0, 0

    def ask(self):
        key = random.choice(self.keys)
        request = [talk.command("GET", key), talk.command("PING"),
                   talk.command("MGET", *random.sample(self.keys, 8)),
                   talk.command("GETRANGE", key, 0, 32767)]
        self.wire.socket.send(b"".join(request))
        self.open = len(request)
        self.rounds -= 1

    def take(self):
        """What has come; true while there is something to come."""
        data = self.wire.socket.recv(self.piece)
        true(data, "the server has closed a connection")
        self.wire.buffer += data
        while self.open > 0:
            end = talk.value_end(self.wire.buffer)
            if end < 0:
                return True
            reply = talk.decode(self.wire.take(end))
            for part in reply if isinstance(reply, list) else [reply]:
                if part is not None and part != "PONG":
                    true(is_value(part), "a reply of %d bytes is of two values" % len(part))
                    self.values += 1
            self.open -= 1
        if self.rounds > 0:
            self.ask()
        return self.open > 0


@case(limit=120)
def every_byte_comes_to_fifty_clients(t):
    server = t.start("--threads=4")
    keys = ["value:%d" % n for n in range(24)]
    writer = t.resp(server)
    t._server = server
    for number, key in enumerate(keys):
        writer.call("SET", key, value(10**9 + number, MIB))
    churns = [t.own(Churn(t, keys)) for _ in range(2)]
    readers = [Reader(t, n, keys, max(2, 12 // SCALE)) for n in range(50)]
    waiting = {reader.wire.socket.fileno(): reader for reader in readers}
    poll = select.poll()
    for number, reader in waiting.items():
        poll.register(number, select.POLLIN)
        reader.ask()
    while waiting:
        events = poll.poll(30000)
        true(events, "%d clients wait for bytes" % len(waiting))
        for number, _ in events:
            if not waiting[number].take():
                poll.unregister(number)
                del waiting[number]
    for churn in churns:
        churn.close()
    metrics = server.metrics()
    holds_no_pin(metrics, "at rest")
    true(metrics.one("ebb_long_values_sent_total", how="in_place") > 0, "none was sent in place")
    t.measured("%d values came whole while %d were written; %d of %d KiB copied after all" % (
        sum(r.values for r in readers), sum(c.writes for c in churns),
        metrics.one("ebb_sent_in_place_copied_bytes_total") // 1024,
        metrics.one("ebb_sent_in_place_bytes_total") // 1024))


@case(limit=60)
def a_slow_reader_pays_for_what_it_alone_wants(t):
    client, size = t.resp(), 24 * MIB
    client.call("SET", "long", value(1, size))
    client.call("SET", "short", value(2, 20 * 1024))
    slow = t.resp(receive_bytes=65536)
    slow.send(talk.command("GET", "short") + talk.command("GET", "long") +
              talk.command("GET", "short"))
    within(5, lambda: t.server.metrics().one("ebb_pinned_bytes") >= size, "the value is not held")
    time.sleep(1.5)
    metrics = t.server.metrics()
    true(metrics.one("ebb_memory_clients_bytes") < MIB, "it is counted while its key has it")
    equal(metrics.one("ebb_pinned_spans"), 1, "spans that can't move")
    client.call("FLUSHALL")
    equal(client.call("DBSIZE"), 0, "keys")
    within(5, lambda: t.server.metrics().one("ebb_memory_clients_bytes") >= size,
           "it is not counted when no key has it")
    client.call("SET", "long", value(3, size))
    equal(slow.reply(), value(2, 20 * 1024), "the first value")
    true(slow.reply() == value(1, size), "the long value came otherwise than it was")
    equal(slow.reply(), None, "what was asked for last, when all had been deleted")
    within(5, lambda: t.server.metrics().one("ebb_memory_clients_bytes") < size // 2,
           "it is counted still")
    holds_no_pin(t.server.metrics(), "when all has been sent")


@case(limit=60)
def parts_of_one_value_wait_together(t):
    """The whole of it and parts that overlap, long and short, for a client that is slow to read."""
    path, size = os.path.join(t.folder, "socket"), 250000
    server, whole = t.start("--unixsocket=" + path), value(5, size)
    t.resp(server).call("SET", "long", whole)
    parts = {"G": (0, size), "s": (100, 20099), "l": (20000, 150000), "p": None}
    for order in ("Gsp", "sGp", "GlGp", "lGlsp", "slslGp", "GGsp"):
        slow = t.own(talk.Resp(0, path=path))  # takes little before it reads
        slow.send(b"".join(talk.command("PING") if name == "p" else talk.command(
            "GETRANGE", "long", parts[name][0], parts[name][1] - 1) for name in order))
        time.sleep(0.2)
        for name in order:
            expected = "PONG" if name == "p" else whole[parts[name][0]:parts[name][1]]
            true(slow.reply() == expected, "%s of %s came otherwise than it was" % (name, order))
        slow.close()
    holds_no_pin(server.metrics(), "when all has been sent")


@case(limit=60)
def readers_of_large_values_are_not_closed(t):
    """A dozen at once, slow ones among them: together far more than maxmemory-clients."""
    server, size, count = t.start("--maxmemory=%dmb" % (128 if RSS_COUNTS else 1024)), 10 * MIB, 12
    client = t.resp(server)
    for number in range(4):
        equal(client.call("SET", "k%d" % number, value(number, size)), "OK", "SET")
    readers = [t.resp(server, receive_bytes=65536) for _ in range(count)]
    for reader in readers:
        reader.send(b"".join(talk.command("GET", "k%d" % n) for n in range(4)))
    time.sleep(1.5)
    for number in range(4):
        for reader in readers:
            true(reader.reply() == value(number, size), "a value came otherwise than it was")
    metrics = server.metrics()
    equal(metrics.one("ebb_connections_closed_total", reason="clients_limit"), 0, "closed")
    equal(metrics.sum("ebb_evictions_total"), 0, "evicted")
    holds_no_pin(metrics, "when all has been sent")


@case(limit=60)
def long_values_count_for_the_limit_of_a_client(t):
    server = t.start("--client-output-limit=4mb")
    client = t.resp(server)
    for number in range(5):
        client.call("SET", "k%d" % number, value(number, MIB))
    reply = client.call("MGET", "k0", "k1", "k2")
    true(reply == [value(n, MIB) for n in range(3)], "three of them are within it")
    client.send(talk.command("MGET", "k0", "k1", "k2", "k3", "k4"))
    equal(client.until_closed(), b"", "five are not")
    metrics = server.metrics()
    equal(metrics.one("ebb_connections_closed_total", reason="buffer_limit"), 1, "closed")
    holds_no_pin(metrics, "after that")
    mc = t.memcached(server)
    mc.send(b"get k0 k1 k2 k3 k4\r\n")
    equal(mc.until_closed(), b"", "the same through memcached")


@case(limit=60)
def clients_that_go_while_they_are_sent_values(t):
    client, size = t.resp(), 8 * MIB
    client.call("SET", "long", value(1, size))
    request = talk.command("GET", "long") * 4
    going = [t.resp(receive_bytes=65536) for _ in range(9)]
    for number, wire in enumerate(going):
        wire.send(request if number % 3 else talk.command("CLIENT", "SETNAME", "x") + request)
        wire.fill()
    for wire in going[::2]:
        wire.vanish()
    equal(client.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes") > 0, True, "some killed")
    client.call("DEL", "long")
    within(10, lambda: t.server.metrics().one("ebb_connections", protocol="resp") == 1,
           "they are still connected")
    within(10, lambda: t.server.metrics().one("ebb_memory_clients_bytes") < 4 * MIB,
           "their buffers stay")
    holds_no_pin(t.server.metrics(), "when they are gone")


@case(limit=60)
def memory_that_long_commands_came_in_with_is_given_back(t):
    client, other = t.resp(), t.resp()
    for number in range(6):
        client.call("SET", "k%d" % number, value(number, (1 + number % 3) * MIB))
    for number in range(6):
        equal(client.call("GET", "k%d" % number), value(number, (1 + number % 3) * MIB), "as sent")

    def is_given_back():
        other.call("PING")  # the worker never rests
        return t.server.metrics().one("ebb_memory_clients_bytes") < MIB // 2
    within(10, is_given_back, "it stays while others are served")


@case(limit=60)
def the_server_ends_while_it_sends_values(t):
    client, size = t.resp(), 4 * MIB
    client.call("SET", "long", value(1, size))
    for _ in range(5):
        t.resp(receive_bytes=65536).send(talk.command("GET", "long") * 4)
    time.sleep(0.1 * SLOW_FACTOR)
    t.server.stop()


@case(limit=60)
def memcached_clients_get_long_values_in_order(t):
    client, wanted = t.memcached(), []
    t.resp().call("SET", "long", value(1, 200 * 1024))
    t.resp().call("SET", "short", "1")
    long, short = value(1, 200 * 1024), b"1"
    request = []
    for _ in range(20):
        request.append(b"get long short none\r\nmg long s v\r\nmg none q v\r\nmg short v q\r\n"
                       b"gat 1000 long\r\nmn\r\n")
        wanted.append(b"VALUE long 0 %d\r\n%b\r\nVALUE short 0 1\r\n%b\r\nEND\r\n" %
                      (len(long), long, short))
        wanted.append(b"VA %d s%d\r\n%b\r\nVA 1\r\n%b\r\n" % (len(long), len(long), long, short))
        wanted.append(b"VALUE long 0 %d\r\n%b\r\nEND\r\nMN\r\n" % (len(long), long))
    wanted = b"".join(wanted)
    true(client.exchange(b"".join(request), len(wanted)) == wanted, "other bytes came")
