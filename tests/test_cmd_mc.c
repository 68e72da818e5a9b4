/* SPDX-License-Identifier: MIT */
/* test_cmd_mc.c: memcached's verbs against a store. The answers are those of memcached 1.6.18.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "support/cmd_world.h"

static int setup(void **state)
{
    struct world *world = malloc(sizeof(*world));
    world_init(world);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    world_release(*state);
    free(*state);
    return 0;
}

#define MC(text, answer) assert_string_equal(world_mc(*state, text), answer)

static void mc_stores_and_reads(void **state)
{
    MC("get a\r\n", "END\r\n");
    MC("set a 5 0 3\r\nabc\r\n", "STORED\r\n");
    MC("get a\r\n", "VALUE a 5 3\r\nabc\r\nEND\r\n");
    MC("set b 4294967295 0 0\r\n\r\nget b a zz a\r\n",
       "STORED\r\nVALUE b 4294967295 0\r\n\r\nVALUE a 5 3\r\nabc\r\nVALUE a 5 3\r\nabc\r\nEND\r\n");
    MC("set a 0 0 1 noreply\r\nx\r\n", "");
    MC("get a\r\n", "VALUE a 0 1\r\nx\r\nEND\r\n");
}

static void mc_stores_only_under_conditions(void **state)
{
    MC("replace a 0 0 1\r\n1\r\n", "NOT_STORED\r\n");
    MC("add a 0 0 1\r\n1\r\n", "STORED\r\n");
    MC("add a 0 0 1\r\n2\r\n", "NOT_STORED\r\n");
    MC("replace a 0 0 1\r\n3\r\n", "STORED\r\n");
    MC("get a\r\n", "VALUE a 0 1\r\n3\r\nEND\r\n");
}

static void mc_joins_values_and_keeps_flags_and_time(void **state)
{
    struct world *world = *state;
    MC("append a 0 0 1\r\nx\r\n", "NOT_STORED\r\n");
    MC("prepend a 0 0 1\r\nx\r\n", "NOT_STORED\r\n");
    MC("set a 7 10 1\r\nm\r\nappend a 9 500 1\r\nz\r\nprepend a 1 0 1\r\na\r\nget a\r\n",
       "STORED\r\nSTORED\r\nSTORED\r\nVALUE a 7 3\r\namz\r\nEND\r\n");
    world->session.now_ms += 10000;
    MC("get a\r\n", "END\r\n");
}

static uint64_t unique_of(struct world *world, const char *key)
{
    char line[64], format[64];
    unsigned long long unique = 0;
    snprintf(line, sizeof(line), "gets %s\r\n", key);
    snprintf(format, sizeof(format), "VALUE %s", key);
    const char *answer = world_mc(world, line);
    assert_memory_equal(answer, format, strlen(format));
    assert_int_equal(sscanf(answer, "VALUE %*s %*u %*u %llu\r\n", &unique), 1);
    return unique;
}

static const char *cas(struct world *world, uint64_t unique)
{
    char text[96];
    snprintf(text, sizeof(text), "cas a 0 0 1 %llu\r\nc\r\n", (unsigned long long)unique);
    return world_mc(world, text);
}

static void mc_compares_and_swaps(void **state)
{
    struct world *world = *state;
    assert_string_equal(cas(world, 1), "NOT_FOUND\r\n");
    MC("set a 0 0 1\r\n1\r\n", "STORED\r\n");
    uint64_t unique = unique_of(world, "a");
    assert_int_equal(unique_of(world, "a"), unique);
    assert_string_equal(cas(world, unique + 1000), "EXISTS\r\n");
    assert_string_equal(cas(world, unique), "STORED\r\n");
    assert_string_equal(cas(world, unique), "EXISTS\r\n");
    MC("get a\r\n", "VALUE a 0 1\r\nc\r\nEND\r\n");
    assert_int_equal(world->counters.mc_cas_misses, 1);
    assert_int_equal(world->counters.mc_cas_badval, 2);
    assert_int_equal(world->counters.mc_cas_hits, 1);
}

static void mc_gives_a_new_unique_after_each_change_but_not_after_a_touch(void **state)
{
    static const char *const changes[] = {"set a 0 0 1\r\n7\r\n", "append a 0 0 1\r\n1\r\n",
                                          "incr a 1\r\n", "decr a 1\r\n"};
    struct world *world = *state;
    MC("set a 0 0 1\r\n1\r\n", "STORED\r\n");
    uint64_t unique = unique_of(world, "a");
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        world_mc(world, changes[i]);
        uint64_t changed = unique_of(world, "a");
        assert_int_not_equal(changed, unique);
        unique = changed;
    }
    MC("touch a 100\r\n", "TOUCHED\r\n");
    assert_int_equal(unique_of(world, "a"), unique);
}

static void mc_deletes(void **state)
{
    MC("delete a\r\n", "NOT_FOUND\r\n");
    MC("set a 0 0 1\r\n1\r\ndelete a\r\nget a\r\n", "STORED\r\nDELETED\r\nEND\r\n");
    MC("set a 0 0 1\r\n1\r\ndelete a noreply\r\nget a\r\n", "STORED\r\nEND\r\n");
}

static void mc_reads_exptime_in_its_three_ways(void **state)
{
    struct world *world = *state;
    MC("set never 0 0 1\r\n1\r\nset gone 0 -1 1\r\n1\r\nset soon 0 10 1\r\n1\r\n",
       "STORED\r\nSTORED\r\nSTORED\r\n");
    MC("set past 0 2592001 1\r\n1\r\nset month 0 2592000 1\r\n1\r\n", "STORED\r\nSTORED\r\n");
    MC("set date 0 1700000060 1\r\n1\r\n", "STORED\r\n");
    MC("get never gone soon past month date\r\n",
       "VALUE never 0 1\r\n1\r\nVALUE soon 0 1\r\n1\r\nVALUE month 0 1\r\n1\r\nVALUE date 0 "
       "1\r\n1\r\n"
       "END\r\n");
    world->session.now_ms = WORLD_NOW_MS + 10000;
    MC("get soon date\r\n", "VALUE date 0 1\r\n1\r\nEND\r\n");
    world->session.now_ms = INT64_C(1700000060000);
    MC("get date month\r\n", "VALUE month 0 1\r\n1\r\nEND\r\n");
    world->session.now_ms = WORLD_NOW_MS + INT64_C(2592000000);
    MC("get month never\r\n", "VALUE never 0 1\r\n1\r\nEND\r\n");
}

static void mc_touches(void **state)
{
    struct world *world = *state;
    MC("touch a 10\r\n", "NOT_FOUND\r\n");
    MC("set a 3 5 1\r\n1\r\ntouch a 100\r\n", "STORED\r\nTOUCHED\r\n");
    world->session.now_ms += 50000;
    MC("get a\r\n", "VALUE a 3 1\r\n1\r\nEND\r\n");
    MC("gat 0 a zz\r\n", "VALUE a 3 1\r\n1\r\nEND\r\n");
    world->session.now_ms += 1000000;
    MC("gat -1 a\r\nget a\r\n", "VALUE a 3 1\r\n1\r\nEND\r\nEND\r\n");
    assert_int_equal(world->counters.mc_touch_hits, 3);
    assert_int_equal(world->counters.mc_touch_misses, 2);
    assert_int_equal(world->counters.mc_get_hits, 1);
}

static void mc_gats_answers_the_unique(void **state)
{
    MC("set a 3 5 1\r\n1\r\n", "STORED\r\n");
    char answer[64];
    snprintf(answer, sizeof(answer), "VALUE a 3 1 %llu\r\n1\r\nEND\r\n",
             (unsigned long long)unique_of(*state, "a"));
    MC("gats 100 a\r\n", answer);
}

static void mc_counts_around_and_down_to_zero(void **state)
{
    MC("incr n 1\r\ndecr n 1\r\n", "NOT_FOUND\r\nNOT_FOUND\r\n");
    MC("set n 9 0 2\r\n10\r\nincr n 5\r\ndecr n 7\r\nget n\r\n",
       "STORED\r\n15\r\n8\r\nVALUE n 9 2\r\n8 \r\nEND\r\n");
    MC("decr n 100\r\nget n\r\n", "0\r\nVALUE n 9 2\r\n0 \r\nEND\r\n");
    MC("incr n 123\r\nget n\r\n", "123\r\nVALUE n 9 3\r\n123\r\nEND\r\n");
    MC("set n 0 0 20\r\n18446744073709551615\r\nincr n 2\r\nget n\r\n",
       "STORED\r\n1\r\nVALUE n 0 20\r\n1                   \r\nEND\r\n");
    MC("incr n 18446744073709551615 noreply\r\nget n\r\n",
       "VALUE n 0 20\r\n0                   \r\nEND\r\n");
}

static void mc_counts_what_strtoull_reads(void **state)
{
    static const char refused[] =
        "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n";
    static const struct {
        const char *value, *answer;
    } cases[] = {
        {"", refused},    {" ", refused},       {"abc", refused},
        {"5x", refused},  {"-5", refused},      {"18446744073709551616", refused},
        {"+5", "6\r\n"},  {" 5", "6\r\n"},      {"5 x", "6\r\n"},
        {"-0", "1\r\n"},  {"0000005", "6\r\n"}, {"-18446744073709551615", "2\r\n"},
        {"5\t", "6\r\n"}, {"+", refused},       {"- 5", refused},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[96];
        snprintf(text, sizeof(text), "set n 0 0 %zu\r\n%s\r\n", strlen(cases[i].value),
                 cases[i].value);
        MC(text, "STORED\r\n");
        MC("incr n 1\r\n", cases[i].answer);
    }
}

static void mc_pads_a_long_value(void **state)
{
    struct world *world = *state;
    char text[700], answer[700];
    snprintf(text, sizeof(text), "set n 0 0 500\r\n99 %0497d\r\n", 0);
    snprintf(answer, sizeof(answer), "VALUE n 0 500\r\n%-500s\r\nEND\r\n", "100");
    assert_string_equal(world_mc(world, text), "STORED\r\n");
    MC("incr n 1\r\n", "100\r\n");
    MC("get n\r\n", answer);
}

static void mc_refuses_values_over_the_limit_and_drops_what_set_was_to_replace(void **state)
{
    struct world *world = *state;
    size_t len = (1u << 20) + 1;
    char *text = malloc(len + 100);
    static const char *const verbs[] = {"add", "replace", "append", "set"};
    MC("set a 0 0 1\r\n1\r\n", "STORED\r\n");
    for (size_t i = 0; i < 4; i++) {
        size_t head = (size_t)sprintf(text, "%s a 0 0 %zu\r\n", verbs[i], len);
        memset(text + head, 'x', len);
        strcpy(text + head + len, "\r\nget a\r\n");
        MC(text, i == 3 ? "SERVER_ERROR object too large for cache\r\nEND\r\n"
                        : "SERVER_ERROR object too large for cache\r\nVALUE a 0 1\r\n1\r\nEND\r\n");
    }
    free(text);
    assert_int_equal(world->counters.mc_too_large, 4);
}

/* Of joined values the whole counts; what was there stays. */
static void mc_joins_nothing_beyond_the_limit(void **state)
{
    struct world *world = *state;
    static const char *const verbs[] = {"append a 0 0", "prepend a 0 0", "ms a"};
    static const char *const ends[] = {"", "", " MA"};
    size_t len = 1u << 19;
    char *text = malloc(len + 100);

    world->options.proto_max_bulk_len = 1 << 20;
    for (size_t i = 0; i < 3; i++) {
        size_t head = (size_t)sprintf(text, "set a 0 0 %zu\r\n", len);
        memset(text + head, 'x', len);
        strcpy(text + head + len, "\r\n");
        MC(text, "STORED\r\n");
        head = (size_t)sprintf(text, "%s %zu%s\r\n", verbs[i], len, ends[i]);
        memset(text + head, 'y', len);
        strcpy(text + head + len, "\r\n");
        MC(text, i == 2 ? "HD\r\n" : "STORED\r\n");
        snprintf(text, 100, "%s 1%s\r\nz\r\n", verbs[i], ends[i]);
        MC(text, i == 2 ? "NS\r\n" : "NOT_STORED\r\n");
        MC("ms a 1 MP\r\nz\r\n", "NS\r\n");
        MC("mg a s\r\n", "HD s1048576\r\n");
    }
    free(text);
}

