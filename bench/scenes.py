#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The five scenes of alloc_scenes.c in Python's own allocator; the same lines of figures.

    scenes.py SCENE [--label NAME] [--live BYTES] [--chunk BYTES]

An object up to 512 bytes comes from Python's arenas, a larger one from malloc. A chunk is a bytes
object of that size with its header, so 1024 shows libc beneath Python and 480 Python itself.
"""

import argparse
import gc
import random
import resource
import time

GROUP = 1000
HEADER = 33  # of a bytes object
REST_SECONDS = 2


def rss():
    with open("/proc/self/smaps_rollup") as rollup:
        for line in rollup:
            if line.startswith("Rss:"):
                return int(line.split()[1]) * 1024
    raise SystemExit("scenes.py: no Rss in smaps_rollup")


class Run:
    """One scene: figures are relative to what was there when it began."""

    def __init__(self, label, topic):
        self.label, self.topic = label, topic
        self.base = rss()
        self.cpu, self.faults = self.cost()
        self.operations = 0

    @staticmethod
    def cost():
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return time.process_time(), usage.ru_minflt + usage.ru_majflt

    def figure(self, name, value):
        print("%s\t%s\t\t%s\t%.9g" % (self.topic, self.label, name, value))

    def resident(self, name):
        self.figure(name, rss() - self.base)

    def end(self):
        cpu, faults = self.cost()
        self.figure("faults", faults - self.faults)
        self.figure("op_ns", (cpu - self.cpu) * 1e9 / self.operations)


def chunk(size):
    return b"x" * (size - HEADER)


def rest(seconds=REST_SECONDS):
    gc.collect()
    time.sleep(seconds)


def freed(run, live, size):
    count = live // size // GROUP * GROUP
    chunks = [None] * count
    for i in range(count):
        chunks[i] = chunk(size)
    run.resident("full_bytes")
    random.shuffle(chunks)
    for i in range(count):
        chunks[i] = None
    run.resident("at_once_bytes")
    del chunks
    run.operations = 2 * count
    rest()
    run.resident("rested_bytes")
    run.end()


def whoops(run, live, size):
    rounds = live // size // GROUP * 20
    for _ in range(rounds):
        chunks = [chunk(size) for _ in range(GROUP)]
        del chunks
    run.operations = 2 * rounds * GROUP
    run.figure("rounds", rounds)
    run.resident("at_once_bytes")
    rest()
    run.resident("rested_bytes")
    run.end()


def middle(run, live, size):
    count = live // size // GROUP * GROUP
    chunks = [chunk(size) for _ in range(count)]
    run.resident("full_bytes")
    for i in range(count):
        if i % GROUP != GROUP // 2:
            chunks[i] = None
    kept = [c for c in chunks if c is not None]
    del chunks
    run.operations = 2 * count - len(kept)
    rest()
    run.figure("live_bytes", len(kept) * size)
    run.resident("rested_bytes")
    run.end()


def library(run, live, size):
    groups = live // size // GROUP
    chunks, kept = [], []
    for _ in range(groups):
        chunks.extend(chunk(size) for _ in range(GROUP // 2))
        kept.append(chunk(size))
        chunks.extend(chunk(size) for _ in range(GROUP // 2))
    run.resident("full_bytes")
    run.operations = 2 * len(chunks)
    del chunks
    rest()
    run.figure("live_bytes", len(kept) * size)
    run.resident("rested_bytes")
    run.end()


def job(run, live, _):
    """Small objects of many sizes, another mix each day; the load swings; little is left."""
    chunks, held, peak = [], 0, 0

    def drop_one():
        at = random.randrange(len(chunks))
        gone, last = chunks[at], chunks.pop()
        if at < len(chunks):
            chunks[at] = last
        return len(gone) + HEADER

    for day in range(60):
        least = max(HEADER + 1, 16 << day % 6)
        limit = live // (1 if day // 10 % 2 == 0 else 4)
        written = 0
        while written < live // 4:
            size = random.randint(least, 4 * least)
            while held + size > limit and chunks:
                held -= drop_one()
                run.operations += 1
            chunks.append(chunk(size))
            held += size
            written += size
            run.operations += 1
        peak = max(peak, rss() - run.base)
    while held > live // 8:
        held -= drop_one()
    chunks = list(chunks)  # without the room of those that went
    rest()
    run.figure("full_bytes", peak)
    run.figure("live_bytes", held)
    run.resident("rested_bytes")
    run.end()


def main():
    scenes = {"freed": freed, "whoops": whoops, "middle": middle, "library": library, "job": job}
    parser = argparse.ArgumentParser()
    parser.add_argument("scene", choices=scenes)
    parser.add_argument("--label", default="python")
    parser.add_argument("--live", type=int, default=64 << 20)
    parser.add_argument("--chunk", type=int, default=1024)
    options = parser.parse_args()
    random.seed(1)
    gc.collect()
    scenes[options.scene](Run(options.label, options.scene), options.live, options.chunk)


if __name__ == "__main__":
    main()
