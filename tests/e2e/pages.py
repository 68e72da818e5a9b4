# SPDX-License-Identifier: MIT
"""The JSON behind the page, and the page's files: true to the server, compressed on request, guarded by
their headers; and who may act."""

import gzip
import json
import threading
import time

import situations
import talk
from case import MIB, RSS_COUNTS, SCALE, SLOW_FACTOR, Skipped, case, equal, mib, true, within
from scenes import Values

POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
          "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
FILES = ("/", "/page.css", "/page.js", "/charts.js", "/heapmap.js", "/format.js", "/icon.svg",
         "/dygraph.js", "/dygraph.css")
DOCUMENTS = ("/api/memory", "/api/classes", "/api/history", "/api/heapmap")


def ask(t, path, method="GET", extra="", status=200):
    reply = talk.http(t.server.http_port, path, method, extra)
    equal(reply.status, status, "%s %s" % (method, path))
    true(reply.headers["content-type"].startswith("application/json"), path + " is JSON")
    return json.loads(reply.body)


@case()
def every_answer_is_guarded_and_compressed_on_request(t):
    for path in FILES + DOCUMENTS:
        plain = t.http(path)
        equal(plain.status, 200, path)
        equal(plain.headers.get("content-security-policy"), POLICY, "policy of " + path)
        equal(plain.headers.get("x-content-type-options"), "nosniff", "nosniff of " + path)
        equal(plain.headers.get("content-encoding"), None, "encoding of " + path)
        small = talk.http(t.server.http_port, path, extra="Accept-Encoding: br, gzip\r\n")
        if small.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(small.body)
            true(path in DOCUMENTS or body == plain.body, path + " is another when compressed")
        else:
            true(path in DOCUMENTS and len(plain.body) < 1024, path + " is not compressed")
        refused = t.http(path, "POST")
        equal((refused.status, refused.headers["allow"]), (405, "GET, HEAD"), "POST " + path)
    for path in ("/page.html", "/page.js/", "/../page.js", "/api", "/api/", "/assets.def"):
        equal(t.http(path).status, 404, path)


@case(limit=60)
def memory_and_history_say_what_the_server_does(t):
    client, values = t.resp(), Values(1000)
    count = 20000 // SCALE
    values.store(client, range(count))
    live = 1009 * count
    time.sleep(2.2)
    memory = ask(t, "/api/memory")
    equal(memory["live_bytes"], live, "live")
    equal(memory["items"], count, "items")
    equal(memory["clients"], 1, "clients")
    equal(sum(part["bytes"] for part in memory["parts"]), memory["resident_bytes"], "sum of the parts")
    if RSS_COUNTS:
        true(abs(memory["resident_bytes"] - t.server.rss()) < 0.03 * t.server.rss() + MIB / 2,
             "resident is %s, the kernel says %s" % (mib(memory["resident_bytes"]), mib(t.server.rss())))
    metrics = t.server.metrics()
    equal(metrics.parts()["live"], live, "the same in /metrics")
    true(any("resident" in sentence for sentence in memory["verdict"]), "verdict")
    columns = ask(t, "/api/history?seconds=60")["columns"]
    lengths = {len(column) for column in columns.values()}
    equal(len(lengths), 1, "lengths of the columns")
    true(2 <= lengths.pop() <= 60, "%d seconds" % len(columns["time_seconds"]))
    true(abs(columns["live_bytes"][-1] - live) <= live * 1e-6, "live in the history")
    true(all(b > a for a, b in zip(columns["time_seconds"], columns["time_seconds"][1:])), "order")
    # Per second, over seconds that are told in whole ones and may be late: no better than by half.
    times = columns["time_seconds"]
    stored = sum(rate * (now - before) for rate, now, before in
                 zip(columns["operations"][1:], times[1:], times))
    true(count * 0.5 <= stored <= count * 2, "%.0f operations in the history" % stored)
    for i in range(len(columns["time_seconds"])):
        parts = sum(column[i] for name, column in columns.items() if name.startswith("part_"))
        true(abs(parts - columns["resident_bytes"][i]) <= 1e-5 * parts + 1, "parts of second %d" % i)


