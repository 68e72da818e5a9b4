/* SPDX-License-Identifier: MIT */
/* test_compact.c: that compaction packs what is sparse, leaves alone what is not, keeps to its
 * budget, and never changes a byte. The twin checks both copies at each move.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../alloc/bits.h"
#include "../alloc/internal.h"
#include "support/fake_os.h"
#include "support/rng.h"
#include "support/twin.h"

#ifdef EBB_HARD
#define OBJECTS 8000u /* a span for every three of them */
#elif defined(__SANITIZE_THREAD__)
#define OBJECTS 20000u
#else
#define OBJECTS 50000u
#endif
#define NO_END      (UINT64_MAX / 2) /* a slice without a deadline */
#define SLICES      1000000u         /* more than any run may need: it must end by itself */
#define MIB         (UINT64_C(1) << 20)
#define SMALL_BYTES (MIB / 2)
/* What a class may still promise when no span of it can be emptied: it reckons with the mean of
 * spans of several lengths. */
#define LEFT_OVER (2 * SPAN_PAGES_MAX * EBB_PAGE_BYTES)

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

static struct ebb_heap_stats stats_of(const struct bench *bench)
{
    struct ebb_heap_stats stats;
    ebb_heap_stats(bench->twin.heap, &stats);
    return stats;
}

static size_t mixed_bytes(struct rng *rng)
{
    return rng_between(rng, 20, rng_once_in(rng, 10) ? 4000 : 500);
}

static void fill_mixed(struct bench *bench, struct rng *rng)
{
    for (size_t n = 0; n < OBJECTS; n++)
        if (!twin_has(&bench->twin, n))
            assert_true(twin_alloc(&bench->twin, n, mixed_bytes(rng)));
}

static void free_at_random(struct bench *bench, struct rng *rng, unsigned percent)
{
    for (size_t n = 0; n < OBJECTS; n++)
        if (twin_has(&bench->twin, n) && rng_below(rng, 100) < percent)
            twin_free(&bench->twin, n);
}

/* Bytes in slots over bytes of spans, in percent, of the classes that fill more than a few spans:
 * the last span of a class may be as empty as it likes. */
static unsigned occupancy(const struct bench *bench)
{
    const struct ebb_heap *heap = bench->twin.heap;
    size_t used = 0, all = 0;
    for (unsigned c = 0; c < EBB_CLASS_COUNT; c++)
        if (heap->classes[c].spans > 40) {
            used += heap->classes[c].used;
            all += heap->classes[c].slots;
        }
    return all == 0 ? 100 : (unsigned)(used * 100 / all);
}

/* ---- packing ---- */

static void packs_when_half_empty(struct bench *bench, size_t bytes, enum ebb_urge urge)
{
    size_t count = OBJECTS < 64 * MIB / bytes ? OBJECTS : 64 * MIB / bytes;
    for (size_t n = 0; n < count; n++)
        assert_true(twin_alloc(&bench->twin, n, bytes));
    for (size_t n = 0; n < count; n += 2) /* uniformly: each span keeps half */
        twin_free(&bench->twin, n);
    struct ebb_heap_stats before = stats_of(bench);
    twin_compact(&bench->twin, urge, NO_END, SLICES);
    struct ebb_heap_stats after = stats_of(bench);
    assert_true(after.span_bytes <= before.span_bytes);
    assert_true(after.moved_bytes <= after.freed_bytes);
    if (urge == EBB_URGE_CALM) {
        size_t band = after.slot_bytes / 50;
        assert_true(after.reclaimable_bytes <= (band > SMALL_BYTES ? band : SMALL_BYTES));
    } else {
        assert_true(occupancy(bench) >= 95);
#ifndef EBB_HARD /* three slots a span pack no better than in thirds */
        size_t half = before.span_bytes * 55 / 100 + SPAN_PAGES_MAX * EBB_PAGE_BYTES;
        assert_true(after.span_bytes <= half);
#endif
    }
    assert_int_equal(bench->twin.announced, bench->twin.moves);
    twin_verify_all(&bench->twin);
    for (size_t n = 1; n < count; n += 2)
        twin_free(&bench->twin, n);
}

