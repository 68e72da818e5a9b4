/* SPDX-License-Identifier: MIT */
/* trim.c: gives idle pages back, but not those that will be wanted again in a moment.
 *
 * What to keep is demand, not a constant: the most span pages that were in use at once within a
 * window of the past, less what is in use now; or what the growth of the last moments will take up
 * in the next. The window is learned from regret: demand that comes back for pages trimmed before.
 * The third time in a row that is a load that swings, and the window then reaches back to where
 * demand last stood as high; kept is as much as has fallen and come back. Two of its periods in
 * quiet end it. So such a load pays no page faults once it is known, one that ends is given back
 * whole, and a load that merely comes back once or twice finds memory following as before.
 *
 * Driven by the owner's timer through ebb_pool_trim(), never by allocation. The mutex is not held
 * during the system call: the run is out of the free pages meanwhile.
 */
#include <string.h>

#include "bits.h"
#include "internal.h"

#define RUN_PAGES_MIN    16u  /* a system call costs what so many pages do */
#define REGRET_PAGES_MIN 256u /* 1 MiB: less is noise */
#define RISE_BUCKETS     2u   /* demand rises if it is higher than so many stretches ago */
#define RISES_LEARNED    3u   /* regrets in a row before the window widens */
#define FALL_DIVISOR     8u   /* demand has fallen when it is down by an eighth */
#define GUESS_DIVISOR    64u  /* without experience 1/64 of what is in use is kept */
#define SWING_DIVISOR    8u   /* so much more than the deepest fall that came back is kept */
#define QUIET_WINDOWS    4u   /* windows without need before it narrows, and at least ... */
#define QUIET_PERIODS    2u   /* ... so many times the last pause between two needs */
#define PERIOD_MAX_MS                                                                              \
    (2 * WINDOW_MAX_MS) /* needs further apart have nothing to do with each other */

/* ---- demand ---- */

void demand_note(struct ebb_pool *pool)
{
    if (pool->span_pages > pool->demand[pool->demand_at])
        pool->demand[pool->demand_at] = (uint32_t)pool->span_pages;
}

/* The most pages in use at once from `from` to `to` stretches of time ago, 0 being the present. */
static uint32_t demand_peak(const struct ebb_pool *pool, uint64_t from, uint64_t to)
{
    uint32_t peak = 0;
    for (uint64_t b = from; b <= to && b < DEMAND_BUCKETS; b++) {
        uint32_t demand = pool->demand[(pool->demand_at + DEMAND_BUCKETS - b) % DEMAND_BUCKETS];
        peak = demand > peak ? demand : peak;
    }
    return peak;
}

static uint32_t demand_then(const struct ebb_pool *pool, uint64_t buckets_ago)
{
    return pool->demand[(pool->demand_at + DEMAND_BUCKETS - buckets_ago) % DEMAND_BUCKETS];
}

bool demand_returns(const struct ebb_pool *pool)
{
    return pool->span_pages > demand_then(pool, RISE_BUCKETS) &&
           pool->span_pages <= demand_peak(pool, RISE_BUCKETS, WINDOW_MAX_MS / DEMAND_BUCKET_MS);
}

/* What is likely to be wanted again within the window: what was in use in the last one, or what
 * growth takes up if it goes on. Before a load has shown that it swings this is a guess, and a
 * small one: churn moves pages between classes all the time. */
static size_t wanted_again(const struct ebb_pool *pool)
{
    uint32_t peak = demand_peak(pool, 0, pool->window_ms / DEMAND_BUCKET_MS);
    size_t then = demand_then(pool, WINDOW_MIN_MS / DEMAND_BUCKET_MS), now = pool->span_pages;
    size_t returning = peak > now ? peak - now : 0;
    size_t swing = pool->swing_pages + pool->swing_pages / SWING_DIVISOR; /* no two are alike */
    size_t growing = now > then ? now - then : 0, guess = now / GUESS_DIVISOR;
    growing = growing < guess ? growing : guess;
    if (pool->window_ms <= WINDOW_MIN_MS)
        swing = guess;
    returning = returning < swing ? returning : swing;
    return returning > growing ? returning : growing;
}

