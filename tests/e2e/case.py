# SPDX-License-Identifier: MIT
"""What an end-to-end test is: a function with a name, a time limit and a context.

A test is written as

    @case(limit=30)
    def a_key_comes_back(t):
        client = t.resp()               # starts a fresh server on first use
        client.call("SET", "k", "v")
        equal(client.call("GET", "k"), b"v", "the value")

and is known as `module.a_key_comes_back`. It passes when it returns, fails when it raises. The
context owns what the test starts (servers, connections, programs, a scratch folder) and ends it.
A server that does not end in order after the test fails the test as well.
"""

import os
import shutil
import subprocess
import tempfile
import time

import ebb
import talk

# Sizes are divided by SCALE and bounds on resident memory are dropped when RSS_COUNTS is false: for
# builds with sanitizers or with shrunk constants, whose memory says nothing about the product's.
SCALE = max(1, int(os.environ.get("E2E_SCALE") or "1"))
RSS_COUNTS = (os.environ.get("E2E_NO_RSS") or "0") == "0"
SLOW_FACTOR = 1 if RSS_COUNTS else 10  # time allowed to a build that is slow on purpose

# The scenes at the size of the design, for `make soak`; shorter ones say the same in `make test`.
LONG = (os.environ.get("E2E_LONG") or "0") != "0"

MIB = 1024 * 1024


class Failed(Exception):
    """The server did something else than the test wants."""


class Skipped(Exception):
    """Something that the test needs is not on this machine."""


def case(limit=30):
    """Marks a function as a test that may take `limit` seconds."""

    def mark(function):
        function.limit_seconds = limit * (1 if RSS_COUNTS else 4)
        return function

    return mark


def shown(value, most=300):
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= most else text[:most] + "... (%d in all)" % len(text)


def equal(got, wanted, what):
    if got != wanted:
        raise Failed("%s: got %s, wanted %s" % (what, shown(got), shown(wanted)))


def true(condition, message):
    if not condition:
        raise Failed(message)


def within(seconds, condition, message, every=0.05):
    """Waits until condition() is true; returns the seconds it took."""
    begin = time.monotonic()
    while True:
        if condition():
            return time.monotonic() - begin
        if time.monotonic() - begin > seconds * SLOW_FACTOR:
            raise Failed("%s (waited %.1f s)" % (message, time.monotonic() - begin))
        time.sleep(every)


def mib(count):
    return "%.1f MiB" % (count / MIB)


def program(*names):
    """The path of the first of these programs, or the test is skipped. Debian calls libmemcached's
    tools otherwise than their makers do, hence several names."""
    for name in names:
        path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/local/sbin")
        if path:
            return path
    raise Skipped("%s is not installed" % names[0])


class Context:
    """What a test holds in its hand."""

    def __init__(self, print_note):
        self.note = print_note
        self.folder = tempfile.mkdtemp(prefix="ebb-e2e-")
        self._server = None
        self._closers = []

    def measured(self, text):
        """A figure that people want to see even when all is well: run.sh shows these lines."""
        self.note("measured " + text)

    @property
    def server(self):
        if self._server is None:
            self._server = self.start()
        return self._server

    def start(self, *options, **more):
        server = ebb.Server(*options, folder=self.folder, **more)
        self._closers.append(server.stop)
        return server

    def own(self, thing):
        """Closes the thing when the test ends."""
        self._closers.append(thing.close)
        return thing

    def resp(self, server=None, **more):
        return self.own(talk.Resp((server or self.server).resp_port, **more))

    def memcached(self, server=None, **more):
        return self.own(talk.Memcached((server or self.server).memcached_port, **more))

    def http(self, path, method="GET", server=None):
        return talk.http((server or self.server).http_port, path, method)

    def run(self, *command, stdin=b"", seconds=60, codes=(0,)):
        """Runs a program to its end; returns what it wrote. Any other exit code fails the test."""
        done = subprocess.run(command, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=seconds * SLOW_FACTOR, cwd=self.folder, check=False)
        done.text = done.stdout.decode("utf-8", "replace")
        done.error_text = done.stderr.decode("utf-8", "replace")
        if codes is not None and done.returncode not in codes:
            raise Failed("%s: exit code %d\n%s%s" % (" ".join(map(str, command)), done.returncode,
                                                     done.text, done.error_text))
        return done

    def spawn(self, *command, **more):
        """Starts a program that runs beside the test and is ended with it."""
        process = subprocess.Popen(command, cwd=self.folder, **more)

        def end():
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe:
                    pipe.close()

        self._closers.append(end)
        return process

    def close(self):
        """Ends everything, last started first; raises the first thing that went wrong."""
        wrong = None
        for closer in reversed(self._closers):
            try:
                closer()
            except Exception as error:  # the others must be ended all the same
                wrong = wrong or error
        shutil.rmtree(self.folder, ignore_errors=True)
        if wrong:
            raise wrong
