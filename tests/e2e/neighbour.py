# SPDX-License-Identifier: MIT
"""What must hold while somebody misbehaves: another client is served, and afterwards the memory of
connections is what it was."""

import multiprocessing
import time

import talk
from case import SLOW_FACTOR, Failed, true, within

PAUSE_SECONDS = 1     # the longest that a neighbour may have to wait for two replies
NEIGHBOUR_ROUNDS = 20  # the least that it must have done beside the mischief


class Neighbour:
    """A well-behaved client that works all the while, in a process of its own so that the test's
    work does not slow it, and remembers its longest wait."""

    def __init__(self, port, may_be_evicted=False):
        self.may_be_evicted = may_be_evicted
        fork = multiprocessing.get_context("fork")
        self.enough, self.result, self.count = fork.Event(), fork.SimpleQueue(), fork.Value("i", 0)
        self.process = fork.Process(target=self.work, args=(port,), daemon=True)
        self.process.start()
        self.done, self.longest, self.error = 0, 0, None

    def work(self, port):
        done, longest, error = 0, 0, None
        try:
            client = talk.Resp(port)
            while not self.enough.is_set():
                begin = time.monotonic()
                client.call("SET", "neighbour", done)
                got = client.call("GET", "neighbour")
                longest = max(longest, time.monotonic() - begin)
                if got != b"%d" % done and not (got is None and self.may_be_evicted):
                    raise Failed("the neighbour reads %r instead of %d" % (got, done))
                done += 1
                self.count.value = done
                time.sleep(0.001)
        except Exception as problem:  # told to the test, whatever it is
            error = "the neighbour: %s: %s" % (type(problem).__name__, problem)
        self.result.put((done, longest, error))

    def close(self):
        if self.process:
            self.enough.set()
            self.done, self.longest, self.error = self.result.get()
            self.process.join(10)
            self.process = None


class Watch:
    """Around a test's mischief: a neighbour before it, and the memory of connections after it."""

    def __init__(self, t, server=None):
        self.t, self.server = t, server or t.server
        time.sleep(1.2)
        self.memory()  # from now on, what a scrape itself takes is in it
        self.before = self.memory()
        self.neighbour = t.own(Neighbour(self.server.resp_port))

    def long_enough(self):
        """Repeats short mischief until the neighbour has worked beside it for a while."""
        for _ in range(1000):
            yield
            if self.neighbour.count.value >= 2 * NEIGHBOUR_ROUNDS:
                return

    def memory(self):
        metrics = self.server.metrics()
        return metrics.parts()["connections"], metrics.sum("ebb_buffer_bytes")

    def finish(self):
        # Short mischief may be over before the neighbour has been seen to be served beside it.
        within(10, lambda: self.neighbour.count.value >= NEIGHBOUR_ROUNDS or
               not self.neighbour.process.is_alive(), "the neighbour is not served")
        self.neighbour.close()
        if self.neighbour.error:
            raise Failed(self.neighbour.error)
        done, longest = self.neighbour.done, self.neighbour.longest
        self.t.note("the neighbour did %d rounds, the longest took %.1f ms" % (done, longest * 1e3))
        true(done >= NEIGHBOUR_ROUNDS, "the neighbour was hardly served")
        true(longest < PAUSE_SECONDS * SLOW_FACTOR, "the neighbour waited too long")
        within(10, self.is_back, "memory of connections does not come back")

    def is_back(self):
        part, buffers = self.memory()
        metrics = self.server.metrics()
        return part <= self.before[0] + 65536 and buffers <= self.before[1] + 65536 and \
            metrics.sum("ebb_connections", protocol="resp") == 0
