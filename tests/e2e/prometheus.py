# SPDX-License-Identifier: MIT
"""/metrics as Prometheus sees it: well-formed, complete, never going back.
The real Prometheus and its promtool are used where they are installed."""

import gzip
import http.server
import json
import math
import os
import re
import threading
import time
import urllib.parse
import urllib.request

import ebb
import talk
from case import MIB, SCALE, Skipped, case, equal, mib, program, true, within
from scenes import Values

FAMILIES = """
    ebb_build_info process_resident_memory_bytes process_virtual_memory_bytes
    process_cpu_seconds_total process_start_time_seconds process_open_fds process_max_fds
    ebb_page_faults_total ebb_memory_resident_bytes ebb_memory_live_peak_bytes
    ebb_memory_resident_peak_bytes ebb_spans ebb_slots ebb_slot_size_bytes
    ebb_compaction_cycles_total ebb_compaction_moved_objects_total ebb_compaction_moved_bytes_total
    ebb_compaction_freed_spans_total ebb_compaction_freed_bytes_total ebb_trim_calls_total
    ebb_compaction_step_duration_seconds ebb_compaction_step_duration_max_seconds
    ebb_large_value_relocated_bytes_total ebb_large_value_relocation_errors_total
    ebb_trim_bytes_total ebb_refault_bytes_total ebb_items ebb_items_with_ttl ebb_lookups_total
    ebb_lookup_hits_total ebb_commands_total ebb_connections ebb_connections_accepted_total
    ebb_connections_closed_total ebb_network_receive_bytes_total ebb_network_transmit_bytes_total
    """.split()
PARTS = """live item_header slot_slack slot_free span_idle index allocator_metadata connections
           libc_heap stacks file""".split()
SAMPLE_SECONDS = 1  # the server looks at itself so often


def settled(server):
    """Metrics of a sample taken after this call."""
    time.sleep(SAMPLE_SECONDS + 0.2)
    return server.metrics()


@case()
def families_are_complete(t):
    metrics = t.server.metrics()
    equal([name for name in FAMILIES if name not in metrics.types], [], "families that are missing")
    equal([part for part in PARTS if part not in metrics.parts()], [], "parts that are missing")
    seen = set()
    for name, labels, value in metrics.samples:
        family = metrics.family(name)
        true(family, "a sample without TYPE: " + name)
        true(metrics.helps.get(family), "a family without HELP: " + family)
        kind = metrics.types[family]
        true(kind in ("counter", "gauge", "histogram"), "%s is a %s" % (family, kind))
        true((kind == "counter") == name.endswith("_total") or kind == "histogram",
             "%s is a %s by name" % (name, kind))
        limit = "limit" in name or "_max_" in name
        true(math.isfinite(value) or limit, "%s is %r" % (name, value))
        row = (name, tuple(sorted(labels.items())))
        true(row not in seen, "twice: %r" % (row,))
        seen.add(row)
    filled = {metrics.family(name) for name, _, _ in metrics.samples}
    t.note("families without a sample yet: " + " ".join(sorted(set(metrics.types) - filled)))
    reply = t.http("/metrics")
    true(reply.headers["content-type"].startswith("text/plain; version=0.0.4"), "content type")


PATHS = ("/metrics", "/metrics/redis", "/metrics/memcached")
DEPLOY = os.path.join(ebb.ROOT, "deploy")


@case()
def promtool_finds_nothing_wrong(t):
    promtool = program("promtool")
    for path in PATHS:
        said = t.run(promtool, "check", "metrics", stdin=t.http(path).body)
        # Names of others are not ours to better: what their exporters are blamed for stays.
        lines = [line for line in (said.text + said.error_text).splitlines()
                 if path == "/metrics" or "should" not in line]
        equal(lines, [], "promtool on %s of a fresh server" % path)
    client, plain = t.resp(), t.memcached()
    for number in range(2000):
        client.send(talk.command("SET", "k%d" % number, "v" * (number % 700), "EX", 1000))
        client.reply()
    client.call("NONSENSE")
    client.call("GET", "k1")
    plain.get("k2")
    plain.ask("nonsense")
    client.call("FLUSHALL")
    client.call("MEMORY", "PURGE")
    said = t.run(promtool, "check", "metrics", stdin=t.http("/metrics").body)
    equal(said.text + said.error_text, "", "promtool after work")


