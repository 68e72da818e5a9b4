/* SPDX-License-Identifier: MIT */
/* ebb_alloc.h: memory that can be given back, because what lies in it can be moved.
 *
 *   pool   one reserved address range, shared by all heaps; locks itself
 *   arena  2 MiB of it, aligned; its metadata lies elsewhere
 *   span   a run of pages in an arena, cut into slots of one class; owned by one heap
 *   slot   a place for one object
 *   heap   the spans of one owner (a shard); the caller serialises calls on one heap
 *   ref    what the caller keeps instead of a pointer: the granule number in the pool
 *
 *        arena 0           arena 1                    page map and span descriptors of an arena
 *   |[span][span]..free..|[span  ][free][span]...|    are out of line: a free slot or page is never
 *     |slot|slot|....|                                written, so a page given back stays away
 *
 * The moving rule. An object moves only inside ebb_compact() and ebb_resize(). A pointer from
 * ebb_at() is good until the next call of either on the same heap; keep the ref, not the pointer.
 * Each object has exactly one owner who keeps its ref; when the object moves, the heap copies the
 * bytes and tells the owner through `moved`. Objects hold no pointers into themselves.
 *
 * Ideas: segregated fit with out-of-line bitmaps (mallocng), fullest-first (Temeraire, OSDI'21),
 * moving with a single owner (RAMCloud's log cleaner, FAST'14), decay learned from regret.
 */
#ifndef EBB_ALLOC_H
#define EBB_ALLOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#pragma GCC visibility push(default) /* of the library, nothing else is seen from outside */
#endif

#define EBB_PAGE_BYTES    4096u
#define EBB_GRANULE_BYTES 4u     /* objects are aligned to this, refs count it */
#define EBB_REF_BITS      38u    /* a ref fits in so many bits: 1 TiB of granules */
#define EBB_LARGE_BYTES   65536u /* objects above this get pages of their own */
#define EBB_CLASS_COUNT   320u   /* size classes; EBB_CLASS_COUNT itself stands for large */

typedef uint64_t ebb_ref; /* 0 is no object */

enum ebb_alloc_error {
    EBB_ALLOC_ENOMEM = -1, /* the system or the address range gives no more; nothing changed */
    EBB_ALLOC_EINVAL = -2, /* a bad argument; nothing changed */
    EBB_ALLOC_EBUSY = -3,  /* the object is pinned; nothing changed */
    EBB_ALLOC_EPAGES = -4, /* the system's pages are not of EBB_PAGE_BYTES */
};
const char *ebb_alloc_error_text(int error);

struct ebb_pool;
struct ebb_heap;

/* ---- the system beneath: a table, so that tests can count, fail and turn the clock ---- */

struct ebb_os {
    void *context;
    /* Reserves address space without memory behind it; NULL on failure. */
    void *(*reserve)(void *context, size_t bytes);
    void (*unreserve)(void *context, void *start, size_t bytes);
    /* Makes reserved space usable; pages read as zero and cost nothing until touched. 0 or -1. */
    int (*commit)(void *context, void *start, size_t bytes);
    /* Gives the pages back at once; they read as zero afterwards. 0 or -1 (pages then stay). */
    int (*discard)(void *context, void *start, size_t bytes);
    /* Puts the pages of [from, from + bytes) under [to, to + bytes), without copying; what was
     * under `to` is given back, and `from` reads as zero afterwards. Both are usable and do not
     * overlap. NULL: there is no such thing. 0 or -1 (nothing changed). */
    int (*relocate)(void *context, void *from, void *to, size_t bytes);
    uint64_t (*now_ns)(void *context); /* monotonic */
    /* The least that can be given back. Anything but EBB_PAGE_BYTES is refused: discarding one page
     * would take its neighbours. NULL: it is that. */
    size_t (*page_bytes)(void *context);
};
extern const struct ebb_os ebb_os_system;

/* ---- pool ---- */

struct ebb_pool_config {
    const struct ebb_os *os; /* NULL: ebb_os_system; must outlive the pool */
    size_t reserve_bytes;    /* address range, 0: 1 TiB; halved until the system grants it */
};

