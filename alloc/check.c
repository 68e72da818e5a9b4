/* SPDX-License-Identifier: MIT */
/* check.c: walks everything and holds it against everything else. For tests and debug builds. */
#include <stdio.h>

#include "bits.h"
#include "internal.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s: violated: %s\n", __func__, #condition);                           \
            return -1;                                                                             \
        }                                                                                          \
    } while (0)

/* ---- arenas ---- */

static int arena_check(const struct ebb_pool *pool, uint32_t index)
{
    const struct arena *arena = pool_arena(pool, index);
    size_t idle = 0, longest = 0;
    for (unsigned w = 0; w < ARENA_WORDS; w++) {
        idle += (size_t)__builtin_popcountll(arena->free[w] & arena->resident[w]);
        CHECK((arena->free[w] & arena->resident[w] & arena->trimmed[w]) == 0);
    }
    CHECK(arena->free_pages == bits_count(arena->free, 0, ARENA_PAGES));
    CHECK(arena->idle_pages == idle);
    CHECK(bit_get(pool->idle, index) == (idle > 0));
    CHECK(arena->spans == bits_count(arena->descriptors, 0, ARENA_PAGES));
    CHECK(bits_next(arena->descriptors, arena->descriptors_high, ARENA_PAGES, true) == ARENA_PAGES);
    for (size_t at = bits_next(arena->free, 0, ARENA_PAGES, true); at < ARENA_PAGES;) {
        size_t end = bits_next(arena->free, at, ARENA_PAGES, false);
        longest = end - at > longest ? end - at : longest;
        at = bits_next(arena->free, end, ARENA_PAGES, true);
    }
    CHECK(longest == arena->longest_run);
    for (unsigned level = 0; level < RUN_LEVELS; level++)
        CHECK(bit_get(pool->runs[level], index) == (longest >= (size_t)1 << level));
    for (size_t p = 0; p < ARENA_PAGES; p++) {
        if (arena->page_span[p] == 0)
            continue;
        CHECK(!bit_get(arena->free, p));
        CHECK(bit_get(arena->descriptors, arena->page_span[p] - 1u));
        const struct span *span = &arena->span[arena->page_span[p] - 1];
        size_t page = (size_t)index * ARENA_PAGES + p;
        CHECK(page >= span->first_page && page < (size_t)span->first_page + span->pages);
    }
    return 0;
}

int ebb_pool_check(struct ebb_pool *pool)
{
    int result = 0;
    size_t idle = 0, trimmed = 0, taken = 0, metadata = 0, spare = 0;
    pthread_mutex_lock(&pool->lock);
    for (uint32_t a = 0; a < pool->arena_frontier; a++) {
        const struct arena *arena = pool_arena(pool, a);
        if (!arena->is_ready)
            continue;
        if (arena_check(pool, a) != 0)
            result = -1;
        idle += arena->idle_pages;
        trimmed += bits_count(arena->trimmed, 0, ARENA_PAGES);
        taken += ARENA_PAGES - arena->free_pages - (a == 0); /* page 0 is nobody's */
        metadata += arena_metadata_pages(pool, a);
        spare += arena_spare_pages(pool, a);
    }
    if (idle != pool->idle_pages || trimmed != pool->trimmed_pages || taken != pool->span_pages) {
        fprintf(stderr, "pool: counted idle %zu trimmed %zu taken %zu, noted %zu %zu %zu\n", idle,
                trimmed, taken, pool->idle_pages, pool->trimmed_pages, pool->span_pages);
        result = -1;
    }
    if (metadata != pool->metadata_pages || spare != pool->spare_metadata_pages) {
        fprintf(stderr, "pool: counted metadata %zu spare %zu, noted %zu %zu\n", metadata, spare,
                pool->metadata_pages, pool->spare_metadata_pages);
        result = -1;
    }
    pthread_mutex_unlock(&pool->lock);
    return result;
}

/* ---- heaps ---- */

