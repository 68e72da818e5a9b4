/* SPDX-License-Identifier: MIT */
/* evict.c: makes room for writers under a limit. Who goes is in victim.c.
 *
 * Freed slots are used in place by writes of the same class: near the limit each new item pays for
 * itself. What other classes need comes from spans that compaction empties. A writer whose class
 * gets nothing that way takes a slot of its own class at last.
 */
#include "evict.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "victim.h"

#define BATCH_ITEMS        16u
#define COMPACT_NS         100000u /* of a writer's time, at once */
#define TRIM_LEAST_BYTES   (128u * 1024)
#define LARGE_LEAST        (32u * 1024) /* from here on other shards help */
#define PAID_ITEMS_MAX     512u         /* by one write; later ones pay the rest ... */
#define OWED_MAX_BYTES     (64 * 1024)  /* ... up to this: for a long value room is made */
#define OF_CLASS_TRIES     8u           /* in vain before a writer takes a slot of its class */
#define OF_CLASS_TRIES_MAX 64u
#define BUSY_TRIES_MAX     256u /* the one who has them may be waiting for this shard */
#define GIVE_WAY_TRIES     16u
#define ROOM_UNLIMITED     (PTRDIFF_MAX / 2) /* callers add what could be won to it */

/* ---- the limit ---- */

static bool is_limited(const struct store *store)
{
    return stat_read(&store->limit.pool_bytes) != SIZE_MAX;
}

ptrdiff_t limit_room(const struct store *store)
{
    struct ebb_pool_stats pool;
    size_t limit_bytes =
        stat_read(&store->limit.pool_bytes); /* once: it may be changed meanwhile */
    if (limit_bytes == SIZE_MAX)
        return ROOM_UNLIMITED;
    ebb_pool_stats(store->pool, &pool);
    return (ptrdiff_t)(limit_bytes - (pool.span_bytes + pool.metadata_bytes));
}

size_t limit_reclaimable(const struct store *store)
{
    size_t bytes = 0;
    for (unsigned s = 0; s < store->shard_count; s++)
        bytes += stat_read(&store->shards[s].slices.reclaimable_bytes);
    return bytes;
}

bool limit_is_tight(const struct store *store)
{
    return limit_room(store) < (ptrdiff_t)(stat_read(&store->limit.ahead_bytes) / 2);
}

/* ---- evicting ---- */

static void explain(const struct shard *shard, size_t items)
{
    struct store *store = shard->store;
    char line[256];
    if (!store_may_explain(store))
        return;
    snprintf(line, sizeof line,
             "evict: %s: shard %u of %zu items gave up %zu; %td KiB of room with %zu KiB to be won "
             "by compaction, where %zu KiB are kept free",
             __atomic_load_n(&store->limit.is_pressed, __ATOMIC_RELAXED) ? "pressure" : "limit",
             (unsigned)(shard - store->shards), shard->index.items, items, limit_room(store) >> 10,
             limit_reclaimable(store) >> 10, stat_read(&store->limit.ahead_bytes) >> 10);
    store->explain(store->explain_context, line);
}

static void note_reclaimable(struct shard *shard)
{
    __atomic_store_n(&shard->slices.reclaimable_bytes, slice_reclaimable(shard), __ATOMIC_RELAXED);
}

/* Evicts until so many bytes of slots are free, at least a few items. Returns the bytes. */
static size_t evict_some(struct shard *shard, size_t bytes, const struct pieces *value)
{
    size_t freed = 0, items = 0;
    if (shard_order(shard) == USE_NONE)
        return 0;
    if (shard_order(shard) == USE_S3)
        victim_fit_ghost(shard);
    while (items < BATCH_ITEMS || freed < bytes) {
        size_t one = victim_evict(shard, value);
        if (one == 0)
            break;
        freed += one;
        items++;
    }
    note_reclaimable(shard);
    if (items > 0)
        explain(shard, items);
    return freed;
}

/* ---- for a writer ---- */