/* Creates the pool. 0, EBB_ALLOC_ENOMEM or EBB_ALLOC_EPAGES. */
int ebb_pool_create(struct ebb_pool **pool, const struct ebb_pool_config *config);
/* All heaps must have been destroyed before. */
void ebb_pool_destroy(struct ebb_pool *pool);
/* The address of granule 0: constant for the life of the pool. */
void *ebb_pool_base(const struct ebb_pool *pool);

/* Gives idle pages back: at most max_bytes in this call. Idle pages that the recent past says will
 * be wanted again are kept unless `hard`. Returns the work done, in bytes, a system call counted as
 * at least 64 KiB; less than max_bytes means that nothing more is due now. */
size_t ebb_pool_trim(struct ebb_pool *pool, size_t max_bytes, bool hard);

/* The most that spans, idle pages and metadata may come to: a call that would need more fails as if
 * the system had none. Pages beyond a limit that is lowered stay until they are given back.
 * SIZE_MAX, as at the start: no limit. */
void ebb_pool_limit(struct ebb_pool *pool, size_t bytes);

/* ---- heap ---- */

/* Who owns the objects of a heap. The callbacks run inside calls on that heap and may not call it.
 */
struct ebb_owner {
    void *context;
    /* The object `from` now lives at `to`, already copied to `data`; both copies are readable until
     * this returns. The owner replaces its ref. */
    void (*moved)(void *context, ebb_ref from, ebb_ref to, void *data);
    /* The object at `ref` will be moved in a moment: a chance to ask the processor for what `moved`
     * will touch. May be NULL. */
    void (*about_to_move)(void *context, ebb_ref ref, void *data);
    /* The bytes of the object at `data`: what was asked for, or less if the rest may be lost. Where
     * this is known, few objects of many sizes share spans: a slot may then be a quarter longer
     * than ebb_round_bytes() says. NULL: each size has spans of its own. */
    size_t (*bytes)(void *context, const void *data);
};

int ebb_heap_create(struct ebb_heap **heap, struct ebb_pool *pool, const struct ebb_owner *owner);
/* Frees every object too. None may be pinned. */
void ebb_heap_destroy(struct ebb_heap *heap);

/* A new object of `bytes` (1 .. EBB_REF range); contents undefined. 0 when there is no memory. */
ebb_ref ebb_alloc(struct ebb_heap *heap, size_t bytes);
/* Frees it; a pinned object is freed when its last pin goes. Aborts on a ref that is not live. */
void ebb_free(struct ebb_heap *heap, ebb_ref ref);
/* Makes the object hold `bytes`, in place where it can, else by moving it (the owner is not told:
 * the new ref is stored in *ref). The first min(old, new) bytes stay; whole arenas of them are not
 * copied but put under the new place. 0, ENOMEM or EBUSY. */
int ebb_resize(struct ebb_heap *heap, ebb_ref *ref, size_t bytes);
/* Frees every object in time proportional to the number of spans; of pinned spans, with the last
 * pin. */
void ebb_heap_reset(struct ebb_heap *heap);

/* The bytes that the object's slot holds: what it costs, and what it may grow to in place. */
size_t ebb_slot_bytes(const struct ebb_heap *heap, ebb_ref ref);
/* The slot size that ebb_alloc(bytes) uses, unless the object becomes a guest. Pure. */
size_t ebb_round_bytes(size_t bytes);
/* The class of that slot size, EBB_CLASS_COUNT for large ones. Pure. */
unsigned ebb_class_of(size_t bytes);

/* The heap may pass the pool's limit, until it is told that it may not: for a few bytes that can't
 * be refused. */
void ebb_heap_exempt(struct ebb_heap *heap, bool is_exempt);
/* What compaction could free now, as in ebb_heap_stats, without the rest of it. */
size_t ebb_reclaimable(const struct ebb_heap *heap);
/* How full the span of an object is: EBB_FULL is full, the fewer the sooner the span is free. */
#define EBB_FULL 256u
unsigned ebb_fullness(const struct ebb_heap *heap, ebb_ref ref);
/* Some objects, at most `most`, whose slots ebb_alloc(bytes) could use if they were freed; `random`
 * chooses. They lie in one span. 0: there are none, or such objects are large. */
