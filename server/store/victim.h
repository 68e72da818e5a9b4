/* SPDX-License-Identifier: MIT */
/* victim.h: who is evicted. For evict.c; the shard's lock is held. What shard.c tells of items is
 * in evict.h.
 */
#ifndef EBB_STORE_VICTIM_H
#define EBB_STORE_VICTIM_H

#include "evict.h"
#include "store_internal.h"

static inline enum use_order shard_order(const struct shard *shard)
{
    return __atomic_load_n(&shard->store->limit.order, __ATOMIC_RELAXED);
}

static inline bool lies_inside(const char *item, size_t bytes, const char *data)
{
    return data >= item && data < item + bytes;
}

/* Evicts one item, none whose bytes `value` is made of. Returns the bytes of its slot, 0 when there
 * is none to evict. */
size_t victim_evict(struct shard *shard, const struct pieces *value);
/* The same for an item whose slot serves a write of so many bytes. */
size_t victim_evict_of_class(struct shard *shard, const struct room *room);
/* As many ghosts as items, as long as that is little of the memory; made anew when that is far from
 * what there is. */
void victim_fit_ghost(struct shard *shard);

#endif
