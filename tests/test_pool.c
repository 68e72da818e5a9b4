/* SPDX-License-Identifier: MIT */
/* test_pool.c: runs of pages: where they come from, that they never overlap, what is known about
 * them, and that an arena nobody uses costs nothing. Against a map of pages kept by the test.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "../alloc/bits.h"
#include "../alloc/internal.h"
#include "support/fake_os.h"
#include "support/rng.h"

#define LEAST_RESERVE (UINT64_C(1) << 28)

struct bench {
    struct fake_os fake;
    struct ebb_pool *pool;
};

static int setup_bytes(void **state, size_t reserve_bytes)
{
    struct bench *bench = calloc(1, sizeof *bench);
    fake_os_init(&bench->fake);
    struct ebb_pool_config config = {.os = &bench->fake.os, .reserve_bytes = reserve_bytes};
    assert_int_equal(ebb_pool_create(&bench->pool, &config), 0);
    *state = bench;
    return 0;
}

static int setup(void **state)
{
    return setup_bytes(state, FAKE_RESERVE_BYTES);
}

static int setup_least(void **state)
{
    return setup_bytes(state, LEAST_RESERVE);
}

static int teardown(void **state)
{
    struct bench *bench = *state;
    ebb_pool_destroy(bench->pool);
    assert_true(fake_os_is_clean(&bench->fake));
    free(bench);
    return 0;
}

static span_id take(struct bench *bench, uint32_t pages)
{
    size_t resident;
    return pool_take(bench->pool, CLASS_LARGE, pages, 0, &resident);
}

static uint32_t first_page(const struct bench *bench, span_id id)
{
    return pool_span(bench->pool, id)->first_page;
}

static struct ebb_pool_stats stats_of(const struct bench *bench)
{
    struct ebb_pool_stats stats;
    ebb_pool_stats(bench->pool, &stats);
    return stats;
}

/* ---- where runs come from ---- */

static void pool_never_hands_out_page_0(void **state)
{
    struct bench *bench = *state;
    span_id id = take(bench, 1);
    assert_int_not_equal(id, 0);
    assert_int_equal(first_page(bench, id), 1);
    assert_int_equal(pool_find(bench->pool, 0), 0);
    pool_release(bench->pool, id);
}

static void pool_takes_the_lowest_run_that_fits(void **state)
{
    struct bench *bench = *state;
    span_id ids[8];
    for (unsigned n = 0; n < 8; n++)
        ids[n] = take(bench, 10);
    pool_release(bench->pool, ids[5]);
    pool_release(bench->pool, ids[2]);
    uint32_t low = 1 + 2 * 10;
    span_id again = take(bench, 10);
    assert_int_equal(first_page(bench, again), low);
    assert_int_equal(first_page(bench, take(bench, 4)), 1 + 5 * 10);
    assert_int_equal(first_page(bench, take(bench, 7)), 1 + 8 * 10); /* neither hole is so long */
    assert_int_equal(first_page(bench, take(bench, 6)), 1 + 5 * 10 + 4);
    assert_int_equal(ebb_pool_check(bench->pool), 0);
}

static void pool_prefers_the_lower_arena(void **state)
{
    struct bench *bench = *state;
    span_id first = take(bench, 300);  /* arena 0 */
    span_id second = take(bench, 400); /* arena 1 */
    span_id third = take(bench, 400);  /* arena 2 */
    assert_int_equal(first_page(bench, second) / ARENA_PAGES, 1);
    assert_int_equal(first_page(bench, third) / ARENA_PAGES, 2);
    assert_int_equal(first_page(bench, take(bench, 100)), 301);
    pool_release(bench->pool, third);
    pool_release(bench->pool, second);
    assert_int_equal(first_page(bench, take(bench, 300)) / ARENA_PAGES, 1);
    pool_release(bench->pool, first);
    assert_int_equal(first_page(bench, take(bench, 300)), 1);
}

static void pool_finds_a_run_longer_than_its_power_of_two(void **state)
{
    struct bench *bench = *state;
    /* Arena 0 keeps a hole of 200 pages: level 7 promises 128, and 200 is asked for. */
    take(bench, 100);
    span_id hole = take(bench, 200);
    take(bench, 211);
    pool_release(bench->pool, hole);
    assert_int_equal(first_page(bench, take(bench, 200)), 101);
}

