/* SPDX-License-Identifier: MIT */
/* twin.c: see twin.h. */
#include "twin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

void twin_failed(const char *condition, const char *file, int line)
{
    fflush(stdout);
    fprintf(stderr, "twin: %s:%d: violated: %s\n", file, line, condition);
    abort();
}

/* ---- contents ---- */

static uint64_t word_at(uint64_t seed, size_t index)
{
    return (seed + index) * UINT64_C(0x9E3779B97F4A7C15);
}

static void fill(char *data, size_t bytes, uint64_t seed)
{
    size_t words = bytes / sizeof(uint64_t);
    for (size_t w = 0; w < words; w++) {
        uint64_t word = word_at(seed, w);
        memcpy(data + w * sizeof word, &word, sizeof word);
    }
    uint64_t last = word_at(seed, words);
    memcpy(data + words * sizeof last, &last, bytes % sizeof last);
}

static bool is_filled(const char *data, size_t bytes, uint64_t seed)
{
    size_t words = bytes / sizeof(uint64_t);
    uint64_t differ = 0;
    for (size_t w = 0; w < words; w++) {
        uint64_t word;
        memcpy(&word, data + w * sizeof word, sizeof word);
        differ |= word ^ word_at(seed, w);
    }
    uint64_t last = word_at(seed, words);
    return differ == 0 && memcmp(data + words * sizeof last, &last, bytes % sizeof last) == 0;
}

void twin_verify(const struct twin *twin, size_t n)
{
    const struct twin_object *object = &twin->objects[n];
    if (object->ref == 0)
        return;
    TWIN_REQUIRE(twin->owner_of[object->ref] == n + 1);
    TWIN_REQUIRE(ebb_is_live(twin->heap, object->ref) == !object->is_freed);
    if (object->is_virgin)
        return;
    TWIN_REQUIRE(is_filled(ebb_at(twin->base, object->ref), object->bytes, object->seed));
}

void twin_verify_all(const struct twin *twin)
{
    for (size_t n = 0; n < twin->capacity; n++)
        twin_verify(twin, n);
}

/* ---- life ---- */

static void on_about_to_move(void *context, ebb_ref ref, void *data)
{
    struct twin *twin = context;
    TWIN_REQUIRE(twin->owner_of[ref] != 0);
    TWIN_REQUIRE(twin->objects[twin->owner_of[ref] - 1].ref == ref);
    TWIN_REQUIRE(data == ebb_at(twin->base, ref));
    twin->announced++;
}

static void on_moved(void *context, ebb_ref from, ebb_ref to, void *data)
{
    struct twin *twin = context;
    uint32_t owner = twin->owner_of[from];
    TWIN_REQUIRE(owner != 0 && twin->owner_of[to] == 0);
    struct twin_object *object = &twin->objects[owner - 1];
    TWIN_REQUIRE(object->ref == from && from != to);
    TWIN_REQUIRE(object->pins == 0 && !object->is_freed);
    TWIN_REQUIRE(data == ebb_at(twin->base, to));
    if (!object->is_virgin) {
        TWIN_REQUIRE(is_filled(ebb_at(twin->base, from), object->bytes, object->seed));
        TWIN_REQUIRE(is_filled(data, object->bytes, object->seed));
    }
    twin->owner_of[from] = 0;
    twin->owner_of[to] = owner;
    object->ref = to;
    twin->moves++;
}

static size_t on_bytes(void *context, const void *data)
{
    const struct twin *twin = context;
    ebb_ref ref = (ebb_ref)((const char *)data - twin->base) / EBB_GRANULE_BYTES;
    uint32_t owner = twin->owner_of[ref];
    TWIN_REQUIRE(owner != 0 && twin->objects[owner - 1].ref == ref);
    return twin->objects[owner - 1].bytes;
}

