# SPDX-License-Identifier: MIT
"""Clients that break off, send rubbish, creep or do not read: each gets its protocol's own error
or a clean close, everybody else is served meanwhile, and the memory that it took comes back."""

import random
import select
import socket
import struct
import time

import ebb
import talk
from case import MIB, RSS_COUNTS, SCALE, SLOW_FACTOR, Failed, case, equal, mib, shown, true, within
from neighbour import Watch


def outcome(port, data, seconds=10):
    """Sends, hangs up half-way, and returns all that the server says before it hangs up too."""
    wire = talk.Wire(port)
    try:
        try:
            wire.send(data)
            wire.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # closed already
        return wire.until_closed(seconds * SLOW_FACTOR)
    finally:
        wire.close()


ERROR = b"-ERR Protocol error: "
RESP_RUBBISH = (  # what is sent, and the answer; None: some error, or none
    (b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n", b""), (b"*3\r\n$3\r\nSE", b""), (b"*", b""),
    (b"", b""), (b"PING", b""), (b"*1\r\n$4\r\nPING\r", b""),
    (b"*1\r\n$4\r\nPING\r\n", b"+PONG\r\n"),
    (b"*1\r\n$1000000000000\r\nx", ERROR + b"invalid bulk length\r\n"),
    (b"*2\r\n$-2\r\n", ERROR + b"invalid bulk length\r\n"),
    (b"*-99999999999999999999\r\n", ERROR + b"invalid multibulk length\r\n"),
    (b"*1\r\n\x80\x00\xff\r\n", None), (b"\x00" * 100000, None), (b"\xff" * 100000, None),
    (b"x" * 100000, ERROR + b"too big inline request\r\n"),
    (b"*1\r\n$" + b"1" * 100000, ERROR + b"too big bulk count string\r\n"),
    (b"*" + b"1" * 100000, ERROR + b"too big mbulk count string\r\n"),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500), None),
    (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", None),
    (b"\x80\x00" + bytes(22), None))


@case()
def resp_rubbish_is_refused(t):
    watch = Watch(t)
    for data, wanted in (row for _ in watch.long_enough() for row in RESP_RUBBISH):
        said = outcome(t.server.resp_port, data)
        if wanted is None:
            true(said == b"" or said.endswith(b"\r\n") and (b"-ERR" in said or said[:1] in b"+$-"),
                 "%r is answered with %r" % (data[:40], said[:200]))
        else:
            equal(said, wanted, "the answer to %r" % data[:40])
    closed = t.server.metrics().sum("ebb_connections_closed_total", reason="error")
    true(closed >= 8, "only %d connections were closed for an error" % closed)
    watch.finish()


def binary_refusal(opcode, opaque):
    text = b"binary protocol not supported"
    return struct.pack(">BBHBBHI4s8x", 0x81, opcode, 0, 0, 0, 0x83, len(text), opaque) + text


MEMCACHED_RUBBISH = (
    (b"get", b""), (b"set k 0 0 100\r\nabc", b""), (b"", b""), (b"get k", b""),
    (b"set k 0 0 5\r\nhello\r", b""), (b"\xff\xfe\xfd\r\n", b"ERROR\r\n"),
    (b"set k 0 0 9999999999999999999999\r\n", None),
    (b"set k 0 0 4294967295\r\nx", None), (b"set k 0 0 2147483648\r\n", None),
    (b"\x00" * 50 + b"\r\n", b"ERROR\r\n"), (b"x" * 100000, None),
    (b"get " + b"k" * 100000 + b"\r\n", None), (b"get" + b" k" * 50000, None),
    (b"\x80\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01" + bytes(13),
     binary_refusal(0, bytes(4))),
    (b"\x80" * 100, binary_refusal(0x80, b"\x80" * 4)), (b"\x80" * 23, b""),
    (b"POST / HTTP/1.1\r\nHost: x\r\n\r\n", None))


