/* SPDX-License-Identifier: MIT */
/* stats.h: what the store counts. Sums over all shards of one moment each, cheap to take. */
#ifndef EBB_STORE_STATS_H
#define EBB_STORE_STATS_H

#include <stddef.h>
#include <stdint.h>

#include "../../alloc/ebb_alloc.h"

#define STORE_STEP_BUCKETS 12 /* slice durations: 2^k * 4 us upper bounds, the last +Inf */

#define STORE_AGE_BUCKETS 9 /* ages of evicted items: bounds in store_age_bounds, the last +Inf */
extern const unsigned store_age_bounds[STORE_AGE_BUCKETS - 1]; /* seconds */

enum store_evict_reason { STORE_EVICT_LIMIT, STORE_EVICT_PRESSURE, STORE_EVICT_REASONS };
#define STORE_SIZE_BUCKETS 11 /* sizes of values stored: 4^k * 64 upper bounds, the last +Inf */

struct store_stats {
    size_t items, items_with_ttl;
    size_t key_bytes, value_bytes; /* live: what users stored */
    size_t header_bytes;           /* item headers with their optional fields */
    uint64_t lookups, hits, sets, deletes;
    uint64_t stored_sizes[STORE_SIZE_BUCKETS], stored_bytes; /* values, each time one is stored */
    uint64_t expired_lazy, expired_active, expired_bytes;
    uint64_t evicted, rejected_memory;
    uint64_t evicted_by[STORE_EVICT_REASONS], evicted_bytes[STORE_EVICT_REASONS];
    uint64_t evicted_unfetched; /* nobody had read them since they were stored */
    uint64_t evicted_early; /* while there was more to be won by compaction than the limit says */
    uint64_t evicted_ages[STORE_AGE_BUCKETS], evicted_age_seconds;
    size_t small_bytes;        /* of items that eviction has on probation */
    size_t ghost_bytes;        /* of the memory of evicted keys */
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
    uint64_t lock_waits, lock_wait_ns; /* of workers that found a shard locked */
    uint64_t compaction_active;        /* 1 while there is more to win */
};

/* Sums of one size class over all shards. */
struct store;
/* The class of an item of so many bytes, header, key and value. */
unsigned store_class_of(size_t bytes);
void store_class_stats(struct store *store, unsigned class_index, struct ebb_class_stats *stats);
/* What has happened to the items of a class since the start. Locks nothing. */
struct store_class_counts {
    uint64_t evicted, evicted_with_ttl, evicted_unfetched;
    uint64_t evicted_idle_s;    /* of the last one evicted; where its age is known */
    uint64_t evicted_by_writer; /* for want of room, or to pay for a new item */
    uint64_t rejected;          /* writes that found no room */
    uint64_t expired_evicted;   /* found expired when they were to be evicted */
    uint64_t expired_reaped;    /* found by upkeep */
    uint64_t expired_unfetched; /* of both */
};
void store_class_counts(struct store *store, unsigned class_index,
                        struct store_class_counts *counts);
/* Spans of a class by fullness, 0-10 % first. Walks them under their shard's lock, a shard after
 * the other: a class has at most some tens of thousands, and this is for pages, not for scrapes. */
void store_class_deciles(struct store *store, unsigned class_index, size_t deciles[10]);
/* ebb_pool_map() of the pool of all values; store_arenas() says where it ends. */
size_t store_map(struct store *store, size_t first_arena, size_t count, struct ebb_page *pages);
size_t store_arenas(struct store *store);

#endif
