# SPDX-License-Identifier: MIT
"""The program as its administrator meets it: options, exit codes, signals, listeners."""

import contextlib
import os
import re
import resource
import signal
import socket
import stat
import subprocess
import time

import ebb
import talk
from case import RSS_COUNTS, SLOW_FACTOR, Failed, Skipped, case, equal, program, true, within


def run(t, *options, env=None, seconds=10):
    """Runs the program to its end; it must end by itself."""
    try:
        done = subprocess.run([ebb.binary(), *options], stdout=subprocess.PIPE, cwd=t.folder,
                              stderr=subprocess.PIPE, env=ebb.environment(env), check=False,
                              timeout=seconds * SLOW_FACTOR, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise Failed("still runs with " + " ".join(options)) from None
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def config(server, name):
    client = talk.Resp(server.resp_port)
    try:
        return client.call("CONFIG", "GET", name)[1].decode()
    finally:
        client.close()


OPTIONS = ("bind port memcached-port http-port unixsocket unixsocketperm threads maxmemory maxmemory-policy "
           "maxclients timeout requirepass auth-file databases loglevel logfile explain").split()


@case()
def help_and_version_are_printed(t):
    code, out, err = run(t, "--help")
    equal((code, err), (0, ""), "--help")
    equal([name for name in OPTIONS if not re.search(r"--%s\b" % name, out)], [], "not in --help")
    true("6379" in out and "11211" in out and "7379" in out, "--help shows the defaults")
    equal(run(t, "-h"), (0, out, ""), "-h")
    code, out, err = run(t, "--version")
    equal((code, err), (0, ""), "--version")
    true(re.match(r"(?i)ebb.* \d+\.\d+\.\d+", out) and out.count("\n") == 1, "--version: " + out)


@case()
def wrong_options_name_themselves(t):
    for options, named in (
            (["--nonsense"], "nonsense"), (["--nonsense=1"], "nonsense"), (["surplus"], "surplus"),
            (["--port"], "port"), (["--port", "x"], "port"), (["--port=65536"], "port"),
            (["--port=-1"], "port"), (["--port="], "port"),
            (["--maxmemory=12parsecs"], "maxmemory"),
            (["--maxmemory=-1"], "maxmemory"), (["--maxmemory=1.5.5gb"], "maxmemory"),
            (["--maxmemory=99999999999999999999"], "maxmemory"), (["--maxmemory=mb"], "maxmemory"),
            (["--timeout=soon"], "timeout"), (["--timeout=5y"], "timeout"),
            (["--maxclients=0"], "maxclients"), (["--databases=0"], "databases"),
            (["--maxmemory-policy=whatever"], "maxmemory-policy"),
            (["--loglevel=loud"], "loglevel"),
            (["--explain=perhaps"], "explain"), (["--threads=many"], "threads"),
            (["--config"], "config"),
            (["--config=/nonexistent/ebb.conf"], "/nonexistent/ebb.conf")):
        code, out, err = run(t, *options)
        true(code == 2 and named in err and err.count("\n") <= 2 and out == "",
             "%r: exit code %d, stdout %r, stderr %r" % (options, code, out, err))
    code, _, err = run(t, env={"EBB_PORT": "x"})
    true(code == 2 and ("port" in err or "EBB_PORT" in err), "EBB_PORT=x: %d %r" % (code, err))
    path = os.path.join(t.folder, "bad.conf")
    for text, named in (("port x\n", "port"), ("nonsense 1\n", "nonsense"), ("port\n", "port"),
                        ("# fine\n\nmaxmemory 12parsecs\n", "maxmemory")):
        with open(path, "w") as file:
            file.write(text)
        code, _, err = run(t, "--config", path)
        true(code == 2 and named in err, "%r in a file: exit code %d, %r" % (text, code, err))
    ports = ["--%s=%d" % (name, ebb.free_port())
             for name in ("port", "memcached-port", "http-port")]
    for option, named in (("--bind=name.invalid", "'name.invalid' (bind)"),
                          ("--bind=127.0.0.1 1.2.3.4.5", "'1.2.3.4.5' (bind)"),
                          ("--unixsocket=/tmp/" + "x" * 200, "unixsocket has 107 bytes at most")):
        code, _, err = run(t, option, *ports)
        true(code == 2 and named in err and err.count("\n") == 1, "%s: %d %r" % (option, code, err))


@case()
def options_come_in_every_form(t):
    path = os.path.join(t.folder, "ebb.conf")
    with open(path, "w") as file:
        file.write("# a comment\n\n  databases 3\nmaxmemory 512mb\ntimeout 2m\n"
                   "maxclients 77\nloglevel \"warning\"\n")
    server = t.start("--config", path, "--maxclients", "99", "--timeout=1h",
                     env={"EBB_DATABASES": "5", "EBB_MAXCLIENTS": "88", "EBB_MAXMEMORY_POLICY":
                          "noeviction", "EBB_TIMEOUT": "3m"})
    for name, value in (("databases", "5"), ("maxclients", "99"), ("maxmemory", str(512 << 20)),
                        ("timeout", "3600"), ("loglevel", "warning"),
                        ("maxmemory-policy", "noeviction"), ("port", str(server.resp_port))):
        equal(config(server, name), value, name)
    server = t.start(env={"EBB_CONFIG": path})
    equal((config(server, "databases"), config(server, "timeout")), ("3", "120"), "EBB_CONFIG")
    for text, value in (("1k", 1000), ("1kb", 1024), ("2gb", 2 << 30), ("2g", 2 * 10**9),
                        ("123456789", 123456789), ("1GB", 1 << 30), ("0", 0)):
        server = t.start("--maxmemory", text)
        equal(config(server, "maxmemory"), str(value), "maxmemory " + text)
        server.stop()


@case()
def a_port_in_use_is_one_line(t):
    for name in ("port", "memcached-port", "http-port"):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            others = ["--%s=%d" % (n, port if n == name else ebb.free_port())
                      for n in ("port", "memcached-port", "http-port")]
            code, out, err = run(t, *others)
        true(code == 1 and str(port) in err and "in use" in err, "%s: %d %r" % (name, code, err))
        errors = [line for line in (out + err).splitlines() if "in use" in line]
        equal(len(errors), 1, "lines about it in %r" % (out + err))


LONG_PAGES = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <unistd.h>
long sysconf(int name)
{
    long (*of_library)(int) = (long (*)(int))dlsym(RTLD_NEXT, "sysconf");
    return name == _SC_PAGESIZE ? 65536 : of_library(name);
}
"""


@case()
def a_kernel_with_long_pages_is_refused(t):
    if not RSS_COUNTS:
        raise Skipped("a sanitizer wants to be loaded first")
    library = os.path.join(t.folder, "long_pages.so")
    t.run(program("cc", "gcc"), "-shared", "-fPIC", "-x", "c", "-o", library, "-",
          stdin=LONG_PAGES.encode())
    ports = ["--%s=%d" % (n, ebb.free_port()) for n in ("port", "memcached-port", "http-port")]
    code, out, err = run(t, *ports, env={"LD_PRELOAD": library})
    equal((code, out), (1, ""), "its end")
    equal(err, "ebb: can't create the store: the kernel's memory pages are not of 4 KiB "
               "(getconf PAGESIZE)\n", "what it says")


@case()
def the_start_says_where_it_listens(t):
    path = os.path.join(t.folder, "ebb.sock")
    server = t.start("--unixsocket=" + path)
    text = server.log_text()
    for port in server.ports.values():
        lines = [line for line in text.splitlines() if "127.0.0.1:%d" % port in line]
        true(len(lines) == 1, "no line for port %d in:\n%s" % (port, text))
    true(path in text, "no line for the unix socket in:\n" + text)
    true(len(text.splitlines()) <= 12, "a start of many words:\n" + text)


@case()
def signals_end_it_in_order(t):
    for number in (signal.SIGTERM, signal.SIGINT):
        path = os.path.join(t.folder, "signal-%d.sock" % number)
        server = t.start("--unixsocket=" + path)
        resp, half, plain = t.resp(server), t.resp(server), t.memcached(server)
        asleep = t.resp(server)
        web = t.own(talk.Wire(server.http_port))
        resp.call("SET", "k", "v" * 100000)
        half.send(b"*2\r\n$3\r\nGET\r\n$10\r\nhal")
        plain.send(b"set k 0 0 1000\r\nhalf")
        web.send(b"GET /metrics HTTP/1.1\r\n")
        unread = t.resp(server)
        unread.send(talk.command("GET", "k") * 50)
        asleep.send(talk.command("DEBUG", "SLEEP", "3600"))
        begin = time.monotonic()
        server.stop(number)
        took = time.monotonic() - begin
        true(took < 3 * SLOW_FACTOR, "signal %d took %.1f s" % (number, took))
        equal(resp.until_closed(5), b"", "an idle connection at the end")
        true(not os.path.exists(path), "the unix socket is left behind")
        again = t.start("--port=%d" % server.resp_port)
        equal(t.resp(again).call("PING"), "PONG", "a server on the same port at once")
        again.stop()


@case()
def zero_turns_a_listener_off(t):
    server = t.start("--memcached-port=0", "--http-port=0")
    equal(t.resp(server).call("PING"), "PONG", "PING")
    with open("/proc/%d/net/tcp" % server.pid) as table:
        inodes = {line.split()[9]: line.split()[1] for line in table if line.split()[3] == "0A"}
    links = [os.readlink("/proc/%d/fd/%s" % (server.pid, fd))
             for fd in os.listdir("/proc/%d/fd" % server.pid)]
    listening = [inodes[m.group(1)] for m in (re.match(r"socket:\[(\d+)\]", l) for l in links)
                 if m and m.group(1) in inodes]
    equal(listening, ["0100007F:%04X" % server.resp_port], "listening sockets")
    server = t.start("--port=0")
    equal(t.memcached(server).ask("set k 0 0 1", "v"), b"STORED", "memcached alone")
    equal(t.http("/healthz", server=server).status, 200, "with HTTP")
    path = os.path.join(t.folder, "only.sock")
    server = t.start("--port=0", "--memcached-port=0", "--unixsocket", path)
    equal(t.own(talk.Resp(0, path=path)).call("PING"), "PONG", "the unix socket alone")


@case()
def several_addresses_are_bound(t):
    addresses = ["127.0.0.1", "127.0.0.2"]
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
            addresses.append("::1")
        except OSError:
            t.note("no ::1 on this machine")
    for options in (["--bind", " ".join(addresses)], ["--bind=" + ",".join(addresses)],
                    ["--bind=" + address for address in addresses]):
        server = t.start(*options)
        for address in addresses:
            client = t.own(talk.Resp(server.resp_port, host=address))
            equal(client.call("PING"), "PONG", "%r: PING at %s" % (options, address))
            plain = t.own(talk.Memcached(server.memcached_port, host=address))
            true(plain.ask("version").startswith(b"VERSION "), "memcached at " + address)
        equal(config(server, "bind"), " ".join(addresses), "CONFIG GET bind")
        server.stop()


@case()
def memcached_clients_log_in(t):
    """As with memcached -Y: users of auth-file, or anybody with requirepass."""
    path = os.path.join(t.folder, "users")
    with open(path, "w") as file:
        file.write("# a comment\nanna:secret\nbert:of:colons\n\n")

    def log_in(client, token):
        return client.ask("set anything 0 0 %d" % len(token), token)

    server = t.start("--auth-file", path, "--requirepass", "not this one")
    for token, answer in (("anna secret", b"STORED"), ("bert of:colons", b"STORED"),
                          ("  anna   secret  and more", b"STORED"),
                          ("anna wrong", b"CLIENT_ERROR authentication failure"),
                          ("bert secret", b"CLIENT_ERROR authentication failure"),
                          ("anna not this one", b"CLIENT_ERROR authentication failure"),
                          ("anna", b"CLIENT_ERROR bad authentication token format"),
                          ("", b"CLIENT_ERROR bad authentication token format")):
        client = t.memcached(server)
        for line in ("get k", "mg k v", "mn", "stats", "flush_all", "nonsense", "delete k"):
            equal(client.ask(line), b"CLIENT_ERROR unauthenticated", line + " before the login")
        true(client.ask("version").startswith(b"VERSION "), "version before the login")
        equal(log_in(client, token), answer, "login with %r" % token)
        equal(client.ask("mn"), b"MN" if answer == b"STORED" else b"CLIENT_ERROR unauthenticated",
              "after it")
    client = t.memcached(server)
    client.send(b"set x 0 0 5\r\nanna secret\r\n")
    equal(client.line(), b"CLIENT_ERROR bad command line termination", "a token cut short")
    client = t.memcached(server)
    client.send(b"set x 0 0 2000\r\n" + b"x" * 2000 + b"\r\nquit\r\n")
    equal(client.line(), b"CLIENT_ERROR unauthenticated", "a token too long")
    with open(path, "w") as file:
        file.write("anna:changed\n")
    equal(log_in(t.memcached(server), "anna secret"), b"CLIENT_ERROR authentication failure",
          "the old password")
    client = t.memcached(server)
    equal(log_in(client, "anna changed"), b"STORED", "the new one")
    stats = client.stats()
    true(int(stats["auth_cmds"]) == 8 and int(stats["auth_errors"]) == 4, "counted: %r" % stats)
    os.remove(path)
    equal(log_in(t.memcached(server), "anna changed"), b"CLIENT_ERROR authentication failure",
          "without the file")

    server = t.start("--requirepass", "open sesame")
    for token, answer in (("anybody open sesame", b"STORED"), ("x  open sesame", b"STORED"),
                          ("x open", b"CLIENT_ERROR authentication failure"),
                          ("open sesame", b"CLIENT_ERROR authentication failure")):
        equal(log_in(t.memcached(server), token), answer, "login with %r" % token)
    t.resp(server).call("AUTH", "open sesame")


@case()
def an_auth_file_must_name_somebody(t):
    path = os.path.join(t.folder, "users")
    code, _, err = run(t, "--auth-file", path)
    true(code == 2 and path in err and "No such file" in err, "%d: %r" % (code, err))
    with open(path, "w") as file:
        file.write("nobody in here\n")
    code, _, err = run(t, "--auth-file", path)
    true(code == 2 and path in err and "auth-file" in err, "%d: %r" % (code, err))


@case()
def a_password_is_asked_for(t):
    server = t.start("--requirepass", "open sesame")
    client = t.resp(server)
    noauth = "NOAUTH Authentication required."
    for words in (("GET", "k"), ("SET", "k", "v"), ("PING",), ("INFO",), ("FLUSHALL",),
                  ("CONFIG", "GET", "*"), ("SELECT", 1)):
        equal(client.call(*words), noauth, "%r before AUTH" % (words,))
    equal(client.call("HELLO", 3), "NOAUTH HELLO must be called with the client already "
          "authenticated, otherwise the HELLO AUTH <user> <pass> option can be used to "
          "authenticate the client and select the RESP protocol version at the same time",
          "HELLO before AUTH")
    wrong = "WRONGPASS invalid username-password pair or user is disabled."
    equal(client.call("AUTH", "wrong"), wrong, "a wrong password")
    equal(client.call("AUTH", "nobody", "open sesame"), wrong, "a wrong user")
    equal(client.call("GET", "k"), noauth, "GET after a wrong password")
    equal(client.call("AUTH", "open sesame"), "OK", "AUTH")
    equal(client.call("SET", "k", "v"), "OK", "SET after AUTH")
    equal(client.call("AUTH", "wrong"), wrong, "a wrong password later")
    other = t.resp(server)
    equal(other.call("AUTH", "default", "open sesame"), "OK", "AUTH with a user")
    third = t.resp(server)
    equal(third.call("HELLO", 3, "AUTH", "default", "open sesame")[b"proto"], 3, "HELLO with AUTH")
    fourth = t.resp(server)
    said = fourth.call("HELLO", 3, "AUTH", "default", "wrong")
    equal(said, wrong, "HELLO with a wrong password")
    fourth.send(b"*11\r\n")
    equal(fourth.reply(), "ERR Protocol error: unauthenticated multibulk length", "a long command")
    fifth = t.resp(server)
    fifth.send(b"*2\r\n$3\r\nGET\r\n$20000\r\n")
    equal(fifth.reply(), "ERR Protocol error: unauthenticated bulk length", "a large argument")


@case()
def clients_are_counted(t):
    server = t.start("--maxclients=20")
    clients = [t.resp(server) for _ in range(15)]
    for client in clients:
        equal(client.call("PING"), "PONG", "PING below the limit")
    refused = 0
    for _ in range(20):
        client = t.resp(server)
        try:
            client.send(b"PING\r\n")
            if client.line() == b"-ERR max number of clients reached":
                refused += 1
        except (talk.Closed, OSError):
            refused += 1
    true(13 <= refused <= 16, "%d of 20 were refused over the limit" % refused)
    equal(clients[0].call("PING"), "PONG", "an old client at the limit")
    for client in clients[1:]:
        client.close()

    def welcome():
        client = t.resp(server)
        try:
            return client.call("PING") == "PONG"
        except (talk.Closed, OSError):
            return False

    within(5, welcome, "nobody is let in after others left")


@case()
def idle_clients_are_closed(t):
    server = t.start("--timeout=1")
    idle, busy, half = t.resp(server), t.resp(server), t.resp(server)
    idle.call("PING")
    half.send(b"*2\r\n$3\r\nGET\r\n")
    begin = time.monotonic()
    # The two may go a tick apart: whoever is busy has to stay so until both have gone.
    for client, stays in ((idle, "an idle client stays"), (half, "half a command keeps a client")):
        while not client.is_closed(0.1):
            equal(busy.call("PING"), "PONG", "a busy client")
            true(time.monotonic() - begin < 5 * SLOW_FACTOR, stays)
        true(time.monotonic() - begin > 0.9, "closed after %.1f s" % (time.monotonic() - begin))
    equal(busy.call("PING"), "PONG", "a busy client afterwards")
    metrics = server.metrics()
    true(metrics.sum("ebb_connections_closed_total", reason="idle") >= 2, "closed{reason=idle}")


@case()
def a_full_server_still_says_how_it_is(t):
    server = t.start("--maxclients=1", "--http-maxclients=2")
    client = t.resp(server)
    equal(client.call("PING"), "PONG", "the only client")
    equal(t.http("/healthz", server=server).status, 200, "/healthz of a full server")
    held = [socket.create_connection(("127.0.0.1", server.http_port)) for _ in range(2)]
    within(5, lambda: t.http("/healthz", server=server).status == 503, "pages have no limit")
    equal(client.call("PING"), "PONG", "the client beside too many pages")
    for connection in held:
        connection.close()


@case(limit=60)
def a_client_that_takes_a_long_reply_is_not_idle(t):
    server, size, seconds = t.start("--timeout=1"), 16 << 20, 3
    t.resp(server).call("SET", "large", b"x" * size)
    wire = socket.socket()
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    wire.connect(("127.0.0.1", server.resp_port))
    wire.settimeout(10)
    wire.sendall(talk.command("GET", "large"))
    want, got, begin = size + len(b"$%d\r\n\r\n" % size), 0, time.monotonic()
    while got < want:
        if got / want > (time.monotonic() - begin) / seconds:
            time.sleep(0.01)
            continue
        part = wire.recv(65536)
        true(part, "closed after %d of %d bytes, %.1f s" % (got, want, time.monotonic() - begin))
        got += len(part)
    wire.close()


@case()
def logs_go_where_told(t):
    path = os.path.join(t.folder, "ebb.log")
    server = t.start("--logfile", path, "--loglevel=debug", "--explain=yes")
    client = t.resp(server)
    for number in range(3000):
        client.send(talk.command("SET", "k%d" % number, "v" * 1000))
        client.reply()
    client.call("FLUSHALL")
    time.sleep(1)
    server.stop()
    equal(server.log_text(), "", "standard error with --logfile")
    with open(path) as file:
        text = file.read()
    true(str(server.resp_port) in text, "the start-up lines are in the file:\n" + text)
    quiet = t.start("--loglevel=warning")
    quiet.stop()
    equal(quiet.log_text(), "", "--loglevel=warning with nothing to warn of")
    code, _, err = run(t, "--logfile=/nonexistent/folder/ebb.log", "--port=%d" % ebb.free_port(),
                       "--memcached-port=0", "--http-port=0")
    true(code in (1, 2) and "/nonexistent/folder/ebb.log" in err, "a log that cannot be: %d %r" %
         (code, err))


@case()
def a_hangup_opens_the_log_anew(t):
    path, old = os.path.join(t.folder, "ebb.log"), os.path.join(t.folder, "ebb.log.1")
    server = t.start("--logfile", path)
    os.rename(path, old)
    server.send_signal(signal.SIGHUP)
    within(5, lambda: os.path.exists(path) and os.path.getsize(path) > 0, "no new log file")
    before = os.path.getsize(old)
    equal(t.resp(server).call("PING"), "PONG", "PING after SIGHUP")
    server.stop()
    with open(path) as file:
        text = file.read()
    true("SIGHUP: logging to %s anew" % path in text and "SIGTERM: ending" in text, text)
    equal(os.path.getsize(old), before, "bytes of the old file")
    server = t.start("--logfile", path)
    os.remove(path)
    os.mkdir(path)  # no file can take its place, so lines go where they went
    server.send_signal(signal.SIGHUP)
    equal(t.resp(server).call("PING"), "PONG", "PING after a SIGHUP in vain")
    server.stop()
    server = t.start()
    server.send_signal(signal.SIGHUP)
    equal(t.resp(server).call("PING"), "PONG", "PING after a SIGHUP that is for nobody")
    server.stop()
    true("SIGHUP" not in server.log_text(), server.log_text())


@case()
def who_is_closed_for_a_limit_is_told(t):
    """One line a second at most, with the setting's name; the lines add up to the clients."""
    server = t.start("--threads=1", "--client-output-limit=1mb", "--client-query-buffer-limit=1mb")
    t.resp(server).call("SET", "k", "v" * 10000)
    line = re.compile(r" warning +closing client \d+ \(127\.0\.0\.1:\d+\), which is over "
                      r"([a-z-]+), 1048576 bytes(?:; (\d+) others since the last such line)?$",
                      re.MULTILINE)

    def closed():
        return int(server.metrics().sum("ebb_connections_closed_total", reason="buffer_limit"))

    def close(count):
        for number in range(closed() + 1, closed() + count + 1):
            client = t.resp(server, receive_bytes=4096)  # who looked whether it is closed would read
            client.send(talk.command("GET", "k") * 2000)
            within(5, lambda: closed() == number, "20 MB unread and still served")

    def count(text):
        return sum(1 + int(others or 0) for _, others in line.findall(text))

    close(5)
    first = line.findall(server.log_text())
    true(1 <= len(first) <= 5 and first[0] == ("client-output-limit", ""), server.log_text())
    time.sleep(1.1)
    close(1)
    equal(count(server.log_text()), 6, "clients in\n" + server.log_text())
    time.sleep(1.1)
    client = t.resp(server)
    with contextlib.suppress(ConnectionError):  # it may be closed while it is sending
        client.send(b"*2\r\n$3\r\nGET\r\n$3000000\r\n" + b"x" * 2000000)
    within(5, client.is_closed, "a command over its limit")
    equal(line.findall(server.log_text())[-1], ("client-query-buffer-limit", ""), "the last line")
    equal(closed(), 7, "counted")


@case()
def a_unix_socket_serves(t):
    path = os.path.join(t.folder, "ebb.sock")
    server = t.start("--unixsocket", path)
    client = t.own(talk.Resp(0, path=path))
    equal(client.call("SET", "k", "v"), "OK", "SET")
    equal(t.resp(server).call("GET", "k"), b"v", "GET over TCP")
    os.kill(server.pid, signal.SIGKILL)
    server.process.wait()
    server.stopped = True
    again = t.start("--unixsocket", path)  # the dead server's socket is in the way
    equal(t.own(talk.Resp(0, path=path)).call("PING"), "PONG", "after a crash")
    again.stop()
    true(not os.path.exists(path), "the socket is removed at the end")


@case()
def a_unix_socket_that_accepts_nobody_is_in_use(t):
    """Its backlog is full: whoever looks whether it is alive must not wait for its turn."""
    path = os.path.join(t.folder, "busy.sock")
    with contextlib.ExitStack() as open_sockets:
        busy = open_sockets.enter_context(socket.socket(socket.AF_UNIX))
        busy.bind(path)
        busy.listen(0)
        is_full = False
        while not is_full:
            client = open_sockets.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)
            is_full = client.connect_ex(path) != 0
        code, _, err = run(t, "--port=0", "--memcached-port=0", "--http-port=0", "--unixsocket", path)
        true(code == 1 and path in err and "in use" in err, "%d %r" % (code, err))
        true(os.path.exists(path), "the other's socket has been removed")


