# SPDX-License-Identifier: MIT
"""Makes random RESP commands, valid and not, for random_streams.py."""

import glob
import os
import re
import time

import script
import talk
from protocol import DIFFERENCES, WIRE


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


KEYS = [b"k%d" % n for n in range(24)] + [b"", b"K1", b"bin\x00\r\n", b"long" * 60, b"big" * 4000]
NUMBERS = [0, 1, -1, 2, 7, 10, 100, 4096, 2**31, 2**32, 2**63 - 1, -2**63, 2**63, 2**64, 10**30,
           "ten", "1.5", "", " 1", "01", "+1", "-0", "0x10"]
# The last that is in range is inside Ebb's 48 bits of milliseconds (DIFFERENCES in protocol.py).
WRONG_SECONDS = [0, -1, 2**63 - 1, 2**37, "ten", ""]
FAR_AWAY = 200 * 10**9
PATTERNS = ["*", "k*", "k?", "k[0-9]", "k[^1]*", "nothing*", "*1*", "[", "\\k1", "k1", "?"]


ENDS = [0, 0, 1, 5, -1, -1, -3, 17, 100, 2000, -5000, 2**31, 2**63 - 1, -2**63, 2**63, "x", ""]
FLOATS = ["1", "-1", "0.1", "1e3", "-2.5e-5", "3.0", "100000000000000000000", "1e400", "inf", "-inf",
          "nan", "x", "", " 1", "1 ", "0x10", "1e", ".5", "5.", "+1", "-0", "1e-400", "1e17", "0.5"]
CLIENT_LINES = (
    "CLIENT GETNAME|CLIENT SETNAME me|CLIENT SETNAME |CLIENT SETNAME a b|CLIENT NO-EVICT on|"
    "CLIENT NO-EVICT x|CLIENT BOGUS|CLIENT|CLIENT REPLY x|CLIENT REPLY ON|CLIENT KILL x|"
    "CLIENT KILL ID x|CLIENT KILL ID 99999999|CLIENT KILL TYPE bogus|CLIENT KILL ADDR 1.1.1.1:1|"
    "CLIENT KILL ADDR 1.1.1.1:1 SKIPME maybe|CLIENT KILL USER nobody|CLIENT LIST TYPE x|"
    "CLIENT LIST ID|CLIENT LIST ID x|CLIENT LIST x|CLIENT GETREDIR|CLIENT TRACKINGINFO|"
    "CLIENT TRACKING OFF|CLIENT TRACKING x|CLIENT TRACKING OFF BCAST|CLIENT TRACKING OFF REDIRECT x|"
    "CLIENT TRACKING OFF REDIRECT 99999|CLIENT TRACKING OFF PREFIX a NOLOOP|CLIENT TRACKING x BOGUS|HELLO 4|HELLO x|HELLO 3 BOGUS|HELLO 2 AUTH a|"
    "HELLO 3 SETNAME|AUTH x|AUTH default x|AUTH bob x|AUTH a b c").split("|")
COMMAND_LINES = (
    "COMMAND GETKEYS SET a b|COMMAND GETKEYS GET|COMMAND GETKEYS MSET a 1 b 2|COMMAND GETKEYS MSET a|"
    "COMMAND GETKEYS PING|COMMAND GETKEYS nosuch a|COMMAND GETKEYS EVAL x 2 a b c|"
    "COMMAND GETKEYS EVAL x 3 a|COMMAND GETKEYS EVAL x -1 a|COMMAND GETKEYS EVAL x y a|"
    "COMMAND GETKEYS BITOP AND a b c|COMMAND GETKEYSANDFLAGS SET a b GET|COMMAND GETKEYS OBJECT FREQ a|"
    "COMMAND GETKEYSANDFLAGS COPY a b|COMMAND INFO nosuch|COMMAND BOGUS|COMMAND LIST FILTERBY|"
    "COMMAND LIST FILTERBY MODULE x|COMMAND LIST FILTERBY ACLCAT x|COMMAND COUNT x|COMMAND GETKEYS|"
    "COMMAND DOCS nosuch|COMMAND LIST FILTERBY PATTERN get|COMMAND GETKEYS MEMORY USAGE a").split("|")
ADMIN_LINES = (
    "ROLE|WAIT 0 0|WAIT x 0|WAIT 0 -1|WAIT 0 x|OBJECT REFCOUNT nothing|OBJECT BOGUS k1|OBJECT ENCODING|"
    "OBJECT ENCODING nothing|MEMORY USAGE nothing|MEMORY USAGE nothing SAMPLES|"
    "MEMORY USAGE nothing SAMPLES -1|MEMORY USAGE nothing SAMPLES x|MEMORY BOGUS|SLOWLOG GET x|"
    "SLOWLOG GET -2|SLOWLOG RESET|SLOWLOG BOGUS|LATENCY BOGUS|LATENCY HISTORY nothing|LATENCY RESET x|"
    "LATENCY GRAPH nothing|SCRIPT EXISTS|SCRIPT EXISTS x|SCRIPT FLUSH x|SCRIPT BOGUS|SCRIPT KILL|"
    "EVALSHA x 0|EVALSHA x -1|EVALSHA x y|EVALSHA x 2 a|EVALSHA 0000000000000000000000000000000000000000 0|"
    "FUNCTION FLUSH|FUNCTION FLUSH x|FUNCTION BOGUS|CLUSTER INFO|CLUSTER BOGUS|CLUSTER KEYSLOT a|"
    "CLUSTER|READONLY|READWRITE|ASKING|SELECT -1|SELECT 16|SELECT 99999999999|"
    "FLUSHALL x|FLUSHDB SYNC x|TIME x|RESET x|QUIT x y|"
    "LASTSAVE x|CONFIG GET|CONFIG SET|CONFIG SET a|CONFIG SET nosuch x|CONFIG BOGUS|"
    "INFO nosuch|SUBSTR k1 0|ECHO|PING a b|DBSIZE x").replace("QUIT x y|", "").split("|")
