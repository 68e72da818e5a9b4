/* SPDX-License-Identifier: MIT */
/* test_trim.c: what is given back, and when, with the test turning the clock. Loads are runs of
 * pages taken from the pool and given back; nobody writes to them, so hours pass in milliseconds.
 */
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

#define MIB          (UINT64_C(1) << 20)
#define RUN_PAGES    64u
#define RUN_BYTES    (RUN_PAGES * (size_t)EBB_PAGE_BYTES)
#define RUNS_MAX     3000u
#define TRIM_AT_ONCE (64 * MIB)

struct bench {
    struct fake_os fake;
    struct ebb_pool *pool;
    span_id runs[RUNS_MAX];
    size_t count;
    uint64_t tick_ms; /* how often the owner's timer calls trim */
};

static int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    fake_os_init(&bench->fake);
    struct ebb_pool_config config = {.os = &bench->fake.os, .reserve_bytes = FAKE_RESERVE_BYTES};
    assert_int_equal(ebb_pool_create(&bench->pool, &config), 0);
    bench->tick_ms = 100;
    *state = bench;
    return 0;
}

static void load(struct bench *bench, size_t bytes)
{
    while (bench->count * RUN_BYTES < bytes) {
        size_t resident;
        bench->runs[bench->count] = pool_take(bench->pool, CLASS_LARGE, RUN_PAGES, 0, &resident);
        assert_int_not_equal(bench->runs[bench->count], 0);
        bench->count++;
    }
    while (bench->count * RUN_BYTES > bytes)
        pool_release(bench->pool, bench->runs[--bench->count]);
}

static int teardown(void **state)
{
    struct bench *bench = *state;
    load(bench, 0);
    assert_int_equal(ebb_pool_check(bench->pool), 0);
    ebb_pool_destroy(bench->pool);
    assert_true(fake_os_is_clean(&bench->fake));
    free(bench);
    return 0;
}

static struct ebb_pool_stats stats_of(const struct bench *bench)
{
    struct ebb_pool_stats stats;
    ebb_pool_stats(bench->pool, &stats);
    return stats;
}

static void pass(struct bench *bench, uint64_t ms)
{
    for (uint64_t t = 0; t < ms; t += bench->tick_ms) {
        fake_os_turn(&bench->fake, bench->tick_ms);
        ebb_pool_trim(bench->pool, TRIM_AT_ONCE, false);
    }
}

/* One swing of the load: high for half the period, low for the other. Returns the bytes that were
 * trimmed meanwhile, to be faulted in again by the next. */
static size_t swing(struct bench *bench, size_t low, size_t high, uint64_t period_ms)
{
    uint64_t before = stats_of(bench).trim_bytes;
    load(bench, high);
    pass(bench, period_ms / 2);
    load(bench, low);
    pass(bench, period_ms - period_ms / 2);
    return stats_of(bench).trim_bytes - before;
}

/* ---- one-shot ---- */

static void a_drop_returns_at_once_but_a_little(void **state)
{
    struct bench *bench = *state;
    load(bench, 256 * MIB);
    pass(bench, 2000);
    load(bench, 128 * MIB);
    assert_true(stats_of(bench).idle_bytes >= 127 * MIB);
    pass(bench, 3 * bench->tick_ms);
    assert_int_equal(stats_of(bench).idle_bytes, 2 * MIB); /* 1/64: it may come again in a moment */
    pass(bench, WINDOW_MIN_MS + 2 * DEMAND_BUCKET_MS + bench->tick_ms);
    assert_int_equal(stats_of(bench).idle_bytes, 0);
    assert_int_equal(stats_of(bench).window_ms, WINDOW_MIN_MS);
}

/* Makes the pool expect a load to come back within some seconds. */
static void learn(struct bench *bench, size_t high)
{
    for (unsigned wave = 0; wave < 5; wave++)
        swing(bench, 0, high, 4000);
    load(bench, high);
    pass(bench, 1000);
    assert_true(stats_of(bench).window_ms >= 2000);
}

