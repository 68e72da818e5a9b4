/* SPDX-License-Identifier: MIT */
/* compact.c: carries out what policy.c decides, one bounded slice at a time.
 *
 *   before   [####][##..][#...][###.]      the third span is emptiest, the others have room for it
 *   step     [####][##..][v...][###.]      it is the victim: no new object goes there
 *            [####][##..]      [####]      its objects move to the fullest span with room
 *   after    its run is free: trim gives the pages back
 *
 * A victim is taken only if the rest of its class has room for all of it, or a shorter span would
 * do: so every victim that is finished frees pages, and there is no peak on the way.
 */
#include <string.h>

#include "bits.h"
#include "internal.h"

#define BATCH_OBJECTS  16u          /* look at the clock after so many objects */
#define BATCH_BYTES    (32u * 1024) /* or so many bytes */
#define VICTIMS_LOOKED 8u           /* of one bucket's list */
#define SETTLE_NS      UINT64_C(5000000000)

#define CACHE_LINE_BYTES 64u
#define PREFETCH_BYTES   256u

static uint64_t now_ns(const struct ebb_heap *heap)
{
    return heap->pool->os.now_ns(heap->pool->os.context);
}

size_t compact_reclaimable(const struct ebb_heap *heap)
{
    size_t bytes = 0;
    for (size_t c = bits_next(heap->populated, 0, EBB_CLASS_COUNT, true); c < EBB_CLASS_COUNT;
         c = bits_next(heap->populated, c + 1, EBB_CLASS_COUNT, true))
        bytes += policy_reclaimable(&heap->pool->classes, (unsigned)c, &heap->classes[c]);
    return bytes;
}

/* ---- choosing a victim ---- */

static bool can_absorb(const struct ebb_heap *heap, const struct span *span)
{
    const struct heap_class *class = &heap->classes[span->class_index];
    uint64_t room = (class->slots - class->used) - (uint64_t)(span->slots - span->used);
    if (room >= span->used)
        return true;
    const struct class_table *table = &heap->pool->classes;
    size_t live_bytes = class->used * table->slot_bytes[span->class_index];
    unsigned rung = class_rung(table, span->class_index, class->rung, live_bytes);
    unsigned pages = table->rung_pages[span->class_index][rung];
    return pages < span->pages && room + class_slots(table, span->class_index, pages) >= span->used;
}

/* a is emptier than b, or as empty and higher up. */
static bool is_better_victim(const struct span *a, const struct span *b)
{
    uint32_t a_full = (uint32_t)a->used * b->slots, b_full = (uint32_t)b->used * a->slots;
    return a_full != b_full ? a_full < b_full : a->first_page > b->first_page;
}

/* The emptiest of the first few spans of the class's lowest bucket, 0 if none will do. */
static span_id class_victim(struct ebb_heap *heap, unsigned class_index)
{
    const struct heap_class *class = &heap->classes[class_index];
    for (unsigned b = 0; b < BUCKET_EIGHTHS; b++) {
        span_id best = 0;
        unsigned looked = 0;
        for (span_id id = class->buckets[b]; id != 0 && looked < VICTIMS_LOOKED; looked++) {
            const struct span *span = pool_span(heap->pool, id);
            if (span->pinned)
                heap->skipped_pinned++;
            else if (!span->held && can_absorb(heap, span) &&
                     (best == 0 || is_better_victim(span, pool_span(heap->pool, best))))
                best = id;
            id = span->next;
        }
        if (best != 0)
            return best;
    }
    return 0;
}

/* Looking at all classes for each victim would cost more than the moving: the class of the last one
 * is gone on with while its spans are sparse enough to be among the best anywhere. */
static span_id next_of_class(struct ebb_heap *heap)
{
    unsigned class_index = heap->victim_class;
    const struct heap_class *class = &heap->classes[class_index];
    if (policy_reclaimable(&heap->pool->classes, class_index, class) == 0)
        return 0;
    span_id id = class_victim(heap, class_index);
    if (id == 0)
        return 0;
    const struct span *span = pool_span(heap->pool, id);
    return span->used * 2u <= span->slots ? id : 0;
}

static span_id choose_victim(struct ebb_heap *heap)
{
    span_id best = next_of_class(heap);
    if (best != 0)
        return best;
    for (size_t c = bits_next(heap->populated, 0, EBB_CLASS_COUNT, true); c < EBB_CLASS_COUNT;
         c = bits_next(heap->populated, c + 1, EBB_CLASS_COUNT, true)) {
        if (policy_reclaimable(&heap->pool->classes, (unsigned)c, &heap->classes[c]) == 0)
            continue;
        span_id id = class_victim(heap, (unsigned)c);
        if (id != 0 &&
            (best == 0 || is_better_victim(pool_span(heap->pool, id), pool_span(heap->pool, best))))
            best = id;
    }
    return best;
}

