/* SPDX-License-Identifier: MIT */
/* test_cmd_mc_meta.c: memcached's meta commands and what its tools send, against a store. Replies
 * that need no clock and no second server are recorded in e2e/wire/mc_meta.txt instead.
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

#define MC(text, answer)   assert_string_equal(world_mc(*state, text), answer)
#define RESP(line, answer) assert_string_equal(world_resp(*state, line), answer)

static void pass(void **state, int64_t ms)
{
    ((struct world *)*state)->session.now_ms += ms;
}

/* ---- times ---- */

static void meta_counts_a_begun_second_as_one(void **state)
{
    MC("ms a 1 T100\r\n1\r\nmg a t\r\n", "HD\r\nHD t100\r\n");
    pass(state, 1);
    MC("mg a t\r\n", "HD t100\r\n");
    pass(state, 999);
    MC("mg a t\r\n", "HD t99\r\n");
    pass(state, 98999);
    MC("mg a t\r\n", "HD t1\r\n");
    pass(state, 1);
    MC("mg a t\r\n", "EN\r\n");
}

static void meta_touches_after_it_has_told_the_time(void **state)
{
    MC("ms a 1 T100\r\n1\r\nmg a t T50\r\nmg a t\r\nmg a T60 t\r\nmg a T0 t\r\n",
       "HD\r\nHD t100\r\nHD t50\r\nHD t60\r\nHD t-1\r\n");
    MC("mg a T-1 v\r\nmg a\r\n", "VA 1\r\n1\r\nEN\r\n");
}

static void meta_lets_one_client_recache(void **state)
{
    MC("ms a 1 T60\r\n1\r\n", "HD\r\n");
    pass(state, 29999);
    MC("mg a R30\r\n", "HD\r\n");
    pass(state, 2000);
    MC("mg a R30\r\nmg a R30\r\n", "HD W\r\nHD Z\r\n");
    MC("ms a 1 T60\r\n2\r\nmg a R30\r\n", "HD\r\nHD\r\n");
}

static void meta_serves_stale_values_until_their_time(void **state)
{
    MC("ms a 1 T100\r\n1\r\nmd a I T30\r\nmg a t v\r\nmg a v\r\n",
       "HD\r\nHD\r\nVA 1 t30 X W\r\n1\r\nVA 1 Z X\r\n1\r\n");
    pass(state, 30000);
    MC("mg a v\r\n", "EN\r\n");
}

static void meta_tells_the_last_access_from_the_first_question_on(void **state)
{
    MC("ms a 1\r\n1\r\n", "HD\r\n");
    pass(state, 100000);
    MC("mg a l u\r\n", "HD l0\r\n"); /* nobody had asked */
    pass(state, 5000);
    MC("mg a l u\r\nmg a l u\r\nmg a l\r\nmg a l u\r\n", "HD l5\r\nHD l5\r\nHD l5\r\nHD l0\r\n");
    pass(state, 7000);
    RESP("GET a", "$1\r\n1\r\n");
    pass(state, 2000);
    MC("mg a l u\r\n", "HD l2\r\n");
    RESP("SET a 2", "+OK\r\n");
    pass(state, 3000);
    MC("mg a l u v\r\n", "VA 1 l3\r\n2\r\n");
    pass(state, 1000);
    MC("append a 0 0 1\r\n3\r\nmg a l u v\r\n", "STORED\r\nVA 2 l0\r\n23\r\n");
}

/* ---- marks ---- */

static void meta_sees_reads_of_both_protocols(void **state)
{
    RESP("SET a 1", "+OK\r\n");
    MC("mg a h u\r\n", "HD h0\r\n");
    RESP("GET a", "$1\r\n1\r\n");
    MC("mg a h u\r\n", "HD h1\r\n");
    RESP("SET a 1", "+OK\r\n");
    MC("mg a h u\r\nget a\r\nmg a h u\r\n", "HD h0\r\nVALUE a 0 1\r\n1\r\nEND\r\nHD h1\r\n");
    RESP("EXPIRE a 100", ":1\r\n");
    MC("mg a h u t\r\n", "HD h1 t100\r\n");
}