unsigned ebb_class_sample(const struct ebb_heap *heap, size_t bytes, uint64_t random, ebb_ref *refs,
                          unsigned most);

static inline void *ebb_at(void *base, ebb_ref ref)
{
    return (char *)base + ref * EBB_GRANULE_BYTES;
}

/* A pin keeps an object where it is and its bytes as they are, even across ebb_free() and
 * ebb_heap_reset(). Pins count, and are held per span: keep them short. 0, or ENOMEM: not pinned.
 */
int ebb_pin(struct ebb_heap *heap, ebb_ref ref);
void ebb_unpin(struct ebb_heap *heap, ebb_ref ref);
/* The bytes of the slot of a pinned object, freed or not. */
size_t ebb_pinned_bytes(const struct ebb_heap *heap, ebb_ref ref);
/* Whether its span is pinned: then the object's bytes may not be changed. */
bool ebb_is_pinned(const struct ebb_heap *heap, ebb_ref ref);

/* ---- due times: a span knows the earliest time at which one of its objects wants a visit ---- */

/* Notes that the object wants a visit at `due` (any unit, > 0). A move keeps the note. */
void ebb_due_note(struct ebb_heap *heap, ebb_ref ref, uint64_t due);
/* The earliest note of the heap, UINT64_MAX when there is none. A note may be too early (its object
 * gone), never too late. */
uint64_t ebb_due_next(const struct ebb_heap *heap);
/* Visits every object of the span with the earliest note, if that is <= now. `visit` returns the
 * object's due time (0: none) and may free that object (then returns 0), or those it has been shown
 * before, through ebb_free(), nothing else. The span is then due at the least of these, but not
 * before `not_before`. Returns the number of objects visited, 0 when nothing is due. */
size_t ebb_due_visit(struct ebb_heap *heap, uint64_t now, uint64_t not_before,
                     uint64_t (*visit)(void *context, ebb_ref ref, void *data), void *context);

/* Visits every object, span by span, until `visit` returns false; it may free the object it is
 * given. */
void ebb_heap_each(struct ebb_heap *heap, bool (*visit)(void *context, ebb_ref ref, void *data),
                   void *context);

/* ---- compaction ---- */

/* Why a compaction acts, or does not: the ladder of alloc/policy.c, in its order. */
enum ebb_reason {
    EBB_REASON_NONE,     /* nothing could be won */
    EBB_REASON_SMALL,    /* too little to win */
    EBB_REASON_PACKED,   /* waste is inside the band */
    EBB_REASON_WASTE,    /* waste above the band: compact down to its floor */
    EBB_REASON_PRESSURE, /* memory is short: compact whatever frees a span */
    EBB_REASON_MANUAL,   /* asked for */
    EBB_REASON_COUNT
};
const char *ebb_reason_text(enum ebb_reason reason);

enum ebb_urge { EBB_URGE_CALM, EBB_URGE_PRESSURE, EBB_URGE_MANUAL };

enum ebb_compact_result {
    EBB_COMPACT_DONE, /* nothing more to win at this urge */
    EBB_COMPACT_MORE, /* the budget is spent; call again */
};

/* One slice: moves objects until max_ns have passed (checked every few objects) or there is nothing
 * more to win. Frees at least one span for every run of spans it empties, or stops. */
enum ebb_compact_result ebb_compact(struct ebb_heap *heap, enum ebb_urge urge, uint64_t max_ns,
                                    enum ebb_reason *reason);
/* Moves every object that is not pinned, for tests: whoever kept a pointer now holds poison. */
void ebb_heap_shuffle(struct ebb_heap *heap);

/* ---- statistics ---- */

struct ebb_pool_stats {
    size_t reserved_bytes; /* address range */
    size_t span_bytes;     /* pages that belong to spans, touched or not */
    size_t idle_bytes;     /* resident pages that belong to no span: what trim can win */
    size_t keep_bytes;     /* of these, what trim keeps for demand that is likely to return */
    size_t trimmed_bytes;  /* free pages that had been given back, inside touched arenas */
    size_t metadata_bytes; /* resident metadata: arena headers, span descriptors, heaps */
    size_t arena_count;    /* arenas with at least one span */
    uint64_t window_ms;    /* how far back trim looks for demand: learned from regret */
    uint64_t trim_calls, trim_bytes, trim_ns, trim_errors; /* since start */
    uint64_t refault_bytes, refault_early_bytes;           /* trimmed pages taken into use again */
    uint64_t commit_errors;
    size_t limit_bytes;                          /* SIZE_MAX: none */
    uint64_t refusals;                           /* for the sake of the limit, since start */
    uint64_t relocated_bytes, relocation_errors; /* of large objects that grew */
};
void ebb_pool_stats(struct ebb_pool *pool, struct ebb_pool_stats *stats);

