/* SPDX-License-Identifier: MIT */
/* arena.c: the header of an arena: which of its pages are free, which are resident, and which of
 * its span descriptors are in use. The pool's mutex is held in all of this.
 *
 *   [header][##.#....][.#......][........]    descriptors: a new span gets the lowest free one
 *                       ^ high: what lies behind it is zero, and its pages are not there
 *
 * A deletion leaves few spans in each arena, and some of them far up: tidy.c brings them together.
 */
#include <string.h>

#include "bits.h"
#include "internal.h"

/* ---- metadata ---- */

/* The pages that hold the header and so many descriptors. */
static size_t pages_for(size_t descriptors)
{
    size_t bytes = ARENA_HEADER_BYTES + descriptors * sizeof(struct span);
    return (bytes + EBB_PAGE_BYTES - 1) / EBB_PAGE_BYTES;
}

/* Descriptor 0 of arena 0 would be span 0, which is none. */
static size_t first_descriptor(uint32_t index)
{
    return index == 0;
}

size_t arena_metadata_pages(const struct ebb_pool *pool, uint32_t index)
{
    const struct arena *arena = pool_arena(pool, index);
    return arena->is_ready ? pages_for(arena->descriptors_high) : 0;
}

size_t arena_spare_pages(const struct ebb_pool *pool, uint32_t index)
{
    const struct arena *arena = pool_arena(pool, index);
    size_t high = arena->descriptors_high, least = first_descriptor(index) + arena->spans;
    return arena->is_ready && high > least ? pages_for(high) - pages_for(least) : 0;
}

/* Takes an arena out of the sums over all of them before it changes, and puts it back after. */
static void uncount_metadata(struct ebb_pool *pool, uint32_t index)
{
    pool->metadata_pages -= arena_metadata_pages(pool, index);
    pool->spare_metadata_pages -= arena_spare_pages(pool, index);
}

static void count_metadata(struct ebb_pool *pool, uint32_t index)
{
    pool->metadata_pages += arena_metadata_pages(pool, index);
    pool->spare_metadata_pages += arena_spare_pages(pool, index);
}

size_t arena_new_descriptor(struct ebb_pool *pool, uint32_t index)
{
    struct arena *arena = pool_arena(pool, index);
    size_t slot = bits_next(arena->descriptors, first_descriptor(index), ARENA_PAGES, false);
    EBB_ASSERT(slot < ARENA_PAGES);
    uncount_metadata(pool, index);
    if (arena->descriptors_high <= slot)
        arena->descriptors_high = (uint16_t)(slot + 1);
    bit_set(arena->descriptors, slot);
    if (arena->spans++ == 0)
        pool->arenas_used++;
    pool->span_count++;
    count_metadata(pool, index);
    memset(&arena->span[slot], 0, sizeof arena->span[slot]);
    return slot;
}

void arena_drop_descriptor(struct ebb_pool *pool, uint32_t index, size_t slot)
{
    struct arena *arena = pool_arena(pool, index);
    arena->span[slot].slots = 0;
    uncount_metadata(pool, index);
    bit_clear(arena->descriptors, slot);
    if (--arena->spans == 0)
        pool->arenas_used--;
    count_metadata(pool, index);
    pool->span_count--;
}

size_t arena_least_descriptors(const struct ebb_pool *pool, uint32_t index)
{
    size_t pages = arena_metadata_pages(pool, index) - arena_spare_pages(pool, index);
    size_t fit = (pages * EBB_PAGE_BYTES - ARENA_HEADER_BYTES) / sizeof(struct span);
    return fit < ARENA_PAGES ? fit : ARENA_PAGES;
}

void arena_trim_descriptors(struct ebb_pool *pool, uint32_t index)
{
    struct arena *arena = pool_arena(pool, index);
    size_t last = bits_last(arena->descriptors, ARENA_PAGES);
    size_t high = last == SIZE_MAX ? first_descriptor(index) : last + 1;
    size_t pages = pages_for(high), spare = pages_for(arena->descriptors_high) - pages;
    char *end = (char *)arena + pages * EBB_PAGE_BYTES;
    if (spare == 0 || pool->os.discard(pool->os.context, end, spare * EBB_PAGE_BYTES) != 0)
        return;
    uncount_metadata(pool, index);
    arena->descriptors_high = (uint16_t)high;
    count_metadata(pool, index);
}

/* ---- pages ---- */

