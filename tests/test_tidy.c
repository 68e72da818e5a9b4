/* SPDX-License-Identifier: MIT */
/* test_tidy.c: that metadata shrinks with the spans it describes: of two heaps in one pool, with
 * due times and pins on spans whose descriptors move. The twins compare contents, the validators
 * lists.
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

#define OBJECTS 20000u           /* of a heap; of many sizes, so that spans are short and many */
#define NO_END  (UINT64_MAX / 2) /* a slice without a deadline */
#define SLICES  100000u
#ifdef EBB_HARD
#define LEFT_OVER 0u
#else
#define LEFT_OVER 32u /* fewer pages are not worth it */
#endif

struct bench {
    struct fake_os fake;
    struct ebb_pool *pool;
    struct twin twins[2];
};

static int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    fake_os_init(&bench->fake);
    struct ebb_pool_config config = {.os = &bench->fake.os, .reserve_bytes = FAKE_RESERVE_BYTES};
    assert_int_equal(ebb_pool_create(&bench->pool, &config), 0);
    for (unsigned t = 0; t < 2; t++)
        twin_init(&bench->twins[t], bench->pool, OBJECTS);
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;
    for (unsigned t = 0; t < 2; t++) {
        twin_verify_all(&bench->twins[t]);
        twin_check(&bench->twins[t]);
        twin_release(&bench->twins[t]);
    }
    ebb_pool_destroy(bench->pool);
    assert_true(fake_os_is_clean(&bench->fake));
    free(bench);
    return 0;
}

static size_t bytes_of(size_t n)
{
    return 500 + n * 37 % 3500;
}

/* The heaps' pages lie between each other's. */
static void fill(struct bench *bench)
{
    for (size_t n = 0; n < OBJECTS; n++)
        for (unsigned t = 0; t < 2; t++)
            assert_true(twin_alloc(&bench->twins[t], n, bytes_of(n)));
}

static void thin_out(struct bench *bench, struct rng *rng)
{
    for (size_t n = 0; n < OBJECTS; n++)
        for (unsigned t = 0; t < 2; t++)
            if (!rng_once_in(rng, 20))
                twin_free(&bench->twins[t], n);
}

static void fill_and_thin_out(struct bench *bench, const char *name)
{
    struct rng rng = rng_start(name);
    fill(bench);
    thin_out(bench, &rng);
}

static size_t tidy(struct bench *bench, unsigned t, uint64_t max_ns)
{
    return twin_compact(&bench->twins[t], EBB_URGE_CALM, max_ns, SLICES);
}

/* Twice: what one heap has emptied lets the other move. */
static void tidy_both(struct bench *bench)
{
    for (unsigned round = 0; round < 2; round++)
        for (unsigned t = 0; t < 2; t++)
            tidy(bench, t, NO_END);
}

static size_t metadata_bytes(const struct bench *bench)
{
    struct ebb_pool_stats stats;
    ebb_pool_stats(bench->pool, &stats);
    size_t resident = 0;
    for (uint32_t a = 0; a < bench->pool->arena_frontier; a++) {
        const struct arena *arena = pool_arena(bench->pool, a);
        if (arena->is_ready)
            resident += fake_os_resident_bytes(&bench->fake, arena, ARENA_STRIDE);
    }
    assert_int_equal(resident, stats.metadata_bytes);
    return stats.metadata_bytes;
}

static void metadata_shrinks_with_what_it_describes(void **state)
{
    struct bench *bench = *state;
    struct rng rng = rng_start("shrink");
    fill(bench);
    size_t full = metadata_bytes(bench);
    thin_out(bench, &rng);
    tidy_both(bench);
    assert_true(metadata_bytes(bench) < full / 4);
    assert_true(bench->pool->spare_metadata_pages <= LEFT_OVER);
    for (unsigned t = 0; t < 2; t++)
        twin_reset(&bench->twins[t]);
    fill(bench); /* and it grows again */
    assert_int_equal(metadata_bytes(bench), full);
}

static uint64_t due_in_turn(size_t n)
{
    return 1 + n * 1000 / OBJECTS;
}

