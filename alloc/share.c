/* SPDX-License-Identifier: MIT */
/* share.c: objects of rare classes as guests in free slots of longer classes.
 *
 *   class 1000   [##.#]                 a class of few objects has a span nearly to itself,
 *   class 1024   [#...]                 and a heap of few objects of many sizes is half empty:
 *   class 1088   [#...]                 a store has as many heaps as shards
 *
 *   after        [##.#]  [####]         the slots of one span serve the sizes below
 *
 * A guest comes when its class would need a new span, and by a sweep over spans that have become
 * sparse. What is lost by rounding stays bounded: a slot is never longer than the object's own
 * class by more than a quarter, and only where a new span would be much of what the class holds.
 */
#include "bits.h"
#include "internal.h"

#define GUEST_DIVISOR 4u /* a guest's slot is at most that part longer than its own would be */
/* Free bytes beyond that part of those in slots are worth a sweep, once that part of the objects
 * has come or gone since the last one. */
#define SPARSE_DIVISOR  16u
#define CHANGED_DIVISOR 8u
#define SPANS_LOOKED    2u /* of one bucket's list */

static bool has_room(const struct heap_class *class)
{
    return class->current != 0 || heap_fullest(class) != 0;
}

/* The first class with a free slot, from `class_index` on, whose slots are no longer than that;
 * EBB_CLASS_COUNT if there is none. */
static unsigned find_host(const struct ebb_heap *heap, unsigned class_index, size_t longest)
{
    const uint32_t *slot_bytes = heap->pool->classes.slot_bytes;
    for (size_t c = bits_next(heap->populated, class_index, EBB_CLASS_COUNT, true);
         c < EBB_CLASS_COUNT && slot_bytes[c] <= longest;
         c = bits_next(heap->populated, c + 1, EBB_CLASS_COUNT, true))
        if (has_room(&heap->classes[c]))
            return (unsigned)c;
    return EBB_CLASS_COUNT;
}

/* ---- a new object ---- */

/* How long a slot may be for an object whose class would need a new span: the longer the more of
 * the class that span would be, for so much of it is likely to stay free. */
static size_t longest_slot(const struct class_table *table, unsigned class_index,
                           const struct heap_class *class)
{
    size_t slot_bytes = table->slot_bytes[class_index];
    unsigned pages = table->rung_pages[class_index][0];
    if (class->rung > 0 || class_slots(table, class_index, pages) < 2)
        return 0;
    size_t span_bytes = (size_t)pages * EBB_PAGE_BYTES, live_bytes = class->used * slot_bytes;
    return slot_bytes + slot_bytes * span_bytes / (live_bytes + span_bytes) / GUEST_DIVISOR;
}

/* As many guests as a span has slots, and the class gets one: it is not as rare as it seemed. Or a
 * load that overwrites values by shorter ones would go on filling the slots it frees. */
unsigned share_class(struct ebb_heap *heap, unsigned class_index)
{
    const struct class_table *table = &heap->pool->classes;
    struct heap_class *class = &heap->classes[class_index];
    if (heap->owner.bytes == NULL || has_room(class))
        return class_index;
    unsigned host = find_host(heap, class_index, longest_slot(table, class_index, class));
    unsigned most = class_slots(table, class_index, table->rung_pages[class_index][0]);
    if (host == EBB_CLASS_COUNT || ++class->guests >= most) {
        class->guests = 0;
        return class_index;
    }
    return host;
}

/* ---- the sweep ---- */

/* Where the object in that slot could go but stays in no span of its own, EBB_CLASS_COUNT: nowhere.
 */
static unsigned host_of(const struct ebb_heap *heap, const struct span *span, unsigned slot,
                        size_t *bytes)
{
    const void *data = ebb_at(heap->pool->base, span_ref(heap->pool, span, slot));
    *bytes = heap->owner.bytes(heap->owner.context, data);
    unsigned own = class_of(*bytes);
    size_t slot_bytes = heap->pool->classes.slot_bytes[own];
    return find_host(heap, own, slot_bytes + slot_bytes / GUEST_DIVISOR);
}

