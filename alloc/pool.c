/* SPDX-License-Identifier: MIT */
/* pool.c: the address range, its arenas, and runs of pages in them.
 *
 * Runs come from the lowest arena that has one, so that the top empties by itself. Which arenas
 * have runs of at least 2^k pages stands in one bitmap for each k. All bookkeeping lies in arena
 * headers outside the range (arena.c); a free page is never written.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bits.h"
#include "internal.h"

#define RESERVE_DEFAULT_BYTES (UINT64_C(1) << 40)
#define RESERVE_LEAST_BYTES   (UINT64_C(1) << 28)
#define RELOCATED_ARENAS_MAX  8192 /* two mappings each at most */
#define CANDIDATES_MAX        16   /* arenas that may or may not have the run, looked at first */

_Static_assert(RESERVE_DEFAULT_BYTES / EBB_GRANULE_BYTES <= UINT64_C(1) << EBB_REF_BITS,
               "every granule of the range has a ref");

/* ---- the range ---- */

static bool reserve_range(struct ebb_pool *pool, size_t bytes)
{
    uint32_t arenas = (uint32_t)(bytes / ARENA_BYTES);
    pool->base = pool->os.reserve(pool->os.context, (size_t)arenas * ARENA_BYTES);
    if (pool->base == NULL)
        return false;
    pool->metadata = pool->os.reserve(pool->os.context, (size_t)arenas * ARENA_STRIDE);
    if (pool->metadata == NULL) {
        pool->os.unreserve(pool->os.context, pool->base, (size_t)arenas * ARENA_BYTES);
        pool->base = NULL;
        return false;
    }
    pool->reserve_bytes = (size_t)arenas * ARENA_BYTES;
    pool->arena_limit = arenas;
    return true;
}

/* Commits more arenas, at least `count`. */
static bool push_frontier(struct ebb_pool *pool, uint32_t count)
{
    uint32_t room = pool->arena_limit - pool->arena_frontier;
    if (count > room)
        return false;
    if (count < ARENAS_PER_COMMIT)
        count = room < ARENAS_PER_COMMIT ? room : ARENAS_PER_COMMIT;
    char *data = pool->base + (size_t)pool->arena_frontier * ARENA_BYTES;
    char *metadata = pool->metadata + (size_t)pool->arena_frontier * ARENA_STRIDE;
    if (pool->os.commit(pool->os.context, metadata, (size_t)count * ARENA_STRIDE) != 0 ||
        pool->os.commit(pool->os.context, data, (size_t)count * ARENA_BYTES) != 0) {
        pool->commit_errors++;
        return false;
    }
    for (uint32_t a = pool->arena_frontier; a < pool->arena_frontier + count; a++)
        for (unsigned level = 0; level < RUN_LEVELS; level++)
            bit_set(pool->runs[level], a);
    __atomic_store_n(&pool->arena_frontier, pool->arena_frontier + count, __ATOMIC_RELAXED);
    return true;
}

static bool make_bitmaps(struct ebb_pool *pool)
{
    size_t words = pool->bitmap_words = (pool->arena_limit + 63) / 64;
    uint64_t *bits = calloc(words * (RUN_LEVELS + 2) + pool->arena_limit, sizeof *bits);
    if (bits == NULL)
        return false;
    for (unsigned level = 0; level < RUN_LEVELS; level++)
        pool->runs[level] = bits + level * words;
    pool->idle = bits + RUN_LEVELS * words;
    pool->relocated = pool->idle + words;
    pool->retired = pool->relocated + words;
    return true;
}

static bool has_our_pages(const struct ebb_os *os)
{
    return os->page_bytes == NULL || os->page_bytes(os->context) == EBB_PAGE_BYTES;
}

int ebb_pool_create(struct ebb_pool **out, const struct ebb_pool_config *config)
{
    struct ebb_pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL)
        return EBB_ALLOC_ENOMEM;
    pool->os = config != NULL && config->os != NULL ? *config->os : ebb_os_system;
    if (!has_our_pages(&pool->os)) {
        free(pool);
        return EBB_ALLOC_EPAGES;
    }
    size_t bytes = config != NULL && config->reserve_bytes != 0 ? config->reserve_bytes
                                                                : RESERVE_DEFAULT_BYTES;
    if (bytes > RESERVE_DEFAULT_BYTES) /* refs reach no further */
        bytes = RESERVE_DEFAULT_BYTES;
    while (bytes >= RESERVE_LEAST_BYTES && !reserve_range(pool, bytes))
        bytes /= 2;
    if (pool->base == NULL) {
        free(pool);
        return EBB_ALLOC_ENOMEM;
    }
    if (!make_bitmaps(pool) || !push_frontier(pool, 0)) {
        free(pool->runs[0]);
        pool->os.unreserve(pool->os.context, pool->base, pool->reserve_bytes);
        pool->os.unreserve(pool->os.context, pool->metadata,
                           (size_t)pool->arena_limit * ARENA_STRIDE);
        free(pool);
        return EBB_ALLOC_ENOMEM;
    }
    class_table_init(&pool->classes);
    pthread_mutex_init(&pool->lock, NULL);
    pool->limit_pages = SIZE_MAX / EBB_PAGE_BYTES;
    pool->window_ms = WINDOW_MIN_MS;
    pool->now_ms = pool->bucket_ms = pool->os.now_ns(pool->os.context) / 1000000;
    pool->quiet_since_ms = pool->now_ms;
    *out = pool;
    return 0;
}

