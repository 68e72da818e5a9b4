/* SPDX-License-Identifier: MIT */
/* test_use.c: the orders of eviction, alone: what each bit says, and how many misses they make of a
 * trace, beside a twin that keeps a real LRU list.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../server/store/ghost.h"
#include "../server/store/use.h"
#include "support/rng.h"

/* ---- single bits ---- */

static void s3_items_are_born_small_or_known(void **state)
{
    (void)state;
    struct use_clocks clocks = {.small = {.now = 7}, .main = {.now = 90}};
    unsigned small = use_born(USE_S3, &clocks, false), known = use_born(USE_S3, &clocks, true);
    assert_int_equal(small & USE_MAIN, 0);
    assert_int_equal(known & USE_MAIN, USE_MAIN);
    assert_int_equal(use_age(USE_S3, &clocks, small), 0);
    assert_int_equal(use_age(USE_S3, &clocks, known), 0);
    assert_true(use_is_unfetched(USE_S3, small));
    assert_false(use_is_unfetched(USE_S3, known));
}

static void s3_hits_write_the_slot_three_times_at_most(void **state)
{
    (void)state;
    struct use_clocks clocks = {.small = {.now = 1}};
    unsigned use = use_born(USE_S3, &clocks, false), writes = 0;
    for (unsigned i = 0; i < 100; i++) {
        unsigned next = use_hit(USE_S3, &clocks, use, i);
        writes += next != use;
        use = next;
    }
    assert_int_equal(writes, 3);
    assert_false(use_is_unfetched(USE_S3, use));
}

static void s3_moves_to_main_what_was_hit_twice(void **state)
{
    (void)state;
    struct use_clocks clocks = {.small = {.now = 3}, .main = {.now = 9}};
    unsigned use = use_born(USE_S3, &clocks, false);
    assert_false(use_spares(USE_S3, &clocks, &use));
    use = use_hit(USE_S3, &clocks, use, 0);
    assert_false(use_spares(USE_S3, &clocks, &use));
    use = use_hit(USE_S3, &clocks, use, 0);
    assert_true(use_spares(USE_S3, &clocks, &use));
    assert_int_equal(use & USE_MAIN, USE_MAIN);
    assert_false(use_spares(USE_S3, &clocks, &use)); /* its hits are spent */
    use = use_hit(USE_S3, &clocks, use, 0);
    clocks.main.now += 5;
    assert_int_equal(use_age(USE_S3, &clocks, use), 5);
    assert_true(use_spares(USE_S3, &clocks, &use)); /* once for each hit, and it is young again */
    assert_int_equal(use_age(USE_S3, &clocks, use), 0);
    assert_false(use_spares(USE_S3, &clocks, &use));
}

static void s3_ranks_the_wanted_kind_first_and_the_old_before_the_young(void **state)
{
    (void)state;
    struct use_clocks clocks = {.small = {.now = 250}, .main = {.now = 250}};
    unsigned old_main = use_born(USE_S3, &clocks, true);
    unsigned old_small = use_born(USE_S3, &clocks, false);
    clocks.small.now = (uint8_t)(clocks.small.now + 10); /* around the end of its byte */
    clocks.main.now = (uint8_t)(clocks.main.now + 20);
    unsigned small = use_born(USE_S3, &clocks, false);
    assert_int_equal(use_age(USE_S3, &clocks, old_small), 10);
    assert_true(use_rank(USE_S3, &clocks, small, true) > use_rank(USE_S3, &clocks, old_main, true));
    assert_true(use_rank(USE_S3, &clocks, small, false) <
                use_rank(USE_S3, &clocks, old_main, false));
    assert_true(use_rank(USE_S3, &clocks, old_small, true) >
                use_rank(USE_S3, &clocks, small, true));
    assert_true(use_rank(USE_S3, &clocks, small, true) >= USE_RANK_KIND);
    assert_true(use_rank(USE_S3, &clocks, old_main, true) < USE_RANK_KIND);
}

static void lfu_hits_fade(void **state)
{
    (void)state;
    struct use_clocks clocks = {.small = {.now = 1}};
    unsigned cold = use_born(USE_LFU, &clocks, false), hot = cold;
    for (unsigned i = 0; i < 1000; i++)
        hot = use_hit(USE_LFU, &clocks, hot, i * UINT64_C(0x9E3779B97F4A7C15) >> 11);
    assert_true(use_rank(USE_LFU, &clocks, cold, false) > use_rank(USE_LFU, &clocks, hot, false));
    clocks.small.now += 14;
    unsigned fresh = use_born(USE_LFU, &clocks, false);
    assert_true(use_rank(USE_LFU, &clocks, hot, false) > use_rank(USE_LFU, &clocks, fresh, false));
}

