/* SPDX-License-Identifier: MIT */
/* test_history.c: the ring of the last hour: what a point is made of, what is forgotten, and what
 * /api/history makes of it.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "../server/admin/api.h"
#include "../server/admin/history.h"

#define MIB 1048576.0

static int setup(void **state)
{
    struct history *history = calloc(1, sizeof *history);
    *state = history;
    return history_init(history);
}

static int teardown(void **state)
{
    history_release(*state);
    free(*state);
    return 0;
}

/* A sample of second `number`, with counts that have grown in proportion to it. */
static struct sample sample_of(uint64_t number)
{
    struct sample sample = {
        .time_seconds = 1700000000.0 + (double)number,
        .taken_ns = (number + 1) * UINT64_C(1000000000),
        .memory = {.resident_bytes = (size_t)((double)(100 + number) * MIB)},
        .live_bytes = (size_t)((double)number * MIB),
        .cpu_seconds = (double)number / 4,
    };
    sample.parts.bytes[PART_LIVE] = sample.live_bytes;
    sample.parts.bytes[PART_UNATTRIBUTED] = 100 * 1048576;
    sample.store.items = number;
    sample.store.lookups = 30 * number;
    sample.store.hits = 20 * number;
    sample.store.item_heap.moved_bytes = 4096 * number;
    sample.store.index_heap.moved_bytes = 1024 * number;
    sample.store.pool.trim_bytes = 8192 * number;
    sample.counters.resp_commands[0] = 5 * number;
    sample.counters.mc_commands[0] = 2 * number;
    sample.counters.connections[PROTOCOL_RESP] = 3;
    sample.counters.connections[PROTOCOL_HTTP] = 9;
    sample.counters.request[PROTOCOL_RESP][0] = 90 * number; /* up to 1 us */
    sample.counters.request[PROTOCOL_RESP][4] = 10 * number; /* 10 to 25 us */
    return sample;
}

static void add(struct history *history, uint64_t from, uint64_t to)
{
    for (uint64_t i = from; i < to; i++) {
        struct sample sample = sample_of(i);
        history_add(history, &sample, i % 2 == 0 ? 0 : 512 * MIB);
    }
}

/* ---- points ---- */

static void history_keeps_levels_and_rates(void **state)
{
    struct history *history = *state;
    add(history, 0, 11);
    const struct history_point *point = history_at(history, 1);
    assert_int_equal(point->time_seconds, 1700000009);
    assert_true(point->values[HISTORY_RESIDENT] == (float)(109 * MIB));
    assert_true(point->values[HISTORY_LIVE] == (float)(9 * MIB));
    assert_true(point->values[HISTORY_LIMIT] == (float)(512 * MIB));
    assert_true(point->values[HISTORY_PART + PART_LIVE] == (float)(9 * MIB));
    assert_true(point->values[HISTORY_PART + PART_UNATTRIBUTED] == (float)(100 * MIB));
    assert_true(point->values[HISTORY_CLIENTS] == 3); /* those who watch are none */
    assert_true(point->values[HISTORY_OPERATIONS] == 7);
    assert_true(point->values[HISTORY_LOOKUPS] == 30);
    assert_true(point->values[HISTORY_HITS] == 20);
    assert_true(point->values[HISTORY_MOVED] == 5120);
    assert_true(point->values[HISTORY_TRIMMED] == 8192);
    assert_true(point->values[HISTORY_CPU] == 0.25);
    assert_true(point->values[HISTORY_LATENCY_P50] > 0.5e-6f);
    assert_true(point->values[HISTORY_LATENCY_P50] < 0.6e-6f);
    assert_true(point->values[HISTORY_LATENCY_P99] > 20e-6f);
    assert_true(point->values[HISTORY_LATENCY_P99] < 25e-6f);
}

static void history_knows_no_rate_of_its_first_point(void **state)
{
    struct history *history = *state;
    add(history, 1000, 1001);
    assert_true(history_at(history, 0)->values[HISTORY_OPERATIONS] == 0);
    assert_true(history_at(history, 0)->values[HISTORY_LATENCY_P99] == 0);
    assert_true(history_at(history, 0)->values[HISTORY_ITEMS] == 1000);
}

static void history_forgets_what_is_older_than_an_hour(void **state)
{
    struct history *history = *state;
    assert_int_equal(history_bytes(history), 0);
    add(history, 0, 2 * HISTORY_SECONDS + 7);
    assert_int_equal(history->count, HISTORY_SECONDS);
    assert_int_equal(history_at(history, 0)->time_seconds, 1700000000 + 2 * HISTORY_SECONDS + 6);
    assert_int_equal(history_at(history, HISTORY_SECONDS - 1)->time_seconds,
                     1700000000 + HISTORY_SECONDS + 7);
    assert_true(history_bytes(history) < 600 * 1024);
}

static void history_finds_quantiles(void **state)
{
    (void)state;
    static const double bounds[] = {1, 2, 4};
    static const uint64_t none[] = {0, 0, 0, 0}, even[] = {10, 10, 10, 0}, far[] = {0, 0, 0, 5};
    assert_true(history_quantile(bounds, 3, none, 0.5) == 0);
    assert_true(history_quantile(bounds, 3, even, 0.5) == 1.5);
    assert_true(history_quantile(bounds, 3, even, 1) == 4);
    assert_true(history_quantile(bounds, 3, far, 0.5) == 4);
}