static void half_empty_classes_pack(void **state)
{
    struct bench *bench = *state;
    static const size_t sizes[] = {20, 100, 240, 492, 1024, 2100, 5000, 9000, 16384, 40000, 65536};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        packs_when_half_empty(bench, sizes[s], EBB_URGE_MANUAL);
}

#ifndef EBB_HARD
static void half_empty_classes_pack_when_calm_too(void **state)
{
    struct bench *bench = *state;
    packs_when_half_empty(bench, 240, EBB_URGE_CALM);
    packs_when_half_empty(bench, 1024, EBB_URGE_CALM);
    assert_true(stats_of(bench).compact_cycles[EBB_REASON_WASTE] > 0);
}
#endif

static void random_deletes_pack_at_a_fair_price(void **state)
{
    struct bench *bench = *state;
    struct rng rng = rng_start("compact");
    static const unsigned percents[] = {10, 30, 50, 70, 90, 95};
    for (size_t p = 0; p < sizeof percents / sizeof *percents; p++) {
        fill_mixed(bench, &rng);
        twin_compact(&bench->twin, EBB_URGE_MANUAL, NO_END, SLICES);
        struct ebb_heap_stats before = stats_of(bench);
        free_at_random(bench, &rng, percents[p]);
        struct ebb_heap_stats sparse = stats_of(bench);
        twin_compact(&bench->twin, EBB_URGE_MANUAL, NO_END, SLICES);
        struct ebb_heap_stats after = stats_of(bench);
        size_t moved = after.moved_bytes - before.moved_bytes;
        assert_true(moved <= after.freed_bytes - before.freed_bytes);
        assert_true(moved <= before.slot_bytes - sparse.slot_bytes); /* the bytes users freed */
        assert_true(occupancy(bench) >= 95);
        twin_check(&bench->twin);
    }
}

/* Each victim that is finished frees a span, and what is taken meanwhile is less. */
static void every_finished_victim_frees_a_span(void **state)
{
    struct bench *bench = *state;
    struct rng rng = rng_start("compact");
    fill_mixed(bench, &rng);
    free_at_random(bench, &rng, 60);
    heap_release_empty(bench->twin.heap);
    for (;;) {
        struct ebb_heap_stats before = stats_of(bench);
        enum ebb_reason reason;
        bench->fake.tick_ns = 1; /* over as soon as a victim has been dealt with */
        enum ebb_compact_result result =
            ebb_compact(bench->twin.heap, EBB_URGE_MANUAL, 1000, &reason);
        struct ebb_heap_stats after = stats_of(bench);
        assert_true(after.span_bytes <= before.span_bytes);
        assert_true(before.span_bytes - after.span_bytes <= after.freed_bytes - before.freed_bytes);
        if (after.freed_spans > before.freed_spans)
            assert_true(after.span_bytes < before.span_bytes);
        if (result == EBB_COMPACT_DONE)
            break;
    }
}

static void the_emptiest_span_goes_first(void **state)
{
    struct bench *bench = *state;
#ifdef EBB_HARD /* a victim of three objects is gone within one look at the clock */
    (void)bench;
#else
    struct rng rng = rng_start("compact");
    const struct heap_class *class = &bench->twin.heap->classes[class_of(64)];
    size_t count = 0;
    while (count < OBJECTS / 2 || class->used < class->slots)
        assert_true(twin_alloc(&bench->twin, count++, 64));
    span_id emptiest = pool_find(bench->pool, bench->twin.objects[count / 2].ref);
    unsigned left = pool_span(bench->pool, emptiest)->used;
    for (size_t n = 0; n < count; n++) {
        bool is_there = pool_find(bench->pool, bench->twin.objects[n].ref) == emptiest;
        if (is_there ? left > 20 : rng_once_in(&rng, 3)) {
            twin_free(&bench->twin, n);
            left -= is_there;
        }
    }
    assert_int_equal(ebb_compact(bench->twin.heap, EBB_URGE_MANUAL, 0, NULL), EBB_COMPACT_MORE);
    assert_int_equal(bench->twin.heap->victim, emptiest);
    assert_int_equal(pool_span(bench->pool, emptiest)->used, 4); /* 16 at a time */
#endif
}

