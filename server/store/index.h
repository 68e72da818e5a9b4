/* SPDX-License-Identifier: MIT */
/* index.h: from the hash of a key to the ref of its item; extendible hashing in small segments.
 *
 *   directory   one word per segment, at the segment's own prefix (the low `depth` bits of the
 *               hashes in it). A word that is 0 stands for the word at the same place without its
 *               top bit: so doubling the directory writes nothing, and each segment stands once.
 *   segment     64, 80, 96 or 112 buckets; grows by steps, then splits in two of 64. Lies in the
 *               allocator, may move, and is given back like any other object.
 *   bucket      eight slots in a cache line
 *   slot        one word, 0 if empty:
 *
 *               63           48 47        40 39  38 37                      0
 *               [ tag, 16 bits ][ use, 8 bits ][ far ][ ref of the item, 38  ]
 *
 * `use` is what eviction remembers of the item (use.h). The tag is another 16 bits of the hash. Its
 * upper part names the home bucket, tag * buckets >> 16, so a segment changes its size without
 * looking at a single item. An item lies `far` = 0..3 buckets behind its home, and only if all
 * buckets before are full: a lookup ends at the first bucket with an empty slot. Deleting pulls
 * such items back.
 *
 * A segment that has grown is 72 to 90 % full, about 9.9 bytes an item; where as many items come as
 * go for long, chance crowds some buckets and it is 65 to 75 %. Sources: Fagin et al. 1979
 * (extendible hashing), Dash (VLDB 2020, small segments), Robin Hood hashing for the backward
 * shift.
 */
#ifndef EBB_STORE_INDEX_H
#define EBB_STORE_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "../../alloc/ebb_alloc.h"

#define BUCKET_SLOTS    8u
#define SEGMENT_STEPS   4u /* sizes of a segment */
#define INDEX_FAR_MAX   3u
#define INDEX_DEPTH_MAX 26u /* some 30 billion items; a cursor of scan.c has room for it */
#ifdef EBB_HARD
#define BUCKETS_BASE 4u
#define BUCKETS_STEP 1u
#else
#define BUCKETS_BASE 64u
#define BUCKETS_STEP 16u
#endif
#define BUCKETS_MAX (BUCKETS_BASE + (SEGMENT_STEPS - 1) * BUCKETS_STEP)

#define SLOT_REF_MASK  ((UINT64_C(1) << EBB_REF_BITS) - 1)
#define SLOT_FAR_SHIFT EBB_REF_BITS
#define SLOT_FAR_MASK  (UINT64_C(3) << SLOT_FAR_SHIFT)
#define SLOT_USE_SHIFT 40
#define SLOT_TAG_SHIFT 48
#define SLOT_TAG_MASK  (UINT64_C(0xffff) << SLOT_TAG_SHIFT)

struct index {
    struct ebb_heap *heap; /* of the segments */
    void *base;
    uint64_t *directory;
    unsigned depth; /* directory has 2^depth words */
    /* Both in one word, for who looks without the lock. What was a directory once is kept for its
     * depth until the end, all of them as large as two of the largest: nobody reads freed memory.
     */
    uintptr_t published;
    uint64_t *levels[INDEX_DEPTH_MAX + 1];
    size_t deepest; /* segments of that depth: none, and the directory halves */
    size_t items, segments, slots;
    uint64_t splits, merges, resizes, moved;
    /* The hash of the key of an item, for splits and moves. */
    uint64_t (*hash_of)(void *context, ebb_ref ref);
    void *context;
};

/* Where an item is; good until the index changes or a segment moves. */
struct index_at {
    uint64_t *slot;
    uint64_t *segment;
    uint32_t prefix; /* its segment's place in the directory */
    uint32_t bucket;
};

/* 0 or -1 (no memory). `heap` must be the index's own; its `moved` must call index_moved(). */
int index_init(struct index *index, struct ebb_heap *heap, void *base,
               uint64_t (*hash_of)(void *context, ebb_ref ref), void *context);
void index_release(struct index *index); /* the heap's objects are the heap owner's business */
/* After the heap has been reset: an index without items. */
int index_reset(struct index *index);