static void mc_flushes_at_once(void **state)
{
    struct world *world = *state;
    MC("set a 0 0 1\r\n1\r\nflush_all\r\nget a\r\n", "STORED\r\nOK\r\nEND\r\n");
    MC("set a 0 0 1\r\n1\r\nflush_all -1\r\nget a\r\n", "STORED\r\nOK\r\nEND\r\n");
    MC("set a 0 0 1\r\n1\r\nflush_all noreply\r\nget a\r\n", "STORED\r\nEND\r\n");
    world_resp(world, "SELECT 1");
    world_resp(world, "SET other 1");
    MC("flush_all\r\n", "OK\r\n");
    assert_string_equal(world_resp(world, "GET other"), "$1\r\n1\r\n");
}

static void mc_flushes_later_what_is_there_by_then(void **state)
{
    struct world *world = *state;
    MC("set a 0 0 1\r\n1\r\nflush_all 10\r\nget a\r\n",
       "STORED\r\nOK\r\nVALUE a 0 1\r\n1\r\nEND\r\n");
    world->session.now_ms += 5000;
    world_upkeep(world);
    MC("set b 0 0 1\r\n1\r\nget a b\r\n",
       "STORED\r\nVALUE a 0 1\r\n1\r\nVALUE b 0 1\r\n1\r\nEND\r\n");
    world->session.now_ms += 5000;
    world_upkeep(world);
    MC("get a b\r\n", "END\r\n");
    MC("set c 0 0 1\r\n1\r\n", "STORED\r\n");
    world->session.now_ms += 60000;
    world_upkeep(world);
    MC("get c\r\n", "VALUE c 0 1\r\n1\r\nEND\r\n");
}

