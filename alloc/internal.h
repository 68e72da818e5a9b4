/* SPDX-License-Identifier: MIT */
/* internal.h: the structs of the allocator, for the files of this room and its tests.
 *
 *   OS page   4 KiB, always called page here
 *   arena     512 pages, aligned; the unit in which address space is committed and metadata kept
 *   run       consecutive pages
 *   span      a run cut into equal slots of one class; a large object is a span with one slot
 *   class     a slot size (class.c); CLASS_LARGE stands for "the size of the run"
 *   rung      one of the span lengths a class may use: rare classes take short spans
 *   bucket    how full a span is, in eighths; each class lists its spans by bucket
 *   resident  a page that has been written and not been given back
 *   idle      resident, but in no span
 *
 * Locks. A pool has one mutex; it guards arena headers, run bitmaps and counters of pages. A heap
 * has none: its owner serialises calls. Order: heap's owner, then pool. A span descriptor belongs
 * to the heap that owns the span; only its creation and release happen under the pool's mutex.
 */
#ifndef EBB_ALLOC_INTERNAL_H
#define EBB_ALLOC_INTERNAL_H

#include <pthread.h>

#include "ebb_alloc.h"

#ifdef EBB_HARD /* small constants give bugs a chance */
#define SPAN_SLOTS_MAX      3u
#define SPAN_PAGES_MAX      40u
#define COMPACT_SMALL_BYTES 0u
#define ARENAS_PER_COMMIT   2u
#else
#define SPAN_SLOTS_MAX      512u
#define SPAN_PAGES_MAX      64u
#define COMPACT_SMALL_BYTES (512u * 1024) /* of the whole pool: less waste is not worth moving */
#define ARENAS_PER_COMMIT   16u           /* arenas committed by one system call */
#endif

#define ARENA_PAGES   512u
#define ARENA_BYTES   (ARENA_PAGES * EBB_PAGE_BYTES)
#define ARENA_WORDS   (ARENA_PAGES / 64)
#define PAGE_GRANULES (EBB_PAGE_BYTES / EBB_GRANULE_BYTES)
#define CLASS_LARGE   EBB_CLASS_COUNT
#define RUNG_COUNT    6u
#define RUN_LEVELS    10u /* runs of at least 1, 2, 4 .. 512 pages */
#define SPAN_WORDS    8u
#define RETIRED_PAGES 1024 /* pool.retired[] holds milliseconds * this + pages */

/* Trim: demand is remembered in buckets of time; see trim.c. */
#define DEMAND_BUCKET_MS 125u
#define DEMAND_BUCKETS   512u
#define WINDOW_MIN_MS    500u
#define WINDOW_MAX_MS    32000u
#define REGRET_MS        30000u

/* ---- assertions ---- */

