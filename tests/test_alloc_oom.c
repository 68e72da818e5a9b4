/* SPDX-License-Identifier: MIT */
/* test_alloc_oom.c: the system refuses its n-th call, for n = 1, 2, 3 ... until a scenario goes
 * through without having noticed. After each refusal nothing old has changed, the validators hold,
 * and what was refused can be had once the system gives again. Then the same where everything from
 * the n-th call on is refused.
 *
 * Refusals that are nobody's error: a trim that wins nothing, a compaction that stops, a shuffle
 * that leaves something where it was.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "support/fake_os.h"
#include "support/rng.h"
#include "support/twin.h"

#define OLD     400u /* objects that are there before: they must not change */
#define OBJECTS 3000u
#define MIB     (UINT64_C(1) << 20)
#define CALLS   2000u /* no scenario makes more */
#ifdef EBB_HARD
#define STEPS 1u
#else
#define STEPS 4u
#endif

struct bench {
    struct fake_os fake;
    struct ebb_pool *pool;
    struct twin twin;
    struct rng rng;
};

static void open_bench(struct bench *bench)
{
    fake_os_init(&bench->fake);
    bench->rng = rng_seeded(7);
    struct ebb_pool_config config = {.os = &bench->fake.os, .reserve_bytes = FAKE_RESERVE_BYTES};
    assert_int_equal(ebb_pool_create(&bench->pool, &config), 0);
    twin_init(&bench->twin, bench->pool, OBJECTS);
    for (size_t n = 0; n < OLD; n++)
        assert_true(
            twin_alloc(&bench->twin, n, rng_between(&bench->rng, 1, n % 50 == 0 ? 200000 : 2000)));
}

static void close_bench(struct bench *bench)
{
    twin_verify_all(&bench->twin);
    twin_check(&bench->twin);
    twin_release(&bench->twin);
    ebb_pool_destroy(bench->pool);
    assert_true(fake_os_is_clean(&bench->fake));
}

/* What must hold whatever was refused. */
static void look(const struct bench *bench)
{
    twin_check(&bench->twin);
    for (size_t n = 0; n < OLD; n++)
        twin_verify(&bench->twin, n);
}

/* ---- scenarios: each does what it can and leaves the rest ---- */

static void many_small_objects(struct bench *bench)
{
    for (size_t n = OLD; n < OBJECTS; n++)
        if (!twin_has(&bench->twin, n))
            twin_alloc(&bench->twin, n, rng_between(&bench->rng, 8000, 24000));
}

static void large_objects(struct bench *bench)
{
    for (size_t n = OLD; n < OLD + 10; n++)
        if (!twin_has(&bench->twin, n))
            twin_alloc_virgin(&bench->twin, n, (n - OLD + 1) * MIB);
}

static void one_object_that_grows(struct bench *bench)
{
    if (!twin_has(&bench->twin, OLD) && !twin_alloc_virgin(&bench->twin, OLD, 100))
        return;
    for (size_t bytes = 100; bytes < 40 * MIB; bytes = bytes * 3 / 2)
        if (twin_resize(&bench->twin, OLD, bytes) == EBB_ALLOC_ENOMEM)
            look(bench);
    if (twin_has(&bench->twin, OLD + 1))
        return;
    twin_alloc_virgin(&bench->twin, OLD + 1, 10); /* a wall behind it: now growing is moving */
    twin_resize(&bench->twin, OLD, 50 * MIB);
}

static void filling_and_emptying(struct bench *bench)
{
    for (unsigned round = 0; round < 3; round++) {
        for (size_t n = OLD; n < OLD + 8; n++)
            if (!twin_has(&bench->twin, n))
                twin_alloc_virgin(&bench->twin, n, 2 * MIB + n);
        for (size_t n = OLD; n < OLD + 8; n++)
            if (twin_has(&bench->twin, n))
                twin_free(&bench->twin, n);
        ebb_pool_trim(bench->pool, SIZE_MAX, true);
        ebb_pool_trim(bench->pool, SIZE_MAX, true);
    }
}

static void compaction_and_trim(struct bench *bench)
{
    for (size_t n = OLD; n < OBJECTS; n++)
        if (!twin_has(&bench->twin, n))
            twin_alloc(&bench->twin, n, 500 + n % 7 * 100);
    for (size_t n = OLD; n < OBJECTS; n++)
        if (n % 3 != 0 && twin_has(&bench->twin, n))
            twin_free(&bench->twin, n);
    assert_true(twin_compact(&bench->twin, EBB_URGE_MANUAL, 1000, 10000) < 10000);
    while (ebb_pool_trim(bench->pool, 256 * 1024, true) == 256 * 1024)
        look(bench);
}

