/* SPDX-License-Identifier: MIT */
/* test_map.c: the map of pages agrees with what the heap and the pool count. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "../alloc/internal.h"
#include "support/fake_os.h"
#include "support/rng.h"

#define OBJECTS 3000u

struct bench {
    struct fake_os fake;
    struct ebb_pool *pool;
    struct ebb_heap *heap;
    ebb_ref refs[OBJECTS];
    size_t bytes[OBJECTS];
    struct ebb_page pages[EBB_MAP_ARENAS_MAX * EBB_ARENA_PAGES];
};

static struct bench *moving; /* objects carry their number: their owner is the array */

static void moved(void *context, ebb_ref from, ebb_ref to, void *data)
{
    (void)context;
    assert_true(moving->refs[*(uint32_t *)data] == from);
    moving->refs[*(uint32_t *)data] = to;
}

static int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    struct ebb_owner owner = {.context = bench, .moved = moved};
    fake_os_init(&bench->fake);
    struct ebb_pool_config config = {.os = &bench->fake.os, .reserve_bytes = FAKE_RESERVE_BYTES};
    assert_int_equal(ebb_pool_create(&bench->pool, &config), 0);
    assert_int_equal(ebb_heap_create(&bench->heap, bench->pool, &owner), 0);
    *state = moving = bench;
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

static void put(struct bench *bench, uint32_t number, size_t bytes)
{
    bench->refs[number] = ebb_alloc(bench->heap, bytes);
    bench->bytes[number] = bytes;
    assert_true(bench->refs[number] != 0);
    *(uint32_t *)ebb_at(ebb_pool_base(bench->pool), bench->refs[number]) = number;
}

static void drop(struct bench *bench, uint32_t number)
{
    if (bench->refs[number] != 0)
        ebb_free(bench->heap, bench->refs[number]);
    bench->refs[number] = 0;
}

/* Of one kind, or of them all. */
struct tally {
    size_t pages[EBB_PAGE_KIND_COUNT], spans, pinned;
};

static struct tally tally_of(struct bench *bench)
{
    struct tally tally = {.spans = 0};
    size_t arenas = ebb_pool_arenas(bench->pool), at = 0, done;
    while ((done = ebb_pool_map(bench->pool, at, SIZE_MAX, bench->pages)) > 0) {
        assert_true(done <= EBB_MAP_ARENAS_MAX);
        for (size_t p = 0; p < done * EBB_ARENA_PAGES; p++) {
            const struct ebb_page *page = &bench->pages[p];
            assert_true(page->kind < EBB_PAGE_KIND_COUNT && page->used_percent <= 100);
            tally.pages[page->kind]++;
            tally.spans += page->is_span_start;
            tally.pinned += page->is_pinned;
        }
        at += done;
    }
    assert_int_equal(at, arenas);
    return tally;
}

static void assert_agrees(struct bench *bench)
{
    struct ebb_pool_stats pool;
    struct ebb_heap_stats heap;
    struct tally tally = tally_of(bench);
    ebb_pool_stats(bench->pool, &pool);
    ebb_heap_stats(bench->heap, &heap);
    assert_int_equal(tally.pages[EBB_PAGE_IDLE] * EBB_PAGE_BYTES, pool.idle_bytes);
    assert_int_equal(tally.pages[EBB_PAGE_USED] * EBB_PAGE_BYTES, heap.resident_bytes);
    assert_int_equal((tally.pages[EBB_PAGE_USED] + tally.pages[EBB_PAGE_FRESH]) * EBB_PAGE_BYTES,
                     pool.span_bytes);
    assert_true(tally.pages[EBB_PAGE_TRIMMED] * EBB_PAGE_BYTES >= pool.trimmed_bytes);
    assert_int_equal(tally.spans, heap.span_count);
    assert_int_equal(tally.pinned * EBB_PAGE_BYTES, heap.pinned_bytes);
}

/* ---- tests ---- */