static void a_drop_that_will_be_made_up_for_waits_for_the_window(void **state)
{
    struct bench *bench = *state;
    learn(bench, 256 * MIB);
    uint64_t window_ms = stats_of(bench).window_ms;
    load(bench, 0);
    pass(bench, window_ms - 2 * DEMAND_BUCKET_MS - 100);
    assert_int_equal(stats_of(bench).idle_bytes, 256 * MIB);
    pass(bench, 3 * window_ms);
    assert_int_equal(stats_of(bench).idle_bytes, 0);
}

/* What swings is kept for, not all that was there. */
static void a_drop_deeper_than_the_swings_returns_but_for_a_swing(void **state)
{
    struct bench *bench = *state;
    for (unsigned wave = 0; wave < 5; wave++)
        swing(bench, 104 * MIB, 128 * MIB, 4000);
    load(bench, 128 * MIB);
    pass(bench, 1000);
    assert_true(stats_of(bench).window_ms >= 2000);
    load(bench, 104 * MIB);
    pass(bench, 3 * bench->tick_ms);
    assert_int_equal(stats_of(bench).idle_bytes, 24 * MIB);
    load(bench, 0);
    pass(bench, 3 * bench->tick_ms);
    assert_true(stats_of(bench).idle_bytes >= 24 * MIB);
    assert_true(stats_of(bench).idle_bytes <= 27 * MIB);
    pass(bench, 4 * WINDOW_MAX_MS);
    assert_int_equal(stats_of(bench).idle_bytes, 0);
}

static void a_drop_returns_without_any_traffic_and_after_a_long_sleep(void **state)
{
    struct bench *bench = *state;
    load(bench, 64 * MIB);
    pass(bench, 1000);
    load(bench, 0);
    fake_os_turn(&bench->fake, UINT64_C(3600000)); /* the timer did not run either */
    ebb_pool_trim(bench->pool, SIZE_MAX, false);
    assert_int_equal(stats_of(bench).idle_bytes, 0);
}

static void hard_trim_does_not_wait(void **state)
{
    struct bench *bench = *state;
    learn(bench, 64 * MIB);
    load(bench, 0);
    assert_int_equal(ebb_pool_trim(bench->pool, SIZE_MAX, false), 0);
    assert_int_equal(ebb_pool_trim(bench->pool, SIZE_MAX, true), 64 * MIB);
    assert_int_equal(stats_of(bench).idle_bytes, 0);
}

/* The pool is unlocked during the call, but for metadata, and the timer's thread trims then, too.
 */
static int discard_while_the_timer_trims(void *context, void *start, size_t bytes)
{
    struct bench *bench = context; /* whose first member is the context */
    if (pthread_mutex_trylock(&bench->pool->lock) == 0) {
        pthread_mutex_unlock(&bench->pool->lock);
        ebb_pool_trim(bench->pool, TRIM_AT_ONCE, false);
    }
    return bench->fake.os.discard(context, start, bytes);
}

static void hard_trim_does_not_keep_what_another_thread_would(void **state)
{
    struct bench *bench = *state;
    learn(bench, 64 * MIB);
    load(bench, 0);
    bench->pool->os.discard = discard_while_the_timer_trims;
    assert_int_equal(ebb_pool_trim(bench->pool, SIZE_MAX, true), 64 * MIB);
    bench->pool->os.discard = bench->fake.os.discard;
    assert_int_equal(stats_of(bench).idle_bytes, 0);
}

static void trim_keeps_to_its_limit(void **state)
{
    struct bench *bench = *state;
    load(bench, 64 * MIB);
    load(bench, 0);
    size_t left = 64 * MIB;
    assert_int_equal(ebb_pool_trim(bench->pool, EBB_PAGE_BYTES - 1, true), 0);
    for (unsigned step = 0; left > 0; step++) {
        size_t most = (1 + step % 700) * (size_t)EBB_PAGE_BYTES;
        size_t work = ebb_pool_trim(bench->pool, most, true), now = stats_of(bench).idle_bytes;
        assert_true(left - now <= most && left - now <= work);
        assert_true(work >= most || now == 0);
        left = now;
        assert_int_equal(ebb_pool_check(bench->pool), 0);
    }
    assert_int_equal(stats_of(bench).trim_bytes, 64 * MIB);
    assert_int_equal(bench->fake.discarded_bytes >= 64 * MIB, 1);
}

