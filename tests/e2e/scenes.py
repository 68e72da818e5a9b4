# SPDX-License-Identifier: MIT
"""The scenes of the design: what is freed goes back to the kernel, and nothing else is lost.

Resident memory is VmRSS, as users see it. Idle is what the same server needs after its start and
one PING. Every survivor is read back and compared, in any build; the bounds on memory hold in the
release build only (case.RSS_COUNTS).
"""

import multiprocessing
import random
import time

import talk
from case import LONG, MIB, RSS_COUNTS, SCALE, SLOW_FACTOR, case, equal, mib, true, within

BATCH_BYTES = 1 << 20


def idle_rss(server, client):
    equal(client.call("PING"), "PONG", "PING")
    return server.rss()


def batches(items, encode, bytes_each):
    """Joins the encoded items to requests of about BATCH_BYTES; yields (request, count)."""
    count = max(1, BATCH_BYTES // bytes_each)
    for first in range(0, len(items), count):
        chosen = items[first:first + count]
        yield b"".join(map(encode, chosen)), len(chosen)


def send_all(client, items, encode, bytes_each, reply, what):
    """Sends a command for each item; each must get the same reply."""
    for request, count in batches(items, encode, bytes_each):
        got = client.exchange(request, count * len(reply))
        if got != reply * count:
            equal(got, reply * count, what)


class Values:
    """Numbered keys of eight digits, each with a value of its own of `size` bytes."""

    def __init__(self, size, prefix=b"k"):
        self.size, self.prefix = size, prefix
        self.repeat = size // 20 + 1
        head = b"$9\r\n" + prefix + b"%08d\r\n"
        self.set_format = b"*3\r\n$3\r\nSET\r\n" + head + b"$%d\r\n%%b\r\n" % size
        self.get_format = b"*2\r\n$3\r\nGET\r\n" + head
        self.del_format = b"*2\r\n$3\r\nDEL\r\n" + head

    def value(self, number):
        return (b"%020d" % (number * 2654435761) * self.repeat)[:self.size]

    def store(self, client, numbers):
        send_all(client, numbers, lambda n: self.set_format % (n, self.value(n)), self.size + 40,
                 b"+OK\r\n", "SET")

    def delete(self, client, numbers):
        send_all(client, numbers, lambda n: self.del_format % n, 30, b":1\r\n", "DEL")

    def check(self, client, numbers):
        """Reads every one back."""
        count = max(1, BATCH_BYTES // (self.size + 20))
        for first in range(0, len(numbers), count):
            chosen = numbers[first:first + count]
            wanted = b"".join([b"$%d\r\n%b\r\n" % (self.size, self.value(n)) for n in chosen])
            got = client.exchange(b"".join([self.get_format % n for n in chosen]), len(wanted))
            if got != wanted:
                self.explain(chosen, got)

    def explain(self, numbers, got):
        at = 0
        for number in numbers:
            end = talk.value_end(got, at)
            value = talk.decode(got[at:end]) if end > 0 else None
            equal(value, self.value(number), "the value of k%08d" % number)
            at = end


def settle(server, bound, seconds):
    """Waits up to `seconds` for VmRSS to come under the bound. Returns (rss, seconds it took)."""
    begin = time.monotonic()
    while True:
        rss, took = server.rss(), time.monotonic() - begin
        if rss <= bound or took >= seconds:
            return rss, took
        time.sleep(0.02)


def bounded(t, server, bound, seconds, what):
    """The bound must be met within `seconds` and still hold afterwards."""
    rss, took = settle(server, bound, seconds)
    t.measured("%s: RSS %s after %.2f s, bound %s" % (what, mib(rss), took, mib(bound)))
    if RSS_COUNTS:
        if rss > bound:
            t.note("parts: " + ", ".join("%s %.0f kB" % (part, value / 1024) for part, value in
                                         server.metrics().parts().items() if value))
        true(rss <= bound, "%s: RSS %s is over %s" % (what, mib(rss), mib(bound)))


@case(limit=30)
def one_in_the_middle(t):
    """256 x 1024 values of 1 KiB, all deleted but each 512th."""
    client, values = t.resp(), Values(1024)
    idle = idle_rss(t.server, client)
    numbers = range(256 * 1024 // SCALE)
    values.store(client, numbers)
    t.measured("idle %s, full %s" % (mib(idle), mib(t.server.rss())))
    values.delete(client, [n for n in numbers if n % 512 != 511])
    bounded(t, t.server, idle + 8 * MIB, 3, "one in the middle")
    survivors = [n for n in numbers if n % 512 == 511]
    values.check(client, survivors)
    equal(client.call("DBSIZE"), len(survivors), "DBSIZE")


def read_at_random(port, count, deleted_soon, seed, enough, result):
    """A client that reads all the time. Survivors must be there; others may be gone, not wrong."""
    client, values, chance = talk.Resp(port), Values(100), random.Random(seed)
    reads = 0
    try:
        while not enough.is_set():
            numbers = [chance.randrange(count) for _ in range(50)]
            client.send(b"".join(values.get_format % n for n in numbers))
            for number in numbers:
                got = client.reply()
                if got != values.value(number) and not (got is None and deleted_soon[number]):
                    result.put("k%08d reads %r" % (number, got))
                    return
                reads += 1
        result.put(reads)
    except Exception as error:  # the parent must hear of it whatever it is
        result.put("the reader failed: %r" % error)


@case(limit=60)
def random_95_percent(t):
    """2,000,000 values of 100 bytes, 95 % deleted at random while a client reads."""
    values, count = Values(100), 2000000 // SCALE
    seed = random.randrange(1 << 32)
    t.note("seed %d" % seed)
    numbers = list(range(count))
    random.Random(seed).shuffle(numbers)
    victims, survivors = numbers[count // 20:], sorted(numbers[:count // 20])

    alone = t.start()
    idle_alone = idle_rss(alone, t.resp(alone))
    values.store(t.resp(alone), survivors)
    time.sleep(1)
    cost = alone.rss()

    client = t.resp()
    idle = idle_rss(t.server, client)
    values.store(client, range(count))
    full = t.server.rss()
    deleted_soon = bytearray(count)
    for number in victims:
        deleted_soon[number] = 1
    fork = multiprocessing.get_context("fork")
    enough, result = fork.Event(), fork.SimpleQueue()
    reader = fork.Process(target=read_at_random, daemon=True, args=(
        t.server.resp_port, count, deleted_soon, seed, enough, result))
    reader.start()
    try:
        values.delete(client, victims)
        t.measured("idle %s, full %s, survivors alone %s (idle %s)" %
               (mib(idle), mib(full), mib(cost), mib(idle_alone)))
        bounded(t, t.server, 1.3 * cost, 3, "random 95 %")
        net = (t.server.rss() - idle) / max(1, cost - idle_alone)
        t.measured("without what is idle: %.2f x what the survivors cost alone" % net)
    finally:
        enough.set()
        reads = result.get()
        reader.join(10)
    true(isinstance(reads, int) and reads > 0, str(reads))
    t.note("%d reads meanwhile" % reads)
    values.check(client, survivors)
    equal(client.call("DBSIZE"), len(survivors), "DBSIZE")


@case(limit=60)
def all_freed(t):
    """FLUSHALL of 1 GiB: at once, and the memory goes without another byte of traffic."""
    client, values = t.resp(), Values(1024)
    idle = idle_rss(t.server, client)
    count = 1024 * 1024 // SCALE
    values.store(client, range(count))
    full = t.server.rss()
    true(not RSS_COUNTS or full > 1024 * MIB // SCALE, "only %s resident when full" % mib(full))
    begin = time.monotonic()
    equal(client.call("FLUSHALL"), "OK", "FLUSHALL")
    took = time.monotonic() - begin
    t.measured("idle %s, full %s, FLUSHALL %.1f ms" % (mib(idle), mib(full), took * 1000))
    true(took < 0.050 * SLOW_FACTOR, "FLUSHALL took %.1f ms" % (took * 1000))
    bounded(t, t.server, idle + 8 * MIB, 2, "all freed")
    equal(client.call("DBSIZE"), 0, "DBSIZE")
    equal(client.call("GET", b"k%08d" % (count - 1)), None, "a key that was flushed")


@case(limit=90)
def whoops(t):
    """64 MiB filled and emptied each half second: what comes back soon is not given away each time.

    The faults of all rounds after the first few together must stay under twice those of one fill
    of a cold server. After the last round everything must go back, though patience was learned."""
    rounds, few, period = 40, 6, 0.5
    client, values = t.resp(), Values(1024)
    idle = idle_rss(t.server, client)
    numbers = range(64 * 1024 // SCALE)
    fills = list(batches(numbers, lambda n: values.set_format % (n, values.value(n)), 1064))
    deletes = list(batches(numbers, lambda n: values.del_format % n, 30))

    def play(requests, reply):
        for request, count in requests:
            equal(client.exchange(request, count * len(reply)), reply * count, "a round's replies")

    before = t.server.minor_faults()
    single = late = None
    begin = time.monotonic()
    for number in range(rounds):
        play(fills, b"+OK\r\n")
        if number == 0:
            single = t.server.minor_faults() - before
        play(deletes, b":1\r\n")
        if number + 1 == few:
            early = t.server.minor_faults() - before
        time.sleep(max(0, begin + (number + 1) * period - time.monotonic()))
    spent = time.monotonic() - begin
    late = t.server.minor_faults() - before - early
    t.measured("faults: %d in one fill, %d in the first %d rounds, %d in the next %d; %.1f s" %
           (single, early, few, late, rounds - few, spent))
    if RSS_COUNTS:
        true(single >= 64 * MIB // 4096 // SCALE, "a fill of only %d faults is no fill" % single)
        true(late <= 2 * single, "%d faults in %d rounds, %d in a single fill" %
             (late, rounds - few, single))
        true(spent < rounds * period * 1.2, "%d rounds took %.1f s" % (rounds, spent))
    bounded(t, t.server, idle + 8 * MIB, 20, "whoops, afterwards")
    values.store(client, numbers)
    values.check(client, numbers)


IDLE_SECONDS = 4
IDLE_SLEEPS = 3  # a second: the tick, and something left over
IDLE_READS = 30  # a second: of /proc and the control group


def goes_quiet(server):
    """Whether it has not woken up more often than it may for the last half second."""
    before = server.sleeps()
    time.sleep(0.5)
    return server.sleeps() - before <= 2


@case(limit=60)
def an_idle_server_sleeps(t):
    """Wakeups and reads of files, counted by the kernel: what a busy machine does not change."""
    server = t.start("--threads=4")
    clients = [t.resp(server), t.resp(server), t.memcached(server)]
    for n in range(1000):
        equal(clients[n % 2].call("SET", "k%d" % n, b"v" * 1000), "OK", "SET")
    equal(clients[0].call("SET", "later", "v", "EX", "1000"), "OK", "SET EX")
    within(20 * SLOW_FACTOR, lambda: goes_quiet(server), "it does not go quiet")
    # Pages that were kept warm are given back some seconds later, once: then it looks around for one
    # second more before it rests again.
    for _ in range(3):
        sleeps, reads, cpu = server.sleeps(), server.reads(), server.cpu_seconds()
        time.sleep(IDLE_SECONDS)
        sleeps, reads = server.sleeps() - sleeps, server.reads() - reads
        t.measured("%.1f wakeups and %.1f reads a second, %.2f %% of a processor" % (
            sleeps / IDLE_SECONDS, reads / IDLE_SECONDS,
            100 * (server.cpu_seconds() - cpu) / IDLE_SECONDS))
        if sleeps <= IDLE_SLEEPS * IDLE_SECONDS:
            break
    true(sleeps <= IDLE_SLEEPS * IDLE_SECONDS, "%d wakeups" % sleeps)
    # A full sample may fall into the time, of more files the more mappings there are.
    true(reads <= IDLE_READS * IDLE_SECONDS + 200, "%d reads" % reads)


@case(limit=60)
def a_resting_server_sees_to_what_is_due(t):
    """A key expires while it rests, and one that comes while it rests expires in time as well."""
    server = t.start()
    client = t.resp(server)
    equal(client.call("SET", "a", b"v" * 100, "PX", "4000"), "OK", "SET")
    within(20 * SLOW_FACTOR, lambda: goes_quiet(server), "it does not go quiet")
    time.sleep(5)
    metrics = server.metrics()  # the first that it hears since: it has been reaped before
    equal(metrics.sum("ebb_items"), 0, "items")
    equal(metrics.one("ebb_expired_total", how="active"), 1, "reaped by itself")
    within(20 * SLOW_FACTOR, lambda: goes_quiet(server), "it does not go quiet")
    client.call("SET", "b", b"v" * 100, "PX", "100")
    time.sleep(1.2 * SLOW_FACTOR)
    equal(server.metrics().sum("ebb_items"), 0, "items")


@case(limit=120)
def expired_keys_leave_without_traffic(t):
    """Keys with times from 1 s to some: 2 s after the last of them all memory is back."""
    count, longest = (1000000, 30) if LONG else (100000, 5)
    count //= SCALE
    chance, client = random.Random(4), t.resp()
    idle = idle_rss(t.server, client)
    begin = time.monotonic()

    def encode(number):
        return talk.command("SET", b"k%08d" % number, b"v" * 100, "PX",
                            chance.randrange(1000, longest * 1000))

    send_all(client, range(count), encode, 170, b"+OK\r\n", "SET PX")
    stored = time.monotonic()
    t.measured("%d keys in %.1f s, %s resident" % (count, stored - begin, mib(t.server.rss())))
    lag = 0
    while time.monotonic() < stored + longest / 2:
        lag = max(lag, t.server.metrics().one("ebb_expiry_lag_seconds"))
        time.sleep(0.2)
    time.sleep(max(0, stored + longest - time.monotonic()))
    bounded(t, t.server, idle + 4 * MIB, 2, "%d keys have expired" % count)
    lag = max(lag, t.server.metrics().one("ebb_expiry_lag_seconds"))
    t.measured("expiry lag at most %.3f s" % lag)
    true(lag <= 1 * SLOW_FACTOR, "expiry lag %.3f s" % lag)
    within(2 * SLOW_FACTOR, lambda: t.server.metrics().sum("ebb_items") == 0, "items are left")
