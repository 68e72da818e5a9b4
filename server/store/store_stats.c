/* SPDX-License-Identifier: MIT */
/* store_stats.c: sums over the shards, and checking them all. */
#include "store_internal.h"

static void add_heap(struct ebb_heap_stats *sum, const struct ebb_heap *heap)
{
    struct ebb_heap_stats stats;
    ebb_heap_stats(heap, &stats);
    sum->objects += stats.objects;
    sum->slot_bytes += stats.slot_bytes;
    sum->free_slot_bytes += stats.free_slot_bytes;
    sum->resident_bytes += stats.resident_bytes;
    sum->span_bytes += stats.span_bytes;
    sum->span_count += stats.span_count;
    sum->large_count += stats.large_count;
    sum->large_bytes += stats.large_bytes;
    sum->pinned_spans += stats.pinned_spans;
    sum->pinned_bytes += stats.pinned_bytes;
    sum->freed_pinned_bytes += stats.freed_pinned_bytes;
    sum->reclaimable_bytes += stats.reclaimable_bytes;
    sum->allocations += stats.allocations;
    sum->frees += stats.frees;
    sum->allocated_bytes += stats.allocated_bytes;
    sum->failures += stats.failures;
    for (unsigned r = 0; r < EBB_REASON_COUNT; r++)
        sum->compact_cycles[r] += stats.compact_cycles[r];
    sum->moved_objects += stats.moved_objects;
    sum->moved_bytes += stats.moved_bytes;
    sum->freed_spans += stats.freed_spans;
    sum->freed_bytes += stats.freed_bytes;
    sum->compact_ns += stats.compact_ns;
    sum->skipped_pinned += stats.skipped_pinned;
}

static void add_evictions(struct store_stats *sum, const struct shard *shard)
{
    const struct shard_stats *stats = &shard->stats;
    for (unsigned r = 0; r < STORE_EVICT_REASONS; r++) {
        sum->evicted += stats->evicted[r];
        sum->evicted_by[r] += stats->evicted[r];
        sum->evicted_bytes[r] += stats->evicted_bytes[r];
    }
    for (unsigned b = 0; b < STORE_AGE_BUCKETS; b++)
        sum->evicted_ages[b] += stats->evicted_ages[b];
    sum->evicted_age_seconds += stats->evicted_age_seconds;
    sum->evicted_unfetched += stats->evicted_unfetched;
    sum->evicted_early += stats->evicted_early;
    sum->small_bytes += shard->evictor.small_bytes;
    sum->ghost_bytes += shard->evictor.ghost_bytes;
}

static void add_shard(struct store_stats *sum, const struct shard *shard, unsigned databases)
{
    const struct shard_stats *stats = &shard->stats;
    const struct index *index = &shard->index;
    sum->items += index->items;
    for (unsigned d = 0; d < databases; d++)
        sum->items_with_ttl += shard->expires[d];
    sum->key_bytes += stats->key_bytes;
    sum->value_bytes += stats->value_bytes;
    sum->header_bytes += stats->header_bytes;
    sum->large_item_bytes += stats->large_item_bytes;
    sum->lookups += stats->lookups;
    sum->hits += stats->hits;
    sum->sets += stats->sets;
    sum->deletes += stats->deletes;
    for (unsigned b = 0; b < STORE_SIZE_BUCKETS; b++)
        sum->stored_sizes[b] += stats->stored_sizes[b];
    sum->stored_bytes += stats->stored_bytes;
    sum->expired_lazy += stats->expired_lazy;
    sum->expired_active += stats->expired_active;
    sum->expired_bytes += stats->expired_bytes;
    add_evictions(sum, shard);
    sum->rejected_memory += stats->rejected_memory;
    sum->lock_waits += stats->lock_waits;
    sum->lock_wait_ns += stats->lock_wait_ns;
    sum->index_bytes += index_directory_bytes(index);
    sum->index_slots += index->slots;
    sum->index_segments += index->segments;
    sum->index_splits += index->splits;
    sum->index_merges += index->merges;
    sum->index_moved += index->moved;
    add_heap(&sum->item_heap, shard->items);
    add_heap(&sum->index_heap, shard->segments);
}

static void add_slices(struct store_stats *sum, const struct slices *slices)
{
    double lag = (double)slices->overdue_ms / 1000;
    for (unsigned b = 0; b < STORE_STEP_BUCKETS; b++)
        sum->slices[b] += slices->by_duration[b];
    sum->slice_count += slices->count;
    sum->slice_ns += slices->ns;
    sum->slice_max_ns = slices->max_ns > sum->slice_max_ns ? slices->max_ns : sum->slice_max_ns;
    sum->expiry_lag_seconds = lag > sum->expiry_lag_seconds ? lag : sum->expiry_lag_seconds;
}