static void history_names_each_column_once(void **state)
{
    (void)state;
    char names[HISTORY_COLUMNS][HISTORY_NAME_BYTES];
    for (size_t c = 0; c < HISTORY_COLUMNS; c++) {
        history_name((enum history_column)c, names[c]);
        assert_true(names[c][0] != '\0');
        for (size_t before = 0; before < c; before++)
            assert_string_not_equal(names[c], names[before]);
    }
}

/* ---- as JSON ---- */

static json_t *history_json(struct history *history, const char *query)
{
    struct ebb_buf out;
    struct api_range range;
    assert_true(api_history_range((struct ebb_slice){query, strlen(query)}, &range));
    ebb_buf_init(&out, 16u << 20);
    api_history(history, &range, &out);
    json_error_t error;
    json_t *tree = json_loadb(ebb_buf_data(&out), ebb_buf_len(&out), 0, &error);
    assert_non_null(tree);
    ebb_buf_release(&out);
    return tree;
}

static double value_of(json_t *tree, const char *column, size_t index)
{
    json_t *values = json_object_get(json_object_get(tree, "columns"), column);
    return json_number_value(json_array_get(values, index));
}

static size_t length_of(json_t *tree)
{
    json_t *columns = json_object_get(tree, "columns"), *values;
    const char *name;
    size_t len = json_array_size(json_object_get(columns, "time_seconds"));
    assert_int_equal(json_object_size(columns), HISTORY_COLUMNS + 1);
    json_object_foreach(columns, name, values) assert_int_equal(json_array_size(values), len);
    return len;
}

static void api_gives_the_last_seconds_oldest_first(void **state)
{
    struct history *history = *state;
    json_t *tree = history_json(history, "");
    assert_int_equal(length_of(tree), 0);
    json_decref(tree);
    add(history, 0, 50);
    tree = history_json(history, "seconds=5");
    assert_int_equal(length_of(tree), 5);
    assert_true(value_of(tree, "time_seconds", 0) == 1700000045);
    assert_true(value_of(tree, "time_seconds", 4) == 1700000049);
    assert_true(value_of(tree, "resident_bytes", 4) == 149 * MIB);
    assert_true(value_of(tree, "part_live", 0) == 45 * MIB);
    json_decref(tree);
    tree = history_json(history, "");
    assert_int_equal(length_of(tree), 50);
    json_decref(tree);
}

/* A step shows the moment when most was resident, and the mean of what happened in it. */
static void api_merges_points_without_losing_peaks(void **state)
{
    struct history *history = *state;
    add(history, 0, 60);
    struct sample peak = sample_of(60);
    peak.memory.resident_bytes = (size_t)(900 * MIB);
    peak.counters.resp_commands[0] += 1000;
    history_add(history, &peak, 0);
    struct sample after = sample_of(61);
    after.counters.resp_commands[0] += 1000;
    history_add(history, &after, 0);
    json_t *tree = history_json(history, "step=10&seconds=60");
    assert_int_equal(length_of(tree), 6);
    assert_true(value_of(tree, "resident_bytes", 5) == 900 * MIB);
    assert_true(value_of(tree, "live_bytes", 5) == 60 * MIB);
    assert_true(value_of(tree, "operations", 5) == 107);
    assert_true(value_of(tree, "operations", 4) == 7);
    assert_true(value_of(tree, "time_seconds", 5) == 1700000061);
    json_decref(tree);
}

/* Whole numbers exactly, all others to six digits. */
static void api_writes_numbers_of_any_size(void **state)
{
    struct history *history = *state;
    static const float values[] = {0,         1,        1234567,     16777216e3f, 3e30f,
                                   0.5f,      0.1f,     12.345678f,  99999.96f,   999999.5f,
                                   0.999999f, 2.345e-5, 1.00001e-9f, 1e-12f,      -0.25f};
    size_t count = sizeof values / sizeof values[0];
    add(history, 0, count);
    for (size_t i = 0; i < count; i++)
        history->points[i].values[HISTORY_OPERATIONS] = values[i];
    json_t *tree = history_json(history, "");
    for (size_t i = 0; i < count; i++) {
        double value = (double)values[i], got = value_of(tree, "operations", i);
        double most = fabs(value) < 1e18 && value == floor(value) ? 0 : 5.001e-6 * fabs(value);
        assert_true(fabs(got - value) <= most);
    }
    json_decref(tree);
}

static void api_refuses_ranges_that_are_none(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "seconds=0",  "seconds=3601", "seconds=",           "seconds=x",
        "seconds=-1", "step=0",       "seconds=10&step=1x", "seconds=99999999999999999999"};
    static const char *const good[] = {"",          "seconds=1", "step=3600", "other=x&seconds=60",
                                       "second=0&", "&&"};
    struct api_range range;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(api_history_range((struct ebb_slice){bad[i], strlen(bad[i])}, &range));
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(api_history_range((struct ebb_slice){good[i], strlen(good[i])}, &range));
    assert_false(api_heapmap_range((struct ebb_slice){"count=1025", 10}, &range));
    assert_true(api_heapmap_range((struct ebb_slice){"first=7&count=2", 15}, &range));
    assert_int_equal(range.first, 7);
    assert_int_equal(range.count, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(history_keeps_levels_and_rates),
        TEST(history_knows_no_rate_of_its_first_point),
        TEST(history_forgets_what_is_older_than_an_hour),
        TEST(history_finds_quantiles),
        TEST(history_names_each_column_once),
        TEST(api_gives_the_last_seconds_oldest_first),
        TEST(api_merges_points_without_losing_peaks),
        TEST(api_writes_numbers_of_any_size),
        TEST(api_refuses_ranges_that_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
