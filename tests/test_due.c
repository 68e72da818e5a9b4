/* SPDX-License-Identifier: MIT */
/* test_due.c: the heap of due times against an array that is searched from end to end. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../alloc/internal.h"
#include "support/fake_os.h"
#include "support/rng.h"

#define SPANS 500u
#define ROWS  9u /* of a full tree of so many */

/* One way between root and leaf, what hangs beside it, and where the last one was taken away. */
#define TOUCHED_MAX (3 * ROWS)

enum order { ASCENDING, DESCENDING, EQUAL, RANDOM, ORDERS };

struct links {
    span_id parent, child[2];
};

struct bench { /* a heap with spans that hold one object each */
    struct fake_os fake;
    struct ebb_pool *pool;
    struct ebb_heap *heap;
    ebb_ref refs[SPANS];
    span_id spans[SPANS];
    uint64_t due[SPANS];
    struct links links[SPANS]; /* when touched() was last asked */
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

static uint64_t due_in(enum order order, unsigned s, struct rng *rng)
{
    switch (order) {
    case ASCENDING: /* one constant time to live */
        return SPANS + s;
    case DESCENDING:
        return 2 * SPANS - s;
    case EQUAL:
        return SPANS;
    default:
        return rng_between(rng, SPANS, 2 * SPANS);
    }
}

static unsigned first_of_all(const struct bench *bench)
{
    unsigned s = 0;
    while (bench->spans[s] != bench->heap->due_root)
        s++;
    assert_true(bench->due[s] == least_due(bench));
    return s;
}

/* How many spans have other links than the last time. */
static unsigned touched(struct bench *bench)
{
    unsigned count = 0;
    for (unsigned s = 0; s < SPANS; s++) {
        const struct span *span = pool_span(bench->pool, bench->spans[s]);
        struct links now = {span->due_parent, {span->due_child[0], span->due_child[1]}};
        count += memcmp(&now, &bench->links[s], sizeof now) != 0;
        bench->links[s] = now;
    }
    return count;
}

static void set_due_cheaply(struct bench *bench, unsigned s, uint64_t due)
{
    set_due(bench, s, due);
    assert_in_range(touched(bench), 0, TOUCHED_MAX);
    assert_true(ebb_due_next(bench->heap) == least_due(bench));
    if (s % 50 == 0)
        assert_int_equal(ebb_heap_check(bench->heap), 0);
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
    for (enum order order = 0; order < ORDERS; order++) {
        for (unsigned s = 0; s < SPANS; s++)
            set_due(bench, s, due_in(order, s, &rng));
        uint64_t last = 0;
        for (unsigned n = 0; n < SPANS; n++) {
            uint64_t due = ebb_due_next(bench->heap);
            assert_true(due >= last && due != UINT64_MAX);
            last = due;
            set_due(bench, first_of_all(bench), UINT64_MAX);
        }
        assert_true(ebb_due_next(bench->heap) == UINT64_MAX);
        assert_int_equal(bench->heap->due_root, 0);
        assert_int_equal(bench->heap->due_count, 0);
    }
}

/* Not even the first one that goes after all have come in order. */
static void no_change_touches_more_than_a_few_spans_a_row(void **state)
{
    struct bench *bench = *state;
    struct rng rng = rng_start("touch");
    for (enum order order = 0; order < ORDERS; order++) {
        for (unsigned s = 0; s < SPANS; s++)
            set_due_cheaply(bench, s, due_in(order, s, &rng));
        for (unsigned n = 0; n < SPANS; n++) /* visits put them off */
            set_due_cheaply(bench, first_of_all(bench), due_in(order, n, &rng) + SPANS);
        for (unsigned s = 0; s < SPANS; s++) /* something shorter comes in */
            set_due_cheaply(bench, s, rng_between(&rng, 1, bench->due[s]));
        for (unsigned n = 0; n < SPANS / 2; n++)
            set_due_cheaply(bench, first_of_all(bench), UINT64_MAX);
        for (unsigned s = 0; s < SPANS; s++)
            set_due_cheaply(bench, s, UINT64_MAX);
        assert_int_equal(bench->heap->due_root, 0);
    }
}

static void no_change_is_no_change(void **state)
{
    struct bench *bench = *state;
    for (unsigned s = 0; s < SPANS; s++)
        set_due(bench, s, 1 + s);
    touched(bench);
    for (unsigned s = 0; s < SPANS; s++)
        set_due(bench, s, 1 + s);
    assert_int_equal(touched(bench), 0);
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
        cmocka_unit_test_setup_teardown(no_change_touches_more_than_a_few_spans_a_row, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(no_change_is_no_change, setup, teardown),
        cmocka_unit_test_setup_teardown(due_note_only_moves_a_span_forward, setup, teardown),
        cmocka_unit_test_setup_teardown(due_of_a_freed_span_is_gone, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