void store_stats(struct store *store, struct store_stats *stats)
{
    *stats = (struct store_stats){0};
    for (unsigned s = 0; s < store->shard_count; s++) {
        struct shard *shard = shard_lock(store, s);
        add_shard(stats, shard, store->database_count);
        add_slices(stats, &shard->slices);
        shard_unlock(shard);
    }
    stats->index_bytes += stats->index_heap.resident_bytes;
    stats->compaction_active = stat_read(&store->upkeep.compacting);
    ebb_pool_stats(store->pool, &stats->pool);
    stats->range_start = ebb_pool_base(store->pool);
    size_t live = stats->key_bytes + stats->value_bytes, peak = stat_read(&store->live_peak_bytes);
    stats->live_peak_bytes = live > peak ? live : peak;
}

unsigned store_class_of(size_t bytes)
{
    return ebb_class_of(bytes);
}

void store_class_stats(struct store *store, unsigned class_index, struct ebb_class_stats *stats)
{
    *stats = (struct ebb_class_stats){0};
    for (unsigned s = 0; s < store->shard_count; s++) {
        struct shard *shard = shard_lock(store, s);
        struct ebb_class_stats one;
        ebb_class_stats(shard->items, class_index, &one);
        shard_unlock(shard);
        stats->slot_bytes = one.slot_bytes;
        stats->spans_full += one.spans_full;
        stats->spans_partial += one.spans_partial;
        stats->spans_empty += one.spans_empty;
        stats->slots_used += one.slots_used;
        stats->slots_free += one.slots_free;
        stats->allocations += one.allocations;
        stats->frees += one.frees;
    }
}

void store_class_counts(struct store *store, unsigned class_index,
                        struct store_class_counts *counts)
{
    const uint64_t *from = (const uint64_t *)&store->classes[class_index];
    uint64_t *to = (uint64_t *)counts;
    for (size_t i = 0; i < sizeof *counts / sizeof *to; i++)
        to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

void store_class_deciles(struct store *store, unsigned class_index, size_t deciles[10])
{
    for (unsigned d = 0; d < 10; d++)
        deciles[d] = 0;
    for (unsigned s = 0; s < store->shard_count; s++) {
        struct shard *shard = shard_lock(store, s);
        size_t one[10];
        ebb_class_deciles(shard->items, class_index, one);
        shard_unlock(shard);
        for (unsigned d = 0; d < 10; d++)
            deciles[d] += one[d];
    }
}

size_t store_map(struct store *store, size_t first_arena, size_t count, struct ebb_page *pages)
{
    return ebb_pool_map(store->pool, first_arena, count, pages);
}

size_t store_arenas(struct store *store)
{
    return ebb_pool_arenas(store->pool);
}

/* ---- checking ---- */

struct tally {
    struct shard *shard;
    struct shard_stats bytes;
    size_t items, lost, expires, small_bytes;
};

static bool tally_item(void *context, ebb_ref ref, void *data)
{
    struct tally *tally = context;
    struct item_view view;
    struct found found;
    item_read(data, &view);
    struct store_key key = item_key(tally->shard->store, &view);
    tally->items++;
    bool is_found = shard_find_any(tally->shard, &key, &found) && found.ref == ref;
    tally->lost += !is_found;
    if (is_found && !(slot_use(*found.at.slot) & USE_MAIN))
        tally->small_bytes += item_bytes(&view.meta);
    tally->expires += view.meta.expire_ms != 0;
    tally->bytes.key_bytes += view.meta.key_len;
    tally->bytes.value_bytes += view.meta.value_len;
    tally->bytes.header_bytes += view.header_bytes;
    return true;
}

static int shard_check(struct shard *shard, unsigned databases)
{
    struct tally tally = {.shard = shard};
    ebb_heap_each(shard->items, tally_item, &tally);
    size_t keys = 0, expires = 0;
    for (unsigned d = 0; d < databases; d++) {
        keys += shard->keys[d];
        expires += shard->expires[d];
    }
    bool counts = tally.items == shard->index.items && tally.lost == 0 && tally.items == keys &&
                  tally.expires == expires;
    bool bytes = tally.bytes.key_bytes == shard->stats.key_bytes &&
                 tally.bytes.value_bytes == shard->stats.value_bytes &&
                 tally.bytes.header_bytes == shard->stats.header_bytes &&
                 tally.small_bytes == shard->evictor.small_bytes;
    if (!counts || !bytes || index_check(&shard->index) != 0 || ebb_heap_check(shard->items) != 0 ||
        ebb_heap_check(shard->segments) != 0)
        return -1;
    return 0;
}

int store_check(struct store *store)
{
    int result = 0;
    for (unsigned s = 0; s < store->shard_count; s++) {
        struct shard *shard = shard_lock(store, s);
        if (shard_check(shard, store->database_count) != 0)
            result = -1;
        shard_unlock(shard);
    }
    return ebb_pool_check(store->pool) != 0 ? -1 : result;
}
