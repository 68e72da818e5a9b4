/* SPDX-License-Identifier: MIT */
/* evict.c: chooses victims and evicts them, and makes room for writers.
 *
 * A victim is the first in order (use.c) of a sample from the index, a few cache lines; among
 * equals the one in the emptiest span, so that spans empty. Freed slots are used in place by writes
 * of the same class: near the limit each new item pays for itself. What other classes need comes
 * from spans that compaction empties. A writer whose class gets nothing that way takes a slot of
 * its own class at last.
 */
#include "evict.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "store_internal.h"

#ifdef EBB_HARD
#define GHOST_LEAST_KEYS 31u
#else
#define GHOST_LEAST_KEYS 1024u
#endif
#define SAMPLE_ITEMS       12u /* looked at for one victim ... */
#define SAMPLE_WANTED      3u  /* ... or so many of the wanted kind */
#define SAMPLE_BUCKETS     8u
#define RANK_STEP          2u  /* ranks nearer to each other are equals */
#define TRIES_MAX          64u /* samples for one victim: some are spared */
#define BATCH_ITEMS        16u
#define COMPACT_NS         100000u /* of a writer's time, at once */
#define TRIM_LEAST_BYTES   (128u * 1024)
#define LARGE_LEAST        (32u * 1024) /* from here on other shards help */
#define PAID_ITEMS_MAX     512u /* by one write; what it owes beyond that the next ones pay */
#define OF_CLASS_TRIES     8u   /* in vain before a writer takes a slot of its class */
#define OF_CLASS_TRIES_MAX 64u
#define BUSY_TRIES_MAX     256u /* the one who has them may be waiting for this shard */
#define GIVE_WAY_TRIES     16u
#define EMPTY_SAMPLES_MAX  4u   /* of items with a time, before the spans are asked */
#define GHOST_SHARE        100u /* of live bytes: more is not spent on ghosts */
#define GHOST_KEY_BYTES    2u

const unsigned store_age_bounds[STORE_AGE_BUCKETS - 1] = {1,    10,   60,    300,
                                                          1800, 7200, 43200, 259200};

/* ---- the limit ---- */

static enum use_order order_of(const struct shard *shard)
{
    return __atomic_load_n(&shard->store->limit.order, __ATOMIC_RELAXED);
}

static bool is_limited(const struct store *store)
{
    return stat_read(&store->limit.pool_bytes) != SIZE_MAX;
}

ptrdiff_t limit_room(const struct store *store)
{
    struct ebb_pool_stats pool;
    if (!is_limited(store))
        return PTRDIFF_MAX;
    ebb_pool_stats(store->pool, &pool);
    return (ptrdiff_t)(stat_read(&store->limit.pool_bytes) -
                       (pool.span_bytes + pool.metadata_bytes));
}

size_t limit_reclaimable(const struct store *store)
{
    size_t bytes = 0;
    for (unsigned s = 0; s < store->shard_count; s++)
        bytes += stat_read(&store->shards[s].slices.reclaimable_bytes);
    return bytes;
}

bool limit_is_tight(const struct store *store)
{
    return limit_room(store) < (ptrdiff_t)(stat_read(&store->limit.ahead_bytes) / 2);
}

/* ---- bookkeeping ---- */

static size_t live_bytes(const struct shard *shard)
{
    return shard->stats.key_bytes + shard->stats.value_bytes + shard->stats.header_bytes;
}

static void tick(struct shard *shard, bool is_main, size_t bytes)
{
    struct evictor *evictor = &shard->evictor;
    size_t all = live_bytes(shard), small = evictor->small_bytes;
    size_t kind = is_main ? all - (small < all ? small : all) : small;
    enum use_order order = order_of(shard);
    if (!use_advance(order, &evictor->clocks, is_main, bytes, kind, all))
        return;
    bool has_main = order == USE_S3 && is_main;
    const struct use_clock *clock = has_main ? &evictor->clocks.main : &evictor->clocks.small;
    unsigned epoch = order == USE_LRU ? clock->now / 8 : clock->now;
    evictor->began_ms[has_main][epoch % USE_EPOCHS] = (int64_t)shard->store->now_ms();
}

