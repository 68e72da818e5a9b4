/* SPDX-License-Identifier: MIT */
/* test_events.c: what took long: the series, how LATENCY tells and draws them, and who adds to
 * them. Drawings are those of redis-server 7.0.15 for the same samples.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../server/cmd/slowlog.h"
#include "support/cmd_talk.h"

#define NOW_S (WORLD_NOW_MS / 1000)

static void add(struct world *world, enum event event, int64_t ago_s, int64_t took_ms)
{
    events_add(&world->events, event, NOW_S - ago_s, took_ms);
}

/* ---- series ---- */

static void a_series_keeps_the_longest_of_each_second(void **state)
{
    struct world *world = *state;
    struct event_series series;
    assert_false(events_read(&world->events, EVENT_COMMAND, &series));
    add(world, EVENT_COMMAND, 5, 30);
    add(world, EVENT_COMMAND, 5, 50);
    add(world, EVENT_COMMAND, 5, 40);
    add(world, EVENT_COMMAND, 3, 10);
    assert_true(events_read(&world->events, EVENT_COMMAND, &series));
    assert_int_equal(series.count, 2);
    assert_int_equal(event_at(&series, 0)->took_ms, 50);
    assert_int_equal(event_at(&series, 1)->took_ms, 10);
    assert_int_equal(series.longest_ms, 50);
    assert_false(events_read(&world->events, EVENT_EXPIRE, &series));
}

static void a_series_drops_the_oldest(void **state)
{
    struct world *world = *state;
    struct event_series series;
    for (int64_t i = 0; i < 400; i++)
        add(world, EVENT_EVICT, 400 - i, 1000 - i);
    assert_true(events_read(&world->events, EVENT_EVICT, &series));
    assert_int_equal(series.count, EVENT_SAMPLES);
    for (size_t i = 0; i < EVENT_SAMPLES; i++)
        assert_int_equal(event_at(&series, i)->took_ms, 1000 - (240 + (int64_t)i));
    assert_int_equal(series.longest_ms, 1000);
}

/* ---- LATENCY ---- */

static void latency_tells_of_each_event(void **state)
{
    struct world *world = *state;
    TALK({"LATENCY LATEST", "*0\r\n"}, {"LATENCY HISTORY command", "*0\r\n"},
         {"LATENCY RESET", ":0\r\n"});
    add(world, EVENT_COMMAND, 9, 300);
    add(world, EVENT_COMMAND, 7, 20);
    add(world, EVENT_COMPACT, 1, 5);
    TALK({"LATENCY LATEST",
          "*2\r\n*4\r\n$7\r\ncommand\r\n:1699999993\r\n:20\r\n:300\r\n*4\r\n$19\r\nactive-defrag-"
          "cycle\r\n:1699999999\r\n:5\r\n:5\r\n"},
         {"LATENCY HISTORY command",
          "*2\r\n*2\r\n:1699999991\r\n:300\r\n*2\r\n:1699999993\r\n:20\r\n"},
         {"LATENCY HISTORY COMMAND", "*0\r\n"}, {"LATENCY HISTORY nothing", "*0\r\n"},
         {"LATENCY RESET nothing command expire-cycle", ":1\r\n"},
         {"LATENCY HISTORY command", "*0\r\n"}, {"LATENCY RESET", ":1\r\n"},
         {"LATENCY LATEST", "*0\r\n"});
}

#define RULE "--------------------------------------------------------------------------------\n"

static void latency_draws_an_event_as_redis_does(void **state)
{
    struct world *world = *state;
    static const int64_t took_ms[] = {20, 50, 10, 100, 7};
    for (int64_t i = 0; i < 5; i++)
        add(world, EVENT_COMMAND, 5 - i, took_ms[i]);
    TALK({"LATENCY GRAPH command",
          "$178\r\ncommand - high 100 ms, low 7 ms (all time high 100 ms)\n" RULE "   # \n"
          "   | \n"
          " # | \n"
          "o|_|_\n"
          "     \n"
          "54321\n"
          "sssss\n\r\n"},
         {"LATENCY GRAPH expire-cycle", "-ERR No samples available for event 'expire-cycle'\r\n"},
         {"LATENCY GRAPH", "-ERR wrong number of arguments for 'latency|graph' command\r\n"});
}

static void latency_draws_80_values_in_a_row(void **state)
{
    struct world *world = *state;
    for (int64_t i = 0; i < 100; i++)
        add(world, EVENT_EXPIRE, 100000 - 1000 * i, 7);
    const char *drawing = world_resp(world, "LATENCY GRAPH expire-cycle");
    const char *rule = strstr(drawing, RULE);
    assert_non_null(rule);
    const char *line = rule + strlen(RULE);
    size_t lens[16], count = 0;
    for (const char *end; (end = strchr(line, '\n')) != NULL && count < 16; line = end + 1)
        lens[count++] = (size_t)(end - line);
    static const size_t wanted[] = {80, 80, 80, 80, 80, 80, 80, 80, 0, 20, 20, 20, 20, 20, 20, 20};
    assert_memory_equal(lens, wanted, sizeof(wanted));
    assert_non_null(strstr(drawing, "1222222")); /* "1d", "27h" and so on, from the top down */
}

