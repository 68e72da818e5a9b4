/* SPDX-License-Identifier: MIT */
/* slice.c: one bounded piece of a shard's background work: expire, compact, evict. The shard is
 * locked.
 *
 * The upkeep thread runs it; or, when it finds the shard busy, the worker that has it locked does,
 * on letting go: so upkeep neither waits for a busy shard nor makes its worker wait.
 */
#include <stdio.h>
#include <time.h>

#include "evict.h"
#include "store_internal.h"

#define EXPIRE_GAP_MS 250 /* a span is visited no more often than this */
#define EXPLAIN_NS    1000000000u

uint64_t upkeep_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- how long it takes ---- */

uint64_t work_begins(const struct store *store)
{
    return __atomic_load_n(&store->slow_ns, __ATOMIC_RELAXED) != 0 ? upkeep_now_ns() : 0;
}

void work_ended(const struct store *store, enum store_work work, uint64_t begin_ns)
{
    uint64_t slow_ns = __atomic_load_n(&store->slow_ns, __ATOMIC_RELAXED);
    if (slow_ns == 0 || begin_ns == 0)
        return;
    uint64_t took_ns = upkeep_now_ns() - begin_ns;
    if (took_ns >= slow_ns)
        store->slow(store->slow_context, work, took_ns);
}

static void record(struct slices *slices, uint64_t ns)
{
    unsigned bucket = 0;
    while (bucket + 1 < STORE_STEP_BUCKETS && ns > (UINT64_C(4000) << bucket))
        bucket++;
    stat_add(&slices->by_duration[bucket], 1);
    stat_add(&slices->count, 1);
    stat_add(&slices->ns, ns);
    if (ns > slices->max_ns)
        __atomic_store_n(&slices->max_ns, ns, __ATOMIC_RELAXED);
}

/* ---- expiry ---- */

/* Found dead, not deleted yet: meanwhile the memory they are to be taken out of is on its way. */
#define REAP_BATCH 16u

struct reaper {
    struct shard *shard;
    int64_t now_ms;
    unsigned count;
    struct {
        ebb_ref ref;
        uint64_t hash;
    } dead[REAP_BATCH];
};

static void reap_one(struct shard *shard, ebb_ref ref, uint64_t hash)
{
    struct found found = {.ref = ref};
    item_read(ebb_at(shard->base, ref), &found.item);
    stat_add(&shard->stats.expired_active, 1);
    stat_add(&shard->stats.expired_bytes, item_view_bytes(&found.item));
    struct store_class_counts *class = class_counts_of(shard->store, item_view_bytes(&found.item));
    class_count(&class->expired_reaped, 1);
    class_count(&class->expired_unfetched, !(found.item.meta.marks & STORE_FETCHED));
    if (index_find_ref(&shard->index, hash, ref, &found.at))
        shard_delete(shard, &found);
}

static void reap_all(struct reaper *reaper)
{
    for (unsigned i = 0; i < reaper->count; i++)
        reap_one(reaper->shard, reaper->dead[i].ref, reaper->dead[i].hash);
    reaper->count = 0;
}

static uint64_t note_dead(void *context, ebb_ref ref, void *data)
{
    struct reaper *reaper = context;
    struct shard *shard = reaper->shard;
    struct item_view item;
    item_read(data, &item);
    if (!item_is_dead(&item.meta, reaper->now_ms))
        return (uint64_t)item.meta.expire_ms;
    if (reaper->count == REAP_BATCH)
        reap_all(reaper);
    uint64_t hash = item_key(shard->store, &item).hash;
    index_prefetch(&shard->index, hash);
    reaper->dead[reaper->count].ref = ref;
    reaper->dead[reaper->count++].hash = hash;
    return 0;
}

static bool visit_due(struct shard *shard, int64_t now_ms, uint64_t deadline_ns)
{
    struct reaper reaper = {.shard = shard, .now_ms = now_ms};
    while (ebb_due_next(shard->items) <= (uint64_t)now_ms) {
        ebb_due_visit(shard->items, (uint64_t)now_ms, (uint64_t)(now_ms + EXPIRE_GAP_MS), note_dead,
                      &reaper);
        reap_all(&reaper); /* before the next visit could give up the span */
        if (upkeep_now_ns() >= deadline_ns)
            return ebb_due_next(shard->items) <= (uint64_t)now_ms;
    }
    return false;
}

/* Visits spans with due items until the deadline. true: there are more. */
static bool expire(struct shard *shard, int64_t now_ms, uint64_t deadline_ns)
{
    if (__atomic_load_n(&shard->store->expire_off, __ATOMIC_RELAXED))
        return false;
    uint64_t begin_ns = work_begins(shard->store);
    bool more = visit_due(shard, now_ms, deadline_ns);
    work_ended(shard->store, STORE_WORK_EXPIRE, begin_ns);
    return more;
}

