/* SPDX-License-Identifier: MIT */
/* heap.c: objects. Classes list their spans by fullness; a new object goes to the fullest span that
 * has room, so that sparse spans drain by themselves. Public: ebb_heap_*, ebb_alloc, ebb_free.
 */
#include <stdlib.h>
#include <string.h>

#include "bits.h"
#include "internal.h"

#define PINNED_KEEP 16u /* pinned spans that there is always room for, once there was one */

/* ---- lists ---- */

/* Counts what is asked for all the time, so that nobody has to walk the lists for it. */
static void bucket_count(struct heap_class *class, enum span_bucket bucket, uint32_t by)
{
    class->spans_full += bucket == BUCKET_FULL ? by : 0;
    class->spans_empty += bucket == BUCKET_EMPTY ? by : 0;
}

static void bucket_remove(struct ebb_heap *heap, span_id id)
{
    struct span *span = pool_span(heap->pool, id);
    struct heap_class *class = &heap->classes[span->class_index];
    if (span->prev != 0)
        pool_span(heap->pool, span->prev)->next = span->next;
    else
        class->buckets[span->bucket] = span->next;
    if (span->next != 0)
        pool_span(heap->pool, span->next)->prev = span->prev;
    bucket_count(class, span->bucket, UINT32_MAX); /* one less */
}

/* In front of the list, or behind its head when that lies lower: low addresses are used first. */
static void bucket_insert(struct ebb_heap *heap, span_id id, enum span_bucket bucket)
{
    struct span *span = pool_span(heap->pool, id);
    span_id *list = &heap->classes[span->class_index].buckets[bucket];
    span_id head = *list;
    span->bucket = (uint8_t)bucket;
    if (head == 0 || span->first_page < pool_span(heap->pool, head)->first_page) {
        span->prev = 0;
        span->next = head;
        *list = id;
    } else {
        struct span *before = pool_span(heap->pool, head);
        span->prev = head;
        span->next = before->next;
        before->next = id;
    }
    if (span->next != 0)
        pool_span(heap->pool, span->next)->prev = id;
    bucket_count(&heap->classes[span->class_index], bucket, 1);
}

void heap_rebucket(struct ebb_heap *heap, span_id id, enum span_bucket bucket)
{
    if (pool_span(heap->pool, id)->bucket == bucket)
        return;
    bucket_remove(heap, id);
    bucket_insert(heap, id, bucket);
}

static void all_insert(struct ebb_heap *heap, span_id id)
{
    struct span *span = pool_span(heap->pool, id);
    span->all_prev = 0;
    span->all_next = heap->all;
    if (heap->all != 0)
        pool_span(heap->pool, heap->all)->all_prev = id;
    heap->all = id;
}

static void all_remove(struct ebb_heap *heap, span_id id)
{
    struct span *span = pool_span(heap->pool, id);
    if (span->all_prev != 0)
        pool_span(heap->pool, span->all_prev)->all_next = span->all_next;
    else
        heap->all = span->all_next;
    if (span->all_next != 0)
        pool_span(heap->pool, span->all_next)->all_prev = span->all_prev;
}

/* ---- spans ---- */

span_id heap_new_span(struct ebb_heap *heap, unsigned class_index, uint32_t pages, unsigned slots)
{
    size_t resident = 0;
    span_id id = pool_take(heap->pool, class_index, pages, heap->excused_pages, &resident);
    if (id == 0) {
        heap->failures++;
        return 0;
    }
    struct span *span = pool_span(heap->pool, id);
    __atomic_store_n(&span->heap, heap, __ATOMIC_RELAXED); /* others ask whose it is: tidy.c */
    span->slots = (uint16_t)slots;
    span->due = UINT64_MAX;
    bits_fill(span->free_map, 0, slots, true);
    bucket_insert(heap, id, BUCKET_EMPTY);
    all_insert(heap, id);
    struct heap_class *class = &heap->classes[class_index];
    if (class->spans++ == 0)
        bit_set(heap->populated, class_index);
    class->slots += slots;
    class->pages += pages;
    heap->span_count++;
    heap->span_pages += pages;
    /* A large object is about to be filled; slots are touched one by one. */
    heap->resident_pages += class_index == CLASS_LARGE ? pages : resident;
    return id;
}

/* How many pages of a span are resident: those it has touched, and those that were before. */
static size_t resident_pages(const struct ebb_heap *heap, const struct span *span)
{
    if (span->class_index == CLASS_LARGE)
        return span->pages;
    const struct arena *arena = pool_arena(heap->pool, span->first_page / ARENA_PAGES);
    size_t first = span->first_page % ARENA_PAGES;
    size_t count = span->touched_pages;
    for (size_t p = first + count; p < first + span->pages; p++)
        count += __atomic_load_n(&arena->resident[p / 64], __ATOMIC_RELAXED) >> (p % 64) & 1;
    return count;
}