unsigned evict_born(struct shard *shard, uint64_t hash, size_t bytes)
{
    enum use_order order = order_of(shard);
    bool is_known = order == USE_S3 && ghost_take(&shard->evictor.ghost, hash);
    tick(shard, is_known, bytes);
    return use_born(order, &shard->evictor.clocks, is_known);
}

void evict_count(struct shard *shard, unsigned use, size_t bytes, int sign)
{
    if (!(use & USE_MAIN))
        stat_add(&shard->evictor.small_bytes, (size_t)sign * bytes);
}

static void set_use(struct shard *shard, uint64_t *slot, unsigned use, size_t bytes)
{
    evict_count(shard, slot_use(*slot), bytes, -1);
    evict_count(shard, use, bytes, +1);
    slot_set_use(slot, use);
}

void evict_hit(struct shard *shard, const struct found *found)
{
    enum use_order order = order_of(shard);
    unsigned use = slot_use(*found->at.slot);
    uint64_t random = order == USE_LFU ? shard_random(shard) : 0;
    unsigned next = use_hit(order, &shard->evictor.clocks, use, random);
    if (next != use)
        set_use(shard, found->at.slot, next, item_view_bytes(&found->item));
}

void evict_release(struct shard *shard)
{
    ghost_resize(&shard->evictor.ghost, 0);
}

void evict_reset(struct shard *shard)
{
    ghost_resize(&shard->evictor.ghost, 0);
    stat_add(&shard->evictor.small_bytes, -shard->evictor.small_bytes);
    stat_add(&shard->evictor.ghost_bytes, -shard->evictor.ghost_bytes);
}

/* As many ghosts as items, as long as that is little of the memory; made anew when that is far from
 * what there is. */
static void fit_ghost(struct shard *shard)
{
    struct evictor *evictor = &shard->evictor;
    size_t keys = shard->index.items, most = live_bytes(shard) / GHOST_SHARE / GHOST_KEY_BYTES;
    keys = keys < most ? keys : most;
    keys = keys > GHOST_LEAST_KEYS ? keys : GHOST_LEAST_KEYS;
    size_t now = ghost_keys(&evictor->ghost);
    if (keys <= now + now / 2 && keys >= now / 2)
        return;
    ghost_resize(&evictor->ghost, keys + keys / 4);
    stat_add(&evictor->ghost_bytes, ghost_bytes(&evictor->ghost) - evictor->ghost_bytes);
}

/* ---- choosing a victim ---- */

struct candidate {
    struct index_at at;
    unsigned rank, fullness;
    int64_t expire_ms;
};

struct sample {
    struct candidate best;
    unsigned items, wanted;
};

static bool wants_small(const struct shard *shard)
{
    return shard->evictor.small_bytes > live_bytes(shard) / 100 * USE_SMALL_PERCENT;
}

static int64_t expire_of(const struct shard *shard, uint64_t slot)
{
    struct item_view view;
    item_read(ebb_at(shard->base, slot_ref(slot)), &view);
    return view.meta.expire_ms;
}

static bool goes_before(const struct candidate *a, const struct candidate *b)
{
    if (a->rank / RANK_STEP != b->rank / RANK_STEP)
        return a->rank > b->rank;
    if (a->expire_ms != b->expire_ms)
        return a->expire_ms < b->expire_ms;
    return a->fullness < b->fullness;
}

static void consider(struct shard *shard, struct sample *sample, struct candidate *candidate)
{
    const struct store_limit *limit = &shard->store->limit;
    enum use_order order = order_of(shard);
    uint64_t slot = *candidate->at.slot;
    if (__atomic_load_n(&limit->is_volatile, __ATOMIC_RELAXED)) {
        int64_t expire_ms = expire_of(shard, slot);
        if (expire_ms == 0)
            return;
        candidate->expire_ms = order == USE_TTL ? expire_ms : 0;
    }
    candidate->rank = use_rank(order, &shard->evictor.clocks, slot_use(slot), wants_small(shard));
    candidate->fullness = ebb_fullness(shard->items, slot_ref(slot));
    sample->wanted += candidate->rank >= USE_RANK_KIND;
    if (sample->items++ == 0 || goes_before(candidate, &sample->best))
        sample->best = *candidate;
}