static void advance_clock(struct ebb_pool *pool)
{
    pool->now_ms = pool->os.now_ns(pool->os.context) / 1000000;
    unsigned steps = 0;
    while (pool->bucket_ms + DEMAND_BUCKET_MS <= pool->now_ms && steps++ < DEMAND_BUCKETS) {
        pool->bucket_ms += DEMAND_BUCKET_MS;
        pool->demand_at = (pool->demand_at + 1) % DEMAND_BUCKETS;
        pool->demand[pool->demand_at] = (uint32_t)pool->span_pages;
    }
    if (steps > DEMAND_BUCKETS)
        pool->bucket_ms = pool->now_ms;
}

/* Whether pages are in use again that half the window would have trimmed. */
static bool window_was_needed(const struct ebb_pool *pool)
{
    uint64_t buckets = pool->window_ms / DEMAND_BUCKET_MS;
    uint32_t half = demand_peak(pool, 1, buckets / 2) + REGRET_PAGES_MIN;
    return pool->span_pages > half && demand_peak(pool, 1, buckets) > half;
}

/* The window was too short just now, or was only just long enough. */
static void note_need(struct ebb_pool *pool)
{
    uint64_t pause = pool->now_ms - pool->needed_ms;
    if (pause > WINDOW_MIN_MS / 2) /* less is the same rise of the load */
        pool->quiet_ms = pause <= PERIOD_MAX_MS ? QUIET_PERIODS * pause : 0;
    pool->needed_ms = pool->quiet_since_ms = pool->now_ms;
}

static bool is_quiet(const struct ebb_pool *pool)
{
    uint64_t least = QUIET_WINDOWS * pool->window_ms;
    least = pool->quiet_ms > least ? pool->quiet_ms : least;
    return pool->now_ms >= pool->quiet_since_ms + least;
}

/* Follows demand up and down, so that one rise is one regret however long it takes. */
static void follow_demand(struct ebb_pool *pool)
{
    if (pool->span_pages > pool->rise_peak)
        pool->rise_peak = pool->span_pages;
    if (pool->span_pages < pool->fall_low)
        pool->fall_low = pool->span_pages;
    if (pool->span_pages < pool->rise_peak - pool->rise_peak / FALL_DIVISOR)
        pool->has_fallen = true;
    if (pool->span_pages < demand_then(pool, RISE_BUCKETS))
        pool->regret_pages = 0; /* what little there was belongs to the rise that is over */
}

/* How long ago, before the dip just past, demand was last about as high as it is now. */
static uint64_t level_age_ms(const struct ebb_pool *pool)
{
    uint64_t b = 1, last = WINDOW_MAX_MS / DEMAND_BUCKET_MS;
    size_t level = pool->span_pages - pool->span_pages / FALL_DIVISOR; /* no two waves are alike */
    while (b < last && demand_then(pool, b) >= level)
        b++;
    while (b < last && demand_then(pool, b) < level)
        b++;
    return (b + 1) * DEMAND_BUCKET_MS;
}

/* Demand is back where pages were trimmed. Once or twice that is how loads are; a third time it is
 * a load that swings, and the window must reach back to where it stood as high before. */
static void note_regret(struct ebb_pool *pool)
{
    if (pool->has_fallen || pool->rises == 0) {
        bool goes_on = pool->rises > 0 && pool->now_ms < pool->regret_ms + PERIOD_MAX_MS;
        size_t fall = goes_on ? pool->rise_peak - pool->fall_low : 0;
        pool->swing_pages = goes_on && pool->swing_pages > fall ? pool->swing_pages : fall;
        pool->rises = goes_on ? pool->rises + 1 : 1;
        pool->has_fallen = false;
        pool->rise_peak = pool->fall_low = pool->span_pages;
    }
    pool->regret_ms = pool->now_ms;
    pool->regret_pages = 0;
    if (pool->rises < RISES_LEARNED)
        return;
    note_need(pool);
    uint64_t age_ms = level_age_ms(pool), window_ms = age_ms + age_ms / 4;
    if (window_ms > pool->window_ms)
        pool->window_ms = window_ms < WINDOW_MAX_MS ? window_ms : WINDOW_MAX_MS;
}

