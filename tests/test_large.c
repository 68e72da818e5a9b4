/* SPDX-License-Identifier: MIT */
/* test_large.c: objects above EBB_LARGE_BYTES that outgrow their place: whole arenas are relocated,
 * the rest is copied, and what the kernel holds resident is told right all the while.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../alloc/internal.h"
#include "support/fake_os.h"
#include "support/rng.h"
#include "support/twin.h"

#define OBJECTS 16u
#define MIB     (1024u * 1024)

struct bench {
    struct fake_os fake;
    struct ebb_pool *pool;
    struct twin twin;
};

static int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    fake_os_init(&bench->fake);
    struct ebb_pool_config config = {.os = &bench->fake.os, .reserve_bytes = FAKE_RESERVE_BYTES};
    assert_int_equal(ebb_pool_create(&bench->pool, &config), 0);
    twin_init(&bench->twin, bench->pool, OBJECTS);
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;
    twin_verify_all(&bench->twin);
    twin_check(&bench->twin);
    twin_release(&bench->twin);
    ebb_pool_destroy(bench->pool);
    assert_true(fake_os_is_clean(&bench->fake));
    free(bench);
    return 0;
}

static size_t resident(const struct bench *bench)
{
    return fake_os_resident_bytes(&bench->fake, ebb_pool_base(bench->pool),
                                  (size_t)bench->pool->arena_frontier * ARENA_BYTES);
}

/* What the allocator says of it: pages in spans and idle ones. */
static size_t resident_as_told(const struct bench *bench)
{
    struct ebb_pool_stats pool;
    struct ebb_heap_stats heap;
    ebb_pool_stats(bench->pool, &pool);
    ebb_heap_stats(bench->twin.heap, &heap);
    return heap.resident_bytes + pool.idle_bytes;
}

/* Object 0 of that size, and object 1 right behind it: to grow, 0 must move. */
static void walled_in(struct bench *bench, size_t bytes)
{
    assert_true(twin_alloc(&bench->twin, 0, bytes));
    assert_true(twin_alloc(&bench->twin, 1, 3 * MIB));
    size_t end = bench->twin.objects[0].ref + bytes / EBB_GRANULE_BYTES;
    assert_in_range(bench->twin.objects[1].ref, end, end + ARENA_BYTES / EBB_GRANULE_BYTES);
}

static void growing_relocates_whole_arenas_and_copies_the_rest(void **state)
{
    struct bench *bench = *state;
    walled_in(bench, 5 * MIB);
    ebb_ref before = bench->twin.objects[0].ref;
    assert_int_equal(twin_resize(&bench->twin, 0, 9 * MIB), 0);
    assert_int_not_equal(bench->twin.objects[0].ref, before);
    assert_int_equal(bench->fake.relocated_bytes, 2 * ARENA_BYTES);
    struct ebb_pool_stats stats;
    ebb_pool_stats(bench->pool, &stats);
    assert_int_equal(stats.relocated_bytes, 2 * ARENA_BYTES);
    assert_int_equal(stats.relocation_errors, 0);
    assert_int_equal(stats.idle_bytes, 1 * MIB); /* of the old place only what was copied */
}

static void what_is_resident_is_told_right(void **state)
{
    struct bench *bench = *state;
    walled_in(bench, 7 * MIB);
    for (size_t mib = 8; mib <= 20; mib += 3) {
        assert_int_equal(twin_resize(&bench->twin, 0, mib * MIB), 0);
        twin_rewrite(&bench->twin, 0); /* a large object counts as written */
        assert_int_equal(resident_as_told(bench), resident(bench));
    }
}

static void a_place_that_was_left_can_be_used_again(void **state)
{
    struct bench *bench = *state;
    walled_in(bench, 6 * MIB);
    ebb_ref first = bench->twin.objects[0].ref;
    assert_int_equal(twin_resize(&bench->twin, 0, 10 * MIB), 0);
    assert_true(twin_alloc(&bench->twin, 2, 6 * MIB));
    assert_int_equal(bench->twin.objects[2].ref, first);
    twin_verify_all(&bench->twin);
    assert_int_equal(resident_as_told(bench), resident(bench));
}

static void afterwards_everything_goes_back(void **state)
{
    struct bench *bench = *state;
    walled_in(bench, 9 * MIB);
    assert_int_equal(twin_resize(&bench->twin, 0, 30 * MIB), 0);
    twin_free(&bench->twin, 0);
    twin_free(&bench->twin, 1);
    while (ebb_pool_trim(bench->pool, MIB, true) >= MIB)
        ;
    struct ebb_pool_stats stats;
    ebb_pool_stats(bench->pool, &stats);
    assert_int_equal(resident(bench), 0);
    assert_int_equal(stats.idle_bytes, 0);
    assert_in_range(stats.metadata_bytes, 1, 2 * EBB_PAGE_BYTES); /* of arena 0 */
}

static void what_cannot_be_relocated_is_copied(void **state)
{
    struct bench *bench = *state;
    walled_in(bench, 9 * MIB);
    fake_os_fail(&bench->fake, FAKE_RELOCATE, 3, 1);
    assert_int_equal(twin_resize(&bench->twin, 0, 12 * MIB), 0);
    assert_int_equal(bench->fake.relocated_bytes, 2 * ARENA_BYTES);
    assert_int_equal(bench->pool->relocation_errors, 1);
    twin_verify(&bench->twin, 0);
    bench->pool->os.relocate = NULL; /* as on a system without it */
    assert_true(twin_alloc(&bench->twin, 2, 3 * MIB));
    assert_int_equal(twin_resize(&bench->twin, 0, 30 * MIB), 0);
    assert_int_equal(bench->fake.relocated_bytes, 2 * ARENA_BYTES);
}