static void mc_lets_a_flush_replace_a_later_one(void **state)
{
    struct world *world = *state;
    MC("flush_all 10\r\nflush_all\r\nset a 0 0 1\r\n1\r\n", "OK\r\nOK\r\nSTORED\r\n");
    world->session.now_ms += 20000;
    world_upkeep(world);
    MC("get a\r\n", "VALUE a 0 1\r\n1\r\nEND\r\n");
}

static void mc_shares_its_keys_with_database_0(void **state)
{
    struct world *world = *state;
    MC("set a 5 100 1\r\n1\r\n", "STORED\r\n");
    assert_string_equal(world_resp(world, "INCR a"), ":2\r\n");
    assert_string_equal(world_resp(world, "TTL a"), ":100\r\n");
    MC("get a\r\n", "VALUE a 5 1\r\n2\r\nEND\r\n");
    world_resp(world, "SET a x");
    MC("get a\r\n", "VALUE a 0 1\r\nx\r\nEND\r\n");
    world_resp(world, "SELECT 2");
    world_resp(world, "SET a y");
    MC("get a\r\n", "VALUE a 0 1\r\nx\r\nEND\r\n");
}

static void mc_answers_errors_of_the_parser_and_counts_them(void **state)
{
    struct world *world = *state;
    MC("bogus\r\n", "ERROR\r\n");
    MC("set a 0 0 abc\r\n", "CLIENT_ERROR bad command line format\r\n");
    assert_int_equal(world->counters.mc_errors, 2);
}

