# SPDX-License-Identifier: MIT
"""Makes random commands of memcached, valid and not, for random_streams.py."""

import base64
import re

from random_resp import value_of


# What clients get wrong or hardly ever send; whatever it does, it does to both servers.
ODD = [line.replace(b"; ", b"\r\n") + b"\r\n" for line in (
    b"get  KEY|get KEY |get |gets| get KEY|Get KEY|GET|get KEY\tx|get KEY\x01|get KEY\x80\xff||nonsense a b|\x01|"
    b"set KEY|set KEY 0|set KEY 0 0|set KEY 0 0 abc|set KEY 0 0 -1|set KEY 00 00 01; x|set KEY 0 0 +1; x|"
    b"set KEY -1 0 1; x|set KEY +1 0 1; x|set KEY 4294967296 0 1; x|set KEY x 0 1; x|set KEY 1.5 0 1; x|"
    b"set KEY 0 x 1; x|set KEY 0 1.5 1; x|set KEY 0 0 2; abc|set KEY 0 0 1x; x|set KEY 0 0 1 norply; x|"
    b"set KEY 0 0 1 x y; x|set KEY 0 0 0; |set KEY 7 2147483647 1; x|set KEY 0 0 1 noreply x; x|"
    b"cas KEY 0 0 1; x|cas KEY 0 0 1 x; x|cas KEY 0 0 1 -1; x|cas KEY 0 0 1 18446744073709551615; x|"
    b"cas KEY 0 0 1 18446744073709551616; x|incr NUMBER 18446744073709551615|incr NUMBER|incr NUMBER -1|"
    b"incr NUMBER 18446744073709551616|incr NUMBER 1 x|incr NUMBER +1|incr NUMBER 0x1|incr NUMBER 1.5|"
    b"decr NUMBER 18446744073709551615|delete KEY 0|delete KEY 5|delete KEY 0 noreply|delete KEY 00|"
    b"delete KEY x y z|delete KEY -1|touch KEY|touch KEY x|touch KEY +50000|touch KEY 1.5|gat 0|gat|gat x KEY|"
    b"gat 0 KEY KEY none|gats 0 none|gats 100000 KEY NUMBER KEY|gat -1 KEY|flush_all 0 2|"
    b"verbosity|verbosity x|verbosity 1 2|verbosity noreply|"
    b"version x y; mn|stats nonsense|stats detail|stats detail x|stats cachedump|stats cachedump x 0|lru|"
    b"lru mode x|lru tune 10 20|lru tune 10 25 0.1 2.0|lru temp_ttl|lru_crawler|lru_crawler sleep x|"
    b"lru_crawler sleep 100|lru_crawler tocrawl x|slabs|slabs reassign|slabs reassign x y|slabs automove x|"
    b"cache_memlimit|cache_memlimit x|cache_memlimit 0|mn x|mg|md|ma|me|ms|m|mx KEY|bget KEY|noop|"
    b"ms KEY|ms KEY x|ms KEY -1|ms KEY 1 0; x|ms KEY 1 F-1; x|ms KEY 1 MSS; x|ms KEY 0; |ms KEY 2; xyz|"
    b"mg TEXT  v|mg  TEXT v|mg TEXT vk|mg Y b v|ma NUMBER D18446744073709551616|ma NUMBER J-1|ma NUMBER Mincr v|"
    b"md KEY v|me TEXT z|set KEY 0 0 5; ab; c|get KEY\nget NUMBER"
    ).split(b"|") if not line.startswith(b"version")]


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
                             b"mg mg mg mg ms ms ms ms md md ma ma me mn badmeta odd odd".split())
        if kind == b"odd":
            return chance.choice(ODD).replace(b"KEY", key).replace(
                b"NUMBER", chance.choice(self.numbers)).replace(b"TEXT", chance.choice(self.texts))
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
