/* SPDX-License-Identifier: MIT */
/* index.c: growing, shrinking and moving segments; lookups are in index.h. Called by shard.c only.
 */
#include "index.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Shrink when the items would fill at most this share of what they have now, merge when both
 * buddies together fill at most that share of the largest segment. */
#define SHRINK_NUM 6u
#define MERGE_NUM  7u
#define SHARE_DEN  10u

static unsigned step_slots(unsigned step)
{
    return step_buckets(step) * BUCKET_SLOTS;
}

static size_t step_bytes(unsigned step)
{
    return step_slots(step) * sizeof(uint64_t);
}

static uint64_t make_entry(ebb_ref ref, unsigned depth, unsigned step, unsigned count)
{
    return ref | (uint64_t)depth << ENTRY_DEPTH_SHIFT | (uint64_t)step << ENTRY_STEP_SHIFT |
           (uint64_t)count << ENTRY_COUNT_SHIFT;
}

/* ---- filling a segment ---- */

static uint64_t *empty_slot(uint64_t *segment, unsigned bucket)
{
    uint64_t *slots = segment + bucket * BUCKET_SLOTS;
    unsigned empty = bucket_empty(slots);
    return empty != 0 ? slots + __builtin_ctz(empty) : NULL;
}

/* All buckets where `word` may lie are full. Makes room in one of them by sending an item of it on
 * to the first bucket behind that is not: what lay near its home lies far, and nobody beyond reach.
 */
static bool displace(uint64_t *segment, unsigned buckets, unsigned home, uint64_t word)
{
    for (unsigned reach = INDEX_FAR_MAX + 1; reach <= 2 * INDEX_FAR_MAX; reach++) {
        uint64_t *empty = empty_slot(segment, (home + reach) % buckets);
        if (empty == NULL)
            continue;
        for (uint64_t far = reach - INDEX_FAR_MAX; far <= INDEX_FAR_MAX; far++) {
            uint64_t *slots = segment + (home + far) % buckets * BUCKET_SLOTS;
            for (unsigned i = 0; i < BUCKET_SLOTS; i++) {
                if (slot_far(slots[i]) + reach - far > INDEX_FAR_MAX)
                    continue;
                *empty = slots[i] + ((reach - far) << SLOT_FAR_SHIFT);
                slots[i] = word | far << SLOT_FAR_SHIFT;
                return true;
            }
        }
        return false; /* behind an empty slot nothing may lie that belongs before it */
    }
    return false;
}

/* Puts a word where its tag wants it. false: there is no room within reach. */
static bool place(uint64_t *segment, unsigned buckets, uint64_t word)
{
    unsigned home = slot_tag(word) * buckets >> 16;
    word &= ~SLOT_FAR_MASK;
    for (uint64_t far = 0; far <= INDEX_FAR_MAX; far++) {
        uint64_t *empty = empty_slot(segment, (home + (unsigned)far) % buckets);
        if (empty != NULL) {
            *empty = word | far << SLOT_FAR_SHIFT;
            return true;
        }
    }
    /* With fewer buckets than that, "behind" would come round to the start. */
    return buckets > 2 * INDEX_FAR_MAX && displace(segment, buckets, home, word);
}

/* The same while a segment without a hole is made: `fill` counts the words in each bucket. Nothing
 * has to be looked at, and a segment's words are sorted by their homes already. */
static bool add(uint64_t *segment, uint8_t *fill, unsigned buckets, uint64_t word)
{
    unsigned home = slot_tag(word) * buckets >> 16, bucket = home;
    word &= ~SLOT_FAR_MASK;
    for (uint64_t far = 0; far <= INDEX_FAR_MAX; far++) {
        if (fill[bucket] < BUCKET_SLOTS) {
            segment[bucket * BUCKET_SLOTS + fill[bucket]++] = word | far << SLOT_FAR_SHIFT;
            return true;
        }
        bucket = bucket + 1 == buckets ? 0 : bucket + 1;
    }
    if (!place(segment, buckets, word))
        return false;
    while (fill[bucket] == BUCKET_SLOTS) /* where what was displaced has gone */
        bucket = bucket + 1 == buckets ? 0 : bucket + 1;
    fill[bucket]++;
    return true;
}

static bool add_all(uint64_t *segment, unsigned step, const uint64_t *words, unsigned count)
{
    uint8_t fill[BUCKETS_MAX] = {0};
    unsigned added = 0;
    memset(segment, 0, step_bytes(step));
    while (added < count && add(segment, fill, step_buckets(step), words[added]))
        added++;
    return added == count;
}