void heap_release_span(struct ebb_heap *heap, span_id id)
{
    struct span *span = pool_span(heap->pool, id);
    struct heap_class *class = &heap->classes[span->class_index];
    due_set(heap, id, UINT64_MAX);
    bucket_remove(heap, id);
    all_remove(heap, id);
    if (class->current == id)
        class->current = 0;
    if (heap->victim == id)
        heap->victim = 0;
    if (--class->spans == 0) {
        bit_clear(heap->populated, span->class_index);
        class->rung = 0;
    }
    class->slots -= span->slots;
    class->pages -= span->pages;
    heap->span_count--;
    heap->span_pages -= span->pages;
    heap->resident_pages -= resident_pages(heap, span);
    if (span->class_index == CLASS_LARGE)
        heap->large_pages -= span->pages;
    pool_release(heap->pool, id);
}

/* The pages up to the end of a slot that is about to be written are resident from now on. */
static void touch(struct ebb_heap *heap, struct span *span, unsigned slot, size_t slot_bytes)
{
    size_t pages = ((slot + 1) * slot_bytes + EBB_PAGE_BYTES - 1) / EBB_PAGE_BYTES;
    if (pages <= span->touched_pages)
        return;
    const struct arena *arena = pool_arena(heap->pool, span->first_page / ARENA_PAGES);
    size_t first = span->first_page % ARENA_PAGES;
    for (size_t p = first + span->touched_pages; p < first + pages; p++)
        heap->resident_pages +=
            ~__atomic_load_n(&arena->resident[p / 64], __ATOMIC_RELAXED) >> (p % 64) & 1;
    span->touched_pages = (uint8_t)pages;
}

span_id heap_fullest(const struct heap_class *class)
{
    for (unsigned b = BUCKET_EIGHTHS; b-- > 0;)
        if (class->buckets[b] != 0)
            return class->buckets[b];
    return class->buckets[BUCKET_EMPTY];
}

/* The fullest span with room; a new one of the class's rung if there is none. */
static span_id choose_span(struct ebb_heap *heap, unsigned class_index)
{
    struct heap_class *class = &heap->classes[class_index];
    span_id fullest = heap_fullest(class);
    if (fullest != 0)
        return fullest;
    const struct class_table *table = &heap->pool->classes;
    size_t live_bytes = class->used * table->slot_bytes[class_index];
    class->rung = (uint8_t)class_rung(table, class_index, class->rung, live_bytes);
    uint32_t pages = table->rung_pages[class_index][class->rung];
    return heap_new_span(heap, class_index, pages, class_slots(table, class_index, pages));
}

ebb_ref heap_take(struct ebb_heap *heap, unsigned class_index)
{
    struct heap_class *class = &heap->classes[class_index];
    span_id id = class->current;
    if (id == 0) {
        id = class->current = choose_span(heap, class_index);
        if (id == 0)
            return 0;
    }
    struct span *span = pool_span(heap->pool, id);
    unsigned slot = span_take_slot(span);
    size_t slot_bytes = heap->pool->classes.slot_bytes[class_index];
    touch(heap, span, slot, slot_bytes);
    if (span->used == span->slots)
        class->current = 0;
    heap_rebucket(heap, id, span_bucket_of(span));
    class->used++;
    heap->objects++;
    heap->slot_bytes += slot_bytes;
    return (ebb_ref)span->first_page * PAGE_GRANULES + slot * (slot_bytes / EBB_GRANULE_BYTES);
}

void heap_give(struct ebb_heap *heap, span_id id, unsigned slot)
{
    struct span *span = pool_span(heap->pool, id);
    struct heap_class *class = &heap->classes[span->class_index];
    span_give_slot(span, slot);
    class->used--;
    heap->objects--;
    heap->slot_bytes -= span_slot_bytes(heap->pool, span);
    if (span->used == 0 && class->current != id && !span->held)
        heap_release_span(heap, id); /* a span that is current may fill again at once */
    else if (span->bucket != BUCKET_VICTIM)
        heap_rebucket(heap, id, span_bucket_of(span));
}

void heap_release_empty(struct ebb_heap *heap)
{
    for (size_t c = bits_next(heap->populated, 0, EBB_CLASS_COUNT, true); c < EBB_CLASS_COUNT;
         c = bits_next(heap->populated, c + 1, EBB_CLASS_COUNT, true))
        while (heap->classes[c].buckets[BUCKET_EMPTY] != 0)
            heap_release_span(heap, heap->classes[c].buckets[BUCKET_EMPTY]);
}