static int class_check(const struct ebb_heap *heap, unsigned class_index)
{
    const struct heap_class *class = &heap->classes[class_index];
    uint64_t spans = 0, slots = 0, used = 0, pages = 0;
    bool current_found = class->current == 0;
    for (unsigned b = 0; b < BUCKET_COUNT; b++) {
        span_id prev = 0;
        for (span_id id = class->buckets[b]; id != 0; id = pool_span(heap->pool, id)->next) {
            const struct span *span = pool_span(heap->pool, id);
            CHECK(span->heap == heap && span->class_index == class_index);
            CHECK(span->bucket == b && span->prev == prev);
            CHECK(span_check(heap->pool, span) == 0);
            CHECK(pool_find(heap->pool, span_ref(heap->pool, span, 0)) == id);
            current_found = current_found || class->current == id;
            spans++;
            slots += span->slots;
            used += span->used;
            pages += span->pages;
            prev = id;
        }
    }
    CHECK(spans == class->spans && slots == class->slots);
    CHECK(used == class->used && pages == class->pages);
    CHECK(current_found);
    CHECK(bit_get(heap->populated, class_index) == (spans > 0));
    return 0;
}

/* The nth node of due.c and all below it. It goes no deeper than there are rows. */
static int due_node_check(const struct ebb_heap *heap, uint64_t n, span_id id, span_id parent)
{
    if (n > heap->due_count) {
        CHECK(id == 0);
        return 0;
    }
    CHECK(id != 0);
    const struct span *span = pool_span(heap->pool, id);
    CHECK(span->heap == heap && span->due != UINT64_MAX);
    CHECK(span->due_parent == parent);
    CHECK(parent == 0 || pool_span(heap->pool, parent)->due <= span->due);
    CHECK(span->due_child[0] == 0 || span->due_child[0] != span->due_child[1]);
    return due_node_check(heap, 2 * n, span->due_child[0], id) != 0
               ? -1
               : due_node_check(heap, 2 * n + 1, span->due_child[1], id);
}

static int pinned_check(const struct ebb_heap *heap)
{
    size_t pages = 0, freed = 0, freed_bytes = 0;
    CHECK(heap->pinned_spans <= heap->pinned_capacity);
    for (size_t p = 0; p < heap->pinned_spans; p++) {
        const struct pinned *pinned = &heap->pinned[p];
        const struct span *span = pool_span(heap->pool, pinned->id);
        CHECK(span->heap == heap && span->pinned == p + 1);
        CHECK(pinned->pins > 0);
        pages += span->pages;
        for (unsigned w = 0; w < SPAN_WORDS; w++) {
            CHECK((pinned->freed[w] & span->free_map[w]) == 0);
            size_t here = (size_t)__builtin_popcountll(pinned->freed[w]);
            freed += here;
            freed_bytes += here * span_slot_bytes(heap->pool, span);
        }
    }
    CHECK(pages == heap->pinned_pages && freed == heap->freed_objects);
    CHECK(freed_bytes == heap->freed_object_bytes);
    return 0;
}

int ebb_heap_check(const struct ebb_heap *heap)
{
    uint64_t used = 0, pages = 0, spans = 0, noted = 0, pinned = 0;
    size_t slot_bytes = 0;
    for (unsigned c = 0; c <= EBB_CLASS_COUNT; c++)
        if (class_check(heap, c) != 0)
            return -1;
    for (span_id id = heap->all; id != 0; id = pool_span(heap->pool, id)->all_next) {
        const struct span *span = pool_span(heap->pool, id);
        spans++;
        used += span->used;
        pages += span->pages;
        slot_bytes += span->used * span_slot_bytes(heap->pool, span);
        noted += span->due != UINT64_MAX;
        pinned += span->pinned != 0;
        CHECK(span->bucket != BUCKET_VICTIM || heap->victim == id);
    }
    CHECK(spans == heap->span_count && pages == heap->span_pages);
    CHECK(used == heap->objects && slot_bytes == heap->slot_bytes);
    CHECK(heap->resident_pages <= heap->span_pages);
    CHECK(heap->resident_pages * EBB_PAGE_BYTES >= heap->slot_bytes);
    CHECK(pinned == heap->pinned_spans && noted == heap->due_count);
    return pinned_check(heap) != 0 ? -1 : due_node_check(heap, 1, heap->due_root, 0);
}