static void pool_puts_large_runs_over_several_arenas(void **state)
{
    struct bench *bench = *state;
    take(bench, 1);
    span_id big = take(bench, 2 * ARENA_PAGES + 17);
    assert_int_equal(first_page(bench, big), ARENA_PAGES); /* arena 0 is not whole any more */
    assert_int_equal(ebb_pool_check(bench->pool), 0);
    span_id behind = take(bench, 100);
    assert_int_equal(first_page(bench, behind), 2);
    /* The last arena's rest is free for others. */
    span_id rest = take(bench, ARENA_PAGES - 17);
    assert_int_equal(first_page(bench, rest), 3 * ARENA_PAGES + 17);
    /* Only its first granule finds it: a ref into the middle is no object. */
    ebb_ref ref = (ebb_ref)ARENA_PAGES * PAGE_GRANULES;
    assert_int_equal(pool_find(bench->pool, ref), big);
    assert_int_equal(pool_find(bench->pool, ref + PAGE_GRANULES), 0);
    assert_int_equal(pool_find(bench->pool, ref * 2), 0);
    pool_release(bench->pool, big);
    assert_int_equal(ebb_pool_check(bench->pool), 0);
    assert_int_equal(first_page(bench, take(bench, 2 * ARENA_PAGES)), ARENA_PAGES);
}

static void pool_moves_its_frontier_for_a_run_longer_than_a_commit(void **state)
{
    struct bench *bench = *state;
    uint32_t pages = (2 * ARENAS_PER_COMMIT + 3) * ARENA_PAGES;
    span_id big = take(bench, pages);
    assert_int_not_equal(big, 0);
    assert_true(bench->pool->arena_frontier >= 1 + 2 * ARENAS_PER_COMMIT + 3);
    assert_int_equal(stats_of(bench).span_bytes, (size_t)pages * EBB_PAGE_BYTES);
    assert_int_equal(ebb_pool_check(bench->pool), 0);
    pool_release(bench->pool, big);
    assert_int_equal(ebb_pool_check(bench->pool), 0);
}

static void pool_reads_as_zero_where_nobody_wrote(void **state)
{
    struct bench *bench = *state;
    span_id id = take(bench, 700);
    const char *data =
        (char *)ebb_pool_base(bench->pool) + (size_t)first_page(bench, id) * EBB_PAGE_BYTES;
    for (size_t b = 0; b < 700 * (size_t)EBB_PAGE_BYTES; b += 512)
        assert_int_equal(data[b], 0);
}

/* ---- cut and extend ---- */

static void cut_gives_the_end_back(void **state)
{
    struct bench *bench = *state;
    span_id id = take(bench, 900); /* arenas 0 (not whole)... so 1 and 2 */
    uint32_t first = first_page(bench, id);
    pool_cut(bench->pool, id, 20);
    assert_int_equal(ebb_pool_check(bench->pool), 0);
    assert_int_equal(stats_of(bench).span_bytes, 20 * EBB_PAGE_BYTES);
    /* A large object counts as written, so what it gives back is idle. */
    assert_int_equal(stats_of(bench).idle_bytes, 880 * EBB_PAGE_BYTES);
    assert_int_equal(pool_find(bench->pool, (ebb_ref)first * PAGE_GRANULES), id);
    pool_release(bench->pool, id);
    assert_int_equal(stats_of(bench).span_bytes, 0);
}

static void extend_grows_in_place_while_pages_are_free(void **state)
{
    struct bench *bench = *state;
    span_id id = take(bench, 20), wall;
    assert_true(pool_extend(bench->pool, id, 60));
    wall = take(bench, 1);
    assert_int_equal(first_page(bench, wall), 1 + 60);
    assert_false(pool_extend(bench->pool, id, 61));
    assert_int_equal(pool_span(bench->pool, id)->pages, 60);
    assert_int_equal(ebb_pool_check(bench->pool), 0);
    pool_release(bench->pool, wall);
    assert_true(pool_extend(bench->pool, id, 61));
}

