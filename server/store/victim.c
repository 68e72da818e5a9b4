/* SPDX-License-Identifier: MIT */
/* victim.c: what is remembered of the use of items, and who of them goes first.
 *
 * A victim is the first in order (use.c) of a sample from the index, a few cache lines; among
 * equals the one in the emptiest span, so that spans empty. Called by shard.c with all that happens
 * to items, and by evict.c, which says when and how many.
 */
#include "victim.h"

#ifdef EBB_HARD
#define GHOST_LEAST_KEYS 31u
#else
#define GHOST_LEAST_KEYS 1024u
#endif
#define SAMPLE_ITEMS      12u /* looked at for one victim ... */
#define SAMPLE_WANTED     3u  /* ... or so many of the wanted kind */
#define SAMPLE_BUCKETS    8u
#define RANK_STEP         2u /* ranks nearer to each other are equals */
#define FULLNESS_UNKNOWN  (EBB_FULL + 1)
#define TRIES_MAX         64u  /* samples for one victim: some are spared */
#define EMPTY_SAMPLES_MAX 4u   /* of items with a time, before the spans are asked */
#define NEEDED_MAX        2u   /* items that a value is made of: its head's and its tail's */
#define GHOST_SHARE       100u /* of live bytes: more is not spent on ghosts */
#define GHOST_KEY_BYTES   2u

const unsigned store_age_bounds[STORE_AGE_BUCKETS - 1] = {1,    10,   60,    300,
                                                          1800, 7200, 43200, 259200};

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
    enum use_order order = shard_order(shard);
    if (!use_advance(order, &evictor->clocks, is_main, bytes, kind, all))
        return;
    bool has_main = order == USE_S3 && is_main;
    const struct use_clock *clock = has_main ? &evictor->clocks.main : &evictor->clocks.small;
    unsigned epoch = order == USE_LRU ? clock->now / 8 : clock->now;
    evictor->began_ms[has_main][epoch % USE_EPOCHS] = (int64_t)shard->store->now_ms();
}

unsigned evict_born(struct shard *shard, uint64_t hash, size_t bytes)
{
    enum use_order order = shard_order(shard);
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
    enum use_order order = shard_order(shard);
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
    shard->evictor.owed_bytes = 0;
    stat_add(&shard->evictor.small_bytes, -shard->evictor.small_bytes);
    stat_add(&shard->evictor.ghost_bytes, -shard->evictor.ghost_bytes);
}

void victim_fit_ghost(struct shard *shard)
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
    unsigned rank;
    unsigned fullness; /* FULLNESS_UNKNOWN until somebody asks: few have an equal */
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

static unsigned fullness_of(const struct shard *shard, struct candidate *candidate)
{
    if (candidate->fullness == FULLNESS_UNKNOWN)
        candidate->fullness = ebb_fullness(shard->items, slot_ref(*candidate->at.slot));
    return candidate->fullness;
}

static bool goes_before(const struct shard *shard, struct candidate *a, struct candidate *b)
{
    if (a->rank / RANK_STEP != b->rank / RANK_STEP)
        return a->rank > b->rank;
    if (a->expire_ms != b->expire_ms)
        return a->expire_ms < b->expire_ms;
    return fullness_of(shard, a) < fullness_of(shard, b);
}

static void consider(struct shard *shard, struct sample *sample, struct candidate *candidate)
{
    const struct store_limit *limit = &shard->store->limit;
    enum use_order order = shard_order(shard);
    uint64_t slot = *candidate->at.slot;
    if (__atomic_load_n(&limit->is_volatile, __ATOMIC_RELAXED)) {
        int64_t expire_ms = expire_of(shard, slot);
        if (expire_ms == 0)
            return;
        candidate->expire_ms = order == USE_TTL ? expire_ms : 0;
    }
    candidate->rank = use_rank(order, &shard->evictor.clocks, slot_use(slot), wants_small(shard));
    candidate->fullness = FULLNESS_UNKNOWN;
    sample->wanted += candidate->rank >= USE_RANK_KIND;
    if (sample->items++ == 0 || goes_before(shard, candidate, &sample->best))
        sample->best = *candidate;
}

/* How many items a segment has for its share of all hashes. */
static uint64_t crowd(uint64_t entry)
{
    return (uint64_t)entry_count(entry) << entry_depth(entry);
}

/* Of two segments taken by chance the more crowded one. One alone would have the fullest give no
 * more than the emptiest: their fill would drift apart, and they would split and merge for ever. */
static uint32_t drawn_segment(const struct index *index, const struct draw *draw)
{
    uint32_t a = index_resolve(index, draw->segments[0]);
    uint32_t b = index_resolve(index, draw->segments[1]);
    return crowd(index->directory[a]) < crowd(index->directory[b]) ? b : a;
}

static size_t drawn_slot(uint64_t random, unsigned buckets)
{
    return (random >> 32) * (buckets * BUCKET_SLOTS) >> 32;
}

