/* SPDX-License-Identifier: MIT */
/* test_heap.c: objects of one heap: where they go, growing in place, pins, walks, due times, and
 * that a wrong ref ends the program instead of corrupting somebody's value.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "../alloc/bits.h"
#include "../alloc/internal.h"
#include "support/fake_os.h"
#include "support/rng.h"
#include "support/twin.h"

#define OBJECTS 4096u

struct bench {
    struct fake_os fake;
    struct ebb_pool *pool;
    struct twin twin;
    unsigned tampering; /* what check_what_was_tampered_with() spoils */
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
    twin_check(&bench->twin);
    twin_release(&bench->twin);
    ebb_pool_destroy(bench->pool);
    assert_true(fake_os_is_clean(&bench->fake));
    free(bench);
    return 0;
}

static span_id span_of(const struct bench *bench, size_t n)
{
    return pool_find(bench->pool, bench->twin.objects[n].ref);
}

/* Allocates objects of that size from number `from` on until `spans` spans are full; returns the
 * number behind the last. */
static size_t fill_spans(struct bench *bench, size_t from, size_t bytes, unsigned spans)
{
    unsigned class_index = class_of(bytes);
    const struct heap_class *class = &bench->twin.heap->classes[class_index];
    size_t n = from;
    do {
        assert_true(n < OBJECTS && twin_alloc(&bench->twin, n, bytes));
        n++;
    } while (class->spans < spans || class->used < class->slots);
    return n;
}

/* ---- where objects go ---- */

static void objects_are_granule_aligned_and_hold_their_size(void **state)
{
    struct bench *bench = *state;
    for (size_t n = 0; n < 600; n++) {
        size_t bytes = n < 300 ? n + 1 : n * 331;
        assert_true(twin_alloc(&bench->twin, n, bytes));
        char *data = ebb_at(ebb_pool_base(bench->pool), bench->twin.objects[n].ref);
        assert_int_equal((uintptr_t)data % EBB_GRANULE_BYTES, 0);
        assert_true(ebb_slot_bytes(bench->twin.heap, bench->twin.objects[n].ref) >= bytes);
        assert_true(bench->twin.objects[n].ref < UINT64_C(1) << EBB_REF_BITS);
    }
    twin_verify_all(&bench->twin);
}

static void new_objects_go_to_the_fullest_span(void **state)
{
    struct bench *bench = *state;
    size_t end = fill_spans(bench, 0, 1000, 3);
    size_t per_span = end / 3;
    assert_true(per_span > 2);
    /* Objects 0.. lie in the first span, and so on. Empty all but one of the first, one of the
     * third. */
    for (size_t n = 1; n < per_span; n++)
        twin_free(&bench->twin, n);
    span_id sparse = span_of(bench, 0), dense = span_of(bench, end - 1);
    assert_int_not_equal(sparse, dense);
    twin_free(&bench->twin, 2 * per_span);
    assert_true(twin_alloc(&bench->twin, 2 * per_span, 1000));
    assert_int_equal(span_of(bench, 2 * per_span), dense);
    assert_int_equal(pool_span(bench->pool, sparse)->used, 1);
}

static void an_emptied_span_goes_back_at_once(void **state)
{
    struct bench *bench = *state;
    size_t end = fill_spans(bench, 0, 3000, 4);
    size_t spans = bench->twin.heap->span_count;
    for (size_t n = 0; n < end; n++)
        twin_free(&bench->twin, n);
    assert_int_equal(spans, 4);
    assert_true(bench->twin.heap->span_count <= 1); /* the one that is current may stay */
    heap_release_empty(bench->twin.heap);
    assert_int_equal(bench->twin.heap->span_count, 0);
    struct ebb_pool_stats stats;
    ebb_pool_stats(bench->pool, &stats);
    assert_int_equal(stats.span_bytes, 0);
}

static void a_rare_class_takes_short_spans(void **state)
{
    struct bench *bench = *state;
    const struct class_table *table = &bench->pool->classes;
    for (size_t n = 0; n < EBB_CLASS_COUNT; n++)
        assert_true(twin_alloc(&bench->twin, n, class_bytes((unsigned)n)));
    for (size_t n = 0; n < EBB_CLASS_COUNT; n++)
        assert_int_equal(pool_span(bench->pool, span_of(bench, n))->pages, table->rung_pages[n][0]);
#ifndef EBB_HARD
    size_t n = EBB_CLASS_COUNT;
    while (n < OBJECTS)
        assert_true(twin_alloc(&bench->twin, n++, 4000));
    /* 14 MiB of it take long ones: 1/32 of what there is. */
    assert_true(pool_span(bench->pool, span_of(bench, n - 1))->pages >= 16);
#endif
}