/* ---- life ---- */

int ebb_heap_create(struct ebb_heap **out, struct ebb_pool *pool, const struct ebb_owner *owner)
{
    struct ebb_heap *heap = calloc(1, sizeof *heap);
    if (heap == NULL)
        return EBB_ALLOC_ENOMEM;
    heap->pool = pool;
    heap->owner = *owner;
    __atomic_add_fetch(&pool->heap_count, 1, __ATOMIC_RELAXED);
    *out = heap;
    return 0;
}

void ebb_heap_destroy(struct ebb_heap *heap)
{
    if (heap == NULL)
        return;
    EBB_ASSERT(heap->pinned_spans == 0);
    ebb_heap_reset(heap);
    __atomic_sub_fetch(&heap->pool->heap_count, 1, __ATOMIC_RELAXED);
    free(heap->pinned);
    free(heap);
}

/* All that is left in a pinned span goes with its last pin. */
static void free_when_unpinned(struct ebb_heap *heap, const struct span *span)
{
    uint64_t *freed = heap->pinned[span->pinned - 1].freed;
    size_t objects = span->used - bits_count(freed, 0, span->slots);
    heap->freed_objects += objects;
    heap->freed_object_bytes += objects * span_slot_bytes(heap->pool, span);
    for (unsigned s = span_next_used(span, 0); s < span->slots; s = span_next_used(span, s + 1))
        bit_set(freed, s);
}

void ebb_heap_reset(struct ebb_heap *heap)
{
    heap->due_root = heap->due_count = 0; /* at once, not span by span */
    for (span_id id = heap->all; id != 0;) {
        struct span *span = pool_span(heap->pool, id);
        span_id next = span->all_next;
        span->due = UINT64_MAX;
        if (span->pinned) {
            free_when_unpinned(heap, span);
        } else {
            struct heap_class *class = &heap->classes[span->class_index];
            heap->frees += span->used;
            class->frees += span->used;
            class->used -= span->used;
            heap->objects -= span->used;
            heap->slot_bytes -= span->used * span_slot_bytes(heap->pool, span);
            heap_release_span(heap, id);
        }
        id = next;
    }
}

/* ---- objects ---- */

ebb_ref ebb_alloc(struct ebb_heap *heap, size_t bytes)
{
    EBB_ASSERT(bytes > 0);
    unsigned class_index =
        bytes > EBB_LARGE_BYTES ? CLASS_LARGE : share_class(heap, class_of(bytes));
    ebb_ref ref =
        class_index == CLASS_LARGE ? large_take(heap, bytes) : heap_take(heap, class_index);
    if (ref == 0)
        return 0;
    size_t slot_bytes = class_index == CLASS_LARGE
                            ? (bytes + EBB_PAGE_BYTES - 1) / EBB_PAGE_BYTES * EBB_PAGE_BYTES
                            : heap->pool->classes.slot_bytes[class_index];
    slot_unpoison(ebb_at(heap->pool->base, ref), slot_bytes);
    heap->allocations++;
    heap->allocated_bytes += slot_bytes;
    heap->classes[class_index].allocations++;
    return ref;
}

/* Freed while its span was pinned: its slot is taken, but it is nobody's object any more. */
static bool is_freed(const struct ebb_heap *heap, const struct span *span, unsigned slot)
{
    return span->pinned && bit_get(heap->pinned[span->pinned - 1].freed, slot);
}

static span_id find_live(const struct ebb_heap *heap, ebb_ref ref, unsigned *slot)
{
    span_id id = pool_find(heap->pool, ref);
    EBB_ASSERT(id != 0);
    struct span *span = pool_span(heap->pool, id);
    EBB_ASSERT(span->heap == heap);
    *slot = span_slot_of(heap->pool, span, ref);
    EBB_ASSERT(span_slot_used(span, *slot));
    EBB_ASSERT(!is_freed(heap, span, *slot));
    return id;
}

static void free_slot(struct ebb_heap *heap, span_id id, unsigned slot)
{
    struct span *span = pool_span(heap->pool, id);
    heap->frees++;
    heap->classes[span->class_index].frees++;
    slot_poison(ebb_at(heap->pool->base, span_ref(heap->pool, span, slot)),
                span_slot_bytes(heap->pool, span));
    heap_give(heap, id, slot);
}