/* The bucket of an item taken by chance, for the same reason. */
static unsigned drawn_bucket(struct shard *shard, const uint64_t *segment, unsigned buckets)
{
    size_t slot = drawn_slot(shard->evictor.draw.slot, buckets);
    for (unsigned tries = 0; tries < BUCKET_SLOTS && segment[slot] == 0; tries++)
        slot = drawn_slot(shard_random(shard), buckets);
    return (unsigned)(slot / BUCKET_SLOTS);
}

/* Where the next sample will be looked for, so that its memory is there by then. */
static void draw_next(struct shard *shard)
{
    struct draw *draw = &shard->evictor.draw;
    *draw = (struct draw){{shard_random(shard), shard_random(shard)}, shard_random(shard)};
    const struct index *index = &shard->index;
    uint64_t entry = index->directory[drawn_segment(index, draw)];
    size_t slot = drawn_slot(draw->slot, step_buckets(entry_step(entry)));
    const uint64_t *bucket = index_segment(index, entry) + slot / BUCKET_SLOTS * BUCKET_SLOTS;
    __builtin_prefetch(bucket);
    __builtin_prefetch(bucket + BUCKET_SLOTS);
}

/* Looks at the items of a few buckets next to each other. */
static bool choose(struct shard *shard, struct candidate *victim)
{
    const struct index *index = &shard->index;
    uint32_t prefix = drawn_segment(index, &shard->evictor.draw);
    uint64_t entry = index->directory[prefix];
    uint64_t *segment = index_segment(index, entry);
    unsigned buckets = step_buckets(entry_step(entry));
    unsigned bucket = drawn_bucket(shard, segment, buckets);
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
    draw_next(shard);
    *victim = sample.best;
    return sample.items > 0;
}

/* ---- choosing ahead ---- */

/* So that the next victim's item is in the cache by then. */
static void choose_ahead(struct shard *shard)
{
    const struct index *index = &shard->index;
    struct chosen *chosen = &shard->evictor.chosen;
    struct candidate next;
    chosen->word = 0;
    if (index->items == 0 || !choose(shard, &next))
        return;
    *chosen = (struct chosen){.word = *next.at.slot,
                              .entry = index->directory[next.at.prefix],
                              .prefix = next.at.prefix,
                              .slot = (uint32_t)(next.at.slot - next.at.segment)};
    const char *item = ebb_at(shard->base, slot_ref(chosen->word));
    __builtin_prefetch(item);
    __builtin_prefetch(item + CACHE_LINE_BYTES);
}

/* The one chosen ahead. A segment that has grown, split or moved has another word in the directory;
 * an item that was hit, moved or written anew another one in its slot. */
static bool recall(struct shard *shard, struct candidate *victim)
{
    const struct index *index = &shard->index;
    struct chosen *chosen = &shard->evictor.chosen;
    if (chosen->word == 0 || chosen->prefix >> index->depth != 0)
        return false;
    uint64_t entry = index->directory[chosen->prefix];
    if (entry == 0 || ((entry ^ chosen->entry) & (ENTRY_COUNT_ONE - 1)) != 0)
        return false;
    uint64_t *segment = index_segment(index, entry), *slot = segment + chosen->slot;
    if (*slot != chosen->word)
        return false;
    victim->at = (struct index_at){slot, segment, chosen->prefix, chosen->slot / BUCKET_SLOTS};
    chosen->word = 0;
    return true;
}

/* ---- evicting ---- */

/* Whether the value to be written is made of the item's bytes. */
static bool is_needed(const char *item, const struct item_view *view, const struct pieces *value)
{
    size_t bytes = item_view_bytes(view);
    return value != NULL &&
           (lies_inside(item, bytes, value->head) || lies_inside(item, bytes, value->tail));
}

static bool is_found_needed(const struct shard *shard, const struct found *found,
                            const struct pieces *value)
{
    return is_needed(ebb_at(shard->base, found->ref), &found->item, value);
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
    enum use_order order = shard_order(shard);
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
    enum use_order order = shard_order(shard);
    unsigned use = slot_use(*found->at.slot), next;
    if (!use_is_idle(order, &shard->evictor.clocks, use, &next))
        return 0;
    bool is_main = order == USE_S3 && use & USE_MAIN;
    return (uint32_t)seconds_since(shard, is_main, order == USE_LRU ? next / 8 : next);
}