static void extend_crosses_arenas(void **state)
{
    struct bench *bench = *state;
    pool_release(bench->pool, take(bench, 8 * ARENA_PAGES)); /* the frontier is beyond that now */
    span_id id = take(bench, 100);
    assert_true(pool_extend(bench->pool, id, 3 * ARENA_PAGES));
    assert_int_equal(ebb_pool_check(bench->pool), 0);
    span_id next = take(bench, ARENA_PAGES);
    assert_int_equal(first_page(bench, next), 4 * ARENA_PAGES);
    assert_false(pool_extend(bench->pool, id, 4 * ARENA_PAGES));
    pool_cut(bench->pool, id, 1);
    assert_int_equal(ebb_pool_check(bench->pool), 0);
    assert_int_equal(stats_of(bench).span_bytes, (1 + ARENA_PAGES) * EBB_PAGE_BYTES);
}

static void extend_stops_at_the_frontier(void **state)
{
    struct bench *bench = *state;
    span_id id = take(bench, 100);
    uint32_t all = ARENAS_PER_COMMIT * ARENA_PAGES;
    assert_false(pool_extend(bench->pool, id, all));
    assert_true(pool_extend(bench->pool, id, all - 1)); /* page 0 is nobody's */
}

/* ---- at random against a map of pages ---- */

#define SPANS     300u
#define MAP_PAGES (FAKE_RESERVE_BYTES / EBB_PAGE_BYTES)

static void mark(uint16_t *map, const struct span *span, uint16_t from, uint16_t to)
{
    for (size_t p = span->first_page; p < (size_t)span->first_page + span->pages; p++) {
        assert_int_equal(map[p], from);
        map[p] = to;
    }
}

static uint32_t random_pages(struct rng *rng)
{
    if (rng_once_in(rng, 40))
        return (uint32_t)rng_between(rng, 1, 3 * ARENA_PAGES);
    return (uint32_t)rng_between(rng, 1, rng_once_in(rng, 5) ? 300 : 64);
}

static void runs_never_overlap(void **state)
{
    struct bench *bench = *state;
    struct rng rng = rng_start("pool");
    span_id ids[SPANS] = {0};
    uint16_t *map = calloc(MAP_PAGES, sizeof *map);
    size_t taken = 0;
    map[0] = UINT16_MAX;
    for (unsigned round = 0; round < SCALED(100000); round++) {
        uint16_t n = (uint16_t)rng_below(&rng, SPANS), mine = (uint16_t)(n + 1);
        struct span *span = ids[n] != 0 ? pool_span(bench->pool, ids[n]) : NULL;
        if (span == NULL) {
            uint32_t pages = random_pages(&rng);
            size_t resident;
            unsigned class_index = pages > 64 || rng_once_in(&rng, 2) ? CLASS_LARGE : 5;
            ids[n] = pool_take(bench->pool, class_index, pages, 0, &resident);
            assert_int_not_equal(ids[n], 0);
            span = pool_span(bench->pool, ids[n]);
            assert_int_equal(span->pages, pages);
            assert_true(resident <= pages);
            mark(map, span, 0, mine);
            taken += pages;
        } else if (span->class_index == CLASS_LARGE && rng_once_in(&rng, 3)) {
            uint32_t pages = random_pages(&rng), before = span->pages;
            mark(map, span, mine, 0);
            if (pages < before)
                pool_cut(bench->pool, ids[n], pages);
            else if (pages > before)
                pool_extend(bench->pool, ids[n], pages);
            mark(map, span, 0, mine); /* fails if it took somebody's page */
            taken += (size_t)span->pages - before;
        } else {
            if (span->class_index != CLASS_LARGE)
                span->touched_pages = (uint8_t)rng_between(&rng, 0, span->pages);
            taken -= span->pages;
            mark(map, span, mine, 0);
            pool_release(bench->pool, ids[n]);
            ids[n] = 0;
        }
        if (rng_once_in(&rng, 200))
            ebb_pool_trim(bench->pool, rng_below(&rng, 64) << 20, true);
        assert_int_equal(stats_of(bench).span_bytes, taken * EBB_PAGE_BYTES);
        if (round % 1000 == 0)
            assert_int_equal(ebb_pool_check(bench->pool), 0);
    }
    for (unsigned n = 0; n < SPANS; n++)
        for (size_t p = 0; ids[n] != 0 && p < pool_span(bench->pool, ids[n])->pages; p++) {
            bool is_findable = p == 0 || pool_span(bench->pool, ids[n])->class_index != CLASS_LARGE;
            ebb_ref ref = (first_page(bench, ids[n]) + (ebb_ref)p) * PAGE_GRANULES;
            assert_int_equal(pool_find(bench->pool, ref), is_findable ? ids[n] : 0);
        }
    free(map);
}

/* ---- what it costs ---- */