void ebb_free(struct ebb_heap *heap, ebb_ref ref)
{
    unsigned slot;
    span_id id = find_live(heap, ref, &slot);
    struct span *span = pool_span(heap->pool, id);
    if (span->pinned) {
        bit_set(heap->pinned[span->pinned - 1].freed, slot);
        heap->freed_objects++;
        heap->freed_object_bytes += span_slot_bytes(heap->pool, span);
        return;
    }
    free_slot(heap, id, slot);
}

/* Moves an object that can't stay; at least one of the sizes is not large. */
static ebb_ref copy_object(struct ebb_heap *heap, ebb_ref from, const struct span *span,
                           size_t bytes)
{
    ebb_ref to = ebb_alloc(heap, bytes);
    if (to == 0)
        return 0;
    size_t old_bytes = span_slot_bytes(heap->pool, span);
    memcpy(ebb_at(heap->pool->base, to), ebb_at(heap->pool->base, from),
           old_bytes < bytes ? old_bytes : bytes);
    if (span->due != UINT64_MAX)
        ebb_due_note(heap, to, span->due);
    ebb_free(heap, from);
    return to;
}

int ebb_resize(struct ebb_heap *heap, ebb_ref *ref, size_t bytes)
{
    unsigned slot;
    span_id id = find_live(heap, *ref, &slot);
    const struct span *span = pool_span(heap->pool, id);
    bool was_large = span->class_index == CLASS_LARGE, is_large = bytes > EBB_LARGE_BYTES;
    if (span->pinned)
        return EBB_ALLOC_EBUSY;
    if (was_large && is_large) {
        if (large_resize_in_place(heap, id, bytes))
            return 0;
    } else if (!was_large && !is_large && class_of(bytes) == span->class_index) {
        return 0;
    }
    ebb_ref to =
        was_large && is_large ? large_move(heap, id, bytes) : copy_object(heap, *ref, span, bytes);
    if (to == 0)
        return EBB_ALLOC_ENOMEM;
    *ref = to;
    return 0;
}

size_t ebb_slot_bytes(const struct ebb_heap *heap, ebb_ref ref)
{
    unsigned slot;
    return span_slot_bytes(heap->pool, pool_span(heap->pool, find_live(heap, ref, &slot)));
}

unsigned ebb_class_of(size_t bytes)
{
    return bytes > EBB_LARGE_BYTES ? EBB_CLASS_COUNT : class_of(bytes);
}

size_t ebb_round_bytes(size_t bytes)
{
    if (bytes > EBB_LARGE_BYTES)
        return (bytes + EBB_PAGE_BYTES - 1) / EBB_PAGE_BYTES * EBB_PAGE_BYTES;
    return class_bytes(class_of(bytes));
}

bool ebb_is_live(const struct ebb_heap *heap, ebb_ref ref)
{
    span_id id = pool_find(heap->pool, ref);
    if (id == 0 || pool_span(heap->pool, id)->heap != heap)
        return false;
    const struct span *span = pool_span(heap->pool, id);
    uint64_t offset = (ref - (ebb_ref)span->first_page * PAGE_GRANULES) * EBB_GRANULE_BYTES;
    size_t slot_bytes = span_slot_bytes(heap->pool, span);
    unsigned slot = (unsigned)(offset / slot_bytes);
    return offset % slot_bytes == 0 && span_slot_used(span, slot) && !is_freed(heap, span, slot);
}

/* ---- pins ---- */

static bool have_room_for_pinned(struct ebb_heap *heap)
{
    if (heap->pinned_spans < heap->pinned_capacity)
        return true;
    size_t capacity = heap->pinned_capacity == 0 ? PINNED_KEEP : heap->pinned_capacity * 2;
    struct pinned *pinned = realloc(heap->pinned, capacity * sizeof *pinned);
    if (pinned == NULL)
        return false;
    heap->pinned = pinned;
    heap->pinned_capacity = capacity;
    return true;
}

int ebb_pin(struct ebb_heap *heap, ebb_ref ref)
{
    unsigned slot;
    span_id id = find_live(heap, ref, &slot);
    struct span *span = pool_span(heap->pool, id);
    if (!span->pinned) {
        if (!have_room_for_pinned(heap))
            return EBB_ALLOC_ENOMEM;
        heap->pinned[heap->pinned_spans++] = (struct pinned){.id = id};
        heap->pinned_pages += span->pages;
        __atomic_store_n(&span->pinned, (uint32_t)heap->pinned_spans, __ATOMIC_RELAXED);
    }
    struct pinned *pinned = &heap->pinned[span->pinned - 1];
    EBB_ASSERT(pinned->pins < UINT32_MAX);
    pinned->pins++;
    return 0;
}