static void mc_speaks_of_itself(void **state)
{
    struct world *world = *state;
    MC("version\r\n", "VERSION " EBB_MEMCACHED_VERSION "\r\n");
    MC("verbosity 1\r\n", "OK\r\n");
    MC("verbosity 1 noreply\r\n", "");
    assert_false(world->client.close_after_reply);
    MC("quit\r\n", "");
    assert_true(world->client.close_after_reply);
}

static const char *stat(struct world *world, const char *command, const char *name)
{
    static char value[64];
    char line[64];
    snprintf(line, sizeof(line), "\r\nSTAT %s ", name);
    const char *answer = world_mc(world, command);
    const char *at = strstr(answer, line);
    if (at == NULL)
        at = strncmp(answer, line + 2, strlen(line) - 2) == 0 ? answer - 2 : NULL;
    if (at == NULL)
        fail_msg("no %s in: %s", name, answer);
    assert_int_equal(sscanf(at + strlen(line), "%63[^\r]", value), 1);
    return value;
}

#define STAT(name, value) assert_string_equal(stat(*state, "stats\r\n", name), value)

static void mc_stats_tell_what_happened(void **state)
{
    MC("set a 0 0 3\r\n100\r\nset b 0 0 1\r\nx\r\nget a b c\r\ngat 0 a d\r\ntouch a 0\r\n"
       "incr a 1\r\nincr c 1\r\ndecr a 1\r\ndecr c 1\r\ndelete b\r\ndelete c\r\nflush_all 100\r\n",
       "STORED\r\nSTORED\r\nVALUE a 0 3\r\n100\r\nVALUE b 0 1\r\nx\r\nEND\r\nVALUE a 0 3\r\n100\r\n"
       "END\r\nTOUCHED\r\n101\r\nNOT_FOUND\r\n100\r\nNOT_FOUND\r\nDELETED\r\nNOT_FOUND\r\nOK\r\n");
    STAT("cmd_get", "3");
    STAT("get_hits", "2");
    STAT("get_misses", "1");
    STAT("cmd_set", "2");
    STAT("cmd_touch", "3");
    STAT("touch_hits", "2");
    STAT("touch_misses", "1");
    STAT("incr_hits", "1");
    STAT("incr_misses", "1");
    STAT("decr_hits", "1");
    STAT("decr_misses", "1");
    STAT("delete_hits", "1");
    STAT("delete_misses", "1");
    STAT("cmd_flush", "1");
    STAT("curr_items", "1");
    STAT("bytes", "8"); /* a, 100, and the header of four */
    STAT("ebb_live_bytes", "4");
    STAT("uptime", "3");
    STAT("version", EBB_MEMCACHED_VERSION);
    STAT("limit_maxbytes", "0");
    ((struct world *)*state)->service.limits.limit_bytes = 900000;
    STAT("limit_maxbytes", "900000");
}

