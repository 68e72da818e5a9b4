# SPDX-License-Identifier: MIT
"""The clients that people already have, unmodified: redis-cli, redis-benchmark, python3-redis,
python3-pymemcache, pylibmc and libmemcached's tools, memcached-tool and curl. Each is a test of its
own and is skipped where the client is not installed."""

import fcntl
import importlib
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

from case import SCALE, SLOW_FACTOR, Failed, Skipped, case, equal, program, true


def library(name):
    try:
        return importlib.import_module(name)
    except ImportError:
        raise Skipped("python3-%s is not installed" % name) from None


class Terminal:
    """A program on a terminal, as a person has it. What it shows comes without the codes that move
    the cursor and colour the line while it is typed."""

    CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")

    def __init__(self, t, *command):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", 40, 160, 0, 0))
        environment = {**os.environ, "TERM": "xterm", "HOME": t.folder}
        self.process = t.spawn(*command, stdin=slave, stdout=slave, stderr=slave, env=environment,
                               start_new_session=True)
        os.close(slave)
        t.own(self)

    def close(self):
        os.close(self.master)

    def until(self, pattern, seconds=10):
        """What is shown up to and with the first match of the pattern."""
        shown, end = "", time.monotonic() + seconds * SLOW_FACTOR
        while not re.search(pattern, self.CODES.sub("", shown)):
            ready, _, _ = select.select([self.master], [], [], max(0, end - time.monotonic()))
            if not ready:
                raise Failed("no %s in time in %r" % (pattern, shown))
            try:
                shown += os.read(self.master, 65536).decode("utf-8", "replace")
            except OSError:  # the program has ended
                raise Failed("it ended without %s after %r" % (pattern, shown)) from None
        return self.CODES.sub("", shown)

    def say(self, line, prompt):
        """Types a line; returns what is shown between it and the next prompt."""
        os.write(self.master, line.encode() + b"\r")
        shown = self.until(r"\n(?s:.*)%s$" % prompt)
        return re.sub(prompt + "$", "", shown.split("\n", 1)[1])


@case()
def redis_cli_talks_on_a_terminal(t):
    """Prompt, help, each form of reply as it is printed for people, and what is refused."""
    screen = Terminal(t, program("redis-cli"), "-p", str(t.server.resp_port))
    prompt = r"127\.0\.0\.1:%d> " % t.server.resp_port
    screen.until(prompt + "$")
    for line, shown in (
            ("SET k 'hello world'", "OK\n"), ("GET k", '"hello world"\n'),
            ("GET nothing", "(nil)\n"), ("INCR n", "(integer) 1\n"),
            ("MGET k nothing n", '1) "hello world"\n2) (nil)\n3) "1"\n'),
            ("KEYS x*", "(empty array)\n"), ('SET b "\\x00\\xff"', "OK\n"),
            ("GET b", '"\\x00\\xff"\n'),
            ("INCR k", "(error) ERR value is not an integer or out of range\n"),
            ("GET", "(error) ERR wrong number of arguments for 'get' command\n"),
            ("lpush k 1",
             "(error) ERR unknown command 'lpush', with args beginning with: 'k' '1' \n"),
            ("SUBSCRIBE news", "Reading messages... (press Ctrl-C to quit)\n"
             "(error) ERR unknown command 'SUBSCRIBE', with args beginning with: 'news' \n"),
            ("MONITOR", "(error) ERR unknown command 'MONITOR', with args beginning with: \n"),
            ("3 INCR n", "(integer) 2\n(integer) 3\n(integer) 4\n"),
            ("SET k 'broken", "Invalid argument(s)\n"), ("PING", "PONG\n")):
        equal(screen.say(line, prompt), shown, line)
    said = screen.say("help getex", prompt)
    true("GETEX" in said and "summary:" in said and "since: 6.2.0" in said, "help: " + said)
    os.write(screen.master, b"GETEX k ")  # what may follow is shown as it is typed
    screen.until(r"\[EX seconds\|PX milliseconds\|EXAT unix-time-seconds\|")
    equal(screen.say("", prompt), '"hello world"\n', "GETEX")
    true("redis_version:" in screen.say("INFO server", prompt), "INFO")
    inside = prompt[:-2] + r"\(TX\)> "
    equal(screen.say("MULTI", inside), "OK\n", "MULTI")
    equal(screen.say("INCR n", inside), "QUEUED\n", "INCR in it")
    equal(screen.say("EXEC", prompt), "1) (integer) 5\n", "EXEC")
    third = prompt[:-2] + r"\[3\]> "
    equal(screen.say("SELECT 3", third), "OK\n", "SELECT")
    equal(screen.say("DBSIZE", third), "(integer) 0\n", "DBSIZE in 3")
    true(screen.say("HELLO 3", third).startswith('1# "server" => "redis"\n'), "HELLO 3")
    equal(screen.say("GET nothing", third), "(nil)\n", "GET in RESP3")
    os.write(screen.master, b"exit\r")
    equal(screen.process.wait(10 * SLOW_FACTOR), 0, "its exit code")


