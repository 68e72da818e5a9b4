/* SPDX-License-Identifier: MIT */
/* test_buf.c: the byte buffer against a shadow that is simply a string, and its edges by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

#include "../proto/ebb_buf.h"

/* The address sanitizer would rather end than refuse memory. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

/* ---- the model ---- */

#define SHADOW_MAX_BYTES 5000u

struct shadow {
    char bytes[SHADOW_MAX_BYTES];
    size_t len, max_bytes;
    bool failed;
};

static bool shadow_add(struct shadow *shadow, const char *data, size_t bytes)
{
    if (shadow->failed || bytes > shadow->max_bytes - shadow->len) {
        shadow->failed = true;
        return false;
    }
    memcpy(shadow->bytes + shadow->len, data, bytes);
    shadow->len += bytes;
    return true;
}

static void shadow_consume(struct shadow *shadow, size_t bytes)
{
    shadow->len -= bytes;
    memmove(shadow->bytes, shadow->bytes + bytes, shadow->len);
}

static unsigned random_below(uint64_t *seed, unsigned limit)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)((*seed >> 33) % limit);
}

/* One random operation on both. */
static void operate(struct ebb_buf *buf, struct shadow *shadow, uint64_t *seed)
{
    char data[1001];
    unsigned bytes = random_below(seed, random_below(seed, 8) ? 40 : 1000);
    memset(data, 'a' + (int)random_below(seed, 26), sizeof(data));
    switch (random_below(seed, 12)) {
    case 0:
    case 1:
    case 2:
        assert_int_equal(ebb_buf_add(buf, data, bytes), shadow_add(shadow, data, bytes));
        break;
    case 3:
    case 4:
        data[bytes] = '\0';
        assert_int_equal(ebb_buf_printf(buf, "%s", data), shadow_add(shadow, data, bytes));
        break;
    case 5:
    case 6: {
        char *room = ebb_buf_reserve(buf, bytes);
        bool is_granted = !shadow->failed && bytes <= shadow->max_bytes - shadow->len;
        assert_int_equal(room != NULL, is_granted);
        shadow->failed = !is_granted;
        unsigned part = bytes ? random_below(seed, bytes) : 0;
        if (room) {
            memcpy(room, data, bytes);
            room[bytes] = '\0'; /* promised */
            ebb_buf_commit(buf, part);
            shadow_add(shadow, data, part);
        }
        break;
    }
    case 7:
    case 8:
    case 9: {
        size_t part = random_below(seed, (unsigned)shadow->len + 1);
        ebb_buf_consume(buf, part);
        shadow_consume(shadow, part);
        break;
    }
    case 10:
        ebb_buf_shrink(buf, random_below(seed, 3) * 300);
        break;
    default:
        if (random_below(seed, 10) == 0) {
            ebb_buf_release(buf);
            shadow->len = 0;
            shadow->failed = false;
        } else if (shadow->failed) {
            ebb_buf_clear(buf);
            shadow->len = 0;
            shadow->failed = false;
        }
    }
}