@case()
def figures_follow_the_work(t):
    client, plain = t.resp(), t.memcached()
    before = t.server.metrics()
    for number in range(100):
        client.call("SET", "k%d" % number, "v" * 100)
    for number in range(150):
        client.call("GET", "k%d" % number)
    client.call("EXPIRE", "k1", 100)
    client.call("INCR", "k1")
    plain.ask("set m 0 0 1", "x")
    plain.get("m")
    plain.get("nothing")

    def grown(after, name, **labels):
        return after.sum(name, **labels) - before.sum(name, **labels)

    after = settled(t.server)
    equal(grown(after, "ebb_commands_total", protocol="resp", cmd="set"), 100, "SET")
    equal(grown(after, "ebb_commands_total", protocol="resp", cmd="get"), 150, "GET")
    equal(grown(after, "ebb_commands_total", protocol="memcached", cmd="get"), 2, "memcached's get")
    equal(grown(after, "ebb_commands_total", protocol="memcached", cmd="set"), 1, "memcached's set")
    equal(grown(after, "ebb_command_errors_total", protocol="resp", cmd="incr"), 1, "INCR's errors")
    equal(grown(after, "ebb_lookups_total"), 152, "lookups")
    equal(grown(after, "ebb_lookup_hits_total"), 101, "hits")
    equal(after.sum("ebb_items"), 101, "items")
    equal(after.sum("ebb_items_with_ttl"), 1, "items with a time")
    equal(after.parts()["live"], sum(len("k%d" % n) + 100 for n in range(100)) + 2, "part live")
    equal(after.one("ebb_connections", protocol="resp"), 1, "RESP connections")
    equal(after.one("ebb_connections", protocol="memcached"), 1, "memcached connections")
    sent = sum(len(talk.command("SET", "k%d" % n, "v" * 100)) for n in range(100))
    true(sent < grown(after, "ebb_network_receive_bytes_total", protocol="resp") < sent + 20000,
         "bytes received")
    true(grown(after, "ebb_network_transmit_bytes_total", protocol="resp") > 10000, "bytes sent")
    # Where reading the classes is dear (a slow build, many shards) they are read less often.
    within(5, lambda: t.server.metrics().sum("ebb_slots", state="used") == 101, "slots in use")
    client.close()
    within(5, lambda: t.server.metrics().one("ebb_connections", protocol="resp") == 0,
           "a closed connection still counts")


@case()
def large_values_that_outgrow_their_place_are_counted(t):
    client, name = t.resp(), "ebb_large_value_relocated_bytes_total"
    before = t.server.metrics()
    for size in range(5, 40, 5):
        for key in ("a", "b"):  # one in the way of the other
            client.call("SETRANGE", key, size * MIB, "x")
    after = t.server.metrics()
    equal(after.one("ebb_large_values"), 2, "large values")
    errors = after.one("ebb_large_value_relocation_errors_total")  # before Linux 5.7
    true(after.one(name) > before.one(name) or errors > 0, "nothing was relocated")
    equal(after.one(name) % MIB, 0, "of whole MiB")


def limits(t, server):
    """The limit in force as everybody tells it, the setting likewise; the history's last point."""
    def one(path, name):
        reply = talk.http(server.http_port, path)
        return int(ebb.Metrics(reply.body.decode()).one(name))

    client, plain = t.resp(server), t.memcached(server)
    info = dict(line.split(":", 1) for line in
                client.call("INFO", "memory").decode().splitlines() if ":" in line)
    memory = json.loads(talk.http(server.http_port, "/api/memory").body)
    history = json.loads(talk.http(server.http_port, "/api/history").body)
    native = server.metrics().one("ebb_memory_limit_bytes")
    in_force = {
        "/metrics": 0 if native == math.inf else int(native),
        "/metrics/memcached": one("/metrics/memcached", "memcached_limit_bytes"),
        "/api/memory": memory["limit_bytes"] or 0,
        "INFO": int(info["maxmemory_effective"]),
        "stats": int(plain.stats()["limit_maxbytes"]),
    }
    setting = {
        "/metrics/redis": one("/metrics/redis", "redis_memory_max_bytes"),
        "config of /metrics/redis": one("/metrics/redis", "redis_config_maxmemory"),
        "CONFIG GET": int(client.call("CONFIG", "GET", "maxmemory")[1]),
        "INFO": int(info["maxmemory"]),
        "stats settings": int(plain.stats("settings")["maxbytes"]),
    }
    client.close()
    plain.close()
    return in_force, setting, history["columns"]["limit_bytes"][-1]  # 32 bits of it


@case(limit=60)
def the_limit_is_the_same_wherever_it_is_told(t):
    server = t.start("--maxmemory=auto")
    for text, bytes in (("auto", None), ("64mb", 64 * MIB), ("0", 0)):
        t.resp(server).call("CONFIG", "SET", "maxmemory", text)

        def agree():
            in_force, setting, drawn = limits(t, server)
            return (len(set(in_force.values())) == 1 and len(set(setting.values())) == 1
                    and abs(drawn - in_force["INFO"]) <= 1e-6 * in_force["INFO"])
        within(10, agree, "maxmemory is %s: told differently" % text)
        in_force, setting, _ = limits(t, server)
        equal(setting["CONFIG GET"] > 0, text != "0", "maxmemory is " + text)
        if bytes is not None:
            equal(setting["CONFIG GET"], bytes, "maxmemory is " + text)
        # Less, if this machine is short of memory right now.
        true(setting["INFO"] * 0.79 <= in_force["INFO"] <= setting["INFO"], "%r" % in_force)