static size_t resident_metadata(const struct bench *bench)
{
    return fake_os_resident_bytes(&bench->fake, bench->pool->metadata,
                                  (size_t)bench->pool->arena_frontier * ARENA_STRIDE);
}

static void metadata_follows_the_arenas_down(void **state)
{
    struct bench *bench = *state;
    enum { RUNS = 6 * ARENA_PAGES };
    span_id *ids = calloc(RUNS, sizeof *ids);
    for (unsigned n = 0; n < RUNS; n++)
        ids[n] = take(bench, 1);
    struct ebb_pool_stats full = stats_of(bench);
    assert_int_equal(full.metadata_bytes, resident_metadata(bench));
    assert_int_equal(full.arena_count, 7);
    for (unsigned n = 0; n < RUNS; n++)
        pool_release(bench->pool, ids[n]);
    ebb_pool_trim(bench->pool, SIZE_MAX, true);
    struct ebb_pool_stats empty = stats_of(bench);
    assert_int_equal(empty.arena_count, 0);
    assert_int_equal(empty.idle_bytes, 0);
    /* Arena 0 stays because of page 0; the six others are forgotten. */
    assert_true(empty.metadata_bytes <= ARENA_STRIDE);
    assert_int_equal(empty.metadata_bytes, resident_metadata(bench));
    assert_int_equal(ebb_pool_check(bench->pool), 0);
    /* And they are as good as new. */
    for (unsigned n = 0; n < RUNS; n++)
        ids[n] = take(bench, 1);
    assert_int_equal(stats_of(bench).metadata_bytes, full.metadata_bytes);
    assert_int_equal(ebb_pool_check(bench->pool), 0);
    free(ids);
}

static void metadata_of_an_untouched_pool_is_nothing(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(stats_of(bench).metadata_bytes, 0);
    assert_int_equal(resident_metadata(bench), 0);
}

static void a_trimmed_page_is_away_until_it_is_written(void **state)
{
    struct bench *bench = *state;
    span_id id = take(bench, 1000);
    char *data =
        (char *)ebb_pool_base(bench->pool) + (size_t)first_page(bench, id) * EBB_PAGE_BYTES;
    memset(data, 1, 1000 * EBB_PAGE_BYTES);
    assert_int_equal(fake_os_resident_bytes(&bench->fake, data, 1000 * EBB_PAGE_BYTES),
                     1000 * EBB_PAGE_BYTES);
    pool_release(bench->pool, id);
    assert_int_equal(ebb_pool_trim(bench->pool, 300 * EBB_PAGE_BYTES, true), 300 * EBB_PAGE_BYTES);
    assert_int_equal(fake_os_resident_bytes(&bench->fake, data, 1000 * EBB_PAGE_BYTES),
                     700 * EBB_PAGE_BYTES);
    assert_int_equal(ebb_pool_trim(bench->pool, SIZE_MAX, true), 700 * EBB_PAGE_BYTES);
    assert_int_equal(fake_os_resident_bytes(&bench->fake, data, 1000 * EBB_PAGE_BYTES), 0);
    size_t resident;
    id = pool_take(bench->pool, CLASS_LARGE, 1000, 0, &resident);
    assert_int_equal(resident, 0);
    assert_int_equal(fake_os_resident_bytes(&bench->fake, data, 1000 * EBB_PAGE_BYTES), 0);
}

/* ---- when there is no more ---- */

static void an_exhausted_range_refuses_and_recovers(void **state)
{
    struct bench *bench = *state; /* of 256 MiB */
    span_id ids[200];
    unsigned count = 0;
    while ((ids[count] = take(bench, ARENA_PAGES)) != 0)
        count++;
    assert_int_equal(count, 127); /* arena 0 lacks its page 0 */
    assert_int_equal(take(bench, 2 * ARENA_PAGES), 0);
    assert_int_equal(first_page(bench, take(bench, ARENA_PAGES - 1)), 1);
    assert_int_equal(take(bench, 1), 0);
    assert_int_equal(ebb_pool_check(bench->pool), 0);
    pool_release(bench->pool, ids[50]);
    pool_release(bench->pool, ids[51]);
    assert_int_not_equal(take(bench, 2 * ARENA_PAGES), 0);
    assert_int_equal(stats_of(bench).commit_errors, 0); /* the system refused nothing */
}