struct ebb_heap_stats {
    size_t objects;
    size_t slot_bytes;      /* in slots that hold an object */
    size_t free_slot_bytes; /* in resident slots that do not: what compaction works on */
    size_t resident_bytes;  /* pages of spans that have been touched */
    size_t span_bytes;      /* pages of spans, touched or not */
    size_t span_count;
    size_t large_count, large_bytes; /* objects above EBB_LARGE_BYTES, their pages */
    size_t pinned_spans, pinned_bytes;
    size_t freed_pinned_bytes; /* of slot_bytes: freed, but kept by a pin */
    size_t reclaimable_bytes;  /* what compaction could free now */
    uint64_t allocations, frees, allocated_bytes, failures; /* since start */
    uint64_t compact_cycles[EBB_REASON_COUNT];              /* runs begun, by reason */
    uint64_t moved_objects, moved_bytes, freed_spans, freed_bytes, compact_ns;
    uint64_t skipped_pinned;
};
void ebb_heap_stats(const struct ebb_heap *heap, struct ebb_heap_stats *stats);

struct ebb_class_stats {
    size_t slot_bytes; /* slot size; 0 for large */
    size_t spans_full, spans_partial, spans_empty;
    size_t slots_used, slots_free;
    uint64_t allocations, frees;
};
/* class_index 0 .. EBB_CLASS_COUNT (the last is large). Walks nothing. */
void ebb_class_stats(const struct ebb_heap *heap, unsigned class_index,
                     struct ebb_class_stats *stats);
/* Spans by fullness, 0-10 % first. Walks the class's spans. */
void ebb_class_deciles(const struct ebb_heap *heap, unsigned class_index, size_t deciles[10]);

/* ---- the map: what each page is, for people who watch ---- */

#define EBB_ARENA_PAGES    512u
#define EBB_MAP_ARENAS_MAX 8u /* in one call: some 50 us of the pool's lock */

enum ebb_page_kind {
    EBB_PAGE_UNTOUCHED, /* in no span, never written, or its arena has been forgotten */
    EBB_PAGE_TRIMMED,   /* in no span, given back to the system */
    EBB_PAGE_IDLE,      /* in no span, resident */
    EBB_PAGE_FRESH,     /* in a span, not written yet */
    EBB_PAGE_USED,      /* in a span, resident */
    EBB_PAGE_KIND_COUNT
};

struct ebb_page {
    uint32_t slot_bytes;   /* of the span; 0: a large object, or no span */
    uint8_t kind;          /* enum ebb_page_kind */
    uint8_t used_percent;  /* of the span's slots; above 0 when one of them is used */
    uint8_t is_pinned;     /* its span can't move now */
    uint8_t is_span_start; /* the first page of its span */
};

/* What the pages of the arenas first_arena .. are: at most EBB_MAP_ARENAS_MAX of them, and none
 * beyond the end; EBB_ARENA_PAGES entries each. Returns for how many arenas `pages` was filled.
 * Owners go on meanwhile: how full a span is may be a moment old. */
size_t ebb_pool_map(struct ebb_pool *pool, size_t first_arena, size_t count,
                    struct ebb_page *pages);
/* The arenas that have ever been in use, or are about to be: where the map ends. */
size_t ebb_pool_arenas(const struct ebb_pool *pool);

/* ---- checking ---- */

/* Walks everything and compares it with everything else. 0, or negative with the violated rule on
 * stderr. Slow: for tests and debug commands. */
int ebb_pool_check(struct ebb_pool *pool);
int ebb_heap_check(const struct ebb_heap *heap);
/* True when ref is a live object of the heap. */
bool ebb_is_live(const struct ebb_heap *heap, ebb_ref ref);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#endif
