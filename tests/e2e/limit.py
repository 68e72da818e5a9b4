# SPDX-License-Identifier: MIT
"""maxmemory bounds what the kernel counts: writing several times the limit, lowering it, slow readers
and large commands never bring resident memory above it, and nobody gets an error that evicting could
have spared.

SLACK is what the kernel's figure may pass the limit by. Resident memory is sampled every 10 ms.
"""

import random
import subprocess
import threading
import time

import ebb
import talk
from case import LONG, MIB, RSS_COUNTS, SCALE, Skipped, case, equal, mib, program, true, within
from neighbour import Neighbour

SLACK = 6 * MIB
LIMIT = (64 if RSS_COUNTS else 512) * MIB  # a sanitized process alone takes more than 64
CONNECTIONS = 50


class Watch:
    """The highest resident memory from its start on, sampled by a thread."""

    def __init__(self, server):
        self.server, self.high, self.ends = server, 0, False
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        while not self.ends:
            self.high = max(self.high, self.server.rss())
            time.sleep(0.01)

    def close(self):
        self.ends = True
        self.thread.join()


def bounded(t, watch, limit, what):
    t.measured("%s: at most %s resident, of %s" % (what, mib(watch.high), mib(limit)))
    if RSS_COUNTS:
        true(watch.high <= limit + SLACK, "%s: %s resident" % (what, mib(watch.high)))