/* A new segment with these words: of that step, or of a larger one if they do not fit. */
static uint64_t build(struct index *index, const uint64_t *words, unsigned count, unsigned depth,
                      unsigned step)
{
    for (; step < SEGMENT_STEPS; step++) {
        ebb_ref ref = ebb_alloc(index->heap, step_bytes(step));
        if (ref == 0)
            return 0;
        if (add_all(ebb_at(index->base, ref), step, words, count))
            return make_entry(ref, depth, step, count);
        ebb_free(index->heap, ref);
    }
    return 0;
}

static unsigned collect(const struct index *index, uint64_t entry, uint64_t *words)
{
    const uint64_t *segment = index_segment(index, entry);
    unsigned count = 0;
    for (unsigned i = 0; i < step_slots(entry_step(entry)); i++) {
        words[count] = segment[i];
        count += segment[i] != 0;
    }
    return count;
}

/* Counts a segment in or out. */
static void account(struct index *index, uint64_t entry, int sign)
{
    index->segments += (size_t)sign;
    index->slots += (size_t)sign * step_slots(entry_step(entry));
    index->deepest += (size_t)sign * (entry_depth(entry) == index->depth);
}

static void drop_segment(struct index *index, uint64_t entry)
{
    account(index, entry, -1);
    ebb_free(index->heap, entry_ref(entry));
}

static void set_segment(struct index *index, uint32_t prefix, uint64_t entry)
{
    index->directory[prefix] = entry;
    account(index, entry, +1);
}

/* ---- the directory ---- */

static size_t directory_words(unsigned depth)
{
    return (size_t)1 << depth;
}

#define DIRECTORY_ALIGN (PUBLISHED_DEPTH + 1)

static size_t level_bytes(unsigned depth)
{
    size_t bytes = directory_words(depth) * sizeof(uint64_t);
    return bytes > DIRECTORY_ALIGN ? bytes : DIRECTORY_ALIGN;
}

/* Goes on with a directory of that depth, which takes over the first `words` words. */
static bool use_level(struct index *index, unsigned depth, size_t words)
{
    uint64_t **level = &index->levels[depth];
    if (*level == NULL)
        *level = aligned_alloc(DIRECTORY_ALIGN, level_bytes(depth));
    if (*level == NULL)
        return false;
    if (words > 0)
        memcpy(*level, index->directory, words * sizeof **level);
    memset(*level + words, 0, (directory_words(depth) - words) * sizeof **level);
    index->directory = *level;
    index->depth = depth;
    index->deepest = 0;
    __atomic_store_n(&index->published, (uintptr_t)*level | depth, __ATOMIC_RELEASE);
    return true;
}

static bool directory_double(struct index *index)
{
    return use_level(index, index->depth + 1, directory_words(index->depth));
}

/* Halves the directory while no segment needs its upper half. */
static void directory_shrink(struct index *index)
{
    while (index->depth > 0 && index->deepest == 0) {
        size_t words = directory_words(index->depth - 1);
        use_level(index, index->depth - 1, words); /* it has come by there on its way up */
        for (size_t p = 0; p < words; p++)
            index->deepest +=
                index->directory[p] != 0 && entry_depth(index->directory[p]) == index->depth;
    }
}

size_t index_directory_bytes(const struct index *index)
{
    size_t bytes = 0;
    for (unsigned depth = 0; depth <= INDEX_DEPTH_MAX; depth++)
        bytes += index->levels[depth] != NULL ? level_bytes(depth) : 0;
    return bytes;
}

/* ---- growing ---- */

static bool resize(struct index *index, uint32_t prefix, unsigned step)
{
    uint64_t old = index->directory[prefix], words[BUCKETS_MAX * BUCKET_SLOTS];
    unsigned count = collect(index, old, words);
    uint64_t new = build(index, words, count, entry_depth(old), step);
    if (new == 0)
        return false;
    drop_segment(index, old);
    set_segment(index, prefix, new);
    index->resizes++;
    index->moved += count;
    return true;
}

/* Sorts words by the hash bit that the deeper prefix adds. Items are fetched ahead: this is the one
 * place where growing must look at them. Returns how many have it clear; those come first. */
static unsigned part(const struct index *index, uint64_t *words, unsigned count, unsigned bit)
{
    uint64_t high[BUCKETS_MAX * BUCKET_SLOTS];
    unsigned low_count = 0, high_count = 0;
    for (unsigned i = 0; i < count && i < 8; i++)
        __builtin_prefetch(ebb_at(index->base, slot_ref(words[i])));
    for (unsigned i = 0; i < count; i++) {
        if (i + 8 < count)
            __builtin_prefetch(ebb_at(index->base, slot_ref(words[i + 8])));
        uint64_t word = words[i];
        bool is_high = index->hash_of(index->context, slot_ref(word)) >> bit & 1;
        high[high_count] = words[low_count] = word;
        high_count += is_high;
        low_count += !is_high;
    }
    /* cppcheck-suppress uninitvar ; as many as were put there are read */
    memcpy(words + low_count, high, high_count * sizeof *high);
    return low_count;
}

