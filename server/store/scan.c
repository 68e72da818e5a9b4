/* SPDX-License-Identifier: MIT */
/* scan.c: over the whole keyspace: counting, scanning, a random key, flushing.
 *
 * A scan goes through the shards, in each through the segments in the order of their bit-reversed
 * prefixes, in each through the home buckets. In that order the two halves of a split segment
 * follow each other where the whole stood, so a cursor stays good while segments split and merge:
 * what it names is then gone through again from its start, and nothing is missed. Idea: Redis's
 * SCAN.
 *
 *   cursor, 51 bits:  [ shard 6 ][ depth 5 ][ step 2 ][ bucket 7 ][ reversed prefix 31 ]
 */
#include <stdlib.h>

#include "store_internal.h"

#define POSITION_BITS     31u
#define RANDOM_TRIES      128u
#define EMPTY_BUCKETS_MAX 256u

struct cursor {
    unsigned shard, depth, step, bucket;
    uint64_t position; /* the prefix, reversed, left-aligned in POSITION_BITS */
};

_Static_assert(BUCKETS_MAX <= 128 && SEGMENT_STEPS <= 4 && INDEX_DEPTH_MAX <= POSITION_BITS,
               "a cursor has room for these");

static struct cursor cursor_unpack(uint64_t word)
{
    return (struct cursor){
        .position = word & ((UINT64_C(1) << POSITION_BITS) - 1),
        .bucket = word >> 31 & 127,
        .step = word >> 38 & 3,
        .depth = word >> 40 & 31,
        .shard = word >> 45 & 63,
    };
}

static uint64_t cursor_pack(const struct cursor *cursor)
{
    return cursor->position | (uint64_t)cursor->bucket << 31 | (uint64_t)cursor->step << 38 |
           (uint64_t)cursor->depth << 40 | (uint64_t)cursor->shard << 45;
}

static uint64_t reverse_bits(uint64_t value, unsigned bits)
{
    uint64_t reversed = 0;
    for (unsigned b = 0; b < bits; b++)
        reversed |= (value >> b & 1) << (bits - 1 - b);
    return reversed;
}

/* ---- visiting ---- */

struct visitor {
    unsigned database;
    int64_t now_ms;
    store_visit visit;
    void *context;
    size_t items_left, buckets_left; /* stop when either is used up */
};

static bool is_spent(const struct visitor *visitor)
{
    return visitor->items_left == 0 || visitor->buckets_left == 0;
}

static void visit_item(const struct shard *shard, ebb_ref ref, struct visitor *visitor)
{
    struct item_view view;
    item_read(ebb_at(shard->base, ref), &view);
    if (view.meta.database != visitor->database || item_is_dead(&view.meta, visitor->now_ms))
        return;
    struct store_value value = {.data = view.value,
                                .len = view.meta.value_len,
                                .expire_ms = view.meta.expire_ms,
                                .flags = view.meta.flags,
                                .header_bytes = view.header_bytes,
                                .marks = view.meta.marks,
                                .cas = view.meta.cas,
                                .access_s = view.meta.access_s};
    visitor->visit(visitor->context, view.key, view.meta.key_len, &value);
    visitor->items_left -= visitor->items_left > 0;
}

/* Visits the items whose home is that bucket. */
static void visit_bucket(const struct shard *shard, const uint64_t *segment, unsigned buckets,
                         unsigned home, struct visitor *visitor)
{
    visitor->buckets_left--;
    for (unsigned far = 0; far <= INDEX_FAR_MAX; far++) {
        const uint64_t *slots = segment + (home + far) % buckets * BUCKET_SLOTS;
        for (unsigned i = 0; i < BUCKET_SLOTS; i++)
            if (slots[i] != 0 && slot_far(slots[i]) == far)
                visit_item(shard, slot_ref(slots[i]), visitor);
    }
}

/* Goes on in one shard until the visitor has had enough. true: the shard is through. */
static bool scan_shard(const struct shard *shard, struct cursor *cursor, struct visitor *visitor)
{
    const struct index *index = &shard->index;
    while (cursor->position < UINT64_C(1) << POSITION_BITS) {
        uint32_t prefix = index_resolve(index, reverse_bits(cursor->position, POSITION_BITS));
        uint64_t entry = index->directory[prefix];
        unsigned depth = entry_depth(entry), step = entry_step(entry);
        unsigned buckets = step_buckets(step);
        if (depth != cursor->depth) /* split or merged meanwhile: from its start */
            cursor->bucket = 0;
        else if (step != cursor->step) /* resized: the bucket that holds the same tags */
            cursor->bucket = cursor->bucket * buckets / step_buckets(cursor->step);
        cursor->depth = depth;
        cursor->step = step;
        for (; cursor->bucket < buckets; cursor->bucket++) {
            if (is_spent(visitor))
                return false;
            visit_bucket(shard, index_segment(index, entry), buckets, cursor->bucket, visitor);
        }
        cursor->position =
            reverse_bits(prefix, POSITION_BITS) + (UINT64_C(1) << (POSITION_BITS - depth));
        cursor->bucket = 0;
    }
    return true;
}