void ebb_pool_destroy(struct ebb_pool *pool)
{
    if (pool == NULL)
        return;
    EBB_ASSERT(pool->heap_count == 0);
    slot_unpoison(pool->base, (size_t)pool->arena_frontier * ARENA_BYTES);
    pool->os.unreserve(pool->os.context, pool->base, pool->reserve_bytes);
    pool->os.unreserve(pool->os.context, pool->metadata, (size_t)pool->arena_limit * ARENA_STRIDE);
    pthread_mutex_destroy(&pool->lock);
    free(pool->runs[0]);
    free(pool);
}

void *ebb_pool_base(const struct ebb_pool *pool)
{
    return pool->base;
}

/* ---- runs ---- */

static unsigned level_of(size_t pages) /* the level at which every run is long enough */
{
    unsigned level = 0;
    while ((size_t)1 << level < pages)
        level++;
    return level;
}

/* The arena to take a run of at most ARENA_PAGES from; arena_frontier if there is none, or none
 * among the first `candidates` of those that only may have one. */
static size_t choose_arena(const struct ebb_pool *pool, size_t pages, size_t candidates)
{
    unsigned level = level_of(pages);
    size_t frontier = pool->arena_frontier;
    size_t sure = bits_next(pool->runs[level], 0, frontier, true);
    if ((size_t)1 << level == pages)
        return sure;
    /* Lower arenas may have a run between 2^(level-1) and what is wanted. */
    size_t at = bits_next(pool->runs[level - 1], 0, sure, true);
    for (size_t tries = 0; at < sure && tries < candidates; tries++) {
        if (pool_arena(pool, (uint32_t)at)->longest_run >= pages)
            return at;
        at = bits_next(pool->runs[level - 1], at + 1, sure, true);
    }
    return sure;
}

/* The first of `count` free arenas in a row; the frontier moves if it must. SIZE_MAX: none. */
static size_t choose_arenas(struct ebb_pool *pool, size_t count)
{
    const uint64_t *whole = pool->runs[RUN_LEVELS - 1];
    size_t at = 0;
    for (;;) {
        at = bits_next(whole, at, pool->arena_frontier, true);
        size_t end = bits_next(whole, at, pool->arena_frontier, false);
        if (end - at >= count)
            return at;
        if (end == pool->arena_frontier) {
            if (!push_frontier(pool, (uint32_t)(count - (end - at))))
                return SIZE_MAX;
            return at;
        }
        at = end;
    }
}

/* Marks pages [first, first + pages) of the pool as taken. */
static size_t take_pages(struct ebb_pool *pool, size_t first, size_t pages)
{
    size_t resident = 0;
    while (pages > 0) {
        uint32_t index = (uint32_t)(first / ARENA_PAGES);
        size_t from = first % ARENA_PAGES;
        size_t count = pages < ARENA_PAGES - from ? pages : ARENA_PAGES - from;
        arena_make_ready(pool, index);
        resident += arena_take(pool, index, from, from + count);
        first += count;
        pages -= count;
    }
    demand_note(pool);
    return resident;
}

static void give_pages(struct ebb_pool *pool, size_t first, size_t pages, size_t touched)
{
    while (pages > 0) {
        uint32_t index = (uint32_t)(first / ARENA_PAGES);
        size_t from = first % ARENA_PAGES;
        size_t count = pages < ARENA_PAGES - from ? pages : ARENA_PAGES - from;
        size_t here = touched < count ? touched : count;
        arena_give(pool, index, from, from + count, here);
        first += count;
        pages -= count;
        touched -= here;
    }
}