static void mc_stats_show_size_classes_as_slabs(void **state)
{
    char command[64], name[32];
    struct world *world = *state;
    MC("set a 0 0 10\r\n0123456789\r\nset b 0 0 10\r\n0123456789\r\n", "STORED\r\nSTORED\r\n");
    unsigned class;
    const char *items = world_mc(world, "stats items\r\n");
    assert_int_equal(sscanf(items, "STAT items:%u:number 2\r\n", &class), 1);
    snprintf(command, sizeof(command), "stats slabs\r\n");
    snprintf(name, sizeof(name), "%u:used_chunks", class);
    assert_string_equal(stat(world, command, name), "2");
    snprintf(name, sizeof(name), "%u:chunk_size", class);
    int chunk_bytes = atoi(stat(world, command, name));
    assert_in_range(chunk_bytes, 11, 40);
    assert_string_equal(stat(world, command, "active_slabs"), "1");
    assert_true(atoi(stat(world, command, "total_malloced")) >= 4096);
}

#define SLAB(field, value) assert_slab(*state, "stats slabs\r\n", "%u:" field, value)
#define ITEM(field, value) assert_slab(*state, "stats items\r\n", "items:%u:" field, value)

/* Of the one class that there is. */
static void assert_slab(struct world *world, const char *command, const char *field,
                        const char *value)
{
    char name[48];
    unsigned class;
    assert_int_equal(sscanf(world_mc(world, "stats items\r\n"), "STAT items:%u:", &class), 1);
    snprintf(name, sizeof(name), field, class);
    assert_string_equal(stat(world, command, name), value);
}

static void mc_counts_hits_by_class(void **state)
{
    struct world *world = *state;
    world_mc(world, "set a 0 0 1\r\n1\r\nset b 0 0 1\r\n1\r\nset c 0 0 1\r\n1\r\n"
                    "get a\r\nget d\r\nmg b v\r\ntouch a 0\r\nincr a 1\r\nincr d 1\r\ndecr b 1\r\n"
                    "ma b\r\ncas a 0 0 1 99\r\n1\r\ndelete c\r\nms b 1\r\n2\r\nmd d\r\n");
    SLAB("get_hits", "2");
    SLAB("cmd_set", "4");
    SLAB("touch_hits", "1");
    SLAB("incr_hits", "2");
    SLAB("decr_hits", "1");
    SLAB("cas_hits", "0");
    SLAB("cas_badval", "1");
    SLAB("delete_hits", "1");
    world_mc(world, "stats reset\r\n");
    SLAB("get_hits", "0");
    SLAB("used_chunks", "2");
}

static void mc_counts_what_becomes_of_items_by_class(void **state)
{
    struct world *world = *state;
    world_mc(world, "set a 0 1 1\r\n1\r\nset b 0 1 1\r\n1\r\nset c 0 1000 1\r\n1\r\nget a\r\n");
    world->session.now_ms += 2000;
    world_upkeep(world);
    ITEM("number", "1");
    ITEM("crawler_reclaimed", "2");
    ITEM("expired_unfetched", "1");
    ITEM("reclaimed", "0");
    ITEM("evicted", "0");
    STAT("crawler_reclaimed", "2");
    STAT("expired_unfetched", "1");
}

#define FIFTY "12345678901234567890123456789012345678901234567890"