static void compaction_does_not_raise_the_peak(void **state)
{
    struct bench *bench = *state;
    struct rng rng = rng_start("compact");
    fill_mixed(bench, &rng);
    free_at_random(bench, &rng, 50);
    twin_compact(&bench->twin, EBB_URGE_MANUAL, NO_END, 0);
    heap_release_empty(bench->twin.heap);
    size_t span_bytes = stats_of(bench).span_bytes;
    bench->fake.tick_ns = 1000;
    for (unsigned slice = 0; slice < 200; slice++) {
        twin_compact(&bench->twin, EBB_URGE_MANUAL, 3000, 1);
        /* At most the one span that a class takes to get by with a shorter one. */
        assert_true(stats_of(bench).span_bytes <= span_bytes + SPAN_PAGES_MAX * EBB_PAGE_BYTES);
    }
}

static void classes_that_shrank_to_one_long_span_take_a_shorter(void **state)
{
    struct bench *bench = *state;
#ifdef EBB_HARD /* its classes know one length or two */
    (void)bench;
#else
    static const size_t sizes[] = {40, 240, 1000, 4000};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        unsigned class_index = class_of(sizes[s]);
        const struct heap_class *class = &bench->twin.heap->classes[class_index];
        size_t count = 0;
        while (count < OBJECTS &&
               (class->rung + 1u < bench->pool->classes.rung_count[class_index] ||
                class->used < class->slots))
            assert_true(twin_alloc(&bench->twin, count++, sizes[s]));
        for (size_t n = 0; n < count; n++)
            if (n != count - 2)
                twin_free(&bench->twin, n);
        assert_int_equal(class->spans, 1);
        uint64_t long_pages = class->pages;
        assert_true(stats_of(bench).reclaimable_bytes > 0);
        twin_compact(&bench->twin, EBB_URGE_MANUAL, NO_END, SLICES);
        assert_int_equal(class->spans, 1);
        assert_int_equal(class->pages, bench->pool->classes.rung_pages[class_index][0]);
        assert_true(class->pages < long_pages);
        assert_int_equal(stats_of(bench).reclaimable_bytes, 0);
        twin_free(&bench->twin, count - 2);
    }
#endif
}

/* ---- leaving alone ---- */

/* Overwrites objects of the same sizes, free first or new one first, with slices in between. Keeps
 * `absent` of 1000 objects away all the time. */
static void churn(struct bench *bench, struct rng *rng, unsigned absent, size_t writes)
{
    size_t *bytes = calloc(OBJECTS, sizeof *bytes);
    size_t gone = OBJECTS; /* the number of the object that was freed last */
    for (size_t n = 0; n < OBJECTS; n++)
        bytes[n] = twin_has(&bench->twin, n) ? bench->twin.objects[n].bytes : mixed_bytes(rng);
    for (size_t n = 0; n < OBJECTS; n++)
        if (rng_below(rng, 1000) < absent)
            twin_free(&bench->twin, n);
    for (size_t write = 0; write < writes; write++) {
        size_t n = rng_below(rng, OBJECTS);
        if (twin_has(&bench->twin, n)) {
            twin_free(&bench->twin, n);
            if (gone == OBJECTS || rng_once_in(rng, 2)) {
                assert_true(twin_alloc(&bench->twin, n, bytes[n]));
            } else { /* another of the same size mix comes back instead */
                assert_true(twin_alloc(&bench->twin, gone, bytes[gone]));
                gone = n;
            }
        } else if (gone == OBJECTS) {
            gone = n;
        }
        if (write % 50 == 0) {
            fake_os_turn(&bench->fake, 1);
            twin_compact(&bench->twin, EBB_URGE_CALM, 100000, 1);
        }
    }
    free(bytes);
}

