/* SPDX-License-Identifier: MIT */
/* What the speed benchmark's figures hang on: where commands end, what replies look like, quantiles
 * and medians.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../bench/speed/framing.h"
#include "../bench/histogram.h"
#include "../bench/speed/load.h"
#include "../bench/speed/spread.h"
#include "support/rng.h"

/* ---- framing ---- */

static const struct {
    const char *bytes;
    enum frame_kind kind;
    unsigned keys;
} commands[] = {
    {"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", FRAME_RESP_GET, 1},
    {"*2\r\n$3\r\nget\r\n$3\r\n\r\n*\r\n", FRAME_RESP_GET, 1},
    {"*3\r\n$4\r\nMGET\r\n$1\r\na\r\n$2\r\nbb\r\n", FRAME_RESP_MGET, 2},
    {"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nvalue\r\n", FRAME_RESP_OTHER, 2},
    {"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n", FRAME_RESP_OTHER, 2},
    {"*1\r\n$4\r\nPING\r\n", FRAME_RESP_PING, 0},
    {"PING\r\n", FRAME_RESP_PING, 0},
    {"get a bb\r\n", FRAME_TEXT_GET, 0},
    {"set k 0 0 5\r\nvalue\r\n", FRAME_TEXT_SET, 0},
    {"set k 0 0 0\r\n\r\n", FRAME_TEXT_SET, 0},
    {"mg k v\r\n", FRAME_META_GET, 0},
    {"ms k 5\r\nvalue\r\n", FRAME_META_SET, 0},
    {"ms k 5 T0\r\nval\r\n\r\n", FRAME_META_SET, 0},
    {"mn\r\n", FRAME_META_NOOP, 0},
    {"version\r\n", FRAME_VERSION, 0},
    {"flush_all\r\n", FRAME_UNKNOWN, 0},
};
#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static void commands_end_where_they_end(void **state)
{
    (void)state;
    for (size_t c = 0; c < COMMAND_COUNT; c++) {
        struct frame frame = {.kind = FRAME_UNKNOWN};
        size_t length = strlen(commands[c].bytes);
        assert_int_equal(frame_next(commands[c].bytes, length, &frame), length);
        assert_int_equal(frame.kind, commands[c].kind);
        assert_int_equal(frame.keys, commands[c].keys);
    }
}

/* Of a command that is cut off nothing is known yet, or all is known but the rest of its value. */
static void half_a_command_is_none_or_known_whole(void **state)
{
    (void)state;
    for (size_t c = 0; c < COMMAND_COUNT; c++) {
        size_t length = strlen(commands[c].bytes);
        for (size_t cut = 1; cut < length; cut++) {
            struct frame frame = {.kind = FRAME_UNKNOWN};
            char *half = malloc(cut); /* so that a byte too far is seen */
            memcpy(half, commands[c].bytes, cut);
            ssize_t took = frame_next(half, cut, &frame);
            if (took != 0) {
                assert_int_equal(took, length);
                assert_int_equal(frame.kind, commands[c].kind);
            }
            free(half);
        }
    }
}

static void what_is_no_protocol_is_refused(void **state)
{
    static const char *const bad[] = {"*x\r\n",          "*0\r\n",           "*1\r\n+3\r\n",
                                      "*1\r\n$xx\r\n",   "*12345678901\r\n", "*1\rx$1\r\nk\r\n",
                                      "set k 0 0 x\r\n", "set k\r\n",        "ms k\r\n"};
    (void)state;
    for (size_t b = 0; b < sizeof bad / sizeof bad[0]; b++) {
        struct frame frame;
        assert_int_equal(frame_next(bad[b], strlen(bad[b]), &frame), -1);
    }
    size_t length = FRAME_HEAD_MAX_BYTES + 1;
    char *endless = malloc(length);
    struct frame frame;
    memset(endless, 'x', length);
    assert_int_equal(frame_next(endless, length - 1, &frame), 0);
    assert_int_equal(frame_next(endless, length, &frame), -1);
    free(endless);
}

/* ---- loads ---- */

static struct load_options options_of(enum load_protocol protocol, unsigned multiget)
{
    return (struct load_options){.protocol = protocol,
                                 .value_bytes = 100,
                                 .keys = 50,
                                 .depth = 7,
                                 .multiget = multiget,
                                 .get_share = 0.5,
                                 .zipf = multiget > 1 ? 0.9 : 0,
                                 .seed = 1};
}