static void clocks_tick_with_the_bytes_that_come(void **state)
{
    (void)state;
    struct use_clocks clocks = {.small = {.now = 0}};
    unsigned ticks = 0;
    for (unsigned i = 0; i < 1000; i++) /* as much as all of it */
        ticks += use_advance(USE_S3, &clocks, true, 1000, 1000000, 2000000);
    assert_int_equal(ticks, 8);
    assert_int_equal(clocks.main.now, 8);
    assert_int_equal(clocks.small.now, 0);
    for (unsigned i = 0; i < 2000; i++)
        use_advance(USE_LRU, &clocks, false, 1000, 1000000, 2000000);
    assert_in_range(clocks.small.now, 62, 64);
}

/* ---- the ghost ---- */

static void ghost_remembers_about_as_many_as_it_has_room_for(void **state)
{
    (void)state;
    struct ghost ghost = {0};
    struct rng rng = rng_seeded(1);
    static uint64_t hashes[40000];
    assert_false(ghost_take(&ghost, 5)); /* without memory there is none */
    ghost_add(&ghost, 5);
    ghost_resize(&ghost, 10000);
    assert_in_range(ghost_keys(&ghost), 9900, 10000);
    for (unsigned i = 0; i < 40000; i++)
        ghost_add(&ghost, hashes[i] = rng_next(&rng));
    unsigned late = 0, early = 0, strange = 0;
    for (unsigned i = 0; i < 10000; i++)
        strange += ghost_take(&ghost, rng_next(&rng));
    for (unsigned i = 35000; i < 40000; i++)
        late += ghost_take(&ghost, hashes[i]);
    for (unsigned i = 0; i < 20000; i++)
        early += ghost_take(&ghost, hashes[i]);
    assert_true(late > 4950 && early < 100 && strange < 30);
    assert_false(ghost_take(&ghost, hashes[39999])); /* taken once */
    ghost_resize(&ghost, 0);
    assert_int_equal(ghost_bytes(&ghost), 0);
}

/* ---- traces ---- */

#define CACHE_ITEMS 2000u
#define KEYS        20000u
#define REQUESTS    ((unsigned)SCALED(400000u))
#define SAMPLE      12u
#define NOWHERE     UINT32_MAX

struct trace {
    uint32_t *keys;
    size_t count;
};

static double *zipf_sums(double exponent)
{
    double *sums = malloc(KEYS * sizeof *sums), sum = 0;
    for (unsigned k = 0; k < KEYS; k++)
        sums[k] = sum += 1 / pow(k + 1, exponent);
    return sums;
}