static void stable_churn_moves_nothing(void **state)
{
    struct bench *bench = *state;
    struct rng rng = rng_start("compact");
    fill_mixed(bench, &rng);
    twin_compact(&bench->twin, EBB_URGE_CALM, NO_END, SLICES);
    assert_int_equal(bench->twin.moves, 0);
    churn(bench, &rng, 0, 3 * OBJECTS);
#ifndef EBB_HARD /* there a span is three slots and no waste is too small */
    assert_int_equal(bench->twin.moves, 0);
#endif
}

/* At 95 % it packs, down to its band, then for some seconds the little that comes up, and then
 * never again. */
static void stable_churn_at_95_percent_moves_nothing_once_packed(void **state)
{
    struct bench *bench = *state;
    struct rng rng = rng_start("compact");
    fill_mixed(bench, &rng);
    churn(bench, &rng, 50, OBJECTS / 10);
    twin_compact(&bench->twin, EBB_URGE_CALM, NO_END, SLICES);
    uint64_t packed = bench->twin.moves;
    churn(bench, &rng, 0, OBJECTS);
#ifndef EBB_HARD
    assert_in_range(bench->twin.moves - packed, 0, OBJECTS / 1000);
#endif
    fake_os_turn(&bench->fake, 5000);
    packed = bench->twin.moves;
    churn(bench, &rng, 0, 4 * OBJECTS);
#ifndef EBB_HARD
    assert_int_equal(bench->twin.moves, packed);
#else
    assert_true(bench->twin.moves >= packed);
#endif
}

/* Waste inside the band: nothing is ever moved for it. */
static void churn_inside_the_band_moves_nothing(void **state)
{
    struct bench *bench = *state;
    struct rng rng = rng_start("compact");
    fill_mixed(bench, &rng);
    churn(bench, &rng, 25, 4 * OBJECTS);
#ifndef EBB_HARD
    assert_int_equal(bench->twin.moves, 0);
#endif
}

static void a_packed_heap_has_nothing_to_move(void **state)
{
    struct bench *bench = *state;
    struct rng rng = rng_start("compact");
    fill_mixed(bench, &rng);
    free_at_random(bench, &rng, 50);
    twin_compact(&bench->twin, EBB_URGE_MANUAL, NO_END, SLICES);
    uint64_t moves = bench->twin.moves;
    assert_true(moves > 0);
    for (unsigned n = 0; n < 10; n++) {
        assert_int_equal(twin_compact(&bench->twin, EBB_URGE_MANUAL, NO_END, SLICES), 1);
        assert_int_equal(twin_compact(&bench->twin, EBB_URGE_CALM, NO_END, SLICES), 1);
    }
    assert_int_equal(bench->twin.moves, moves);
}

static void an_empty_heap_is_done_at_once(void **state)
{
    struct bench *bench = *state;
    enum ebb_reason reason = EBB_REASON_COUNT;
    assert_int_equal(ebb_compact(bench->twin.heap, EBB_URGE_MANUAL, 0, &reason), EBB_COMPACT_DONE);
    assert_int_equal(reason, EBB_REASON_NONE);
    assert_int_equal(ebb_compact(bench->twin.heap, EBB_URGE_CALM, 0, NULL), EBB_COMPACT_DONE);
}

/* ---- urges ---- */

