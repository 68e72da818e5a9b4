# SPDX-License-Identifier: MIT
"""Prepared situations in which resident memory is larger than it must be. Whoever tells of memory has
to name the cause, how much it is, and what would make it smaller; and no more of it afterwards.

A teller is a function that returns what somebody is told now, as one text.
"""

import json
import re
import threading
import time

import talk
from case import MIB, SCALE, SLOW_FACTOR, mib, true
from scenes import Values

SWINGS_MAX = 12


def api(t):
    return lambda: " ".join(json.loads(t.http("/api/memory").body)["verdict"])


def doctor(t):
    client = t.resp()
    return lambda: client.call("MEMORY", "DOCTOR").decode()


def wait(seconds, tell, is_right, wanted):
    """Until somebody is told what is wanted, or all he was told in the end is in the failure."""
    end = time.monotonic() + seconds * SLOW_FACTOR
    while not is_right(told := tell()):
        true(time.monotonic() < end, "wanted %s, told %s" % (wanted, told))
        time.sleep(0.2)


def say(tellers, *words):
    for tell in tellers:
        wait(10, tell, lambda told: all(re.search(word, told) for word in words), words)


def say_no_more(tellers, word):
    for tell in tellers:
        wait(20, tell, lambda told: not re.search(word, told), "no more of " + word)


def idle_reserve(t, tellers):
    """A load that swings: what it will want again is kept, until it ends or somebody purges."""
    client, values, count = t.resp(), Values(1000), 20000 // SCALE
    for _ in range(SWINGS_MAX):
        values.store(client, range(count))
        time.sleep(0.3)  # upkeep comes each 100 ms: what lasts less than that it does not see
        client.call("FLUSHALL")
        time.sleep(1.5)  # what it keeps without experience is gone by then
        if "free and kept" in tellers[0]():
            break
    say(tellers, r"\d MiB are free and kept: within the last [\d.]+ s the load needed them",
        "MEMORY PURGE gives them back now")
    client.call("MEMORY", "PURGE")
    say_no_more(tellers, "free and kept")


def client_buffers(t, tellers):
    """Commands that nobody finishes."""
    clients = [t.resp() for _ in range(10)]
    for client in clients:
        client.send(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2000000\r\n" + b"x" * 1000000)
    say(tellers, r"\d MiB are held by \d+ clients and their buffers",
        r"\d\d+ % for commands they have not finished", "CLIENT LIST names them",
        "client-query-buffer-limit")
    for client in clients:
        client.close()
    say_no_more(tellers, "buffers")


def values_in_flight(t, tellers):
    """Large values on their way to clients that do not read on; they have been deleted since."""
    client, size = t.resp(), 6 * MIB
    client.call("SET", "large", b"x" * size)
    deaf = [t.resp(receive_bytes=4096) for _ in range(3)]
    for other in deaf:
        other.send(talk.command("GET", "large") * 2)
        other.exactly(1)  # the server is at it
    client.call("DEL", "large")
    say(tellers, r"\d MiB are held by \d+ clients and their buffers: \d\d+ % of it for replies "
        "they have not read", "It goes when they read, finish or are closed", "client-output-limit")
    buffers = json.loads(t.http("/api/memory").body)["parts"]
    held = sum(part["bytes"] for part in buffers if part["part"] == "connections")
    true(held > size, "the part connections is " + mib(held))
    for other in deaf:
        other.close()
    say_no_more(tellers, "buffers")


def at_the_limit(t, tellers):
    """More is written than there is room for, all the time."""
    client, values, ends = t.resp(), Values(1000, b"e"), threading.Event()

    def write():
        while not ends.is_set():
            values.store(client, range(30000 // SCALE))

    client.call("CONFIG", "SET", "maxmemory", "%d" % (t.server.rss() + 10 * MIB // SCALE))
    writer = threading.Thread(target=write)
    writer.start()
    try:
        say(tellers, r"That is \d+ % of the limit of [\d.]+ MiB, and items are evicted to stay below "
            r"it: [1-9]\d* a second\. Store less, let items expire, or raise maxmemory")
    finally:
        ends.set()
        writer.join()
    say_no_more(tellers, "evicted")
    client.call("CONFIG", "SET", "maxmemory", "0")
    client.call("FLUSHALL")


ALL = (idle_reserve, client_buffers, values_in_flight, at_the_limit)