static void meta_marks_go_with_a_new_value(void **state)
{
    static const char *const changes[] = {"SET a 2",     "SETEX a 100 2", "APPEND a 2",
                                          "INCRBY a 10", "GETSET a 2",    "SETRANGE a 0 2"};
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        MC("ms a 1\r\n1\r\nmd a I\r\nmg a\r\n", "HD\r\nHD\r\nHD X W\r\n");
        world_resp(*state, changes[i]);
        MC("mg a\r\n", "HD\r\n");
    }
    MC("ms a 1\r\n1\r\nmd a I\r\n", "HD\r\nHD\r\n");
    RESP("EXPIRE a 100", ":1\r\n"); /* no new value */
    MC("mg a t\r\n", "HD t100 X W\r\n");
    RESP("RENAME a b", "+OK\r\n");
    MC("mg b\r\n", "HD\r\n");
}

static void meta_flags_times_and_numbers_carry_over(void **state)
{
    unsigned long long unique, later;
    MC("ms a 5 F42 T100\r\nhello\r\n", "HD\r\n");
    RESP("TTL a", ":100\r\n");
    RESP("APPEND a !", ":6\r\n");
    MC("mg a f t v\r\n", "VA 6 f42 t100\r\nhello!\r\n");
    assert_int_equal(sscanf(world_mc(*state, "mg a c\r\n"), "HD c%llu\r\n", &unique), 1);
    RESP("EXPIRE a 50", ":1\r\n");
    assert_int_equal(sscanf(world_mc(*state, "mg a c\r\n"), "HD c%llu\r\n", &later), 1);
    assert_int_equal(later, unique);
    RESP("SET a new KEEPTTL", "+OK\r\n");
    MC("mg a f t v\r\n", "VA 3 f0 t50\r\nnew\r\n");
    assert_int_equal(sscanf(world_mc(*state, "mg a c\r\n"), "HD c%llu\r\n", &later), 1);
    assert_true(later > unique);
    RESP("PERSIST a", ":1\r\n");
    MC("mg a t\r\n", "HD t-1\r\n");
    MC("ma n N100 J7 v\r\n", "VA 1\r\n7\r\n");
    RESP("INCR n", ":8\r\n");
    RESP("TTL n", ":100\r\n");
    MC("ma n v D2\r\n", "VA 2\r\n10\r\n");
    RESP("GET n", "$2\r\n10\r\n");
}

static void meta_compares_the_number_it_gave(void **state)
{
    unsigned long long unique;
    char line[64];
    MC("ms a 1\r\n1\r\n", "HD\r\n");
    assert_int_equal(sscanf(world_mc(*state, "mg a c\r\n"), "HD c%llu\r\n", &unique), 1);
    snprintf(line, sizeof(line), "ms a 1 C%llu\r\n2\r\nmg a v\r\n", unique);
    MC(line, "HD\r\nVA 1\r\n2\r\n");
    MC(line, "EX\r\nVA 1\r\n2\r\n");
    assert_int_equal(sscanf(world_mc(*state, "ms a 1 c\r\n3\r\n"), "HD c%llu\r\n", &unique), 1);
    snprintf(line, sizeof(line), "md a C%llu\r\nmg a\r\n", unique);
    MC(line, "HD\r\nEN\r\n");
    MC("ms a 1 E900\r\n5\r\nma a C900 E901 c v\r\nma a C900\r\n", "HD\r\nVA 1 c901\r\n6\r\nEX\r\n");
}

/* A value that is older than what is there comes in stale; one that is not is refused. */
static void meta_takes_a_late_value_as_stale(void **state)
{
    MC("ms a 3 E500 T100\r\nnew\r\nms a 3 C499 I F7\r\nold\r\nmg a f t v\r\nmg a v\r\n",
       "HD\r\nHD\r\nVA 3 f7 t100 X W\r\nold\r\nVA 3 Z X\r\nold\r\n");
    MC("ms a 3 E500\r\nnew\r\nms a 3 C501 I\r\nold\r\nms a 3 C499\r\nold\r\nmg a v\r\n",
       "HD\r\nEX\r\nEX\r\nVA 3\r\nnew\r\n");
}

static void meta_spells_keys_that_a_line_cannot_hold(void **state)
{
    RESP("SET \"a b\\r\\n\" 1", "+OK\r\n");
    MC("mg YSBiDQo= b k v\r\n", "VA 1 kYSBiDQo= b\r\n1\r\n");
    MC("lru_crawler mgdump all\r\n", "mg YSBiDQo= b\r\nEN\r\n");
    MC("stats cachedump 0 0\r\n", "END\r\n");
}

/* ---- what is counted ---- */