static void urges_act_on_what_calm_leaves(void **state)
{
    struct bench *bench = *state;
    struct rng rng = rng_start("compact");
    enum ebb_reason reason;
    for (size_t n = 0; n < OBJECTS; n++)
        assert_true(twin_alloc(&bench->twin, n, 240));
    for (size_t n = 0; n < OBJECTS; n++)
        if (rng_below(&rng, 1000) < 20) /* half of where calm starts */
            twin_free(&bench->twin, n);
#ifndef EBB_HARD
    assert_int_equal(ebb_compact(bench->twin.heap, EBB_URGE_CALM, NO_END, &reason),
                     EBB_COMPACT_DONE);
    assert_true(reason < EBB_REASON_WASTE);
    assert_int_equal(bench->twin.moves, 0);
#endif
    size_t before = stats_of(bench).span_bytes;
    ebb_compact(bench->twin.heap, EBB_URGE_PRESSURE, 0, &reason);
    assert_int_equal(reason, EBB_REASON_PRESSURE);
    twin_compact(&bench->twin, EBB_URGE_PRESSURE, NO_END, SLICES);
    struct ebb_heap_stats after = stats_of(bench);
    assert_true(after.span_bytes < before);
    assert_true(after.reclaimable_bytes < LEFT_OVER);
    assert_int_equal(after.compact_cycles[EBB_REASON_PRESSURE], 1);

    for (size_t n = 0; n < OBJECTS; n += 50)
        if (twin_has(&bench->twin, n))
            twin_free(&bench->twin, n);
    ebb_compact(bench->twin.heap, EBB_URGE_MANUAL, 0, &reason);
    assert_int_equal(reason, EBB_REASON_MANUAL);
    twin_compact(&bench->twin, EBB_URGE_MANUAL, NO_END, SLICES);
    assert_true(stats_of(bench).reclaimable_bytes < LEFT_OVER);
    assert_int_equal(stats_of(bench).compact_cycles[EBB_REASON_MANUAL], 1);
}

/* However short the slices, a manual run comes to its end, in about as many as there is work for.
 */
static void manual_runs_end_with_the_shortest_slices(void **state)
{
    struct bench *bench = *state;
    struct rng rng = rng_start("compact");
    fill_mixed(bench, &rng);
    free_at_random(bench, &rng, 50);
    size_t spans = bench->twin.heap->span_count;
    size_t slices = twin_compact(&bench->twin, EBB_URGE_MANUAL, 0, SLICES);
    assert_true(slices <= spans + bench->twin.moves / 16 + 10);
    assert_true(occupancy(bench) >= 95);
}

/* ---- slices ---- */

static void slices_keep_their_deadline(void **state)
{
    struct bench *bench = *state;
    struct rng rng = rng_start("compact");
    const uint64_t look_ns = 5000, budget_ns = 100000;
    fill_mixed(bench, &rng);
    free_at_random(bench, &rng, 50);
    bench->fake.tick_ns = look_ns; /* so each look at the clock takes so long */
    size_t slices = 0;
    for (;;) {
        uint64_t begin = bench->fake.now_ns, moves = bench->twin.moves;
        size_t moved_bytes = stats_of(bench).moved_bytes;
        enum ebb_reason reason;
        enum ebb_compact_result result =
            ebb_compact(bench->twin.heap, EBB_URGE_MANUAL, budget_ns, &reason);
        uint64_t spent = bench->fake.now_ns - begin;
        assert_true(spent <= budget_ns + 4 * look_ns);
        if (result == EBB_COMPACT_DONE)
            break;
        assert_true(spent >= budget_ns);
        slices++;
        /* And between two looks lie few objects and few bytes. */
        assert_true(bench->twin.moves - moves <= (budget_ns / look_ns + 2) * 16);
        assert_true(stats_of(bench).moved_bytes - moved_bytes <=
                    (budget_ns / look_ns + 2) * (32 * 1024 + EBB_LARGE_BYTES));
    }
    assert_true(slices > 3);
    assert_true(stats_of(bench).compact_ns >= slices * budget_ns);
}