/* Each batch holds as many commands as it says, of the kinds it says, and nothing else. */
static void check_batch(const struct load *load, const struct load_batch *batch)
{
    const struct load_options *options = &load->options;
    const char *at = load->bytes + batch->offset, *end = at + batch->length;
    unsigned operations = 0;
    for (unsigned c = 0; c < options->depth; c++) {
        bool is_set = load->is_set[batch->first + c];
        bool is_many = options->protocol == LOAD_META && options->multiget > 1 && !is_set;
        for (unsigned n = is_many ? options->multiget + 1 : 1; n > 0; n--) {
            struct frame frame = {.kind = FRAME_UNKNOWN};
            ssize_t took = frame_next(at, (size_t)(end - at), &frame);
            assert_true(took > 0 && took <= end - at);
            assert_int_not_equal(frame.kind, FRAME_UNKNOWN);
            assert_int_equal(is_set, frame.kind == FRAME_RESP_OTHER ||
                                         frame.kind == FRAME_TEXT_SET ||
                                         frame.kind == FRAME_META_SET);
            at += took;
        }
        operations += is_set ? 1 : options->multiget;
    }
    assert_ptr_equal(at, end);
    assert_int_equal(batch->operations, operations);
}

static void batches_hold_the_commands_they_say(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 6; n++) {
        struct load load;
        struct load_options options = options_of((enum load_protocol)(n / 2), n % 2 ? 5 : 1);
        load_compose(&load, &options);
        assert_true(load.batch_count * options.depth >= options.keys);
        for (size_t b = 0; b < load.batch_count; b++)
            check_batch(&load, &load.batches[b]);
        load_release(&load);
    }
}

static size_t bytes_of(const struct load_reply *reply)
{
    return reply->pieces[0].bytes * reply->times[0] + reply->pieces[1].bytes * reply->times[1];
}

static void replies_are_as_long_as_the_protocol_makes_them(void **state)
{
    static const size_t lengths[][2] = {
        [LOAD_RESP] = {6 + 100 + 2, 4 + 5 * (6 + 100 + 2)},
        [LOAD_TEXT] = {6 + 20 + 8 + 100 + 2 + 5, 5 * (6 + 20 + 8 + 100 + 2) + 5},
        [LOAD_META] = {8 + 100 + 2, 5 * (6 + 2 + 20 + 2 + 100 + 2) + 4},
    };
    (void)state;
    for (unsigned n = 0; n < 6; n++) {
        struct load load;
        struct load_options options = options_of((enum load_protocol)(n / 2), n % 2 ? 5 : 1);
        load_compose(&load, &options);
        assert_int_equal(bytes_of(&load.replies[0]), lengths[n / 2][n % 2]);
        load_release(&load);
    }
}

/* ---- numbers ---- */

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void quantiles_are_those_of_the_sorted_times(void **state)
{
    enum { COUNT = 20000 };
    static const double shares[] = {0.001, 0.5, 0.9, 0.99, 0.999, 1};
    static struct histogram halves[2], histogram;
    struct rng rng = rng_start("histogram");
    uint64_t *times = malloc(COUNT * sizeof *times);
    (void)state;
    assert_int_equal(histogram_quantile(&histogram, 0.5), 0);
    for (unsigned i = 0; i < COUNT; i++) {
        times[i] = rng_next(&rng) >> rng_between(&rng, 20, 63);
        histogram_add(&halves[i % 2], times[i], 1);
    }
    histogram_merge(&histogram, &halves[0]);
    histogram_merge(&histogram, &halves[1]);
    qsort(times, COUNT, sizeof *times, compare);
    for (size_t s = 0; s < sizeof shares / sizeof shares[0]; s++) {
        size_t rank = (size_t)(shares[s] * COUNT);
        uint64_t exact = times[rank > 0 ? rank - 1 : 0];
        uint64_t found = histogram_quantile(&histogram, shares[s]);
        assert_in_range(found, exact, exact + exact / HISTOGRAM_STEPS);
    }
    assert_int_equal(histogram.count, COUNT);
    assert_int_equal(histogram.longest_ns, times[COUNT - 1]);
    free(times);
}

static void every_time_has_a_bucket_and_they_ascend(void **state)
{
    (void)state;
    unsigned last = 0;
    for (unsigned bits = 0; bits < 64; bits++) {
        for (uint64_t part = 0; part < 64; part++) {
            uint64_t ns = (UINT64_C(1) << bits) + (part << bits >> 6);
            unsigned bucket = histogram_bucket(ns);
            assert_in_range(bucket, last, HISTOGRAM_BUCKETS - 1);
            last = bucket;
        }
    }
}

static void the_median_is_in_the_middle(void **state)
{
    double odd[] = {5, 1, 3}, even[] = {4, 1, 3, 2};
    (void)state;
    struct spread spread = spread_of(odd, 3);
    assert_true(spread.median == 3 && spread.least == 1 && spread.most == 5);
    spread = spread_of(even, 4);
    assert_true(spread.median == 2.5 && spread.least == 1 && spread.most == 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_end_where_they_end),
        cmocka_unit_test(half_a_command_is_none_or_known_whole),
        cmocka_unit_test(what_is_no_protocol_is_refused),
        cmocka_unit_test(batches_hold_the_commands_they_say),
        cmocka_unit_test(replies_are_as_long_as_the_protocol_makes_them),
        cmocka_unit_test(quantiles_are_those_of_the_sorted_times),
        cmocka_unit_test(every_time_has_a_bucket_and_they_ascend),
        cmocka_unit_test(the_median_is_in_the_middle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