/* Looks at the items of a few buckets next to each other, of a segment taken by its share of keys.
 */
static bool choose(struct shard *shard, struct candidate *victim)
{
    const struct index *index = &shard->index;
    uint64_t random = shard_random(shard);
    uint32_t prefix = index_resolve(index, random);
    uint64_t entry = index->directory[prefix];
    uint64_t *segment = index_segment(index, entry);
    unsigned buckets = step_buckets(entry_step(entry));
    unsigned bucket = (unsigned)((random >> 40) % buckets);
    struct sample sample = {.items = 0};
    for (unsigned b = 0; b < SAMPLE_BUCKETS && b < buckets; b++) {
        for (unsigned i = 0; i < BUCKET_SLOTS; i++) {
            uint64_t *slot = segment + bucket * BUCKET_SLOTS + i;
            struct candidate candidate = {.at = {slot, segment, prefix, bucket}};
            if (*slot != 0)
                consider(shard, &sample, &candidate);
        }
        if (sample.items >= SAMPLE_ITEMS && sample.wanted >= SAMPLE_WANTED)
            break;
        bucket = bucket + 1 == buckets ? 0 : bucket + 1;
    }
    *victim = sample.best;
    return sample.items > 0;
}

/* ---- evicting ---- */

static bool lies_inside(const char *item, size_t bytes, const char *data)
{
    return data >= item && data < item + bytes;
}

/* Whether the value to be written is made of the item's bytes. */
static bool is_needed(const struct shard *shard, const struct found *found,
                      const struct pieces *value)
{
    const char *item = ebb_at(shard->base, found->ref);
    size_t bytes = item_view_bytes(&found->item);
    return value != NULL &&
           (lies_inside(item, bytes, value->head) || lies_inside(item, bytes, value->tail));
}

/* Since that epoch began; 0 where that is not known. */
static size_t seconds_since(const struct shard *shard, bool is_main, unsigned epoch)
{
    int64_t began = shard->evictor.began_ms[is_main][epoch % USE_EPOCHS];
    int64_t ms = began == 0 ? 0 : (int64_t)shard->store->now_ms() - began;
    return ms > 0 ? (size_t)(ms / 1000) : 0;
}

static void note_age(struct shard *shard, unsigned use, struct store_class_counts *class)
{
    const struct evictor *evictor = &shard->evictor;
    enum use_order order = order_of(shard);
    if (order != USE_S3 && order != USE_LRU)
        return;
    bool is_main = order == USE_S3 && use & USE_MAIN;
    const struct use_clock *clock = is_main ? &evictor->clocks.main : &evictor->clocks.small;
    unsigned now = order == USE_LRU ? clock->now / 8 : clock->now;
    unsigned age = use_age(order, &evictor->clocks, use);
    size_t seconds = seconds_since(shard, is_main, now - age);
    unsigned bucket = 0;
    while (bucket + 1 < STORE_AGE_BUCKETS && seconds > store_age_bounds[bucket])
        bucket++;
    stat_add(&shard->stats.evicted_ages[bucket], 1);
    stat_add(&shard->stats.evicted_age_seconds, seconds);
    __atomic_store_n(&class->evicted_idle_s, seconds, __ATOMIC_RELAXED);
}

/* Of LRU's eight epochs that are one of S3's it is known when the last began: no earlier than any.
 */
uint32_t evict_idle_s(const struct shard *shard, const struct found *found)
{
    enum use_order order = order_of(shard);
    unsigned use = slot_use(*found->at.slot), next;
    if (!use_is_idle(order, &shard->evictor.clocks, use, &next))
        return 0;
    bool is_main = order == USE_S3 && use & USE_MAIN;
    return (uint32_t)seconds_since(shard, is_main, order == USE_LRU ? next / 8 : next);
}

