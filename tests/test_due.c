/* SPDX-License-Identifier: MIT */
/* test_due.c: the pairing heap of due times against an array that is searched from end to end. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <pthread.h>
#include <cmocka.h>

#include "../alloc/internal.h"
#include "support/fake_os.h"
#include "support/rng.h"

#define SPANS 500u
#define CHAIN 10000u

struct bench { /* a heap with spans that hold one object each */
    struct fake_os fake;
    struct ebb_pool *pool;
    struct ebb_heap *heap;
    ebb_ref refs[SPANS];
    span_id spans[SPANS];
    uint64_t due[SPANS];
};

static int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    fake_os_init(&bench->fake);
    struct ebb_pool_config config = {.os = &bench->fake.os, .reserve_bytes = FAKE_RESERVE_BYTES};
    struct ebb_owner owner = {0};
    assert_int_equal(ebb_pool_create(&bench->pool, &config), 0);
    assert_int_equal(ebb_heap_create(&bench->heap, bench->pool, &owner), 0);
    for (unsigned s = 0; s < SPANS; s++) {
        bench->refs[s] = ebb_alloc(bench->heap, EBB_LARGE_BYTES + 1);
        bench->spans[s] = pool_find(bench->pool, bench->refs[s]);
        bench->due[s] = UINT64_MAX;
    }
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;
    ebb_heap_destroy(bench->heap);
    ebb_pool_destroy(bench->pool);
    assert_true(fake_os_is_clean(&bench->fake));
    free(bench);
    return 0;
}

static uint64_t least_due(const struct bench *bench)
{
    uint64_t least = UINT64_MAX;
    for (unsigned s = 0; s < SPANS; s++)
        least = bench->due[s] < least ? bench->due[s] : least;
    return least;
}

static void set_due(struct bench *bench, unsigned s, uint64_t due)
{
    due_set(bench->heap, bench->spans[s], due);
    bench->due[s] = due;
}

static void due_next_is_the_least_of_all(void **state)
{
    struct bench *bench = *state;
    struct rng rng = rng_start("due");
    for (unsigned round = 0; round < SCALED(200000); round++) {
        unsigned s = (unsigned)rng_below(&rng, SPANS);
        uint64_t due = rng_once_in(&rng, 5) ? UINT64_MAX : rng_between(&rng, 1, 1000);
        set_due(bench, s, due);
        if (round % 7 == 0)
            assert_true(ebb_due_next(bench->heap) == least_due(bench));
        if (round % 5000 == 0)
            assert_int_equal(ebb_heap_check(bench->heap), 0);
    }
    assert_int_equal(ebb_heap_check(bench->heap), 0);
}

static void due_heap_drains_in_order(void **state)
{
    struct bench *bench = *state;
    struct rng rng = rng_start("due");
    for (unsigned s = 0; s < SPANS; s++)
        set_due(bench, s, rng_between(&rng, 1, 100000));
    uint64_t last = 0;
    for (unsigned n = 0; n < SPANS; n++) {
        uint64_t due = ebb_due_next(bench->heap);
        assert_true(due >= last && due != UINT64_MAX);
        last = due;
        unsigned s = 0;
        while (bench->spans[s] != bench->heap->due_root)
            s++;
        assert_true(bench->due[s] == due);
        set_due(bench, s, UINT64_MAX);
    }
    assert_true(ebb_due_next(bench->heap) == UINT64_MAX);
    assert_int_equal(bench->heap->due_root, 0);
}

/* The two shapes that degenerate: each new one the least (a chain), each new one the greatest (a
 * fan). */
static void due_heap_survives_sorted_input(void **state)
{
    struct bench *bench = *state;
    for (unsigned s = 0; s < SPANS; s++)
        set_due(bench, s, SPANS - s);
    assert_int_equal(ebb_heap_check(bench->heap), 0);
    for (unsigned s = 0; s < SPANS; s++) {
        assert_true(ebb_due_next(bench->heap) == 1);
        set_due(bench, SPANS - 1, 1); /* no change is no change */
        set_due(bench, s, SPANS + s);
        if (s + 1 < SPANS)
            assert_true(ebb_due_next(bench->heap) == least_due(bench));
        else
            break;
    }
    assert_int_equal(ebb_heap_check(bench->heap), 0);
}

static void *check_heap(void *heap)
{
    return ebb_heap_check(heap) == 0 ? NULL : heap;
}

/* A chain of thousands: walking it must not need a stack as deep. */
static void due_check_needs_no_deep_stack(void **state)
{
    struct bench *bench = *state;
    pthread_attr_t attributes;
    pthread_t thread;
    void *wrong;
    for (uint64_t n = 0; n < CHAIN; n++)
        ebb_due_note(bench->heap, ebb_alloc(bench->heap, EBB_LARGE_BYTES + 1), 2 * CHAIN - n);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 128 * 1024);
    assert_int_equal(pthread_create(&thread, &attributes, check_heap, bench->heap), 0);
    assert_int_equal(pthread_join(thread, &wrong), 0);
    assert_null(wrong);
    pthread_attr_destroy(&attributes);
}

static void due_note_only_moves_a_span_forward(void **state)
{
    struct bench *bench = *state;
    ebb_due_note(bench->heap, bench->refs[3], 50);
    ebb_due_note(bench->heap, bench->refs[3], 70);
    assert_true(ebb_due_next(bench->heap) == 50);
    ebb_due_note(bench->heap, bench->refs[3], 20);
    assert_true(ebb_due_next(bench->heap) == 20);
}

static void due_of_a_freed_span_is_gone(void **state)
{
    struct bench *bench = *state;
    for (unsigned s = 0; s < SPANS; s++)
        set_due(bench, s, 10 + s);
    for (unsigned s = 0; s < SPANS; s += 2) {
        ebb_free(bench->heap, bench->refs[s]);
        bench->due[s] = UINT64_MAX;
        assert_true(ebb_due_next(bench->heap) == least_due(bench));
    }
    assert_int_equal(ebb_heap_check(bench->heap), 0);
    ebb_heap_reset(bench->heap);
    assert_true(ebb_due_next(bench->heap) == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(due_next_is_the_least_of_all, setup, teardown),
        cmocka_unit_test_setup_teardown(due_heap_drains_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(due_heap_survives_sorted_input, setup, teardown),
        cmocka_unit_test_setup_teardown(due_check_needs_no_deep_stack, setup, teardown),
        cmocka_unit_test_setup_teardown(due_note_only_moves_a_span_forward, setup, teardown),
        cmocka_unit_test_setup_teardown(due_of_a_freed_span_is_gone, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
