# SPDX-License-Identifier: MIT
"""Raw sockets that speak RESP, memcached text and HTTP, for tests that count bytes.

They know the protocols no better than they must: a reply is found, cut out and decoded; what it
should be is the test's business. Big streams go through exchange(), which sends and drains at the
same time, so that neither side waits on a full socket.
"""

import select
import socket
import struct
import time

TIMEOUT = 30
READ_BYTES = 1 << 18


class Closed(Exception):
    """The server closed the connection; what came before is in `args[0]`."""


class TimedOut(Exception):
    """The reply did not come in time."""


class Wire:
    """One connection and the bytes that came in on it and are not taken yet."""

    def __init__(self, port, host="127.0.0.1", path=None, timeout=TIMEOUT, receive_bytes=None):
        if path:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(path)
        else:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self.socket = socket.socket(family)
            if receive_bytes:  # must be set before the window is agreed upon
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
            self.socket.settimeout(timeout)
            self.socket.connect((host, port))
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.timeout = timeout
        self.buffer = bytearray()

    def close(self):
        self.socket.close()

    def vanish(self):
        """Goes as a killed machine does: a reset instead of a goodbye."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def send(self, data):
        self.socket.settimeout(self.timeout)
        self.socket.sendall(data)

    def fill(self):
        """Waits for more bytes."""
        self.socket.settimeout(self.timeout)
        try:
            more = self.socket.recv(READ_BYTES)
        except ConnectionError:
            more = b""
        except socket.timeout:
            raise TimedOut("no reply in %d s after %r" % (self.timeout, bytes(self.buffer[:200])))
        if not more:
            raise Closed(bytes(self.buffer))
        self.buffer += more

    def take(self, count):
        taken = bytes(self.buffer[:count])
        del self.buffer[:count]
        return taken

    def exactly(self, count):
        while len(self.buffer) < count:
            self.fill()
        return self.take(count)

    def line(self):
        """A line without its end."""
        while True:
            end = self.buffer.find(b"\r\n")
            if end >= 0:
                return self.take(end + 2)[:-2]
            self.fill()

    def until(self, mark):
        """Everything up to and with the mark."""
        while True:
            at = self.buffer.find(mark)
            if at >= 0:
                return self.take(at + len(mark))
            self.fill()

    def until_closed(self, seconds=TIMEOUT):
        """Everything that comes before the server closes; it must close."""
        end = time.monotonic() + seconds
        try:
            while time.monotonic() < end:
                self.fill()
        except Closed:
            return self.take(len(self.buffer))
        raise TimedOut("the connection is still open after %d s" % seconds)

    def is_closed(self, seconds=0.2):
        """Whether the server has hung up, waiting a little for it. Bytes are kept."""
        self.socket.settimeout(seconds)
        while True:
            try:
                more = self.socket.recv(READ_BYTES)
            except socket.timeout:
                return False
            except ConnectionError:
                return True
            if not more:
                return True
            self.buffer += more

    def exchange(self, request, reply_bytes):
        """Sends the request and returns exactly reply_bytes bytes, whichever way the data wants to
        flow first."""
        view, sent = memoryview(request), 0
        poll = select.poll()
        self.socket.setblocking(False)
        poll.register(self.socket, select.POLLIN | select.POLLOUT)
        while sent < len(view) or len(self.buffer) < reply_bytes:
            if sent == len(view):
                poll.modify(self.socket, select.POLLIN)
            events = poll.poll(self.timeout * 1000)
            if not events:
                raise TimedOut("%d of %d bytes sent, %d of %d received: %r" % (
                    sent, len(view), len(self.buffer), reply_bytes, bytes(self.buffer[-200:])))
            try:
                if events[0][1] & ~select.POLLOUT:
                    more = self.socket.recv(READ_BYTES)
                    if not more:
                        raise Closed(bytes(self.buffer[-300:]))
                    self.buffer += more
                if events[0][1] & select.POLLOUT and sent < len(view):
                    sent += self.socket.send(view[sent:sent + READ_BYTES])
            except BlockingIOError:
                pass
            except ConnectionError:
                raise Closed(bytes(self.buffer[-300:])) from None
        return self.take(reply_bytes)


class Error(str):
    """An error reply of RESP, as its text."""


def bytes_of(word):
    if isinstance(word, (bytes, bytearray)):
        return bytes(word)
    return str(word).encode()


def command(*words):
    """A command as RESP sends it."""
    parts = [b"*%d\r\n" % len(words)]
    for word in map(bytes_of, words):
        parts.append(b"$%d\r\n%b\r\n" % (len(word), word))
    return b"".join(parts)


def value_end(data, at=0):
    """Where the RESP value that starts at `at` ends, or -1 when it is not all there."""
    open_values = 1
    while open_values:
        line_end = data.find(b"\r\n", at)
        if line_end < 0:
            return -1
        kind, text = data[at:at + 1], bytes(data[at + 1:line_end])
        at = line_end + 2
        open_values -= 1
        if kind in b"$=!":
            if int(text) >= 0:
                at += int(text) + 2
                if at > len(data):
                    return -1
        elif kind in b"*~>":
            open_values += max(0, int(text))
        elif kind in b"%|":
            open_values += 2 * int(text) + (kind == b"|")
        elif kind not in b"+-:_#,(":
            raise ValueError("not RESP: %r" % bytes(data[at - len(text) - 3:at + 40]))
    return at


def decode(data):
    return _decode(data, 0)[0]


def _decode(data, at):
    line_end = data.index(b"\r\n", at)
    kind, text = data[at:at + 1], bytes(data[at + 1:line_end])
    at = line_end + 2
    if kind == b"+":
        return text.decode(), at
    if kind == b"-":
        return Error(text.decode("utf-8", "replace")), at
    if kind in b":(":
        return int(text), at
    if kind == b"_":
        return None, at
    if kind == b"#":
        return text == b"t", at
    if kind == b",":
        return float(text), at
    length = int(text)
    if kind in b"$=!":
        if length < 0:
            return None, at
        body = bytes(data[at:at + length])
        return (body[4:] if kind == b"=" else body), at + length + 2
    if length < 0:
        return None, at
    values = []
    for _ in range(length * (2 if kind == b"%" else 1)):
        value, at = _decode(data, at)
        values.append(value)
    if kind == b"%":
        return dict(zip(values[::2], values[1::2])), at
    return values, at


class Resp(Wire):
    """A Redis client of few words."""

    def reply_bytes(self):
        """The next reply as it was sent."""
        while True:
            end = value_end(self.buffer)
            if end >= 0:
                return self.take(end)
            self.fill()

    def reply(self):
        return decode(self.reply_bytes())

    def call(self, *words):
        self.send(command(*words))
        return self.reply()

    def call_bytes(self, *words):
        self.send(command(*words))
        return self.reply_bytes()


class Memcached(Wire):
    """A memcached text client of fewer."""

    def ask(self, line, value=None):
        """Sends a line (and a value) and returns the first line of the answer."""
        self.send(bytes_of(line) + b"\r\n" + (b"" if value is None else bytes_of(value) + b"\r\n"))
        return self.line()

    def get(self, key, verb="get"):
        """(flags, value, cas) or None; cas is None but for gets."""
        head = self.ask("%s %s" % (verb, key))
        if head == b"END":
            return None
        word, _, flags, length, *cas = head.split(b" ")
        if word != b"VALUE":
            raise ValueError(head)
        value = self.exactly(int(length) + 2)[:-2]
        if self.line() != b"END":
            raise ValueError("no END")
        return int(flags), value, int(cas[0]) if cas else None

    def stats(self, what=""):
        self.send(b"stats %b\r\n" % what.encode() if what else b"stats\r\n")
        found = {}
        while True:
            line = self.line()
            if line == b"END":
                return found
            word, name, value = line.split(b" ", 2)
            if word != b"STAT":
                raise ValueError(line)
            found[name.decode()] = value.decode()


class HttpReply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body


def read_http(wire, method="GET"):
    """One response off the wire; the connection may stay open."""
    head = wire.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
    status = int(head[0].split(" ")[1])
    headers = dict((line.split(": ", 1)[0].lower(), line.split(": ", 1)[1])
                   for line in head[1:] if line)
    length = 0 if method == "HEAD" else int(headers.get("content-length", 0))
    return HttpReply(status, headers, wire.exactly(length))


def http(port, path, method="GET", extra=""):
    wire = Wire(port)
    try:
        wire.send(("%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n%s\r\n" %
                   (method, path, extra)).encode())
        return read_http(wire, method)
    finally:
        wire.close()