static void due_times_and_pins_go_with_their_spans(void **state)
{
    struct bench *bench = *state;
    struct rng rng = rng_start("due");
    fill(bench);
    for (size_t n = 0; n < OBJECTS; n++)
        for (unsigned t = 0; t < 2; t++) {
            twin_due_note(&bench->twins[t], n, t == 0 ? 1 + rng_below(&rng, 1000) : due_in_turn(n));
            if (n % 7 == 0)
                twin_pin(&bench->twins[t], n);
        }
    thin_out(bench, &rng); /* what is pinned stays until the pin goes */
    tidy_both(bench);
    for (unsigned t = 0; t < 2; t++) {
        struct twin *twin = &bench->twins[t];
        twin_check(twin);
        for (uint64_t now = 0; now <= 500; now += 50)
            twin_due_visit(twin, now, 0);
        for (size_t n = 0; n < OBJECTS; n += 7)
            twin_unpin(twin, n);
        twin_check(twin);
        twin_due_visit(twin, 1000, 0);
        assert_int_equal(twin->live, 0);
    }
}

static void a_heap_moves_its_own_descriptors_alone(void **state)
{
    struct bench *bench = *state;
    span_id spans[OBJECTS];
    fill_and_thin_out(bench, "own");
    const struct twin *other = &bench->twins[1];
    for (size_t n = 0; n < OBJECTS; n++)
        spans[n] = twin_has(other, n) ? pool_find(bench->pool, other->objects[n].ref) : 0;
    tidy(bench, 0, NO_END);
    for (size_t n = 0; n < OBJECTS; n++)
        if (twin_has(other, n))
            assert_int_equal(pool_find(bench->pool, other->objects[n].ref), spans[n]);
    assert_true(bench->pool->spare_metadata_pages > LEFT_OVER);
    tidy_both(bench);
    assert_true(bench->pool->spare_metadata_pages <= LEFT_OVER);
}

static void a_slice_ends_in_time(void **state)
{
    struct bench *bench = *state;
    fill_and_thin_out(bench, "slice");
    bench->fake.tick_ns = 100;
    assert_true(tidy(bench, 0, 1) > 3); /* an arena a slice */
    bench->fake.tick_ns = 0;
    tidy_both(bench);
    assert_true(bench->pool->spare_metadata_pages <= LEFT_OVER);
}

static void metadata_that_cannot_be_given_back_is_still_counted(void **state)
{
    struct bench *bench = *state;
    fill_and_thin_out(bench, "fail");
    size_t before = metadata_bytes(bench);
    fake_os_fail(&bench->fake, FAKE_DISCARD, 1, 1000);
    tidy_both(bench);
    fake_os_fail_never(&bench->fake);
    assert_int_equal(metadata_bytes(bench), before);
    for (size_t n = 0; n < OBJECTS; n++)
        if (twin_has(&bench->twins[0], n))
            twin_free(&bench->twins[0], n);
    tidy_both(bench);
    assert_true(bench->pool->spare_metadata_pages <= LEFT_OVER);
}

#ifndef EBB_HARD /* where everything is moved whatever it brings */
static void little_is_left_as_it_is(void **state)
{
    struct bench *bench = *state;
    struct twin *twin = &bench->twins[0];
    for (size_t n = 0; n < 600; n++)
        assert_true(twin_alloc(twin, n, bytes_of(n)));
    for (size_t n = 0; n < 550; n++)
        twin_free(twin, n);
    tidy(bench, 0, NO_END);
    assert_in_range(bench->pool->spare_metadata_pages, 1, LEFT_OVER);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(metadata_shrinks_with_what_it_describes, setup, teardown),
        cmocka_unit_test_setup_teardown(due_times_and_pins_go_with_their_spans, setup, teardown),
        cmocka_unit_test_setup_teardown(a_heap_moves_its_own_descriptors_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(a_slice_ends_in_time, setup, teardown),
        cmocka_unit_test_setup_teardown(metadata_that_cannot_be_given_back_is_still_counted, setup,
                                        teardown),
#ifndef EBB_HARD
        cmocka_unit_test_setup_teardown(little_is_left_as_it_is, setup, teardown),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