#ifndef EBB_HARD /* there a victim has three objects at most: a slice always ends it */
static span_id half_evacuated(struct bench *bench, struct rng *rng)
{
    enum ebb_reason reason;
    for (size_t n = 0; n < OBJECTS; n++)
        assert_true(twin_alloc(&bench->twin, n, 64));
    free_at_random(bench, rng, 50);
    assert_int_equal(ebb_compact(bench->twin.heap, EBB_URGE_MANUAL, 0, &reason), EBB_COMPACT_MORE);
    assert_int_not_equal(bench->twin.heap->victim, 0);
    return bench->twin.heap->victim;
}
#endif

static void a_half_evacuated_victim_goes_on_in_the_next_slice(void **state)
{
    struct bench *bench = *state;
#ifdef EBB_HARD /* a victim has three objects at most: a slice always ends it */
    (void)bench;
#else
    struct rng rng = rng_start("compact");
    span_id victim = half_evacuated(bench, &rng);
    enum ebb_reason reason;
    unsigned used = pool_span(bench->pool, victim)->used;
    twin_check(&bench->twin);
    for (size_t n = 0; n < 200; n++) /* traffic meanwhile: nothing new goes there */
        if (!twin_has(&bench->twin, n))
            assert_true(twin_alloc(&bench->twin, n, 64));
    assert_int_equal(pool_span(bench->pool, victim)->used, used);
    assert_int_equal(ebb_compact(bench->twin.heap, EBB_URGE_MANUAL, 0, &reason), EBB_COMPACT_MORE);
    assert_true(bench->twin.heap->victim != victim || pool_span(bench->pool, victim)->used < used);
    twin_check(&bench->twin);
#endif
}

/* A slot that is freed there serves nobody. */
static void no_object_of_a_victim_is_in_a_sample_of_its_class(void **state)
{
    struct bench *bench = *state;
#ifdef EBB_HARD /* as above */
    (void)bench;
#else
    struct rng rng = rng_start("compact");
    span_id victim = half_evacuated(bench, &rng);
    for (unsigned i = 0; i < 1000; i++) {
        ebb_ref refs[4];
        unsigned count = ebb_class_sample(bench->twin.heap, 64, rng_next(&rng), refs, 4);
        assert_in_range(count, 1, 4);
        for (unsigned k = 0; k < count; k++)
            assert_int_not_equal(pool_find(bench->pool, refs[k]), victim);
    }
#endif
}

static void traffic_between_slices_is_harmless(void **state)
{
    struct bench *bench = *state;
    struct rng rng = rng_start("compact");
    fill_mixed(bench, &rng);
    for (unsigned round = 0; round < SCALED(3000); round++) {
        for (unsigned n = 0; n < 20; n++) {
            size_t which = rng_below(&rng, OBJECTS);
            if (!twin_has(&bench->twin, which))
                assert_true(twin_alloc(&bench->twin, which, mixed_bytes(&rng)));
            else if (rng_once_in(&rng, 3))
                assert_int_equal(twin_resize(&bench->twin, which, mixed_bytes(&rng)), 0);
            else
                twin_free(&bench->twin, which);
        }
        twin_compact(&bench->twin, (enum ebb_urge)rng_below(&rng, 3), rng_below(&rng, 20000), 1);
        if (round % 100 == 0)
            twin_check(&bench->twin);
    }
}

/* ---- pins ---- */