static bool split(struct index *index, uint32_t prefix)
{
    uint64_t old = index->directory[prefix], words[BUCKETS_MAX * BUCKET_SLOTS];
    unsigned depth = entry_depth(old);
    if (depth >= INDEX_DEPTH_MAX || (depth == index->depth && !directory_double(index)))
        return false;
    unsigned count = collect(index, old, words);
    unsigned low_count = part(index, words, count, depth);
    uint64_t low = build(index, words, low_count, depth + 1, 0);
    if (low == 0)
        return false;
    uint64_t high = build(index, words + low_count, count - low_count, depth + 1, 0);
    if (high == 0) {
        ebb_free(index->heap, entry_ref(low));
        return false;
    }
    drop_segment(index, old);
    set_segment(index, prefix, low);
    set_segment(index, prefix | UINT32_C(1) << depth, high);
    index->splits++;
    index->moved += count;
    return true;
}

int index_insert(struct index *index, uint64_t hash, ebb_ref ref, unsigned use)
{
    uint64_t word =
        (uint64_t)hash_tag(hash) << SLOT_TAG_SHIFT | (uint64_t)use << SLOT_USE_SHIFT | ref;
    for (;;) {
        uint32_t prefix = index_resolve(index, hash);
        uint64_t entry = index->directory[prefix];
        unsigned step = entry_step(entry);
        if (place(index_segment(index, entry), step_buckets(step), word)) {
            index->directory[prefix] += ENTRY_COUNT_ONE;
            index->items++;
            return 0;
        }
        /* Tags that crowd one place may not fit any larger segment either: then it must split. */
        if (step + 1 < SEGMENT_STEPS && resize(index, prefix, step + 1))
            continue;
        if (!split(index, prefix))
            return -1;
    }
}

/* ---- shrinking ---- */

/* After `slots` of a bucket that was full has an empty slot: pulls back what lies too far, bucket
 * after bucket, so that a lookup may stop at the hole. */
static void pull_back(uint64_t *segment, unsigned buckets, unsigned bucket, uint64_t *hole)
{
    for (;;) {
        uint64_t *next = NULL;
        unsigned distance = 1;
        for (; distance <= INDEX_FAR_MAX && next == NULL; distance++) {
            uint64_t *slots = segment + (bucket + distance) % buckets * BUCKET_SLOTS;
            for (unsigned i = 0; i < BUCKET_SLOTS && next == NULL; i++)
                if (slots[i] != 0 && slot_far(slots[i]) >= distance)
                    next = slots + i;
        }
        if (next == NULL)
            return;
        distance--; /* the loop counted one on */
        *hole = *next - ((uint64_t)distance << SLOT_FAR_SHIFT);
        *next = 0;
        hole = next;
        bucket = (bucket + distance) % buckets;
    }
}

static bool try_merge(struct index *index, uint32_t prefix)
{
    uint64_t entry = index->directory[prefix];
    unsigned depth = entry_depth(entry);
    if (depth == 0)
        return false;
    uint32_t low = prefix & ~(UINT32_C(1) << (depth - 1));
    uint32_t high = low | UINT32_C(1) << (depth - 1);
    uint64_t low_entry = index->directory[low], high_entry = index->directory[high];
    unsigned total = entry_count(low_entry) + entry_count(high_entry);
    if (entry_depth(low_entry) != depth || high_entry == 0 || entry_depth(high_entry) != depth ||
        entry_step(low_entry) != 0 || entry_step(high_entry) != 0 ||
        total * SHARE_DEN > step_slots(SEGMENT_STEPS - 1) * MERGE_NUM)
        return false;
    uint64_t words[2 * BUCKETS_BASE * BUCKET_SLOTS];
    unsigned count = collect(index, low_entry, words);
    count += collect(index, high_entry, words + count);
    unsigned step = 0;
    while (step + 1 < SEGMENT_STEPS && count * SHARE_DEN > step_slots(step) * MERGE_NUM)
        step++;
    uint64_t merged = build(index, words, count, depth - 1, step);
    if (merged == 0)
        return false;
    drop_segment(index, low_entry);
    drop_segment(index, high_entry);
    index->directory[high] = 0;
    set_segment(index, low, merged);
    index->merges++;
    index->moved += count;
    directory_shrink(index);
    return true;
}

static void shrink(struct index *index, uint32_t prefix)
{
    uint64_t entry = index->directory[prefix];
    unsigned step = entry_step(entry), count = entry_count(entry);
    if (count * SHARE_DEN > step_slots(step) * SHRINK_NUM)
        return;
    if (step > 0)
        resize(index, prefix, step - 1);
    else
        try_merge(index, prefix);
}