static void init(struct twin *twin, struct ebb_pool *pool, size_t capacity, bool is_sharing)
{
    *twin = (struct twin){
        .pool = pool, .base = ebb_pool_base(pool), .capacity = capacity, .is_sharing = is_sharing};
    struct ebb_owner owner = {.context = twin,
                              .about_to_move = on_about_to_move,
                              .moved = on_moved,
                              .bytes = is_sharing ? on_bytes : NULL};
    TWIN_REQUIRE(ebb_heap_create(&twin->heap, pool, &owner) == 0);
    twin->objects = calloc(capacity, sizeof *twin->objects);
    TWIN_REQUIRE(twin->objects != NULL);
    struct ebb_pool_stats stats;
    ebb_pool_stats(pool, &stats);
    twin->owner_bytes = stats.reserved_bytes / EBB_GRANULE_BYTES * sizeof *twin->owner_of;
    twin->owner_of = mmap(NULL, twin->owner_bytes, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    TWIN_REQUIRE(twin->owner_of != MAP_FAILED);
}

void twin_init(struct twin *twin, struct ebb_pool *pool, size_t capacity)
{
    init(twin, pool, capacity, false);
}

void twin_init_sharing(struct twin *twin, struct ebb_pool *pool, size_t capacity)
{
    init(twin, pool, capacity, true);
}

/* Of its own class, or of one that is at most a quarter longer if it may be a guest. */
static bool is_right_slot(const struct twin *twin, ebb_ref ref, size_t bytes)
{
    size_t slot_bytes = ebb_slot_bytes(twin->heap, ref), own_bytes = ebb_round_bytes(bytes);
    if (!twin->is_sharing || bytes > EBB_LARGE_BYTES)
        return slot_bytes == own_bytes;
    return slot_bytes >= own_bytes && slot_bytes <= own_bytes + own_bytes / 4;
}

void twin_release(struct twin *twin)
{
    TWIN_REQUIRE(twin->pins == 0);
    ebb_heap_destroy(twin->heap);
    munmap(twin->owner_of, twin->owner_bytes);
    free(twin->objects);
}

static struct twin_object *add(struct twin *twin, size_t n, size_t bytes)
{
    struct twin_object *object = &twin->objects[n];
    TWIN_REQUIRE(object->ref == 0);
    ebb_ref ref = ebb_alloc(twin->heap, bytes);
    if (ref == 0)
        return NULL;
    TWIN_REQUIRE(twin->owner_of[ref] == 0);
    TWIN_REQUIRE(is_right_slot(twin, ref, bytes));
    *object = (struct twin_object){.ref = ref, .bytes = bytes, .seed = twin->next_seed++ << 32};
    twin->owner_of[ref] = (uint32_t)n + 1;
    twin->live++;
    twin->live_bytes += bytes;
    return object;
}

bool twin_alloc(struct twin *twin, size_t n, size_t bytes)
{
    struct twin_object *object = add(twin, n, bytes);
    if (object == NULL)
        return false;
    fill(ebb_at(twin->base, object->ref), bytes, object->seed);
    return true;
}

bool twin_alloc_virgin(struct twin *twin, size_t n, size_t bytes)
{
    struct twin_object *object = add(twin, n, bytes);
    if (object == NULL)
        return false;
    object->is_virgin = true;
    return true;
}

/* The heap has been told; the array forgets, unless a pin keeps the bytes. */
static void forget(struct twin *twin, size_t n)
{
    struct twin_object *object = &twin->objects[n];
    twin->live--;
    twin->live_bytes -= object->bytes;
    object->is_freed = true;
    if (object->pins > 0)
        return;
    twin->owner_of[object->ref] = 0;
    object->ref = 0;
}

void twin_free(struct twin *twin, size_t n)
{
    TWIN_REQUIRE(twin_has(twin, n));
    ebb_free(twin->heap, twin->objects[n].ref);
    forget(twin, n);
}

int twin_resize(struct twin *twin, size_t n, size_t bytes)
{
    struct twin_object *object = &twin->objects[n];
    ebb_ref before = object->ref, after = before;
    int error = ebb_resize(twin->heap, &after, bytes);
    if (error != 0) {
        TWIN_REQUIRE(after == before);
        twin_verify(twin, n);
        return error;
    }
    TWIN_REQUIRE(object->pins == 0);
    twin->owner_of[before] = 0;
    TWIN_REQUIRE(twin->owner_of[after] == 0);
    twin->owner_of[after] = (uint32_t)n + 1;
    object->ref = after;
    TWIN_REQUIRE(is_right_slot(twin, after, bytes));
    char *data = ebb_at(twin->base, after);
    size_t kept = bytes < object->bytes ? bytes : object->bytes;
    TWIN_REQUIRE(object->is_virgin || is_filled(data, kept, object->seed));
    twin->live_bytes += bytes - object->bytes;
    object->bytes = bytes;
    if (!object->is_virgin)
        fill(data, bytes, object->seed);
    return 0;
}

void twin_rewrite(struct twin *twin, size_t n)
{
    struct twin_object *object = &twin->objects[n];
    TWIN_REQUIRE(twin_has(twin, n));
    object->seed = twin->next_seed++ << 32;
    object->is_virgin = false;
    fill(ebb_at(twin->base, object->ref), object->bytes, object->seed);
}

void twin_pin(struct twin *twin, size_t n)
{
    TWIN_REQUIRE(twin_has(twin, n));
    TWIN_REQUIRE(ebb_pin(twin->heap, twin->objects[n].ref) == 0);
    twin->objects[n].pins++;
    twin->pins++;
}

void twin_unpin(struct twin *twin, size_t n)
{
    struct twin_object *object = &twin->objects[n];
    TWIN_REQUIRE(object->pins > 0);
    twin_verify(twin, n); /* a pin keeps the bytes, even of an object freed meanwhile */
    ebb_ref ref = object->ref;
    object->pins--;
    twin->pins--;
    if (object->is_freed && object->pins == 0) {
        twin->owner_of[ref] = 0;
        object->ref = 0;
    }
    ebb_unpin(twin->heap, ref);
}

/* ---- walks ---- */

static size_t visited_object(struct twin *twin, ebb_ref ref, const void *data)
{
    TWIN_REQUIRE(twin->owner_of[ref] != 0);
    size_t n = twin->owner_of[ref] - 1;
    TWIN_REQUIRE(twin_has(twin, n) && twin->objects[n].ref == ref);
    TWIN_REQUIRE(data == ebb_at(twin->base, ref));
    twin->visited++;
    return n;
}

void twin_due_note(struct twin *twin, size_t n, uint64_t due)
{
    struct twin_object *object = &twin->objects[n];
    TWIN_REQUIRE(twin_has(twin, n));
    ebb_due_note(twin->heap, object->ref, due);
    object->due = due;
}

struct due_walk {
    struct twin *twin;
    uint64_t now, keep_ms;
};

static uint64_t on_due(void *context, ebb_ref ref, void *data)
{
    struct due_walk *walk = context;
    size_t n = visited_object(walk->twin, ref, data);
    struct twin_object *object = &walk->twin->objects[n];
    if (object->due == 0 || object->due > walk->now)
        return object->due;
    if (walk->keep_ms == 0) {
        twin_free(walk->twin, n);
        return 0;
    }
    object->due = walk->now + walk->keep_ms;
    return object->due;
}

void twin_due_visit(struct twin *twin, uint64_t now, uint64_t keep_ms)
{
    struct due_walk walk = {twin, now, keep_ms};
    size_t visits = 0, most = twin->heap->span_count;
    while (ebb_due_visit(twin->heap, now, now + 1, on_due, &walk) > 0)
        TWIN_REQUIRE(++visits <= most); /* each visit settles a span */
    TWIN_REQUIRE(ebb_due_next(twin->heap) > now);
    for (size_t n = 0; n < twin->capacity; n++)
        if (twin_has(twin, n) && twin->objects[n].due != 0)
            TWIN_REQUIRE(twin->objects[n].due > now); /* a note is never too late */
}

struct each_walk {
    struct twin *twin;
    size_t free_each;
};

static bool on_each(void *context, ebb_ref ref, void *data)
{
    struct each_walk *walk = context;
    size_t n = visited_object(walk->twin, ref, data);
    if (walk->free_each != 0 && walk->twin->visited % walk->free_each == 0)
        twin_free(walk->twin, n);
    return true;
}

void twin_each(struct twin *twin, size_t free_each)
{
    struct each_walk walk = {twin, free_each};
    size_t before = twin->live;
    twin->visited = 0;
    ebb_heap_each(twin->heap, on_each, &walk);
    TWIN_REQUIRE(twin->visited == before);
}

void twin_reset(struct twin *twin)
{
    ebb_heap_reset(twin->heap);
    for (size_t n = 0; n < twin->capacity; n++)
        if (twin_has(twin, n))
            forget(twin, n);
    TWIN_REQUIRE(twin->live == 0 && twin->live_bytes == 0);
}

size_t twin_compact(struct twin *twin, enum ebb_urge urge, uint64_t max_ns, size_t slices)
{
    size_t used = 0;
    enum ebb_reason reason;
    while (used++ < slices)
        if (ebb_compact(twin->heap, urge, max_ns, &reason) == EBB_COMPACT_DONE)
            break;
    return used;
}

/* ---- totals ---- */

void twin_check(const struct twin *twin)
{
    TWIN_REQUIRE(ebb_heap_check(twin->heap) == 0);
    TWIN_REQUIRE(ebb_pool_check(twin->pool) == 0);
    size_t slot_bytes = 0, live = 0, large = 0, pins = 0;
    uint64_t due = UINT64_MAX;
    for (size_t n = 0; n < twin->capacity; n++) {
        const struct twin_object *object = &twin->objects[n];
        pins += object->ref != 0 ? object->pins : 0;
        if (!twin_has(twin, n))
            continue;
        live++;
        TWIN_REQUIRE(is_right_slot(twin, object->ref, object->bytes));
        slot_bytes += ebb_slot_bytes(twin->heap, object->ref);
        large += object->bytes > EBB_LARGE_BYTES;
        due = object->due != 0 && object->due < due ? object->due : due;
    }
    TWIN_REQUIRE(live == twin->live && pins == twin->pins);
    struct ebb_heap_stats stats;
    ebb_heap_stats(twin->heap, &stats);
    /* What was freed in pinned spans still counts as taken. */
    size_t limbo = twin->heap->freed_objects;
    TWIN_REQUIRE(stats.objects == live + limbo);
    TWIN_REQUIRE(limbo > 0 ? stats.slot_bytes > slot_bytes : stats.slot_bytes == slot_bytes);
    TWIN_REQUIRE(limbo > 0 || stats.large_count == large);
    TWIN_REQUIRE(stats.allocations - stats.frees == live + limbo);
    TWIN_REQUIRE((stats.pinned_spans > 0) == (pins > 0));
    TWIN_REQUIRE(ebb_due_next(twin->heap) <= due);
}