unsigned evict_frequency(const struct shard *shard, const struct found *found)
{
    return use_frequency(shard_order(shard), &shard->evictor.clocks, slot_use(*found->at.slot));
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
    stat_add(&shard->stats.evicted_unfetched, use_is_unfetched(shard_order(shard), use));
    struct store_class_counts *class = class_counts_of(shard->store, item_bytes(meta));
    class_count(&class->evicted, 1);
    class_count(&class->evicted_with_ttl, meta->expire_ms != 0);
    class_count(&class->evicted_unfetched, use_is_unfetched(shard_order(shard), use));
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
        if (shard_order(shard) == USE_S3 && !(slot_use(*found->at.slot) & USE_MAIN))
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
 * the span where one expires first. What the value is made of is passed over, and its note taken
 * away meanwhile, so that the next span's turn comes. */
struct soonest {
    const struct pieces *value;
    ebb_ref ref, needed[NEEDED_MAX];
    int64_t expire_ms, needed_ms[NEEDED_MAX];
    unsigned needed_count;
};

static uint64_t find_soonest(void *context, ebb_ref ref, void *data)
{
    struct soonest *soonest = context;
    struct item_view view;
    item_read(data, &view);
    int64_t expire_ms = view.meta.expire_ms;
    if (expire_ms != 0 && is_needed(data, &view, soonest->value)) {
        soonest->needed[soonest->needed_count] = ref;
        soonest->needed_ms[soonest->needed_count++] = expire_ms;
        return 0;
    }
    if (expire_ms != 0 && (soonest->ref == 0 || expire_ms < soonest->expire_ms)) {
        soonest->ref = ref;
        soonest->expire_ms = expire_ms;
    }
    return (uint64_t)expire_ms;
}

static bool find_by_ref(struct shard *shard, ebb_ref ref, struct found *found)
{
    struct item_view view;
    item_read(ebb_at(shard->base, ref), &view);
    struct store_key key = item_key(shard->store, &view);
    return shard_find_any(shard, &key, found);
}

/* Looks at one span more. false: there is none where something expires. */
static bool look_at_span(struct shard *shard, struct soonest *soonest)
{
    uint64_t next = ebb_due_next(shard->items);
    if (next == UINT64_MAX)
        return false;
    ebb_due_visit(shard->items, next, 0, find_soonest, soonest);
    return true;
}

static void note_needed_again(struct shard *shard, const struct soonest *soonest)
{
    for (unsigned i = 0; i < soonest->needed_count; i++)
        ebb_due_note(shard->items, soonest->needed[i], (uint64_t)soonest->needed_ms[i]);
}

static size_t evict_soonest(struct shard *shard, const struct pieces *value)
{
    struct soonest soonest = {.value = value};
    struct found found;
    unsigned needed = 0;
    bool was_there = look_at_span(shard, &soonest);
    while (was_there && soonest.ref == 0 && soonest.needed_count > needed) {
        needed = soonest.needed_count;
        was_there = look_at_span(shard, &soonest);
    }
    note_needed_again(shard, &soonest);
    if (!was_there)
        return 0;
    if (soonest.ref == 0) /* what was noted there has gone */
        return 1;
    return find_by_ref(shard, soonest.ref, &found) ? evict(shard, &found) : 0;
}

size_t victim_evict(struct shard *shard, const struct pieces *value)
{
    bool is_volatile = __atomic_load_n(&shard->store->limit.is_volatile, __ATOMIC_RELAXED);
    unsigned empty = 0;
    for (unsigned tries = 0; tries < TRIES_MAX && shard->index.items > 0; tries++) {
        struct candidate victim;
        struct found found;
        if ((is_volatile || !recall(shard, &victim)) && !choose(shard, &victim)) {
            if (is_volatile && ++empty == EMPTY_SAMPLES_MAX)
                break;
            continue;
        }
        read_found(shard, &victim.at, &found);
        unsigned use = slot_use(*found.at.slot);
        bool is_dead = item_is_dead(&found.item.meta, (int64_t)shard->store->now_ms());
        bool may_spare =
            !is_dead && tries < TRIES_MAX / 2; /* a hot shard must give something too */
        if (may_spare && use_spares(shard_order(shard), &shard->evictor.clocks, &use)) {
            size_t bytes = item_view_bytes(&found.item);
            set_use(shard, found.at.slot, use, bytes);
            tick(shard, true, bytes);
            continue;
        }
        if (!is_found_needed(shard, &found, value)) {
            size_t bytes = evict(shard, &found);
            choose_ahead(shard);
            return bytes;
        }
    }
    return is_volatile ? evict_soonest(shard, value) : 0;
}

size_t victim_evict_of_class(struct shard *shard, const struct room *room)
{
    ebb_ref refs[SAMPLE_ITEMS];
    unsigned count =
        ebb_class_sample(shard->items, room->bytes, shard_random(shard), refs, SAMPLE_ITEMS);
    struct sample sample = {.items = 0};
    struct found found;
    for (unsigned i = 0; i < count; i++) {
        if (!find_by_ref(shard, refs[i], &found) || is_found_needed(shard, &found, room->value))
            continue;
        struct candidate candidate = {.at = found.at};
        consider(shard, &sample, &candidate);
    }
    if (sample.items == 0) /* none that may go */
        return 0;
    read_found(shard, &sample.best.at, &found);
    return evict(shard, &found);
}
