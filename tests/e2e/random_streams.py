# SPDX-License-Identifier: MIT
"""Random commands, valid and not, for Ebb and for the real server beside it; every reply the same.

The stream is made once from a printed seed, pipelined, and cut at random bytes, at other places
for each server. E2E_SEED repeats a run, E2E_COMMANDS makes it longer. Replies whose order
or moment is nobody's promise are compared as far as the promise goes: see comparable_resp().
"""

import base64
import os
import random
import re
import time

import talk
from case import SCALE, case, equal, shown, true
from protocol import start_memcached, start_redis, unnumbered
from random_memcached import MemcachedMaker
from random_resp import FAR_AWAY, RespMaker

COMMANDS = int(os.environ.get("E2E_COMMANDS") or 50000) // SCALE
BATCH = 250
OWN = ("HELLO", "TIME", "INFO", "SLOWLOG", "LATENCY")  # replies with addresses, versions and times
LIMIT = max(90, COMMANDS // 800)  # seconds


def comparable_resp(name, raw, apart):
    """A reply with what may differ taken out: order of keys, choice of a key, the last second, and as
    many seconds as the servers' replies may lie apart."""
    value = talk.decode(raw)
    if name == "RANDOMKEY" and not isinstance(value, talk.Error):
        return raw[:1] == b"$" and value is not None
    if name == "LASTSAVE" and isinstance(value, int):
        return "when it was started"
    if name == "KEYS" and isinstance(value, list):
        return sorted(value)
    if name in OWN and not isinstance(value, talk.Error):
        return "its own"
    if name == "COMMAND" and (value if isinstance(value, int) else len(value or "")) > 50 and \
            not isinstance(value, talk.Error):
        return "all commands"
    if isinstance(value, bytes) and b" laddr=" in value:
        return "clients"
    if name == "SCAN" and isinstance(value, list):
        return "some keys"  # a page is filled as the server's table likes
    if name in ("TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME") and isinstance(value, int) and value > 0:
        if value > FAR_AWAY:
            return "far away"  # protocol.DIFFERENCES: Ebb has a last year
        return Near(value, 1 + apart if name in ("TTL", "EXPIRETIME") else 1000 * (1 + apart))
    return raw


class Near:
    def __init__(self, number, slack):
        self.number, self.slack = number, slack

    def __eq__(self, other):
        return isinstance(other, Near) and abs(self.number - other.number) <= self.slack

    def __repr__(self):
        return "%d or so" % self.number


def send_in_pieces(wire, data, chance):
    """Cuts the stream anywhere; some pieces arrive alone."""
    at = 0
    while at < len(data):
        most = chance.choice([1, 7, 100, 4000, 65536, 65536, 65536])
        size = chance.randrange(1, most + 1)
        wire.send(data[at:at + size])
        at += size
        if chance.random() < 0.05:
            time.sleep(0.0005)


def exchange_in_pieces(wire, data, chance, count):
    send_in_pieces(wire, data, chance)
    return [wire.reply_bytes() for _ in range(count)]


def compare_resp(t, version):
    seed = int(os.environ.get("E2E_SEED") or random.randrange(1 << 32))
    t.note("seed %d" % seed)
    chance = random.Random(seed)
    maker = RespMaker(chance)
    ours, theirs = t.resp(), t.own(talk.Resp(start_redis(t)))
    if version == 3:
        ours.call("HELLO", 3)
        theirs.call("HELLO", 3)
    done, errors, longest = 0, 0, 0
    while done < COMMANDS:
        batch = maker.batch(min(BATCH, COMMANDS - done))
        stream = b"".join(request for _, request in batch)
        begin = time.monotonic()
        wanted = exchange_in_pieces(theirs, stream, chance, len(batch))
        got = exchange_in_pieces(ours, stream, chance, len(batch))
        longest = max(longest, time.monotonic() - begin)
        apart = 2 * longest  # when the time was set, and now
        for index, (name, request) in enumerate(batch):
            mine, other = (comparable_resp(name, raw[index], apart) for raw in (got, wanted))
            errors += wanted[index].startswith(b"-")
            if mine != other:
                equal(mine, other, "command %d %s" % (done + index, shown(request)))
        done += len(batch)
    t.note("%d commands, %d of them answered with an error" % (done, errors))
    for database in (0, 1, 2):
        ours.call("SELECT", database)
        theirs.call("SELECT", database)
        keys = sorted(theirs.call("KEYS", "*"))
        equal(sorted(ours.call("KEYS", "*")), keys, "the keys of database %d" % database)
        for key in keys:
            equal(ours.call("GET", key), theirs.call("GET", key), "the value of %r" % key)


@case(limit=LIMIT)
def resp2_stream_is_answered_as_by_redis(t):
    compare_resp(t, 2)


@case(limit=LIMIT)
def resp3_stream_is_answered_as_by_redis(t):
    compare_resp(t, 3)


MARK = b"VALUE mark 0 %d\r\n%b\r\nEND\r\n"
GETS_NUMBER = re.compile(rb"(VALUE (\S+) \d+ \d+) (\d+)(?=\r\n)")
A_NUMBER = re.compile(rb"VALUE (?P<key>\S+) \d+ \d+ (?P<number>\d+)$"
                      rb"|(?:HD|VA \d+) c(?P<of_meta>\d+) k(?P<meta_key>\S+)")
NUMBERED = (b"VALUE ", b"HD c", b"VA ")  # lines that may have one begin so
META_DEBUG = re.compile(rb"(exp|la|cas|cls|size)=-?\d+")
NUMBER_VALUE = re.compile(rb"(VALUE n\d \d+) \d+( #)?\r\n(\d+) *\r\n")


def comparable_memcached(answer):
    """CAS numbers are each server's own; blanks behind a number are nobody's promise."""
    answer = NUMBER_VALUE.sub(rb"\1 ?\2\r\n\3\r\n", GETS_NUMBER.sub(rb"\1 #", answer))
    return META_DEBUG.sub(rb"\1=#", unnumbered(answer))


def are_same(got, wanted):
    """Whether answers are comparable. Most lines are the same as they are: looking through the bytes of
    values for what may differ would take most of the time."""
    mine, other = got.split(b"\r\n"), wanted.split(b"\r\n")
    index = 0
    while len(mine) == len(other) and index < len(mine):
        lines = 2 if mine[index].startswith(b"VALUE n") else 1
        here = slice(index, index + lines)
        if mine[here] != other[here] and (
                comparable_memcached(b"\r\n".join(mine[here] + [b""])) !=
                comparable_memcached(b"\r\n".join(other[here] + [b""]))):
            break
        index += lines
    else:
        return len(mine) == len(other)
    return comparable_memcached(got) == comparable_memcached(wanted)


def marked(wire, commands, token, send):
    """Sends commands and one that ends them; returns all replies before the mark."""
    send(wire, commands + b"set mark 0 0 %d noreply\r\n%b\r\nget mark\r\n" % (len(token), token))
    mark = MARK % (len(token), token)
    return wire.until(mark)[:-len(mark)]


@case(limit=LIMIT)
def memcached_stream_is_answered_as_by_memcached(t):
    """memcached itself is asked command by command: a get of a key too long makes 1.6.18 forget the
    replies it still owes. CAS numbers are used with the server that gave them out."""
    seed = int(os.environ.get("E2E_SEED") or random.randrange(1 << 32))
    t.note("seed %d" % seed)
    chance = random.Random(seed)
    maker = MemcachedMaker(chance)
    ours, theirs = t.memcached(), t.own(talk.Memcached(start_memcached(t)))
    numbers = {ours: {}, theirs: {}}

    def make(wire, state):
        chance.setstate(state)
        given = dict(numbers[wire])
        return [maker.make(lambda key: given.get(key, b"%d" % (2**60))) for _ in range(BATCH)]

    def note_numbers(wire, answer):
        for line in answer.split(b"\r\n"):
            found = A_NUMBER.match(line) if line.startswith(NUMBERED) else None
            if found:
                numbers[wire][found["key"] or found["meta_key"]] = found["number"] or found["of_meta"]

    for done in range(0, COMMANDS, BATCH):
        state = chance.getstate()
        batch, wanted = make(theirs, state), []
        for index, request in enumerate(batch):
            answer = marked(theirs, request, b"%d" % (done + index), talk.Wire.send)
            note_numbers(theirs, answer)
            wanted.append(answer)
        answer = marked(ours, b"".join(make(ours, state)), b"%d" % done,
                        lambda wire, data: send_in_pieces(wire, data, random.Random(done)))
        note_numbers(ours, answer)
        if not are_same(answer, b"".join(wanted)):
            explain_memcached(done, batch, comparable_memcached(answer),
                              [comparable_memcached(one) for one in wanted])
    true(numbers[theirs], "no CAS number was ever seen")
    for key in maker.texts:
        equal(ours.get(key.decode()), theirs.get(key.decode()), "the value of %r" % key)


def explain_memcached(done, batch, got, wanted):
    """Names the first command whose reply differs, and those before it about the same key."""
    at = index = 0
    while got[at:at + len(wanted[index])] == wanted[index]:
        at += len(wanted[index])
        index += 1
    def names(request):
        words = request.split(b"\r\n")[0].split(b" ")
        return {base64.b64decode(word) if words[0][:1] == b"m" and b"b" in words and word == words[1]
                else word for word in words[1:]}

    about = [shown(c, 90) for c in batch[:index] if names(c) & names(batch[index]) &
             set(MemcachedMaker(None).keys)]
    part = next((i for i, (a, b) in enumerate(zip(got[at:], wanted[index])) if a != b), 0)
    start = max(0, part - 60)
    equal(got[at + start:at + part + 60], wanted[index][start:part + 60],
          "command %d %s after\n  %s\nfrom byte %d of the reply" % (
              done + index, shown(batch[index], 100), "\n  ".join(about[-10:]), start))