@case()
def counters_never_go_down(t):
    client, values = t.resp(), Values(1000)
    steps = (lambda: values.store(client, range(20000)), lambda: client.call("GET", "k00000001"),
             lambda: values.delete(client, range(0, 20000, 3)), lambda: client.call("FLUSHALL"),
             lambda: client.call("MEMORY", "PURGE"), lambda: client.call("CONFIG", "RESETSTAT"),
             lambda: t.memcached().stats(), lambda: time.sleep(1.2), lambda: t.resp().close())

    def counters(metrics):
        return {(name, tuple(sorted(labels.items()))): value for name, labels, value in
                metrics.samples if metrics.types[metrics.family(name)] == "counter" or
                re.search("_(bucket|count)$", name)}

    before = counters(t.server.metrics())
    for number, step in enumerate(steps):
        step()
        after = counters(t.server.metrics())
        wrong = ["%s: %r then %r" % (row, value, after.get(row)) for row, value in before.items()
                 if row not in after or after[row] < value]
        equal(wrong, [], "counters after step %d" % number)
        before = after


OPENMETRICS = "Accept: application/openmetrics-text; version=1.0.0\r\n"


@case()
def openmetrics_parser_accepts_it(t):
    """The reference parser, which is strict, of python3-prometheus-client."""
    try:
        from prometheus_client.openmetrics.parser import text_string_to_metric_families
    except ImportError:
        raise Skipped("python3-prometheus-client is not installed")
    client = t.resp()
    for number in range(300):
        client.call("SET", "k%d" % number, "v" * number * 100)
    for path in PATHS:
        reply = talk.http(t.server.http_port, path, extra=OPENMETRICS)
        equal(reply.headers["content-type"],
              "application/openmetrics-text; version=1.0.0; charset=utf-8", path)
        families = list(text_string_to_metric_families(reply.body.decode()))
        text = t.http(path).body.decode()
        equal(len(families), len(re.findall("^# TYPE ", text, re.M)), "families of " + path)
        unit = {f.name: f.unit for f in families}
        for name in unit:
            suffix = name.rsplit("_", 1)[-1]
            true(unit[name] == suffix or suffix not in ("bytes", "seconds"),
                 "%s has the unit %r" % (name, unit[name]))


@case()
def compressed_it_is_the_same(t):
    reply = talk.http(t.server.http_port, "/metrics", extra="Accept-Encoding: gzip\r\n")
    equal(reply.headers.get("content-encoding"), "gzip", "encoding")
    names = [re.findall(r"^[a-z_]+", text, re.M) for text in
             (gzip.decompress(reply.body).decode(), t.http("/metrics").body.decode())]
    equal(names[0], names[1], "series")
    true(len(reply.body) < len(t.http("/metrics").body) / 4, "%d bytes" % len(reply.body))


def expressions():
    """(where, PromQL) of all alert rules and panels."""
    with open(os.path.join(DEPLOY, "grafana", "ebb.json")) as file:
        for panel in json.load(file)["panels"]:
            for target in panel.get("targets", []):
                yield panel["title"], target["expr"]
    with open(os.path.join(DEPLOY, "prometheus", "ebb.rules.yml")) as file:
        yield "rules", file.read()


@case()
def rules_and_dashboard_ask_for_what_is_there(t):
    text = t.server.metrics()
    known = {name for name, _, _ in text.samples}
    # Not every machine has control groups and pressure files.
    optional = re.compile("ebb_(cgroup|system)_memory_")
    asked = 0
    for where, expression in expressions():
        for name in re.findall(r"\b(?:ebb|process)_[a-z_]+", expression):
            asked += 1
            true(name in known or optional.match(name), "%s asks for %s" % (where, name))
    true(asked > 80, "%d names" % asked)


@case(limit=60)
def rules_pass_their_tests(t):
    promtool = program("promtool")
    folder = os.path.join(DEPLOY, "prometheus")
    t.run(promtool, "check", "rules", os.path.join(folder, "ebb.rules.yml"))
    t.run(promtool, "check", "config", os.path.join(folder, "prometheus.yml"))
    t.run(promtool, "test", "rules", os.path.join(folder, "ebb.rules.test.yml"))
    with open(os.path.join(folder, "ebb.rules.yml")) as rules, \
            open(os.path.join(folder, "ebb.rules.test.yml")) as tests:
        alerts, tested = re.findall("- alert: (.*)", rules.read()), tests.read()
    equal([name for name in alerts if name not in tested], [], "alerts without a test")


