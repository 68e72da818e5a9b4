# SPDX-License-Identifier: MIT
"""What Ebb says of itself, held against what the real servers say of themselves."""

import re

import talk
from case import Skipped, case, equal, true
from protocol import start_memcached, start_redis

# ---- memcached's stats ----

# What memcached tells and Ebb does not know: server/README.md says why.
NOT_IN_STATS = set("""libevent response_obj_oom response_obj_count response_obj_bytes read_buf_count
    read_buf_bytes read_buf_bytes_free read_buf_oom reserved_fds get_expired get_flushed
    listen_disabled_num time_in_listen_disabled_us conn_yields hash_is_expanding
    slab_reassign_chunk_rescues slab_reassign_evictions_nomem slab_reassign_inline_reclaim
    slab_reassign_busy_items slab_reassign_busy_deletes slab_global_page_pool lru_crawler_running
    lru_crawler_starts lru_maintainer_juggles log_worker_dropped log_worker_written
    log_watcher_skipped log_watcher_sent log_watchers unexpected_napi_ids round_robin_fallback
    evicted_active crawler_items_checked lrutail_reflocked moves_to_cold moves_to_warm
    moves_within_lru lru_bumps_dropped""".split())
NOT_IN_ITEMS = set("""number_hot number_warm number_cold age_hot age_warm age mem_requested
    evicted_active crawler_items_checked lrutail_reflocked moves_to_cold moves_to_warm
    moves_within_lru hits_to_hot hits_to_warm hits_to_cold hits_to_temp""".split())
# Sizes of memory, and what came in is each server's own.
OWN_OF_SLABS = set("chunk_size chunks_per_page total_pages total_chunks free_chunks".split())
COUNTED = set("""cmd_get cmd_set cmd_flush cmd_touch get_hits get_misses delete_misses delete_hits
    incr_misses incr_hits decr_misses decr_hits cas_misses cas_hits cas_badval touch_hits
    touch_misses store_too_large store_no_memory curr_connections accepting_conns evictions
    reclaimed evicted_unfetched curr_items direct_reclaims auth_cmds auth_errors
    rejected_connections""".split())

WORK = b"".join(b"set k%d %d 0 3\r\n10%d\r\n" % (n, n, n) for n in range(8)) + b"""get k0 k1 none\r
gets k2\r\ngat 100 k3\r\ngat 100 none\r\ntouch k4 0\r\ntouch none 0\r\nincr k0 1\r\nincr none 1\r
decr k1 1\r\ndecr none 1\r\ndelete k7\r\ndelete none\r\ncas k2 0 0 1 99999\r\nx\r
cas none 0 0 1 1\r\nx\r\nadd k3 0 0 3\r\nxyz\r\nmg k4 v\r\nmg none v\r\nms k5 3\r\nabc\r\nma k6\r
md none\r\nmd k5\r\n"""


def sums(stats, prefix=""):
    """{field: sum over the classes}: which of them an item is in is each server's own."""
    found = {}
    for name, value in stats.items():
        if name.startswith(prefix) and ":" in name[len(prefix):]:
            field = name[len(prefix):].split(":")[1]
            found[field] = found.get(field, 0) + int(value)
    return found


@case()
def stats_have_the_fields_of_memcached(t):
    ours, theirs = t.memcached(), t.own(talk.Memcached(start_memcached(t)))
    for wire in (ours, theirs):
        wire.send(WORK + b"mn\r\n")
        wire.until(b"MN\r\n")
    mine, other = ours.stats(), theirs.stats()
    equal(set(other) - set(mine), set(other) & NOT_IN_STATS, "not in stats")
    equal({name: mine[name] for name in COUNTED}, {name: other[name] for name in COUNTED}, "stats")
    mine, other = (sums(wire.stats("items"), "items:") for wire in (ours, theirs))
    equal(set(other) - set(mine), set(other) & NOT_IN_ITEMS, "not in stats items")
    equal(mine, {name: other[name] for name in mine}, "stats items")
    mine, other = (sums(wire.stats("slabs")) for wire in (ours, theirs))
    equal(set(mine), set(other), "stats slabs")
    equal({name: mine[name] for name in set(mine) - OWN_OF_SLABS - {"cmd_set"}},
          {name: other[name] for name in set(other) - OWN_OF_SLABS - {"cmd_set"}}, "stats slabs")
    equal((mine["cmd_set"], other["cmd_set"]), (9, 12), "those refused came, too")
    for wire in (ours, theirs):
        equal(wire.ask("stats reset"), b"RESET", "stats reset")
        equal(sums(wire.stats("slabs"))["get_hits"], 0, "after the reset")


