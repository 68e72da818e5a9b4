/* SPDX-License-Identifier: MIT */
/* test_span.c: slots inside one span, which lies on the stack: no heap and no pages here. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>

#include "../alloc/bits.h"
#include "../alloc/internal.h"
#include "support/rng.h"

static struct span span_of(const struct ebb_pool *pool, unsigned class_index, unsigned rung)
{
    struct span span = {
        .class_index = (uint16_t)class_index,
        .first_page = 3 * ARENA_PAGES + 7,
        .pages = pool->classes.rung_pages[class_index][rung],
        .due = UINT64_MAX,
        .bucket = BUCKET_EMPTY,
    };
    span.slots = (uint16_t)class_slots(&pool->classes, class_index, span.pages);
    bits_fill(span.free_map, 0, span.slots, true);
    return span;
}

static int setup(void **state)
{
    static struct ebb_pool pool; /* only its class table is looked at */
    class_table_init(&pool.classes);
    *state = &pool;
    return 0;
}

static void span_hands_out_the_lowest_free_slot(void **state)
{
    struct span span = span_of(*state, class_of(64), 0);
    for (unsigned s = 0; s < span.slots; s++)
        assert_int_equal(span_take_slot(&span), s);
    assert_int_equal(span.used, span.slots);
    span_give_slot(&span, 2);
    span_give_slot(&span, 0);
    assert_int_equal(span_take_slot(&span), 0);
    assert_int_equal(span_take_slot(&span), 2);
}

static void span_buckets_go_by_eighths(void **state)
{
    struct span span = span_of(*state, class_of(64), 0);
    assert_int_equal(span_bucket_of(&span), BUCKET_EMPTY);
    for (unsigned used = 1; used < span.slots; used++) {
        span_take_slot(&span);
        assert_int_equal(span_bucket_of(&span), used * 8 / span.slots);
        assert_true(span_bucket_of(&span) < BUCKET_EIGHTHS);
    }
    span_take_slot(&span);
    assert_int_equal(span_bucket_of(&span), BUCKET_FULL);
}

static void span_refs_and_slots_are_inverse(void **state)
{
    const struct ebb_pool *pool = *state;
    for (unsigned c = 0; c < EBB_CLASS_COUNT; c++)
        for (unsigned r = 0; r < pool->classes.rung_count[c]; r++) {
            struct span span = span_of(pool, c, r);
            ebb_ref end = ((ebb_ref)span.first_page + span.pages) * PAGE_GRANULES;
            for (unsigned s = 0; s < span.slots; s++) {
                ebb_ref ref = span_ref(pool, &span, s);
                assert_int_equal(span_slot_of(pool, &span, ref), s);
                assert_true(ref + span_slot_bytes(pool, &span) / EBB_GRANULE_BYTES <= end);
            }
        }
}

static void span_walks_exactly_its_used_slots(void **state)
{
    struct rng rng = rng_start("span");
    struct span span = span_of(*state, class_of(48), 0);
    bool used[64 * SPAN_WORDS] = {false};
    for (unsigned round = 0; round < 20000; round++) {
        if (span.used < span.slots && rng_once_in(&rng, 2)) {
            used[span_take_slot(&span)] = true;
        } else if (span.used > 0) {
            unsigned slot = span_next_used(&span, (unsigned)rng_below(&rng, span.slots));
            if (slot < span.slots) {
                span_give_slot(&span, slot);
                used[slot] = false;
            }
        }
        unsigned walked = 0;
        for (unsigned s = span_next_used(&span, 0); s < span.slots;
             s = span_next_used(&span, s + 1)) {
            assert_true(used[s] && span_slot_used(&span, s));
            walked++;
        }
        assert_int_equal(walked, span.used);
        span.bucket = (uint8_t)span_bucket_of(&span);
        span.touched_pages = (uint8_t)span.pages;
        assert_int_equal(span_check(*state, &span), 0);
    }
}

static void span_slot_past_the_end_is_not_used(void **state)
{
    struct span span = span_of(*state, class_of(4096), 0);
    for (unsigned s = span.slots; s < 64 * SPAN_WORDS; s++)
        assert_false(span_slot_used(&span, s));
    assert_false(span_slot_used(&span, UINT32_MAX));
}

static void span_check_sees_what_is_wrong(void **state)
{
    const struct ebb_pool *pool = *state;
    struct span good = span_of(pool, class_of(64), 0), bad;
    int screen = dup(STDERR_FILENO); /* what it has to say is expected here */
    assert_non_null(freopen("/dev/null", "w", stderr));
    span_take_slot(&good);
    good.bucket = (uint8_t)span_bucket_of(&good);
    good.touched_pages = 1;
    assert_int_equal(span_check(pool, &good), 0);
    bad = good;
    bad.used++;
    assert_int_not_equal(span_check(pool, &bad), 0);
    bad = good;
    bit_set(bad.free_map, bad.slots); /* a free slot beyond the last */
    bit_clear(bad.free_map, 1);
    assert_int_not_equal(span_check(pool, &bad), 0);
    bad = good;
    bad.bucket = BUCKET_FULL;
    assert_int_not_equal(span_check(pool, &bad), 0);
    bad = good;
    bad.touched_pages = 0; /* its used slot would lie in a page nobody has touched */
    assert_int_not_equal(span_check(pool, &bad), 0);
    bad = good;
    bad.slots = 0;
    assert_int_not_equal(span_check(pool, &bad), 0);
    fflush(stderr);
    dup2(screen, STDERR_FILENO);
    close(screen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(span_hands_out_the_lowest_free_slot),
        cmocka_unit_test(span_buckets_go_by_eighths),
        cmocka_unit_test(span_refs_and_slots_are_inverse),
        cmocka_unit_test(span_walks_exactly_its_used_slots),
        cmocka_unit_test(span_slot_past_the_end_is_not_used),
        cmocka_unit_test(span_check_sees_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