static void learn_window(struct ebb_pool *pool, bool was_needed)
{
    follow_demand(pool);
    if (pool->regret_pages >= REGRET_PAGES_MIN + pool->span_pages / 64) {
        note_regret(pool);
    } else if (was_needed) {
        note_need(pool);
    } else if (is_quiet(pool)) {
        pool->window_ms = WINDOW_MIN_MS;
        pool->swing_pages = 0;
        pool->regret_pages = 0;
        pool->quiet_since_ms = pool->now_ms;
    }
}

/* ---- giving back ---- */

/* The last run of idle pages of an arena, at most `most` pages of it. */
static size_t last_idle_run(const struct arena *arena, size_t most, size_t *first)
{
    uint64_t idle[ARENA_WORDS];
    for (unsigned w = 0; w < ARENA_WORDS; w++)
        idle[w] = arena->free[w] & arena->resident[w];
    size_t last = bits_last(idle, ARENA_PAGES);
    EBB_ASSERT(last != SIZE_MAX);
    size_t start = last;
    while (start > 0 && last + 1 - start < most && bit_get(idle, start - 1))
        start--;
    *first = start;
    return last + 1 - start;
}

/* Trims one run of at most `most` pages from the highest arena that has one; the mutex is held, but
 * not during the system call. Returns the pages given back, 0 if that failed. */
static size_t trim_run(struct ebb_pool *pool, size_t most)
{
    size_t index = bits_last(pool->idle, pool->arena_frontier);
    struct arena *arena = pool_arena(pool, (uint32_t)index);
    size_t first;
    size_t pages = last_idle_run(arena, most, &first);
    bits_fill(arena->free, first, first + pages, false);
    arena->free_pages = (uint16_t)(arena->free_pages - pages);
    arena->idle_pages = (uint16_t)(arena->idle_pages - pages);
    bit_assign(pool->idle, index, arena->idle_pages > 0);
    arena_publish(pool, (uint32_t)index);
    pool->idle_pages -= pages;
    pthread_mutex_unlock(&pool->lock);

    char *start = pool->base + (index * ARENA_PAGES + first) * EBB_PAGE_BYTES;
    slot_unpoison(start, pages * EBB_PAGE_BYTES);
    uint64_t begin = pool->os.now_ns(pool->os.context);
    int failed = pool->os.discard(pool->os.context, start, pages * EBB_PAGE_BYTES);
    uint64_t spent = pool->os.now_ns(pool->os.context) - begin;

    pthread_mutex_lock(&pool->lock);
    pool->trim_calls++;
    pool->trim_ns += spent;
    bits_fill(arena->free, first, first + pages, true);
    arena->free_pages = (uint16_t)(arena->free_pages + pages);
    arena_publish(pool, (uint32_t)index);
    if (failed) { /* the pages are still there: count them as idle again */
        arena->idle_pages = (uint16_t)(arena->idle_pages + pages);
        bit_set(pool->idle, index);
        pool->idle_pages += pages;
        pool->trim_errors++;
        return 0;
    }
    bits_fill_shared(arena->resident, first, first + pages, false);
    bits_fill(arena->trimmed, first, first + pages, true);
    arena->trimmed_ms = pool->now_ms;
    pool->trimmed_pages += pages;
    pool->trim_bytes += pages * EBB_PAGE_BYTES;
    arena_retire(pool, (uint32_t)index);
    return pages;
}

size_t ebb_pool_trim(struct ebb_pool *pool, size_t max_bytes, bool hard)
{
    size_t trimmed = 0, most = max_bytes / EBB_PAGE_BYTES;
    pthread_mutex_lock(&pool->lock);
    bool was_needed = window_was_needed(pool); /* before a rise just now counts as the past */
    advance_clock(pool);
    learn_window(pool, was_needed);
    size_t keep_pages = hard ? 0 : wanted_again(pool); /* another thread may trim meanwhile */
    pool->keep_pages = keep_pages;
    while (trimmed < most && pool->idle_pages > keep_pages) {
        size_t excess = pool->idle_pages - keep_pages;
        size_t want = most - trimmed < excess ? most - trimmed : excess;
        size_t pages = trim_run(pool, want);
        if (pages == 0)
            break;
        trimmed += pages > RUN_PAGES_MIN ? pages : RUN_PAGES_MIN;
    }
    pthread_mutex_unlock(&pool->lock);
    return trimmed * EBB_PAGE_BYTES;
}