def write(t, server, count, size, keys=10**9):
    """Stores that many values at random keys, with 50 clients. Errors end redis-benchmark badly."""
    words = ("-p", server.resp_port, "-c", CONNECTIONS, "-P", 16, "-n",
             max(CONNECTIONS * 16, count // SCALE), "-r", keys, "-q", "set",
             "key:%d:__rand_int__" % size, "x" * size)
    done = t.run(program("redis-benchmark"), *map(str, words), seconds=120)
    true("rror" not in done.text + done.error_text, done.text + done.error_text)


def no_errors(server, what):
    metrics = server.metrics()
    equal(metrics.sum("ebb_error_replies_total"), 0, what + ": error replies")
    equal(metrics.one("ebb_writes_rejected_total", reason="memory"), 0, what + ": writes refused")
    return metrics


def needs_a_small_process():
    if not RSS_COUNTS:
        raise Skipped("this build leaves nothing of a small limit; test_evict_model asks the same")


def fill(client, size=1000, most=200000, prefix="fill"):
    """Stores until the server refuses; returns how many were stored."""
    value, stored = b"v" * size, 0
    while stored < most:
        request = [talk.command("SET", "%s:%d" % (prefix, stored + i), value) for i in range(100)]
        client.send(b"".join(request))
        replies = [client.reply() for _ in request]
        for reply in replies:
            if reply != "OK":
                return stored, reply
            stored += 1
    return stored, None


@case(limit=150)
def writing_three_times_the_limit_stays_below_it(t):
    server = t.start("--maxmemory=%d" % LIMIT)
    watch = t.own(Watch(server))
    for size in (100, 130, 1500, 230, 9000):
        write(t, server, 3 * LIMIT // (size + 25) // (2 if size < 1000 else 1), size)
        no_errors(server, "%d bytes" % size)
    metrics = no_errors(server, "all")
    bounded(t, watch, LIMIT, "five sizes of values one after another")
    true(SCALE > 1 or metrics.sum("ebb_evictions_total") > 1000, "nothing was evicted")
    equal(metrics.one("ebb_memory_limit_bytes"), LIMIT, "ebb_memory_limit_bytes")
    true(metrics.one("ebb_memory_evict_start_bytes") <= LIMIT, "eviction starts below the limit")
    if RSS_COUNTS:
        true(server.rss() > LIMIT * 0.8, "the limit is used: %s" % mib(server.rss()))
        live = metrics.one("ebb_memory_live_bytes")
        true(live > LIMIT * 0.6, "live at the end: %s" % mib(live))
        unfetched = metrics.one("ebb_evicted_unfetched_total")
        true(unfetched > 0, "nobody reads here: what is evicted is unfetched")


@case(limit=120)
def smaller_values_then_larger_ones_under_100_mb(t):
    """The test of Mesh (PLDI'19): fragmentation that a heap which moves nothing keeps."""
    server = t.start("--maxmemory=100mb")
    watch = t.own(Watch(server))
    write(t, server, 700000, 240)
    write(t, server, 170000, 492)
    no_errors(server, "all")
    time.sleep(1)
    bounded(t, watch, 100 * MIB, "700,000 values of 240 bytes, then 170,000 of 492")
    if RSS_COUNTS:
        true(server.rss() <= 110e6, "%s at the end" % mib(server.rss()))


@case(limit=60)
def noeviction_refuses_when_compaction_has_no_more(t):
    needs_a_small_process()
    server = t.start("--maxmemory=%d" % (24 * MIB), "--maxmemory-policy=noeviction")
    watch = t.own(Watch(server))
    client, cache = t.resp(server), t.memcached(server)
    stored, error = fill(client)
    equal(error, talk.Error("OOM command not allowed when used memory > 'maxmemory'."), "SET")
    true(stored > 1000, "%d values fit" % stored)
    answers = [cache.ask("set m%d 0 0 5000" % n, b"m" * 5000) for n in range(200)]
    equal(answers[-1], b"SERVER_ERROR out of memory storing object", "memcached's set")
    equal(client.call("GET", "fill:0"), b"v" * 1000, "what is there stays")
    equal(client.call("EXPIRE", "fill:1", 1000), 1, "EXPIRE is not refused")
    true(0 < client.call("TTL", "fill:1") <= 1000, "and has its effect")
    metrics = server.metrics()
    equal(metrics.sum("ebb_evictions_total"), 0, "evictions")
    true(metrics.one("ebb_writes_rejected_total", reason="memory") >= 2, "refusals are counted")
    # One in ten stays of the first half, which frees no span by itself: compaction must.
    for number in range(stored // 2):
        if number % 10:
            client.send(talk.command("UNLINK", "fill:%d" % number))
    for number in range(stored // 2):
        if number % 10:
            client.reply()
    again, error = fill(client, size=1300, most=stored // 4, prefix="again")
    equal((again >= stored // 4, error), (True, None), "room for other sizes")
    equal(client.call("GET", "fill:0"), b"v" * 1000, "a survivor")
    bounded(t, watch, 24 * MIB, "noeviction")


@case(limit=60)
def a_lower_limit_is_reached_while_serving(t):
    server = t.start("--maxmemory=128mb")
    client = t.resp(server)
    write(t, server, 150000, 700)
    before = server.rss()
    equal(client.call("CONFIG", "SET", "maxmemory", "48mb"), "OK", "CONFIG SET")
    longest, stop = [0], []

    def serve():
        other = talk.Resp(server.resp_port)
        while not stop:
            begin = time.monotonic()
            other.call("SET", "served", "x" * 700)
            longest[0] = max(longest[0], time.monotonic() - begin)
        other.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        if RSS_COUNTS:
            took = within(15, lambda: server.rss() <= 48 * MIB, "48 MiB are not reached", 0.02)
            t.measured("from %s to 48 MiB in %.2f s, the longest SET meanwhile %.1f ms" % (
                mib(before), took, longest[0] * 1000))
            true(longest[0] < 0.5, "a SET took %.1f ms" % (longest[0] * 1000))
    finally:
        stop.append(True)
        thread.join()
    equal(client.call("CONFIG", "GET", "maxmemory"), [b"maxmemory", b"50331648"], "CONFIG GET")
    write(t, server, 20000, 700)
    no_errors(server, "below the new limit")


def settled(server):
    """The evictions when upkeep is done with what writers left to it."""
    seen = []

    def is_quiet():
        seen.append(server.metrics().sum("ebb_evictions_total"))
        return seen[-5:] == seen[-1:] * 5

    within(20, is_quiet, "it evicts for ever", 0.2)
    return seen[-1]


@case(limit=60)
def slow_readers_cost_no_key_and_no_memory(t):
    server = t.start("--maxmemory=%d" % LIMIT)
    client = t.resp(server)
    for number in range(4):
        equal(client.call("SET", "large:%d" % number, bytes(MIB)), "OK", "SET")
    write(t, server, 100000, 1000)
    for number in range(4):
        client.call("SET", "large:%d" % number, bytes(MIB))
    evicted = settled(server)
    watch = t.own(Watch(server))
    readers = [talk.Resp(server.resp_port, receive_bytes=4096) for _ in range(40)]
    for reader in readers:
        t.own(reader)
        reader.send(b"".join(talk.command("GET", "large:%d" % (n % 4)) for n in range(8)))
    end = time.monotonic() + 2
    while time.monotonic() < end:
        equal(len(client.call("GET", "large:1")), MIB, "others are served")
        time.sleep(0.02)
    metrics = server.metrics()
    bounded(t, watch, LIMIT, "40 readers of 1 MiB values that do not read")
    # A little goes for the connections themselves and for pages of the program not touched before.
    more = metrics.sum("ebb_evictions_total") - evicted
    true(more < 1000, "%d keys of 1000 bytes were evicted for their sake" % more)
    cap = metrics.one("ebb_memory_clients_limit_bytes")
    held = metrics.one("ebb_memory_clients_bytes")
    t.measured("they hold %s of %s" % (mib(held), mib(cap)))
    equal(metrics.one("ebb_connections_closed_total", reason="clients_limit"), 0, "closed")
    true(held <= cap, "%s of %s" % (mib(held), mib(cap)))
    for number in range(4):  # now the old values are theirs alone
        equal(client.call("SET", "large:%d" % number, bytes(MIB)), "OK", "SET")
    within(20, lambda: server.metrics().one("ebb_connections_closed_total",
                                            reason="clients_limit"), "nobody has gone")
    held = server.metrics().one("ebb_memory_clients_bytes")
    true(held <= cap + 2 * MIB, "%s of %s" % (mib(held), mib(cap)))
    bounded(t, watch, LIMIT, "when what they wait for has been replaced")


@case(limit=60)
def large_commands_take_turns(t):
    """Fifty values of 1 MiB on their way at once are more than all clients may hold."""
    server = t.start("--maxmemory=%d" % LIMIT)
    write(t, server, 80000, 1000)
    watch = t.own(Watch(server))
    request = talk.command("SET", "large", bytes(MIB))
    writers = [t.own(talk.Resp(server.resp_port, timeout=60)) for _ in range(CONNECTIONS)]
    threads = [threading.Thread(target=writer.send, args=(request,)) for writer in writers]
    for thread in threads:
        thread.start()
    equal([writer.reply() for writer in writers], ["OK"] * CONNECTIONS, "all are stored")
    for thread in threads:
        thread.join()
    bounded(t, watch, LIMIT, "50 clients that send 1 MiB at once")
    no_errors(server, "large commands")
    big = t.resp(server)
    equal(big.call("SET", "huge", bytes(12 * MIB)), "OK", "a value above what clients may hold")
    equal(len(big.call("GET", "huge")), 12 * MIB, "comes back as well")


@case(limit=60)
def a_large_value_for_many_is_there_once(t):
    """It is a third of the limit, for eight clients at once who do not read yet."""
    server = t.start("--maxmemory=%d" % LIMIT, "--threads=4")
    # A sanitizer keeps what was freed: the buffers it came in with, and those of who read it.
    value = random.Random(7).randbytes(LIMIT // (3 if RSS_COUNTS else 16))
    equal(t.resp(server).call("SET", "large", value), "OK", "SET")
    watch = t.own(Watch(server))
    readers = [t.own(talk.Resp(server.resp_port, receive_bytes=4096)) for _ in range(8)]
    for reader in readers:
        reader.send(talk.command("GET", "large"))
    time.sleep(2)
    equal(server.metrics().one("ebb_connections_closed_total", reason="clients_limit"), 0, "closed")
    equal(t.resp(server).call("GET", "large") == value, True, "it is there for who reads it")
    bounded(t, watch, LIMIT, "8 readers of %s" % mib(len(value)))
    t.resp(server).call("DEL", "large")
    closed = within(20, lambda: server.metrics().one("ebb_connections_closed_total",
                                                     reason="clients_limit"), "nobody has gone")
    bounded(t, watch, LIMIT, "some of them closed after %.1f s" % closed)
    for reader in readers:
        reader.close()
    within(20, lambda: server.metrics().one("ebb_memory_clients_bytes") < MIB, "they hold some")


@case(limit=60)
def what_is_stored_can_be_read_at_once(t):
    """The room that the value had on its way in is free before its writer hears of it."""
    server = t.start("--maxmemory=%d" % LIMIT, "--threads=4")
    value = random.Random(8).randbytes(5 * MIB)
    writer = t.resp(server)
    for number in range(20):
        reader = t.own(talk.Resp(server.resp_port))
        equal(writer.call("SET", "large", value), "OK", "SET")
        equal(reader.call("GET", "large") == value, True, "reader %d" % number)
        reader.close()


@case(limit=60)
def long_replies_cost_no_key(t):
    """However many values are asked for at once, and however slowly they are read."""
    needs_a_small_process()
    server = t.start("--maxmemory=%d" % (64 * MIB), "--threads=1")
    client, other = t.resp(server), t.memcached(server)
    stored = fill(client, most=20000)[0]
    value, count = b"y" * 10000, 10000  # 100 MB
    equal(client.call("SET", "k", value), "OK", "SET")
    rss, watch = server.rss(), t.own(Watch(server))
    reader = t.resp(server, receive_bytes=65536)
    for pause in (0, 0.002):
        reader.send(talk.command("MGET", *["k"] * count) + talk.command("PING"))
        time.sleep(pause * 100)
        equal(reader.line(), b"*%d" % count, "the head")
        for number in range(count):
            true(reader.exactly(10010) == b"$10000\r\n%s\r\n" % value, "value %d" % number)
            if number % 500 == 0:
                time.sleep(pause)
        equal(reader.reply(), "PONG", "what was asked for next")
    other.send(b"get " + b" ".join([b"k"] * count) + b"\r\nversion\r\n")
    for number in range(count):
        equal(other.line(), b"VALUE k 0 10000", "value %d" % number)
        other.exactly(10002)
    equal(other.line(), b"END", "END")
    true(other.line().startswith(b"VERSION"), "what was asked for next")
    watch.close()
    true(watch.high < rss + 8 * MIB, "%s over %s" % (mib(watch.high), mib(rss)))
    equal(client.call("DBSIZE"), stored + 1, "keys")
    true(b"cmdstat_mget:calls=2," in client.call("INFO", "commandstats"), "MGET counts once")


@case(limit=60)
def a_time_on_a_long_value_needs_no_room(t):
    needs_a_small_process()
    server = t.start("--maxmemory=%d" % (100 * MIB), "--maxmemory-policy=noeviction")
    client, other, size = t.resp(server), t.memcached(server), 60 * MIB
    equal(client.call("SETRANGE", "a", size - 1, "x"), size, "SETRANGE")
    watch = t.own(Watch(server))
    for command in (("GETEX", "a", "EX", "100"), ("GETEX", "a", "PERSIST")):
        true(len(client.call(*command)) == size, "the value")
        true((client.call("TTL", "a") > 0) == (command[2] == "EX"), "%s sets the time" % command[0])
    for line in (b"gat 500 a", b"mg a v T300"):
        other.send(line + b"\r\n")
        other.line()
        other.exactly(size + 2)
        if line.startswith(b"gat"):
            equal(other.line(), b"END", "END")
        true(300 - 5 <= client.call("TTL", "a") <= 500, "%s sets the time" % line.decode())
    watch.close()
    true(watch.high <= 100 * MIB, mib(watch.high))
    slow = t.resp(server, receive_bytes=65536)
    slow.send(talk.command("GET", "a"))
    within(5, lambda: server.metrics().one("ebb_pinned_bytes") >= size, "it is not being read")
    reply = client.call("PERSIST", "a")
    true(isinstance(reply, talk.Error) and reply.startswith("OOM"), "it can't be copied: %r" % reply)
    true(client.call("TTL", "a") > 0, "it has its time still")


@case(limit=60)
def policies_do_what_their_names_say(t):
    needs_a_small_process()
    server = t.start("--maxmemory=%d" % (24 * MIB), "--maxmemory-policy=volatile-ttl")
    client = t.resp(server)
    stored, error = fill(client)
    true(isinstance(error, talk.Error) and error.startswith("OOM"), "no key has a time")
    # All at once: the first to get a time would go while it is the only one that has one. And many:
    # upkeep evicts ahead of the writer, from them alone.
    timed = 1000
    client.call("MULTI")
    for number in range(timed):
        client.call("EXPIRE", "fill:%d" % number, 20000 - number * 10)
    equal(client.call("EXEC"), [1] * timed, "EXPIRE")
    for number in range(40):
        equal(client.call("SET", "more:%d" % number, b"v" * 1000), "OK", "room was made")
    left = [n for n in range(timed) if client.call("EXISTS", "fill:%d" % n)]
    equal(client.call("EXISTS", "fill:%d" % timed), 1, "keys without a time stay")
    true(len(left) < timed, "something went")
    mean = sum(left) / max(1, len(left))
    true(mean < timed / 2, "what expires last is left (%r)" % left)
    for policy in ("allkeys-s3fifo", "allkeys-lru", "allkeys-lfu", "allkeys-random"):
        equal(client.call("CONFIG", "SET", "maxmemory-policy", policy), "OK", policy)
        for number in range(0, 20):
            equal(client.call("SET", "hot:%d" % number, "h"), "OK", "SET")
        for round_ in range(30):
            equal(fill(client, most=stored // 10, prefix="%s:%d" % (policy, round_))[1], None,
                  policy)
            hits = sum(client.call("GET", "hot:%d" % number) is not None for number in range(20))
        if policy != "allkeys-random" and RSS_COUNTS:
            true(hits >= 18, "%s keeps what is read (%d of 20)" % (policy, hits))
    for wrong in ("lru", "allkeys", "volatile"):
        reply = client.call("CONFIG", "SET", "maxmemory-policy", wrong)
        true(isinstance(reply, talk.Error), "policy %s: %r" % (wrong, reply))


@case()
def auto_is_a_number_for_clients(t):
    server = t.start()
    client = t.resp(server)
    number = int(client.call("CONFIG", "GET", "maxmemory")[1])
    with open("/proc/meminfo") as info:
        total = int(info.readline().split()[1]) * 1024
    true(MIB < number <= total * 0.8, "auto came to %d" % number)
    fields = dict(line.split(":", 1) for line in
                  client.call("INFO", "memory").decode().splitlines() if ":" in line)
    equal(fields["maxmemory"], str(number), "INFO")
    equal(fields["maxmemory_policy"], "allkeys-s3fifo", "the default policy")
    equal(client.call("CONFIG", "SET", "maxmemory", "0"), "OK", "no limit")
    within(5, lambda: server.metrics().one("ebb_memory_limit_bytes") == float("inf"), "+Inf")
    equal(client.call("CONFIG", "SET", "maxmemory", "auto"), "OK", "auto again")
    equal(client.call("CONFIG", "GET", "maxmemory")[1], b"%d" % number, "the same number")
    equal(client.call("CONFIG", "SET", "maxmemory-clients", "10%"), "OK", "a share")
    equal(client.call("CONFIG", "GET", "maxmemory-clients")[1], b"10%", "a share")
    equal(t.memcached(server).stats()["limit_maxbytes"], str(number), "limit_maxbytes")


@case(limit=40)
def it_says_why_it_evicts(t):
    server = t.start("--maxmemory=%d" % ((24 if RSS_COUNTS else 512) * MIB), "--explain")
    write(t, server, 60000, 1000)
    if RSS_COUNTS:
        within(5, lambda: "evict: limit: shard" in server.log_text(), "no word of eviction")
        lines = server.log_text().count("upkeep: ")
        true(lines <= 60, "%d lines in some seconds" % lines)


# Sizes before, percent deleted at random, sizes after: W1 to W8 of bench/README.md.
WORKLOADS = ((100, 100, 0, 0, 0), (100, 100, 0, 130, 130), (100, 100, 90, 130, 130),
             (100, 150, 0, 200, 250), (100, 150, 90, 200, 250), (100, 200, 50, 1000, 2000),
             (1000, 2000, 90, 1500, 2500), (50, 150, 90, 5000, 15000))


class SlowReader:
    """A client that asks for large values again and again and takes 64 KiB of them at a time."""

    def __init__(self, server):
        self.server, self.ends, self.taken = server, False, 0
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _take(self, reader):
        """Until there is no more, or the server has closed it for holding too much."""
        while not self.ends:
            try:
                got = len(reader.socket.recv(65536))
            except TimeoutError:
                return True
            self.taken += got
            if got == 0:
                return False
            time.sleep(0.02)

    def _run(self):
        while not self.ends:
            reader = talk.Resp(self.server.resp_port, receive_bytes=4096)
            reader.timeout = 0.5
            try:
                reader.send(b"".join(talk.command("GET", "large:%d" % n) for n in range(4)))
                while self._take(reader):
                    reader.send(talk.command("GET", "large:0"))
            except (OSError, talk.Closed):
                pass
            reader.close()

    def close(self):
        self.ends = True
        self.thread.join()


def write_sizes(server, least, most, total_bytes, name):
    """Values of five sizes of that range at once, with ten clients each."""
    sizes = [least + (most - least) * n // 4 for n in range(5)]
    runs = [subprocess.Popen(
        [program("redis-benchmark"), "-p", str(server.resp_port), "-c", str(CONNECTIONS // 5), "-P",
         "16", "-n", str(max(200, total_bytes // 5 // (size + 25) // SCALE)), "-r", "1000000000",
         "-q", "set", "%s:%d:__rand_int__" % (name, n), "x" * size],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for n, size in enumerate(sizes)]
    for run in runs:
        text = run.communicate()[0]
        true(run.returncode == 0 and b"rror" not in text, text)


def delete_at_random(client, percent):
    chance, cursor = random.Random(percent), b"0"
    while percent > 0:
        cursor, keys = client.call("SCAN", cursor, "COUNT", "1000")
        victims = [key for key in keys if chance.randrange(100) < percent]
        if victims:
            client.call("UNLINK", *victims)
        if cursor == b"0":
            return


def run_workload(server, client, workload, total, name):
    least, most, percent, after_least, after_most = workload
    for large in range(4):
        equal(client.call("SET", "large:%d" % large, bytes(MIB)), "OK", "SET")
    write_sizes(server, least, most, total, "before" + name)
    delete_at_random(client, percent)
    if after_most > 0:
        write_sizes(server, after_least, after_most, total, "after" + name)


def stalls_of(metrics):
    """Turns of event loops: how many took more than 5 ms, and a bound that all kept."""
    name = "ebb_loop_stall_seconds"
    count = metrics.sum(name + "_count")
    bounds = {float(labels["le"]) for labels, _ in metrics.all(name + "_bucket")}
    within_bound = {bound: sum(value for labels, value in metrics.all(name + "_bucket")
                               if float(labels["le"]) == bound) for bound in bounds}
    kept = min(bound for bound in bounds if within_bound[bound] == count)
    return count - within_bound[0.005], "none over %g ms" % (kept * 1000) if kept < 2 else "some over 1 s"


@case(limit=1800 if LONG else 120)
def workloads_one_after_another_stay_below_it(t):
    """W1 to W8 under one limit, so much written in each phase that most of it must go again, with
    clients that read large values slowly. `make soak` runs all of it."""
    limit = 256 * MIB if LONG and RSS_COUNTS else LIMIT
    chosen = WORKLOADS if LONG else [WORKLOADS[w - 1] for w in (6, 8)]
    server = t.start("--maxmemory=%d" % limit)
    client = t.resp(server)
    watch, neighbour = t.own(Watch(server)), t.own(Neighbour(server.resp_port, True))
    readers = [t.own(SlowReader(server)) for _ in range(5)]
    total = (4 if LONG else 1) * limit if RSS_COUNTS else limit // 4
    for workload in chosen:
        number = WORKLOADS.index(workload) + 1
        before, watch.high = server.metrics(), 0
        run_workload(server, client, workload, total, str(number))
        metrics = no_errors(server, "W%d" % number)
        bounded(t, watch, limit, "W%d" % number)
        t.measured("W%d: %d keys evicted, %d of them while more than 5 %% of the limit was "
                   "compactable; %d turns of a loop took over 5 ms, %s so far" % (
                       (number, *(metrics.sum(name) - before.sum(name) for name in
                                  ("ebb_evictions_total", "ebb_evicted_while_compactable_total")),
                        stalls_of(metrics)[0] - stalls_of(before)[0], stalls_of(metrics)[1])))
    for reader in readers:
        reader.close()
    taken = sum(reader.taken for reader in readers)
    true(taken > 0, "the slow readers have taken nothing")
    neighbour.close()
    equal(neighbour.error, None, "the neighbour")
    metrics = no_errors(server, "all")
    evicted = metrics.sum("ebb_evictions_total")
    early = metrics.one("ebb_evicted_while_compactable_total")
    t.measured("longest wait of a client beside them %.1f ms; %d of %d evicted while more than "
               "5 %% of the limit was compactable" % (neighbour.longest * 1000, early, evicted))
    true(SCALE > 1 or not RSS_COUNTS or evicted > 1000, "nothing was evicted")
    true(early <= evicted / 1000, "%d of %d evicted while compaction had more" % (early, evicted))
    true(neighbour.longest < (2 if RSS_COUNTS else 20), "a wait of %.3f s" % neighbour.longest)