static void pinned_spans_are_skipped(void **state)
{
    struct bench *bench = *state;
    size_t count = OBJECTS / 2, first = 1;
    for (size_t n = 0; n < count; n++)
        assert_true(twin_alloc(&bench->twin, n, 1000));
    for (size_t n = 0; n < count; n++)
        if (n % 10 != 1)
            twin_free(&bench->twin, n);
    for (size_t n = first; n < count; n += 100) {
        twin_pin(&bench->twin, n);
        if (n % 200 == 1)
            twin_pin(&bench->twin, n);
    }
    ebb_ref *before = calloc(count, sizeof *before);
    for (size_t n = first; n < count; n += 100)
        before[n] = bench->twin.objects[n].ref;
    twin_compact(&bench->twin, EBB_URGE_MANUAL, NO_END, SLICES);
    assert_true(stats_of(bench).skipped_pinned > 0);
    assert_true(stats_of(bench).pinned_spans > 0);
    assert_true(stats_of(bench).pinned_bytes > 0);
    for (size_t n = first; n < count; n += 100)
        assert_true(bench->twin.objects[n].ref == before[n]);
    for (size_t n = first; n < count; n += 100)
        while (bench->twin.objects[n].pins > 0)
            twin_unpin(&bench->twin, n);
    twin_compact(&bench->twin, EBB_URGE_MANUAL, NO_END, SLICES);
    assert_int_equal(stats_of(bench).pinned_spans, 0);
    assert_true(stats_of(bench).reclaimable_bytes < LEFT_OVER);
    free(before);
}

static void a_victim_pinned_between_slices_is_let_go(void **state)
{
    struct bench *bench = *state;
    struct rng rng = rng_start("compact");
    for (size_t n = 0; n < OBJECTS; n++)
        assert_true(twin_alloc(&bench->twin, n, 64));
    free_at_random(bench, &rng, 50);
    enum ebb_reason reason;
    for (unsigned round = 0; round < 20; round++) {
        if (ebb_compact(bench->twin.heap, EBB_URGE_MANUAL, 0, &reason) == EBB_COMPACT_DONE)
            break;
        const struct ebb_heap *heap = bench->twin.heap;
        if (heap->victim == 0)
            continue;
        struct span *victim = pool_span(bench->pool, heap->victim);
        ebb_ref ref = span_ref(bench->pool, victim, span_next_used(victim, 0));
        size_t n = bench->twin.owner_of[ref] - 1;
        twin_pin(&bench->twin, n);
        ebb_compact(bench->twin.heap, EBB_URGE_MANUAL, 0, &reason);
        assert_true(bench->twin.objects[n].ref == ref);
        twin_check(&bench->twin);
        twin_unpin(&bench->twin, n);
    }
}

/* ---- shuffle ---- */

static void shuffle_moves_every_object_that_is_not_pinned(void **state)
{
    struct bench *bench = *state;
    struct rng rng = rng_start("compact");
    enum { COUNT = 3000 };
    ebb_ref *before = calloc(COUNT, sizeof *before);
    for (size_t n = 0; n < COUNT; n++)
        assert_true(twin_alloc(&bench->twin, n,
                               rng_between(&rng, 1, rng_once_in(&rng, 50) ? 300000 : 3000)));
    for (size_t n = 0; n < COUNT; n += 500)
        twin_pin(&bench->twin, n);
    for (unsigned round = 0; round < 3; round++) {
        for (size_t n = 0; n < COUNT; n++)
            before[n] = bench->twin.objects[n].ref;
        uint64_t moves = bench->twin.moves;
        ebb_heap_shuffle(bench->twin.heap);
        assert_true(bench->twin.moves > moves);
        size_t stayed = 0;
        for (size_t n = 0; n < COUNT; n++) {
            span_id id = pool_find(bench->pool, bench->twin.objects[n].ref);
            if (pool_span(bench->pool, id)->pinned)
                assert_true(bench->twin.objects[n].pins == 0 ||
                            bench->twin.objects[n].ref == before[n]);
            else
                stayed += bench->twin.objects[n].ref == before[n];
        }
        assert_true(stayed <= COUNT / 50); /* some come back to where they were */
        twin_check(&bench->twin);
        twin_verify_all(&bench->twin);
    }
    for (size_t n = 0; n < COUNT; n += 500)
        twin_unpin(&bench->twin, n);
    free(before);
}