/* Adds an item that is not in the index. 0 or -1 (no memory; nothing changed). */
int index_insert(struct index *index, uint64_t hash, ebb_ref ref, unsigned use);
/* Removes the item at `at`; shrinks or merges its segment when that pays. */
void index_remove(struct index *index, const struct index_at *at);
/* The item `from` lives at `to` now. */
void index_replace(struct index *index, uint64_t hash, ebb_ref from, ebb_ref to);
/* The segment `from` lives at `to` now. */
void index_moved(struct index *index, ebb_ref from, ebb_ref to);
size_t index_directory_bytes(const struct index *index);
int index_check(const struct index *index);

/* ---- directory words ---- */

#define ENTRY_DEPTH_SHIFT 38
#define ENTRY_STEP_SHIFT  44
#define ENTRY_COUNT_SHIFT 47
#define ENTRY_COUNT_ONE   (UINT64_C(1) << ENTRY_COUNT_SHIFT)

static inline ebb_ref entry_ref(uint64_t entry)
{
    return entry & SLOT_REF_MASK;
}

static inline unsigned entry_depth(uint64_t entry)
{
    return entry >> ENTRY_DEPTH_SHIFT & 63;
}

static inline unsigned entry_step(uint64_t entry)
{
    return entry >> ENTRY_STEP_SHIFT & 7;
}

static inline unsigned entry_count(uint64_t entry)
{
    return (unsigned)(entry >> ENTRY_COUNT_SHIFT);
}

static inline unsigned step_buckets(unsigned step)
{
    return BUCKETS_BASE + step * BUCKETS_STEP;
}

/* The place in the directory of the segment that a hash belongs to. */
static inline uint32_t index_resolve(const struct index *index, uint64_t hash)
{
    uint32_t prefix = (uint32_t)(hash & ((UINT64_C(1) << index->depth) - 1));
    while (index->directory[prefix] == 0)
        prefix &= ~(UINT32_C(1) << (31 - __builtin_clz(prefix)));
    return prefix;
}

/* ---- slots ---- */

static inline unsigned hash_tag(uint64_t hash)
{
    return (unsigned)(hash >> 40 & 0xffff);
}

static inline ebb_ref slot_ref(uint64_t slot)
{
    return slot & SLOT_REF_MASK;
}

static inline unsigned slot_far(uint64_t slot)
{
    return slot >> SLOT_FAR_SHIFT & 3;
}

static inline unsigned slot_use(uint64_t slot)
{
    return slot >> SLOT_USE_SHIFT & 255;
}

static inline void slot_set_use(uint64_t *slot, unsigned use)
{
    *slot = (*slot & ~(UINT64_C(255) << SLOT_USE_SHIFT)) | (uint64_t)use << SLOT_USE_SHIFT;
}

static inline void slot_set_ref(uint64_t *slot, ebb_ref ref)
{
    *slot = (*slot & ~SLOT_REF_MASK) | ref;
}

static inline unsigned slot_tag(uint64_t slot)
{
    return (unsigned)(slot >> SLOT_TAG_SHIFT);
}

static inline uint64_t *index_segment(const struct index *index, uint64_t entry)
{
    return ebb_at(index->base, entry_ref(entry));
}

/* Of functions that may read without the lock what others write: they only ask for memory by it. */
#define UNLOCKED __attribute__((no_sanitize("thread", "address")))

/* Which slots of a bucket, masked, hold that word: a bit each. Looks at all of them, for which one
 * it is no processor can guess. */
#if defined(__SSE2__) && !defined(EBB_HARD) /* hard tests the other one */
/* For each half of two slots -1 or 0. */
UNLOCKED static inline __m128i pair_find(const __m128i *pair, __m128i masks, __m128i words)
{
    return _mm_cmpeq_epi32(_mm_and_si128(_mm_load_si128(pair), masks), words);
}

UNLOCKED static inline unsigned bucket_find(const uint64_t *slots, uint64_t mask, uint64_t word)
{
    const __m128i *pairs = (const __m128i *)slots;
    __m128i masks = _mm_set1_epi64x((long long)mask), words = _mm_set1_epi64x((long long)word);
    /* Written out, for no compiler unrolls it. */
    __m128i low =
                _mm_packs_epi32(pair_find(pairs, masks, words), pair_find(pairs + 1, masks, words)),
            high = _mm_packs_epi32(pair_find(pairs + 2, masks, words),
                                   pair_find(pairs + 3, masks, words));
    /* A byte for each half of a slot, then for each slot a word that is -1 if both are. */
    __m128i halves = _mm_packs_epi16(low, high);
    __m128i whole = _mm_cmpeq_epi16(halves, _mm_set1_epi16(-1));
    return (unsigned)_mm_movemask_epi8(_mm_packs_epi16(whole, _mm_setzero_si128()));
}
#else
UNLOCKED static inline unsigned bucket_find(const uint64_t *slots, uint64_t mask, uint64_t word)
{
    unsigned found = 0;
    for (unsigned i = 0; i < BUCKET_SLOTS; i++)
        found |= (unsigned)((slots[i] & mask) == word) << i;
    return found;
}
#endif

