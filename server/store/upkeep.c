/* SPDX-License-Identifier: MIT */
/* upkeep.c: the background work: expire, compact, trim. One thread calls it, a slice at a time.
 *
 * A slice (slice.c) holds one shard's lock for about 100 us, and no command waits for it longer
 * than that. Upkeep takes 5 % of a core, up to 25 % while far more is resident than live. It is
 * driven by a timer alone: a server without traffic gives its memory back too.
 */
#include <sched.h>

#include "evict.h"
#include "store_internal.h"

#define ROUND_NS          400000u  /* of slices in one call, over shards with little to do */
#define CREDIT_MAX_NS     1000000u /* of upkeep that has not been needed */
#define DUTY_CALM         19u      /* pause per work: 1 / (1 + 19) = 5 % of a core */
#define DUTY_BEHIND       3u       /* 25 %: the most, however far behind */
#define DUTY_SHORT        1u       /* 50 %: unless there is less room than is kept for writers */
#define OVERDUE_MS        250      /* items that should have gone that long ago are all waste */
#define CALM_DIVISOR      96u      /* waste up to that part of what is resident is calm */
#define BEHIND_DIVISOR    56u
#define REST_US           1000000u /* between looks while nothing can become due */
#define BUSY_US           10000u   /* while something is: waste grows with what is written */
#define PAUSE_MIN_US      1000u
#define PAUSE_MAX_US      20000u             /* while there is work */
#define WASTE_LEAST_BYTES (4u * 1024 * 1024) /* less is not worth hurrying for */
#define TRIM_BYTES        (512u * 1024)      /* at once: some 50 us */
#define TRIM_NS           200000u            /* of trimming: it holds no shard */

void store_set_explain(struct store *store, bool on)
{
    __atomic_store_n(&store->explain_on, on && store->explain != NULL, __ATOMIC_RELAXED);
}

void store_set_active_expire(struct store *store, bool on)
{
    __atomic_store_n(&store->expire_off, !on, __ATOMIC_RELAXED);
}

void store_set_active_trim(struct store *store, bool on)
{
    __atomic_store_n(&store->trim_off, !on, __ATOMIC_RELAXED);
}

/* ---- going round the shards ---- */

/* The pause per work: longer the nearer resident memory is to what is live. Waste up to 1/96 of
 * what is resident is calm, from 1/56 on upkeep works as hard as it ever may: a twentieth is what
 * is promised, and the earlier it begins the lower the peak of a load that shifts. So it does while
 * it is behind with what has expired. */
static uint64_t duty(struct store *store)
{
    if (limit_is_tight(store))
        return DUTY_SHORT;
    struct ebb_pool_stats pool;
    ebb_pool_stats(store->pool, &pool);
    size_t resident = pool.span_bytes + pool.idle_bytes;
    size_t waste = pool.idle_bytes > pool.keep_bytes ? pool.idle_bytes - pool.keep_bytes : 0;
    for (unsigned s = 0; s < store->shard_count; s++) {
        const struct slices *slices = &store->shards[s].slices;
        if (__atomic_load_n(&slices->overdue_ms, __ATOMIC_RELAXED) > OVERDUE_MS)
            return DUTY_BEHIND;
        waste += stat_read(&slices->reclaimable_bytes);
    }
    if (waste < WASTE_LEAST_BYTES || waste <= resident / CALM_DIVISOR)
        return DUTY_CALM;
    uint64_t pause = DUTY_BEHIND * (uint64_t)(resident / BEHIND_DIVISOR) / waste;
    return pause < DUTY_BEHIND ? DUTY_BEHIND : pause < DUTY_CALM ? pause : DUTY_CALM;
}

/* What slices have taken since the last call, whoever ran them. */
static uint64_t slices_ns(struct store *store)
{
    uint64_t total = 0;
    for (unsigned s = 0; s < store->shard_count; s++)
        total += stat_read(&store->shards[s].slices.ns);
    uint64_t spent = total - store->upkeep.slices_ns;
    store->upkeep.slices_ns = total;
    return spent;
}

/* The budget is an account: time pays in the share that upkeep may have of it, slices and trimming
 * take out what they have cost. So nothing is lost to timers, which come each millisecond at best.
 */