# ---- COMMAND DOCS ----

NEWER = ("client|setinfo", "client|no-touch")  # than Redis 7.0


def mapping(pairs):
    return {name.decode(): value for name, value in zip(pairs[::2], pairs[1::2])}


def described(arguments):
    """[{field: value}] of an array of arguments without what is shown of each, which 7.2 has, and
    without the conditions of SET that came with 8.4."""
    found = []
    for argument in map(mapping, arguments):
        shown = argument.pop("display_text", None)
        if "arguments" in argument:
            argument["arguments"] = described(argument["arguments"])
        elif shown is not None:
            equal(shown, argument["name"], "display_text")
        argument.pop("deprecated_since", None)
        if argument.get("since") != b"8.4.0":
            found.append(argument)
    return found


@case()
def docs_are_those_of_redis(t):
    ours, theirs = t.resp(), t.own(talk.Resp(start_redis(t)))
    if b"redis_version:7.0." not in theirs.call("INFO", "server"):
        raise Skipped("the names are those of Redis 7.0")
    names, count = [name.decode() for name in ours.call("COMMAND", "LIST")], 0
    for name in names:
        mine, other = ours.call("COMMAND", "DOCS", name), theirs.call("COMMAND", "DOCS", name)
        if name in NEWER:
            continue
        equal(mine[0], other[0], "the name of " + name)
        mine, other = mapping(mine[1]), mapping(other[1])
        for field in ("since", "group"):
            equal(mine[field], other[field], "%s of %s" % (field, name))
        true(mine["summary"] and mine["complexity"], "%s: %r" % (name, mine))
        equal(described(mine.get("arguments", [])), described(other.get("arguments", [])),
              "the arguments of " + name)
        count += "arguments" in mine
    true(count > 80, "only %d commands with arguments" % count)


# ---- CONFIG ----

SETTINGS = """maxmemory abc|maxmemory -1|maxmemory 1x|maxmemory|nosuch x|nosuch|maxmemory 1gb nosuch x
    maxmemory 1gb maxmemory 2gb|maxmemory 1gb MAXMEMORY 2gb|maxmemory 1gb timeout|MAXMEMORY x
    maxmemory 100mb maxclients abc|maxmemory 100mb databases 3|maxclients abc|maxclients 0|maxclients 1.5
    maxclients -1|timeout -1|timeout abc|timeout 2147483648|loglevel bogus|loglevel NOTICE
    databases 17|unixsocket /x|logfile /x|appendonly no|appendonly no appendonly no|timeout 7
    slowlog-log-slower-than abc|slowlog-log-slower-than -2|slowlog-max-len -1|maxmemory 64mb
    latency-monitor-threshold -1|latency-monitor-threshold x|maxmemory-clients abc
    maxmemory-clients 101%|maxmemory-clients -1%|maxmemory-clients -1|maxmemory-clients 5%
    client-query-buffer-limit 1|client-query-buffer-limit abc|proto-max-bulk-len 1
    proto-max-bulk-len abc|maxmemory-policy bogus|maxmemory-policy ALLKEYS-LRU"""
# The greatest, and the names of the policies, are each server's own.
OWN_OF_SETTINGS = re.compile(r"(and) \d+ (?=inclusive)|(following:) .*allkeys.*")


@case()
def settings_are_refused_in_the_words_of_redis(t):
    """And where one of several is wrong, none is set."""
    ours, theirs = t.resp(), t.own(talk.Resp(start_redis(t)))
    for client in (ours, theirs):
        client.call("CONFIG", "SET", "save", "", "timeout", 0, "maxmemory", "1gb")
    for line in SETTINGS.replace("\n", "|").split("|"):
        replies = []
        for client in (ours, theirs):
            reply = client.call("CONFIG", "SET", *line.split())
            kept = [client.call("CONFIG", "GET", name)[1] for name in ("maxmemory", "timeout")]
            replies.append((type(reply), OWN_OF_SETTINGS.sub(r"\1\2", str(reply)), kept))
        equal(replies[0], replies[1], "CONFIG SET " + line)
    for words in (("GET",), ("GET", "x"), ("REWRITE",), ("REWRITE", "x"), ("RESETSTAT", "x"),
                  ("GET", "TimeOut"), ("GET", "time?ut", "timeout"), ("SET",), ("BOGUS",)):
        equal(*(client.call_bytes("CONFIG", *words) for client in (ours, theirs)), words)
