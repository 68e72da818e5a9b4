/* SPDX-License-Identifier: MIT */
/* scan.c: over the whole keyspace: counting, scanning, a random key, flushing.
 *
 * A scan goes through the shards, in each through ranges of prefixes in the order of their reversed
 * bits, in each range through the tags. A range is the prefixes that end in `depth` given bits: as
 * a rule one segment. Which keys have been given is said by prefix and tag alone, so it stays said
 * while segments are resized, split and merged: what a range was is then several segments, which
 * are gone through side by side, or part of one, whose other keys are passed over. So a key that
 * stays is given once. Only a range that has been split into more than RANGE_SEGMENTS_MAX is gone
 * through again from its start. Idea: the order is that of Redis's SCAN.
 *
 *   cursor, 53 bits:  [ shard 6 ][ depth 5 ][ tag 16 ][ reversed prefix 26 ]
 */
#include <sched.h>
#include <stdlib.h>

#include "store_internal.h"

#define POSITION_BITS      26u
#define POSITION_END       (UINT64_C(1) << POSITION_BITS)
#define TAG_BITS           16u
#define TAG_END            (1u << TAG_BITS)
#define RANGE_SEGMENTS_MAX 8u
#define RANDOM_TRIES       128u
#define EMPTY_BUCKETS_MAX  256u

struct cursor {
    unsigned shard, depth, tag;
    uint64_t position; /* the prefix, reversed, left-aligned in POSITION_BITS */
};

_Static_assert(INDEX_DEPTH_MAX <= POSITION_BITS, "a cursor has room for every prefix");

/* Positions of a range. */
static uint64_t range_of(unsigned depth)
{
    return UINT64_C(1) << (POSITION_BITS - depth);
}

/* Clients may send any number. */
static struct cursor cursor_unpack(uint64_t word)
{
    struct cursor cursor = {
        .position = word & (POSITION_END - 1),
        .tag = word >> POSITION_BITS & (TAG_END - 1),
        .depth = word >> (POSITION_BITS + TAG_BITS) & 31,
        .shard = word >> (POSITION_BITS + TAG_BITS + 5) & 63,
    };
    if (cursor.depth > POSITION_BITS)
        cursor.depth = POSITION_BITS;
    cursor.position &= ~(range_of(cursor.depth) - 1);
    return cursor;
}