bool slice_expire(struct shard *shard, uint64_t deadline_ns)
{
    int64_t now_ms = (int64_t)shard->store->now_ms();
    if (ebb_due_next(shard->items) > (uint64_t)now_ms)
        return false;
    expire(shard, now_ms, deadline_ns);
    return true;
}

/* ---- saying why ---- */

bool store_may_explain(struct store *store)
{
    if (!__atomic_load_n(&store->explain_on, __ATOMIC_RELAXED))
        return false;
    uint64_t now = upkeep_now_ns(), last = __atomic_load_n(&store->explained_ns, __ATOMIC_RELAXED);
    return now >= last + EXPLAIN_NS &&
           __atomic_compare_exchange_n(&store->explained_ns, &last, now, false, __ATOMIC_RELAXED,
                                       __ATOMIC_RELAXED);
}

static void explain(struct store *store, const struct shard *shard, enum ebb_reason reason)
{
    if (reason < EBB_REASON_WASTE || !store_may_explain(store))
        return;
    struct ebb_heap_stats stats;
    char line[256];
    ebb_heap_stats(shard->items, &stats);
    snprintf(
        line, sizeof line,
        "compact: %s: shard %u could free %zu KiB of %zu KiB resident in %zu spans; moved %llu "
        "KiB and freed %llu KiB since start",
        ebb_reason_text(reason), (unsigned)(shard - store->shards), stats.reclaimable_bytes >> 10,
        stats.resident_bytes >> 10, stats.span_count, (unsigned long long)stats.moved_bytes >> 10,
        (unsigned long long)stats.freed_bytes >> 10);
    store->explain(store->explain_context, line);
}

/* ---- the slice ---- */

/* Compacts both heaps of a shard until the deadline. true: there is more to win. */
bool slice_compact(struct shard *shard, enum ebb_urge urge, uint64_t deadline_ns,
                   enum ebb_reason *reason)
{
    /* In turn, for the first may need all the time there is. */
    bool is_odd = shard->slices.compactions++ % 2 != 0;
    struct ebb_heap *heaps[] = {is_odd ? shard->segments : shard->items,
                                is_odd ? shard->items : shard->segments};
    bool more = false;
    for (unsigned h = 0; h < 2; h++) {
        uint64_t now = upkeep_now_ns();
        enum ebb_reason why;
        if (now >= deadline_ns)
            return true;
        more = (ebb_compact(heaps[h], urge, deadline_ns - now, &why) == EBB_COMPACT_MORE) || more;
        work_ended(shard->store, STORE_WORK_COMPACT, now);
        *reason = why > *reason ? why : *reason;
    }
    return more;
}

size_t slice_reclaimable(const struct shard *shard)
{
    return ebb_reclaimable(shard->items) + ebb_reclaimable(shard->segments);
}

static int64_t overdue_ms(const struct shard *shard, int64_t now_ms)
{
    uint64_t due = ebb_due_next(shard->items);
    return due < (uint64_t)now_ms ? now_ms - (int64_t)due : 0;
}

/* Near the limit each span counts; where there is room compaction waits until it pays. */
static enum ebb_urge slice_urge(const struct store *store)
{
    bool is_pressed = __atomic_load_n(&store->limit.is_pressed, __ATOMIC_RELAXED);
    return is_pressed || limit_is_tight(store) ? EBB_URGE_PRESSURE : EBB_URGE_CALM;
}

/* Leaves the shard's figures where they can be read without its lock. */
static void note_memory(struct shard *shard)
{
    struct ebb_heap_stats items, segments;
    ebb_heap_stats(shard->items, &items);
    ebb_heap_stats(shard->segments, &segments);
    struct slices *slices = &shard->slices;
    uint64_t due = ebb_due_next(shard->items);
    __atomic_store_n(&slices->due_ms, due == UINT64_MAX ? 0 : (int64_t)due, __ATOMIC_RELAXED);
    __atomic_store_n(&slices->reclaimable_bytes, slice_reclaimable(shard), __ATOMIC_RELAXED);
    __atomic_store_n(&slices->untouched_bytes,
                     items.span_bytes - items.resident_bytes + segments.span_bytes -
                         segments.resident_bytes,
                     __ATOMIC_RELAXED);
}

void shard_slice(struct store *store, struct shard *shard)
{
    uint64_t begin = upkeep_now_ns(), deadline = begin + SLICE_NS;
    int64_t now_ms = (int64_t)store->now_ms();
    enum ebb_reason reason = EBB_REASON_NONE;
    struct slices *slices = &shard->slices;
    __atomic_store_n(&slices->overdue_ms, overdue_ms(shard, now_ms), __ATOMIC_RELAXED);
    bool more = expire(shard, now_ms, deadline);
    more = slice_compact(shard, slice_urge(store), deadline, &reason) || more;
    explain(store, shard, reason);
    note_memory(shard);
    more = evict_ahead(shard, deadline) || more;
    limit_note(store);
    __atomic_store_n(&slices->has_more, more, __ATOMIC_RELAXED);
    record(slices, upkeep_now_ns() - begin);
}