static inline unsigned bucket_empty(const uint64_t *slots)
{
    return bucket_find(slots, UINT64_MAX, 0);
}

/* Where a hash is at home. */
struct index_home {
    uint64_t *segment;
    uint32_t prefix;
    unsigned bucket, buckets;
    uint64_t word; /* the tag where it stands in a slot */
};

static inline struct index_home index_home(const struct index *index, uint64_t hash)
{
    uint32_t prefix = index_resolve(index, hash);
    uint64_t entry = index->directory[prefix];
    unsigned buckets = step_buckets(entry_step(entry)), tag = hash_tag(hash);
    return (struct index_home){.segment = index_segment(index, entry),
                               .prefix = prefix,
                               .bucket = tag * buckets >> 16,
                               .buckets = buckets,
                               .word = (uint64_t)tag << SLOT_TAG_SHIFT};
}

static inline bool index_is_ref(void *context, ebb_ref ref)
{
    return *(const ebb_ref *)context == ref;
}

/* Finds the item with that hash for which match() is true. */
static inline bool index_find(const struct index *index, uint64_t hash,
                              bool (*match)(void *context, ebb_ref ref), void *context,
                              struct index_at *at)
{
    struct index_home home = index_home(index, hash);
    unsigned bucket = home.bucket;
    for (uint64_t far = 0; far <= INDEX_FAR_MAX; far++) {
        uint64_t *slots = home.segment + bucket * BUCKET_SLOTS;
        uint64_t word = home.word | far << SLOT_FAR_SHIFT;
        unsigned found = bucket_find(slots, SLOT_TAG_MASK | SLOT_FAR_MASK, word);
        for (; found != 0; found &= found - 1) {
            uint64_t *slot = slots + __builtin_ctz(found);
            if (*slot != 0 && match(context, slot_ref(*slot))) {
                *at = (struct index_at){slot, home.segment, home.prefix, bucket};
                return true;
            }
        }
        if (bucket_empty(slots) != 0)
            return false;
        bucket = bucket + 1 == home.buckets ? 0 : bucket + 1;
    }
    return false;
}

/* Finds the item that lives at `ref`. */
static inline bool index_find_ref(const struct index *index, uint64_t hash, ebb_ref ref,
                                  struct index_at *at)
{
    return index_find(index, hash, index_is_ref, &ref, at);
}

#define PUBLISHED_DEPTH 63u /* a directory is aligned to a cache line */

/* The home bucket of a hash, for who has not the lock and may only ask for memory: what is there by
 * now may be anything, but it is mapped, for the pool's addresses once used stay so. */
UNLOCKED static inline const volatile uint64_t *index_guess(const struct index *index,
                                                            uint64_t hash)
{
    uintptr_t published = __atomic_load_n(&index->published, __ATOMIC_ACQUIRE);
    const volatile uint64_t *directory =
        (const volatile uint64_t *)(published & ~(uintptr_t)PUBLISHED_DEPTH);
    uint32_t prefix = (uint32_t)(hash & ((UINT64_C(1) << (published & PUBLISHED_DEPTH)) - 1));
    uint64_t entry = directory[prefix];
    while (entry == 0 && prefix != 0) {
        prefix &= ~(UINT32_C(1) << (31 - __builtin_clz(prefix)));
        entry = directory[prefix];
    }
    unsigned bucket = hash_tag(hash) * step_buckets(entry_step(entry)) >> 16;
    return index_segment(index, entry) + bucket * BUCKET_SLOTS;
}

/* Asks for the cache line of the hash's home bucket. */
static inline void index_prefetch(const struct index *index, uint64_t hash)
{
    struct index_home home = index_home(index, hash);
    __builtin_prefetch(home.segment + home.bucket * BUCKET_SLOTS);
}

#endif