/* Takes the span off the list; the last of the list takes its place. */
static void drop_pinned(struct ebb_heap *heap, struct span *span)
{
    struct pinned *pinned = &heap->pinned[span->pinned - 1];
    *pinned = heap->pinned[--heap->pinned_spans];
    pool_span(heap->pool, pinned->id)->pinned = span->pinned;
    __atomic_store_n(&span->pinned, 0, __ATOMIC_RELAXED);
    heap->pinned_pages -= span->pages;
    if (heap->pinned_spans == 0 && heap->pinned_capacity > PINNED_KEEP) {
        free(heap->pinned);
        heap->pinned = NULL;
        heap->pinned_capacity = 0;
    }
}

void ebb_unpin(struct ebb_heap *heap, ebb_ref ref)
{
    span_id id = pool_find(heap->pool, ref);
    EBB_ASSERT(id != 0);
    struct span *span = pool_span(heap->pool, id);
    EBB_ASSERT(span->heap == heap && span->pinned);
    if (--heap->pinned[span->pinned - 1].pins > 0)
        return;
    uint64_t freed[SPAN_WORDS];
    unsigned slots = span->slots;
    size_t slot_bytes = span_slot_bytes(heap->pool, span);
    memcpy(freed, heap->pinned[span->pinned - 1].freed, sizeof freed);
    drop_pinned(heap, span);
    for (size_t s = bits_next(freed, 0, slots, true); s < slots;
         s = bits_next(freed, s + 1, slots, true)) {
        heap->freed_objects--;
        heap->freed_object_bytes -= slot_bytes;
        free_slot(heap, id, (unsigned)s); /* the last one may take the span with it */
    }
}

size_t ebb_pinned_bytes(const struct ebb_heap *heap, ebb_ref ref)
{
    return span_slot_bytes(heap->pool, pool_span(heap->pool, pool_find(heap->pool, ref)));
}

bool ebb_is_pinned(const struct ebb_heap *heap, ebb_ref ref)
{
    return heap->pinned_spans > 0 && pool_span(heap->pool, pool_find(heap->pool, ref))->pinned;
}

/* ---- visits ---- */

void ebb_heap_each(struct ebb_heap *heap, bool (*visit)(void *context, ebb_ref ref, void *data),
                   void *context)
{
    bool goes_on = true;
    for (span_id id = heap->all; goes_on && id != 0;) {
        struct span *span = pool_span(heap->pool, id);
        span->held = 1;
        for (unsigned s = span_next_used(span, 0); goes_on && s < span->slots;
             s = span_next_used(span, s + 1)) {
            ebb_ref ref = span_ref(heap->pool, span, s);
            if (!is_freed(heap, span, s))
                goes_on = visit(context, ref, ebb_at(heap->pool->base, ref));
        }
        span->held = 0;
        span_id next = span->all_next;
        if (span->used == 0 && heap->classes[span->class_index].current != id)
            heap_release_span(heap, id);
        id = next;
    }
}

void ebb_due_note(struct ebb_heap *heap, ebb_ref ref, uint64_t due)
{
    span_id id = pool_find(heap->pool, ref);
    EBB_ASSERT(id != 0 && due > 0);
    if (due < pool_span(heap->pool, id)->due)
        due_set(heap, id, due);
}

uint64_t ebb_due_next(const struct ebb_heap *heap)
{
    return heap->due_root == 0 ? UINT64_MAX : pool_span(heap->pool, heap->due_root)->due;
}

size_t ebb_due_visit(struct ebb_heap *heap, uint64_t now, uint64_t not_before,
                     uint64_t (*visit)(void *context, ebb_ref ref, void *data), void *context)
{
    if (ebb_due_next(heap) > now)
        return 0;
    span_id id = heap->due_root;
    struct span *span = pool_span(heap->pool, id);
    uint64_t earliest = UINT64_MAX;
    size_t visited = 0;
    span->held = 1;
    for (unsigned s = span_next_used(span, 0); s < span->slots; s = span_next_used(span, s + 1)) {
        if (is_freed(heap, span, s))
            continue;
        ebb_ref ref = span_ref(heap->pool, span, s);
        uint64_t due = visit(context, ref, ebb_at(heap->pool->base, ref));
        visited++;
        if (due != 0 && due < earliest)
            earliest = due;
    }
    span->held = 0;
    if (span->used == 0 && heap->classes[span->class_index].current != id)
        heap_release_span(heap, id);
    else
        due_set(heap, id, earliest < not_before ? not_before : earliest);
    return visited + (visited == 0); /* an empty span has been dealt with too */
}