static bool compact(struct shard *shard)
{
    enum ebb_reason reason = EBB_REASON_NONE;
    size_t before = stat_read(&shard->slices.reclaimable_bytes);
    if (before == 0)
        return false;
    bool has_more = slice_compact(shard, EBB_URGE_PRESSURE, upkeep_now_ns() + COMPACT_NS, &reason);
    note_reclaimable(shard);
    return has_more || stat_read(&shard->slices.reclaimable_bytes) < before;
}

/* Lets another shard do its part: one that the writer has locked itself, or that nobody is using.
 */
static size_t of_another(struct shard *shard, const struct room *room,
                         size_t (*part)(struct shard *other, const struct room *room))
{
    const struct store *store = shard->store;
    unsigned own = (unsigned)(shard - store->shards);
    for (unsigned i = 1; i < store->shard_count; i++) {
        unsigned number = (own + i) % store->shard_count;
        struct shard *other = &store->shards[number];
        bool is_ours = room->locked >> number & 1;
        if (!is_ours && pthread_mutex_trylock(&other->lock) != 0)
            continue;
        size_t won = part(other, room);
        if (!is_ours)
            pthread_mutex_unlock(&other->lock);
        if (won > 0)
            return won;
    }
    return 0;
}

/* Whether the shard has an item that the policy lets go; its lock is not needed. */
static bool has_victims(const struct shard *shard)
{
    const struct store *store = shard->store;
    if (!__atomic_load_n(&store->limit.is_volatile, __ATOMIC_RELAXED))
        return stat_read(&shard->stats.header_bytes) > 0;
    for (unsigned database = 0; database < store->database_count; database++)
        if (stat_read(&shard->expires[database]) > 0)
            return true;
    return false;
}

static bool others_have_victims(const struct shard *shard)
{
    const struct store *store = shard->store;
    for (unsigned s = 0; s < store->shard_count; s++)
        if (&store->shards[s] != shard && has_victims(&store->shards[s]))
            return true;
    return false;
}

static size_t compact_other(struct shard *other, const struct room *room)
{
    (void)room;
    return compact(other);
}

static size_t evict_other(struct shard *other, const struct room *room)
{
    return evict_some(other, room->bytes / 4, room->value);
}

static bool lies_in_pool(const struct shard *shard, const char *data)
{
    struct ebb_pool_stats pool;
    ebb_pool_stats(shard->store->pool, &pool);
    return data != NULL && lies_inside(shard->base, pool.reserved_bytes, data);
}

/* Whether nothing may move or go, because the value is made of other items' bytes. */
static bool must_hold_still(const struct shard *shard, const struct pieces *value)
{
    return lies_in_pool(shard, value->head) || lies_in_pool(shard, value->tail);
}

/* Whether one write has waited long enough for whole spans. While much can be won by compaction
 * that takes longer, but a limit that was lowered far may not be reached by one write. */
static bool must_take_slot(const struct shard *shard, const struct room *room)
{
    if (limit_reclaimable(shard->store) > stat_read(&shard->store->limit.compact_bytes))
        return room->tries >= OF_CLASS_TRIES_MAX;
    return room->tries >= OF_CLASS_TRIES;
}

/* Memory that nobody uses. */
static bool win_unused(struct shard *shard, const struct room *room, bool is_still)
{
    const struct store *store = shard->store;
    size_t trim_bytes = room->bytes > TRIM_LEAST_BYTES ? room->bytes : TRIM_LEAST_BYTES;
    if (ebb_pool_trim(store->pool, trim_bytes, true) > 0)
        return true;
    if (is_still)
        return false;
    if (slice_expire(shard, upkeep_now_ns() + COMPACT_NS))
        return true;
    note_reclaimable(shard);
    if (compact(shard))
        return true;
    bool may_help = shard_order(shard) == USE_NONE ||
                    limit_reclaimable(store) > stat_read(&store->limit.compact_bytes);
    return may_help && of_another(shard, room, compact_other) > 0;
}

static void count_by_writer(struct shard *shard, const struct room *room)
{
    class_count(&class_counts_of(shard->store, room->bytes)->evicted_by_writer, 1);
}

/* What can never fit is not worth a single key. */
static bool can_fit(const struct store *store, const struct room *room)
{
    return room->bytes <= stat_read(&store->limit.pool_bytes);
}