static void latency_doctor_says_what_to_do(void **state)
{
    struct world *world = *state;
    const char *text = world_resp(world, "LATENCY DOCTOR");
    assert_non_null(strstr(text, "disabled"));
    assert_non_null(strstr(text, "Nothing has taken as long"));
    world->options.latency_monitor_threshold = 4;
    add(world, EVENT_COMMAND, 10, 20);
    add(world, EVENT_COMMAND, 5, 40);
    text = world_resp(world, "LATENCY DOCTOR");
    assert_null(strstr(text, "disabled"));
    assert_non_null(strstr(text, "1. command: 2 latency spikes (average 30ms, mean deviation "
                                 "10ms, period 5.00 sec). Worst all time event 40ms."));
    assert_non_null(strstr(text, "CONFIG SET slowlog-log-slower-than 4000"));
    world->options.slowlog_log_slower_than = 100;
    assert_null(strstr(world_resp(world, "LATENCY DOCTOR"), "slowlog-log-slower-than"));
}

/* ---- who adds ---- */

static void commands_that_take_long_are_events(void **state)
{
    struct world *world = *state;
    struct command_clock clock = {.slower_than_us = -1, .event_ms = 2};
    struct event_series series;
    world->context.clock = &clock;
    RESP("PING", "+PONG\r\n");
    assert_false(events_read(&world->events, EVENT_FAST_COMMAND, &series));
    RESP("DEBUG SLEEP 0.003", OK);
    assert_true(events_read(&world->events, EVENT_COMMAND, &series));
    assert_true(series.longest_ms >= 3);
    clock.event_ms = 0;
    RESP("LATENCY RESET", ":1\r\n");
    RESP("DEBUG SLEEP 0.003", OK);
    assert_false(events_read(&world->events, EVENT_COMMAND, &series));
}

struct told {
    size_t count[3];
};

static uint64_t unix_ms;

static uint64_t read_unix_ms(void)
{
    return unix_ms;
}

static void note(void *context, enum store_work work, uint64_t ns)
{
    assert_true(ns >= 1);
    ((struct told *)context)->count[work]++;
}

static void put(struct store_session *session, unsigned number, size_t len, int64_t expire_ms)
{
    static char data[1000];
    char text[32];
    struct store_value value = {.data = data, .len = len, .expire_ms = expire_ms};
    struct store_key key = store_key(session->store, 0, text, (size_t)sprintf(text, "k%u", number));
    store_enter(session, &key);
    assert_int_equal(store_set(session, &key, &value), STORE_OK);
}

static void the_store_tells_of_work(void **state)
{
    (void)state;
    struct told told = {{0}};
    struct store_config config = {.shard_count = 1,
                                  .database_count = 1,
                                  .reserve_bytes = (size_t)1 << 30,
                                  .now_ms = read_unix_ms,
                                  .slow = note,
                                  .slow_context = &told};
    struct store_limit limit = {.pool_bytes = (size_t)4 << 20,
                                .ahead_bytes = 1 << 16,
                                .compact_bytes = 1 << 18,
                                .order = USE_LRU};
    struct store *store;
    struct store_session session;
    unix_ms = WORLD_NOW_MS;
    assert_int_equal(store_create(&store, &config), STORE_OK);
    store_session_init(&session, store);
    for (unsigned i = 0; i < 2000; i++)
        put(&session, i, 100, session.now_ms + 1);
    store_leave(&session);
    for (unsigned i = 0; i < 10; i++)
        store_upkeep(store);
    assert_int_equal(told.count[STORE_WORK_EXPIRE] + told.count[STORE_WORK_COMPACT], 0);
    store_set_slow(store, 1);
    store_set_limit(store, &limit);
    unix_ms += 1000; /* now they expire */
    session.now_ms = (int64_t)unix_ms;
    for (unsigned i = 0; i < 20000; i++)
        put(&session, i, 1000, 0);
    store_purge(&session);
    for (unsigned i = 0; i < 10; i++)
        store_upkeep(store);
    assert_true(told.count[STORE_WORK_EXPIRE] > 0);
    assert_true(told.count[STORE_WORK_COMPACT] > 0);
    assert_true(told.count[STORE_WORK_EVICT] > 0);
    store_destroy(store);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_series_keeps_the_longest_of_each_second),
        TEST(a_series_drops_the_oldest),
        TEST(latency_tells_of_each_event),
        TEST(latency_draws_an_event_as_redis_does),
        TEST(latency_draws_80_values_in_a_row),
        TEST(latency_doctor_says_what_to_do),
        TEST(commands_that_take_long_are_events),
        cmocka_unit_test(the_store_tells_of_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