static void trim_takes_the_highest_pages_first(void **state)
{
    struct bench *bench = *state;
    load(bench, 64 * MIB);
    load(bench, 0);
    uint64_t above = (uint64_t)32 * MIB / ARENA_BYTES;
    ebb_pool_trim(bench->pool, 32 * MIB, true);
    for (uint32_t a = 0; a < 32; a++)
        assert_int_equal(pool_arena(bench->pool, a)->idle_pages > 0, a <= above);
}

/* ---- waves ---- */

static void learns_waves(struct bench *bench, size_t low, uint64_t period_ms, uint64_t tick_ms)
{
    size_t high = low + 96 * MIB;
    bench->tick_ms = tick_ms;
    unsigned learning = 10, waves = 60;
    size_t early = 0, late = 0;
    for (unsigned wave = 0; wave < waves; wave++) {
        size_t faults = swing(bench, low, high, period_ms);
        if (wave < learning)
            early += faults;
        else
            late += faults;
    }
    /* To learn it pays for a wave for each doubling; then hardly a page. */
    assert_true(early <= 8 * 96 * MIB);
    if (late > 96 * MIB / 50 * (waves - learning))
        fail_msg("period %u ms, tick %u ms: %zu MiB trimmed in %u waves, window %u ms",
                 (unsigned)period_ms, (unsigned)tick_ms, late >> 20, waves - learning,
                 (unsigned)stats_of(bench).window_ms);
    assert_true(stats_of(bench).window_ms >= period_ms / 2);
    /* And it knows when they are over. */
    pass(bench, WINDOW_MAX_MS + 2000);
    assert_int_equal(stats_of(bench).idle_bytes, 0);
    assert_int_equal(stats_of(bench).span_bytes, bench->count * RUN_BYTES);
}

#define WAVE_TEST(name, low, period_ms, tick_ms)                                                   \
    static void name(void **state)                                                                 \
    {                                                                                              \
        learns_waves(*state, low, period_ms, tick_ms);                                             \
    }

WAVE_TEST(waves_of_1_s_cost_no_faults, 0, 1000, 100)
WAVE_TEST(waves_of_5_s_cost_no_faults, 0, 5000, 100)
WAVE_TEST(waves_of_20_s_cost_no_faults, 0, 20000, 100)
WAVE_TEST(waves_of_1_s_on_a_base_cost_no_faults, 128 * MIB, 1000, 100)
WAVE_TEST(waves_of_5_s_on_a_base_cost_no_faults, 128 * MIB, 5000, 100)
WAVE_TEST(waves_of_20_s_on_a_base_cost_no_faults, 128 * MIB, 20000, 100)
WAVE_TEST(waves_with_a_quick_timer_cost_no_faults, 0, 5000, 10)
WAVE_TEST(waves_with_a_slow_timer_cost_no_faults, 0, 5000, 250)
WAVE_TEST(waves_in_step_with_the_buckets_cost_no_faults, 0, 4000, DEMAND_BUCKET_MS)

/* Longer than anybody should hold idle memory: paid for, but not more than once a wave. */
static void waves_of_60_s_return_every_time_or_cost_nothing(void **state)
{
    struct bench *bench = *state;
    for (unsigned wave = 0; wave < 30; wave++)
        assert_true(swing(bench, 0, 96 * MIB, 60000) <= 97 * MIB);
    pass(bench, WINDOW_MAX_MS + 2000);
    assert_int_equal(stats_of(bench).idle_bytes, 0);
}

/* Not a step but a ramp: fills and empties steadily. */
static void ramps_cost_no_faults(void **state)
{
    struct bench *bench = *state;
    size_t late = 0;
    for (unsigned wave = 0; wave < 60; wave++) {
        uint64_t before = stats_of(bench).trim_bytes;
        for (unsigned step = 0; step < 40; step++) {
            load(bench, (step < 20 ? step : 40 - step) * 5 * MIB);
            pass(bench, 100);
        }
        if (wave >= 10)
            late += stats_of(bench).trim_bytes - before;
    }
    assert_true(late <= 50 * 2 * MIB);
}