@case()
def redis_cli_writes_formats(t):
    client, cli = t.resp(), (program("redis-cli"), "-p", str(t.server.resp_port))
    client.call("MSET", "a", 'say "hi"', "b", b"\xc3\xa4\n\0")
    for words, wanted in (
            (("--csv", "MGET", "a", "none"), '"say \\"hi\\"",NULL\n'), (("--csv", "DBSIZE"), "2\n"),
            (("--csv", "GET", "b"), '"\\xc3\\xa4\\n\\x00"\n'),
            (("--json", "MGET", "a", "none"), '["say \\"hi\\"",null]\n'),
            (("--json", "CONFIG", "GET", "databases"), '{"databases":"16"}\n'),
            (("--json", "-2", "CONFIG", "GET", "databases"), '["databases","16"]\n'),
            (("--json", "DBSIZE"), "2\n"), (("--json", "GET", "b"), '"ä\\n\\u0000"\n'),
            (("--quoted-json", "GET", "b"), '"\\\\xc3\\\\xa4\\\\n\\\\x00"\n'),
            (("-d", ";", "MGET", "a", "a"), 'say "hi";say "hi"\n'),
            (("--quoted-input", "STRLEN", '"b"'), "4\n")):
        equal(t.run(*cli, *words).text, wanted, " ".join(words))
    said = t.run(*cli, "-X", "here", "SET", "tagged", "here", stdin=b"\x00\xff\r\n").text
    equal((said, client.call("GET", "tagged")), ("OK\n", b"\x00\xff\r\n"), "-X")


@case()
def redis_cli_is_refused_clearly(t):
    """What there is not ends at once and says why, and the server goes on."""
    cli = (program("redis-cli"), "-p", str(t.server.resp_port))
    t.run(*cli, "SET", "a", "0")
    for words, code, wanted in (
            (("--rdb", "copy.rdb"), 1, "SYNC with master failed: -ERR unknown command 'SYNC'"),
            (("--replica",), 1, "SYNC with master failed: -ERR unknown command 'SYNC'"),
            (("--functions-rdb", "copy.rdb"), 1, "Failed requesting functions only RDB"),
            (("-e", "MONITOR"), 1, "ERR unknown command 'MONITOR'"),
            (("-e", "SUBSCRIBE", "a"), 1, "ERR unknown command 'SUBSCRIBE'"),
            (("--hotkeys",), 1, "ERR An LFU maxmemory policy is not selected"),
            (("-e", "EVAL", "return 1", "0"), 1, "ERR This server runs no Lua")):
        done = t.run(*cli, *words, codes=(code,))
        said = done.text + done.error_text
        true(wanted in said, "%r: %s" % (words, said))
    done = t.run(*cli, "--pipe", stdin=b"SET a 1\r\nNONSENSE\r\nSET b 2\r\n", codes=(1,))
    true("errors: 1, replies: 3" in done.text, done.text)
    equal(t.run(*cli, "DBSIZE").text, "2\n", "what the pipe has set")