void index_remove(struct index *index, const struct index_at *at)
{
    uint64_t entry = index->directory[at->prefix];
    const uint64_t *slots = at->segment + at->bucket * BUCKET_SLOTS;
    bool was_full = bucket_empty(slots) == 0;
    *at->slot = 0;
    if (was_full)
        pull_back(at->segment, step_buckets(entry_step(entry)), at->bucket, at->slot);
    index->directory[at->prefix] -= ENTRY_COUNT_ONE;
    index->items--;
    shrink(index, at->prefix);
}

/* ---- moving ---- */

void index_replace(struct index *index, uint64_t hash, ebb_ref from, ebb_ref to)
{
    struct index_at at;
    bool found = index_find_ref(index, hash, from, &at);
    if (!found) {
        fprintf(stderr, "index: a moved item is not in it\n");
        abort();
    }
    slot_set_ref(at.slot, to);
}

/* The segment's place: that of any item in it; an empty one is looked for. */
static uint32_t find_segment(const struct index *index, ebb_ref from, const uint64_t *segment)
{
    for (unsigned i = 0; i < BUCKETS_BASE * BUCKET_SLOTS; i++)
        if (segment[i] != 0)
            return index_resolve(index, index->hash_of(index->context, slot_ref(segment[i])));
    for (size_t p = 0; p < directory_words(index->depth); p++)
        if (entry_ref(index->directory[p]) == from)
            return (uint32_t)p;
    return 0;
}

void index_moved(struct index *index, ebb_ref from, ebb_ref to)
{
    uint32_t prefix = find_segment(index, from, ebb_at(index->base, to));
    if (entry_ref(index->directory[prefix]) != from) {
        fprintf(stderr, "index: a moved segment is not in it\n");
        abort();
    }
    index->directory[prefix] = (index->directory[prefix] & ~SLOT_REF_MASK) | to;
}

/* ---- life ---- */

int index_reset(struct index *index)
{
    index->items = index->segments = index->slots = 0;
    if (!use_level(index, 0, 0))
        return -1;
    uint64_t entry = build(index, NULL, 0, 0, 0);
    if (entry == 0)
        return -1;
    set_segment(index, 0, entry);
    return 0;
}

int index_init(struct index *index, struct ebb_heap *heap, void *base,
               uint64_t (*hash_of)(void *context, ebb_ref ref), void *context)
{
    *index = (struct index){.heap = heap, .base = base, .hash_of = hash_of, .context = context};
    return index_reset(index);
}

void index_release(struct index *index)
{
    for (unsigned depth = 0; depth <= INDEX_DEPTH_MAX; depth++)
        free(index->levels[depth]);
}

/* ---- checking ---- */

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s: violated: %s\n", __func__, #condition);                           \
            return -1;                                                                             \
        }                                                                                          \
    } while (0)

static bool is_bucket_full(const uint64_t *segment, unsigned bucket)
{
    return bucket_empty(segment + bucket * BUCKET_SLOTS) == 0;
}

static int segment_check(const struct index *index, uint32_t prefix)
{
    uint64_t entry = index->directory[prefix];
    const uint64_t *segment = index_segment(index, entry);
    unsigned buckets = step_buckets(entry_step(entry)), count = 0;
    CHECK(entry_depth(entry) <= index->depth);
    CHECK(prefix < UINT64_C(1) << entry_depth(entry));
    CHECK(ebb_is_live(index->heap, entry_ref(entry)));
    for (unsigned i = 0; i < buckets * BUCKET_SLOTS; i++) {
        if (segment[i] == 0)
            continue;
        uint64_t hash = index->hash_of(index->context, slot_ref(segment[i]));
        unsigned bucket = i / BUCKET_SLOTS, home = slot_tag(segment[i]) * buckets >> 16;
        CHECK(hash_tag(hash) == slot_tag(segment[i]));
        CHECK(index_resolve(index, hash) == prefix);
        CHECK((home + slot_far(segment[i])) % buckets == bucket);
        for (unsigned far = 0; far < slot_far(segment[i]); far++)
            CHECK(is_bucket_full(segment, (home + far) % buckets));
        count++;
    }
    CHECK(count == entry_count(entry));
    return 0;
}

int index_check(const struct index *index)
{
    size_t items = 0, segments = 0, slots = 0, deepest = 0;
    for (size_t p = 0; p < directory_words(index->depth); p++) {
        uint64_t entry = index->directory[p];
        if (entry == 0)
            continue;
        if (segment_check(index, (uint32_t)p) != 0)
            return -1;
        items += entry_count(entry);
        slots += step_slots(entry_step(entry));
        deepest += entry_depth(entry) == index->depth;
        segments++;
    }
    CHECK(items == index->items && segments == index->segments);
    CHECK(slots == index->slots && deepest == index->deepest);
    return 0;
}