bool evict_make_room(struct shard *shard, struct room *room)
{
    if (!is_limited(shard->store) || !can_fit(shard->store, room))
        return false;
    bool may_evict = shard_order(shard) != USE_NONE;
    size_t freed = 0;
    if (may_evict && must_take_slot(shard, room))
        freed = victim_evict_of_class(shard, room);
    if (freed == 0 && win_unused(shard, room, must_hold_still(shard, room->value)))
        return true;
    /* One shard may be too small for a large value. */
    if (freed == 0 && may_evict && room->bytes >= LARGE_LEAST && room->tries % 2 == 1)
        freed = of_another(shard, room, evict_other);
    if (freed == 0 && may_evict)
        freed = evict_some(shard, room->bytes / 4, room->value);
    if (freed == 0 && may_evict)
        freed = of_another(shard, room, evict_other);
    room->freed_bytes += freed;
    if (freed > 0) {
        count_by_writer(shard, room);
        return true;
    }
    /* The others may have what this one lacks, but were all in use just now. */
    if (!may_evict || room->tries >= BUSY_TRIES_MAX || !others_have_victims(shard))
        return false;
    sched_yield();
    return true;
}

bool evict_must_give_way(const struct shard *shard, const struct room *room)
{
    return room->tries >= GIVE_WAY_TRIES && room->bytes <= EBB_LARGE_BYTES &&
           room->freed_bytes > room->bytes && limit_room(shard->store) < 0;
}

void evict_pay(struct shard *shard, const struct room *room)
{
    struct evictor *evictor = &shard->evictor;
    if (!__atomic_load_n(&shard->store->is_near, __ATOMIC_RELAXED) || !can_fit(shard->store, room))
        return;
    if (shard_order(shard) == USE_S3)
        victim_fit_ghost(shard);
    evictor->owed_bytes += (ptrdiff_t)room->bytes;
    for (unsigned items = 0; evictor->owed_bytes > 0 && items < PAID_ITEMS_MAX; items++) {
        size_t one = victim_evict(shard, room->value);
        evictor->owed_bytes -= (ptrdiff_t)one;
        if (one == 0)
            evictor->owed_bytes = 0;
        else
            count_by_writer(shard, room);
    }
    if (evictor->owed_bytes > OWED_MAX_BYTES)
        evictor->owed_bytes = OWED_MAX_BYTES;
}

/* ---- for upkeep ---- */

void limit_note(struct store *store)
{
    ptrdiff_t ahead = (ptrdiff_t)stat_read(&store->limit.ahead_bytes);
    size_t reclaimable = limit_reclaimable(store);
    enum use_order order = __atomic_load_n(&store->limit.order, __ATOMIC_RELAXED);
    bool is_near = is_limited(store) && order != USE_NONE &&
                   reclaimable <= stat_read(&store->limit.compact_bytes) &&
                   limit_room(store) + (ptrdiff_t)reclaimable < ahead + ahead / 2;
    __atomic_store_n(&store->is_near, is_near, __ATOMIC_RELAXED);
}

static bool evict_until(struct shard *shard, uint64_t deadline_ns)
{
    const struct store *store = shard->store;
    size_t ahead = stat_read(&store->limit.ahead_bytes);
    for (;;) {
        size_t reclaimable = limit_reclaimable(store);
        if (limit_room(store) + (ptrdiff_t)reclaimable >= (ptrdiff_t)ahead)
            return false;
        /* What compaction can win comes first. */
        if (reclaimable > stat_read(&store->limit.compact_bytes))
            return true;
        if (evict_some(shard, 0, NULL) == 0)
            return false;
        if (upkeep_now_ns() >= deadline_ns)
            return true;
    }
}

bool evict_ahead(struct shard *shard, uint64_t deadline_ns)
{
    if (!is_limited(shard->store) || shard_order(shard) == USE_NONE)
        return false;
    uint64_t begin_ns = work_begins(shard->store);
    bool more = evict_until(shard, deadline_ns);
    work_ended(shard->store, STORE_WORK_EVICT, begin_ns);
    return more;
}