/* ---- no memory ---- */

/* A move that needs a new span, and gets none, ends the run: it must not go round in circles. */
static void compaction_without_memory_ends(void **state)
{
    struct bench *bench = *state;
#ifdef EBB_HARD
    (void)bench;
#else
    unsigned class_index = class_of(1000);
    const struct heap_class *class = &bench->twin.heap->classes[class_index];
    size_t count = 0;
    while (class->rung + 1u < bench->pool->classes.rung_count[class_index] ||
           class->used < class->slots)
        assert_true(twin_alloc(&bench->twin, count++, 1000));
    for (size_t n = 0; n + 1 < count; n++)
        twin_free(&bench->twin, n);
    assert_int_equal(class->spans, 1); /* long, and one object in it: wants a shorter one */
    size_t big = count;                /* all other pages are taken, and the system gives no more */
    fake_os_fail(&bench->fake, FAKE_COMMIT, 1, SIZE_MAX / 2);
    size_t bytes = ARENA_BYTES;
    while (bytes > EBB_LARGE_BYTES)
        if (!twin_alloc_virgin(&bench->twin, big++, bytes)) {
            big--;
            bytes /= 2;
        }
    while (twin_alloc_virgin(&bench->twin, big, EBB_LARGE_BYTES))
        big++;
    for (size_t small = 64 * 1024; small >= 4096; small /= 2)
        while (twin_alloc_virgin(&bench->twin, big, small))
            big++;
    uint64_t pages = class->pages;
    for (uint64_t max_ns = 0; max_ns < 2; max_ns++) {
        assert_true(twin_compact(&bench->twin, EBB_URGE_MANUAL, max_ns, 100) < 100);
        assert_true(twin_compact(&bench->twin, EBB_URGE_PRESSURE, NO_END, 100) < 100);
    }
    assert_int_equal(class->pages, pages);
    twin_check(&bench->twin);
    fake_os_fail_never(&bench->fake);
    twin_compact(&bench->twin, EBB_URGE_MANUAL, NO_END, SLICES);
    assert_true(class->pages < pages);
#endif
}

#define COMPACT_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        COMPACT_TEST(half_empty_classes_pack),
#ifndef EBB_HARD
        COMPACT_TEST(half_empty_classes_pack_when_calm_too),
#endif
        COMPACT_TEST(random_deletes_pack_at_a_fair_price),
        COMPACT_TEST(every_finished_victim_frees_a_span),
        COMPACT_TEST(the_emptiest_span_goes_first),
        COMPACT_TEST(compaction_does_not_raise_the_peak),
        COMPACT_TEST(classes_that_shrank_to_one_long_span_take_a_shorter),
        COMPACT_TEST(stable_churn_moves_nothing),
        COMPACT_TEST(stable_churn_at_95_percent_moves_nothing_once_packed),
        COMPACT_TEST(churn_inside_the_band_moves_nothing),
        COMPACT_TEST(a_packed_heap_has_nothing_to_move),
        COMPACT_TEST(an_empty_heap_is_done_at_once),
        COMPACT_TEST(urges_act_on_what_calm_leaves),
        COMPACT_TEST(manual_runs_end_with_the_shortest_slices),
        COMPACT_TEST(slices_keep_their_deadline),
        COMPACT_TEST(a_half_evacuated_victim_goes_on_in_the_next_slice),
        COMPACT_TEST(no_object_of_a_victim_is_in_a_sample_of_its_class),
        COMPACT_TEST(traffic_between_slices_is_harmless),
        COMPACT_TEST(pinned_spans_are_skipped),
        COMPACT_TEST(a_victim_pinned_between_slices_is_let_go),
        COMPACT_TEST(shuffle_moves_every_object_that_is_not_pinned),
        COMPACT_TEST(compaction_without_memory_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
