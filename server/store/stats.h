/* SPDX-License-Identifier: MIT */
/* stats.h: what the store counts. Sums over all shards of one moment each, cheap to take. */
#ifndef EBB_STORE_STATS_H
#define EBB_STORE_STATS_H

#include <stddef.h>
#include <stdint.h>

#include "../../alloc/ebb_alloc.h"

#define STORE_STEP_BUCKETS 12 /* slice durations: 2^k * 4 us upper bounds, the last +Inf */

struct store_stats {
    size_t items, items_with_ttl;
    size_t key_bytes, value_bytes; /* live: what users stored */
    size_t header_bytes;           /* item headers with their optional fields */
    uint64_t lookups, hits, sets, deletes;
    uint64_t expired_lazy, expired_active, expired_bytes;
    uint64_t evicted, evicted_bytes, rejected_memory;
    double expiry_lag_seconds; /* age of the oldest due and unreaped item, as far as known */

    size_t index_bytes; /* resident: segments and directories */
    size_t index_slots; /* capacity */
    size_t index_segments;
    uint64_t index_splits, index_merges, index_moved;

    struct ebb_heap_stats item_heap; /* sums over the shards */
    struct ebb_heap_stats index_heap;
    struct ebb_pool_stats pool;
    size_t large_item_bytes; /* headers, keys and values of items above EBB_LARGE_BYTES */
    const void *range_start; /* of all values: pool.reserved_bytes from ebb_pool_base() on */

    size_t live_peak_bytes;
    uint64_t slices[STORE_STEP_BUCKETS]; /* upkeep slices by duration */
    uint64_t slice_count, slice_ns, slice_max_ns;
    uint64_t compaction_active; /* 1 while there is more to win */
};

/* Sums of one size class over all shards. */
struct store;
/* The class of an item of so many bytes, header, key and value. */
unsigned store_class_of(size_t bytes);
void store_class_stats(struct store *store, unsigned class_index, struct ebb_class_stats *stats);

#endif
