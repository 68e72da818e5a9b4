#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Wire scripts: what is sent and what must come back, byte for byte, in wire/*.txt.

    > SET k "a\\x00b"      a command; words are quoted as in redis-cli. In files named mc_*.txt the
                          line is sent as it is, with escapes, and ends with a line end
    >> PING\\r\\n           bytes as they are
    < +OK                 a line of the reply (its line end is understood)
    <3 _                  the same in RESP3, where it differs
    <closed               the server closes after that
    ~ connect             goes on with a new connection
    ~ sleep 0.1           waits

The replies are recordings of Redis 7.0 and memcached 1.6:
    script.py record PORT wire/strings.txt ...
asks the server at PORT (which it flushes!) and rewrites the files.
"""

import re
import shlex
import sys
import time

import talk

RESP_MARK = b"~ that is all ~"
MC_MARK_KEY = b"~mark~"
MC_MARK = b"VALUE ~mark~ 0 4\r\nDONE\r\nEND\r\n"
CLOSE_SECONDS = 10


def unescape(text):
    return text.encode("latin-1").decode("unicode_escape").encode("latin-1")


def escape(data):
    text = data.decode("latin-1").encode("unicode_escape").decode()
    return text[:-1] + "\\x20" if text.endswith(" ") else text


class Step:
    """One request with its replies, or an action."""

    def __init__(self, source, kind, text):
        self.source, self.kind, self.text = source, kind, text
        self.replies = {2: [], 3: []}
        self.closed = False

    def request(self, memcached):
        if self.kind == ">>":
            return unescape(self.text)
        if memcached:
            return unescape(self.text) + b"\r\n"
        words = re.findall(r'"(?:[^"\\]|\\.)*"|\S+', self.text)
        return talk.command(*(unescape(w[1:-1] if w.startswith('"') else w) for w in words))

    def wanted(self, version):
        lines = self.replies[version] or self.replies[2]
        return b"".join(unescape(line) + b"\r\n" for line in lines)


def load(path):
    steps = []
    with open(path) as file:
        for number, line in enumerate(file, 1):
            line = line.rstrip("\n")
            head, _, rest = line.partition(" ")
            if head in (">", ">>", "~", "#", ""):
                steps.append(Step("%s:%d" % (path, number), head, rest))
            elif head == "<closed":
                steps[-1].closed = True
            elif head in ("<", "<3"):
                steps[-1].replies[3 if head == "<3" else 2].append(rest)
            else:
                raise ValueError("%s:%d: %s" % (path, number, line))
    return steps


class Player:
    """Plays steps against a server and tells what came back."""

    def __init__(self, port, version=2, memcached=False):
        self.port, self.version, self.memcached = port, version, memcached
        self.wire = None
        self.connect()

    def connect(self):
        if self.wire:
            self.wire.close()
        self.wire = (talk.Memcached if self.memcached else talk.Resp)(self.port)
        if not self.memcached and self.version == 3:
            self.wire.call("HELLO", 3)

    def close(self):
        self.wire.close()

    def flush(self):
        if self.memcached:
            self.wire.ask("flush_all")
        else:
            self.wire.call("FLUSHALL")

    def play(self, step):
        """(bytes, closed) that the step's request brings; None for an action."""
        if step.kind == "~":
            words = shlex.split(step.text)
            if words[0] == "connect":
                self.connect()
            else:
                time.sleep(float(words[1]))
            return None
        if step.kind not in (">", ">>"):
            return None
        return self.ask(step.request(self.memcached))

    def ask(self, request):
        """Sends, then marks the end with a request whose reply cannot be anything else's."""
        got = b""
        try:
            self.wire.send(request)
            if self.memcached:
                self.wire.send(b"set ~mark~ 0 0 4 noreply\r\nDONE\r\nget ~mark~\r\n")
                return self.wire.until(MC_MARK)[:-len(MC_MARK)], False
            self.wire.send(talk.command("ECHO", RESP_MARK))
            while True:
                reply = self.wire.reply_bytes()
                if reply.endswith(RESP_MARK + b"\r\n"):
                    return got, False
                got += reply
        except (talk.Closed, ConnectionError) as closed:
            rest = closed.args[0] if isinstance(closed, talk.Closed) else bytes(self.wire.buffer)
            return (rest if self.memcached else got + rest), True


def record(port, path):
    memcached = "mc_" in path
    steps = load(path)
    results = {}
    for version in (2,) if memcached else (2, 3):
        player = Player(port, version, memcached)
        player.flush()
        results[version] = [player.play(step) for step in steps]
        player.close()
    with open(path, "w") as file:
        for index, step in enumerate(steps):
            file.write((step.kind + " " + step.text).rstrip(" ") + "\n")
            got = results[2][index]
            if got is None:
                continue
            for line in got[0].split(b"\r\n")[:-1]:
                file.write(("< " + escape(line)).rstrip(" ") + "\n")
            if not memcached and results[3][index][0] != got[0]:
                for line in results[3][index][0].split(b"\r\n")[:-1]:
                    file.write(("<3 " + escape(line)).rstrip(" ") + "\n")
            if got[1]:
                file.write("<closed\n")


if __name__ == "__main__":
    if len(sys.argv) < 4 or sys.argv[1] != "record":
        sys.exit(__doc__)
    for name in sys.argv[3:]:
        record(int(sys.argv[2]), name)