static void resident_is_what_has_been_written(void **state)
{
    struct bench *bench = *state;
    struct rng rng = rng_start("heap");
    for (size_t n = 0; n < OBJECTS; n++) { /* whole slots, so that each touched page is written */
        size_t bytes = ebb_round_bytes(rng_between(&rng, 1, rng_once_in(&rng, 20) ? 100000 : 3000));
        assert_true(twin_alloc(&bench->twin, n, bytes));
    }
    for (unsigned round = 0; round < 3 * OBJECTS; round++) {
        size_t n = rng_below(&rng, OBJECTS);
        if (twin_has(&bench->twin, n))
            twin_free(&bench->twin, n);
        else if (rng_once_in(&rng, 3))
            twin_alloc(&bench->twin, n, ebb_round_bytes(rng_between(&rng, 1, 3000)));
        if (rng_once_in(&rng, 1000))
            ebb_pool_trim(bench->pool, rng_below(&rng, 4) << 20, true);
        if (round % 1000 != 0)
            continue;
        struct ebb_heap_stats heap;
        struct ebb_pool_stats pool;
        ebb_heap_stats(bench->twin.heap, &heap);
        ebb_pool_stats(bench->pool, &pool);
        size_t kernel = fake_os_resident_bytes(&bench->fake, ebb_pool_base(bench->pool),
                                               (size_t)bench->pool->arena_frontier * ARENA_BYTES);
        assert_int_equal(heap.resident_bytes + pool.idle_bytes, kernel);
    }
}

/* ---- sizes that are not to be had ---- */

static void impossible_sizes_are_refused(void **state)
{
    struct bench *bench = *state;
    static const size_t sizes[] = {SIZE_MAX,       SIZE_MAX - 1,           SIZE_MAX - 4095,
                                   SIZE_MAX / 2,   FAKE_RESERVE_BYTES + 1, FAKE_RESERVE_BYTES,
                                   (size_t)1 << 44};
    assert_true(twin_alloc(&bench->twin, 0, 100));
    assert_true(twin_alloc(&bench->twin, 1, 100000));
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        assert_false(twin_alloc(&bench->twin, 2, sizes[s]));
        assert_int_equal(twin_resize(&bench->twin, 0, sizes[s]), EBB_ALLOC_ENOMEM);
        assert_int_equal(twin_resize(&bench->twin, 1, sizes[s]), EBB_ALLOC_ENOMEM);
        twin_check(&bench->twin);
    }
    twin_verify_all(&bench->twin);
}

/* ---- resize ---- */

static void resize_within_the_class_stays(void **state)
{
    struct bench *bench = *state;
    assert_true(twin_alloc(&bench->twin, 0, 1000));
    ebb_ref ref = bench->twin.objects[0].ref;
    size_t slot_bytes = ebb_slot_bytes(bench->twin.heap, ref);
    assert_int_equal(twin_resize(&bench->twin, 0, slot_bytes), 0);
    assert_int_equal(bench->twin.objects[0].ref, ref);
    assert_int_equal(twin_resize(&bench->twin, 0, slot_bytes + 1), 0);
    assert_int_not_equal(bench->twin.objects[0].ref, ref);
    assert_int_equal(bench->twin.moves, 0); /* the owner gets the new ref, no callback */
}

static void resize_of_a_large_object_grows_and_shrinks_in_place(void **state)
{
    struct bench *bench = *state;
    assert_true(twin_alloc(&bench->twin, 0, 100000));
    ebb_ref ref = bench->twin.objects[0].ref;
    for (size_t bytes = 100000; bytes < 3600000; bytes += 333333)
        assert_int_equal(twin_resize(&bench->twin, 0, bytes), 0);
    for (size_t bytes = 3600000; bytes > EBB_LARGE_BYTES; bytes /= 2)
        assert_int_equal(twin_resize(&bench->twin, 0, bytes), 0);
    assert_int_equal(bench->twin.objects[0].ref, ref);
    twin_check(&bench->twin);
    assert_int_equal(twin_resize(&bench->twin, 0, 10), 0); /* to a slot, and back */
    assert_int_equal(twin_resize(&bench->twin, 0, 200000), 0);
}