@case()
def redis_cli_asks_and_answers(t):
    cli = (program("redis-cli"), "-p", str(t.server.resp_port))

    def said(*words, stdin=b"", codes=(0,)):
        return t.run(*cli, *words, stdin=stdin, codes=codes).text

    equal(said("SET", "greeting", "hello world"), "OK\n", "SET")
    equal(said("GET", "greeting"), "hello world\n", "GET")
    equal(said("--no-raw", "GET", "greeting"), '"hello world"\n', "GET --no-raw")
    equal(said("--no-raw", "GET", "nothing"), "(nil)\n", "GET of nothing")
    equal(said("-x", "SET", "piped", stdin=b"from stdin"), "OK\n", "-x")
    equal(said("STRLEN", "piped"), "10\n", "STRLEN")
    equal(said("-r", "3", "INCR", "n"), "1\n2\n3\n", "-r 3 INCR")
    equal(said("-n", "5", "SET", "k", "five"), "OK\n", "-n 5")
    equal(said("-n", "5", "DBSIZE"), "1\n", "DBSIZE in 5")
    equal(said("EXISTS", "k"), "0\n", "the key in database 0")
    equal(said("-3", "--no-raw", "CONFIG", "GET", "databases"), '1# "databases" => "16"\n', "-3")
    equal(said("-2", "CONFIG", "GET", "databases"), "databases\n16\n", "-2")
    true("redis_version:" in said("INFO", "server"), "INFO server")
    true(said("-e", "NONSENSE", codes=(1,)) is not None, "-e")
    equal(said(stdin=b"PING\nSET a 1\nGET a\nTTL a\n"), "PONG\nOK\n1\n-1\n", "commands by stdin")


@case()
def redis_cli_pipe_loads(t):
    count = 100000 // SCALE
    stream = b"".join(b"SET key:%d value-%d\r\n" % (n, n) for n in range(count))
    said = t.run(program("redis-cli"), "-p", str(t.server.resp_port), "--pipe", stdin=stream).text
    true("errors: 0, replies: %d" % count in said, said)
    client = t.resp()
    equal(client.call("DBSIZE"), count, "DBSIZE")
    equal(client.call("GET", "key:%d" % (count - 1)), b"value-%d" % (count - 1), "the last key")


@case()
def redis_cli_scans(t):
    client, port = t.resp(), str(t.server.resp_port)
    for number in range(3000):
        client.send(b"*3\r\n$3\r\nSET\r\n$9\r\nuser:%04d\r\n$1\r\n.\r\n" % number)
        client.reply()
    client.call("SET", "other", "x" * 5000)
    said = t.run(program("redis-cli"), "-p", port, "--scan", "--pattern", "user:1*").text
    equal(sorted(set(said.split())), ["user:1%03d" % n for n in range(1000)], "--scan --pattern")
    said = t.run(program("redis-cli"), "-p", port, "--bigkeys").text
    true("""Biggest string found '"other"' has 5000 bytes""" in said, said)
    said = t.run(program("redis-cli"), "-p", port, "--memkeys").text
    found = re.search(r"""Biggest string found '"other"' has (\d+) bytes""", said)
    true(found and int(found.group(1)) >= 5000 and "Sampled 3001 keys" in said, said)
    counted = t.run(program("redis-cli"), "-p", port, "--scan", "--count", "7", codes=None)
    if counted.returncode == 0:  # redis-cli 7.2 and later
        equal(len(set(counted.text.split())), 3001, "--scan --count")