static uint32_t zipf_pick(const double *sums, struct rng *rng)
{
    double at = (double)rng_below(rng, UINT32_MAX) / UINT32_MAX * sums[KEYS - 1];
    uint32_t low = 0, high = KEYS - 1;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (sums[middle] < at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Zipf's law, and one request in `scan_each` for a key that is asked for once (0: none). */
static struct trace make_trace(double exponent, unsigned scan_each, uint64_t seed)
{
    struct trace trace = {malloc(REQUESTS * sizeof(uint32_t)), REQUESTS};
    struct rng rng = rng_seeded(seed);
    double *sums = zipf_sums(exponent);
    uint32_t once = KEYS;
    for (size_t i = 0; i < trace.count; i++)
        trace.keys[i] = scan_each != 0 && i % scan_each == 0 ? once++ : zipf_pick(sums, &rng);
    free(sums);
    return trace;
}

/* The stupid twin: a list with the last used in front. */
static size_t lru_misses(const struct trace *trace)
{
    static uint64_t used[KEYS + REQUESTS];
    static uint32_t held[CACHE_ITEMS];
    size_t misses = 0, count = 0;
    memset(used, 0, sizeof used);
    for (size_t i = 0; i < trace->count; i++) {
        uint32_t key = trace->keys[i];
        if (used[key] == 0) {
            misses++;
            size_t at = count;
            if (count == CACHE_ITEMS) {
                at = 0;
                for (size_t n = 1; n < count; n++)
                    at = used[held[n]] < used[held[at]] ? n : at;
                used[held[at]] = 0;
            } else {
                count++;
            }
            held[at] = key;
        }
        used[key] = i + 1;
    }
    return misses;
}

/* What victim.c does, for items of one size. */
struct cache {
    enum use_order order;
    struct use_clocks clocks;
    struct ghost ghost;
    struct rng rng;
    uint32_t keys[CACHE_ITEMS];
    unsigned uses[CACHE_ITEMS];
    size_t count, small;
};

static uint64_t hash_of(uint32_t key)
{
    uint64_t x = (key + 1) * UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    return x ^ x >> 31;
}

static void tick(struct cache *cache, bool is_main)
{
    size_t kind = is_main ? cache->count - cache->small : cache->small;
    use_advance(cache->order, &cache->clocks, is_main, 1000, kind * 1000, cache->count * 1000);
}

static void set_use(struct cache *cache, size_t at, unsigned use)
{
    cache->small -= !(cache->uses[at] & USE_MAIN);
    cache->small += !(use & USE_MAIN);
    cache->uses[at] = use;
}

static size_t evict(struct cache *cache)
{
    for (;;) {
        bool wants_small = cache->small * 100 > cache->count * USE_SMALL_PERCENT;
        size_t best = 0;
        unsigned best_rank = 0;
        for (unsigned i = 0; i < SAMPLE; i++) {
            size_t at = rng_below(&cache->rng, (uint32_t)cache->count);
            unsigned rank = use_rank(cache->order, &cache->clocks, cache->uses[at], wants_small);
            if (i == 0 || rank > best_rank) {
                best = at;
                best_rank = rank;
            }
        }
        unsigned use = cache->uses[best];
        if (!use_spares(cache->order, &cache->clocks, &use)) {
            if (cache->order == USE_S3 && !(use & USE_MAIN))
                ghost_add(&cache->ghost, hash_of(cache->keys[best]));
            return best;
        }
        set_use(cache, best, use);
        tick(cache, true);
    }
}

static size_t misses_of(enum use_order order, const struct trace *trace)
{
    static uint32_t where[KEYS + REQUESTS];
    struct cache *cache = calloc(1, sizeof *cache);
    cache->order = order;
    cache->rng = rng_seeded(order);
    ghost_resize(&cache->ghost, CACHE_ITEMS);
    memset(where, 255, sizeof where);
    size_t misses = 0;
    for (size_t i = 0; i < trace->count; i++) {
        uint32_t key = trace->keys[i], at = where[key];
        if (at != NOWHERE) {
            set_use(cache, at,
                    use_hit(order, &cache->clocks, cache->uses[at], rng_next(&cache->rng)));
            continue;
        }
        misses++;
        at = (uint32_t)cache->count;
        if (cache->count == CACHE_ITEMS) {
            at = (uint32_t)evict(cache);
            where[cache->keys[at]] = NOWHERE;
            cache->small -= !(cache->uses[at] & USE_MAIN);
        } else {
            cache->count++;
        }
        bool is_known = order == USE_S3 && ghost_take(&cache->ghost, hash_of(key));
        tick(cache, is_known);
        cache->keys[at] = key;
        cache->uses[at] = use_born(order, &cache->clocks, is_known);
        cache->small += !(cache->uses[at] & USE_MAIN);
        where[key] = at;
    }
    ghost_resize(&cache->ghost, 0);
    free(cache);
    return misses;
}

static void s3_misses_less_than_lru_on_zipf_traces(void **state)
{
    (void)state;
    static const double exponents[] = {0.6, 0.8, 1.0, 1.2};
    for (unsigned e = 0; e < 4; e++) {
        struct trace trace = make_trace(exponents[e], 0, e + 1);
        size_t lru = lru_misses(&trace), s3 = misses_of(USE_S3, &trace);
        size_t sampled = misses_of(USE_LRU, &trace), lfu = misses_of(USE_LFU, &trace);
        print_message("# zipf %.1f: misses of %u: LRU list %zu, lru %zu, lfu %zu, s3fifo %zu\n",
                      exponents[e], REQUESTS, lru, sampled, lfu, s3);
        assert_true(s3 < lru);
        assert_true(lfu < lru);
        assert_true(sampled < lru + lru / 20 && sampled > lru - lru / 20);
        free(trace.keys);
    }
}

static void s3_is_not_swept_away_by_a_scan(void **state)
{
    (void)state;
    struct trace trace = make_trace(1.0, 3, 9);
    size_t scanned = trace.count / 3;
    size_t lru = lru_misses(&trace) - scanned, s3 = misses_of(USE_S3, &trace) - scanned;
    print_message("# with a third of it scanned: LRU list %zu, s3fifo %zu\n", lru, s3);
    assert_true(s3 < lru - lru / 10);
    free(trace.keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(s3_items_are_born_small_or_known),
        cmocka_unit_test(s3_hits_write_the_slot_three_times_at_most),
        cmocka_unit_test(s3_moves_to_main_what_was_hit_twice),
        cmocka_unit_test(s3_ranks_the_wanted_kind_first_and_the_old_before_the_young),
        cmocka_unit_test(lfu_hits_fade),
        cmocka_unit_test(clocks_tick_with_the_bytes_that_come),
        cmocka_unit_test(ghost_remembers_about_as_many_as_it_has_room_for),
        cmocka_unit_test(s3_misses_less_than_lru_on_zipf_traces),
        cmocka_unit_test(s3_is_not_swept_away_by_a_scan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