static void resize_at_random_keeps_the_common_part(void **state)
{
    struct bench *bench = *state;
    struct rng rng = rng_start("heap");
    for (unsigned round = 0; round < SCALED(20000); round++) {
        size_t n = rng_below(&rng, 50);
        size_t bytes = rng_between(&rng, 1, rng_once_in(&rng, 3) ? 400000 : 2000);
        if (!twin_has(&bench->twin, n))
            assert_true(twin_alloc(&bench->twin, n, bytes));
        else
            assert_int_equal(twin_resize(&bench->twin, n, bytes), 0);
    }
    twin_verify_all(&bench->twin);
}

/* ---- pins ---- */

static void a_pinned_object_keeps_place_and_bytes(void **state)
{
    struct bench *bench = *state;
    size_t end = fill_spans(bench, 0, 1500, 6);
    twin_pin(&bench->twin, 4);
    ebb_ref ref = bench->twin.objects[4].ref;
    for (size_t n = 0; n < end; n += 2)
        if (n != 4)
            twin_free(&bench->twin, n);
    assert_int_equal(twin_resize(&bench->twin, 4, 30000), EBB_ALLOC_EBUSY);
    twin_compact(&bench->twin, EBB_URGE_MANUAL, UINT64_MAX / 2, 10);
    ebb_heap_shuffle(bench->twin.heap);
    assert_int_equal(bench->twin.objects[4].ref, ref);
    twin_verify_all(&bench->twin);
    twin_unpin(&bench->twin, 4);
    ebb_heap_shuffle(bench->twin.heap);
    assert_int_not_equal(bench->twin.objects[4].ref, ref);
}

static void an_object_freed_while_pinned_stays_until_the_last_pin(void **state)
{
    struct bench *bench = *state;
    assert_true(twin_alloc(&bench->twin, 0, 20000));
    ebb_ref ref = bench->twin.objects[0].ref;
    twin_pin(&bench->twin, 0);
    twin_pin(&bench->twin, 0);
    twin_free(&bench->twin, 0);
    for (size_t n = 1; n < 20; n++) {
        assert_true(twin_alloc(&bench->twin, n, 20000));
        assert_int_not_equal(bench->twin.objects[n].ref, ref);
    }
    twin_unpin(&bench->twin, 0); /* looks at the bytes each time */
    twin_check(&bench->twin);
    twin_unpin(&bench->twin, 0);
    assert_int_equal(bench->twin.heap->freed_objects, 0);
    assert_int_equal(bench->twin.heap->objects, 19);
}

static void an_object_freed_while_pinned_is_nobodys(void **state)
{
    struct bench *bench = *state;
    for (size_t n = 0; n < 10; n++) {
        assert_true(twin_alloc(&bench->twin, n, 20000));
        twin_due_note(&bench->twin, n, 100);
    }
    for (size_t n = 0; n < 10; n += 3)
        twin_pin(&bench->twin, n);
    twin_free(&bench->twin, 3);
    twin_free(&bench->twin, 4); /* next to a pinned one: it waits as well */
    assert_false(ebb_is_live(bench->twin.heap, bench->twin.objects[3].ref));
    twin_each(&bench->twin, 0);           /* does not meet them */
    twin_due_visit(&bench->twin, 100, 0); /* nor does this, which frees the others */
    assert_int_equal(bench->twin.live, 0);
    twin_check(&bench->twin);
    for (size_t n = 0; n < 10; n += 3)
        twin_unpin(&bench->twin, n);
    assert_int_equal(bench->twin.heap->objects, 0);
}

static void pins_at_random_never_lose_bytes(void **state)
{
    struct bench *bench = *state;
    struct rng rng = rng_start("heap");
    for (unsigned round = 0; round < SCALED(60000); round++) {
        size_t n = rng_below(&rng, 200);
        const struct twin_object *object = &bench->twin.objects[n];
        if (object->ref == 0)
            assert_true(twin_alloc(&bench->twin, n, rng_between(&rng, 1, 30000)));
        else if (object->pins > 0 && rng_once_in(&rng, 2))
            twin_unpin(&bench->twin, n);
        else if (!object->is_freed && rng_once_in(&rng, 3))
            twin_pin(&bench->twin, n);
        else if (!object->is_freed)
            twin_free(&bench->twin, n);
        if (rng_once_in(&rng, 50))
            twin_compact(&bench->twin, EBB_URGE_MANUAL, 1000, 1);
        if (round % 1000 == 0)
            twin_check(&bench->twin);
    }
    for (size_t n = 0; n < 200; n++)
        while (bench->twin.objects[n].pins > 0)
            twin_unpin(&bench->twin, n);
    assert_int_equal(bench->twin.heap->freed_objects, 0);
    twin_verify_all(&bench->twin);
}