@case()
def redis_cli_watches(t):
    """--stat until it is stopped, on a terminal as it wants; --latency for a second."""
    cli, port = program("redis-cli"), str(t.server.resp_port)
    client = t.resp()
    client.call("SET", "k", "v")
    master, slave = pty.openpty()
    stat = t.spawn(cli, "-p", port, "--stat", "-i", "0.1", stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    seen, end = "", time.monotonic() + 10 * SLOW_FACTOR
    while len(re.findall(r"^1 +\d+\.\d+[KM]", seen, re.MULTILINE)) < 3:
        if time.monotonic() > end:
            raise Failed("--stat shows " + seen)
        seen += os.read(master, 4096).decode()
    stat.terminate()
    stat.wait()
    os.close(master)
    said = t.run(cli, "-p", port, "--latency", "-i", "1", codes=None).text
    least, most, average, count = map(float, said.split()[:4])
    true(0 <= least <= average <= most and count > 20, "--latency: " + said)
    history = t.spawn(cli, "-p", port, "--latency-history", "-i", "1", "--raw",
                      stdout=subprocess.PIPE)
    for _ in range(2):
        words = history.stdout.readline().split()
        true(len(words) == 4 and float(words[0]) <= float(words[2]) <= float(words[1]),
             "--latency-history: %r" % words)


@case(limit=60)
def redis_benchmark_runs(t):
    bench, port = program("redis-benchmark"), str(t.server.resp_port)
    for more in ((), ("-3", "-d", "1000", "-r", "1000")):
        said = t.run(bench, "-p", port, "-t", "set,get,incr,mset", "-P", "16", "-q", "-n",
                     str(100000 // SCALE), *more)
        rates = re.findall(r"(SET|GET|INCR|MSET \(10 keys\)): (\d+\.\d+) requests per second",
                           said.text)
        equal([name for name, _ in rates], ["SET", "GET", "INCR", "MSET (10 keys)"], "its tests")
        true("rror" not in said.text + said.error_text, said.text + said.error_text)
        t.measured("redis-benchmark -P 16 %s: %s" % (" ".join(more), ", ".join(
            "%s %.0f/s" % (name, float(rate)) for name, rate in rates)))
    said = t.run(bench, "-p", port, "-t", "ping,set,get,incr,mset", "-P", "16", "-n", "2000",
                 "--csv")
    rows = [line.strip('"').split('","') for line in said.text.splitlines()]
    equal([row[0] for row in rows], ["test", "PING_INLINE", "PING_MBULK", "SET", "GET", "INCR",
                                     "MSET (10 keys)"], "its table")
    true(all(float(figure) >= 0 for row in rows[1:] for figure in row[1:]), said.text)
    client = t.resp()
    true(int(client.call("GET", "counter:__rand_int__")) >= 100000 // SCALE, "the counter")
    true(client.call("DBSIZE") > 900 // SCALE, "keys were stored")


@case()
def python_redis_works(t):
    redis = library("redis")
    db = t.own(redis.Redis(host="127.0.0.1", port=t.server.resp_port))
    true(db.ping(), "ping")
    key, value = bytes(range(256)), bytes(reversed(range(256))) * 100
    true(db.set(key, value) and db.get(key) == value, "binary key and value")
    true(db.set("k", 1, nx=True) and db.set("k", 2, nx=True) is None, "nx")
    true(db.set("none", 1, xx=True) is None and db.set("k", 3, xx=True, ex=100), "xx and ex")
    equal((db.ttl("k"), db.get("k")), (100, b"3"), "ttl")
    equal(db.set("k", 4, keepttl=True, get=True), b"3", "get and keepttl")
    true(99000 < db.pttl("k") <= 100000 and db.persist("k") and db.ttl("k") == -1, "persist")
    true(db.expire("k", 50, nx=True) and not db.expire("k", 60, nx=True), "expire nx")
    equal((db.incr("n", 5), db.decr("n"), db.incrby("n", 10), db.decrby("n", 4)), (5, 4, 14, 10),
          "counters")
    true(db.mset({"a": 1, "b": "two", b"c\0": b"\0"}), "mset")
    equal(db.mget("a", "b", b"c\0", "d"), [b"1", b"two", b"\0", None], "mget")
    equal((db.append("b", "!"), db.strlen("b"), db.getset("b", "x"), db.getdel("b"),
           db.exists("b")), (4, 4, b"two!", b"x", 0), "append to exists")
    equal((db.getex("a", ex=20), db.ttl("a"), db.type("a"), db.type("b")),
          (b"1", 20, b"string", b"none"), "getex and type")
    try:
        db.incr(key)
        raise Failed("incr of text succeeds")
    except redis.ResponseError as error:
        equal(str(error), "value is not an integer or out of range", "the error of incr")
    equal(db.delete("a", "k", "nothing"), 2, "delete")
    true(db.unlink("n") == 1 and db.dbsize() == 2, "unlink and dbsize")
    equal(db.info()["db0"]["keys"], 2, "info")
    equal(db.config_get("databases"), {"databases": "16"}, "config_get")
    true(db.memory_purge() and db.flushdb() and db.randomkey() is None, "purge and flush")
    other = t.own(redis.Redis(host="127.0.0.1", port=t.server.resp_port, db=9,
                              decode_responses=True,
                              client_name="nine"))
    other.set("ü", "ö")
    equal((other.get("ü"), other.keys("*"), other.client_getname(), db.exists("ü")),
          ("ö", ["ü"], "nine", 0), "decoded texts in another database")


@case()
def python_redis_pipelines_and_pools(t):
    redis = library("redis")
    pool = redis.BlockingConnectionPool(host="127.0.0.1", port=t.server.resp_port, max_connections=4)
    db = t.own(redis.Redis(connection_pool=pool))
    pipe = db.pipeline(transaction=False)
    for number in range(5000):
        pipe.set("key:%d" % number, "value %d" % number, ex=1000)
    equal(set(pipe.execute()), {True}, "a pipeline of SET")
    for number in range(5000):
        pipe.get("key:%d" % number).ttl("key:%d" % number)
    got = pipe.execute()
    equal(got[0::2], [b"value %d" % n for n in range(5000)], "a pipeline of GET")
    true(all(999 <= ttl <= 1000 for ttl in got[1::2]), "their TTL")
    pipe.incr("key:1").get("key:1")
    got = pipe.execute(raise_on_error=False)
    true(isinstance(got[0], redis.ResponseError) and got[1] == b"value 1", "an error in a pipeline")
    equal(set(db.scan_iter(count=100)), {b"key:%d" % n for n in range(5000)}, "scan_iter")
    equal(set(db.scan_iter("key:49?", count=500)), {b"key:49%d" % n for n in range(10)}, "match")
    large = os.urandom(3000000)
    true(db.set("large", large) and db.get("large") == large, "a large value")
    clients = [t.own(redis.Redis(host="127.0.0.1", port=t.server.resp_port)) for _ in range(20)]
    for number, client in enumerate(clients):
        client.set("from:%d" % number, number)
    equal([int(c.get("from:%d" % n)) for n, c in enumerate(reversed(clients))], list(range(20)),
          "twenty clients")
    db.set("short", 1, px=80)
    time.sleep(0.12)
    equal(db.get("short"), None, "a key after its time")


@case()
def python_redis_locks_and_watches(t):
    """Its Lock, which is three scripts, and its optimistic locking."""
    redis = library("redis")
    db = t.own(redis.Redis(host="127.0.0.1", port=t.server.resp_port))
    lock = db.lock("lock", timeout=10)
    true(lock.acquire(blocking=False), "the lock is free")
    true(not db.lock("lock", timeout=10).acquire(blocking=False), "now it is not")
    true(lock.extend(20) and 25000 < db.pttl("lock") <= 30000, "extended: %r" % db.pttl("lock"))
    true(lock.extend(5, replace_ttl=True) and db.pttl("lock") <= 5000, "extended anew")
    true(lock.reacquire() and 5000 < db.pttl("lock") <= 10000, "reacquired")
    lock.release()
    equal(db.exists("lock"), 0, "released")
    lock.acquire()
    db.set("lock", "somebody else's")
    try:
        lock.release()
        true(False, "somebody else's lock was released")
    except redis.exceptions.LockError:
        pass
    release = db.register_script("if redis.call('get', KEYS[1]) == ARGV[1] then\n"
                                 "    return redis.call('del', KEYS[1])\nelse return 0 end")
    equal(release(keys=["lock"], args=["somebody else's"]), 1, "a script of one's own spelling")
    try:
        db.eval("return 1", 0)
        true(False, "an unknown script has run")
    except redis.exceptions.ResponseError as error:
        true("no Lua" in str(error), str(error))
    db.set("n", 1)

    def twice(pipe):
        value = int(pipe.get("n"))
        pipe.multi()
        pipe.set("n", 2 * value)

    for _ in range(5):
        db.transaction(twice, "n")
    equal(db.get("n"), b"32", "after five transactions")
    with db.pipeline() as pipe:
        pipe.watch("n")
        db.incr("n")
        pipe.multi()
        pipe.get("n")
        try:
            pipe.execute()
            true(False, "a transaction has run over a change")
        except redis.exceptions.WatchError:
            pass


@case()
def pymemcache_works(t):
    library("pymemcache")
    base = importlib.import_module("pymemcache.client.base")
    address = ("127.0.0.1", t.server.memcached_port)
    db = t.own(base.Client(address, default_noreply=False))
    true(db.set("k", b"v") and db.get("k") == b"v", "set and get")
    true(db.get("nothing") is None and db.get("nothing", "other") == "other", "a miss")
    true(not db.add("k", "x") and db.add("fresh", "x"), "add")
    true(not db.replace("nothing", "x") and db.replace("k", "mid"), "replace")
    true(db.append("k", ">") and db.prepend("k", "<") and db.get("k") == b"<mid>", "joins")
    value, token = db.gets("k")
    equal(value, b"<mid>", "gets")
    equal((db.cas("k", "1", token), db.cas("k", "2", token), db.cas("nothing", "1", token)),
          (True, False, None), "cas")
    equal((db.incr("k", 9), db.decr("k", 3), db.decr("k", 100), db.incr("nothing", 1)),
          (10, 7, 0, None), "incr and decr")
    many = {"many:%d" % n: b"%d" % n for n in range(500)}
    equal(db.set_many(many), [], "set_many")
    equal(db.get_many(list(many) + ["nothing"]), many, "get_many")
    equal({k: v for k, (v, _) in db.gets_many(list(many)).items()}, many, "gets_many")
    true(db.delete_many(list(many)) and db.get_many(list(many)) == {}, "delete_many")
    true(db.set("t", "x", expire=1) and db.touch("t", 100) and not db.touch("nothing", 1), "touch")
    true(db.gat("t", expire=100) == b"x" if hasattr(db, "gat") else True, "gat")
    true(db.delete("t") and not db.delete("t"), "delete")
    true(re.match(rb"\d+\.\d+", db.version()), "version")
    stats = db.stats()
    true(int(stats[b"curr_items"]) == 2 and int(stats[b"cmd_get"]) > 0, "stats %r" % stats)
    db.set("quiet", "x", noreply=True)
    equal(db.get("quiet"), b"x", "noreply")
    true(db.flush_all() and db.get("k") is None, "flush_all")
    serde = importlib.import_module("pymemcache.serde")
    pooled = t.own(base.PooledClient(address, serde=serde.pickle_serde, max_pool_size=4))
    for thing in ({"a": [1, 2.5, None]}, 12, "text", b"bytes"):
        pooled.set("thing", thing, noreply=False)
        equal(pooled.get("thing"), thing, "a thing with flags")


MEMCAPABLE = ("version", "quit", "verbosity", "set", "set noreply", "get", "gets", "mget", "flush",
              "flush noreply", "add", "add noreply", "replace", "replace noreply", "cas",
              "cas noreply", "delete", "delete noreply", "incr", "incr noreply", "decr",
              "decr noreply", "append", "append noreply", "prepend", "prepend noreply", "stat")


@case(limit=60)
def memcapable_is_content(t):
    """All tests of the ASCII protocol: every verb that they use is built."""
    tool, port = program("memcapable", "memccapable"), str(t.server.memcached_port)
    said = t.run(tool, "-h", "127.0.0.1", "-p", port, "-t", "5", "-a", codes=None).text
    results = dict(re.findall(r"^ascii ([a-z ]+?) +\[(\w+)\]", said, re.MULTILINE))
    failed = [name for name in MEMCAPABLE if results.get(name) != "pass"]
    equal(failed, [], "what fails of\n" + said)
    for name in ("set", "cas", "incr", "stat"):
        t.run(tool, "-h", "127.0.0.1", "-p", port, "-T", "ascii " + name)


@case()
def pylibmc_works(t):
    """libmemcached's text protocol, with the behaviours its users turn on."""
    pylibmc = library("pylibmc")
    db = pylibmc.Client(["127.0.0.1:%d" % t.server.memcached_port],
                        behaviors={"tcp_nodelay": True, "cas": True})
    true(db.set("k", "value", time=100) and db.get("k") == "value", "set and get")
    equal(t.resp().call("TTL", "k"), 100, "TTL")
    for thing in (b"bytes", "text", 12, 1 << 70, True, {"a": [1, None]}, "x" * 5000):
        db.set("thing", thing)
        equal(db.get("thing"), thing, "a thing with flags")
    db.set("large", "x" * 100000, min_compress_len=1000)
    equal(db.get("large"), "x" * 100000, "a compressed value")
    true(not db.add("k", "x") and db.add("fresh", "x"), "add")
    true(not db.replace("nothing", "x") and db.replace("fresh", "y"), "replace")
    true(db.append("fresh", ">") and db.prepend("fresh", "<") and db.get("fresh") == "<y>", "joins")
    db.set("n", 10)
    equal((db.incr("n"), db.incr("n", 5), db.decr("n", 6)), (11, 16, 10), "incr and decr")
    try:
        db.incr("nothing")
        raise Failed("incr of nothing succeeds")
    except pylibmc.NotFound:
        pass
    value, number = db.gets("k")
    true(value == "value" and db.cas("k", "other", number), "gets and cas")
    true(not db.cas("k", "third", number) and db.get("k") == "other", "cas with a used number")
    many = {"many:%d" % n: n for n in range(500)}
    equal(db.set_multi(many), [], "set_multi")
    equal(db.get_multi(list(many) + ["nothing"]), many, "get_multi")
    true(db.delete_multi(list(many)) and db.get_multi(list(many)) == {}, "delete_multi")
    true(db.touch("k", 500) and t.resp().call("TTL", "k") == 500, "touch")
    true(db.delete("k") and not db.delete("k"), "delete")
    (server, stats), = db.get_stats()
    true(int(stats[b"curr_items" if b"curr_items" in stats else "curr_items"]) == 4, "%r" % stats)
    true(db.flush_all() and db.get("n") is None, "flush_all")
    db.disconnect_all()


@case()
def memcached_tool_reads(t):
    """The script that comes with memcached: it shows classes and statistics and dumps all keys."""
    tool = "/usr/share/memcached/scripts/memcached-tool"
    if not os.path.exists(tool):
        raise Skipped("memcached-tool is not installed")
    address, client = "127.0.0.1:%d" % t.server.memcached_port, t.memcached()
    for number in range(300):
        client.ask("set key:%d 5 0 10" % number, "0123456789")
    client.ask("set other 0 1000 100", "x" * 100)
    said = t.run(program("perl"), tool, address, "display").text
    rows = [line.split() for line in said.splitlines()[1:]]
    true(sorted(int(row[4]) for row in rows if row[4].isdigit()) == [1, 300] or
         sum(int(row[4]) for row in rows if row[4].isdigit()) == 301, said)
    said = t.run(program("perl"), tool, address, "stats").text
    true(re.search(r"curr_items +301\r?$", said, re.MULTILINE), said)
    said = t.run(program("perl"), tool, address, "settings").text
    true(re.search(r"maxconns +\d+\r?$", said, re.MULTILINE), said)
    said = t.run(program("perl"), tool, address, "sizes").text
    equal(sum(int(line.split()[1]) for line in said.splitlines()[1:]), 301, "sizes: " + said)
    said = t.run(program("perl"), tool, address, "dump").text
    equal(sorted(re.findall(r"^add (\S+) 5 0 10\r?$", said, re.MULTILINE)),
          sorted("key:%d" % n for n in range(300)), "dump")
    true(re.search(r"^add other 0 \d+ 100\r?$", said, re.MULTILINE), said[-400:])
    said = t.run(program("memdump", "memcdump"), "--servers=" + address).text
    equal(len(set(said.split())), 301, "memdump: " + said)


@case()
def libmemcached_tools_work(t):
    servers = "--servers=127.0.0.1:%d" % t.server.memcached_port
    path = os.path.join(t.folder, "a-file")
    with open(path, "wb") as file:
        file.write(b"line\n" * 5000)
    t.run(program("memcp", "memccp"), servers, path)
    said = t.run(program("memcat", "memccat"), servers, "a-file").stdout
    true(said.startswith(b"line\n" * 5000), "memcat: %r" % said[-50:])
    said = t.run(program("memstat", "memcstat"), servers).text
    true("pid: %d" % t.server.pid in said and "curr_items: 1" in said, said)
    t.run(program("memtouch", "memctouch"), servers, "--expire=100", "a-file")
    equal(t.resp().call("TTL", "a-file"), 100, "TTL after memtouch")
    t.run(program("memexist", "memcexist"), servers, "a-file")
    t.run(program("memrm", "memcrm"), servers, "a-file")
    t.run(program("memexist", "memcexist"), servers, "a-file", codes=(1,))
    for test in ("set", "get", "mget"):
        t.run(program("memslap", "memcslap"), servers, "--concurrency=4", "--execute-number=500",
              "--test=" + test)
    t.run(program("memping", "memcping"), servers)
    said = t.run(program("memstat", "memcstat"), servers, "--server-version")
    true("%d 1.6.27\n" % t.server.memcached_port in said.text + said.error_text, "--server-version")
    t.run(program("memflush", "memcflush"), servers)
    equal(t.resp().call("DBSIZE"), 0, "DBSIZE after memflush")
    said = t.run(program("memaslap", "memcaslap"), servers, "-T", "1", "-c", "4", "-x", "2000").text
    true("get_misses: 0\n" in said and "cmd_get: 1800\n" in said, said)


@case()
def curl_reads_the_pages(t):
    curl, base = program("curl"), "http://127.0.0.1:%d" % t.server.http_port

    def status(*words):
        return t.run(curl, "-s", "-o", "body", "-w", "%{http_code} %{content_type}", *words).text

    for path, kind in (("/", "text/html"), ("/metrics", "text/plain"), ("/healthz", "text/plain"),
                       ("/readyz", "text/plain"), ("/metrics?x=y", "text/plain")):
        true(status(base + path).startswith("200 " + kind), "%s: %s" % (path, status(base + path)))
    with open(os.path.join(t.folder, "body")) as body:
        true("ebb_build_info" in body.read(), "/metrics has a body")
    page = t.run(curl, "-s", base + "/").text
    true("/metrics" in page and "/healthz" in page, "the page of links")
    for path in ("/nothing", "/metrics/nothing", "//", "/..", "/%2e%2e", "/index.html"):
        true(status("--path-as-is", base + path).startswith("404"), path + " is not there")
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
        true(status("-X", method, base + "/metrics").startswith("405"), method)
    said = t.run(curl, "-s", "-i", "-X", "DELETE", base + "/metrics").text
    true(re.search(r"^Allow: GET, HEAD\r$", said, re.MULTILINE | re.IGNORECASE), said)
    true(status("-d", "x" * 1000, base + "/metrics").startswith("405"), "POST with a body")
    said = t.run(curl, "-s", "-I", base + "/metrics").text
    length = re.search(r"^content-length: (\d+)\r$", said, re.MULTILINE | re.IGNORECASE)
    true(said.startswith("HTTP/1.1 200 ") and length and int(length.group(1)) > 1000, said)
    pages = [base + path for path in ("/healthz", "/readyz", "/metrics")]
    said = t.run(curl, "-v", "-s", *pages).error_text
    equal(len(re.findall(r"Re-using existing connection", said)), 2, "reuses of the connection")
    equal(len(re.findall(r"^\* Connected to", said, re.MULTILINE)), 1, "connections")
    true(status("--http1.0", base + "/healthz").startswith("200"), "HTTP/1.0")


@case()
def both_protocols_see_the_same(t):
    resp, plain = t.resp(), t.memcached()
    plain.ask("set k 42 100 5", "hello")
    equal((resp.call("GET", "k"), resp.call("TTL", "k")), (b"hello", 100),
          "memcached's key in RESP")
    resp.call("APPEND", "k", " world")
    equal(plain.get("k"), (42, b"hello world", None), "flags after APPEND")
    resp.call("EXPIRE", "k", 1000)
    equal(plain.get("k"), (42, b"hello world", None), "flags after EXPIRE")
    plain.ask("touch k 500")
    equal(resp.call("TTL", "k"), 500, "TTL after touch")
    plain.ask("append k 0 0 1", "!")
    equal((resp.call("GET", "k"), resp.call("TTL", "k")), (b"hello world!", 500), "after append")
    resp.call("SET", "k", "new")
    equal((plain.get("k"), resp.call("TTL", "k")), ((0, b"new", None), -1), "SET clears both")
    resp.call("SET", "n", 10, "EX", 300)
    equal((plain.ask("incr n 5"), resp.call("INCR", "n"), plain.ask("decr n 1")),
          (b"15", 16, b"15"), "one counter")
    equal(resp.call("TTL", "n"), 300, "TTL after incr")
    resp.call("SET", "gone", "x", "PX", 50)
    time.sleep(0.1)
    equal((plain.get("gone"), plain.ask("add gone 0 0 1", "y")), (None, b"STORED"), "RESP's expiry")
    plain.ask("set brief 0 1 1", "x")
    true(0 < resp.call("PTTL", "brief") <= 1000, "PTTL of one second")
    time.sleep(1.2)
    equal(resp.call("GET", "brief"), None, "memcached's expiry")
    resp.call("SELECT", 1)
    resp.call("SET", "one", "x")
    equal(plain.get("one"), None, "a key of database 1")
    resp.call("SELECT", 0)
    equal(plain.ask("delete n"), b"DELETED", "delete")
    equal(resp.call("EXISTS", "n", "k"), 1, "EXISTS")
    plain.ask("flush_all")
    equal((resp.call("GET", "k"), resp.call("DBSIZE")), (None, 0), "after flush_all")
    resp.call("MSET", "a", "1", "b", "2")
    plain.send(b"get a b c\r\n")
    equal(plain.until(b"END\r\n"), b"VALUE a 0 1\r\n1\r\nVALUE b 0 1\r\n2\r\nEND\r\n", "get a b c")
    resp.call("FLUSHALL")
    equal(plain.get("a"), None, "after FLUSHALL")