unsigned evict_frequency(const struct shard *shard, const struct found *found)
{
    return use_frequency(order_of(shard), &shard->evictor.clocks, slot_use(*found->at.slot));
}

static void count_eviction(struct shard *shard, const struct found *found)
{
    unsigned use = slot_use(*found->at.slot);
    enum store_evict_reason reason =
        __atomic_load_n(&shard->store->limit.is_pressed, __ATOMIC_RELAXED) ? STORE_EVICT_PRESSURE
                                                                           : STORE_EVICT_LIMIT;
    const struct item_meta *meta = &found->item.meta;
    stat_add(&shard->stats.evicted[reason], 1);
    stat_add(&shard->stats.evicted_bytes[reason], (size_t)meta->key_len + meta->value_len);
    if (limit_reclaimable(shard->store) > stat_read(&shard->store->limit.compact_bytes))
        stat_add(&shard->stats.evicted_early, 1);
    stat_add(&shard->stats.evicted_unfetched, use_is_unfetched(order_of(shard), use));
    struct store_class_counts *class = class_counts_of(shard->store, item_bytes(meta));
    class_count(&class->evicted, 1);
    class_count(&class->evicted_with_ttl, meta->expire_ms != 0);
    class_count(&class->evicted_unfetched, use_is_unfetched(order_of(shard), use));
    note_age(shard, use, class);
}

static void count_expired(struct shard *shard, const struct item_meta *meta)
{
    struct store_class_counts *class = class_counts_of(shard->store, item_bytes(meta));
    stat_add(&shard->stats.expired_active, 1);
    stat_add(&shard->stats.expired_bytes, item_bytes(meta));
    class_count(&class->expired_evicted, 1);
    class_count(&class->expired_unfetched, !(meta->marks & STORE_FETCHED));
}

/* Evicts the item; returns the bytes of its slot. */
static size_t evict(struct shard *shard, const struct found *found)
{
    size_t bytes = ebb_slot_bytes(shard->items, found->ref);
    const struct item_meta *meta = &found->item.meta;
    if (item_is_dead(meta, (int64_t)shard->store->now_ms())) {
        count_expired(shard, meta);
    } else {
        count_eviction(shard, found);
        if (order_of(shard) == USE_S3 && !(slot_use(*found->at.slot) & USE_MAIN))
            ghost_add(&shard->evictor.ghost,
                      key_hash(shard->store, meta->database, found->item.key, meta->key_len));
    }
    shard_delete(shard, found);
    return bytes;
}

static void read_found(const struct shard *shard, const struct index_at *at, struct found *found)
{
    found->at = *at;
    found->ref = slot_ref(*at->slot);
    item_read(ebb_at(shard->base, found->ref), &found->item);
}

/* Of few keys with a time among many without, a sample has none: then the one that expires first of
 * the span where one expires first. */
struct soonest {
    ebb_ref ref;
    int64_t expire_ms;
};

static uint64_t find_soonest(void *context, ebb_ref ref, void *data)
{
    struct soonest *soonest = context;
    struct item_view view;
    item_read(data, &view);
    if (view.meta.expire_ms != 0 && (soonest->ref == 0 || view.meta.expire_ms < soonest->expire_ms))
        *soonest = (struct soonest){ref, view.meta.expire_ms};
    return (uint64_t)view.meta.expire_ms;
}

static bool find_by_ref(struct shard *shard, ebb_ref ref, struct found *found)
{
    struct item_view view;
    item_read(ebb_at(shard->base, ref), &view);
    struct store_key key = item_key(shard->store, &view);
    return shard_find_any(shard, &key, found);
}