static uint64_t cursor_pack(const struct cursor *cursor)
{
    return cursor->position | (uint64_t)cursor->tag << POSITION_BITS |
           (uint64_t)cursor->depth << (POSITION_BITS + TAG_BITS) |
           (uint64_t)cursor->shard << (POSITION_BITS + TAG_BITS + 5);
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

/* What a call looks at: prefixes that end in `depth` bits of `prefix`, tags from first to end. */
struct part {
    uint32_t prefix;
    unsigned depth, first, end;
};

static bool is_in_prefix(const struct index *index, const struct part *part, ebb_ref ref)
{
    uint64_t hash = index->hash_of(index->context, ref);
    return ((hash ^ part->prefix) & ((UINT64_C(1) << part->depth) - 1)) == 0;
}

/* Visits the items of the part whose home is that bucket. */
static void visit_bucket(const struct shard *shard, uint64_t entry, unsigned home,
                         const struct part *part, struct visitor *visitor)
{
    const uint64_t *segment = index_segment(&shard->index, entry);
    unsigned buckets = step_buckets(entry_step(entry));
    bool is_wider = entry_depth(entry) < part->depth;
    visitor->buckets_left -= visitor->buckets_left > 0;
    for (unsigned far = 0; far <= INDEX_FAR_MAX; far++) {
        const uint64_t *slots = segment + (home + far) % buckets * BUCKET_SLOTS;
        for (unsigned i = 0; i < BUCKET_SLOTS; i++) {
            unsigned tag = slot_tag(slots[i]);
            if (slots[i] != 0 && slot_far(slots[i]) == far && tag * buckets >> TAG_BITS == home &&
                tag >= part->first && tag < part->end &&
                (!is_wider || is_in_prefix(&shard->index, part, slot_ref(slots[i]))))
                visit_item(shard, slot_ref(slots[i]), visitor);
        }
    }
}

static uint64_t entry_at(const struct index *index, uint64_t position)
{
    return index->directory[index_resolve(index, reverse_bits(position, POSITION_BITS))];
}

/* The position behind a segment, or behind the range that is only a part of it. */
static uint64_t position_behind(uint64_t position, unsigned depth, uint64_t entry)
{
    return position + range_of(entry_depth(entry) > depth ? entry_depth(entry) : depth);
}

static bool is_in_many_segments(const struct index *index, const struct cursor *cursor)
{
    uint64_t at = cursor->position, end = at + range_of(cursor->depth);
    unsigned segments = 0;
    for (; at < end && segments <= RANGE_SEGMENTS_MAX; segments++)
        at = position_behind(at, cursor->depth, entry_at(index, at));
    return segments > RANGE_SEGMENTS_MAX;
}

/* A range that begins at the position: a segment, or the part of one that is behind it. */
static void begin_range(const struct index *index, struct cursor *cursor)
{
    unsigned aligned =
        cursor->position == 0 ? 0 : POSITION_BITS - (unsigned)__builtin_ctzll(cursor->position);
    unsigned depth = entry_depth(entry_at(index, cursor->position));
    cursor->depth = depth > aligned ? depth : aligned;
    cursor->tag = 0;
}

/* Visits the range's items with the tags of one bucket, of its first segment, and goes on behind
 * them. */
static void visit_part(const struct shard *shard, struct cursor *cursor, struct visitor *visitor)
{
    const struct index *index = &shard->index;
    uint64_t at = cursor->position, end = at + range_of(cursor->depth);
    unsigned buckets = step_buckets(entry_step(entry_at(index, at)));
    unsigned behind = (cursor->tag * buckets >> TAG_BITS) + 1;
    struct part part = {.prefix = (uint32_t)reverse_bits(at, POSITION_BITS),
                        .depth = cursor->depth,
                        .first = cursor->tag,
                        .end = (behind * TAG_END + buckets - 1) / buckets};
    while (at < end) {
        uint64_t entry = entry_at(index, at);
        buckets = step_buckets(entry_step(entry));
        for (unsigned home = part.first * buckets >> TAG_BITS;
             home <= (part.end - 1) * buckets >> TAG_BITS; home++)
            visit_bucket(shard, entry, home, &part, visitor);
        at = position_behind(at, cursor->depth, entry);
    }
    cursor->tag = part.end;
}

static void leave_range(struct cursor *cursor)
{
    cursor->position += range_of(cursor->depth);
    cursor->tag = 0;
}

/* Goes on in one shard until the visitor has had enough. true: the shard is through. */
static bool scan_shard(const struct shard *shard, struct cursor *cursor, struct visitor *visitor)
{
    while (cursor->position < POSITION_END) {
        if (cursor->tag == 0 || is_in_many_segments(&shard->index, cursor))
            begin_range(&shard->index, cursor);
        while (cursor->tag < TAG_END) {
            if (is_spent(visitor))
                return false;
            visit_part(shard, cursor, visitor);
        }
        leave_range(cursor);
    }
    return true;
}

/* Between two steps: whoever waits for the shard has it first. */
static void let_go(struct shard *shard)
{
    bool is_wanted = __atomic_load_n(&shard->waiting, __ATOMIC_RELAXED) > 0;
    shard_unlock(shard);
    if (is_wanted)
        sched_yield();
}

/* All of a shard, which others may have between two ranges: there a key has been visited or is yet
 * to be, whatever becomes of the segments. */
static void visit_shard(struct store *store, unsigned number, struct visitor *visitor)
{
    struct cursor cursor = {0};
    while (cursor.position < POSITION_END) {
        struct shard *shard = shard_lock(store, number);
        begin_range(&shard->index, &cursor);
        while (cursor.tag < TAG_END)
            visit_part(shard, &cursor, visitor);
        leave_range(&cursor);
        let_go(shard);
    }
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
    for (unsigned s = 0; s < session->store->shard_count; s++)
        visit_shard(session->store, s, &visitor);
}

/* ---- a random key ---- */

/* Slots taken by chance: where the database has its share of them, one is soon found. */
static void try_slots(struct shard *shard, struct visitor *visitor)
{
    for (unsigned tries = 0; tries < RANDOM_TRIES && visitor->items_left > 0; tries++) {
        uint64_t random = shard_random(shard);
        uint64_t entry = shard->index.directory[index_resolve(&shard->index, random)];
        unsigned slots = step_buckets(entry_step(entry)) * BUCKET_SLOTS;
        uint64_t slot = index_segment(&shard->index, entry)[(random >> 40) % slots];
        if (slot != 0)
            visit_item(shard, slot_ref(slot), visitor);
    }
}

/* Few of many: the first one there is from the cursor on. Whoever wants the shard gets it between
 * the steps. */
static void find_from(struct store *store, unsigned number, struct cursor cursor,
                      struct visitor *visitor)
{
    bool through = false;
    while (!through && visitor->items_left > 0) {
        struct shard *shard = shard_lock(store, number);
        visitor->buckets_left = EMPTY_BUCKETS_MAX;
        through = shard->keys[visitor->database] == 0 || scan_shard(shard, &cursor, visitor);
        let_go(shard);
    }
}

static void random_in(struct store *store, unsigned number, struct visitor *visitor)
{
    struct shard *shard = shard_lock(store, number);
    try_slots(shard, visitor);
    uint64_t prefix = index_resolve(&shard->index, shard_random(shard));
    shard_unlock(shard);
    find_from(store, number, (struct cursor){.position = reverse_bits(prefix, POSITION_BITS)},
              visitor);
    find_from(store, number, (struct cursor){0}, visitor);
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
        unsigned number = (first + s) % store->shard_count;
        if (stat_read(&store->shards[number].keys[own]) > 0)
            random_in(store, number, &visitor);
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