static unsigned longest_run(const struct arena *arena)
{
    size_t longest = 0;
    for (size_t at = bits_next(arena->free, 0, ARENA_PAGES, true); at < ARENA_PAGES;) {
        size_t end = bits_next(arena->free, at, ARENA_PAGES, false);
        if (end - at > longest)
            longest = end - at;
        at = bits_next(arena->free, end, ARENA_PAGES, true);
    }
    return (unsigned)longest;
}

size_t arena_find_run(const struct arena *arena, size_t pages)
{
    for (size_t at = bits_next(arena->free, 0, ARENA_PAGES, true); at < ARENA_PAGES;) {
        size_t end = bits_next(arena->free, at, ARENA_PAGES, false);
        if (end - at >= pages)
            return at;
        at = bits_next(arena->free, end, ARENA_PAGES, true);
    }
    return ARENA_PAGES;
}

void arena_publish(struct ebb_pool *pool, uint32_t index)
{
    struct arena *arena = pool_arena(pool, index);
    unsigned longest = longest_run(arena);
    arena->longest_run = (uint16_t)longest;
    for (unsigned level = 0; level < RUN_LEVELS; level++)
        bit_assign(pool->runs[level], index, longest >= 1u << level);
}

void arena_make_ready(struct ebb_pool *pool, uint32_t index)
{
    struct arena *arena = pool_arena(pool, index);
    if (arena->is_ready)
        return;
    bits_fill(arena->free, 0, ARENA_PAGES, true);
    arena->free_pages = ARENA_PAGES;
    arena->longest_run = ARENA_PAGES;
    arena->is_ready = 1;
    count_metadata(pool, index);
    /* It may have been retired a moment ago: then these pages are missed, and trim must learn. */
    size_t trimmed = pool->retired[index] % RETIRED_PAGES;
    bits_fill(arena->trimmed, 0, trimmed, true);
    arena->trimmed_ms = pool->retired[index] / RETIRED_PAGES;
    pool->trimmed_pages += trimmed;
    pool->retired[index] = 0;
}

size_t arena_take(struct ebb_pool *pool, uint32_t index, size_t from, size_t to)
{
    struct arena *arena = pool_arena(pool, index);
    size_t idle = bits_count(arena->resident, from, to);
    size_t trimmed = bits_count(arena->trimmed, from, to);
    bits_fill(arena->free, from, to, false);
    bits_fill(arena->trimmed, from, to, false);
    arena->free_pages = (uint16_t)(arena->free_pages - (to - from));
    arena->idle_pages = (uint16_t)(arena->idle_pages - idle);
    bit_assign(pool->idle, index, arena->idle_pages > 0);
    arena_publish(pool, index);
    pool->idle_pages -= idle;
    pool->trimmed_pages -= trimmed;
    pool->span_pages += to - from;
    pool->refault_bytes += trimmed * EBB_PAGE_BYTES;
    if (trimmed > 0 && pool->now_ms < arena->trimmed_ms + REGRET_MS) {
        pool->refault_early_bytes += trimmed * EBB_PAGE_BYTES;
        if (demand_returns(pool))
            pool->regret_pages += trimmed;
    }
    return idle;
}

void arena_give(struct ebb_pool *pool, uint32_t index, size_t from, size_t to, size_t touched)
{
    struct arena *arena = pool_arena(pool, index);
    if (arena->is_vacated)
        bits_fill_shared(arena->resident, from, to, false);
    else
        bits_fill_shared(arena->resident, from, from + touched, true);
    arena->is_vacated = 0;
    bits_fill(arena->free, from, to, true);
    size_t idle = bits_count(arena->resident, from, to);
    arena->free_pages = (uint16_t)(arena->free_pages + (to - from));
    arena->idle_pages = (uint16_t)(arena->idle_pages + idle);
    bit_assign(pool->idle, index, arena->idle_pages > 0);
    arena_publish(pool, index);
    pool->idle_pages += idle;
    pool->span_pages -= to - from;
}

bool arena_retire(struct ebb_pool *pool, uint32_t index)
{
    struct arena *arena = pool_arena(pool, index);
    if (!arena->is_ready || arena->free_pages != ARENA_PAGES || arena->idle_pages > 0)
        return false;
    size_t trimmed = bits_count(arena->trimmed, 0, ARENA_PAGES);
    uint64_t trimmed_ms = arena->trimmed_ms;
    uncount_metadata(pool, index);
    if (pool->os.discard(pool->os.context, arena, ARENA_STRIDE) != 0) {
        count_metadata(pool, index);
        return false; /* else all of it is zero, and that is what an arena not ready looks like */
    }
    pool->retired[index] = trimmed_ms * RETIRED_PAGES + trimmed;
    pool->trimmed_pages -= trimmed;
    return true;
}