/* The 16 arenas that may have the run, and are looked at first, do not; the seventeenth does. */
static void a_run_that_is_there_is_found_in_the_end(void **state)
{
    struct bench *bench = *state; /* of 256 MiB */
    enum { ARENAS = LEAST_RESERVE / ARENA_BYTES };
    span_id holes[ARENAS];
    take(bench, ARENA_PAGES - 1); /* arena 0 */
    for (unsigned a = 1; a < ARENAS; a++) {
        uint32_t hole = a == ARENAS - 1 ? 140 : 130;
        holes[a] = take(bench, hole);
        take(bench, ARENA_PAGES - hole);
        assert_int_equal(first_page(bench, holes[a]), a * ARENA_PAGES);
    }
    for (unsigned a = 1; a < ARENAS; a++)
        pool_release(bench->pool, holes[a]);
    assert_int_equal(first_page(bench, take(bench, 140)), (ARENAS - 1) * ARENA_PAGES);
}

static void a_refused_commit_changes_nothing(void **state)
{
    struct bench *bench = *state;
    span_id id = take(bench, (ARENAS_PER_COMMIT - 1) * ARENA_PAGES);
    struct ebb_pool_stats before = stats_of(bench);
    for (size_t nth = 1; nth <= 2; nth++) { /* metadata, data */
        fake_os_fail(&bench->fake, FAKE_COMMIT, nth, 1);
        assert_int_equal(take(bench, ARENA_PAGES), 0);
        assert_int_equal(ebb_pool_check(bench->pool), 0);
        assert_int_equal(stats_of(bench).span_bytes, before.span_bytes);
        assert_int_equal(stats_of(bench).commit_errors, nth);
    }
    fake_os_fail_never(&bench->fake);
    assert_int_not_equal(take(bench, ARENA_PAGES), 0);
    pool_release(bench->pool, id);
    assert_int_equal(ebb_pool_check(bench->pool), 0);
}

static void create_halves_the_range_until_it_is_granted(void **state)
{
    (void)state;
    struct fake_os fake;
    struct ebb_pool *pool = NULL;
    fake_os_init(&fake);
    struct ebb_pool_config config = {.os = &fake.os, .reserve_bytes = 4 * LEAST_RESERVE};
    fake_os_fail(&fake, FAKE_RESERVE, 1, 2);
    assert_int_equal(ebb_pool_create(&pool, &config), 0);
    struct ebb_pool_stats stats;
    ebb_pool_stats(pool, &stats);
    assert_int_equal(stats.reserved_bytes, LEAST_RESERVE);
    ebb_pool_destroy(pool);
    assert_true(fake_os_is_clean(&fake));
}

static void create_fails_cleanly(void **state)
{
    (void)state;
    for (size_t nth = 1;; nth++) {
        struct fake_os fake;
        struct ebb_pool *pool = NULL;
        fake_os_init(&fake);
        struct ebb_pool_config config = {.os = &fake.os, .reserve_bytes = LEAST_RESERVE};
        fake_os_fail(&fake, FAKE_ANY, nth, SIZE_MAX / 2);
        int error = ebb_pool_create(&pool, &config);
        if (error == 0) {
            assert_true(nth > 4); /* two ranges reserved, two commits */
            ebb_pool_destroy(pool);
            break;
        }
        assert_int_equal(error, EBB_ALLOC_ENOMEM);
        assert_null(pool);
        assert_true(fake_os_is_clean(&fake));
    }
}

static void create_takes_the_systems_own_table(void **state)
{
    (void)state;
    struct ebb_pool *pool;
    assert_int_equal(ebb_pool_create(&pool, NULL), 0);
    struct ebb_pool_stats stats;
    ebb_pool_stats(pool, &stats);
    assert_true(stats.reserved_bytes <= (UINT64_C(1) << EBB_REF_BITS) * EBB_GRANULE_BYTES);
    ebb_pool_destroy(pool);
    ebb_pool_destroy(NULL);
}

static size_t pages_of_16_kib(void *context)
{
    (void)context;
    return 16384;
}

/* Giving one of our pages back would take its neighbours. */
static void create_refuses_a_system_with_longer_pages(void **state)
{
    (void)state;
    struct fake_os fake;
    struct ebb_pool *pool = NULL;
    fake_os_init(&fake);
    fake.os.page_bytes = pages_of_16_kib;
    struct ebb_pool_config config = {.os = &fake.os, .reserve_bytes = LEAST_RESERVE};
    assert_int_equal(ebb_pool_create(&pool, &config), EBB_ALLOC_EPAGES);
    assert_null(pool);
    assert_true(fake_os_is_clean(&fake));
    assert_int_equal(ebb_os_system.page_bytes(NULL), sysconf(_SC_PAGESIZE));
}