static void set_victim(struct ebb_heap *heap, span_id id)
{
    struct heap_class *class = &heap->classes[pool_span(heap->pool, id)->class_index];
    if (class->current == id)
        class->current = 0;
    heap_rebucket(heap, id, BUCKET_VICTIM);
    heap->victim = id;
    heap->victim_class = pool_span(heap->pool, id)->class_index;
}

static void drop_victim(struct ebb_heap *heap)
{
    if (heap->victim != 0)
        heap_rebucket(heap, heap->victim, span_bucket_of(pool_span(heap->pool, heap->victim)));
    heap->victim = 0;
}

/* ---- moving ---- */

/* Memory is slow, so a batch goes through three stages, and while one is carried out the next is on
 * its way into the cache:  gathered (its objects are fetched), prepared (it has its new places and
 * the owner has been told: these are fetched), carried out. */
struct batch {
    unsigned count;
    unsigned slots[BATCH_OBJECTS];
    ebb_ref to[BATCH_OBJECTS];
};

/* Asks for the object's first cache lines; the processor guesses the others by itself. */
static void prefetch(const char *data, size_t bytes)
{
    for (size_t at = 0; at < bytes && at < PREFETCH_BYTES; at += CACHE_LINE_BYTES)
        __builtin_prefetch(data + at);
}

static void prefetch_for_write(const char *data, size_t bytes)
{
    for (size_t at = 0; at < bytes && at < PREFETCH_BYTES; at += CACHE_LINE_BYTES)
        __builtin_prefetch(data + at, 1);
}

/* The span's next objects from slot *from on, at most `most`; *from is then behind them. */
static void gather(const struct ebb_heap *heap, const struct span *span, unsigned most,
                   unsigned *from, struct batch *batch)
{
    size_t bytes = span_slot_bytes(heap->pool, span);
    unsigned slot = span_next_used(span, *from);
    for (batch->count = 0; slot < span->slots && batch->count < most;
         slot = span_next_used(span, slot + 1)) {
        batch->slots[batch->count++] = slot;
        *from = slot + 1;
        prefetch(ebb_at(heap->pool->base, span_ref(heap->pool, span, slot)), bytes);
    }
}

/* Finds a place for each of its objects, in the fullest other spans. false: there is no memory for
 * all; the batch is cut to those that have a place. */
static bool prepare(struct ebb_heap *heap, const struct span *span, struct batch *batch)
{
    size_t bytes = span_slot_bytes(heap->pool, span);
    for (unsigned i = 0; i < batch->count; i++) {
        batch->to[i] = heap_take(heap, span->class_index);
        if (batch->to[i] == 0) {
            batch->count = i;
            return false;
        }
        prefetch_for_write(ebb_at(heap->pool->base, batch->to[i]), bytes);
        ebb_ref from = span_ref(heap->pool, span, batch->slots[i]);
        if (heap->owner.about_to_move != NULL)
            heap->owner.about_to_move(heap->owner.context, from, ebb_at(heap->pool->base, from));
    }
    return true;
}

void compact_move(struct ebb_heap *heap, span_id id, unsigned slot, ebb_ref to, size_t to_bytes,
                  size_t bytes)
{
    const struct span *span = pool_span(heap->pool, id);
    ebb_ref from = span_ref(heap->pool, span, slot);
    void *old = ebb_at(heap->pool->base, from), *new = ebb_at(heap->pool->base, to);
    slot_unpoison(new, to_bytes);
    memcpy(new, old, bytes);
    if (span->due != UINT64_MAX)
        ebb_due_note(heap, to, span->due);
    heap->owner.moved(heap->owner.context, from, to, new);
    slot_poison(old, span_slot_bytes(heap->pool, span));
    heap_give(heap, id, slot);
    heap->moved_objects++;
    heap->moved_bytes += bytes;
}

static void carry_out(struct ebb_heap *heap, span_id id, size_t bytes, const struct batch *batch)
{
    for (unsigned i = 0; i < batch->count; i++)
        compact_move(heap, id, batch->slots[i], batch->to[i], bytes, bytes);
}

/* Empties the victim until the deadline. true: it is empty and its run is free. */
static bool evacuate(struct ebb_heap *heap, uint64_t deadline_ns)
{
    span_id id = heap->victim;
    const struct span *span = pool_span(heap->pool, id);
    size_t bytes = span_slot_bytes(heap->pool, span);
    size_t run_bytes = (size_t)span->pages * EBB_PAGE_BYTES;
    unsigned left = span->used, most = BATCH_OBJECTS, from = 0;
    if (bytes * most > BATCH_BYTES)
        most = bytes < BATCH_BYTES ? (unsigned)(BATCH_BYTES / bytes) : 1;
    struct batch batches[2], *batch = &batches[0], *next = &batches[1];
    gather(heap, span, most, &from, batch);
    while (left > 0) {
        gather(heap, span, most, &from, next);
        bool has_room = prepare(heap, span, batch);
        left -= batch->count;
        carry_out(heap, id, bytes, batch);
        if (!has_room) {
            drop_victim(heap);
            return false;
        }
        struct batch *done = batch;
        batch = next;
        next = done;
        if (left > 0 && now_ns(heap) >= deadline_ns)
            return false;
    }
    /* Its run went with its last object: the descriptor is not ours any more. */
    heap->freed_spans++;
    heap->freed_bytes += run_bytes;
    return true;
}

