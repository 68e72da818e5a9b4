/* SPDX-License-Identifier: MIT */
/* test_share.c: that few objects of many sizes share spans, and many of one size do not. The twin
 * holds each slot to its bound and compares contents at each move.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "../alloc/internal.h"
#include "support/fake_os.h"
#include "support/rng.h"
#include "support/twin.h"

#define OBJECTS 6000u
#define NO_END  (UINT64_MAX / 2) /* a slice without a deadline */
#define SLICES  1000000u

struct bench {
    struct fake_os fake;
    struct ebb_pool *pool;
    struct twin twin, plain; /* plain: of an owner who does not know the bytes */
};

static int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    fake_os_init(&bench->fake);
    struct ebb_pool_config config = {.os = &bench->fake.os, .reserve_bytes = FAKE_RESERVE_BYTES};
    assert_int_equal(ebb_pool_create(&bench->pool, &config), 0);
    twin_init_sharing(&bench->twin, bench->pool, OBJECTS);
    twin_init(&bench->plain, bench->pool, OBJECTS);
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;
    struct twin *twins[] = {&bench->twin, &bench->plain};
    for (unsigned t = 0; t < 2; t++) {
        twin_verify_all(twins[t]);
        twin_check(twins[t]);
        twin_release(twins[t]);
    }
    ebb_pool_destroy(bench->pool);
    assert_true(fake_os_is_clean(&bench->fake));
    free(bench);
    return 0;
}

static void fill(struct twin *twin, struct rng *rng)
{
    for (size_t n = 0; n < OBJECTS; n++)
        assert_true(twin_alloc(twin, n, rng_between(rng, 20, 4000)));
}

static size_t compact(struct twin *twin)
{
    return twin_compact(twin, EBB_URGE_CALM, NO_END, SLICES);
}

#ifndef EBB_HARD /* with three slots a span nothing is saved */
static struct ebb_heap_stats stats_of(const struct twin *twin)
{
    struct ebb_heap_stats stats;
    ebb_heap_stats(twin->heap, &stats);
    return stats;
}

static void few_objects_of_many_sizes_share_spans(void **state)
{
    struct bench *bench = *state;
    struct rng rng = rng_start("share");
    for (size_t n = 0; n < 300; n++) {
        size_t bytes = rng_between(&rng, 20, 4000);
        assert_true(twin_alloc(&bench->twin, n, bytes) && twin_alloc(&bench->plain, n, bytes));
    }
    struct ebb_heap_stats shared = stats_of(&bench->twin), alone = stats_of(&bench->plain);
    size_t live = bench->twin.live_bytes;
    assert_true(shared.resident_bytes - live < (alone.resident_bytes - live) * 2 / 3);
    assert_true(shared.slot_bytes < live + live / 6);
}

static void what_many_deletes_leave_is_gathered(void **state)
{
    struct bench *bench = *state;
    struct rng rng = rng_start("gather");
    fill(&bench->twin, &rng);
    for (size_t n = 0; n < OBJECTS; n++)
        if (rng_below(&rng, 100) < 97)
            twin_free(&bench->twin, n);
    compact(&bench->twin);
    struct ebb_heap_stats stats = stats_of(&bench->twin);
    size_t live = bench->twin.live_bytes;
    assert_true(stats.resident_bytes < live + live / 2);
    assert_true(stats.moved_bytes <= stats.freed_bytes);
}

/* Each slot that is freed would take the shorter value that comes next. */
static void shorter_values_get_spans_of_their_own(void **state)
{
    struct bench *bench = *state;
    for (size_t n = 0; n < OBJECTS; n++)
        assert_true(twin_alloc(&bench->twin, n, 256));
    for (size_t n = 0; n < OBJECTS; n++) {
        twin_free(&bench->twin, n);
        assert_true(twin_alloc(&bench->twin, n, 230));
    }
    compact(&bench->twin);
    assert_true(stats_of(&bench->twin).slot_bytes < bench->twin.live_bytes * 103 / 100);
}
#endif

static void free_most(struct twin *twin, struct rng *rng)
{
    for (size_t n = 0; n < OBJECTS; n++)
        if (twin_has(twin, n) && rng_below(rng, 100) < 90)
            twin_free(twin, n);
}

static void what_is_gathered_stays_at_rest(void **state)
{
    struct bench *bench = *state;
    struct rng rng = rng_start("rest");
    fill(&bench->twin, &rng);
    free_most(&bench->twin, &rng);
    compact(&bench->twin);
    uint64_t moves = bench->twin.moves;
    assert_true(moves > 0);
    assert_int_equal(compact(&bench->twin), 1);
    assert_int_equal(bench->twin.moves, moves);
}

/* The clock goes on by a slice at each look: each slice moves one span's objects at most. */
static void sweeps_go_on_in_the_next_slice(void **state)
{
    struct bench *bench = *state;
    struct rng rng = rng_start("slices");
    fill(&bench->twin, &rng);
    free_most(&bench->twin, &rng);
    bench->fake.tick_ns = 1000;
    size_t slices = twin_compact(&bench->twin, EBB_URGE_CALM, 1000, SLICES);
    assert_true(slices > 10 && slices < SLICES);
    uint64_t moves = bench->twin.moves;
    compact(&bench->twin);
    assert_int_equal(bench->twin.moves, moves);
}

static void pinned_spans_stay(void **state)
{
    struct bench *bench = *state;
    struct rng rng = rng_start("pinned");
    fill(&bench->twin, &rng);
    free_most(&bench->twin, &rng);
    for (size_t n = 0; n < OBJECTS; n += 7)
        if (twin_has(&bench->twin, n))
            twin_pin(&bench->twin, n);
    compact(&bench->twin); /* the twin aborts if one of them moves */
    for (size_t n = 0; n < OBJECTS; n++)
        if (bench->twin.objects[n].pins > 0)
            twin_unpin(&bench->twin, n);
}

#define SHARE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
#ifndef EBB_HARD
        SHARE_TEST(few_objects_of_many_sizes_share_spans),
        SHARE_TEST(what_many_deletes_leave_is_gathered),
        SHARE_TEST(shorter_values_get_spans_of_their_own),
#endif
        SHARE_TEST(what_is_gathered_stays_at_rest),
        SHARE_TEST(sweeps_go_on_in_the_next_slice),
        SHARE_TEST(pinned_spans_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