static void settle(struct store *store)
{
    struct upkeep *upkeep = &store->upkeep;
    uint64_t now = upkeep_now_ns(), elapsed = now - upkeep->called_ns;
    upkeep->called_ns = now;
    if (elapsed > CREDIT_MAX_NS * (1 + DUTY_CALM)) /* at the first call, and after a long pause */
        elapsed = CREDIT_MAX_NS * (1 + DUTY_CALM);
    upkeep->credit_ns += (int64_t)(elapsed / (1 + duty(store))) - (int64_t)slices_ns(store);
    if (upkeep->credit_ns > (int64_t)CREDIT_MAX_NS)
        upkeep->credit_ns = CREDIT_MAX_NS;
}

/* How many slices each shard may have now. */
static unsigned slices_allowed(const struct store *store)
{
    int64_t credit = store->upkeep.credit_ns;
    return credit > 0 ? 1 + (unsigned)(credit / SLICE_NS / store->shard_count) : 0;
}

/* A worker that waits for this processor waits no longer than a slice. */
static void give_way(void)
{
    sched_yield();
}

/* Runs so many slices while nobody wants the shard, or asks the worker that has it for the others:
 * it runs one each time it lets go, so that no command waits for two. true: there is more to do. */
static bool run_or_ask(struct store *store, struct shard *shard, unsigned slices)
{
    bool more = __atomic_load_n(&shard->slices.has_more, __ATOMIC_RELAXED);
    unsigned left = slices;
    while (left > 0 && __atomic_load_n(&shard->waiting, __ATOMIC_RELAXED) == 0 &&
           pthread_mutex_trylock(&shard->lock) == 0) {
        shard_slice(store, shard);
        more = shard->slices.has_more;
        shard_unlock(shard);
        give_way();
        left = more ? left - 1 : 0;
    }
    if (left == slices && !more) /* what there was at the last look says little */
        left = 1;
    __atomic_store_n(&shard->slices.wanted, left, __ATOMIC_RELAXED);
    return more;
}

/* Goes on round the shards until each has had its turn or the time is up. true: there is more. */
static bool round_of_slices(struct store *store)
{
    struct upkeep *upkeep = &store->upkeep;
    uint64_t begin = upkeep_now_ns();
    unsigned slices = slices_allowed(store);
    bool more = slices == 0;
    for (unsigned s = 0; slices > 0 && s < store->shard_count; s++) {
        more = run_or_ask(store, &store->shards[upkeep->turn], slices) || more;
        upkeep->turn = (upkeep->turn + 1) % store->shard_count;
        if (upkeep_now_ns() - begin >= ROUND_NS)
            return more || s + 1 < store->shard_count;
    }
    return more;
}

/* Whether idle pages should go at once: they stand where a limit wants none. */
static bool must_trim_all(struct store *store)
{
    struct ebb_pool_stats pool;
    ebb_pool_stats(store->pool, &pool);
    if (__atomic_load_n(&store->limit.is_pressed, __ATOMIC_RELAXED))
        return true;
    size_t held = pool.span_bytes + pool.idle_bytes + pool.metadata_bytes;
    return pool.limit_bytes != SIZE_MAX &&
           held + stat_read(&store->limit.ahead_bytes) / 4 > pool.limit_bytes;
}

/* Trims for a while. true: more is due. */
static bool trim(struct store *store)
{
    uint64_t deadline = upkeep_now_ns() + TRIM_NS;
    if (__atomic_load_n(&store->trim_off, __ATOMIC_RELAXED))
        return false;
    while (ebb_pool_trim(store->pool, TRIM_BYTES, must_trim_all(store)) >= TRIM_BYTES) {
        if (upkeep_now_ns() >= deadline)
            return true;
        give_way();
    }
    return false;
}

/* ---- the limit ---- */

void store_set_limit(struct store *store, const struct store_limit *limit)
{
    struct store_limit *now = &store->limit;
    if (stat_read(&now->pool_bytes) != limit->pool_bytes)
        ebb_pool_limit(store->pool, limit->pool_bytes);
    __atomic_store_n(&now->pool_bytes, limit->pool_bytes, __ATOMIC_RELAXED);
    __atomic_store_n(&now->ahead_bytes, limit->ahead_bytes, __ATOMIC_RELAXED);
    __atomic_store_n(&now->compact_bytes, limit->compact_bytes, __ATOMIC_RELAXED);
    __atomic_store_n(&now->order, limit->order, __ATOMIC_RELAXED);
    __atomic_store_n(&now->is_volatile, limit->is_volatile, __ATOMIC_RELAXED);
    __atomic_store_n(&now->is_pressed, limit->is_pressed, __ATOMIC_RELAXED);
}

void store_set_slow(struct store *store, uint64_t ns)
{
    __atomic_store_n(&store->slow_ns, store->slow != NULL ? ns : 0, __ATOMIC_RELAXED);
}

