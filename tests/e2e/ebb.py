# SPDX-License-Identifier: MIT
"""The program under test: started on free ports, watched through /proc and /metrics, ended.

E2E_BIN names the program (default build/ebb of this tree). Options are given as on the command
line; ports that are not given are chosen free. Nothing of the caller's EBB_* environment reaches
the server, for these names are its options.
"""

import os
import random
import re
import resource
import signal
import socket
import subprocess
import time

import talk

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
READY_SECONDS = 20
STOP_SECONDS = 30
# What a sanitizer writes before or instead of ending the program.
REPORTS = ("AddressSanitizer", "LeakSanitizer", "ThreadSanitizer", "MemorySanitizer",
           "runtime error:", "Assertion", "assertion failed")


class ServerFailed(Exception):
    """The server did not start, died, or did not end as it should."""


# Tests open thousands of sockets; the server must see to its own limit, so it starts with ours as
# we found it.
FILES = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (FILES[1], FILES[1]))


def restore_limits():
    resource.setrlimit(resource.RLIMIT_NOFILE, FILES)


def binary():
    return os.path.abspath(os.environ.get("E2E_BIN") or os.path.join(ROOT, "build", "ebb"))


DEALT = set()  # a server that is given one port twice can't start


def free_port():
    """A port that nobody listens on, below those that the kernel deals out to clients; each once."""
    while True:
        port = random.randrange(12000, 32000)
        if port in DEALT:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        DEALT.add(port)
        return port


def environment(extra=None):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("EBB_")}
    clean.update(extra or {})
    return clean


def status_bytes(pid, field):
    """A memory field of /proc/PID/status (VmRSS, VmHWM, RssAnon, ...) in bytes."""
    with open("/proc/%d/status" % pid) as status:
        for line in status:
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    raise ServerFailed("no %s in /proc/%d/status" % (field, pid))