static void mc_stats_know_their_forms(void **state)
{
    struct world *world = *state;
    assert_string_equal(stat(world, "stats settings\r\n", "maxconns"), "10000");
    assert_string_equal(stat(world, "stats settings\r\n", "tcpport"), "11211");
    assert_string_equal(stat(world, "stats settings\r\n", "auth_enabled_ascii"), "no");
    assert_string_equal(stat(world, "stats conns\r\n", "7:addr"), "tcp:127.0.0.1:50000");
    MC("stats sizes\r\n", "END\r\n");
    MC("set a 0 0 3\r\nabc\r\nset b 0 0 100\r\n" FIFTY FIFTY "\r\nstats sizes\r\n",
       "STORED\r\nSTORED\r\nSTAT 32 1\r\nSTAT 128 1\r\nEND\r\n");
    MC("stats nonsense\r\n", "ERROR\r\n");
    MC("stats reset\r\n", "RESET\r\n");
    assert_int_equal(world->resets, 1);
    STAT("cmd_get", "0");
}

static void mc_says_when_memory_is_out(void **state)
{
    enum { BYTES = 1000000 };
    (void)state;
    struct world world;
    char *text = malloc(BYTES + 64);
    world_init_with(&world, 1, 256u << 20); /* the least there is */
    int stored = 0;
    const char *answer = "STORED\r\n";
    for (; stored < 1000 && strcmp(answer, "STORED\r\n") == 0; stored++) {
        int head = sprintf(text, "set key%d 0 0 %d\r\n", stored, BYTES);
        memset(text + head, 'v', BYTES);
        strcpy(text + head + BYTES, "\r\n");
        answer = world_mc(&world, text);
    }
    assert_in_range(stored, 200, 270);
    assert_string_equal(answer, "SERVER_ERROR out of memory storing object\r\n");
    assert_int_equal(world.counters.mc_no_memory, 1);
    assert_int_equal(world.counters.mc_errors, 1);
    world_release(&world);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(mc_stores_and_reads, setup, teardown),
        cmocka_unit_test_setup_teardown(mc_stores_only_under_conditions, setup, teardown),
        cmocka_unit_test_setup_teardown(mc_joins_values_and_keeps_flags_and_time, setup, teardown),
        cmocka_unit_test_setup_teardown(mc_compares_and_swaps, setup, teardown),
        cmocka_unit_test_setup_teardown(
            mc_gives_a_new_unique_after_each_change_but_not_after_a_touch, setup, teardown),
        cmocka_unit_test_setup_teardown(mc_deletes, setup, teardown),
        cmocka_unit_test_setup_teardown(mc_reads_exptime_in_its_three_ways, setup, teardown),
        cmocka_unit_test_setup_teardown(mc_touches, setup, teardown),
        cmocka_unit_test_setup_teardown(mc_gats_answers_the_unique, setup, teardown),
        cmocka_unit_test_setup_teardown(mc_counts_around_and_down_to_zero, setup, teardown),
        cmocka_unit_test_setup_teardown(mc_counts_what_strtoull_reads, setup, teardown),
        cmocka_unit_test_setup_teardown(mc_pads_a_long_value, setup, teardown),
        cmocka_unit_test_setup_teardown(
            mc_refuses_values_over_the_limit_and_drops_what_set_was_to_replace, setup, teardown),
        cmocka_unit_test_setup_teardown(mc_joins_nothing_beyond_the_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(mc_flushes_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(mc_flushes_later_what_is_there_by_then, setup, teardown),
        cmocka_unit_test_setup_teardown(mc_lets_a_flush_replace_a_later_one, setup, teardown),
        cmocka_unit_test_setup_teardown(mc_shares_its_keys_with_database_0, setup, teardown),
        cmocka_unit_test_setup_teardown(mc_answers_errors_of_the_parser_and_counts_them, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(mc_speaks_of_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(mc_stats_tell_what_happened, setup, teardown),
        cmocka_unit_test_setup_teardown(mc_stats_show_size_classes_as_slabs, setup, teardown),
        cmocka_unit_test_setup_teardown(mc_counts_hits_by_class, setup, teardown),
        cmocka_unit_test_setup_teardown(mc_counts_what_becomes_of_items_by_class, setup, teardown),
        cmocka_unit_test_setup_teardown(mc_stats_know_their_forms, setup, teardown),
        cmocka_unit_test(mc_says_when_memory_is_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