static bool may_go(const struct ebb_heap *heap, const struct span *span)
{
    size_t bytes;
    if (span->pinned || span->held || span->used * 2u > span->slots)
        return false;
    for (unsigned s = span_next_used(span, 0); s < span->slots; s = span_next_used(span, s + 1))
        if (host_of(heap, span, s, &bytes) == EBB_CLASS_COUNT)
            return false;
    return true;
}

static void move_guest(struct ebb_heap *heap, span_id id, unsigned slot, unsigned host,
                       size_t bytes)
{
    ebb_ref to = heap_take(heap, host);
    EBB_ASSERT(to != 0); /* the host had room */
    compact_move(heap, id, slot, to, heap->pool->classes.slot_bytes[host], bytes);
}

/* Moves all objects of a sparse span elsewhere. false: some had to stay. */
static bool empty_span(struct ebb_heap *heap, span_id id)
{
    const struct span *span = pool_span(heap->pool, id);
    size_t run_bytes = (size_t)span->pages * EBB_PAGE_BYTES;
    unsigned left = span->used, slots = span->slots, slot = span_next_used(span, 0);
    if (heap->classes[span->class_index].current == id)
        heap->classes[span->class_index].current = 0;
    heap_rebucket(heap, id, BUCKET_VICTIM); /* it is no host now */
    for (; left > 0 && slot < slots; left--) {
        unsigned next = span_next_used(span, slot + 1);
        size_t bytes;
        unsigned host = host_of(heap, span, slot, &bytes);
        if (host == EBB_CLASS_COUNT) {
            heap_rebucket(heap, id, span_bucket_of(span));
            return false;
        }
        move_guest(heap, id, slot, host, bytes); /* the last one takes the span with it */
        slot = next;
    }
    heap->freed_spans++;
    heap->freed_bytes += run_bytes;
    return true;
}

static bool is_rare(const struct ebb_heap *heap, unsigned class_index)
{
    const struct class_table *table = &heap->pool->classes;
    const struct heap_class *class = &heap->classes[class_index];
    size_t live_bytes = class->used * table->slot_bytes[class_index];
    return class_rung(table, class_index, class->rung, live_bytes) == 0;
}

/* Empties one span of a class that is at most half full. */
static bool sweep_class(struct ebb_heap *heap, unsigned class_index)
{
    const struct heap_class *class = &heap->classes[class_index];
    if (!is_rare(heap, class_index))
        return false;
    for (unsigned b = 0; b <= BUCKET_EIGHTHS / 2; b++) {
        unsigned looked = 0;
        for (span_id id = class->buckets[b]; id != 0 && looked < SPANS_LOOKED; looked++) {
            const struct span *span = pool_span(heap->pool, id);
            if (may_go(heap, span))
                return empty_span(heap, id);
            id = span->next;
        }
    }
    return false;
}

static bool is_sparse(const struct ebb_heap *heap)
{
    size_t bytes = heap->slot_bytes - heap->large_pages * EBB_PAGE_BYTES;
    size_t free_bytes = heap->resident_pages * EBB_PAGE_BYTES - heap->slot_bytes;
    size_t small = COMPACT_SMALL_BYTES / __atomic_load_n(&heap->pool->heap_count, __ATOMIC_RELAXED);
    uint64_t changes = heap->allocations + heap->frees - heap->swept_changes;
    return free_bytes > small && free_bytes > bytes / SPARSE_DIVISOR &&
           changes > heap->objects / CHANGED_DIVISOR;
}

bool share_sweep(struct ebb_heap *heap, uint64_t deadline_ns)
{
    const struct ebb_os *os = &heap->pool->os;
    if (heap->owner.bytes == NULL || (!heap->is_sweeping && !is_sparse(heap)))
        return false;
    if (!heap->is_sweeping) {
        heap->is_sweeping = true;
        heap->sweep_class = 0;
        heap->compact_cycles[EBB_REASON_WASTE]++;
    }
    size_t c = heap->sweep_class;
    while (c < EBB_CLASS_COUNT) {
        if (!bit_get(heap->populated, c) || !sweep_class(heap, (unsigned)c))
            c = bits_next(heap->populated, c + 1, EBB_CLASS_COUNT, true);
        heap->sweep_class = (uint16_t)c;
        if (os->now_ns(os->context) >= deadline_ns)
            return true;
    }
    heap->is_sweeping = false;
    heap->swept_changes = heap->allocations + heap->frees;
    return false;
}
