/* SPDX-License-Identifier: MIT */
/* test_pool_threads.c: two heaps of one pool at work in two threads, so that runs of pages pass
 * from one to the other, while a third trims and reads statistics. For the thread sanitizer above
 * all.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <pthread.h>
#include <time.h>
#include <cmocka.h>

#include "support/rng.h"
#include "support/twin.h"

#define OBJECTS       2000u
#define RESERVE_BYTES (UINT64_C(1) << 30)

struct worker {
    struct ebb_pool *pool;
    struct twin twin;
    struct rng rng;
    unsigned rounds;
    pthread_t thread;
};

static size_t random_bytes(struct rng *rng)
{
    if (rng_once_in(rng, 200))
        return rng_between(rng, EBB_LARGE_BYTES + 1, 2 * (size_t)ARENA_BYTES);
    return rng_between(rng, 1, rng_once_in(rng, 8) ? 20000 : 600);
}

static void step(struct worker *worker)
{
    struct twin *twin = &worker->twin;
    struct rng *rng = &worker->rng;
    size_t n = rng_below(rng, OBJECTS);
    if (!twin_has(twin, n))
        TWIN_REQUIRE(twin_alloc(twin, n, random_bytes(rng)));
    else if (rng_once_in(rng, 3))
        TWIN_REQUIRE(twin_resize(twin, n, random_bytes(rng)) == 0);
    else
        twin_free(twin, n);
}

/* Fills, works, empties, again and again: what one heap drops the other takes. */
static void *work(void *context)
{
    struct worker *worker = context;
    struct twin *twin = &worker->twin;
    for (unsigned round = 0; round < worker->rounds; round++) {
        step(worker);
        if (round % 200 == 0)
            twin_compact(twin, EBB_URGE_MANUAL, 100000, 3);
        if (round % 5000 == 4999) {
            TWIN_REQUIRE(ebb_heap_check(twin->heap) == 0);
            twin_verify_all(twin);
            twin_reset(twin);
        }
    }
    twin_verify_all(twin);
    return NULL;
}

struct trimmer {
    struct ebb_pool *pool;
    bool is_over;
    size_t trimmed_bytes;
};

static void *trim(void *context)
{
    struct trimmer *trimmer = context;
    const struct timespec pause = {.tv_nsec = 200000};
    for (unsigned n = 0; !__atomic_load_n(&trimmer->is_over, __ATOMIC_ACQUIRE); n++) {
        struct ebb_pool_stats stats;
        trimmer->trimmed_bytes += ebb_pool_trim(trimmer->pool, (size_t)4 << 20, n % 4 != 0);
        ebb_pool_stats(trimmer->pool, &stats);
        TWIN_REQUIRE(stats.span_bytes + stats.idle_bytes <= RESERVE_BYTES);
        nanosleep(&pause, NULL);
    }
    return NULL;
}

/* Somebody who watches the map meanwhile. Figures are of a moment; each must be possible. */
static void *watch(void *context)
{
    struct trimmer *watcher = context;
    struct ebb_page *pages = malloc(EBB_MAP_ARENAS_MAX * EBB_ARENA_PAGES * sizeof *pages);
    const struct timespec pause = {.tv_nsec = 300000};
    while (!__atomic_load_n(&watcher->is_over, __ATOMIC_ACQUIRE)) {
        for (size_t at = 0, done; (done = ebb_pool_map(watcher->pool, at, SIZE_MAX, pages)) > 0;
             at += done)
            for (size_t p = 0; p < done * EBB_ARENA_PAGES; p++)
                TWIN_REQUIRE(pages[p].kind < EBB_PAGE_KIND_COUNT && pages[p].used_percent <= 100);
        nanosleep(&pause, NULL);
    }
    free(pages);
    return NULL;
}

static void heaps_share_a_pool_while_it_is_trimmed(void **state)
{
    (void)state;
    struct rng rng = rng_start("pool threads");
    struct ebb_pool *pool;
    struct ebb_pool_config config = {.reserve_bytes = RESERVE_BYTES};
    assert_int_equal(ebb_pool_create(&pool, &config), 0);
    struct worker workers[2];
    for (unsigned w = 0; w < 2; w++) {
        workers[w] = (struct worker){.rng = rng_seeded(rng_next(&rng)), .rounds = SCALED(150000)};
        twin_init(&workers[w].twin, pool, OBJECTS);
    }
    struct trimmer trimmer = {.pool = pool};
    pthread_t trimming, watching;
    assert_int_equal(pthread_create(&trimming, NULL, trim, &trimmer), 0);
    assert_int_equal(pthread_create(&watching, NULL, watch, &trimmer), 0);
    for (unsigned w = 0; w < 2; w++)
        assert_int_equal(pthread_create(&workers[w].thread, NULL, work, &workers[w]), 0);
    for (unsigned w = 0; w < 2; w++)
        assert_int_equal(pthread_join(workers[w].thread, NULL), 0);
    __atomic_store_n(&trimmer.is_over, true, __ATOMIC_RELEASE);
    assert_int_equal(pthread_join(trimming, NULL), 0);
    assert_int_equal(pthread_join(watching, NULL), 0);
    assert_true(trimmer.trimmed_bytes > 0);
    size_t span_pages = 0;
    for (unsigned w = 0; w < 2; w++) {
        twin_check(&workers[w].twin);
        span_pages += workers[w].twin.heap->span_pages;
    }
    assert_int_equal(pool->span_pages, span_pages);
    for (unsigned w = 0; w < 2; w++)
        twin_release(&workers[w].twin);
    assert_int_equal(ebb_pool_trim(pool, SIZE_MAX, true) % EBB_PAGE_BYTES, 0);
    struct ebb_pool_stats stats;
    ebb_pool_stats(pool, &stats);
    assert_int_equal(stats.span_bytes, 0);
    assert_int_equal(stats.idle_bytes, 0);
    assert_int_equal(stats.arena_count, 0);
    ebb_pool_destroy(pool);
}

static void *come_and_go(void *context)
{
    struct ebb_pool *pool = context;
    for (unsigned round = 0; round < SCALED(300); round++) {
        struct twin twin;
        twin_init(&twin, pool, 20);
        for (size_t n = 0; n < 20; n++)
            TWIN_REQUIRE(twin_alloc(&twin, n, 1 + n * 999));
        twin_compact(&twin, EBB_URGE_CALM, 100000, 2);
        twin_verify_all(&twin);
        twin_release(&twin);
    }
    return NULL;
}

static void heaps_come_and_go_beside_each_other(void **state)
{
    (void)state;
    struct ebb_pool *pool;
    struct ebb_pool_config config = {.reserve_bytes = RESERVE_BYTES};
    assert_int_equal(ebb_pool_create(&pool, &config), 0);
    pthread_t threads[3];
    for (unsigned t = 0; t < 3; t++)
        assert_int_equal(pthread_create(&threads[t], NULL, come_and_go, pool), 0);
    for (unsigned t = 0; t < 3; t++)
        assert_int_equal(pthread_join(threads[t], NULL), 0);
    assert_int_equal(ebb_pool_check(pool), 0);
    ebb_pool_destroy(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heaps_share_a_pool_while_it_is_trimmed),
        cmocka_unit_test(heaps_come_and_go_beside_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