MORE_KINDS = ("GETRANGE", "SUBSTR", "SETRANGE", "INCRBYFLOAT", "RENAME", "RENAMENX", "UNWATCH", "CLIENT",
              "COMMAND", "ADMIN")
BIT_KINDS = ("SETBIT", "GETBIT", "BITCOUNT", "BITPOS", "BITOP", "BITFIELD", "BITFIELD_RO")
# Whose replies comparable_resp() must know by their names, or which end a transaction.
UNFIT_INSIDE = ("RANDOMKEY", "KEYS", "SCAN", "TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME", "EXEC",
                "DISCARD", "MULTI", "RESET", "QUIT", "COMMAND", "CLIENT", "HELLO", "TIME", "INFO",
                "SLOWLOG", "LATENCY", "LASTSAVE")


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
                          ".*(EXAT|PXAT) 1", ".* (GT|LT)",
                           "bitfield .*overflow fail.*"] + [request for _, request, _, _ in DIFFERENCES])
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
            "BITFIELD_RO LCS COPY MOVE SWAPDB STRAY MSETNX GETRANGE GETRANGE SUBSTR SETRANGE SETRANGE "
            "INCRBYFLOAT INCRBYFLOAT TOUCH EXPIRETIME PEXPIRETIME RENAME RENAMENX WATCH UNWATCH "
            "CLIENT COMMAND ADMIN").split())
        if kind in BIT_KINDS:
            return self.bit_words(kind, key)
        if kind in MORE_KINDS:
            return self.more_words(kind, key, other, value)
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
        if kind in ("GET", "STRLEN", "INCR", "DECR", "TYPE", "TTL", "PTTL", "PERSIST", "GETDEL",
                    "EXPIRETIME", "PEXPIRETIME"):
            return [kind, key]
        if kind in ("SET", "APPEND", "GETSET", "SETNX"):
            return [kind, key, value]
        if kind in ("INCRBY", "DECRBY"):
            return [kind, key, chance.choice(NUMBERS)]
        if kind in ("DEL", "UNLINK", "EXISTS", "MGET", "TOUCH", "WATCH"):
            return [kind] + [chance.choice(KEYS) for _ in range(chance.randrange(1, 6))]
        if kind in ("MSET", "MSETNX"):
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
            words = [kind, chance.choice([0, 0, 0, "ten", "", "-1", "+1", " 0", 2**64, "1.5"])]
            for _ in range(chance.randrange(4)):
                words += chance.choice([["COUNT", 1000], ["MATCH", chance.choice(PATTERNS)],
                                        ["TYPE", chance.choice(["string", "STRING", "hash", ""])],
                                        ["COUNT", chance.choice(NUMBERS[:13] + ["x"])], ["COUNT"],
                                        ["BOGUS"]])
            return words
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

    def more_words(self, kind, key, other, value):
        chance = self.chance
        if kind in ("GETRANGE", "SUBSTR"):
            return [kind, key] + [chance.choice(ENDS) for _ in "12"]
        if kind == "SETRANGE":
            return [kind, key, chance.choice([0, 0, 1, 5, 300, 5000, -1, 2**29, 2**62, "x"]),
                    value[:2000]]
        if kind == "INCRBYFLOAT":
            return [kind, key, chance.choice(FLOATS)]
        if kind in ("RENAME", "RENAMENX"):
            return [kind, key, other]
        if kind == "UNWATCH":
            return [kind]
        return chance.choice(CLIENT_LINES if kind == "CLIENT" else COMMAND_LINES
                             if kind == "COMMAND" else ADMIN_LINES).split(" ")

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
        # A key that comes into being while every write to it fails is no change to whoever watches
        # it in Redis (server/README.md): one of them is to succeed.
        return words[:2] + ["SET", "u1", 0, 1] * ("FAIL" in words) + words[2:]

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
        if kind < 0.30 and not talk.bytes_of(words[0]).startswith(b"*") and all(re.fullmatch(rb"[a-zA-Z0-9*]+", talk.bytes_of(w)) for w in words) \
                and sum(map(len, map(talk.bytes_of, words))) < 10000:
            return name, b" ".join(map(talk.bytes_of, words)) + b"\r\n"
        return name, talk.command(*words)
