/* SPDX-License-Identifier: MIT */
/* map.c: what each page of an arena is. For people who watch; nothing in this room reads it. */
#include <string.h>

#include "bits.h"
#include "internal.h"

_Static_assert(EBB_ARENA_PAGES == ARENA_PAGES, "the map has a page for each page");

/* Some other thread, a heap's owner, may be changing these fields of its span: the map shows a
 * moment of each, not one of all, and the thread sanitizer need not hear of it. */
__attribute__((no_sanitize("thread"))) static void map_span(const struct ebb_pool *pool,
                                                            const struct span *span,
                                                            struct ebb_page *page)
{
    unsigned slots = __atomic_load_n(&span->slots, __ATOMIC_RELAXED);
    unsigned used = __atomic_load_n(&span->used, __ATOMIC_RELAXED);
    if (used > slots || slots == 0) /* being made: counted as what it will be */
        used = slots = 1;
    bool is_large = span->class_index == CLASS_LARGE;
    page->slot_bytes = is_large ? 0 : pool->classes.slot_bytes[span->class_index];
    page->used_percent = (uint8_t)((used * 100 + slots - 1) / slots);
    page->is_pinned = __atomic_load_n(&span->pinned, __ATOMIC_RELAXED) != 0;
}

__attribute__((no_sanitize("thread"))) static unsigned touched_pages(const struct span *span)
{
    return __atomic_load_n(&span->touched_pages, __ATOMIC_RELAXED);
}

/* Behind the first page of a large object no span is noted: it is the page before that says what
 * it is, in the arena before for one that reaches over. Page 0 of the pool is taken and nobody's.
 */
static void map_taken(const struct ebb_pool *pool, uint32_t index, size_t at, struct ebb_page *page)
{
    const struct arena *arena = pool_arena(pool, index);
    uint16_t slot = arena->page_span[at];
    page->kind = EBB_PAGE_USED;
    page->used_percent = 100;
    if (slot == 0 && index == 0 && at == 0) {
        page->kind = EBB_PAGE_UNTOUCHED;
        page->used_percent = 0;
    }
    if (slot == 0)
        return;
    const struct span *span = &arena->span[slot - 1u];
    size_t offset = (size_t)index * ARENA_PAGES + at - span->first_page;
    map_span(pool, span, page);
    page->is_span_start = offset == 0;
    bool is_resident = span->class_index == CLASS_LARGE || offset < touched_pages(span) ||
                       bit_get(arena->resident, at);
    if (!is_resident)
        page->kind = EBB_PAGE_FRESH;
}

static void map_free(const struct arena *arena, size_t at, struct ebb_page *page)
{
    page->kind = bit_get(arena->resident, at)  ? EBB_PAGE_IDLE
                 : bit_get(arena->trimmed, at) ? EBB_PAGE_TRIMMED
                                               : EBB_PAGE_UNTOUCHED;
}

static void map_arena(const struct ebb_pool *pool, uint32_t index, struct ebb_page *pages)
{
    const struct arena *arena = pool_arena(pool, index);
    memset(pages, 0, ARENA_PAGES * sizeof *pages);
    if (!arena->is_ready) {
        for (size_t at = 0; at < pool->retired[index] % RETIRED_PAGES; at++)
            pages[at].kind = EBB_PAGE_TRIMMED;
        return;
    }
    for (size_t at = 0; at < ARENA_PAGES; at++) {
        if (bit_get(arena->free, at))
            map_free(arena, at, &pages[at]);
        else
            map_taken(pool, index, at, &pages[at]);
    }
}

size_t ebb_pool_map(struct ebb_pool *pool, size_t first_arena, size_t count, struct ebb_page *pages)
{
    size_t done = 0;
    if (count > EBB_MAP_ARENAS_MAX)
        count = EBB_MAP_ARENAS_MAX;
    pthread_mutex_lock(&pool->lock);
    for (; done < count && first_arena + done < pool->arena_frontier; done++)
        map_arena(pool, (uint32_t)(first_arena + done), pages + done * ARENA_PAGES);
    pthread_mutex_unlock(&pool->lock);
    return done;
}

size_t ebb_pool_arenas(const struct ebb_pool *pool)
{
    return __atomic_load_n(&pool->arena_frontier, __ATOMIC_RELAXED);
}