class Server:
    """A running build/ebb."""

    count = 0

    def __init__(self, *options, folder, env=None, ready=True):
        given = {o.split("=")[0].split(" ")[0] for o in options} | \
                {"--" + k[4:].lower().replace("_", "-") for k in (env or {})}
        self.options = list(options)
        self.ports = {}
        for name in ("port", "memcached-port", "http-port"):
            if "--" + name not in given:
                self.ports[name] = free_port()
                self.options.append("--%s=%d" % (name, self.ports[name]))
            else:
                self.ports[name] = self._given_port(name, env or {})
        Server.count += 1
        self.log_path = os.path.join(folder, "server-%d.log" % Server.count)
        self.log = open(self.log_path, "wb")
        self.process = subprocess.Popen([binary()] + self.options, stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=subprocess.STDOUT, cwd=folder,
                                        env=environment(env), preexec_fn=restore_limits)
        self.pid = self.process.pid
        self.stopped = False
        if ready:
            self.wait_ready()

    def _given_port(self, name, env):
        for option in self.options:
            match = re.match(r"--%s[= ](\d+)$" % name, option)
            if match:
                return int(match.group(1))
        if "--" + name in self.options:
            return int(self.options[self.options.index("--" + name) + 1])
        return int(env.get("EBB_" + name.upper().replace("-", "_"), 0))

    @property
    def resp_port(self):
        return self.ports["port"]

    @property
    def memcached_port(self):
        return self.ports["memcached-port"]

    @property
    def http_port(self):
        return self.ports["http-port"]

    def is_ready(self):
        """/readyz says so; without HTTP, any TCP listener takes a connection."""
        try:
            if self.http_port:
                return talk.http(self.http_port, "/readyz").status == 200
            port = self.resp_port or self.memcached_port
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        except (OSError, talk.Closed):
            return False

    def wait_ready(self):
        end = time.monotonic() + READY_SECONDS
        while not self.is_ready():
            if self.process.poll() is not None:
                self.stopped = True
                raise ServerFailed("the server ended with code %d at the start:\n%s" %
                                   (self.process.returncode, self.log_text()))
            if time.monotonic() > end:
                raise ServerFailed("the server is not ready after %d s:\n%s" %
                                   (READY_SECONDS, self.log_text()))
            time.sleep(0.01)

    def log_text(self):
        with open(self.log_path, "rb") as log:
            return log.read().decode("utf-8", "replace")

    # What the kernel knows of it.

    def rss(self):
        return status_bytes(self.pid, "VmRSS")

    def rollup(self):
        """/proc/PID/smaps_rollup in bytes, by field: exact, where VmRSS may lag by some pages."""
        fields = {}
        with open("/proc/%d/smaps_rollup" % self.pid) as rollup:
            for line in rollup:
                match = re.match(r"(\w+):\s+(\d+) kB", line)
                if match:
                    fields[match.group(1)] = int(match.group(2)) * 1024
        return fields

    def _stat(self):
        with open("/proc/%d/stat" % self.pid) as stat:
            return stat.read().rsplit(")", 1)[1].split()

    def minor_faults(self):
        return int(self._stat()[7])

    def cpu_seconds(self):
        fields = self._stat()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def sleeps(self):
        """How often its threads have gone to sleep, each once for a wakeup."""
        count = 0
        for task in os.listdir("/proc/%d/task" % self.pid):
            with open("/proc/%d/task/%s/status" % (self.pid, task)) as status:
                count += int(re.search(r"\nvoluntary_ctxt_switches:\s+(\d+)", status.read())[1])
        return count

    def reads(self):
        """System calls of the read family since its start."""
        with open("/proc/%d/io" % self.pid) as io:
            return int(re.search(r"syscr: (\d+)", io.read())[1])

    def threads(self):
        return int(self._stat()[17])

    # What it says of itself.

    def metrics(self):
        reply = talk.http(self.http_port, "/metrics")
        if reply.status != 200:
            raise ServerFailed("/metrics answers %d" % reply.status)
        return Metrics(reply.body.decode())

    # Its end.

    def send_signal(self, number):
        os.kill(self.pid, number)

    def wait(self, seconds=STOP_SECONDS):
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def stop(self, number=signal.SIGTERM):
        """Ends the server and is content only with exit code 0 and a log free of reports."""
        if self.stopped:
            return
        self.stopped = True
        if self.process.poll() is None:
            self.send_signal(number)
        code = self.wait()
        if code is None:
            self.process.kill()
            self.process.wait()
        self.log.close()
        text = self.log_text()
        if code is None:
            raise ServerFailed("the server still ran %d s after the signal:\n%s" %
                               (STOP_SECONDS, text[-3000:]))
        report = [word for word in REPORTS if word in text]
        if code != 0 or report:
            raise ServerFailed("the server ended with code %d %s:\n%s" %
                               (code, " ".join(report), text[-6000:]))


SAMPLE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)",?')


class Metrics:
    """The text of /metrics, read. `families` is name -> (type, help); samples keep their order."""

    def __init__(self, text):
        self.text = text
        self.types, self.helps, self.samples = {}, {}, []
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ")
                self.types[name] = kind
            elif line.startswith("# HELP "):
                _, _, name, words = line.split(" ", 3)
                self.helps[name] = words
            elif line and not line.startswith("#"):
                match = SAMPLE.match(line)
                if not match:
                    raise ServerFailed("/metrics: no sample: " + line)
                labels = dict(LABEL.findall(match.group(2) or ""))
                self.samples.append((match.group(1), labels, float(match.group(3))))

    def all(self, name, **labels):
        return [(have, value) for sample, have, value in self.samples
                if sample == name and all(have.get(k) == v for k, v in labels.items())]

    def one(self, name, **labels):
        """The value of the one sample of that name with these labels."""
        found = self.all(name, **labels)
        if len(found) != 1:
            raise ServerFailed("/metrics has %d samples %s%r" % (len(found), name, labels))
        return found[0][1]

    def sum(self, name, **labels):
        return sum(value for _, value in self.all(name, **labels))

    def parts(self):
        """ebb_memory_resident_bytes by part."""
        return {labels["part"]: value for labels, value in self.all("ebb_memory_resident_bytes")}

    def family(self, sample):
        """The family that a sample belongs to: histograms spread over three names."""
        if sample in self.types:
            return sample
        for end in ("_bucket", "_sum", "_count"):
            if sample.endswith(end) and sample[:-len(end)] in self.types:
                return sample[:-len(end)]
        return None