static void a_reset_leaves_what_is_pinned_to_its_last_pin(void **state)
{
    struct bench *bench = *state;
    for (size_t n = 0; n < 60; n++) {
        assert_true(twin_alloc(&bench->twin, n, n % 3 == 0 ? 100000 : 20000));
        twin_due_note(&bench->twin, n, 100 + n);
    }
    twin_pin(&bench->twin, 0); /* a large one */
    twin_pin(&bench->twin, 1);
    twin_pin(&bench->twin, 1);
    twin_free(&bench->twin, 1);
    twin_reset(&bench->twin);
    twin_check(&bench->twin);
    assert_int_equal(ebb_due_next(bench->twin.heap), UINT64_MAX);
    twin_each(&bench->twin, 0);
    for (size_t n = 2; n < 60; n++) /* in free slots next to them, too */
        assert_true(twin_alloc(&bench->twin, n, n % 3 == 0 ? 100000 : 20000));
    ebb_heap_shuffle(bench->twin.heap);
    twin_verify_all(&bench->twin);
    twin_unpin(&bench->twin, 1); /* looks at the bytes each time */
    twin_unpin(&bench->twin, 0);
    twin_unpin(&bench->twin, 1);
    twin_check(&bench->twin);
    assert_int_equal(bench->twin.heap->objects, 58);
    twin_reset(&bench->twin);
    assert_int_equal(bench->twin.heap->span_count, 0);
}

/* Ten thousand clients, each reading one value in a pipeline of ten. */
static void one_object_takes_a_hundred_thousand_pins(void **state)
{
    struct bench *bench = *state;
    assert_true(twin_alloc(&bench->twin, 0, 20000));
    for (unsigned pin = 0; pin < 100000; pin++)
        ebb_pin(bench->twin.heap, bench->twin.objects[0].ref);
    assert_true(ebb_is_pinned(bench->twin.heap, bench->twin.objects[0].ref));
    for (unsigned pin = 0; pin < 100000; pin++)
        ebb_unpin(bench->twin.heap, bench->twin.objects[0].ref);
    assert_false(ebb_is_pinned(bench->twin.heap, bench->twin.objects[0].ref));
}

/* ---- walks ---- */

static void each_meets_every_object_once(void **state)
{
    struct bench *bench = *state;
    struct rng rng = rng_start("heap");
    for (size_t n = 0; n < OBJECTS; n++)
        assert_true(twin_alloc(&bench->twin, n, rng_between(&rng, 1, 3000)));
    twin_each(&bench->twin, 0);
    twin_each(&bench->twin, 3); /* frees each third on its way */
    twin_check(&bench->twin);
    twin_each(&bench->twin, 1);
    assert_int_equal(bench->twin.live, 0);
    heap_release_empty(bench->twin.heap);
    assert_int_equal(bench->twin.heap->span_count, 0);
}

struct walk {
    struct ebb_heap *heap;
    size_t visits, most;
};

static bool free_some(void *context, ebb_ref ref, void *data)
{
    struct walk *walk = context;
    (void)data;
    ebb_free(walk->heap, ref);
    return ++walk->visits < walk->most;
}

static void ignore_move(void *context, ebb_ref from, ebb_ref to, void *data)
{
    (void)context, (void)from, (void)to, (void)data;
}

static void each_ends_when_it_is_told(void **state)
{
    struct bench *bench = *state;
    struct walk walk = {.most = 3};
    struct ebb_heap_stats stats;
    struct ebb_owner owner = {.moved = ignore_move};
    assert_int_equal(ebb_heap_create(&walk.heap, bench->pool, &owner), 0);
    for (size_t n = 0; n < 10; n++) /* each has a span of its own, which goes with it */
        assert_int_not_equal(ebb_alloc(walk.heap, EBB_LARGE_BYTES + 1), 0);
    ebb_heap_each(walk.heap, free_some, &walk);
    assert_int_equal(walk.visits, 3);
    ebb_heap_stats(walk.heap, &stats);
    assert_int_equal(stats.objects, 7);
    assert_int_equal(walk.heap->span_count, 7);
    assert_int_equal(ebb_heap_check(walk.heap), 0);
    ebb_heap_destroy(walk.heap);
}