/* Where to put a run; SIZE_MAX when the system or the range gives no more. */
static size_t choose_run(struct ebb_pool *pool, uint32_t pages)
{
    if (pages > ARENA_PAGES) {
        size_t index = choose_arenas(pool, (pages + ARENA_PAGES - 1) / ARENA_PAGES);
        return index == SIZE_MAX ? SIZE_MAX : index * ARENA_PAGES;
    }
    size_t index = choose_arena(pool, pages, CANDIDATES_MAX), frontier = pool->arena_frontier;
    if (index >= frontier && !push_frontier(pool, 1)) { /* so it is worth looking at all of them */
        index = choose_arena(pool, pages, SIZE_MAX);
        if (index >= frontier)
            return SIZE_MAX;
    }
    arena_make_ready(pool, (uint32_t)index);
    size_t page = arena_find_run(pool_arena(pool, (uint32_t)index), pages);
    EBB_ASSERT(page < ARENA_PAGES);
    return index * ARENA_PAGES + page;
}

static void reserve_first_page(struct ebb_pool *pool)
{
    if (!pool_arena(pool, 0)->is_ready) { /* page 0 holds ref 0, which is no object */
        take_pages(pool, 0, 1);
        pool->span_pages--;
    }
}

/* Notes on which pages refs of a span point: all of them, the first of a large object. 0: none. */
static void map_pages(struct ebb_pool *pool, const struct span *span, span_id id)
{
    struct arena *arena = pool_arena(pool, span->first_page / ARENA_PAGES);
    size_t first = span->first_page % ARENA_PAGES;
    size_t pages = span->class_index == CLASS_LARGE ? 1 : span->pages;
    for (size_t p = first; p < first + pages; p++)
        arena->page_span[p] = id == 0 ? 0 : (uint16_t)(id % ARENA_PAGES + 1);
}

/* The pages of a run that are idle: taking them adds nothing. */
static size_t idle_in(const struct ebb_pool *pool, size_t first, size_t pages)
{
    size_t idle = 0;
    while (pages > 0) {
        const struct arena *arena = pool_arena(pool, (uint32_t)(first / ARENA_PAGES));
        size_t from = first % ARENA_PAGES;
        size_t count = pages < ARENA_PAGES - from ? pages : ARENA_PAGES - from;
        idle += bits_count(arena->resident, from, from + count);
        first += count;
        pages -= count;
    }
    return idle;
}

/* `excused` of the pages don't count. */
static bool fits_limit(struct ebb_pool *pool, size_t first, size_t pages, size_t excused)
{
    if (excused >= pages || limit_allows(pool, pages - excused))
        return true;
    size_t idle = idle_in(pool, first, pages); /* they may be the same pages */
    if (limit_allows(pool, pages - (idle > excused ? idle : excused)))
        return true;
    pool->refusals++;
    return false;
}

span_id pool_take(struct ebb_pool *pool, unsigned class_index, uint32_t pages, size_t excused,
                  size_t *resident)
{
    pthread_mutex_lock(&pool->lock);
    reserve_first_page(pool);
    size_t first = choose_run(pool, pages);
    if (first == SIZE_MAX || !fits_limit(pool, first, pages, excused)) {
        pthread_mutex_unlock(&pool->lock);
        return 0;
    }
    *resident = take_pages(pool, first, pages);
    uint32_t index = (uint32_t)(first / ARENA_PAGES);
    span_id id = index * ARENA_PAGES + (span_id)arena_new_descriptor(pool, index);
    struct span *span = pool_span(pool, id);
    span->first_page = (uint32_t)first;
    span->pages = pages;
    span->class_index = (uint16_t)class_index;
    map_pages(pool, span, id);
    pthread_mutex_unlock(&pool->lock);
    return id;
}

/* Arenas that were vacated have no idle page, so trim never comes to give their metadata back. */
static void retire_vacated(struct ebb_pool *pool, size_t first, size_t pages)
{
    for (size_t a = first / ARENA_PAGES; a < (first + pages) / ARENA_PAGES; a++)
        arena_retire(pool, (uint32_t)a);
}

void pool_release(struct ebb_pool *pool, span_id id)
{
    pthread_mutex_lock(&pool->lock);
    struct span *span = pool_span(pool, id);
    size_t first = span->first_page, pages = span->pages;
    map_pages(pool, span, 0);
    size_t touched = span->class_index == CLASS_LARGE ? span->pages : span->touched_pages;
    give_pages(pool, span->first_page, span->pages, touched);
    arena_drop_descriptor(pool, id / ARENA_PAGES, id % ARENA_PAGES);
    pool->dropped_spans++;
    if (pages > ARENA_PAGES)
        retire_vacated(pool, first, pages);
    pthread_mutex_unlock(&pool->lock);
}