static void meta_counts_as_the_classic_commands_do(void **state)
{
    struct world *world = *state;
    struct counters *counters = &world->counters;
    world_mc(world, "ms a 1\r\n1\r\nmg a\r\nmg b\r\nmg a u\r\nmg a T0\r\nmg b T0\r\nmg c N0\r\n"
                    "ma a\r\nma a MD\r\nma b\r\nma b MD\r\nmd a C1\r\nmd a I\r\nmd a\r\nmd a\r\n"
                    "ms d 1 C1\r\n1\r\nms d 1\r\n1\r\nms d 1 C99999\r\n1\r\nms d 1 E5\r\n1\r\n"
                    "ms d 1 C5\r\n1\r\nmn\r\nme d\r\n");
    assert_int_equal(counters->mc_get_hits, 2);
    assert_int_equal(counters->mc_get_misses, 2); /* the one that was made, too */
    assert_int_equal(counters->mc_touch_hits, 1);
    assert_int_equal(counters->mc_touch_misses, 1);
    assert_int_equal(counters->mc_incr_hits, 1);
    assert_int_equal(counters->mc_incr_misses, 1);
    assert_int_equal(counters->mc_decr_hits, 1);
    assert_int_equal(counters->mc_decr_misses, 1);
    assert_int_equal(counters->mc_delete_hits, 1);
    assert_int_equal(counters->mc_delete_misses, 2);
    assert_int_equal(counters->mc_cas_hits, 1);
    assert_int_equal(counters->mc_cas_misses, 1);
    assert_int_equal(counters->mc_cas_badval, 1);
    const char *stats = world_mc(world, "stats\r\n");
    assert_non_null(strstr(stats, "\r\nSTAT cmd_meta 22\r\n"));
    assert_non_null(strstr(stats, "\r\nSTAT cmd_set 6\r\n"));
}

static void mc_details_count_by_prefix_while_they_are_on(void **state)
{
    MC("stats detail dump\r\nset a:1 0 0 1\r\n1\r\n", "END\r\nSTORED\r\n");
    MC("stats detail on\r\nset a:1 0 0 1\r\n1\r\nget a:1 a:2\r\nmg a:1\r\ndelete a:9\r\nset b 0 0 "
       "1\r\n1\r\nms :x 1\r\n1\r\n",
       "OK\r\nSTORED\r\nVALUE a:1 0 1\r\n1\r\nEND\r\nHD\r\nNOT_FOUND\r\nSTORED\r\nHD\r\n");
    char *answer = strdup(world_mc(*state, "stats detail dump\r\n"));
    assert_non_null(strstr(answer, "PREFIX a get 3 hit 2 set 1 del 1\r\n"));
    assert_non_null(strstr(answer, "PREFIX  get 0 hit 0 set 1 del 0\r\n"));
    MC("stats detail off\r\nget a:1\r\n", "OK\r\nVALUE a:1 0 1\r\n1\r\nEND\r\n");
    MC("stats detail dump\r\n", answer);
    free(answer);
    MC("stats reset\r\nstats detail dump\r\n", "RESET\r\nEND\r\n");
    MC("stats detail\r\nstats detail foo\r\n", "CLIENT_ERROR usage: stats detail on|off|dump\r\n"
                                               "CLIENT_ERROR usage: stats detail on|off|dump\r\n");
}

/* Prefixes are the clients': there may be more than are kept. */
static void mc_details_keep_so_many_prefixes(void **state)
{
    struct world *world = *state;
    char line[64];
    MC("stats detail on\r\n", "OK\r\n");
    for (int i = 0; i < 5000; i++) {
        snprintf(line, sizeof(line), "get p%d:x\r\n", i);
        MC(line, "END\r\n");
    }
    size_t count = 0;
    for (const char *at = world_mc(world, "stats detail dump\r\n"); (at = strstr(at, "PREFIX"));
         at++)
        count++;
    assert_int_equal(count, 1024);
}

/* ---- dumps ---- */

static void mc_dumps_every_key_once(void **state)
{
    enum { KEYS = 3000 };
    struct world *world = *state;
    char line[64];
    uint8_t seen[KEYS] = {0};
    size_t lines = 0;
    int number;
    for (int i = 0; i < KEYS; i++) {
        snprintf(line, sizeof(line), "SET key:%d v EX 1000", i);
        world_resp(world, line);
    }
    world_resp(world, "SELECT 1");
    world_resp(world, "SET other v");
    const char *at = world_mc(world, "lru_crawler metadump all\r\n");
    for (; sscanf(at, "key=key%%3A%d exp=%*d la=1700000000 cas=0 fetch=no cls=", &number) == 1;
         at = strchr(at, '\n') + 1, lines++)
        seen[number]++;
    assert_string_equal(at, "END\r\n");
    assert_int_equal(lines, KEYS);
    for (int i = 0; i < KEYS; i++)
        assert_int_equal(seen[i], 1);
}