/* ---- one slice ---- */

static enum compact_phase phase_of(const struct ebb_heap *heap)
{
    if (heap->active_reason != EBB_REASON_NONE)
        return COMPACT_ACTIVE;
    return now_ns(heap) < heap->settles_ns ? COMPACT_SETTLING : COMPACT_CALM;
}

static enum ebb_reason decide(const struct ebb_heap *heap, enum ebb_urge urge)
{
    struct compact_view view = {
        .slot_bytes = heap->slot_bytes - heap->large_pages * EBB_PAGE_BYTES,
        .reclaimable_bytes = compact_reclaimable(heap),
        .small_bytes =
            COMPACT_SMALL_BYTES / __atomic_load_n(&heap->pool->heap_count, __ATOMIC_RELAXED),
        .urge = urge,
        .phase = phase_of(heap),
    };
    return policy_compact(&view);
}

/* What began while calm is followed by a time of settling; what begins in that time does not make
 * it longer, or a heap that is only churned would never come to rest. */
static void begin_cycle(struct ebb_heap *heap, enum ebb_reason why)
{
    if (heap->active_reason == EBB_REASON_NONE) {
        heap->compact_cycles[why]++;
        if (phase_of(heap) == COMPACT_CALM)
            heap->settles_ns = now_ns(heap) + SETTLE_NS;
    }
    heap->active_reason = why;
}

/* The victim of the last slice, if it still makes sense; else a new one. */
static bool have_victim(struct ebb_heap *heap)
{
    if (heap->victim != 0) {
        const struct span *span = pool_span(heap->pool, heap->victim);
        if (!span->pinned && can_absorb(heap, span))
            return true;
        drop_victim(heap);
    }
    span_id id = choose_victim(heap);
    if (id == 0)
        return false;
    set_victim(heap, id);
    return true;
}

enum ebb_compact_result ebb_compact(struct ebb_heap *heap, enum ebb_urge urge, uint64_t max_ns,
                                    enum ebb_reason *reason)
{
    uint64_t begin = now_ns(heap);
    enum ebb_compact_result result = EBB_COMPACT_DONE;
    heap_release_empty(heap);
    for (;;) {
        enum ebb_reason why = decide(heap, urge);
        if (reason != NULL)
            *reason = why;
        if (why < EBB_REASON_WASTE || !have_victim(heap)) {
            drop_victim(heap);
            heap->active_reason = EBB_REASON_NONE;
            break;
        }
        begin_cycle(heap, why);
        size_t spans = heap->freed_spans;
        evacuate(heap, begin + max_ns);
        if (heap->victim == 0 && heap->freed_spans == spans) { /* no memory to move into */
            heap->active_reason = EBB_REASON_NONE;
            break;
        }
        if (now_ns(heap) >= begin + max_ns) {
            result = EBB_COMPACT_MORE;
            break;
        }
    }
    if (result == EBB_COMPACT_DONE &&
        (share_sweep(heap, begin + max_ns) || tidy_sweep(heap, begin + max_ns)))
        result = EBB_COMPACT_MORE;
    heap->compact_ns += now_ns(heap) - begin;
    return result;
}

/* ---- moving everything, for tests ---- */

static void shuffle_large(struct ebb_heap *heap, span_id id)
{
    struct span *span = pool_span(heap->pool, id);
    size_t bytes = (size_t)span->pages * EBB_PAGE_BYTES;
    ebb_ref from = span_ref(heap->pool, span, 0), to = ebb_alloc(heap, bytes);
    if (to == 0)
        return;
    void *new = ebb_at(heap->pool->base, to);
    memcpy(new, ebb_at(heap->pool->base, from), bytes);
    if (span->due != UINT64_MAX)
        ebb_due_note(heap, to, span->due);
    heap->owner.moved(heap->owner.context, from, to, new);
    ebb_free(heap, from);
}

void ebb_heap_shuffle(struct ebb_heap *heap)
{
    drop_victim(heap);
    heap_release_empty(heap);
    for (span_id id = heap->all; id != 0;) { /* new spans go in front: each old one is met once */
        struct span *span = pool_span(heap->pool, id);
        span_id next = span->all_next;
        if (!span->pinned && span->class_index == CLASS_LARGE) {
            shuffle_large(heap, id);
        } else if (!span->pinned && span->used > 0) {
            set_victim(heap, id);
            evacuate(heap, UINT64_MAX);
            drop_victim(heap);
        }
        id = next;
    }
}