static void a_shuffle_of_everything(struct bench *bench)
{
    for (size_t n = OLD; n < OLD + 12; n++)
        if (!twin_has(&bench->twin, n))
            twin_alloc_virgin(&bench->twin, n, 4 * MIB);
    ebb_heap_shuffle(bench->twin.heap); /* needs about twice the memory */
    look(bench);
    ebb_heap_shuffle(bench->twin.heap);
}

static void a_reset_and_a_new_start(struct bench *bench)
{
    large_objects(bench);
    twin_reset(&bench->twin);
    ebb_pool_trim(bench->pool, SIZE_MAX, true);
    large_objects(bench);
}

/* ---- each call once ---- */

/* Runs the scenario with `count` refusals from the n-th call on. False when there was no n-th. */
static bool survives(void (*scenario)(struct bench *bench), size_t nth, size_t count)
{
    struct bench *bench = calloc(1, sizeof *bench);
    open_bench(bench);
    fake_os_fail(&bench->fake, FAKE_ANY, nth, count);
    scenario(bench);
    look(bench);
    bool was_refused = bench->fake.failed > 0;
    fake_os_fail_never(&bench->fake);
    scenario(bench); /* now everything can be had */
    look(bench);
    for (size_t n = OLD; n < OBJECTS; n++)
        if (twin_has(&bench->twin, n))
            twin_free(&bench->twin, n);
    heap_release_empty(bench->twin.heap);
    ebb_pool_trim(bench->pool, SIZE_MAX, true);
    struct ebb_pool_stats stats;
    ebb_pool_stats(bench->pool, &stats);
    assert_int_equal(stats.idle_bytes, 0);
    close_bench(bench);
    free(bench);
    return was_refused;
}

static void refuse_each_call_of(void (*scenario)(struct bench *bench))
{
    static const size_t counts[] = {1, 3, SIZE_MAX / 2};
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        size_t nth = 1;
        /* Each of the first calls, then ever fewer. */
        while (nth < CALLS && survives(scenario, nth, counts[c]))
            nth += 1 + nth / STEPS;
        assert_in_range(nth, 2, CALLS - 1); /* it was refused, and in the end it was not */
    }
}

#define OOM_TEST(scenario)                                                                         \
    static void scenario##_survives_refusals(void **state)                                         \
    {                                                                                              \
        (void)state;                                                                               \
        refuse_each_call_of(scenario);                                                             \
    }

OOM_TEST(many_small_objects)
OOM_TEST(large_objects)
OOM_TEST(one_object_that_grows)
OOM_TEST(filling_and_emptying)
OOM_TEST(compaction_and_trim)
OOM_TEST(a_shuffle_of_everything)
OOM_TEST(a_reset_and_a_new_start)

/* Refused spans are counted, once for each object that could not be had. */
static void refusals_are_counted(void **state)
{
    (void)state;
    struct bench *bench = calloc(1, sizeof *bench);
    open_bench(bench);
    fake_os_fail(&bench->fake, FAKE_COMMIT, 1, SIZE_MAX / 2);
    size_t refused = 0, n = OLD;
    while (refused < 5)
        if (twin_alloc_virgin(&bench->twin, n, 9 * MIB))
            n++;
        else
            refused++;
    struct ebb_heap_stats heap;
    struct ebb_pool_stats pool;
    ebb_heap_stats(bench->twin.heap, &heap);
    ebb_pool_stats(bench->pool, &pool);
    assert_int_equal(heap.failures, refused);
    assert_int_equal(pool.commit_errors, refused);
    /* What still fits is still given. */
    assert_true(twin_alloc(&bench->twin, n, 100));
    close_bench(bench);
    free(bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_small_objects_survives_refusals),
        cmocka_unit_test(large_objects_survives_refusals),
        cmocka_unit_test(one_object_that_grows_survives_refusals),
        cmocka_unit_test(filling_and_emptying_survives_refusals),
        cmocka_unit_test(compaction_and_trim_survives_refusals),
        cmocka_unit_test(a_shuffle_of_everything_survives_refusals),
        cmocka_unit_test(a_reset_and_a_new_start_survives_refusals),
        cmocka_unit_test(refusals_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
