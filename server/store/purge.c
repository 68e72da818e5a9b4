/* SPDX-License-Identifier: MIT */
/* purge.c: compacts and trims all there is when somebody asks for it: at once for a client that
 * waits (MEMORY PURGE), or a step at a time for a page that must not stop the main loop.
 *
 * Moves are at most as many as there are objects, but writers may go on making work: an end is set.
 */
#include "store_internal.h"

#define SLICE_NS      100000u
#define SLICES_MIN    1000u
#define SLICE_OBJECTS 64u           /* one slice moves more than that */
#define TRIM_BYTES    (512u * 1024) /* at once: some 50 us */

static size_t slices_max(struct store *store, unsigned number)
{
    struct ebb_heap_stats stats;
    struct shard *shard = shard_lock(store, number);
    ebb_heap_stats(shard->items, &stats);
    shard_unlock(shard);
    return SLICES_MIN + stats.objects / SLICE_OBJECTS;
}

static bool compact(struct store *store, unsigned number)
{
    struct shard *shard = shard_lock(store, number);
    enum ebb_reason reason = EBB_REASON_NONE;
    bool more = slice_compact(shard, EBB_URGE_MANUAL, upkeep_now_ns() + SLICE_NS, &reason);
    shard_unlock(shard);
    return more;
}

void store_purge_begin(struct store_purge *purge, bool trims)
{
    *purge = (struct store_purge){.trims = trims, .is_active = true};
}

static void next_shard(struct store *store, struct store_purge *purge)
{
    purge->shard++;
    purge->slices_left = 0;
    if (purge->shard == store->shard_count && !purge->trims)
        purge->is_active = false;
}

bool store_purge_step(struct store_session *session, struct store_purge *purge)
{
    struct store *store = session->store;
    store_leave(session);
    if (!purge->is_active)
        return false;
    if (purge->shard == store->shard_count) {
        purge->is_active = ebb_pool_trim(store->pool, TRIM_BYTES, true) >= TRIM_BYTES;
        return purge->is_active;
    }
    if (purge->slices_left == 0)
        purge->slices_left = slices_max(store, purge->shard);
    if (!compact(store, purge->shard) || --purge->slices_left == 0)
        next_shard(store, purge);
    return purge->is_active;
}

void store_purge(struct store_session *session)
{
    struct store_purge purge;
    store_purge_begin(&purge, true);
    while (store_purge_step(session, &purge))
        ;
}