static void what_is_relocated_counts_once_under_a_limit(void **state)
{
    struct bench *bench = *state;
    walled_in(bench, 9 * MIB);
    ebb_pool_limit(bench->pool, 20 * MIB); /* 12 MiB are held, and the new run is 13 */
    assert_int_equal(twin_resize(&bench->twin, 0, 13 * MIB), 0);
    assert_int_equal(bench->fake.relocated_bytes, 4 * ARENA_BYTES);
    twin_verify(&bench->twin, 0);
    assert_int_not_equal(twin_resize(&bench->twin, 0, 19 * MIB), 0); /* that is too much */
    twin_verify(&bench->twin, 0);
    assert_int_equal(resident_as_told(bench), resident(bench));
}

static void what_cannot_be_relocated_counts_twice(void **state)
{
    struct bench *bench = *state;
    walled_in(bench, 9 * MIB);
    ebb_pool_limit(bench->pool, 20 * MIB);
    bench->pool->os.relocate = NULL;
    assert_int_not_equal(twin_resize(&bench->twin, 0, 13 * MIB), 0);
    bench->pool->os.relocate = bench->fake.os.relocate;
    fake_os_fail(&bench->fake, FAKE_RELOCATE, 1, 2);
    assert_int_not_equal(twin_resize(&bench->twin, 0, 13 * MIB), 0);
    twin_verify(&bench->twin, 0);
    ebb_pool_limit(bench->pool, 28 * MIB);
    assert_int_equal(twin_resize(&bench->twin, 0, 13 * MIB), 0);
    twin_verify(&bench->twin, 0);
}

static void mappings_are_bounded(void **state)
{
    struct bench *bench = *state;
    walled_in(bench, 9 * MIB);
    bench->pool->relocated_arenas += 8190; /* as if so many were elsewhere */
    assert_int_equal(twin_resize(&bench->twin, 0, 12 * MIB), 0);
    assert_int_equal(bench->fake.relocated_bytes, 2 * ARENA_BYTES);
    assert_int_equal(bench->pool->relocation_errors, 0); /* that is no error */
    bench->pool->relocated_arenas -= 8190;
}

static void growing_and_shrinking_at_random_keeps_the_bytes(void **state)
{
    struct bench *bench = *state;
    struct rng rng = rng_start("large");
    for (unsigned round = 0; round < 300; round++) {
        size_t n = rng_below(&rng, 6), bytes = rng_between(&rng, EBB_LARGE_BYTES + 1, 12 * MIB);
        if (!twin_has(&bench->twin, n))
            assert_true(twin_alloc(&bench->twin, n, bytes));
        else if (rng_once_in(&rng, 5))
            twin_free(&bench->twin, n);
        else
            assert_int_equal(twin_resize(&bench->twin, n, bytes), 0);
        if (rng_once_in(&rng, 10))
            ebb_pool_trim(bench->pool, rng_between(&rng, 1, 8 * MIB), true);
        if (rng_once_in(&rng, 3))
            fake_os_fail(&bench->fake, FAKE_RELOCATE, rng_between(&rng, 1, 4), 1);
        twin_check(&bench->twin);
    }
    assert_true(bench->fake.relocated_bytes > 0);
}

/* ---- the real system ---- */

static size_t mappings(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    assert_non_null(maps);
    size_t lines = 0;
    for (int c; (c = getc(maps)) != EOF;)
        lines += c == '\n';
    fclose(maps);
    return lines;
}

static void the_system_relocates_and_keeps_few_mappings(void **state)
{
    (void)state;
    struct ebb_pool *pool;
    struct twin twin;
    assert_int_equal(ebb_pool_create(&pool, NULL), 0);
    twin_init(&twin, pool, OBJECTS);
    size_t before = mappings();
    for (size_t mib = 3; mib < 60; mib += 3) {
        size_t n = mib / 3 % 2; /* two that grow past each other */
        int error = twin_has(&twin, n) ? twin_resize(&twin, n, mib * MIB)
                                       : !twin_alloc(&twin, n, mib * MIB);
        assert_int_equal(error, 0);
    }
    twin_verify_all(&twin);
    struct ebb_pool_stats stats;
    ebb_pool_stats(pool, &stats);
    assert_true(stats.relocated_bytes > 0 || stats.relocation_errors > 0); /* before Linux 5.7 */
    assert_in_range(mappings(), 1, before + 2 * pool->relocated_arenas + 2);
    twin_release(&twin);
    ebb_pool_destroy(pool);
}

#define LARGE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LARGE_TEST(growing_relocates_whole_arenas_and_copies_the_rest),
        LARGE_TEST(what_is_resident_is_told_right),
        LARGE_TEST(a_place_that_was_left_can_be_used_again),
        LARGE_TEST(afterwards_everything_goes_back),
        LARGE_TEST(what_cannot_be_relocated_is_copied),
        LARGE_TEST(what_is_relocated_counts_once_under_a_limit),
        LARGE_TEST(what_cannot_be_relocated_counts_twice),
        LARGE_TEST(mappings_are_bounded),
        LARGE_TEST(growing_and_shrinking_at_random_keeps_the_bytes),
        cmocka_unit_test(the_system_relocates_and_keeps_few_mappings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