/* A ref has 38 bits: a range that needs more is not to be had, however much is asked for. */
static void create_reserves_no_more_than_refs_reach(void **state)
{
    (void)state;
    struct ebb_pool *pool;
    struct ebb_pool_config config = {.reserve_bytes = UINT64_C(1) << 42};
    assert_int_equal(ebb_pool_create(&pool, &config), 0);
    struct ebb_pool_stats stats;
    ebb_pool_stats(pool, &stats);
    assert_true(stats.reserved_bytes <= (UINT64_C(1) << EBB_REF_BITS) * EBB_GRANULE_BYTES);
    ebb_pool_destroy(pool);
}

#define POOL_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* ---- the limit ---- */

static void pool_refuses_pages_beyond_its_limit(void **state)
{
    struct bench *bench = *state;
    span_id first = take(bench, 100);
    size_t held = 100 * EBB_PAGE_BYTES + stats_of(bench).metadata_bytes;
    ebb_pool_limit(bench->pool, held + 50 * EBB_PAGE_BYTES);
    assert_int_equal(take(bench, 51), 0);
    assert_int_equal(stats_of(bench).refusals, 1);
    assert_false(pool_extend(bench->pool, first, 151));
    span_id second = take(bench, 50);
    assert_true(second != 0);
    assert_int_equal(take(bench, 1), 0);
    size_t resident;
    span_id beyond = pool_take(bench->pool, CLASS_LARGE, 1, EXCUSED_ALL, &resident);
    assert_true(beyond != 0); /* for what can't be refused */
    pool_release(bench->pool, beyond);
    ebb_pool_trim(bench->pool, SIZE_MAX, true);
    /* Idle pages count, but taking those adds nothing. */
    pool_release(bench->pool, second);
    assert_true(stats_of(bench).idle_bytes >= 50 * EBB_PAGE_BYTES);
    assert_int_equal(take(bench, 200), 0);
    second = take(bench, 50);
    assert_true(second != 0);
    ebb_pool_limit(bench->pool, SIZE_MAX);
    assert_true(stats_of(bench).limit_bytes == SIZE_MAX);
    span_id third = take(bench, 200);
    assert_true(third != 0);
    pool_release(bench->pool, first);
    pool_release(bench->pool, second);
    pool_release(bench->pool, third);
    assert_int_equal(ebb_pool_check(bench->pool), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(pool_never_hands_out_page_0),
        POOL_TEST(pool_takes_the_lowest_run_that_fits),
        POOL_TEST(pool_prefers_the_lower_arena),
        POOL_TEST(pool_finds_a_run_longer_than_its_power_of_two),
        POOL_TEST(pool_puts_large_runs_over_several_arenas),
        POOL_TEST(pool_moves_its_frontier_for_a_run_longer_than_a_commit),
        POOL_TEST(pool_reads_as_zero_where_nobody_wrote),
        POOL_TEST(cut_gives_the_end_back),
        POOL_TEST(extend_grows_in_place_while_pages_are_free),
        POOL_TEST(extend_crosses_arenas),
        POOL_TEST(extend_stops_at_the_frontier),
        POOL_TEST(runs_never_overlap),
        POOL_TEST(metadata_follows_the_arenas_down),
        POOL_TEST(metadata_of_an_untouched_pool_is_nothing),
        POOL_TEST(a_trimmed_page_is_away_until_it_is_written),
        cmocka_unit_test_setup_teardown(an_exhausted_range_refuses_and_recovers, setup_least,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_run_that_is_there_is_found_in_the_end, setup_least,
                                        teardown),
        POOL_TEST(a_refused_commit_changes_nothing),
        POOL_TEST(pool_refuses_pages_beyond_its_limit),
        cmocka_unit_test(create_halves_the_range_until_it_is_granted),
        cmocka_unit_test(create_fails_cleanly),
        cmocka_unit_test(create_takes_the_systems_own_table),
        cmocka_unit_test(create_refuses_a_system_with_longer_pages),
        cmocka_unit_test(create_reserves_no_more_than_refs_reach),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