static size_t evict_soonest(struct shard *shard, const struct pieces *value)
{
    struct soonest soonest = {.ref = 0};
    struct found found;
    uint64_t next = ebb_due_next(shard->items);
    if (next == UINT64_MAX)
        return 0;
    ebb_due_visit(shard->items, next, 0, find_soonest, &soonest);
    if (soonest.ref == 0) /* what was noted there has gone */
        return 1;
    if (!find_by_ref(shard, soonest.ref, &found) || is_needed(shard, &found, value))
        return 0;
    return evict(shard, &found);
}

/* Evicts one item. Returns the bytes of its slot, 0 when there is none to evict. */
static size_t evict_one(struct shard *shard, const struct pieces *value)
{
    bool is_volatile = __atomic_load_n(&shard->store->limit.is_volatile, __ATOMIC_RELAXED);
    unsigned empty = 0;
    for (unsigned tries = 0; tries < TRIES_MAX && shard->index.items > 0; tries++) {
        struct candidate victim;
        struct found found;
        if (!choose(shard, &victim)) {
            if (is_volatile && ++empty == EMPTY_SAMPLES_MAX)
                break;
            continue;
        }
        read_found(shard, &victim.at, &found);
        unsigned use = slot_use(*found.at.slot);
        bool is_dead = item_is_dead(&found.item.meta, (int64_t)shard->store->now_ms());
        bool may_spare =
            !is_dead && tries < TRIES_MAX / 2; /* a hot shard must give something too */
        if (may_spare && use_spares(order_of(shard), &shard->evictor.clocks, &use)) {
            size_t bytes = item_view_bytes(&found.item);
            set_use(shard, found.at.slot, use, bytes);
            tick(shard, true, bytes);
            continue;
        }
        if (!is_needed(shard, &found, value))
            return evict(shard, &found);
    }
    return is_volatile ? evict_soonest(shard, value) : 0;
}

/* Evicts an item whose slot serves a write of so many bytes. */
static size_t evict_of_class(struct shard *shard, const struct room *room)
{
    ebb_ref refs[SAMPLE_ITEMS];
    unsigned count =
        ebb_class_sample(shard->items, room->bytes, shard_random(shard), refs, SAMPLE_ITEMS);
    struct sample sample = {.items = 0};
    struct found found;
    for (unsigned i = 0; i < count; i++) {
        if (!find_by_ref(shard, refs[i], &found) || is_needed(shard, &found, room->value))
            continue;
        struct candidate candidate = {.at = found.at};
        consider(shard, &sample, &candidate);
    }
    if (sample.items == 0) /* none that may go */
        return 0;
    read_found(shard, &sample.best.at, &found);
    return evict(shard, &found);
}

static void explain(const struct shard *shard, size_t items)
{
    struct store *store = shard->store;
    char line[256];
    if (!store_may_explain(store))
        return;
    snprintf(line, sizeof line,
             "evict: %s: shard %u of %zu items gave up %zu; %td KiB of room with %zu KiB to be won "
             "by compaction, where %zu KiB are kept free",
             __atomic_load_n(&store->limit.is_pressed, __ATOMIC_RELAXED) ? "pressure" : "limit",
             (unsigned)(shard - store->shards), shard->index.items, items, limit_room(store) >> 10,
             limit_reclaimable(store) >> 10, stat_read(&store->limit.ahead_bytes) >> 10);
    store->explain(store->explain_context, line);
}

static void note_reclaimable(struct shard *shard)
{
    __atomic_store_n(&shard->slices.reclaimable_bytes, slice_reclaimable(shard), __ATOMIC_RELAXED);
}

/* Evicts until so many bytes of slots are free, at least a few items. Returns the bytes. */
static size_t evict_some(struct shard *shard, size_t bytes, const struct pieces *value)
{
    size_t freed = 0, items = 0;
    if (order_of(shard) == USE_NONE)
        return 0;
    if (order_of(shard) == USE_S3)
        fit_ghost(shard);
    while (items < BATCH_ITEMS || freed < bytes) {
        size_t one = evict_one(shard, value);
        if (one == 0)
            break;
        freed += one;
        items++;
    }
    note_reclaimable(shard);
    if (items > 0)
        explain(shard, items);
    return freed;
}