span_id pool_move_descriptor(struct ebb_pool *pool, span_id from)
{
    uint32_t index = from / ARENA_PAGES;
    span_id to = index * ARENA_PAGES + (span_id)arena_new_descriptor(pool, index);
    *pool_span(pool, to) = *pool_span(pool, from);
    map_pages(pool, pool_span(pool, to), to);
    arena_drop_descriptor(pool, index, from % ARENA_PAGES);
    return to;
}

void pool_cut(struct ebb_pool *pool, span_id id, uint32_t pages)
{
    pthread_mutex_lock(&pool->lock);
    struct span *span = pool_span(pool, id);
    uint32_t gone = span->pages - pages;
    give_pages(pool, span->first_page + pages, gone, gone);
    span->pages = pages;
    pthread_mutex_unlock(&pool->lock);
}

static bool is_free_run(const struct ebb_pool *pool, size_t first, size_t pages)
{
    if (first + pages > (size_t)pool->arena_frontier * ARENA_PAGES)
        return false;
    while (pages > 0) {
        const struct arena *arena = pool_arena(pool, (uint32_t)(first / ARENA_PAGES));
        size_t from = first % ARENA_PAGES;
        size_t count = pages < ARENA_PAGES - from ? pages : ARENA_PAGES - from;
        if (arena->is_ready && bits_count(arena->free, from, from + count) != count)
            return false;
        first += count;
        pages -= count;
    }
    return true;
}

bool pool_extend(struct ebb_pool *pool, span_id id, uint32_t pages)
{
    pthread_mutex_lock(&pool->lock);
    struct span *span = pool_span(pool, id);
    uint32_t more = pages - span->pages;
    size_t end = (size_t)span->first_page + span->pages;
    bool done = is_free_run(pool, end, more) && fits_limit(pool, end, more, 0);
    if (done) {
        take_pages(pool, end, more);
        span->pages = pages;
    }
    pthread_mutex_unlock(&pool->lock);
    return done;
}

/* Each relocated arena is a mapping of its own in the kernel's books, which hold 65,530 of them by
 * default: beyond a share of that, and where the system can't, the caller copies. */
static bool relocate_arena(struct ebb_pool *pool, uint32_t from, uint32_t to)
{
    if (pool->os.relocate == NULL ||
        (!bit_get(pool->relocated, to) && pool->relocated_arenas >= RELOCATED_ARENAS_MAX))
        return false;
    char *old = pool->base + (size_t)from * ARENA_BYTES,
         *new = pool->base + (size_t)to *ARENA_BYTES;
    if (pool->os.relocate(pool->os.context, old, new, ARENA_BYTES) != 0) {
        pool->relocation_errors++;
        return false;
    }
    pool->relocated_arenas += !bit_get(pool->relocated, to);
    bit_set(pool->relocated, to);
    pool_arena(pool, from)->is_vacated = 1;
    pool->relocated_bytes += ARENA_BYTES;
    return true;
}

size_t pool_relocatable(struct ebb_pool *pool, span_id id)
{
    pthread_mutex_lock(&pool->lock);
    const struct span *span = pool_span(pool, id);
    size_t arenas = span->pages / ARENA_PAGES;
    bool is_possible = pool->os.relocate != NULL && span->first_page % ARENA_PAGES == 0 &&
                       pool->relocated_arenas + arenas <= RELOCATED_ARENAS_MAX;
    pthread_mutex_unlock(&pool->lock);
    return is_possible ? arenas : 0;
}

size_t pool_relocate(struct ebb_pool *pool, span_id from, span_id to, size_t arenas)
{
    size_t done = 0;
    pthread_mutex_lock(&pool->lock);
    uint32_t old = pool_span(pool, from)->first_page, new = pool_span(pool, to)->first_page;
    if (old % ARENA_PAGES == 0 && new % ARENA_PAGES == 0)
        while (done < arenas && relocate_arena(pool, (uint32_t)(old / ARENA_PAGES + done),
                                               (uint32_t)(new / ARENA_PAGES + done)))
            done++;
    pthread_mutex_unlock(&pool->lock);
    return done;
}

span_id pool_find(const struct ebb_pool *pool, ebb_ref ref)
{
    size_t page = ref / PAGE_GRANULES;
    uint32_t index = (uint32_t)(page / ARENA_PAGES);
    if (index >= __atomic_load_n(&pool->arena_frontier, __ATOMIC_RELAXED))
        return 0;
    uint16_t slot = pool_arena(pool, index)->page_span[page % ARENA_PAGES];
    return slot == 0 ? 0 : index * ARENA_PAGES + slot - 1u;
}