static void buf_behaves_like_a_string(void **state)
{
    (void)state;
    const char *given = getenv("TEST_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
    printf("# seed %llu\n", (unsigned long long)seed);
    static const size_t maxima[] = {0, 1, 100, 1500, SHADOW_MAX_BYTES};
    for (size_t m = 0; m < sizeof(maxima) / sizeof(maxima[0]); m++) {
        static struct shadow shadow;
        struct ebb_buf buf;
        ebb_buf_init(&buf, maxima[m]);
        shadow = (struct shadow){.max_bytes = maxima[m]};
        for (int i = 0; i < 100000; i++) {
            operate(&buf, &shadow, &seed);
            assert_int_equal(ebb_buf_check(&buf), 0);
            assert_int_equal(buf.failed, shadow.failed);
            assert_int_equal(ebb_buf_len(&buf), shadow.len);
            if (shadow.len > 0)
                assert_memory_equal(ebb_buf_data(&buf), shadow.bytes, shadow.len);
        }
        ebb_buf_release(&buf);
    }
}

/* ---- the edges ---- */

static void buf_costs_nothing_until_it_is_used(void **state)
{
    (void)state;
    struct ebb_buf buf;
    ebb_buf_init(&buf, 100);
    assert_null(buf.bytes);
    assert_int_equal(buf.capacity, 0);
    assert_true(ebb_buf_add(&buf, NULL, 0));
    assert_null(buf.bytes);
    assert_int_equal(ebb_buf_check(&buf), 0);
}

static void buf_takes_its_maximum_and_not_a_byte_more(void **state)
{
    (void)state;
    struct ebb_buf buf;
    ebb_buf_init(&buf, 10);
    assert_true(ebb_buf_add(&buf, "0123456", 7));
    assert_true(ebb_buf_printf(&buf, "%d", 789));
    assert_int_equal(ebb_buf_len(&buf), 10);
    assert_true(ebb_buf_add(&buf, "", 0));
    assert_false(ebb_buf_add(&buf, "x", 1));
    assert_memory_equal(ebb_buf_data(&buf), "0123456789", 10);
    ebb_buf_release(&buf);
}

/* Whoever closes a client for it says which. */
static void buf_knows_why_it_failed(void **state)
{
    (void)state;
    struct ebb_buf buf;
    ebb_buf_init(&buf, 100);
    assert_null(ebb_buf_reserve(&buf, 101));
    assert_true(buf.failed && !buf.no_memory);
    ebb_buf_release(&buf);
    ebb_buf_init(&buf, SIZE_MAX);
    assert_null(ebb_buf_reserve(&buf, SIZE_MAX / 4));
    assert_true(buf.failed && buf.no_memory);
    ebb_buf_clear(&buf);
    assert_true(!buf.failed && !buf.no_memory);
    ebb_buf_release(&buf);
}

static void buf_that_failed_takes_nothing_until_it_is_cleared(void **state)
{
    (void)state;
    struct ebb_buf buf;
    ebb_buf_init(&buf, 10);
    assert_true(ebb_buf_add(&buf, "keep", 4));
    assert_false(ebb_buf_add(&buf, "much too long", 13));
    assert_false(ebb_buf_add(&buf, "x", 1));
    assert_false(ebb_buf_printf(&buf, "x"));
    assert_null(ebb_buf_reserve(&buf, 1));
    assert_int_equal(ebb_buf_len(&buf), 4);
    ebb_buf_clear(&buf);
    assert_true(ebb_buf_add(&buf, "x", 1));
    ebb_buf_release(&buf);
}

static void buf_refuses_sizes_that_would_wrap(void **state)
{
    (void)state;
    struct ebb_buf buf;
    ebb_buf_init(&buf, SIZE_MAX);
    assert_true(ebb_buf_add(&buf, "x", 1));
    assert_null(ebb_buf_reserve(&buf, SIZE_MAX));
    ebb_buf_clear(&buf);
    assert_null(ebb_buf_reserve(&buf, SIZE_MAX / 2)); /* no machine has it */
    assert_int_equal(ebb_buf_check(&buf), 0);
    ebb_buf_release(&buf);
}

static void buf_allocates_what_a_large_reserve_asks_for(void **state)
{
    (void)state;
    struct ebb_buf buf;
    ebb_buf_init(&buf, 64u << 20);
    assert_true(ebb_buf_add(&buf, "head", 4));
    assert_non_null(ebb_buf_reserve(&buf, 32u << 20));
    assert_in_range(buf.capacity, (32u << 20) + 4, (32u << 20) + 4096);
    ebb_buf_release(&buf);
}

static void buf_shrinks_to_what_it_may_keep(void **state)
{
    (void)state;
    struct ebb_buf buf;
    ebb_buf_init(&buf, 1u << 20);
    assert_non_null(ebb_buf_reserve(&buf, 100000));
    memset(ebb_buf_reserve(&buf, 5000), 'x', 5000);
    ebb_buf_commit(&buf, 5000);
    ebb_buf_consume(&buf, 4000);
    ebb_buf_shrink(&buf, 500); /* no room for the content */
    assert_true(buf.capacity >= 100000);
    ebb_buf_shrink(&buf, 1000);
    assert_int_equal(buf.capacity, 1000);
    assert_int_equal(ebb_buf_len(&buf), 1000);
    assert_int_equal(ebb_buf_data(&buf)[999], 'x');
    ebb_buf_consume(&buf, 1000);
    ebb_buf_shrink(&buf, 0);
    assert_null(buf.bytes);
    assert_int_equal(ebb_buf_check(&buf), 0);
}

static void buf_grows_in_few_steps(void **state)
{
    (void)state;
    struct ebb_buf buf;
    ebb_buf_init(&buf, 1u << 20);
    size_t steps = 0;
    for (size_t i = 0; i < 1u << 20; i++) {
        size_t capacity = buf.capacity;
        assert_true(ebb_buf_add(&buf, "x", 1));
        steps += buf.capacity != capacity;
    }
    assert_in_range(steps, 1, 25); /* 256 * 1.5^21 > 2^20 */
    ebb_buf_release(&buf);
}

static void buf_that_is_emptied_as_it_is_filled_stays_small(void **state)
{
    (void)state;
    char data[100] = {0};
    struct ebb_buf buf;
    ebb_buf_init(&buf, 1u << 20);
    assert_true(ebb_buf_add(&buf, data, 10)); /* never quite empty */
    for (int i = 0; i < 10000; i++) {
        assert_true(ebb_buf_add(&buf, data, sizeof(data)));
        ebb_buf_consume(&buf, sizeof(data));
    }
    assert_in_range(buf.capacity, 1, 1000);
    ebb_buf_release(&buf);
}

/* A reader who always leaves the buffer nearly full must not make each byte move all of it. */
static void buf_moves_little_when_nearly_full(void **state)
{
    (void)state;
    const size_t max = 1u << 20, piece = 1000;
    char data[1000] = {0};
    struct ebb_buf buf;
    ebb_buf_init(&buf, max);
    while (ebb_buf_len(&buf) + piece <= max)
        assert_true(ebb_buf_add(&buf, data, piece));
    size_t moves = 0, pieces = 20000;
    for (size_t i = 0; i < pieces; i++) {
        ebb_buf_consume(&buf, piece);
        size_t start = buf.start;
        assert_true(ebb_buf_add(&buf, data, piece));
        moves += buf.start < start;
    }
    /* a quarter of the maximum is drained between two moves */
    assert_in_range(moves, 1, pieces * piece / (max / 4) + 1);
    ebb_buf_release(&buf);
}

static void buf_takes_no_more_under_a_lowered_maximum(void **state)
{
    (void)state;
    struct ebb_buf buf;
    char data[500] = {0};
    ebb_buf_init(&buf, 10000);
    assert_true(ebb_buf_add(&buf, data, 500));
    buf.max_bytes = 100;
    assert_false(ebb_buf_add(&buf, data, 500));
    assert_int_equal(ebb_buf_len(&buf), 500);
    ebb_buf_clear(&buf);
    assert_true(ebb_buf_add(&buf, data, 100));
    assert_false(ebb_buf_add(&buf, data, 1));
    ebb_buf_release(&buf);
}

static void buf_check_sees_broken_rules(void **state)
{
    (void)state;
    char bytes[10];
    struct ebb_buf good = {.bytes = bytes, .end = 5, .capacity = 10, .max_bytes = 20}, bad;
    assert_int_equal(ebb_buf_check(&good), 0);
    bad = good, bad.start = 6;
    assert_true(ebb_buf_check(&bad) < 0);
    bad = good, bad.end = 11;
    assert_true(ebb_buf_check(&bad) < 0);
    bad = good, bad.max_bytes = 4;
    assert_true(ebb_buf_check(&bad) < 0);
    bad = good, bad.max_bytes = 6;
    assert_true(ebb_buf_check(&bad) < 0);
    bad = good, bad.bytes = NULL;
    assert_true(ebb_buf_check(&bad) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buf_behaves_like_a_string),
        cmocka_unit_test(buf_costs_nothing_until_it_is_used),
        cmocka_unit_test(buf_takes_its_maximum_and_not_a_byte_more),
        cmocka_unit_test(buf_knows_why_it_failed),
        cmocka_unit_test(buf_that_failed_takes_nothing_until_it_is_cleared),
        cmocka_unit_test(buf_refuses_sizes_that_would_wrap),
        cmocka_unit_test(buf_allocates_what_a_large_reserve_asks_for),
        cmocka_unit_test(buf_shrinks_to_what_it_may_keep),
        cmocka_unit_test(buf_grows_in_few_steps),
        cmocka_unit_test(buf_that_is_emptied_as_it_is_filled_stays_small),
        cmocka_unit_test(buf_moves_little_when_nearly_full),
        cmocka_unit_test(buf_takes_no_more_under_a_lowered_maximum),
        cmocka_unit_test(buf_check_sees_broken_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
