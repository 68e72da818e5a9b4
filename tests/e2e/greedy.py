# SPDX-License-Identifier: MIT
"""Clients that hold too much are closed, wherever the server is when it finds out: while it reads
from one of them, while it closes another, while a transaction is queued.

The sizes bring the sum of what clients hold to just below the point where the greediest has to go;
unix sockets, for what they take of a reply before it waits in the server is little and known.
"""

import os
import signal
import time

import talk
from case import MIB, RSS_COUNTS, case, equal, true, within

SHORT = b"x" * 15000  # below what is sent without copying


def open_at(t, path):
    return t.own(talk.Resp(0, path=path))


def many_gets(count, keys="k"):
    return talk.command("MGET", *["%s%d" % (keys, n % 10) for n in range(count)])


def fill(client, keys, value):
    for number in range(10):
        equal(client.call("SET", "%s%d" % (keys, number), value), "OK", "SET")


def field(line, name):
    return line.split(" %s=" % name)[1].split(" ")[0]


@case(limit=60)
def one_that_is_closed_while_it_is_read(t):
    """What others have asked for in the same turn of the loop is the last straw."""
    path = os.path.join(t.folder, "socket")
    server = t.start("--threads=1", "--maxmemory-clients=4mb", "--unixsocket=" + path)
    control = open_at(t, path)
    fill(control, "k", SHORT)
    victim = open_at(t, path)
    victim.send(many_gets(75))
    time.sleep(0.2)
    victim.send(b"*2\r\n$3\r\nGET\r\n")  # and half a command
    time.sleep(0.2)
    others = [open_at(t, path) for _ in range(3)]
    for other in others[:2]:
        other.send(many_gets(45))
        time.sleep(0.1)
    equal(others[2].call("PING"), "PONG", "PING")
    os.kill(server.pid, signal.SIGSTOP)
    try:
        time.sleep(0.1)
        others[2].send(many_gets(74))
        time.sleep(0.05)
        victim.send(b"$2\r\n")
    finally:
        os.kill(server.pid, signal.SIGCONT)
    time.sleep(0.3)
    equal(control.call("PING"), "PONG", "the server is there")
    equal(others[2].reply(), [SHORT] * 74, "what the last one asked for")


@case(limit=60)
def one_that_goes_because_another_is_killed(t):
    """The kill makes room for a large command, whose claim is too much: its client goes, too, and
    with it the last of its worker's."""
    path = os.path.join(t.folder, "socket")
    server = t.start("--threads=2", "--maxmemory-clients=8mb", "--unixsocket=" + path)
    control, clients = None, []
    while len(clients) < 4:  # two on the control's worker, two on the other one
        clients.append(open_at(t, path))
    killed, control, waiting, holding = clients
    number = killed.call("CLIENT", "ID")
    fill(control, "k", SHORT)
    waiting.send(many_gets(45))
    time.sleep(0.2)
    fill(control, "z", b"x" * 37000)
    holding.send(many_gets(128, "z"))
    time.sleep(0.2)
    killed.send(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$100000\r\nxxxx")
    time.sleep(0.02)
    waiting.send(b"*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$5000000\r\nxxxx")
    time.sleep(0.02)
    equal(control.call("CLIENT", "KILL", "ID", number), 1, "CLIENT KILL")
    true(killed.is_closed(5), "the killed one is there")
    equal(control.call("PING"), "PONG", "the server is there")
    within(5, lambda: server.metrics().one("ebb_connections_closed_total", reason="killed") == 1,
           "nobody was killed")


@case(limit=60)
def transactions_count_as_memory_of_clients(t):
    cap = 8 * MIB
    server = t.start("--threads=1", "--maxmemory-clients=%d" % cap)
    control = t.resp(server)
    idle = server.metrics().one("ebb_memory_clients_bytes")
    value = b"y" * 40000
    small = t.resp(server)
    equal(small.call("MULTI"), "OK", "MULTI")
    for number in range(20):
        equal(small.call("SET", "s%d" % number, value), "QUEUED", "SET")
    lines = control.call("CLIENT", "LIST", "ID", small_id(control, "multi=20")).decode()
    true(len(value) * 20 < int(field(lines, "multi-mem")) < len(value) * 60, lines)
    true(server.metrics().one("ebb_memory_clients_bytes") >= idle + 20 * len(value), "it counts")
    greedy = [t.resp(server) for _ in range(4)]
    for client in greedy:
        try:
            client.call("MULTI")
            for number in range(150):  # 6 MB
                client.call("SET", "g", value)
        except (talk.Closed, OSError):
            pass
    true(any(client.is_closed() for client in greedy), "none of those that queue most is closed")
    true(server.metrics().one("ebb_memory_clients_bytes") <= cap, "they hold more")
    equal(small.call("EXEC"), ["OK"] * 20, "who queues little is served")
    for client in greedy:
        client.close()
    within(10, lambda: server.metrics().one("ebb_memory_clients_bytes") < idle + MIB // 4,
           "some of it is counted still")


def small_id(control, mark):
    line = [line for line in control.call("CLIENT", "LIST").decode().splitlines() if mark in line]
    equal(len(line), 1, "clients with " + mark)
    return line[0].split(" ")[0].split("=")[1]


@case(limit=60)
def numbers_without_end_hold_nobody_up(t):
    """CLIENT LIST ID goes through the clients once, however many numbers there are."""
    control, others = t.resp(), [t.resp() for _ in range(200)]
    ids = [other.call("CLIENT", "ID") for other in others]
    count = 100000 if RSS_COUNTS else 10000
    begin = time.monotonic()
    equal(control.call("CLIENT", "LIST", "ID", *["123456789"] * count), b"", "of nobody")
    true(time.monotonic() - begin < 5, "it took %.1f s" % (time.monotonic() - begin))
    lines = control.call("CLIENT", "LIST", "ID", ids[7], ids[3], 10 ** 18, ids[7]).decode()
    equal([int(line.split(" ")[0].split("=")[1]) for line in lines.splitlines()],
          [ids[7], ids[3], ids[7]], "in the order of the numbers, as Redis does")
    reply = control.call("CLIENT", "LIST", "ID", ids[3], "x")
    true(isinstance(reply, talk.Error) and "Invalid client ID" in reply, reply)
