/* SPDX-License-Identifier: MIT */
/* limit.c: what an owner with a limit needs to know and to say: how many pages the pool may hold,
 * how full the span of an object is, which objects share a class. Taking pages is pool.c.
 */
#include "bits.h"
#include "internal.h"

void ebb_pool_limit(struct ebb_pool *pool, size_t bytes)
{
    pthread_mutex_lock(&pool->lock);
    pool->limit_pages = bytes / EBB_PAGE_BYTES;
    pthread_mutex_unlock(&pool->lock);
}

bool limit_allows(const struct ebb_pool *pool, size_t pages)
{
    size_t held = pool->span_pages + pool->idle_pages + pool->metadata_pages;
    return held + pages <= pool->limit_pages;
}

void ebb_heap_exempt(struct ebb_heap *heap, bool is_exempt)
{
    heap->excused_pages = is_exempt ? EXCUSED_ALL : 0;
}

size_t ebb_reclaimable(const struct ebb_heap *heap)
{
    return compact_reclaimable(heap);
}

unsigned ebb_fullness(const struct ebb_heap *heap, ebb_ref ref)
{
    const struct span *span = pool_span(heap->pool, pool_find(heap->pool, ref));
    return span->used * EBB_FULL / span->slots;
}

/* What is freed there serves a new object: a victim takes none. */
static bool gives_slots(unsigned bucket)
{
    return bucket != BUCKET_EMPTY && bucket != BUCKET_VICTIM;
}

/* The list to look in: of the lists that have spans, one by chance, the full ones too. */
static span_id some_span(const struct heap_class *class, uint64_t random)
{
    unsigned first = (unsigned)(random % BUCKET_COUNT);
    for (unsigned i = 0; i < BUCKET_COUNT; i++) {
        unsigned bucket = (first + i) % BUCKET_COUNT;
        if (gives_slots(bucket) && class->buckets[bucket] != 0)
            return class->buckets[bucket];
    }
    return 0;
}

unsigned ebb_class_sample(const struct ebb_heap *heap, size_t bytes, uint64_t random, ebb_ref *refs,
                          unsigned most)
{
    if (bytes == 0 || bytes > EBB_LARGE_BYTES)
        return 0;
    span_id id = some_span(&heap->classes[class_of(bytes)], random);
    if (id == 0)
        return 0;
    const struct span *span = pool_span(heap->pool, id);
    unsigned count = 0;
    if (span->pinned || span->used == 0) /* what is freed there gives no slot */
        return 0;
    unsigned slot = (unsigned)((random >> 32) % span->slots);
    for (unsigned looked = 0; looked < span->slots && count < most; looked++) {
        if (span_slot_used(span, slot))
            refs[count++] = span_ref(heap->pool, span, slot);
        slot = slot + 1 == span->slots ? 0 : slot + 1;
    }
    return count;
}
