/* SPDX-License-Identifier: MIT */
/* evict.h: making room under a limit. For the files of store/ only; the shard's lock is held.
 *
 *   idle pages, expired items, compaction, and only then eviction
 *
 * Writers of new items pay as they go (evict_pay), and upkeep works ahead of them (evict_ahead), so
 * that they seldom have to wait for room (evict_make_room). All evict from the shard that they have
 * locked.
 */
#ifndef EBB_STORE_EVICT_H
#define EBB_STORE_EVICT_H

#include "shard.h"

/* What a write that found no memory wants. */
struct room {
    size_t bytes;
    const struct pieces *value; /* its bytes may lie in items: these stay where they are */
    uint64_t locked;            /* shards that the writer has locked, one bit each */
    unsigned tries;             /* in vain so far */
    size_t freed_bytes;         /* by evictions for it */
};

/* Makes room, a bounded step at a time. true: worth trying again. */
bool evict_make_room(struct shard *shard, struct room *room);
/* Whether the write should have its memory all the same: the limit was lowered, and a write that
 * has evicted more than it takes need not pay for all that is held beyond it. */
bool evict_must_give_way(const struct shard *shard, const struct room *room);
/* Near the limit: evicts about as many bytes as a new item will take, so that slots of all classes
 * come free at the pace at which they are wanted. */
void evict_pay(struct shard *shard, const struct room *room);
/* Evicts until there is as much room as upkeep keeps ahead of writers, or the deadline. true: there
 * is still less. */
bool evict_ahead(struct shard *shard, uint64_t deadline_ns);

/* Bytes of the pool that are free or easily so, negative when it holds more than it may. */
ptrdiff_t limit_room(const struct store *store);
/* What compaction could win, by the last look at each shard. */
size_t limit_reclaimable(const struct store *store);
/* Whether room is short: then compaction takes every span it can get, and trim keeps nothing. */
bool limit_is_tight(const struct store *store);

/* Sets store->is_near, for evict_pay(). */
void limit_note(struct store *store);

/* ---- what shard.c tells of items ---- */

/* The use of an item that comes in now. */
unsigned evict_born(struct shard *shard, uint64_t hash, size_t bytes);
/* An item with that use has come (+1) or goes (-1). */
void evict_count(struct shard *shard, unsigned use, size_t bytes, int sign);
/* A hit on the item at that slot. */
void evict_hit(struct shard *shard, const struct found *found);
/* Seconds that have passed for sure since the item at that slot was used. */
uint32_t evict_idle_s(const struct shard *shard, const struct found *found);
unsigned evict_frequency(const struct shard *shard, const struct found *found);
void evict_reset(struct shard *shard); /* the shard is empty */
void evict_release(struct shard *shard);

#endif
