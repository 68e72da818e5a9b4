# SPDX-License-Identifier: MIT
"""Random commands, valid and not, for Ebb and for the real server beside it; every reply the same.

The stream is made once from a printed seed, pipelined, and cut at random bytes, at other places
for each server. E2E_SEED repeats a run, E2E_COMMANDS makes it longer. Replies whose order
or moment is nobody's promise are compared as far as the promise goes: see comparable_resp().
"""

import base64
import glob
import os
import random
import re
import time

import script
import talk
from case import SCALE, case, equal, shown, true
from protocol import WIRE, DIFFERENCES, start_memcached, start_redis, unnumbered

COMMANDS = int(os.environ.get("E2E_COMMANDS") or 50000) // SCALE
BATCH = 250
LIMIT = max(90, COMMANDS // 800)  # seconds

KEYS = [b"k%d" % n for n in range(24)] + [b"", b"K1", b"bin\x00\r\n", b"long" * 60, b"big" * 4000]
NUMBERS = [0, 1, -1, 2, 7, 10, 100, 4096, 2**31, 2**32, 2**63 - 1, -2**63, 2**63, 2**64, 10**30,
           "ten", "1.5", "", " 1", "01", "+1", "-0", "0x10"]
# The last that is in range is inside Ebb's 48 bits of milliseconds (DIFFERENCES in protocol.py).
WRONG_SECONDS = [0, -1, 2**63 - 1, 2**37, "ten", ""]
FAR_AWAY = 200 * 10**9
PATTERNS = ["*", "k*", "k?", "k[0-9]", "k[^1]*", "nothing*", "*1*", "[", "\\k1", "k1", "?"]


BIT_KINDS = ("SETBIT", "GETBIT", "BITCOUNT", "BITPOS", "BITOP", "BITFIELD", "BITFIELD_RO")
# Whose replies comparable_resp() must know by their names, or which end a transaction.
UNFIT_INSIDE = ("RANDOMKEY", "KEYS", "SCAN", "TTL", "PTTL", "EXEC", "DISCARD", "MULTI", "RESET",
                "QUIT")


def value_of(chance):
    kind = chance.random()
    if kind < 0.35:
        number = chance.randrange(10**6)
        return b"%d" % chance.choice([0, 1, -5, 17, 2**62, -2**63, 2**63 - 1, number])
    if kind < 0.85:
        return chance.randbytes(chance.choice([0, 1, 3, 20, 60, 100, 200, 500]))
    if kind < 0.97:
        return chance.randbytes(chance.randrange(1000, 9000))
    return chance.randbytes(chance.choice([16383, 16384, 40000, 65536, 70000, 300000]))


def seconds(chance):
    """Far away, and hardly ever twice the same: GT and LT would then ask for the millisecond."""
    return chance.choice(WRONG_SECONDS) if chance.random() < 0.3 else chance.randrange(10**5, 10**6)


def letters(chance, word):
    return chance.choice([word, word, word.lower(), word.title()])


class RespMaker:
    """Makes commands. Times are far away or long gone, so that no reply depends on the moment."""

    def __init__(self, chance):
        self.chance = chance
        self.scripted = []
        # No end of the connection, no other protocol version, nothing that waits.
        unfit = "|".join(["quit.*", "hello.*", "reset", "multi", r".*\b30", r".*PX \d\d",
                          ".*(EXAT|PXAT) 1", ".* (GT|LT)"] + [request for _, request, _, _ in DIFFERENCES])
        for path in sorted(glob.glob(os.path.join(WIRE, "[!m]*.txt"))):
            if path.endswith("raw.txt"):
                continue
            for step in script.load(path):
                if step.kind == ">" and not re.fullmatch(unfit, step.text, re.IGNORECASE):
                    self.scripted.append(step.request(False))

    def time_option(self):
        word = self.chance.choice(["EX", "PX", "EXAT", "PXAT"])
        number = seconds(self.chance)
        if isinstance(number, int) and 0 < number < 2**50:
            number = {"EX": number, "PX": number * 1000, "EXAT": number + int(time.time()),
                      "PXAT": (number + int(time.time())) * 1000}[word]
        return [letters(self.chance, word), number]

    def words(self):
        chance = self.chance
        key, other, value = chance.choice(KEYS), chance.choice(KEYS), value_of(chance)
        kind = chance.choice((
            "SET SET SET SET SETO SETO SETO GET GET GET GET MGET MSET APPEND STRLEN INCR DECR "
            "INCRBY DECRBY DEL DEL UNLINK EXISTS TYPE EXPIRE EXPIRE PEXPIRE EXPIREAT PEXPIREAT TTL "
            "PTTL PERSIST GETSET GETDEL GETEX SETNX SETEX PSETEX KEYS SCAN DBSIZE SELECT RANDOMKEY "
            "PING ECHO FLUSH NONSENSE SETBIT SETBIT GETBIT BITCOUNT BITPOS BITOP BITFIELD BITFIELD "
            "BITFIELD_RO LCS COPY MOVE SWAPDB STRAY").split())
        if kind in BIT_KINDS:
            return self.bit_words(kind, key)
        if kind == "LCS":
            return [kind, key, other] + chance.sample(
                ["IDX", "LEN", "WITHMATCHLEN", "MINMATCHLEN", 2, "BOGUS"],
                chance.choice([0, 0, 1, 1, 2, 3]))
        if kind == "COPY":
            return [kind, key, other] + chance.choice(
                [[], [], ["REPLACE"], ["DB", 1], ["DB", 2, "REPLACE"], ["REPLACE", "DB", 16],
                 ["DB"], ["BOGUS"]])
        if kind == "MOVE":
            return [kind, key, chance.choice([0, 1, 1, 2, 2, 16, "x"])]
        if kind == "SWAPDB":
            return [kind, chance.choice([0, 1, 2, 16, "x"]), chance.choice([0, 1, 2, -1, "y"])]
        if kind == "STRAY":
            return [chance.choice(["EXEC", "DISCARD", "UNWATCH"])]
        if kind == "SETO":
            words = ["SET", key, value]
            for _ in range(chance.randrange(1, 4)):
                words += chance.choice([["NX"], ["XX"], ["GET"], ["KEEPTTL"], self.time_option(),
                                        self.time_option(), ["BOGUS"]])
            return words
        if kind in ("GET", "STRLEN", "INCR", "DECR", "TYPE", "TTL", "PTTL", "PERSIST", "GETDEL"):
            return [kind, key]
        if kind in ("SET", "APPEND", "GETSET", "SETNX"):
            return [kind, key, value]
        if kind in ("INCRBY", "DECRBY"):
            return [kind, key, chance.choice(NUMBERS)]
        if kind in ("DEL", "UNLINK", "EXISTS", "MGET"):
            return [kind] + [chance.choice(KEYS) for _ in range(chance.randrange(1, 6))]
        if kind == "MSET":
            return [kind, key, value, other, value_of(chance)]
        if kind in ("SETEX", "PSETEX"):
            return [kind, key, seconds(chance), value]
        if kind in ("EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT"):
            number = seconds(chance)
            if isinstance(number, int) and 0 < number < 2**50:
                number += int(time.time()) if kind.endswith("AT") else 0
                number *= 1000 if kind.startswith("P") else 1
            options = ["NX", "XX", "GT", "LT", "BOGUS"]
            return [kind, key, number] + [chance.choice(options)
                                          for _ in range(chance.choice([0, 0, 0, 1, 1, 2]))]
        if kind == "GETEX":
            return [kind, key] + chance.choice([[], ["PERSIST"], self.time_option(), ["BOGUS"]])
        if kind == "KEYS":
            return [kind, chance.choice(PATTERNS)]
        if kind == "SCAN":
            return [kind, chance.choice([0, 0, 0, "ten"]), "COUNT", 1000, "MATCH",
                    chance.choice(PATTERNS)]
        if kind == "SELECT":
            return [kind, chance.choice([0, 0, 0, 0, 1, 2, 16, "x"])]
        if kind == "FLUSH":
            if chance.random() < 0.8:
                return ["PING", value]
            return chance.choice([["FLUSHDB"], ["FLUSHALL", "ASYNC"], ["FLUSHDB", "BOGUS"]])
        if kind == "NONSENSE":
            return [chance.randbytes(chance.randrange(1, 30)).replace(b"\0", b"0"), value[:300]]
        return {"DBSIZE": ["DBSIZE"], "RANDOMKEY": ["RANDOMKEY"], "PING": ["PING"],
                "ECHO": ["ECHO", value]}[kind]

    def bit_words(self, kind, key):
        chance = self.chance

        def place():
            return chance.choice([0, 1, 7, 8, 63, 64, chance.randrange(300), chance.randrange(5000),
                                  -1, 2**32, "#1", "x"])

        def number():
            # Not below -2**62: DIFFERENCES in protocol.py.
            return chance.choice([0, 1, -1, 5, -2**62, 2**63 - 1, chance.randrange(-300, 300),
                                  chance.randrange(2**40), "x"])

        if kind == "SETBIT":
            return [kind, key, place(), chance.choice([0, 1, 1, 1, 2])]
        if kind == "GETBIT":
            return [kind, key, place()]
        if kind in ("BITCOUNT", "BITPOS"):
            words = [kind, key] + ([chance.choice([0, 1, 1, 0, 2])] if kind == "BITPOS" else [])
            ends = [chance.choice([0, 1, 5, -1, -3, 17, 2000, "x"]) for _ in "12"]
            unit = [letters(chance, chance.choice(["BIT", "BYTE", "BIT", "BYTE", "BOGUS"]))]
            return words + (ends + unit)[:chance.choice([0, 1, 2, 2, 3, 3])]
        if kind == "BITOP":
            sources = [chance.choice(KEYS) for _ in range(chance.choice([1, 1, 2, 3, 5]))]
            return [kind, letters(chance, chance.choice(["AND", "OR", "XOR", "NOT", "NAND"])),
                    key] + sources
        words = [kind, key]
        for _ in range(chance.randrange(4)):
            width = chance.choice([1, 2, 8, 16, 31, 32, 33, 63, 64, 65])
            field = [chance.choice("iu") + str(width), place()]
            words += chance.choice([["GET"] + field, ["GET"] + field, ["SET"] + field + [number()],
                                    ["INCRBY"] + field + [number()],
                                    ["OVERFLOW", chance.choice(["WRAP", "SAT", "FAIL", "BOGUS"])]])
        return words

    def transaction(self):
        """[(name, bytes)] from MULTI to EXEC. What is comparable on its own only is left out."""
        chance = self.chance
        commands = [("WATCH", talk.command("WATCH", chance.choice(KEYS), chance.choice(KEYS)))]
        commands += [self.make() for _ in range(chance.choice([0, 0, 1]))]
        if chance.random() < 0.5:
            commands = []
        commands.append(("MULTI", talk.command("MULTI")))
        for _ in range(chance.randrange(8)):
            name, request = self.make()
            if name not in UNFIT_INSIDE:
                commands.append((name, request))
        last = chance.choice(["EXEC", "EXEC", "EXEC", "EXEC", "DISCARD"])
        return commands + [(last, talk.command(last))]

    def batch(self, count):
        commands = []
        while len(commands) < count:
            commands += self.transaction() if self.chance.random() < 0.03 else [self.make()]
        return commands

    def make(self):
        """(name, bytes) of one command."""
        chance, kind = self.chance, self.chance.random()
        if kind < 0.15:
            request = chance.choice(self.scripted)
            return talk.decode(request)[0].upper().decode("latin-1"), request
        words = self.words()
        if kind < 0.22:  # a word too many, too few, or at the wrong place
            at = chance.randrange(1, len(words) + 1)
            words = chance.choice([words[:at], words[:at] + [b"surplus"] + words[at:],
                                   words + [words[-1]]])
        words[0] = letters(chance, words[0]) if isinstance(words[0], str) else words[0]
        name = talk.bytes_of(words[0]).upper().decode("latin-1")
        if kind < 0.30 and all(re.fullmatch(rb"[a-zA-Z0-9*]+", talk.bytes_of(w)) for w in words) \
                and sum(map(len, map(talk.bytes_of, words))) < 10000:
            return name, b" ".join(map(talk.bytes_of, words)) + b"\r\n"
        return name, talk.command(*words)


def comparable_resp(name, raw, apart):
    """A reply with what may differ taken out: order of keys, choice of a key, the last second, and as
    many seconds as the servers' replies may lie apart."""
    value = talk.decode(raw)
    if name == "RANDOMKEY" and not isinstance(value, talk.Error):
        return raw[:1] == b"$" and value is not None
    if name == "KEYS" and isinstance(value, list):
        return sorted(value)
    if name == "SCAN" and isinstance(value, list):
        return "some keys"  # a page is filled as the server's table likes
    if name in ("TTL", "PTTL") and isinstance(value, int) and value > 0:
        if value > FAR_AWAY:
            return "far away"  # protocol.DIFFERENCES: Ebb has a last year
        return Near(value, 1 + apart if name == "TTL" else 1000 * (1 + apart))
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


class MemcachedMaker:
    """Makes commands that leave the stream in step: what is wrong is wrong in its line."""

    def __init__(self, chance):
        self.chance = chance
        self.numbers = [b"n%d" % n for n in range(8)]
        self.texts = [b"k%d" % n for n in range(10)] + [b"K" * 250]
        self.keys = self.numbers + self.texts

    def make(self, unique):
        """Bytes of one command; unique(key) is the CAS number that this server gave out."""
        chance = self.chance
        key, noreply = chance.choice(self.keys), chance.choice([b"", b"", b"", b" noreply"])
        kind = chance.choice(b"set set set set add replace append prepend cas get get get gets gat "
                             b"gats delete incr incr decr touch flush_all verbosity bad bad "
                             b"mg mg mg mg ms ms ms ms md md ma ma me mn badmeta".split())
        if kind in (b"mg", b"ms", b"md", b"ma", b"me", b"mn", b"badmeta"):
            return self.meta(kind, unique)
        if kind in (b"set", b"add", b"replace", b"append", b"prepend", b"cas"):
            # memcached reads on behind a value of white space or of 2^63 and more, and pads a
            # number that got shorter with blanks or not, as the moment has it.
            value = value_of(chance).lstrip()
            if re.fullmatch(rb"\d{19}", value):
                value = value[:18]
            if kind in (b"append", b"prepend"):
                key = chance.choice(self.texts)
            tail = b""
            if kind == b"cas":
                wrong = b"%d" % (2**60 + chance.randrange(9))
                tail = b" " + (unique(key) if chance.random() < 0.7 else wrong)
            flags = chance.choice([0, 0, 1, 77, 2**32 - 1])
            exptime = chance.choice([0, 0, 0, 0, 0, 0, 10000, 100000, -1])
            return b"%b %b %d %d %d%b%b\r\n%b\r\n" % (kind, key, flags, exptime, len(value), tail,
                                                    noreply, value)
        if kind in (b"get", b"gets"):
            return kind + b"".join(b" " + chance.choice(self.keys)
                                   for _ in range(chance.choice([1, 1, 2, 5, 30]))) + b"\r\n"
        if kind in (b"gat", b"gats"):
            return b"%b %d %b %b\r\n" % (kind, chance.choice([0, 1000, 100000]), key,
                                         chance.choice(self.keys))
        if kind in (b"incr", b"decr"):
            return b"%b %b %d%b\r\n" % (kind, chance.choice(self.numbers),
                                       chance.choice([0, 1, 5, 1000, 2**40]), noreply)
        if kind == b"touch":
            return b"touch %b %d%b\r\n" % (key, chance.choice([0, 1000, -1]), noreply)
        if kind == b"flush_all":
            return b"flush_all%b\r\n" % noreply if chance.random() < 0.1 else b"get %b\r\n" % key
        if kind == b"verbosity":
            return b"verbosity 0%b\r\n" % noreply
        if kind == b"delete":
            return b"delete %b%b\r\n" % (key, noreply)
        return chance.choice([b"nonsense\r\n", b"get\r\n", b"incr %b x\r\n" % key, b"touch\r\n",
                              b"delete %b 7\r\n" % key, b"decr %b -1\r\n" % key,
                              b"GET %b\r\n" % key, b"set %b\r\n" % key,
                              b"get %b\r\n" % (b"x" * 251),
                              b"incr %b\r\n" % key, b"flush_all bogus\r\n", b"gat x %b\r\n" % key])


    def shuffled(self, flags):
        self.chance.shuffle(flags)
        return b"".join(b" " + flag for flag in flags)

    def meta(self, kind, unique):
        """Bytes of one meta command. What is noted of an item is asked of texts only: memcached keeps
        it over an incr or not, as the moment has it."""
        chance = self.chance
        if kind == b"mn":
            return b"mn\r\n"
        key = chance.choice(self.numbers if kind == b"ma" else self.texts)
        if kind == b"badmeta":
            return self.bad_meta(key)
        spelled, flags = key, []
        if chance.random() < 0.2 and len(key) < 100:
            spelled, flags = base64.b64encode(key), [b"b"]
        if kind == b"me":
            return b"me %b%b\r\n" % (spelled, b" b" if flags else b"")
        flags += [flag for flag in (b"k", b"q", b"O%d" % chance.randrange(1000))
                  if chance.random() < 0.3]
        if kind in (b"ms", b"md", b"ma") and chance.random() < 0.2:
            flags.append(b"C" + (unique(key) if chance.random() < 0.7 else b"%d" % 2**60))
        if chance.random() < 0.15 and kind in (b"mg", b"md"):
            flags.append(b"T%d" % chance.choice([0, 0, 1000, 100000, -1]))
        if kind == b"mg":
            return self.meta_get(spelled, flags)
        if kind == b"ma":  # without T, which memcached forgets when the number gets longer
            flags += [flag for flag in (b"v", b"t", b"D%d" % chance.choice([0, 1, 99, 2**40]),
                                        b"M" + chance.choice([b"I", b"D", b"+", b"-"]),
                                        b"J%d" % chance.choice([0, 5, 10**6]),
                                        b"N%d" % chance.choice([0, 100000]))
                      if chance.random() < 0.3]
            return b"ma %b%b\r\n" % (spelled, self.shuffled(flags))
        if kind == b"md":
            if chance.random() < 0.5:
                flags.append(b"I")
            return b"md %b%b\r\n" % (spelled, self.shuffled(flags))
        value = value_of(chance).lstrip()
        flags += [flag for flag in (b"I", b"F%d" % chance.choice([0, 1, 2**32 - 1]),
                                    b"M" + chance.choice([b"E", b"A", b"P", b"R", b"S"]),
                                    b"T%d" % chance.choice([0, 0, 10000, -1]))
                  if chance.random() < 0.3]
        return b"ms %b %d%b\r\n%b\r\n" % (spelled, len(value), self.shuffled(flags), value)

    def meta_get(self, key, flags):
        chance = self.chance
        flags += [flag for flag in (b"v", b"v", b"s", b"f", b"t", b"h", b"l", b"u",
                                    b"N%d" % chance.choice([0, 0, 100000, -1]),
                                    b"R%d" % chance.choice([0, 30, 1000000]))
                  if chance.random() < 0.25 and flag not in flags]
        if chance.random() < 0.3:  # in this order the number can be told from the reply
            flags = [flag for flag in flags if flag not in (b"b", b"k")]
            return b"mg %b c k%b\r\n" % (key, self.shuffled(flags)) if b"=" not in key else b"mn\r\n"
        return b"mg %b%b\r\n" % (key, self.shuffled(flags))

    def bad_meta(self, key):
        chance = self.chance
        flag = chance.choice([b"z", b"v v", b"Tx", b"Cx", b"Fx", b"MX", b"M", b"1", b"O" + b"o" * 32,
                              b"Jx q", b"Dx k"])
        verb = chance.choice([b"mg", b"ms", b"md", b"ma"])
        if verb == b"ms":
            return b"ms %b 3 %b\r\nmn\n\r\n" % (key, flag)
        # memcached has added when it finds the opaque too long.
        return b"%b %b %b\r\n" % (verb, key, flag) if flag[:1] != b"O" else b"%b\r\n" % verb


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
