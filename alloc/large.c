/* SPDX-License-Identifier: MIT */
/* large.c: objects above EBB_LARGE_BYTES. Each is a span with one slot, as long as the object.
 *
 *   shorter      the pages behind its new end are idle
 *   longer       in place if the pages behind it are free; else in a new run:
 *
 *       old  |= arena =|= arena =|== |          new  |= arena =|= arena =|==..|......|
 *             \________\_______________ relocated ___/_________/   ^
 *                                 \________ copied ________________/
 *
 * Whole arenas go under the new run by remapping (ebb_os.relocate): no byte of them is copied, and
 * nothing is resident twice meanwhile. Freeing one only makes its pages idle: trim gives them back
 * a bounded piece at a time.
 */
#include <string.h>

#include "internal.h"

static size_t pages_of(size_t bytes)
{
    return (bytes + EBB_PAGE_BYTES - 1) / EBB_PAGE_BYTES;
}

static bool is_possible(const struct ebb_heap *heap, size_t bytes)
{
    return bytes <= heap->pool->reserve_bytes && pages_of(bytes) <= UINT32_MAX;
}

ebb_ref large_take(struct ebb_heap *heap, size_t bytes)
{
    if (!is_possible(heap, bytes)) {
        heap->failures++;
        return 0;
    }
    size_t pages = pages_of(bytes);
    span_id id = heap_new_span(heap, CLASS_LARGE, (uint32_t)pages, 1);
    if (id == 0)
        return 0;
    struct span *span = pool_span(heap->pool, id);
    span_take_slot(span);
    heap_rebucket(heap, id, BUCKET_FULL);
    heap->classes[CLASS_LARGE].used++;
    heap->objects++;
    heap->large_pages += pages;
    heap->slot_bytes += pages * EBB_PAGE_BYTES;
    return (ebb_ref)span->first_page * PAGE_GRANULES;
}

bool large_resize_in_place(struct ebb_heap *heap, span_id id, size_t bytes)
{
    struct span *span = pool_span(heap->pool, id);
    size_t pages = pages_of(bytes), before = span->pages;
    if (!is_possible(heap, bytes))
        return false;
    if (pages < before)
        pool_cut(heap->pool, id, (uint32_t)pages);
    else if (pages > before && !pool_extend(heap->pool, id, (uint32_t)pages))
        return false;
    heap->classes[CLASS_LARGE].pages += pages - before;
    heap->span_pages += pages - before;
    heap->resident_pages += pages - before;
    heap->large_pages += pages - before;
    heap->slot_bytes += (pages - before) * EBB_PAGE_BYTES;
    slot_unpoison(ebb_at(heap->pool->base, span_ref(heap->pool, span, 0)), pages * EBB_PAGE_BYTES);
    return true;
}

static size_t relocate(struct ebb_heap *heap, span_id id, ebb_ref to)
{
    size_t arenas = pool_span(heap->pool, id)->pages / ARENA_PAGES;
    return ARENA_BYTES * pool_relocate(heap->pool, id, pool_find(heap->pool, to), arenas);
}

/* A run for it with its whole arenas in it already, so many bytes. They are held as it is, and the
 * limit is not asked for them again. 0: they can't go there, or there is no room for the rest. */
static ebb_ref take_relocated(struct ebb_heap *heap, span_id id, size_t bytes, size_t *done)
{
    size_t arenas = pool_relocatable(heap->pool, id), excused = heap->excused_pages;
    if (arenas == 0)
        return 0;
    if (excused < arenas * ARENA_PAGES)
        heap->excused_pages = arenas * ARENA_PAGES;
    ebb_ref to = ebb_alloc(heap, bytes);
    heap->excused_pages = excused;
    if (to == 0)
        return 0;
    *done = relocate(heap, id, to);
    if (*done > 0)
        return to;
    ebb_free(heap, to);
    return 0;
}

ebb_ref large_move(struct ebb_heap *heap, span_id id, size_t bytes)
{
    size_t done = 0;
    ebb_ref to = take_relocated(heap, id, bytes, &done);
    if (to == 0) {
        to = ebb_alloc(heap, bytes);
        if (to == 0)
            return 0;
        done = relocate(heap, id, to);
    }
    const struct span *span = pool_span(heap->pool, id);
    size_t old_bytes = (size_t)span->pages * EBB_PAGE_BYTES;
    char *old = ebb_at(heap->pool->base, span_ref(heap->pool, span, 0));
    char *new = ebb_at(heap->pool->base, to);
    memcpy(new + done, old + done, old_bytes - done);
    if (span->due != UINT64_MAX)
        ebb_due_note(heap, to, span->due);
    heap->frees++;
    heap->classes[CLASS_LARGE].frees++;
    if (done < old_bytes) /* poison would make the pages that went away resident again */
        slot_poison(old + done, old_bytes - done);
    heap_give(heap, id, 0);
    return to;
}