/* ---- for a writer ---- */

static bool compact(struct shard *shard)
{
    enum ebb_reason reason = EBB_REASON_NONE;
    size_t before = stat_read(&shard->slices.reclaimable_bytes);
    if (before == 0)
        return false;
    bool has_more = slice_compact(shard, EBB_URGE_PRESSURE, upkeep_now_ns() + COMPACT_NS, &reason);
    note_reclaimable(shard);
    return has_more || stat_read(&shard->slices.reclaimable_bytes) < before;
}

/* Lets another shard do its part: one that the writer has locked itself, or that nobody is using.
 */
static size_t of_another(struct shard *shard, const struct room *room,
                         size_t (*part)(struct shard *other, const struct room *room))
{
    const struct store *store = shard->store;
    unsigned own = (unsigned)(shard - store->shards);
    for (unsigned i = 1; i < store->shard_count; i++) {
        unsigned number = (own + i) % store->shard_count;
        struct shard *other = &store->shards[number];
        bool is_ours = room->locked >> number & 1;
        if (!is_ours && pthread_mutex_trylock(&other->lock) != 0)
            continue;
        size_t won = part(other, room);
        if (!is_ours)
            pthread_mutex_unlock(&other->lock);
        if (won > 0)
            return won;
    }
    return 0;
}

/* Whether the shard has an item that the policy lets go; its lock is not needed. */
static bool has_victims(const struct shard *shard)
{
    const struct store *store = shard->store;
    if (!__atomic_load_n(&store->limit.is_volatile, __ATOMIC_RELAXED))
        return stat_read(&shard->stats.header_bytes) > 0;
    for (unsigned database = 0; database < store->database_count; database++)
        if (stat_read(&shard->expires[database]) > 0)
            return true;
    return false;
}

static bool others_have_victims(const struct shard *shard)
{
    const struct store *store = shard->store;
    for (unsigned s = 0; s < store->shard_count; s++)
        if (&store->shards[s] != shard && has_victims(&store->shards[s]))
            return true;
    return false;
}

static size_t compact_other(struct shard *other, const struct room *room)
{
    (void)room;
    return compact(other);
}

static size_t evict_other(struct shard *other, const struct room *room)
{
    return evict_some(other, room->bytes / 4, room->value);
}

static bool lies_in_pool(const struct shard *shard, const char *data)
{
    struct ebb_pool_stats pool;
    ebb_pool_stats(shard->store->pool, &pool);
    return data != NULL && lies_inside(shard->base, pool.reserved_bytes, data);
}

/* Whether nothing may move or go, because the value is made of other items' bytes. */
static bool must_hold_still(const struct shard *shard, const struct pieces *value)
{
    return lies_in_pool(shard, value->head) || lies_in_pool(shard, value->tail);
}

/* Whether one write has waited long enough for whole spans. While much can be won by compaction
 * that takes longer, but a limit that was lowered far may not be reached by one write. */
static bool must_take_slot(const struct shard *shard, const struct room *room)
{
    if (limit_reclaimable(shard->store) > stat_read(&shard->store->limit.compact_bytes))
        return room->tries >= OF_CLASS_TRIES_MAX;
    return room->tries >= OF_CLASS_TRIES;
}

/* Memory that nobody uses. */
static bool win_unused(struct shard *shard, const struct room *room, bool is_still)
{
    const struct store *store = shard->store;
    size_t trim_bytes = room->bytes > TRIM_LEAST_BYTES ? room->bytes : TRIM_LEAST_BYTES;
    if (ebb_pool_trim(store->pool, trim_bytes, true) > 0)
        return true;
    if (is_still)
        return false;
    if (slice_expire(shard, upkeep_now_ns() + COMPACT_NS))
        return true;
    note_reclaimable(shard);
    if (compact(shard))
        return true;
    bool may_help = order_of(shard) == USE_NONE ||
                    limit_reclaimable(store) > stat_read(&store->limit.compact_bytes);
    return may_help && of_another(shard, room, compact_other) > 0;
}