@case(limit=60)
def heap_map_and_classes_agree_with_the_metrics(t):
    client = t.resp()
    for size in (50, 500, 5000, 300000):
        Values(size, b"v").store(client, range(200 if size > 100000 else 4000 // SCALE))
        client.call("RENAME", "k00000001", "s%d" % size)
    time.sleep(0.5)
    arenas, first = [], 0
    while first is not None:
        part = ask(t, "/api/heapmap?first=%d&count=7" % first)
        arenas += part["arenas"]
        first = part["next"]
    numbers = [arena["arena"] for arena in arenas]
    equal(numbers, sorted(set(numbers)), "numbers of the arenas")
    metrics = t.server.metrics()
    resident = sum(arena["resident_pages"] for arena in arenas) * part["page_bytes"]
    said = metrics.one("ebb_memory_address_space_bytes", state="resident")
    true(abs(resident - said) <= 0.05 * said + MIB, "the map has %s, /metrics %s" %
         (mib(resident), mib(said)))
    for arena in arenas:
        equal((len(arena["pages"]), len(arena["classes"])), (512, 512), "letters of an arena")
        true(set(arena["pages"]) <= set(".-_+0123456789"), "letters " + arena["pages"])
    classes = ask(t, "/api/classes")["classes"]
    equal(sum(c["slots_used"] for c in classes), metrics.sum("ebb_slots", state="used"), "slots used")
    true(all(len(c["spans_by_fullness"]) == 10 for c in classes), "deciles")


@case(limit=60)
def actions_want_the_token_and_do_what_they_say(t):
    for path in ("/api/purge", "/api/compact"):
        true("off" in ask(t, path, "POST", status=403)["error"], path)
        equal(t.http(path).headers["allow"], "POST", path)
    client, values = t.resp(), Values(300)
    client.call("CONFIG", "SET", "admin-token", "open sesame")
    true(ask(t, "/api/memory")["has_actions"], "has_actions")
    for extra in ("", "Authorization: Bearer open\r\n", "Authorization: Basic open sesame\r\n"):
        true("token" in ask(t, "/api/purge", "POST", extra, 403)["error"], extra)
    values.store(client, range(60000 // SCALE))
    values.delete(client, [n for n in range(60000 // SCALE) if n % 20])
    equal(ask(t, "/api/purge", "POST", "Authorization: Bearer open sesame\r\n", 202),
          {"started": "purge"}, "the answer")

    def is_purged():
        memory = ask(t, "/api/memory")
        is_small = memory["resident_bytes"] < 12 * MIB or not RSS_COUNTS
        return is_small and memory["trim"]["idle_bytes"] == 0

    within(20, is_purged, "idle pages are still there, or more is resident than is live")
    equal(client.call("DBSIZE"), len(range(0, 60000 // SCALE, 20)), "items")


@case(limit=240)
def verdict_names_the_cause_and_the_remedy(t):
    """MEMORY DOCTOR and /api/memory, in situations that somebody who knows nothing else must see
    through; the page itself is asked in browser.py."""
    if not RSS_COUNTS:
        raise Skipped("what is worth a word is a share of resident memory")
    Values(1000).store(t.resp(), range(3000 // SCALE))
    tellers = (situations.api(t), situations.doctor(t))
    for prepared in situations.ALL:
        prepared(t, tellers)
    t.resp().call("MEMORY", "PURGE")
    situations.say(tellers, "All is well")


@case(limit=60)
def many_scrapes_are_cheap(t):
    """A hundred scrapes and as many documents: what they cost the server, whose keys are many."""
    client = t.resp()
    Values(10).store(client, range(500000 // SCALE))
    gzip_too = "Accept-Encoding: gzip\r\n"
    for path, extra, most_ms in [("/metrics", "", 1), ("/metrics", gzip_too, 2)] + \
            [(path, "", 20) for path in DOCUMENTS]:
        before = t.server.cpu_seconds()
        for _ in range(100):
            equal(talk.http(t.server.http_port, path, extra=extra).status, 200, path)
        each_ms = (t.server.cpu_seconds() - before) / 100 * 1e3
        t.measured("%s%s: %.2f ms of CPU" % (path, " with gzip" if extra else "", each_ms))
        true(each_ms < most_ms or not RSS_COUNTS, "%s costs %.1f ms" % (path, each_ms))


class Visitor(threading.Thread):
    """Comes anew all the while, to each port, and remembers its longest visit."""

    def __init__(self, server):
        super().__init__()
        self.server, self.enough = server, threading.Event()
        self.visits, self.longest = 0, 0
        self.start()

    def run(self):
        while not self.enough.is_set():
            begin = time.monotonic()
            client = talk.Resp(self.server.resp_port)
            client.call("PING")
            client.close()
            talk.http(self.server.http_port, "/healthz")
            self.longest = max(self.longest, time.monotonic() - begin)
            self.visits += 1
            time.sleep(0.005)

    def close(self):
        self.enough.set()
        self.join()


@case(limit=60)
def many_requests_at_once_hold_nobody_up(t):
    """Each of three clients asks for hundreds of pages in one go and reads as fast as it can: who
    comes meanwhile is served between two of them."""
    count, gzip_too = max(600 // SCALE, 200), b"Accept-Encoding: gzip\r\n"
    wires = [t.own(talk.Wire(t.server.http_port)) for _ in range(3)]
    visitor, begin = t.own(Visitor(t.server)), time.monotonic()
    for wire in wires:
        wire.send(b"".join(b"GET /api/heapmap?first=%d HTTP/1.1\r\n\r\nGET /metrics HTTP/1.1\r\n%b\r\n" %
                           (2 ** 31 * (n % 2) - n % 2, gzip_too) for n in range(count)))
    for number, wire in ((n, wire) for n in range(count) for wire in wires):
        arenas = json.loads(talk.read_http(wire).body)["arenas"]
        equal(arenas == [], number % 2 == 1, "what answer %d is about" % number)
        equal(talk.read_http(wire).headers["content-encoding"], "gzip", "the page of metrics")
    took = time.monotonic() - begin
    visitor.close()
    t.measured("%d pages in %.2f s; %d visits meanwhile, the longest took %.1f ms" %
               (6 * count, took, visitor.visits, visitor.longest * 1e3))
    true(visitor.visits >= 2, "nobody came")
    true(visitor.longest < 0.25 * SLOW_FACTOR, "a visit took %.2f s" % visitor.longest)


@case(limit=60)
def bad_requests_get_an_error(t):
    for path in ("/api/history?seconds=0", "/api/history?seconds=3601", "/api/history?step=a",
                 "/api/heapmap?count=9999", "/api/heapmap?first=-1", "/api/heapmap?first="):
        true(ask(t, path, status=400)["error"], path)
