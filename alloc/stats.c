/* SPDX-License-Identifier: MIT */
/* stats.c: what the allocator counts, in the public structs; and the texts of its errors. */
#include <string.h>

#include "bits.h"
#include "internal.h"

void ebb_pool_stats(struct ebb_pool *pool, struct ebb_pool_stats *stats)
{
    pthread_mutex_lock(&pool->lock);
    *stats = (struct ebb_pool_stats){
        .reserved_bytes = pool->reserve_bytes,
        .span_bytes = pool->span_pages * EBB_PAGE_BYTES,
        .idle_bytes = pool->idle_pages * EBB_PAGE_BYTES,
        .keep_bytes = pool->keep_pages * EBB_PAGE_BYTES,
        .trimmed_bytes = pool->trimmed_pages * EBB_PAGE_BYTES,
        .metadata_bytes = pool->metadata_pages * EBB_PAGE_BYTES,
        .arena_count = pool->arenas_used,
        .window_ms = pool->window_ms,
        .trim_calls = pool->trim_calls,
        .trim_bytes = pool->trim_bytes,
        .trim_ns = pool->trim_ns,
        .trim_errors = pool->trim_errors,
        .refault_bytes = pool->refault_bytes,
        .refault_early_bytes = pool->refault_early_bytes,
        .commit_errors = pool->commit_errors,
        .limit_bytes = pool->limit_pages == SIZE_MAX / EBB_PAGE_BYTES
                           ? SIZE_MAX
                           : pool->limit_pages * EBB_PAGE_BYTES,
        .refusals = pool->refusals,
        .relocated_bytes = pool->relocated_bytes,
        .relocation_errors = pool->relocation_errors,
    };
    pthread_mutex_unlock(&pool->lock);
}

void ebb_heap_stats(const struct ebb_heap *heap, struct ebb_heap_stats *stats)
{
    size_t large_bytes = heap->large_pages * EBB_PAGE_BYTES;
    *stats = (struct ebb_heap_stats){
        .objects = heap->objects,
        .slot_bytes = heap->slot_bytes,
        .free_slot_bytes = heap->resident_pages * EBB_PAGE_BYTES - heap->slot_bytes,
        .resident_bytes = heap->resident_pages * EBB_PAGE_BYTES,
        .span_bytes = heap->span_pages * EBB_PAGE_BYTES,
        .span_count = heap->span_count,
        .large_count = heap->classes[CLASS_LARGE].used,
        .large_bytes = large_bytes,
        .pinned_spans = heap->pinned_spans,
        .pinned_bytes = heap->pinned_pages * EBB_PAGE_BYTES,
        .freed_pinned_bytes = heap->freed_object_bytes,
        .reclaimable_bytes = compact_reclaimable(heap),
        .allocations = heap->allocations,
        .frees = heap->frees,
        .allocated_bytes = heap->allocated_bytes,
        .failures = heap->failures,
        .moved_objects = heap->moved_objects,
        .moved_bytes = heap->moved_bytes,
        .freed_spans = heap->freed_spans,
        .freed_bytes = heap->freed_bytes,
        .compact_ns = heap->compact_ns,
        .skipped_pinned = heap->skipped_pinned,
    };
    for (unsigned r = 0; r < EBB_REASON_COUNT; r++)
        stats->compact_cycles[r] = heap->compact_cycles[r];
}

void ebb_class_stats(const struct ebb_heap *heap, unsigned class_index,
                     struct ebb_class_stats *stats)
{
    const struct heap_class *class = &heap->classes[class_index];
    *stats = (struct ebb_class_stats){
        .slot_bytes = class_index < EBB_CLASS_COUNT ? class_bytes(class_index) : 0,
        .spans_full = class->spans_full,
        .spans_partial = class->spans - class->spans_full - class->spans_empty,
        .spans_empty = class->spans_empty,
        .slots_used = class->used,
        .slots_free = class->slots - class->used,
        .allocations = class->allocations,
        .frees = class->frees,
    };
}

void ebb_class_deciles(const struct ebb_heap *heap, unsigned class_index, size_t deciles[10])
{
    const struct heap_class *class = &heap->classes[class_index];
    memset(deciles, 0, 10 * sizeof deciles[0]);
    for (unsigned b = 0; b < BUCKET_COUNT; b++)
        for (span_id id = class->buckets[b]; id != 0; id = pool_span(heap->pool, id)->next) {
            const struct span *span = pool_span(heap->pool, id);
            unsigned decile = span->used * 10u / span->slots;
            deciles[decile < 10 ? decile : 9]++;
        }
}

const char *ebb_alloc_error_text(int error)
{
    switch (error) {
    case 0:
        return "no error";
    case EBB_ALLOC_ENOMEM:
        return "out of memory";
    case EBB_ALLOC_EINVAL:
        return "invalid argument";
    case EBB_ALLOC_EBUSY:
        return "object is pinned";
    case EBB_ALLOC_EPAGES:
        return "the system's memory pages are not of 4 KiB";
    default:
        return "unknown error";
    }
}