static void due_visits_meet_all_that_is_due_and_move_on(void **state)
{
    struct bench *bench = *state;
    struct rng rng = rng_start("heap");
    for (size_t n = 0; n < 2000; n++) {
        assert_true(twin_alloc(&bench->twin, n, rng_between(&rng, 1, 3000)));
        if (!rng_once_in(&rng, 3))
            twin_due_note(&bench->twin, n, rng_between(&rng, 1, 1000));
    }
    for (uint64_t now = 1; now <= 1000; now += rng_between(&rng, 1, 50)) {
        twin_due_visit(&bench->twin, now, rng_once_in(&rng, 3) ? 77 : 0);
        if (rng_once_in(&rng, 4))
            ebb_heap_shuffle(bench->twin.heap); /* a move keeps the note */
        twin_check(&bench->twin);
    }
    twin_due_visit(&bench->twin, 5000, 0);
    assert_true(ebb_due_next(bench->twin.heap) == UINT64_MAX);
    twin_verify_all(&bench->twin);
}

static uint64_t is_due_again(void *context, ebb_ref ref, void *data)
{
    (void)ref;
    (void)data;
    return *(uint64_t *)context;
}

static void a_due_visit_puts_off_what_comes_too_soon(void **state)
{
    struct bench *bench = *state;
    struct ebb_heap *heap = bench->twin.heap;
    uint64_t again = 120;
    assert_true(twin_alloc(&bench->twin, 0, 100));
    ebb_due_note(heap, bench->twin.objects[0].ref, 90);
    assert_int_equal(ebb_due_visit(heap, 89, 89, is_due_again, &again), 0);
    assert_int_equal(ebb_due_visit(heap, 100, 150, is_due_again, &again), 1);
    assert_true(ebb_due_next(heap) == 150); /* not before that */
    again = 300;
    assert_int_equal(ebb_due_visit(heap, 150, 200, is_due_again, &again), 1);
    assert_true(ebb_due_next(heap) == 300);
    again = 0;
    assert_int_equal(ebb_due_visit(heap, 300, 400, is_due_again, &again), 1);
    assert_true(ebb_due_next(heap) == UINT64_MAX); /* nothing to put off */
}

static void a_due_note_survives_moves_and_resizes(void **state)
{
    struct bench *bench = *state;
    assert_true(twin_alloc(&bench->twin, 0, 100));
    assert_true(twin_alloc(&bench->twin, 1, 200000));
    twin_due_note(&bench->twin, 0, 40);
    twin_due_note(&bench->twin, 1, 30);
    ebb_heap_shuffle(bench->twin.heap);
    assert_true(ebb_due_next(bench->twin.heap) == 30);
    assert_int_equal(twin_resize(&bench->twin, 1, 50), 0);
    assert_true(ebb_due_next(bench->twin.heap) == 30);
    twin_free(&bench->twin, 1);
    twin_due_visit(&bench->twin, 39, 0);
    assert_int_equal(bench->twin.live, 1);
    twin_due_visit(&bench->twin, 40, 0);
    assert_int_equal(bench->twin.live, 0);
}

static void reset_frees_everything_and_starts_anew(void **state)
{
    struct bench *bench = *state;
    struct rng rng = rng_start("heap");
    for (unsigned round = 0; round < 4; round++) {
        for (size_t n = 0; n < 1000; n++) {
            assert_true(twin_alloc(&bench->twin, n, rng_between(&rng, 1, 100000)));
            twin_due_note(&bench->twin, n, 1 + n);
        }
        for (size_t n = 0; n < 1000; n += 2)
            twin_free(&bench->twin, n);
        twin_compact(&bench->twin, EBB_URGE_PRESSURE, 1, 3); /* leaves a victim half evacuated */
        twin_reset(&bench->twin);
        twin_check(&bench->twin);
        assert_int_equal(bench->twin.heap->span_count, 0);
        assert_int_equal(bench->twin.heap->resident_pages, 0);
        struct ebb_pool_stats stats;
        ebb_pool_stats(bench->pool, &stats);
        assert_int_equal(stats.span_bytes, 0);
    }
}

/* ---- statistics ---- */