/* Always on: a wrong ref must stop here, not corrupt somebody's value. */
#define EBB_ASSERT(condition)                                                                      \
    do {                                                                                           \
        if (!(condition))                                                                          \
            ebb_assert_failed(#condition, __FILE__, __LINE__);                                     \
    } while (0)
void ebb_assert_failed(const char *condition, const char *file, int line) __attribute__((noreturn));

/* ---- sizes (class.c) ---- */

unsigned class_of(size_t bytes); /* 1 .. EBB_LARGE_BYTES -> 0 .. EBB_CLASS_COUNT - 1 */
size_t class_bytes(unsigned class_index);

/* The span lengths of each class, shortest first, and the divisor of its slots. Built once. */
struct class_table {
    uint32_t slot_bytes[EBB_CLASS_COUNT];
    uint32_t magic[EBB_CLASS_COUNT]; /* ceil(2^32 / slot_bytes): offset * magic >> 32 is the slot */
    uint8_t rung_pages[EBB_CLASS_COUNT][RUNG_COUNT];
    uint8_t rung_count[EBB_CLASS_COUNT];
};
void class_table_init(struct class_table *table);
unsigned class_slots(const struct class_table *table, unsigned class_index, unsigned pages);
/* The rung for a class that holds live_bytes, coming from `rung`: up when the next span is at most
 * 1/32 of it, down when the present one is more than 1/8; and longer where that saves more at the
 * ends of spans than the half of one that may stay free. */
unsigned class_rung(const struct class_table *table, unsigned class_index, unsigned rung,
                    size_t live_bytes);

/* ---- span ---- */

typedef uint32_t span_id; /* arena * ARENA_PAGES + descriptor; 0 is none */

enum span_bucket {
    BUCKET_EIGHTHS = 8, /* 0..7: used * 8 / slots of spans that are neither empty nor full */
    BUCKET_EMPTY = 8,
    BUCKET_FULL = 9,
    BUCKET_VICTIM = 10, /* being evacuated: takes no new objects */
    BUCKET_COUNT = 11,
};

/* Invariants, checked by span_check():
 *   popcount(free_map) + used == slots
 *   used slots lie below `touched` slots; pages below touched_pages are resident
 *   bucket == span_bucket_of(span) unless it is the victim
 */
struct span {
    uint64_t free_map[SPAN_WORDS]; /* one bit a slot, set: free */
    struct ebb_heap *heap;
    uint64_t due;        /* earliest noted due time of its objects, UINT64_MAX: none */
    uint32_t first_page; /* number in the pool */
    uint32_t pages;
    span_id next, prev;               /* in its class's bucket */
    span_id all_next, all_prev;       /* in its heap */
    span_id due_parent, due_child[2]; /* unless due is UINT64_MAX: due.c */
    uint32_t pinned; /* 0, or its place in the heap's list of pinned spans, plus one */
    uint16_t class_index;
    uint16_t slots, used;
    uint8_t touched_pages; /* leading pages known to be resident (large: all, and this is 0) */
    uint8_t bucket : 4;
    uint8_t held : 4; /* somebody is walking over it: do not release */
};
_Static_assert(sizeof(struct span) == 128, "a span descriptor is two cache lines");
_Static_assert(SPAN_PAGES_MAX <= UINT8_MAX && BUCKET_COUNT <= 16,
               "its small fields are wide enough");

/* ---- arena ---- */

/* Invariants, checked by arena_check():
 *   free_pages == popcount(free); idle_pages == popcount(free & resident)
 *   free & resident & trimmed == 0
 *   spans == popcount(descriptors)
 */
struct arena {
    uint64_t free[ARENA_WORDS]; /* pages in no span */
    uint64_t
        resident[ARENA_WORDS];     /* of free pages: known; of a span's: what they were before it */
    uint64_t trimmed[ARENA_WORDS]; /* free pages that have been given back since they were used */
    uint64_t descriptors[ARENA_WORDS]; /* descriptors in use */
    uint16_t page_span[ARENA_PAGES];   /* descriptor of the span on that page, plus one */
    uint32_t is_ready;                 /* 0: all of this is zero and the arena untouched */
    uint16_t free_pages, idle_pages, spans, longest_run;
    uint16_t descriptors_high; /* none from here on is in use, or resident */
    uint16_t is_vacated;       /* its pages lie under another arena, whatever its span says */
    uint64_t trimmed_ms;       /* when its last page was trimmed */
    _Alignas(64) struct span span[ARENA_PAGES];
};
#define ARENA_HEADER_BYTES offsetof(struct arena, span)
#define ARENA_STRIDE       ((sizeof(struct arena) + EBB_PAGE_BYTES - 1) / EBB_PAGE_BYTES * EBB_PAGE_BYTES)

/* ---- pool ---- */

struct ebb_pool {
    char *base;     /* of granule 0; page 0 is never handed out, so that ref 0 is free */
    char *metadata; /* struct arena at ARENA_STRIDE each */
    size_t reserve_bytes;
    uint32_t arena_limit;    /* arenas in the range */
    uint32_t arena_frontier; /* arenas below it are committed */
    struct ebb_os os;
    struct class_table classes;
    pthread_mutex_t lock;
    unsigned heap_count; /* atomic: a heap reads it without the lock */

    uint64_t *runs[RUN_LEVELS]; /* bit a: arena a has a free run of >= 2^level pages */
    uint64_t *idle;             /* bit a: arena a has idle pages */
    uint64_t *relocated;        /* bit a: arena a is a mapping of its own; see pool_relocate() */
    uint64_t *retired;          /* of arena a: what it knew of trimmed pages; see arena_retire() */
    size_t bitmap_words;

    size_t span_pages, idle_pages, trimmed_pages, metadata_pages, arenas_used;
    size_t spare_metadata_pages; /* what tidy.c could free of metadata_pages */
    size_t span_count;
    uint64_t dropped_spans; /* since start */
    size_t limit_pages;     /* of spans, idle pages and metadata together */
    uint64_t refusals;

    /* demand for pages, for trim */
    uint64_t now_ms, bucket_ms;
    uint32_t demand[DEMAND_BUCKETS]; /* most span pages at once in that stretch of time */
    unsigned demand_at;
    uint64_t window_ms, quiet_since_ms, regret_ms;
    uint32_t rises;               /* regrets in a row, see trim.c */
    size_t rise_peak;             /* most span pages since the last */
    bool has_fallen;              /* and whether they have fallen since ... */
    size_t fall_low;              /* ... how low at most */
    size_t swing_pages;           /* the deepest fall that came back, of a load that swings */
    uint64_t needed_ms, quiet_ms; /* when the window was last too short, or needed; see trim.c */
    size_t keep_pages;
    size_t regret_pages; /* taken again soon after a trim, since the last trim */

    uint64_t trim_calls, trim_bytes, trim_ns, trim_errors;
    uint64_t refault_bytes, refault_early_bytes, commit_errors;
    size_t relocated_arenas; /* bits set in `relocated` */
    uint64_t relocated_bytes, relocation_errors;
};

static inline struct arena *pool_arena(const struct ebb_pool *pool, uint32_t index)
{
    return (struct arena *)(pool->metadata + (size_t)index * ARENA_STRIDE);
}

static inline struct span *pool_span(const struct ebb_pool *pool, span_id id)
{
    return &pool_arena(pool, id / ARENA_PAGES)->span[id % ARENA_PAGES];
}

#define EXCUSED_ALL SIZE_MAX

/* A new span on a run of `pages`, or 0. So many of them are excused from the limit. Its fields are
 * zero but class_index, first_page and pages; *resident is the number of pages that were resident
 * already. */
span_id pool_take(struct ebb_pool *pool, unsigned class_index, uint32_t pages, size_t excused,
                  size_t *resident);
/* limit.c: whether so many pages more may be held; lock held. */
bool limit_allows(const struct ebb_pool *pool, size_t pages);
/* Gives the span's run back; touched_pages say what is resident now. The id is then free. */
void pool_release(struct ebb_pool *pool, span_id id);
/* Gives back the pages behind the first `pages` of a large span, or takes more behind its end. */
void pool_cut(struct ebb_pool *pool, span_id id, uint32_t pages);
bool pool_extend(struct ebb_pool *pool, span_id id, uint32_t pages);
/* How many arenas of a large span could be put under another one, from its first page on: all whole
 * ones, or none. */
size_t pool_relocatable(struct ebb_pool *pool, span_id id);
/* Puts whole arenas of one large span under another, without copying: from its first page on, at
 * most `arenas`. Returns how many it has moved; the rest is the caller's to copy. */
size_t pool_relocate(struct ebb_pool *pool, span_id from, span_id to, size_t arenas);
/* The span that holds a ref, 0 if none. Needs no lock for refs of the caller's own heap. */
span_id pool_find(const struct ebb_pool *pool, ebb_ref ref);
/* Gives a span the lowest free descriptor of its arena; lock held. Whoever knows it by `from` must
 * be told. */
span_id pool_move_descriptor(struct ebb_pool *pool, span_id from);

/* arena.c; lock held in all of these. */
size_t arena_metadata_pages(const struct ebb_pool *pool, uint32_t index);
size_t arena_spare_pages(const struct ebb_pool *pool, uint32_t index);
size_t arena_new_descriptor(struct ebb_pool *pool, uint32_t index); /* zeroed */
void arena_drop_descriptor(struct ebb_pool *pool, uint32_t index, size_t slot);
/* How many descriptors there are in the fewest pages that hold those in use. */
size_t arena_least_descriptors(const struct ebb_pool *pool, uint32_t index);
/* Gives back the pages behind the last descriptor in use. */
void arena_trim_descriptors(struct ebb_pool *pool, uint32_t index);
/* Brings the pool's bitmaps of runs in line after an arena's free pages have changed. */
void arena_publish(struct ebb_pool *pool, uint32_t index);
void arena_make_ready(struct ebb_pool *pool, uint32_t index); /* for its first pages */
/* The first free run of that length, or ARENA_PAGES. */
size_t arena_find_run(const struct arena *arena, size_t pages);
/* Takes pages [from, to) out of the free ones. Returns how many were resident. */
size_t arena_take(struct ebb_pool *pool, uint32_t index, size_t from, size_t to);
/* The reverse. The first `touched` pages are resident now, the others as they were; of an arena
 * whose pages have gone under another none is. */
void arena_give(struct ebb_pool *pool, uint32_t index, size_t from, size_t to, size_t touched);
/* Forgets an arena that has no span and no idle page, so that its metadata can go too. */
bool arena_retire(struct ebb_pool *pool, uint32_t index);

void demand_note(struct ebb_pool *pool); /* trim.c: span_pages has grown; lock held */
/* Whether demand is on its way up to where it was within memory: what a wider window would have
 * foreseen. Growth beyond the past, and shuffling of pages while demand falls, are not that. */
bool demand_returns(const struct ebb_pool *pool);

/* ---- heap ---- */

struct heap_class {
    span_id buckets[BUCKET_COUNT]; /* heads of the lists of spans */
    uint32_t spans_full, spans_empty;
    span_id current; /* where the next object goes, 0: choose */
    uint8_t rung;
    uint16_t guests; /* its objects that went to other classes since it got its last span */
    uint32_t spans;
    uint64_t slots, used; /* sums over its spans */
    uint64_t pages;
    uint64_t allocations, frees;
};

/* A span with pins. What is freed in it meanwhile is nobody's object any more, but its slot stays
 * taken until the last pin goes. Having room for this is the pin's business, so that freeing can't
 * fail. */
struct pinned {
    span_id id;
    uint32_t pins;
    uint64_t freed[SPAN_WORDS]; /* slots */
};

struct ebb_heap {
    struct ebb_pool *pool;
    struct ebb_owner owner;
    struct heap_class classes[EBB_CLASS_COUNT + 1];
    uint64_t populated[EBB_CLASS_COUNT / 64 + 1]; /* classes that have spans */
    span_id all;                                  /* every span */
    span_id due_root;                             /* the span with the earliest due time */
    uint32_t due_count;                           /* spans that have one */
    span_id victim;                               /* being evacuated, 0: none */
    uint16_t victim_class;                        /* of the last victim */
    enum ebb_reason active_reason;                /* compaction under way, EBB_REASON_NONE: none */
    uint64_t settles_ns;                          /* until then COMPACT_SETTLING */
    size_t excused_pages;                         /* of the next span, from the pool's limit */
    bool is_sweeping;                             /* a sweep of share.c is under way ... */
    uint16_t sweep_class;                         /* ... and goes on with that class */
    uint64_t swept_changes;                       /* allocations and frees at the last one's end */
    uint32_t tidy_arena;   /* where tidy.c goes on, 0: no sweep is under way */
    uint64_t tidy_dropped; /* pool.dropped_spans when the last one began */
    struct pinned *pinned; /* pinned_spans of them */
    size_t pinned_spans, pinned_capacity, pinned_pages;
    size_t freed_objects, freed_object_bytes; /* in pinned spans: still counted as objects below */

    size_t objects, slot_bytes, resident_pages, span_pages, large_pages;
    size_t span_count;
    uint64_t allocations, frees, allocated_bytes, failures;
    uint64_t compact_cycles[EBB_REASON_COUNT];
    uint64_t moved_objects, moved_bytes, freed_spans, freed_bytes, compact_ns, skipped_pinned;
};

/* span.c */
enum span_bucket span_bucket_of(const struct span *span);
unsigned span_take_slot(struct span *span);            /* it has one */
void span_give_slot(struct span *span, unsigned slot); /* aborts if it is free */
bool span_slot_used(const struct span *span, unsigned slot);
/* The next used slot at or after `slot`, or span->slots. */
unsigned span_next_used(const struct span *span, unsigned slot);
size_t span_slot_bytes(const struct ebb_pool *pool, const struct span *span);
ebb_ref span_ref(const struct ebb_pool *pool, const struct span *span, unsigned slot);
/* The slot of a ref in its span; aborts when it points between slots. */
unsigned span_slot_of(const struct ebb_pool *pool, const struct span *span, ebb_ref ref);
int span_check(const struct ebb_pool *pool, const struct span *span);

/* heap.c, for large.c, compact.c and the tests */
span_id heap_new_span(struct ebb_heap *heap, unsigned class_index, uint32_t pages, unsigned slots);
ebb_ref heap_take(struct ebb_heap *heap, unsigned class_index); /* 0: no memory */
span_id heap_fullest(const struct heap_class *class); /* of those with room; 0: none has */
void heap_give(struct ebb_heap *heap, span_id id, unsigned slot);
void heap_rebucket(struct ebb_heap *heap, span_id id, enum span_bucket bucket);
void heap_release_span(struct ebb_heap *heap, span_id id);
void heap_release_empty(struct ebb_heap *heap);

/* large.c: objects with pages of their own */
ebb_ref large_take(struct ebb_heap *heap, size_t bytes); /* 0: no memory */
bool large_resize_in_place(struct ebb_heap *heap, span_id id, size_t bytes);
/* Moves a large object into a larger run. The new ref, or 0: no memory, nothing changed. */
ebb_ref large_move(struct ebb_heap *heap, span_id id, size_t bytes);

/* share.c: guests of other classes, in heaps whose owner knows the bytes of objects */
unsigned share_class(struct ebb_heap *heap, unsigned class_index); /* to take a slot from */
/* Empties sparse spans of rare classes until the deadline. true: there is more. */
bool share_sweep(struct ebb_heap *heap, uint64_t deadline_ns);

/* tidy.c: descriptors moved together, so that metadata shrinks. true: there is more. */
bool tidy_sweep(struct ebb_heap *heap, uint64_t deadline_ns);

/* due.c */
void due_rename(struct ebb_heap *heap, span_id from, span_id to); /* the descriptor has moved */
void due_set(struct ebb_heap *heap, span_id id, uint64_t due);    /* UINT64_MAX: out of the heap */

/* policy.c */
enum compact_phase {
    COMPACT_CALM,     /* nothing has been compacted for a while */
    COMPACT_SETTLING, /* for some seconds after something has */
    COMPACT_ACTIVE,   /* it is under way */
};
struct compact_view {
    size_t slot_bytes; /* live */
    size_t reclaimable_bytes;
    size_t small_bytes;
    enum ebb_urge urge;
    enum compact_phase phase;
};
enum ebb_reason policy_compact(const struct compact_view *view);
/* What evacuation could free of one class, in bytes. */
size_t policy_reclaimable(const struct class_table *table, unsigned class_index,
                          const struct heap_class *heap_class);

/* compact.c */
size_t compact_reclaimable(const struct ebb_heap *heap);
/* Moves the object in that slot, `bytes` of it, to a slot of to_bytes that has been taken for it;
 * tells the owner. With its last object the span goes. */
void compact_move(struct ebb_heap *heap, span_id id, unsigned slot, ebb_ref to, size_t to_bytes,
                  size_t bytes);

/* poison.h's business, for address-sanitizer and hard builds */
void slot_poison(void *data, size_t bytes);   /* nobody may touch it now */
void slot_unpoison(void *data, size_t bytes); /* it is an object again, or a page to give away */

#endif