/* ---- the window ---- */

static void the_third_regret_widens_the_window_to_the_dip(void **state)
{
    struct bench *bench = *state;
    load(bench, 64 * MIB);
    pass(bench, 1000);
    for (unsigned regret = 1; regret <= 3; regret++) {
        assert_int_equal(stats_of(bench).window_ms, WINDOW_MIN_MS);
        load(bench, 0);
        pass(bench, 3000);
        assert_int_equal(stats_of(bench).idle_bytes, 0);
        load(bench, 64 * MIB);
        pass(bench, 1000);
        assert_true(stats_of(bench).refault_early_bytes >= regret * 63 * MIB);
    }
    assert_true(stats_of(bench).window_ms >= 3000 && stats_of(bench).window_ms <= 5000);
    uint64_t refaulted = stats_of(bench).refault_early_bytes;
    load(bench, 0);
    pass(bench, 3000);
    load(bench, 64 * MIB);
    assert_int_equal(stats_of(bench).refault_early_bytes, refaulted);
}

/* Pages of an arena whose every page has been trimmed are missed like any others. */
static void regret_remembers_arenas_that_were_forgotten(void **state)
{
    struct bench *bench = *state;
    load(bench, 64 * MIB);
    load(bench, 0);
    ebb_pool_trim(bench->pool, SIZE_MAX, true);
    assert_false(pool_arena(bench->pool, 5)->is_ready);
    load(bench, 64 * MIB);
    assert_true(stats_of(bench).refault_early_bytes >= 63 * MIB);
    assert_true(stats_of(bench).refault_early_bytes <= 64 * MIB);
    assert_int_equal(ebb_pool_check(bench->pool), 0);
}

static void two_regrets_change_nothing(void **state)
{
    struct bench *bench = *state;
    pass(bench, 2 * WINDOW_MAX_MS + 1000);
    for (unsigned wave = 0; wave < 3; wave++) { /* the first rise is no return */
        load(bench, 64 * MIB);
        pass(bench, 1000);
        assert_int_equal(stats_of(bench).window_ms, WINDOW_MIN_MS);
        load(bench, 0);
        pass(bench, 5000);
        assert_int_equal(stats_of(bench).idle_bytes, 0);
    }
}

static void one_rise_is_one_regret(void **state)
{
    struct bench *bench = *state;
    load(bench, 64 * MIB);
    pass(bench, 200);
    load(bench, 0);
    pass(bench, 2000);
    load(bench, 64 * MIB);
    for (unsigned t = 1; t < 8; t++) { /* a rise in steps, each of which is missed */
        load(bench, (64 - 4 * (8 - t)) * MIB);
        pass(bench, 300);
    }
    assert_int_equal(stats_of(bench).window_ms, WINDOW_MIN_MS);
}

static void a_late_return_is_no_regret(void **state)
{
    struct bench *bench = *state;
    load(bench, 64 * MIB);
    load(bench, 0);
    pass(bench, 2000);
    pass(bench, REGRET_MS + 1000);
    load(bench, 64 * MIB);
    pass(bench, 1000);
    struct ebb_pool_stats stats = stats_of(bench);
    assert_true(stats.refault_bytes >= 60 * MIB);
    assert_int_equal(stats.refault_early_bytes, 0);
    assert_int_equal(stats.window_ms, WINDOW_MIN_MS);
}

static void a_little_regret_is_noise(void **state)
{
    struct bench *bench = *state;
    for (unsigned n = 0; n < 20; n++) {
        load(bench, 256 * MIB);
        pass(bench, 1000);
        load(bench, 256 * MIB - RUN_BYTES);
        pass(bench, 30000);
    }
    assert_int_equal(stats_of(bench).window_ms, WINDOW_MIN_MS);
}

/* Pages that shuffling has freed and trim has taken are no loss when growth beyond everything that
 * was takes them up: no window would have foreseen it. */