static void class_statistics_add_up(void **state)
{
    struct bench *bench = *state;
    struct rng rng = rng_start("heap");
    for (size_t n = 0; n < OBJECTS; n++)
        assert_true(
            twin_alloc(&bench->twin, n, rng_between(&rng, 1, rng_once_in(&rng, 9) ? 90000 : 900)));
    for (size_t n = 0; n < OBJECTS; n++)
        if (rng_once_in(&rng, 2))
            twin_free(&bench->twin, n);
    struct ebb_heap_stats heap;
    ebb_heap_stats(bench->twin.heap, &heap);
    size_t used = 0, spans = 0, allocations = 0, frees = 0;
    for (unsigned c = 0; c <= EBB_CLASS_COUNT; c++) {
        struct ebb_class_stats class;
        ebb_class_stats(bench->twin.heap, c, &class);
        size_t here = class.spans_full + class.spans_partial + class.spans_empty, by_decile = 0;
        size_t deciles[10];
        ebb_class_deciles(bench->twin.heap, c, deciles);
        for (unsigned d = 0; d < 10; d++)
            by_decile += deciles[d];
        size_t full = 0, empty = 0;
        for (span_id id = bench->twin.heap->all; id != 0;
             id = pool_span(bench->pool, id)->all_next) {
            const struct span *span = pool_span(bench->pool, id);
            full += span->class_index == c && span->used == span->slots;
            empty += span->class_index == c && span->used == 0;
        }
        assert_int_equal(class.spans_full, full);
        assert_int_equal(class.spans_empty, empty);
        assert_int_equal(by_decile, here);
        assert_int_equal(class.allocations - class.frees, class.slots_used);
        assert_int_equal(class.slot_bytes, c < EBB_CLASS_COUNT ? class_bytes(c) : 0);
        used += class.slots_used;
        spans += here;
        allocations += class.allocations;
        frees += class.frees;
    }
    assert_int_equal(used, bench->twin.live);
    assert_int_equal(spans, heap.span_count);
    assert_int_equal(allocations, heap.allocations);
    assert_int_equal(frees, heap.frees);
    assert_int_equal(heap.resident_bytes - heap.slot_bytes, heap.free_slot_bytes);
}

static void errors_have_texts(void **state)
{
    (void)state;
    for (int a = EBB_ALLOC_EPAGES; a <= 0; a++) {
        assert_string_not_equal(ebb_alloc_error_text(a), ebb_alloc_error_text(1));
        for (int b = EBB_ALLOC_EPAGES; b < a; b++)
            assert_string_not_equal(ebb_alloc_error_text(a), ebb_alloc_error_text(b));
    }
}

/* ---- wrong refs ---- */