size_t store_pool_bytes(struct store *store, size_t *untouched_bytes)
{
    struct ebb_pool_stats pool;
    *untouched_bytes = 0;
    for (unsigned s = 0; s < store->shard_count; s++)
        *untouched_bytes += stat_read(&store->shards[s].slices.untouched_bytes);
    ebb_pool_stats(store->pool, &pool);
    return pool.span_bytes + pool.idle_bytes + pool.metadata_bytes;
}

/* ---- the timer's call ---- */

static void note_peak(struct store *store)
{
    size_t live = 0;
    for (unsigned s = 0; s < store->shard_count; s++)
        live += stat_read(&store->shards[s].stats.key_bytes) +
                stat_read(&store->shards[s].stats.value_bytes);
    if (live > store->live_peak_bytes)
        __atomic_store_n(&store->live_peak_bytes, live, __ATOMIC_RELAXED);
}

static void flush_when_due(struct store *store, int64_t now_ms)
{
    int64_t at_ms = __atomic_load_n(&store->upkeep.flush_at_ms, __ATOMIC_RELAXED);
    if (at_ms == 0 || at_ms > now_ms)
        return;
    struct store_session session;
    store_session_init(&session, store);
    if (!__atomic_compare_exchange_n(&store->upkeep.flush_at_ms, &at_ms, 0, false, __ATOMIC_RELAXED,
                                     __ATOMIC_RELAXED))
        return;               /* another time has just been set: this one is no longer wanted */
    store_flush(&session, 0); /* the database memcached clients see */
}

void store_flush_at(struct store_session *session, int64_t at_ms)
{
    __atomic_store_n(&session->store->upkeep.flush_at_ms, at_ms, __ATOMIC_RELAXED);
}

/* Whether anything has been changed since the last call. */
static bool was_written(struct store *store)
{
    size_t changes = 0;
    for (unsigned s = 0; s < store->shard_count; s++) {
        const struct shard_stats *stats = &store->shards[s].stats;
        changes += stat_read(&stats->sets) + stat_read(&stats->deletes) +
                   stat_read(&stats->expired_active);
    }
    bool changed = changes != store->upkeep.changes;
    store->upkeep.changes = changes;
    return changed;
}

static int64_t earlier(int64_t a_ms, int64_t b_ms)
{
    return b_ms != 0 && b_ms < a_ms ? b_ms : a_ms;
}

/* Until time alone makes work: an item's or a flush's time comes, or trim stops keeping pages. What
 * else makes work comes from outside. */
static uint64_t idle_us(struct store *store)
{
    struct ebb_pool_stats pool;
    int64_t now_ms = (int64_t)store->now_ms();
    int64_t at_ms = now_ms + (int64_t)(REST_US / 1000);
    ebb_pool_stats(store->pool, &pool);
    if (pool.idle_bytes > 0)
        return STORE_IDLE_US;
    at_ms = earlier(at_ms, __atomic_load_n(&store->upkeep.flush_at_ms, __ATOMIC_RELAXED));
    if (!__atomic_load_n(&store->expire_off, __ATOMIC_RELAXED))
        for (unsigned s = 0; s < store->shard_count; s++)
            at_ms =
                earlier(at_ms, __atomic_load_n(&store->shards[s].slices.due_ms, __ATOMIC_RELAXED));
    uint64_t wait_us = at_ms > now_ms ? (uint64_t)(at_ms - now_ms) * 1000 : 0;
    return wait_us > STORE_IDLE_US ? wait_us : STORE_IDLE_US;
}

uint64_t store_upkeep(struct store *store)
{
    struct upkeep *upkeep = &store->upkeep;
    note_peak(store);
    flush_when_due(store, (int64_t)store->now_ms());
    settle(store);
    bool more = round_of_slices(store);
    __atomic_store_n(&upkeep->compacting, more, __ATOMIC_RELAXED);
    uint64_t begin = upkeep_now_ns();
    more = trim(store) || more;
    upkeep->credit_ns -= (int64_t)(upkeep_now_ns() - begin);
    if (!more && was_written(store)) /* writers at the limit want to be kept ahead of */
        return limit_is_tight(store) ? PAUSE_MIN_US : BUSY_US;
    if (!more)
        return idle_us(store);
    int64_t debt_us = -upkeep->credit_ns * (int64_t)(1 + duty(store)) / 1000;
    return debt_us < (int64_t)PAUSE_MIN_US   ? PAUSE_MIN_US
           : debt_us < (int64_t)PAUSE_MAX_US ? (uint64_t)debt_us
                                             : PAUSE_MAX_US;
}
