/* SPDX-License-Identifier: MIT */
/* test_counters.c: arithmetic on counters, and durations finding their bucket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../server/counters.h"

/* Every word gets a value of its own, so that a word left out shows. */
static void fill(struct counters *counters, uint64_t times)
{
    uint64_t *words = (uint64_t *)counters;
    for (size_t i = 0; i < sizeof(*counters) / sizeof(*words); i++)
        words[i] = (i + 1) * times;
}

static void counters_sum_adds_every_counter(void **state)
{
    (void)state;
    struct counters sum, part, expected;
    fill(&sum, 1);
    fill(&part, 2);
    fill(&expected, 3);
    counters_sum(&sum, &part);
    assert_memory_equal(&sum, &expected, sizeof(sum));
}

static void counters_subtract_takes_every_counter_off(void **state)
{
    (void)state;
    struct counters rest, base, expected;
    fill(&rest, 5);
    fill(&base, 2);
    fill(&expected, 3);
    counters_subtract(&rest, &base);
    assert_memory_equal(&rest, &expected, sizeof(rest));
}

static void a_gauge_survives_being_raised_and_lowered_by_different_workers(void **state)
{
    (void)state;
    struct counters first = {0}, second = {0}, sum = {0};
    counter_add(&first.connections[PROTOCOL_RESP], 3);
    counter_add(&second.connections[PROTOCOL_RESP], (uint64_t)-2);
    counters_sum(&sum, &first);
    counters_sum(&sum, &second);
    assert_int_equal(sum.connections[PROTOCOL_RESP], 1);
}

static void a_duration_on_a_bound_belongs_to_the_bucket_below(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNTERS_DURATION_BUCKETS - 1; i++) {
        struct counters counters = {0};
        uint64_t bound_ns = (uint64_t)(counters_duration_bounds[i] * 1e9 + 0.5);
        counters_record(&counters, FAMILY_READ, bound_ns, 1);
        counters_record(&counters, FAMILY_READ, bound_ns + 1, 1);
        assert_int_equal(counters.duration[FAMILY_READ][i], 1);
        assert_int_equal(counters.duration[FAMILY_READ][i + 1], 1);
    }
}

static void a_batch_counts_each_command_with_its_share(void **state)
{
    (void)state;
    struct counters counters = {0};
    counters_record(&counters, FAMILY_WRITE, 16 * 30000, 16);
    assert_int_equal(counters.duration[FAMILY_WRITE][5], 16); /* 25 us < 30 us <= 50 us */
    assert_int_equal(counters.duration_ns[FAMILY_WRITE], 16 * 30000);
    assert_int_equal(counters.duration[FAMILY_READ][5], 0);
}

static void a_request_waits_for_its_whole_batch(void **state)
{
    (void)state;
    struct counters counters = {0};
    counters_record_requests(&counters, PROTOCOL_RESP, 30000, 16);
    counters_record_requests(&counters, PROTOCOL_RESP, 900, 1);
    assert_int_equal(counters.request[PROTOCOL_RESP][5], 16);
    assert_int_equal(counters.request[PROTOCOL_RESP][0], 1);
    assert_int_equal(counters.request_ns[PROTOCOL_RESP], 16 * 30000 + 900);
    counters_record_stall(&counters, 2000000000);
    assert_int_equal(counters.stall[COUNTERS_DURATION_BUCKETS - 1], 1);
    assert_int_equal(counters.stall_ns, 2000000000);
}

static void the_bounds_rise(void **state)
{
    (void)state;
    for (size_t i = 1; i < COUNTERS_DURATION_BUCKETS - 1; i++)
        assert_true(counters_duration_bounds[i - 1] < counters_duration_bounds[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_sum_adds_every_counter),
        cmocka_unit_test(counters_subtract_takes_every_counter_off),
        cmocka_unit_test(a_gauge_survives_being_raised_and_lowered_by_different_workers),
        cmocka_unit_test(a_duration_on_a_bound_belongs_to_the_bucket_below),
        cmocka_unit_test(a_batch_counts_each_command_with_its_share),
        cmocka_unit_test(a_request_waits_for_its_whole_batch),
        cmocka_unit_test(the_bounds_rise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
