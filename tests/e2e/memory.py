# SPDX-License-Identifier: MIT
"""Short versions of `make bench-memory`: the same program, less data, Ebb alone.

Asked here is what no busy machine excuses: what is resident once upkeep had its two seconds, what an
item costs, how much was moved, that nothing is wrong or missing. How high it went meanwhile and how
long things took is measured and shown; the benchmark has bounds for it.
"""

import json
import os
import re
import resource
import socket
import subprocess

import ebb
from case import MIB, RSS_COUNTS, SCALE, Failed, Skipped, case, equal, mib, true, within

BENCH = os.path.join(os.path.dirname(ebb.binary()), "bench", "memory")
SHOWN = ("high_ratio", "slice_max_us", "follow_seconds", "longest_ms")


def run(t, *words):
    """Runs the benchmark; returns its figures as [(name for people, name, value, bound)]."""
    if not RSS_COUNTS:
        raise Skipped("resident memory means nothing in this build")
    if not os.access(BENCH, os.X_OK):
        raise Skipped("%s is not built" % BENCH)
    path = os.path.join(t.folder, "figures.json")
    done = subprocess.run([BENCH, *words, "--server", "ebb", "--binary", ebb.binary(), "--json",
                           path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=t.folder,
                          check=False, timeout=300)
    if done.returncode != 0:
        raise Failed("%s: exit code %d\n%s%s" % (" ".join(words), done.returncode,
                                                 done.stdout.decode(), done.stderr.decode()))
    with open(path, encoding="utf-8") as file:
        figures = json.load(file)
    return [(" ".join(filter(None, (f["topic"], f["phase"], f["name"]))), f["name"], f["value"],
             f.get("bound")) for f in figures]


def hold_to_bounds(t, figures, names):
    """Each figure of these names has a bound and is within it."""
    seen = [f for f in figures if f[1] in names and f[3] is not None]
    equal(sorted({f[1] for f in seen}), sorted(names), "figures with a bound")
    for title, _, value, bound in seen:
        true(value <= bound, "%s: %g, bound %g" % (title, value, bound))
    show(t, [f for f in figures if f[1] in names or f[1] in SHOWN])


def show(t, figures):
    t.measured("; ".join("%s %.4g" % (title, value) for title, _, value, _ in figures))


@case(limit=120)
def workloads_cost_what_their_data_costs(t):
    figures = run(t, "workloads", "--workloads", "3,6,8", "--live", "64mb", "--written", "2")
    rested = [f for f in figures if f[0].split()[1] in ("fill", "delete", "thin")]
    hold_to_bounds(t, rested, ["bound_ratio"])
    hold_to_bounds(t, [f for f in figures if f not in rested],
                   ["over_idle_bytes", "moved_ratio", "wrong"])


@case(limit=60)
def larger_values_take_the_place_of_smaller_ones(t):
    hold_to_bounds(t, run(t, "frag"), ["rss_bytes", "wrong"])


@case(limit=60)
def one_in_twenty_costs_a_twentieth(t):
    hold_to_bounds(t, run(t, "keep"), ["rss_bytes", "live_ratio", "wrong"])


@case(limit=90)
def an_item_costs_little_beside_its_bytes(t):
    hold_to_bounds(t, run(t, "overhead", "--items", "300000"), ["overhead_each", "wrong"])


@case(limit=60)
def growing_has_no_peak(t):
    hold_to_bounds(t, run(t, "growth", "--items", "500000"), ["high_ratio", "over_idle_bytes"])


# Of at most 64 KiB: longer commands wait for each other, and are not read meanwhile.
HALF_A_COMMAND = b"*3\r\n$3\r\nSET\r\n$5\r\nnever\r\n$65480\r\n" + b"x" * 65400
HALF_A_LONG_COMMAND = b"*3\r\n$3\r\nSET\r\n$5\r\nnever\r\n$70000\r\n" + b"x" * 65536
FOLLOW_SECONDS = 5


def connect_and_send(server, count, half=HALF_A_COMMAND):
    sockets = []
    for _ in range(count):
        sockets.append(socket.create_connection(("127.0.0.1", server.resp_port)))
        sockets[-1].sendall(half)
    return sockets


def clients_come_and_go(t, count):
    """Each has sent 64 KiB of a command that it never ends; all of them hang up at once."""
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < count + 200:
        raise Skipped("the limit of open files is too low for %d clients" % count)
    server = t.start("--maxclients", str(count + 10))
    client = t.resp(server)

    def clients():
        return int(re.search(rb"connected_clients:(\d+)", client.call("INFO", "clients")).group(1))

    equal(clients(), 1, "clients")
    idle = server.rss()
    sockets = connect_and_send(server, count)
    within(30, lambda: clients() == count + 1, "not all are served")
    if RSS_COUNTS:
        least = idle + count * len(HALF_A_COMMAND)
        within(30, lambda: server.rss() > least, "what they sent is not all there")
    full, bound = server.rss(), idle + 4 * MIB
    for connection in sockets:
        connection.close()
    if RSS_COUNTS:
        took = within(FOLLOW_SECONDS, lambda: server.rss() <= bound, "RSS stays above " + mib(bound))
        t.measured("idle %s, with %d clients %s, back within 4 MiB of idle after %.2f s" % (
            mib(idle), count, mib(full), took))
    within(FOLLOW_SECONDS, lambda: clients() == 1, "some are left")
    equal(client.call("DBSIZE"), 0, "keys")


@case(limit=120)
def ten_thousand_clients_leave_nothing_behind(t):
    clients_come_and_go(t, 10000 // SCALE)


@case(limit=120)
def thousands_that_wait_for_each_other_do_not_pile_up(t):
    """More of them than may send at once, and none ever ends: they are closed, others served."""
    count, cap = 3000 // SCALE, 16 * MIB
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < count + 200:
        raise Skipped("the limit of open files is too low for %d clients" % count)
    server = t.start("--maxmemory-clients=%d" % cap)
    client = t.resp(server)
    sockets = connect_and_send(server, count, HALF_A_LONG_COMMAND)
    closed = within(30, lambda: server.metrics().one("ebb_connections_closed_total",
                                                     reason="clients_limit"), "nobody is closed")
    for number in range(100):
        equal(client.call("SET", "k%d" % number, "v"), "OK", "others are served")
    within(20, lambda: server.metrics().one("ebb_memory_clients_bytes") <= cap, "they hold more")
    t.measured("the first were closed after %.1f s" % closed)
    for connection in sockets:
        connection.close()
    within(20, lambda: server.metrics().one("ebb_memory_clients_bytes") < MIB, "they hold some")


@case(limit=60)
def two_hundred_clients_leave_nothing_behind(t):
    """What they leave in malloc's heap is little, but more than may stay."""
    clients_come_and_go(t, 200)