uint64_t store_scan(struct store_session *session, unsigned database, uint64_t word,
                    size_t at_least, store_visit visit, void *context)
{
    at_least += at_least == 0; /* a call that gets nowhere would never end */
    /* A database with few of many keys must not hold a shard until they are found. */
    size_t buckets =
        at_least < SIZE_MAX - EMPTY_BUCKETS_MAX ? at_least + EMPTY_BUCKETS_MAX : SIZE_MAX;
    struct visitor visitor = {
        database_of(session->store, database), session->now_ms, visit, context, at_least, buckets};
    struct cursor cursor = cursor_unpack(word);
    store_leave(session);
    while (cursor.shard < session->store->shard_count) {
        struct shard *shard = shard_lock(session->store, cursor.shard);
        bool through = scan_shard(shard, &cursor, &visitor);
        shard_unlock(shard);
        if (!through)
            return cursor_pack(&cursor);
        cursor = (struct cursor){.shard = cursor.shard + 1};
    }
    return 0;
}

void store_each(struct store_session *session, unsigned database, store_visit visit, void *context)
{
    struct visitor visitor = {
        database_of(session->store, database), session->now_ms, visit, context, SIZE_MAX, SIZE_MAX};
    store_leave(session);
    for (unsigned s = 0; s < session->store->shard_count; s++) {
        struct shard *shard = shard_lock(session->store, s);
        struct cursor cursor = {0};
        scan_shard(shard, &cursor, &visitor);
        shard_unlock(shard);
    }
}

/* ---- a random key ---- */

static void random_in(struct shard *shard, struct visitor *visitor)
{
    for (unsigned tries = 0; tries < RANDOM_TRIES && visitor->items_left > 0; tries++) {
        uint64_t random = shard_random(shard);
        uint64_t entry = shard->index.directory[index_resolve(&shard->index, random)];
        unsigned slots = step_buckets(entry_step(entry)) * BUCKET_SLOTS;
        uint64_t slot = index_segment(&shard->index, entry)[(random >> 40) % slots];
        if (slot != 0)
            visit_item(shard, slot_ref(slot), visitor);
    }
    /* Few of many: take the first one there is after a random place, or from the start. */
    struct cursor cursor = {.position = shard_random(shard) >> (64 - POSITION_BITS)};
    if (scan_shard(shard, &cursor, visitor) && visitor->items_left > 0) {
        cursor = (struct cursor){0};
        scan_shard(shard, &cursor, visitor);
    }
}

struct one {
    store_visit visit;
    void *context;
    bool done;
};

/* A bucket may give several keys: the first is the one. */
static void visit_once(void *context, const char *key, size_t key_len,
                       const struct store_value *value)
{
    struct one *one = context;
    if (!one->done)
        one->visit(one->context, key, key_len, value);
    one->done = true;
}

bool store_random(struct store_session *session, unsigned database, store_visit visit,
                  void *context)
{
    struct store *store = session->store;
    struct one one = {visit, context, false};
    unsigned own = database_of(store, database);
    struct visitor visitor = {own, session->now_ms, visit_once, &one, 1, SIZE_MAX};
    store_leave(session);
    unsigned first = (unsigned)(shard_random(shard_lock(store, 0)) % store->shard_count);
    shard_unlock(&store->shards[0]);
    for (unsigned s = 0; s < store->shard_count && !one.done; s++) {
        struct shard *shard = shard_lock(store, (first + s) % store->shard_count);
        if (shard->keys[own] > 0)
            random_in(shard, &visitor);
        shard_unlock(shard);
    }
    return one.done;
}

/* ---- counting and flushing ---- */

size_t store_count(struct store *store, unsigned database)
{
    unsigned own = database_of(store, database);
    size_t count = 0;
    for (unsigned s = 0; s < store->shard_count; s++)
        count += stat_read(&store->shards[s].keys[own]);
    return count;
}

size_t store_count_expires(struct store *store, unsigned database)
{
    unsigned own = database_of(store, database);
    size_t count = 0;
    for (unsigned s = 0; s < store->shard_count; s++)
        count += stat_read(&store->shards[s].expires[own]);
    return count;
}

void store_flush(struct store_session *session, unsigned database)
{
    store_enter_all(session);
    unsigned own =
        database == STORE_ALL_DATABASES ? database : database_of(session->store, database);
    for (unsigned s = 0; s < session->store->shard_count; s++)
        shard_flush(&session->store->shards[s], own);
    store_leave(session);
}