@case()
def memcached_rubbish_is_refused(t):
    watch = Watch(t)
    known = (b"", b"ERROR", b"CLIENT_ERROR", b"SERVER_ERROR", b"END")
    for data, wanted in (row for _ in watch.long_enough() for row in MEMCACHED_RUBBISH):
        said = outcome(t.server.memcached_port, data)
        if wanted is None:
            lines = said.split(b"\r\n")
            true(lines[-1] == b"" and all(line.split(b" ")[0] in known for line in lines),
                 "%r is answered with %r" % (data[:40], said[:200]))
        else:
            equal(said, wanted, "the answer to %r" % data[:40])
    said = t.memcached().ask("set k 0 0 %d" % (600 << 20))
    equal(said, b"SERVER_ERROR object too large for cache", "a value of 600 MiB")
    watch.finish()


HOST = b"Host: x\r\n"
HTTP_RUBBISH = (  # what is sent, and the status; None: closed without an answer
    (b"", None), (b"GET", None), (b"GET /metrics HTTP/1.1\r\nHost: x\r\n", None),
    (b"nonsense\r\n\r\n", 400), (b"GET\r\n\r\n", 400), (b"\x00\x01\x02\r\n\r\n", 400),
    (b"\xff" * 5000, 400), (b"GET /\x00 HTTP/1.1\r\n\r\n", 400),
    (b"*1\r\n$4\r\nPING\r\n", 400),
    (b"GET /metrics HTTP/9.9\r\n" + HOST + b"\r\n", (400, 505)),
    (b"GET / HTTP/1.1\r\nbroken header\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nX: " + b"y" * 100000 + b"\r\n\r\n", 431),
    (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20000 + b"\r\n", 431),
    (b"GET /" + b"x" * 100000 + b" HTTP/1.1\r\n\r\n", (414, 431)),
    (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 99999999999\r\n\r\n", (405, 413)),
    (b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\nrubbish after it\x00\x01\r\n\r\n", 200),
    (b"NONSENSE / HTTP/1.1\r\n" + HOST + b"\r\n", (400, 405)),
    (b"GET http://elsewhere/ HTTP/1.1\r\n" + HOST + b"\r\n", (200, 400, 404)))


@case()
def http_rubbish_is_refused(t):
    watch = Watch(t)
    for data, status in (row for _ in watch.long_enough() for row in HTTP_RUBBISH):
        said = outcome(t.server.http_port, data)
        if status is None:
            equal(said, b"", "the answer to %r" % data[:60])
            continue
        wanted = status if isinstance(status, tuple) else (status,)
        true(said.startswith(b"HTTP/1.1 ") and int(said[9:12]) in wanted,
             "%r is answered with %r, wanted %r" % (data[:60], said[:100], wanted))
    equal(t.http("/healthz").status, 200, "/healthz afterwards")
    watch.finish()


@case()
def slow_bytes_make_commands(t):
    """A byte at a time is as good as all at once, on each port, and holds nobody up."""
    watch = Watch(t)
    wires = [t.resp(), t.memcached(), talk.Wire(t.server.http_port)]
    requests = [talk.command("SET", "slow", "a\r\nb") + b"GET slow\r\n" + talk.command("PING"),
                b"set crawl 5 0 3\r\nabc\r\ngets nothing\r\nget crawl\r\n",
                b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Y: z\r\n\r\nHEAD /readyz HTTP/1.1\r\n\r\n"]
    for at in range(max(map(len, requests))):
        for wire, request in zip(wires, requests):
            if at < len(request):
                wire.send(request[at:at + 1])
        time.sleep(0.002)
    equal(wires[0].exactly(22), b"+OK\r\n$4\r\na\r\nb\r\n+PONG\r\n", "RESP by bytes")
    equal(wires[1].exactly(40), b"STORED\r\nEND\r\nVALUE crawl 5 3\r\nabc\r\nEND\r\n",
          "memcached by bytes")
    equal((talk.read_http(wires[2]).status, talk.read_http(wires[2], "HEAD").status), (200, 200),
          "HTTP by bytes")
    for wire in wires:
        wire.close()
    watch.finish()


@case()
def promises_take_no_memory(t):
    """Lengths are believed when the bytes are there, not before."""
    watch = Watch(t)
    idle = t.server.rss()
    resp = [t.resp() for _ in range(200)]
    plain = [t.memcached() for _ in range(200)]
    for wire in resp[:100]:
        wire.send(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\nthe first bytes")
    for wire in resp[100:]:
        wire.send(b"*1048576\r\n$4\r\nMGET\r\n")
    for wire in plain:
        wire.send(b"set k 0 0 1000000\r\nthe first bytes")
    time.sleep(1)
    t.note("RSS %s, with 400 promises of 60 GB %s" % (mib(idle), mib(t.server.rss())))
    if RSS_COUNTS:
        true(t.server.rss() < idle + 8 * MIB, "promises cost %s" % mib(t.server.rss() - idle))
    for wire in resp + plain:
        wire.close()
    watch.finish()


@case()
def oversized_input_is_cut_off(t):
    server = t.start("--proto-max-bulk-len=1mb", "--client-query-buffer-limit=2mb")
    watch = Watch(t, server)
    said = outcome(server.resp_port, b"*2\r\n$3\r\nGET\r\n$1048577\r\n")
    equal(said, b"-ERR Protocol error: invalid bulk length\r\n", "a bulk over proto-max-bulk-len")
    client = t.resp(server)
    equal(client.call("SET", "k", "v" * 1000000), "OK", "a bulk below it")
    equal(client.call("APPEND", "k", "v" * 1000000)[:4], "ERR ", "a string grown over it")
    equal(client.call("STRLEN", "k"), 1000000, "the string after that")
    client.close()
    client = t.resp(server)
    try:
        client.send(b"*5\r\n" + talk.command("x" * 900000)[4:] * 4)
    except OSError:
        pass  # closed while we were sending
    true(client.is_closed(2 * SLOW_FACTOR), "a command over the query buffer keeps its connection")
    true(client.buffer[:4] in (b"", b"-ERR"), "over the query buffer: %r" % client.buffer[:99])
    client.close()
    closed = server.metrics().sum("ebb_connections_closed_total", reason="buffer_limit")
    true(closed >= 1, "nobody was closed for the buffer limit")
    plain = t.memcached(server)
    equal(plain.ask("set big 0 0 1048577"), b"SERVER_ERROR object too large for cache", "memcached")
    plain.send(b"x" * 1048577 + b"\r\nget big\r\n")
    equal(plain.line(), b"END", "the value is skipped")
    plain.close()
    watch.finish()


@case(limit=60)
def thousands_may_stop_half_way(t):
    count = min(4000 // SCALE, ebb.FILES[1] - 500)
    client = t.resp()
    equal(client.call("CONFIG", "SET", "http-maxclients", count), "OK", "room for all")
    client.close()
    watch = Watch(t)
    rss = t.server.rss()
    wires = []
    for number in range(count):
        kind = number % 4
        port = (t.server.resp_port, t.server.resp_port, t.server.memcached_port,
                t.server.http_port)[kind]
        wire = talk.Wire(port)
        wire.send((b"*2\r\n$3\r\nGET\r\n$10\r\nhal",
                   b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$300\r\n" + b"x" * 200,
                   b"set k 0 0 100\r\nhalf", b"GET /metrics HTTP/1.1\r\nHost")[kind])
        wires.append(wire)
    time.sleep(1.5)
    part = watch.memory()[0]
    t.note("%d half commands: RSS %s -> %s, part connections %s (%.0f bytes each)" %
           (count, mib(rss), mib(t.server.rss()), mib(part), (part - watch.before[0]) / count))
    true(t.server.metrics().sum("ebb_connections") >= count, "they are not all connected")
    for number, wire in enumerate(wires):
        wire.vanish() if number % 3 == 0 else wire.close()
    watch.finish()
    took = within(20, lambda: not RSS_COUNTS or t.server.rss() < rss + 2 * MIB,
                  "RSS does not come back from %s" % mib(t.server.rss()))
    t.note("RSS is back at %s after %.1f s" % (mib(t.server.rss()), took))


@case()
def vanished_clients_leave_nothing(t):
    watch = Watch(t)
    client = t.resp()
    client.call("SET", "large", bytes(MIB))
    client.close()
    resp, plain = t.server.resp_port, t.server.memcached_port
    mischief = ((resp, b"*3\r\n$3\r\nSET\r\n$5\r\nlarge\r\n$2000000\r\n" + bytes(100000)),
                (resp, b"GET large\r\n" * 5), (plain, b"get large\r\n" * 5),
                (plain, b"set large 0 0 1000000\r\n" + bytes(100000)))
    for number in range(400):
        port, data = mischief[number % 4]
        wire = talk.Wire(port)
        wire.send(data)
        if number % 3 == 0 and b"get" in data.lower():
            wire.exactly(1000)  # gone in the midst of a reply
        wire.vanish()
    client = t.resp()
    equal(client.call("STRLEN", "large"), MIB, "the value that was never replaced")
    client.close()
    watch.finish()


PAGES = ((b"/healthz", 200, b"text/plain"), (b"/metrics", 200, b"text/plain"),
         (b"/api/classes", 200, b"application/json"), (b"/nowhere", 404, b"text/plain"),
         (b"/page.css", 200, b"text/css"))


def pages(count):
    """Requests for so many pages in one go, compressed where the server does that itself."""
    return b"".join(b"GET %b HTTP/1.1\r\nAccept-Encoding: gzip\r\n\r\n" %
                    PAGES[n % len(PAGES)][0] for n in range(count))


def expect_pages(wire, count):
    for number in range(count):
        path, status, kind = PAGES[number % len(PAGES)]
        reply = talk.read_http(wire)
        got = reply.status, reply.headers["content-type"].encode().split(b";")[0]
        equal(got, (status, kind), "answer %d, to %s" % (number, path.decode()))


@case(limit=60)
def pipelined_pages_come_in_order(t):
    """To who hangs up half-way, to who reads slowly; and whoever is gone leaves nothing."""
    watch, count = Watch(t), 500 // SCALE
    wires = [talk.Wire(t.server.http_port, receive_bytes=8192 if n % 2 else None) for n in range(6)]
    for wire in wires:
        wire.send(pages(count))
    for wire in wires[:3]:
        wire.socket.shutdown(socket.SHUT_WR)
    for number in range(40):
        wire = talk.Wire(t.server.http_port)
        wire.send(pages(count))
        if number % 2:
            wire.exactly(1000)
        wire.vanish() if number % 4 < 2 else wire.close()
    for wire in wires:
        expect_pages(wire, count)
    for wire in wires[:3]:
        equal(wire.until_closed(), b"", "behind the last page")
    for wire in wires[3:]:
        wire.send(pages(5))
        expect_pages(wire, 5)
        wire.close()
    within(10, lambda: t.server.metrics().one("ebb_connections", protocol="http") == 1,
           "connections are left")
    watch.finish()


@case(limit=60)
def pages_that_nobody_reads_go_for_others(t):
    """Clients whose requests wait for their turn are closed for what they hold, by and by all of
    them; and the server ends in the midst of it."""
    server, many = t.start("--maxmemory-clients=2mb"), b"GET /metrics HTTP/1.1\r\n\r\n" * 300
    wires = [talk.Wire(server.http_port, receive_bytes=8192) for _ in range(60)]
    for wire in wires:
        wire.send(many)
    closed = dict(reason="clients_limit")
    within(20, lambda: server.metrics().sum("ebb_connections_closed_total", **closed) >= 5,
           "nobody is closed")
    equal(talk.http(server.http_port, "/healthz").status, 200, "/healthz beside them")
    wires += [talk.Wire(server.http_port) for _ in range(20)]
    for wire in wires[60:]:
        wire.send(many)
    for wire in wires[60:]:
        wire.exactly(100)
    server.stop()
    for wire in wires:
        wire.close()


@case(limit=60)
def slow_readers_get_everything(t):
    """Twenty clients ask for 8 MiB each and take their time; every byte is right in the end."""
    watch = Watch(t)
    client, chance = t.resp(), random.Random(11)
    values = [chance.randbytes(MIB) for _ in range(8)]
    for number, value in enumerate(values):
        client.call("SET", "v%d" % number, value)
    wires = [talk.Resp(t.server.resp_port, receive_bytes=8192) for _ in range(20)]
    for wire in wires:
        wire.send(b"".join(talk.command("GET", "v%d" % n) for n in range(8)))
    begin = time.monotonic()
    while time.monotonic() - begin < 2:  # a trickle for all of them
        for wire in wires:
            if select.select([wire.socket], [], [], 0)[0]:
                wire.buffer += wire.socket.recv(4096)
        time.sleep(0.02)
    t.note("while they trickle: part connections %s, RSS %s" %
           (mib(watch.memory()[0]), mib(t.server.rss())))
    # The first value is under way to everybody and stays what it was; commands that still wait for
    # room may see the change.
    client.call("DEL", *("v%d" % n for n in range(4)))
    client.call("SET", "v5", "changed")
    for wire in wires:
        for number, value in enumerate(values):
            later = {0: value, 5: b"changed"}.get(number, None if number < 4 else value)
            got = wire.reply()
            true(got in (value, later), "a slow reader's value %d is %s" % (number, shown(got)))
        wire.close()
    client.close()
    watch.finish()


@case()
def clients_that_never_read_hold_little(t):
    server = t.start("--client-output-limit=4mb")
    watch = Watch(t, server)
    client = t.resp(server)
    client.call("SET", "v", bytes(MIB))
    client.close()
    wires = [talk.Resp(server.resp_port, receive_bytes=8192) for _ in range(10)]
    for wire in wires:
        wire.send(talk.command("GET", "v") * 40)
    time.sleep(1.5)
    part = watch.memory()[0]
    closed = server.metrics().sum("ebb_connections_closed_total", reason="buffer_limit")
    t.note("10 clients asked for 40 MiB each: part connections %s, %d closed" % (mib(part), closed))
    true(part < 10 * 6 * MIB, "replies that nobody reads hold %s" % mib(part))
    for wire in wires:
        wire.close()
    watch.finish()


def noise(chance):
    """Random bytes, with pieces of the protocols between them so that they get somewhere."""
    pieces = [b"*3\r\n", b"$3\r\n", b"\r\n", b"GET ", b"SET ", b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n",
              b"get k\r\n", b"set k 0 0 5\r\n", b" HTTP/1.1\r\n", b"GET / ", b"gets ", b"noreply",
              b"$-1\r\n", b"0", b"\0", b"incr k 1\r\n", b"touch k 1\r\n", b"Content-Length: 5\r\n",
              b"\n", b" ", b"\"", b"*99999\r\n"]

    def piece():
        if chance.random() < 0.6:
            return chance.choice(pieces)
        return chance.randbytes(chance.randrange(1, 40))

    return b"".join(piece() for _ in range(chance.randrange(1, 40)))


@case(limit=60)
def noise_is_survived(t):
    watch = Watch(t)
    for seed in range(3000 // SCALE):
        chance = random.Random(seed)
        port = (t.server.resp_port, t.server.memcached_port, t.server.http_port)[seed % 3]
        wire = talk.Wire(port)
        try:
            for _ in range(chance.randrange(1, 6)):
                wire.send(noise(chance))
            wire.socket.shutdown(socket.SHUT_WR)
            wire.until_closed(5 * SLOW_FACTOR)
        except OSError:
            pass  # closed while we were sending
        except talk.TimedOut:
            raise Failed("seed %d: the server does not hang up" % seed) from None
        finally:
            wire.close()
    watch.finish()