static void growth_beyond_the_past_is_no_regret(void **state)
{
    struct bench *bench = *state;
    span_id moved[64];
    load(bench, 64 * MIB);
    pass(bench, 5000);
    for (unsigned n = 0; n < 64;
         n++) { /* holes in front, as many pages behind: demand is the same */
        size_t resident;
        pool_release(bench->pool, bench->runs[2 * n]);
        bench->runs[2 * n] = 0;
        if (n % 2 == 1)
            moved[n / 2] = pool_take(bench->pool, CLASS_LARGE, 2 * RUN_PAGES, 0, &resident);
    }
    ebb_pool_trim(bench->pool, SIZE_MAX, true);
    pass(bench, 2000);
    assert_int_equal(stats_of(bench).window_ms, WINDOW_MIN_MS);
    for (unsigned n = 0; n < 64; n++) { /* growth, into the holes */
        size_t resident;
        bench->runs[2 * n] = pool_take(bench->pool, CLASS_LARGE, RUN_PAGES, 0, &resident);
        assert_int_equal(resident, 0);
        if (n % 8 == 0)
            pass(bench, 100);
    }
    pass(bench, 1000);
    assert_true(stats_of(bench).refault_early_bytes >= 15 * MIB);
    assert_int_equal(stats_of(bench).window_ms, WINDOW_MIN_MS);
    for (unsigned n = 0; n < 32; n++)
        pool_release(bench->pool, moved[n]);
}

/* While demand grows, as much stays as the last moments took; not more than 1/32 of all. */
static void growth_keeps_what_it_will_take_next(void **state)
{
    struct bench *bench = *state;
    load(bench, 128 * MIB);
    pass(bench, 2000);
    assert_int_equal(stats_of(bench).keep_bytes, 0);
    for (unsigned step = 1; step <= 40; step++) {
        load(bench, 128 * MIB + step * MIB / 2);
        pass(bench, 100);
        if (step > 10) { /* half a MiB each 100 ms is two and a half in the least window */
            assert_true(stats_of(bench).keep_bytes >= 3 * MIB / 2);
            assert_true(stats_of(bench).keep_bytes <= 4 * MIB);
        }
    }
    for (unsigned step = 1; step <= 10; step++) {
        load(bench, (148 + step * 20) * MIB);
        pass(bench, 100);
        assert_true(stats_of(bench).keep_bytes <= (148 + step * 20) * MIB / 32);
    }
    pass(bench, 1000);
    assert_int_equal(stats_of(bench).keep_bytes, 0);
}

static void quiet_narrows_the_window(void **state)
{
    struct bench *bench = *state;
    for (unsigned wave = 0; wave < 10; wave++)
        swing(bench, 0, 64 * MIB, 10000);
    uint64_t last = stats_of(bench).window_ms;
    assert_true(last >= 4000);
    uint64_t waited = 0;
    while (last > WINDOW_MIN_MS) {
        pass(bench, 1000);
        waited += 1000;
        uint64_t now = stats_of(bench).window_ms;
        assert_true(now == last || now == last / 2 || now == WINDOW_MIN_MS);
        last = now;
        assert_true(waited < 10 * WINDOW_MAX_MS);
    }
    pass(bench, 60000);
    assert_int_equal(stats_of(bench).window_ms, WINDOW_MIN_MS);
}

static void steady_load_narrows_the_window_too(void **state)
{
    struct bench *bench = *state;
    for (unsigned wave = 0; wave < 10; wave++)
        swing(bench, 0, 64 * MIB, 10000);
    load(bench, 64 * MIB);
    pass(bench, 10 * WINDOW_MAX_MS);
    assert_int_equal(stats_of(bench).window_ms, WINDOW_MIN_MS);
}

/* ---- failures ---- */

static void a_failed_discard_is_counted_and_harmless(void **state)
{
    struct bench *bench = *state;
    load(bench, 64 * MIB);
    load(bench, 0);
    fake_os_fail(&bench->fake, FAKE_DISCARD, 1, 3);
    for (unsigned n = 1; n <= 3; n++) {
        assert_int_equal(ebb_pool_trim(bench->pool, SIZE_MAX, true), 0);
        assert_int_equal(stats_of(bench).trim_errors, n);
        assert_int_equal(stats_of(bench).idle_bytes, 64 * MIB);
        assert_int_equal(ebb_pool_check(bench->pool), 0);
    }
    assert_int_equal(ebb_pool_trim(bench->pool, SIZE_MAX, true), 64 * MIB);
    assert_int_equal(stats_of(bench).idle_bytes, 0);
}