/* Runs act() in a child and tells whether an assertion ended it. */
static bool aborts(struct bench *bench, void (*act)(struct bench *bench))
{
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        assert_non_null(freopen("/dev/null", "w", stderr));
        act(bench);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static ebb_ref ref_of(const struct bench *bench, size_t n)
{
    return bench->twin.objects[n].ref;
}

static void free_nothing(struct bench *bench)
{
    ebb_free(bench->twin.heap, 0);
}

static void free_twice(struct bench *bench)
{
    ebb_free(bench->twin.heap, ref_of(bench, 0));
    ebb_free(bench->twin.heap, ref_of(bench, 0));
}

static void free_twice_and_span_is_gone(struct bench *bench)
{
    ebb_free(bench->twin.heap, ref_of(bench, 2));
    ebb_free(bench->twin.heap, ref_of(bench, 2));
}

static void free_twice_while_pinned(struct bench *bench)
{
    ebb_pin(bench->twin.heap, ref_of(bench, 0));
    ebb_free(bench->twin.heap, ref_of(bench, 0));
    ebb_free(bench->twin.heap, ref_of(bench, 0));
}

static void free_between_slots(struct bench *bench)
{
    ebb_free(bench->twin.heap, ref_of(bench, 0) + 1);
}

static void free_inside_a_large_object(struct bench *bench)
{
    ebb_free(bench->twin.heap, ref_of(bench, 2) + 2 * PAGE_GRANULES);
}

static void free_off_the_start_of_a_large_object(struct bench *bench)
{
    ebb_free(bench->twin.heap, ref_of(bench, 2) + 1);
}

static void free_behind_the_last_slot(struct bench *bench)
{
    const struct span *span = pool_span(bench->pool, span_of(bench, 0));
    ebb_free(bench->twin.heap, span_ref(bench->pool, span, span->slots));
}

static void free_beyond_the_frontier(struct bench *bench)
{
    ebb_free(bench->twin.heap, FAKE_RESERVE_BYTES / EBB_GRANULE_BYTES - 7);
}

static void free_beyond_the_range(struct bench *bench)
{
    ebb_free(bench->twin.heap, UINT64_MAX);
}

static void free_of_another_heap(struct bench *bench)
{
    struct ebb_heap *other;
    struct ebb_owner owner = {0};
    ebb_heap_create(&other, bench->pool, &owner);
    ebb_free(other, ref_of(bench, 0));
}

static void pin_what_is_free(struct bench *bench)
{
    ebb_free(bench->twin.heap, ref_of(bench, 1));
    ebb_pin(bench->twin.heap, ref_of(bench, 1));
}

static void unpin_what_is_not_pinned(struct bench *bench)
{
    ebb_unpin(bench->twin.heap, ref_of(bench, 0));
}

static void resize_what_is_free(struct bench *bench)
{
    ebb_ref ref = ref_of(bench, 1);
    ebb_free(bench->twin.heap, ref);
    ebb_resize(bench->twin.heap, &ref, 5000);
}

static void allocate_nothing(struct bench *bench)
{
    ebb_alloc(bench->twin.heap, 0);
}

static void resize_to_nothing(struct bench *bench)
{
    ebb_ref ref = ref_of(bench, 2);
    ebb_resize(bench->twin.heap, &ref, 0);
}

static void destroy_while_pinned(struct bench *bench)
{
    ebb_pin(bench->twin.heap, ref_of(bench, 0));
    ebb_heap_destroy(bench->twin.heap);
}

static void free_twice_across_a_reset(struct bench *bench)
{
    ebb_pin(bench->twin.heap, ref_of(bench, 0));
    ebb_heap_reset(bench->twin.heap);
    ebb_free(bench->twin.heap, ref_of(bench, 0));
}

static void destroy_a_pool_in_use(struct bench *bench)
{
    ebb_pool_destroy(bench->pool);
}

static void nothing_wrong(struct bench *bench)
{
    ebb_free(bench->twin.heap, ref_of(bench, 0));
    ebb_free(bench->twin.heap, ref_of(bench, 2));
}

static void wrong_refs_abort(void **state)
{
    struct bench *bench = *state;
    assert_true(twin_alloc(&bench->twin, 0, 100));
    assert_true(twin_alloc(&bench->twin, 1, 100));
    assert_true(twin_alloc(&bench->twin, 2, 100000));
    assert_false(aborts(bench, nothing_wrong));
    assert_true(aborts(bench, free_nothing));
    assert_true(aborts(bench, free_twice));
    assert_true(aborts(bench, free_twice_and_span_is_gone));
    assert_true(aborts(bench, free_twice_while_pinned));
    assert_true(aborts(bench, free_between_slots));
    assert_true(aborts(bench, free_inside_a_large_object));
    assert_true(aborts(bench, free_off_the_start_of_a_large_object));
    assert_true(aborts(bench, free_behind_the_last_slot));
    assert_true(aborts(bench, free_beyond_the_frontier));
    assert_true(aborts(bench, free_beyond_the_range));
    assert_true(aborts(bench, free_of_another_heap));
    assert_true(aborts(bench, pin_what_is_free));
    assert_true(aborts(bench, unpin_what_is_not_pinned));
    assert_true(aborts(bench, resize_what_is_free));
    assert_true(aborts(bench, allocate_nothing));
    assert_true(aborts(bench, resize_to_nothing));
    assert_true(aborts(bench, destroy_while_pinned));
    assert_true(aborts(bench, free_twice_across_a_reset));
    assert_true(aborts(bench, destroy_a_pool_in_use));
}

/* ---- validators ---- */

#define TAMPERINGS 17u

static void check_what_was_tampered_with(struct bench *bench)
{
    struct ebb_heap *heap = bench->twin.heap;
    struct ebb_pool *pool = bench->pool;
    struct span *span = pool_span(pool, span_of(bench, 0));
    struct span *other = pool_span(pool, span_of(bench, 2));
    struct heap_class *class = &heap->classes[span->class_index];
    struct arena *arena = pool_arena(pool, 0);
    switch (bench->tampering) {
    case 0:
        heap->objects++;
        break;
    case 1:
        heap->slot_bytes += 4;
        break;
    case 2:
        heap->resident_pages = 0;
        break;
    case 3:
        heap->span_pages++;
        break;
    case 4:
        class->used--;
        break;
    case 5:
        class->current = span_of(bench, 2);
        break;
    case 6:
        bit_clear(heap->populated, span->class_index);
        break;
    case 7:
        span->heap = NULL;
        break;
    case 8: /* a child before its parent */
        span->due = 200;
        other->due = 300;
        break;
    case 9: /* noted, but not in the tree */
        pool_span(pool, span_of(bench, 3))->due = 5;
        break;
    case 10:
        span->due_parent = 0;
        break;
    case 11: /* a hole in the last row */
        other->due_child[1] = other->due_child[0];
        other->due_child[0] = 0;
        break;
    case 12: /* one below what is last */
        span->due_child[0] = span_of(bench, 3);
        break;
    case 13:
        pool->idle_pages++;
        break;
    case 14:
        arena->free_pages--;
        break;
    case 15:
        bit_set(arena->free, span->first_page);
        break;
    case 16:
        bit_clear(pool->runs[3], 0);
        break;
    default:
        break; /* nothing is wrong: the checks must say so */
    }
    TWIN_REQUIRE(ebb_heap_check(heap) == 0 && ebb_pool_check(pool) == 0);
}

static void checks_see_what_is_wrong(void **state)
{
    struct bench *bench = *state;
    assert_true(twin_alloc(&bench->twin, 0, 100));
    assert_true(twin_alloc(&bench->twin, 1, 100));
    assert_true(twin_alloc(&bench->twin, 2, 100000));
    assert_true(twin_alloc(&bench->twin, 3, 5000));
    twin_due_note(&bench->twin, 2, 100); /* the root, and the first span its child */
    twin_due_note(&bench->twin, 0, 200);
    for (bench->tampering = 0; bench->tampering < TAMPERINGS; bench->tampering++)
        if (!aborts(bench, check_what_was_tampered_with))
            fail_msg("tampering %u was not seen", bench->tampering);
    assert_false(aborts(bench, check_what_was_tampered_with));
}

static void is_live_tells_wrong_refs(void **state)
{
    struct bench *bench = *state;
    assert_true(twin_alloc(&bench->twin, 0, 100));
    assert_true(twin_alloc(&bench->twin, 1, 100000));
    assert_true(ebb_is_live(bench->twin.heap, ref_of(bench, 0)));
    assert_false(ebb_is_live(bench->twin.heap, 0));
    assert_false(ebb_is_live(bench->twin.heap, ref_of(bench, 0) + 1));
    assert_false(ebb_is_live(bench->twin.heap, ref_of(bench, 0) + 25));
    assert_true(ebb_is_live(bench->twin.heap, ref_of(bench, 1)));
    assert_false(ebb_is_live(bench->twin.heap, ref_of(bench, 1) + 1));
    assert_false(ebb_is_live(bench->twin.heap, ref_of(bench, 1) + PAGE_GRANULES));
    assert_false(ebb_is_live(bench->twin.heap, UINT64_MAX));
}

#define HEAP_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HEAP_TEST(objects_are_granule_aligned_and_hold_their_size),
        HEAP_TEST(new_objects_go_to_the_fullest_span),
        HEAP_TEST(an_emptied_span_goes_back_at_once),
        HEAP_TEST(a_rare_class_takes_short_spans),
        HEAP_TEST(resident_is_what_has_been_written),
        HEAP_TEST(impossible_sizes_are_refused),
        HEAP_TEST(resize_within_the_class_stays),
        HEAP_TEST(resize_of_a_large_object_grows_and_shrinks_in_place),
        HEAP_TEST(resize_at_random_keeps_the_common_part),
        HEAP_TEST(a_pinned_object_keeps_place_and_bytes),
        HEAP_TEST(an_object_freed_while_pinned_stays_until_the_last_pin),
        HEAP_TEST(an_object_freed_while_pinned_is_nobodys),
        HEAP_TEST(pins_at_random_never_lose_bytes),
        HEAP_TEST(a_reset_leaves_what_is_pinned_to_its_last_pin),
        HEAP_TEST(one_object_takes_a_hundred_thousand_pins),
        HEAP_TEST(each_meets_every_object_once),
        HEAP_TEST(each_ends_when_it_is_told),
        HEAP_TEST(due_visits_meet_all_that_is_due_and_move_on),
        HEAP_TEST(a_due_visit_puts_off_what_comes_too_soon),
        HEAP_TEST(a_due_note_survives_moves_and_resizes),
        HEAP_TEST(reset_frees_everything_and_starts_anew),
        HEAP_TEST(class_statistics_add_up),
        HEAP_TEST(errors_have_texts),
        HEAP_TEST(wrong_refs_abort),
        HEAP_TEST(checks_see_what_is_wrong),
        HEAP_TEST(is_live_tells_wrong_refs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