static void count_by_writer(struct shard *shard, const struct room *room)
{
    class_count(&class_counts_of(shard->store, room->bytes)->evicted_by_writer, 1);
}

bool evict_make_room(struct shard *shard, struct room *room)
{
    if (!is_limited(shard->store))
        return false;
    bool may_evict = order_of(shard) != USE_NONE;
    size_t freed = 0;
    if (may_evict && must_take_slot(shard, room))
        freed = evict_of_class(shard, room);
    if (freed == 0 && win_unused(shard, room, must_hold_still(shard, room->value)))
        return true;
    /* One shard may be too small for a large value. */
    if (freed == 0 && may_evict && room->bytes >= LARGE_LEAST && room->tries % 2 == 1)
        freed = of_another(shard, room, evict_other);
    if (freed == 0 && may_evict)
        freed = evict_some(shard, room->bytes / 4, room->value);
    if (freed == 0 && may_evict)
        freed = of_another(shard, room, evict_other);
    room->freed_bytes += freed;
    if (freed > 0) {
        count_by_writer(shard, room);
        return true;
    }
    /* The others may have what this one lacks, but were all in use just now. */
    if (!may_evict || room->tries >= BUSY_TRIES_MAX || !others_have_victims(shard))
        return false;
    sched_yield();
    return true;
}

bool evict_must_give_way(const struct shard *shard, const struct room *room)
{
    return room->tries >= GIVE_WAY_TRIES && room->bytes <= EBB_LARGE_BYTES &&
           room->freed_bytes > room->bytes && limit_room(shard->store) < 0;
}

void evict_pay(struct shard *shard, const struct room *room)
{
    struct evictor *evictor = &shard->evictor;
    if (!__atomic_load_n(&shard->store->is_near, __ATOMIC_RELAXED))
        return;
    if (order_of(shard) == USE_S3)
        fit_ghost(shard);
    evictor->owed_bytes += (ptrdiff_t)room->bytes;
    for (unsigned items = 0; evictor->owed_bytes > 0 && items < PAID_ITEMS_MAX; items++) {
        size_t one = evict_one(shard, room->value);
        evictor->owed_bytes -= (ptrdiff_t)one;
        if (one == 0)
            evictor->owed_bytes = 0;
        else
            count_by_writer(shard, room);
    }
}

/* ---- for upkeep ---- */

void limit_note(struct store *store)
{
    ptrdiff_t ahead = (ptrdiff_t)stat_read(&store->limit.ahead_bytes);
    size_t reclaimable = limit_reclaimable(store);
    enum use_order order = __atomic_load_n(&store->limit.order, __ATOMIC_RELAXED);
    bool is_near = is_limited(store) && order != USE_NONE &&
                   reclaimable <= stat_read(&store->limit.compact_bytes) &&
                   limit_room(store) + (ptrdiff_t)reclaimable < ahead + ahead / 2;
    __atomic_store_n(&store->is_near, is_near, __ATOMIC_RELAXED);
}

static bool evict_until(struct shard *shard, uint64_t deadline_ns)
{
    const struct store *store = shard->store;
    size_t ahead = stat_read(&store->limit.ahead_bytes);
    for (;;) {
        size_t reclaimable = limit_reclaimable(store);
        if (limit_room(store) + (ptrdiff_t)reclaimable >= (ptrdiff_t)ahead)
            return false;
        /* What compaction can win comes first. */
        if (reclaimable > stat_read(&store->limit.compact_bytes))
            return true;
        if (evict_some(shard, 0, NULL) == 0)
            return false;
        if (upkeep_now_ns() >= deadline_ns)
            return true;
    }
}

bool evict_ahead(struct shard *shard, uint64_t deadline_ns)
{
    if (!is_limited(shard->store) || order_of(shard) == USE_NONE)
        return false;
    uint64_t begin_ns = work_begins(shard->store);
    bool more = evict_until(shard, deadline_ns);
    work_ended(shard->store, STORE_WORK_EVICT, begin_ns);
    return more;
}