@case()
def a_unix_socket_has_the_permissions_it_is_given(t):
    for words, mode in ((("--unixsocketperm", "700"), 0o700), (("--unixsocketperm=0777",), 0o777)):
        path = os.path.join(t.folder, "mode.sock")
        server = t.start("--unixsocket", path, *words)
        equal(stat.S_IMODE(os.stat(path).st_mode), mode, "mode of the socket")
        equal(config(server, "unixsocketperm"), "%o" % mode, "CONFIG GET unixsocketperm")
        server.stop()
    code, _, err = run(t, "--unixsocketperm", "888")
    true(code == 2 and "unixsocketperm" in err, "a mode that is none: %d %r" % (code, err))
    code, _, err = run(t, "--unixsocketperm", "1000")
    true(code == 2 and "between 0 and 777" in err, "a mode too large: %d %r" % (code, err))


@case()
def more_clients_than_files_allow_are_refused(t):
    server = t.start("--maxclients=100")
    files = 400
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (files, files))
    client = t.resp(server)
    said = client.call("CONFIG", "SET", "timeout", "7", "maxclients", "100000")
    if said == "OK":  # with the right to raise hard limits it may
        true(resource.prlimit(server.pid, resource.RLIMIT_NOFILE)[0] > 100000, "files")
        return
    possible = int(str(said).rsplit(" ", 1)[1])
    equal(said, talk.Error("ERR CONFIG SET failed (possibly related to argument 'maxclients') - "
                           "The operating system is not able to handle the specified number of "
                           "clients, try with %d" % possible), "CONFIG SET maxclients")
    true(100 < possible < files, "%d clients are possible" % possible)
    equal((config(server, "maxclients"), config(server, "timeout")), ("100", "0"), "unchanged")
    equal(client.call("CONFIG", "SET", "maxclients", possible), "OK", "what is possible")
    true("try with" in str(client.call("CONFIG", "SET", "maxclients", possible + 1)), "one more")


@case()
def threads_share_the_work(t):
    for threads in (1, 4):
        server = t.start("--threads=%d" % threads)
        equal(config(server, "threads"), str(threads), "CONFIG GET threads")
        clients = [t.resp(server) for _ in range(16)]
        for client in clients:
            client.send(talk.command("INCR", "n") * 1000)
        for client in clients:
            for _ in range(1000):
                client.reply()
        equal(clients[0].call("GET", "n"), b"16000", "a counter with %d threads" % threads)
        server.stop()