/* Any discard may fail, also those of metadata: books and arenas stay in order. */
static void discards_failing_at_random_are_harmless(void **state)
{
    struct bench *bench = *state;
    struct rng rng = rng_start("trim");
    for (unsigned round = 0; round < SCALED(3000); round++) {
        load(bench, rng_below(&rng, 100) * MIB);
        if (rng_once_in(&rng, 3))
            fake_os_fail(&bench->fake, FAKE_DISCARD, rng_between(&rng, 1, 30),
                         rng_between(&rng, 1, 5));
        fake_os_turn(&bench->fake, rng_below(&rng, 3000));
        ebb_pool_trim(bench->pool, rng_below(&rng, 100) * MIB, rng_once_in(&rng, 2));
        assert_int_equal(ebb_pool_check(bench->pool), 0);
    }
    fake_os_fail_never(&bench->fake);
    load(bench, 0);
    ebb_pool_trim(bench->pool, SIZE_MAX, true);
    assert_int_equal(stats_of(bench).idle_bytes, 0);
    size_t metadata_bytes = stats_of(bench).metadata_bytes;
    size_t resident = fake_os_resident_bytes(&bench->fake, ebb_pool_base(bench->pool),
                                             (size_t)bench->pool->arena_frontier * ARENA_BYTES);
    assert_int_equal(resident, 0);
    assert_true(metadata_bytes <= (size_t)bench->pool->arena_frontier * ARENA_STRIDE);
}

#define TRIM_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TRIM_TEST(a_drop_returns_at_once_but_a_little),
        TRIM_TEST(a_drop_that_will_be_made_up_for_waits_for_the_window),
        TRIM_TEST(a_drop_deeper_than_the_swings_returns_but_for_a_swing),
        TRIM_TEST(a_drop_returns_without_any_traffic_and_after_a_long_sleep),
        TRIM_TEST(hard_trim_does_not_wait),
        TRIM_TEST(hard_trim_does_not_keep_what_another_thread_would),
        TRIM_TEST(trim_keeps_to_its_limit),
        TRIM_TEST(trim_takes_the_highest_pages_first),
        TRIM_TEST(waves_of_1_s_cost_no_faults),
        TRIM_TEST(waves_of_5_s_cost_no_faults),
        TRIM_TEST(waves_of_20_s_cost_no_faults),
        TRIM_TEST(waves_of_1_s_on_a_base_cost_no_faults),
        TRIM_TEST(waves_of_5_s_on_a_base_cost_no_faults),
        TRIM_TEST(waves_of_20_s_on_a_base_cost_no_faults),
        TRIM_TEST(waves_with_a_quick_timer_cost_no_faults),
        TRIM_TEST(waves_with_a_slow_timer_cost_no_faults),
        TRIM_TEST(waves_in_step_with_the_buckets_cost_no_faults),
        TRIM_TEST(waves_of_60_s_return_every_time_or_cost_nothing),
        TRIM_TEST(ramps_cost_no_faults),
        TRIM_TEST(the_third_regret_widens_the_window_to_the_dip),
        TRIM_TEST(regret_remembers_arenas_that_were_forgotten),
        TRIM_TEST(two_regrets_change_nothing),
        TRIM_TEST(one_rise_is_one_regret),
        TRIM_TEST(a_late_return_is_no_regret),
        TRIM_TEST(a_little_regret_is_noise),
        TRIM_TEST(growth_beyond_the_past_is_no_regret),
        TRIM_TEST(growth_keeps_what_it_will_take_next),
        TRIM_TEST(quiet_narrows_the_window),
        TRIM_TEST(steady_load_narrows_the_window_too),
        TRIM_TEST(a_failed_discard_is_counted_and_harmless),
        TRIM_TEST(discards_failing_at_random_are_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