static void map_of_an_empty_pool_is_untouched(void **state)
{
    struct bench *bench = *state;
    struct tally tally = tally_of(bench);
    assert_int_equal(tally.pages[EBB_PAGE_UNTOUCHED],
                     ebb_pool_arenas(bench->pool) * EBB_ARENA_PAGES);
}

static void map_ends_where_the_arenas_end(void **state)
{
    struct bench *bench = *state;
    size_t arenas = ebb_pool_arenas(bench->pool);
    assert_int_equal(ebb_pool_map(bench->pool, arenas, 1, bench->pages), 0);
    assert_int_equal(ebb_pool_map(bench->pool, SIZE_MAX, 1, bench->pages), 0);
    assert_int_equal(ebb_pool_map(bench->pool, arenas - 1, 5, bench->pages), 1);
    assert_int_equal(ebb_pool_map(bench->pool, 0, 0, bench->pages), 0);
}

static void map_tells_how_full_a_span_is(void **state)
{
    struct bench *bench = *state;
    put(bench, 0, 100);
    const struct ebb_page *page = &bench->pages[bench->refs[0] / PAGE_GRANULES];
    tally_of(bench);
    ebb_pool_map(bench->pool, 0, 1, bench->pages);
    assert_int_equal(page->kind, EBB_PAGE_USED);
    assert_int_equal(page->slot_bytes, 100);
    assert_true(page->used_percent > 0);
    unsigned before = page->used_percent;
    for (uint32_t i = 1; i < 3; i++)
        put(bench, i, 100);
    ebb_pool_map(bench->pool, 0, 1, bench->pages);
    assert_true(page->used_percent > before);
    for (uint32_t i = 0; i < 3; i++)
        drop(bench, i);
}

/* Longer than an arena: its pages behind the first have no span of their own in the books. */
static void map_shows_large_objects_whole(void **state)
{
    struct bench *bench = *state;
    put(bench, 0, 5u << 20);
    struct tally tally = tally_of(bench);
    assert_int_equal(tally.pages[EBB_PAGE_USED], (5u << 20) / EBB_PAGE_BYTES);
    assert_int_equal(tally.spans, 1);
    drop(bench, 0);
}

static void map_shows_pins(void **state)
{
    struct bench *bench = *state;
    put(bench, 0, 2000);
    ebb_pin(bench->heap, bench->refs[0]);
    assert_agrees(bench);
    assert_true(tally_of(bench).pinned > 0);
    ebb_unpin(bench->heap, bench->refs[0]);
    assert_int_equal(tally_of(bench).pinned, 0);
}

static void map_agrees_with_the_counts_whatever_happens(void **state)
{
    struct bench *bench = *state;
    struct rng rng = rng_start("map");
    for (unsigned round = 0; round < 30; round++) {
        for (uint32_t i = 0; i < OBJECTS; i++) {
            if (rng_below(&rng, 3) == 0)
                drop(bench, i);
            else if (bench->refs[i] == 0)
                put(bench, i, 4 + rng_below(&rng, rng_below(&rng, 50) == 0 ? 200000 : 600));
        }
        assert_agrees(bench);
        enum ebb_reason reason;
        ebb_compact(bench->heap, EBB_URGE_MANUAL, 1000000, &reason);
        assert_agrees(bench);
        fake_os_turn(&bench->fake, rng_below(&rng, 2000));
        ebb_pool_trim(bench->pool, SIZE_MAX, round % 3 == 0);
        assert_agrees(bench);
    }
    for (uint32_t i = 0; i < OBJECTS; i++)
        drop(bench, i);
    ebb_heap_reset(bench->heap);
    ebb_pool_trim(bench->pool, SIZE_MAX, true);
    assert_agrees(bench);
    assert_true(tally_of(bench).pages[EBB_PAGE_TRIMMED] > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(map_of_an_empty_pool_is_untouched),
        TEST(map_ends_where_the_arenas_end),
        TEST(map_tells_how_full_a_span_is),
        TEST(map_shows_large_objects_whole),
        TEST(map_shows_pins),
        TEST(map_agrees_with_the_counts_whatever_happens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
