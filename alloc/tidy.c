/* SPDX-License-Identifier: MIT */
/* tidy.c: brings an arena's span descriptors together, so that its metadata shrinks with it.
 *
 *   a deletion leaves   [header][#.......][..#.....][.#......]     three pages of descriptors
 *   afterwards          [header][###.....]                         and the other two are given back
 *
 * Compaction empties spans, not arenas: after nine tenths have gone nearly all arenas still hold
 * some spans, and their descriptors would stay as spread out as they were. No object moves here;
 * only the spans' numbers change, in the lists and trees of their heap. A heap moves its own.
 */
#include "bits.h"
#include "internal.h"

#ifdef EBB_HARD
#define SPARE_PAGES_MIN 1u
#define SPARE_DIVISOR   SIZE_MAX
#define DROPPED_DIVISOR SIZE_MAX
#else
#define SPARE_PAGES_MIN 32u /* less is not worth looking at */
#define SPARE_DIVISOR   8u  /* nor is less than that part of all metadata */
#define DROPPED_DIVISOR 8u  /* nor what is left before so many of the spans have gone again */
#endif

/* ---- one descriptor ---- */

static void rename_in_lists(struct ebb_heap *heap, span_id from, span_id to)
{
    const struct span *span = pool_span(heap->pool, to);
    struct heap_class *class = &heap->classes[span->class_index];
    if (span->prev != 0)
        pool_span(heap->pool, span->prev)->next = to;
    else
        class->buckets[span->bucket] = to;
    if (span->next != 0)
        pool_span(heap->pool, span->next)->prev = to;
    if (span->all_prev != 0)
        pool_span(heap->pool, span->all_prev)->all_next = to;
    else
        heap->all = to;
    if (span->all_next != 0)
        pool_span(heap->pool, span->all_next)->all_prev = to;
    if (class->current == from)
        class->current = to;
    if (heap->victim == from)
        heap->victim = to;
    if (span->pinned)
        heap->pinned[span->pinned - 1].id = to;
}

/* ---- one arena ---- */

/* Whose it is may be asked of any span; the rest of a descriptor is for its heap alone. */
static bool is_movable(const struct ebb_heap *heap, const struct span *span)
{
    return __atomic_load_n(&span->heap, __ATOMIC_RELAXED) == heap && !span->held;
}

/* Moves the heap's descriptors that lie behind the first `least` into free ones before. */
static void move_down(struct ebb_heap *heap, const struct arena *arena, uint32_t index,
                      size_t least)
{
    for (size_t slot = bits_next(arena->descriptors, least, ARENA_PAGES, true); slot < ARENA_PAGES;
         slot = bits_next(arena->descriptors, slot + 1, ARENA_PAGES, true)) {
        if (!is_movable(heap, &arena->span[slot]))
            continue;
        span_id from = index * ARENA_PAGES + (span_id)slot;
        span_id to = pool_move_descriptor(heap->pool, from);
        rename_in_lists(heap, from, to);
        due_rename(heap, from, to);
    }
}

static void tidy_arena(struct ebb_heap *heap, uint32_t index)
{
    struct ebb_pool *pool = heap->pool;
    if (arena_spare_pages(pool, index) == 0)
        return;
    move_down(heap, pool_arena(pool, index), index, arena_least_descriptors(pool, index));
    arena_trim_descriptors(pool, index);
}

/* ---- a sweep ---- */

static bool is_untidy(const struct ebb_heap *heap)
{
    const struct ebb_pool *pool = heap->pool;
    uint64_t dropped = pool->dropped_spans - heap->tidy_dropped;
    return pool->spare_metadata_pages >= SPARE_PAGES_MIN &&
           pool->spare_metadata_pages > pool->metadata_pages / SPARE_DIVISOR &&
           dropped > pool->span_count / DROPPED_DIVISOR;
}

bool tidy_sweep(struct ebb_heap *heap, uint64_t deadline_ns)
{
    struct ebb_pool *pool = heap->pool;
    pthread_mutex_lock(&pool->lock);
    if (heap->tidy_arena == 0 && is_untidy(heap)) {
        heap->tidy_arena = pool->arena_frontier;
        heap->tidy_dropped = pool->dropped_spans;
    }
    while (heap->tidy_arena > 0) {
        tidy_arena(heap, --heap->tidy_arena);
        pthread_mutex_unlock(&pool->lock);
        if (pool->os.now_ns(pool->os.context) >= deadline_ns)
            return heap->tidy_arena > 0;
        pthread_mutex_lock(&pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    return false;
}