static void mc_dumps_tell_what_is_known(void **state)
{
    MC("set a%b 0 100 1\r\n1\r\nmg a%b v l c E77\r\n", "STORED\r\nVA 1 l0 c1\r\n1\r\n");
    char answer[128];
    unsigned class, size;
    const char *dump = world_mc(*state, "lru_crawler metadump hash\r\n");
    assert_int_equal(sscanf(dump,
                            "key=a%%25b exp=1700000100 la=1700000000 cas=1 fetch=yes cls=%u "
                            "size=%u\nEND\r\n",
                            &class, &size),
                     2);
    snprintf(answer, sizeof(answer), "ME a%%b exp=-100 la=0 cas=1 fetch=yes cls=%u size=%u\r\n",
             class, size);
    MC("me a%b\r\n", answer);
    char line[64];
    snprintf(line, sizeof(line), "lru_crawler mgdump %u\r\nlru_crawler mgdump %u,%u\r\n", class + 1,
             class + 1, class);
    MC(line, "EN\r\nmg a%b\r\nEN\r\n");
    snprintf(line, sizeof(line), "stats cachedump %u 0\r\n", class);
    MC(line, "ITEM a%b [1 b; 1700000100 s]\r\nEND\r\n");
}

static void mc_dumps_as_many_as_asked_for(void **state)
{
    MC("set a 0 0 1\r\n1\r\nset b 0 0 1\r\n1\r\nset c 0 0 1\r\n1\r\n",
       "STORED\r\nSTORED\r\nSTORED\r\n");
    unsigned class;
    assert_int_equal(sscanf(world_mc(*state, "stats items\r\n"), "STAT items:%u:", &class), 1);
    char line[64];
    snprintf(line, sizeof(line), "stats cachedump %u 2\r\n", class);
    size_t count = 0;
    for (const char *at = world_mc(*state, line); (at = strstr(at, "ITEM ")); at++)
        count++;
    assert_int_equal(count, 2);
}

static void mc_dumps_no_key_that_its_clients_cannot_name(void **state)
{
    char line[400];
    snprintf(line, sizeof(line), "SET %0251d 1", 0);
    RESP(line, "+OK\r\n");
    MC("lru_crawler metadump all\r\n", "END\r\n");
}

static void mc_refuses_classes_that_are_none(void **state)
{
    static const char *const words[] = {"x", "0", "322", "1,", ",1", "1,x", "-1", "ALL", "1 2"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        char line[64];
        snprintf(line, sizeof(line), "lru_crawler metadump %s\r\n", words[i]);
        MC(line, strchr(words[i], ' ') ? "ERROR\r\n" : "BADCLASS invalid class id\r\n");
    }
    MC("stats cachedump\r\nstats cachedump 1\r\nstats cachedump x 0\r\nstats cachedump 999 0\r\n",
       "CLIENT_ERROR bad command line\r\nCLIENT_ERROR bad command line\r\n"
       "CLIENT_ERROR bad command line format\r\nCLIENT_ERROR Illegal slab id\r\n");
}

/* ---- what operators say ---- */

static void mc_sets_maxmemory(void **state)
{
    struct world *world = *state;
    MC("cache_memlimit 64\r\n", "OK\r\n");
    RESP("CONFIG GET maxmemory", "*2\r\n$9\r\nmaxmemory\r\n$8\r\n67108864\r\n");
    assert_int_equal(world->options_changed, 1);
    MC("cache_memlimit 65 noreply\r\n", "");
    RESP("CONFIG GET maxmemory", "*2\r\n$9\r\nmaxmemory\r\n$8\r\n68157440\r\n");
    MC("cache_memlimit 7\r\n", "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m\r\n");
    MC("cache_memlimit 99999999999\r\n",
       "MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes\r\n");
    MC("cache_memlimit\r\ncache_memlimit x\r\ncache_memlimit 64x\r\ncache_memlimit -5\r\n",
       "ERROR\r\nERROR\r\nERROR\r\nERROR\r\n");
    assert_int_equal(world->options_changed, 2);
}