class PlainText:
    """Asks the server as a Prometheus that knows text 0.0.4 alone: ours always prefers OpenMetrics."""

    def __init__(self, port):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                reply = talk.http(port, self.path, extra="Accept: text/plain;version=0.0.4\r\n")
                self.send_response(reply.status)
                self.send_header("Content-Type", reply.headers["content-type"])
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


JOBS = """global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs:
  - {job_name: ebb, static_configs: [{targets: ['127.0.0.1:%(port)d']}]}
  - {job_name: text, static_configs: [{targets: ['127.0.0.1:%(plain)d']}]}
  - {job_name: redis, metrics_path: /metrics/redis, static_configs: [{targets: ['127.0.0.1:%(port)d']}]}
  - {job_name: memcached, metrics_path: /metrics/memcached,
     static_configs: [{targets: ['127.0.0.1:%(port)d']}]}
"""


def query(port, text):
    url = "http://127.0.0.1:%d/api/v1/query?query=%s" % (port, urllib.parse.quote(text))
    with urllib.request.urlopen(url, timeout=20) as reply:
        answer = json.load(reply)
    equal(answer["status"], "success", text)
    return answer["data"]["result"]


@case(limit=90)
def prometheus_scrapes_it(t):
    """The real one, each second for ten seconds, then asked over its own API."""
    prometheus = program("prometheus")
    port = ebb.free_port()
    with open(os.path.join(t.folder, "prometheus.yml"), "w") as config:
        config.write(JOBS % {"port": t.server.http_port,
                             "plain": t.own(PlainText(t.server.http_port)).port})
    log = open(os.path.join(t.folder, "prometheus.log"), "wb")
    t.own(log)
    t.spawn(prometheus, "--config.file=prometheus.yml", "--storage.tsdb.path=data",
            "--web.listen-address=127.0.0.1:%d" % port, "--log.level=warn", stdout=log, stderr=log)

    def is_ready():
        try:
            return talk.http(port, "/-/ready").status == 200
        except (OSError, talk.Closed):
            return False

    within(30, is_ready, "Prometheus is not ready", every=0.2)
    within(20, lambda: query(port, "up{job='ebb'}"), "Prometheus does not begin", every=0.2)
    client, values = t.resp(), Values(1000)
    values.store(client, range(50000 // SCALE))
    begin = time.monotonic()
    while time.monotonic() - begin < 10:
        client.call("GET", "k00000001")
        time.sleep(0.01)
    for job in ("ebb", "text", "redis", "memcached"):
        equal([row["value"][1] for row in query(port, "up{job='%s'}" % job)], ["1"], "up: " + job)
        true(float(query(port, "scrape_samples_scraped{job='%s'}" % job)[0]["value"][1]) > 50,
             "samples of " + job)
    equal({row["metric"]["job"] for row in query(port, "ebb_items{db='0'}")}, {"ebb", "text"},
          "jobs with ebb_items")
    equal(query(port, "redis_db_keys{db='db0'}")[0]["value"][1], str(50000 // SCALE), "redis_db_keys")
    scrapes = int(query(port, "count_over_time(up{job='ebb'}[1m])")[0]["value"][1])
    good = int(query(port, "sum_over_time(up{job='ebb'}[1m])")[0]["value"][1])
    true(scrapes >= 9 and good == scrapes, "%d scrapes, %d of them good" % (scrapes, good))
    parts = {row["metric"]["part"]: float(row["value"][1])
             for row in query(port, "ebb_memory_resident_bytes{job='ebb'}")}
    true(set(PARTS) <= set(parts), "parts in Prometheus: %r" % sorted(parts))
    equal(parts["live"], 1009 * (50000 // SCALE), "part live in Prometheus")
    resident = float(query(port, "process_resident_memory_bytes{job='ebb'}")[0]["value"][1])
    ratio = float(query(port, "sum(ebb_memory_resident_bytes{job='ebb'}) / "
                        "sum(process_resident_memory_bytes{job='ebb'})")
                  [0]["value"][1])
    rate = float(query(port, "sum(rate(ebb_commands_total{job='ebb',cmd='get'}[10s]))")[0]["value"][1])
    t.measured("%d scrapes, resident %s, parts / resident %.4f, %.0f GET/s" %
           (scrapes, mib(resident), ratio, rate))
    true(abs(ratio - 1) <= 0.03, "parts over resident: %.4f" % ratio)
    true(rate > 1, "rate of GET: %.2f" % rate)