static void mc_answers_tuning(void **state)
{
    static const char bad[] = "CLIENT_ERROR bad command line format\r\n";
    static const struct {
        const char *line, *answer;
    } examples[] = {
        {"lru_crawler", "ERROR\r\n"},
        {"lru_crawler foo", "ERROR\r\n"},
        {"lru_crawler enable", "OK\r\n"},
        {"lru_crawler enable x", "ERROR\r\n"},
        {"lru_crawler disable", "ERROR failed to stop lru crawler thread\r\n"},
        {"lru_crawler sleep 100", "OK\r\n"},
        {"lru_crawler sleep x", bad},
        {"lru_crawler sleep 1000001", "CLIENT_ERROR sleep must be one second or less\r\n"},
        {"lru_crawler tocrawl 5", "OK\r\n"},
        {"lru_crawler tocrawl x", bad},
        {"lru_crawler crawl all", "OK\r\n"},
        {"lru_crawler crawl x", "BADCLASS invalid class id\r\n"},
        {"slabs", "ERROR\r\n"},
        {"slabs reassign 1 2", "OK\r\n"},
        {"slabs reassign 1 1", "SAME src and dst class are identical\r\n"},
        {"slabs reassign 1 999", "BADCLASS invalid src or dst class id\r\n"},
        {"slabs reassign x y", bad},
        {"slabs reassign 1", "ERROR\r\n"},
        {"slabs automove 1", "OK\r\n"},
        {"slabs automove 1 noreply", ""},
        {"slabs automove 3", "ERROR\r\n"},
        {"slabs automove x", bad},
        {"slabs automove", "ERROR\r\n"},
        {"lru mode flat", "OK\r\n"},
        {"lru mode x", "ERROR\r\n"},
        {"lru tune 10 25 0.1 2.0", "OK\r\n"},
        {"lru tune 10 25 0.1 x", "ERROR\r\n"},
        {"lru tune 10", "ERROR\r\n"},
        {"lru temp_ttl -1", "OK\r\n"},
        {"lru", "ERROR\r\n"},
        {"shutdown", "ERROR: shutdown not enabled\r\n"},
        {"watch fetchers", "CLIENT_ERROR watch commands not allowed\r\n"},
    };
    for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
        char line[64];
        snprintf(line, sizeof(line), "%s\r\n", examples[i].line);
        MC(line, examples[i].answer);
    }
}

/* ---- limits ---- */

static void meta_drops_what_a_value_too_large_was_to_replace(void **state)
{
    struct world *world = *state;
    size_t len = (1u << 20) + 1;
    char *text = malloc(len + 100);
    MC("ms a 1\r\n1\r\n", "HD\r\n");
    size_t head = (size_t)sprintf(text, "ms YQ== %zu b q\r\n", len);
    memset(text + head, 'x', len);
    strcpy(text + head + len, "\r\nmg a\r\n");
    MC(text, "SERVER_ERROR object too large for cache\r\nEN\r\n");
    free(text);
    assert_int_equal(world->counters.mc_too_large, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(meta_counts_a_begun_second_as_one),
        TEST(meta_touches_after_it_has_told_the_time),
        TEST(meta_lets_one_client_recache),
        TEST(meta_serves_stale_values_until_their_time),
        TEST(meta_tells_the_last_access_from_the_first_question_on),
        TEST(meta_sees_reads_of_both_protocols),
        TEST(meta_marks_go_with_a_new_value),
        TEST(meta_flags_times_and_numbers_carry_over),
        TEST(meta_compares_the_number_it_gave),
        TEST(meta_takes_a_late_value_as_stale),
        TEST(meta_spells_keys_that_a_line_cannot_hold),
        TEST(meta_counts_as_the_classic_commands_do),
        TEST(mc_details_count_by_prefix_while_they_are_on),
        TEST(mc_details_keep_so_many_prefixes),
        TEST(mc_dumps_every_key_once),
        TEST(mc_dumps_tell_what_is_known),
        TEST(mc_dumps_as_many_as_asked_for),
        TEST(mc_dumps_no_key_that_its_clients_cannot_name),
        TEST(mc_refuses_classes_that_are_none),
        TEST(mc_sets_maxmemory),
        TEST(mc_answers_tuning),
        TEST(meta_drops_what_a_value_too_large_was_to_replace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
