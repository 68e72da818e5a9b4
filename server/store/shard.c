/* SPDX-License-Identifier: MIT */
/* shard.c: finding, putting and deleting items in one shard. */
#include "shard.h"

#include <stdlib.h>

#include "evict.h"

/* ---- the allocator's callbacks: an item or a segment has moved ---- */

static uint64_t item_hash(void *context, ebb_ref ref)
{
    const struct shard *shard = context;
    struct item_view view;
    item_read(ebb_at(shard->base, ref), &view);
    return key_hash(shard->store, view.meta.database, view.key, view.meta.key_len);
}

static void item_moved(void *context, ebb_ref from, ebb_ref to, void *data)
{
    struct shard *shard = context;
    (void)data;
    index_replace(&shard->index, item_hash(shard, to), from, to);
}

static void item_about_to_move(void *context, ebb_ref ref, void *data)
{
    struct shard *shard = context;
    (void)data;
    index_prefetch(&shard->index, item_hash(shard, ref));
}

static size_t item_size(void *context, const void *data)
{
    struct item_view view;
    (void)context;
    item_read(data, &view);
    return item_view_bytes(&view);
}

static void segment_moved(void *context, ebb_ref from, ebb_ref to, void *data)
{
    struct shard *shard = context;
    (void)data;
    index_moved(&shard->index, from, to);
}

/* ---- life ---- */

/* A transaction holds shards while its commands call what locks them again. */
static void init_lock(pthread_mutex_t *lock)
{
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(lock, &attributes);
    pthread_mutexattr_destroy(&attributes);
}

int shard_init(struct shard *shard, struct store *store, struct ebb_pool *pool,
               unsigned database_count, uint64_t seed)
{
    *shard = (struct shard){
        .base = ebb_pool_base(pool), .store = store, .random = seed | 1, .cas_last = 0};
    init_lock(&shard->lock);
    struct ebb_owner items = {shard, item_moved, item_about_to_move, item_size},
                     segments = {.context = shard, .moved = segment_moved};
    shard->keys = calloc(2 * (size_t)database_count, sizeof *shard->keys);
    if (shard->keys == NULL || ebb_heap_create(&shard->items, pool, &items) != 0 ||
        ebb_heap_create(&shard->segments, pool, &segments) != 0 ||
        index_init(&shard->index, shard->segments, shard->base, item_hash, shard) != 0) {
        shard_release(shard);
        return STORE_ENOMEM;
    }
    shard->expires = shard->keys + database_count;
    /* A segment is little, and without it an item could neither come nor go: it counts against the
     * limit, and the next item finds so much less room. */
    ebb_heap_exempt(shard->segments, true);
    return STORE_OK;
}

void shard_release(struct shard *shard)
{
    evict_release(shard);
    index_release(&shard->index);
    ebb_heap_destroy(shard->segments);
    ebb_heap_destroy(shard->items);
    free(shard->watches.many); /* whoever watches has gone before the store */
    free(shard->keys);
    pthread_mutex_destroy(&shard->lock);
}

uint64_t shard_random(struct shard *shard) /* xorshift64*, Vigna 2016 */
{
    uint64_t x = shard->random;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    shard->random = x;
    return x * UINT64_C(0x2545F4914F6CDD1D);
}

/* ---- finding ---- */

struct wanted {
    const struct store_key *key;
    void *base;
    struct item_view *item;
};

/* Leaves what it has read of the item. */
static bool is_wanted(void *context, ebb_ref ref)
{
    const struct wanted *wanted = context;
    const struct store_key *key = wanted->key;
    struct item_view *item = wanted->item;
    const char *data = ebb_at(wanted->base, ref);
    __builtin_prefetch(data +
                       CACHE_LINE_BYTES); /* the rest of a short value, while its key comes */
    item_read(data, item);
    return item->meta.key_len == key->len && item->meta.database == key->database &&
           memcmp(item->key, key->data, key->len) == 0;
}

bool shard_find(struct shard *shard, const struct store_key *key, int64_t now_ms,
                struct found *found)
{
    struct wanted wanted = {key, shard->base, &found->item};
    if (!index_find(&shard->index, key->hash, is_wanted, &wanted, &found->at))
        return false;
    found->ref = slot_ref(*found->at.slot);
    if (__builtin_expect(!item_is_dead(&found->item.meta, now_ms), 1))
        return true;
    stat_add(&shard->stats.expired_lazy, 1);
    stat_add(&shard->stats.expired_bytes, item_view_bytes(&found->item));
    shard_delete(shard, found);
    return false;
}

bool shard_find_any(struct shard *shard, const struct store_key *key, struct found *found)
{
    return shard_find(shard, key, INT64_MIN, found); /* when nothing was dead yet */
}

/* ---- counting ---- */

static void count(struct shard *shard, const struct item_meta *meta, uint32_t header_bytes,
                  int sign)
{
    size_t one = (size_t)sign, bytes = (size_t)header_bytes + meta->key_len + meta->value_len;
    stat_add(&shard->stats.key_bytes, one * meta->key_len);
    stat_add(&shard->stats.value_bytes, one * meta->value_len);
    stat_add(&shard->stats.header_bytes, one * header_bytes);
    if (bytes > EBB_LARGE_BYTES)
        stat_add(&shard->stats.large_item_bytes, one * bytes);
    stat_add(&shard->keys[meta->database], one);
    if (meta->expire_ms != 0)
        stat_add(&shard->expires[meta->database], one);
}

/* The item gives way to one of the same key. Mostly nothing that is counted changes. */
static void count_replaced(struct shard *shard, const struct item_view *old,
                           const struct item_meta *meta, uint32_t header_bytes, unsigned use)
{
    if (old->meta.value_len == meta->value_len && old->header_bytes == header_bytes &&
        (old->meta.expire_ms != 0) == (meta->expire_ms != 0))
        return;
    evict_count(shard, use, item_view_bytes(old), -1);
    evict_count(shard, use, (size_t)header_bytes + meta->key_len + meta->value_len, +1);
    count(shard, &old->meta, old->header_bytes, -1);
    count(shard, meta, header_bytes, +1);
}

/* ---- deleting ---- */

void shard_delete(struct shard *shard, const struct found *found)
{
    if (__builtin_expect(shard->watches.count != 0, 0))
        watches_note(&shard->watches, item_hash(shard, found->ref));
    count(shard, &found->item.meta, found->item.header_bytes, -1);
    evict_count(shard, slot_use(*found->at.slot), item_view_bytes(&found->item), -1);
    index_remove(&shard->index, &found->at);
    ebb_free(shard->items, found->ref);
}

struct flush {
    struct shard *shard;
    unsigned database;
};

/* false: that was the last one. */
static bool flush_one(void *context, ebb_ref ref, void *data)
{
    struct flush *flush = context;
    struct found found = {.ref = ref};
    item_read(data, &found.item);
    if (found.item.meta.database != flush->database)
        return true;
    struct store_key key = {found.item.key, found.item.meta.key_len, flush->database,
                            item_hash(flush->shard, ref)};
    if (shard_find_any(flush->shard, &key, &found))
        shard_delete(flush->shard, &found);
    return flush->shard->keys[flush->database] > 0;
}

void shard_flush(struct shard *shard, unsigned database)
{
    if (database != STORE_ALL_DATABASES && shard->keys[database] == 0)
        return;
    bool has_others =
        database != STORE_ALL_DATABASES && shard->keys[database] != shard->index.items;
    if (has_others) {
        struct flush flush = {shard, database};
        ebb_heap_each(shard->items, flush_one, &flush);
        return;
    }
    watches_note_flush(&shard->watches, database);
    ebb_heap_reset(shard->items);
    ebb_heap_reset(shard->segments);
    /* The segment it needs is one of those just freed: this can't fail for want of memory. */
    if (index_reset(&shard->index) != 0)
        abort();
    evict_reset(shard);
    stat_add(&shard->stats.key_bytes, -shard->stats.key_bytes);
    stat_add(&shard->stats.value_bytes, -shard->stats.value_bytes);
    stat_add(&shard->stats.header_bytes, -shard->stats.header_bytes);
    stat_add(&shard->stats.large_item_bytes, -shard->stats.large_item_bytes);
    for (size_t *number = shard->keys; number < shard->expires + (shard->expires - shard->keys);
         number++)
        stat_add(number, -*number);
}

/* ---- putting ---- */

static bool lies_in(const struct shard *shard, const struct found *found, const char *data,
                    size_t len)
{
    const char *item = ebb_at(shard->base, found->ref);
    return len > 0 && data < item + item_view_bytes(&found->item) && data + len > item;
}

bool shard_may_change(const struct shard *shard, ebb_ref ref)
{
    return !ebb_is_pinned(shard->items, ref);
}

/* A new item may be written over the old one when it takes the same slot, nobody is reading the old
 * one, and the new value is not made of it. */
static bool can_overwrite(struct shard *shard, const struct found *found, size_t bytes,
                          const struct pieces *value)
{
    bool is_fitting = bytes == item_view_bytes(&found->item) ||
                      ebb_slot_bytes(shard->items, found->ref) == ebb_round_bytes(bytes);
    return is_fitting && shard_may_change(shard, found->ref) &&
           !lies_in(shard, found, value->head, value->head_len) &&
           !lies_in(shard, found, value->tail, value->tail_len);
}

static void write_item(void *data, const struct item_meta *meta, const char *key,
                       const struct pieces *value)
{
    char *at = (char *)data + item_write_header(data, meta);
    memmove(at, key, meta->key_len);
    at += meta->key_len;
    if (value->head_len > 0)
        memcpy(at, value->head, value->head_len);
    if (value->tail_len > 0)
        memcpy(at + value->head_len, value->tail, value->tail_len);
}

static void note_due(struct shard *shard, ebb_ref ref, const struct item_meta *meta)
{
    if (meta->expire_ms != 0)
        ebb_due_note(shard->items, ref, (uint64_t)meta->expire_ms);
}

/* To overwrite an item is a use of its key. */
static void count_overwrite(struct shard *shard, const struct found *found,
                            const struct item_meta *meta, uint32_t header_bytes)
{
    evict_hit(shard, found);
    count_replaced(shard, &found->item, meta, header_bytes, slot_use(*found->at.slot));
}

/* 0: up to 64 bytes, 1: up to 256, and so on by four. */
static unsigned size_bucket(size_t bytes)
{
    unsigned bits = bytes <= 64 ? 0 : 64u - 6u - (unsigned)__builtin_clzll(bytes - 1);
    unsigned bucket = (bits + 1) / 2;
    return bucket < STORE_SIZE_BUCKETS ? bucket : STORE_SIZE_BUCKETS - 1;
}

static void count_stored(struct shard *shard, size_t bytes)
{
    stat_add(&shard->stats.stored_sizes[size_bucket(bytes)], 1);
    stat_add(&shard->stats.stored_bytes, bytes);
}

static void note_stored(struct shard *shard, const struct store_key *key, ebb_ref ref,
                        const struct item_meta *meta)
{
    note_due(shard, ref, meta);
    count_stored(shard, meta->value_len);
    shard_note_change(shard, key);
}

/* Whether the value begins as the present one does and the item can be continued where it is: in
 * its slot, or as a large object, which the heap makes longer without copying it. */
static bool can_continue(const struct shard *shard, const struct found *found,
                         uint32_t header_bytes, size_t bytes, const struct pieces *value)
{
    if (value->head != found->item.value || value->head_len > found->item.meta.value_len ||
        header_bytes != found->item.header_bytes)
        return false;
    size_t slot_bytes = ebb_slot_bytes(shard->items, found->ref);
    bool is_large = bytes > EBB_LARGE_BYTES && slot_bytes > EBB_LARGE_BYTES;
    return (is_large || ebb_round_bytes(bytes) == slot_bytes) &&
           shard_may_change(shard, found->ref) &&
           !lies_in(shard, found, value->tail, value->tail_len);
}

/* Writes the tail behind the head that is there. On failure nothing has changed. */
static int continue_item(struct shard *shard, const struct store_key *key,
                         const struct found *found, const struct item_meta *meta, size_t bytes,
                         const struct pieces *value)
{
    ebb_ref ref = found->ref;
    if (ebb_resize(shard->items, &ref, bytes) != 0)
        return STORE_ENOMEM;
    slot_set_ref(found->at.slot, ref);
    char *item = ebb_at(shard->base, ref);
    uint32_t header_bytes = item_write_header(item, meta);
    count_overwrite(shard, found, meta, header_bytes);
    if (value->tail_len > 0)
        memcpy(item + header_bytes + meta->key_len + value->head_len, value->tail, value->tail_len);
    note_stored(shard, key, ref, meta);
    return STORE_OK;
}

/* Puts the item at `ref` where the old one was, or anew. On failure frees it. */
static int adopt(struct shard *shard, const struct store_key *key, const struct found *found,
                 ebb_ref ref, const struct item_meta *meta, uint32_t header_bytes)
{
    size_t bytes = (size_t)header_bytes + meta->key_len + meta->value_len;
    if (found != NULL) {
        count_overwrite(shard, found, meta, header_bytes);
        slot_set_ref(found->at.slot, ref);
        ebb_free(shard->items, found->ref);
        return STORE_OK;
    }
    unsigned use = evict_born(shard, key->hash, bytes);
    if (index_insert(&shard->index, key->hash, ref, use) != 0) {
        ebb_free(shard->items, ref);
        return STORE_ENOMEM;
    }
    evict_count(shard, use, bytes, +1);
    count(shard, meta, header_bytes, +1);
    return STORE_OK;
}

int shard_put(struct shard *shard, const struct store_key *key, const struct found *found,
              struct item_meta meta, const struct pieces *value)
{
    size_t len = value->head_len + value->tail_len;
    if (key->len > STORE_KEY_MAX_BYTES || len > STORE_VALUE_MAX_BYTES)
        return STORE_ETOOBIG;
    meta.key_len = (uint32_t)key->len;
    meta.value_len = (uint32_t)len;
    meta.database = key->database;
    uint32_t header_bytes = item_header_bytes(&meta);
    size_t bytes = header_bytes + key->len + len;
    if (found != NULL && can_overwrite(shard, found, bytes, value)) {
        count_overwrite(shard, found, &meta, header_bytes);
        write_item(ebb_at(shard->base, found->ref), &meta, key->data, value);
        note_stored(shard, key, found->ref, &meta);
        return STORE_OK;
    }
    if (found != NULL && can_continue(shard, found, header_bytes, bytes, value))
        return continue_item(shard, key, found, &meta, bytes, value);
    ebb_ref ref = ebb_alloc(shard->items, bytes);
    if (ref == 0)
        return STORE_ENOMEM;
    write_item(ebb_at(shard->base, ref), &meta, key->data, value);
    int error = adopt(shard, key, found, ref, &meta, header_bytes);
    if (error == STORE_OK)
        note_stored(shard, key, ref, &meta);
    return error;
}

/* Both are large objects, which the heap makes longer or shorter without a copy. */
static bool are_large(const struct found *found, size_t bytes)
{
    return bytes > EBB_LARGE_BYTES && item_view_bytes(&found->item) > EBB_LARGE_BYTES;
}

bool shard_relabel_copies_much(const struct shard *shard, const struct found *found,
                               const struct item_meta *meta)
{
    size_t bytes = item_bytes(meta);
    return are_large(found, bytes) && item_header_bytes(meta) != found->item.header_bytes &&
           !shard_may_change(shard, found->ref);
}

/* The object has so many bytes from now on, behind a header of that length. 0: no memory, and it is
 * as it was. */
static ebb_ref relabel_large(struct shard *shard, const struct found *found, uint32_t header_bytes,
                             size_t bytes)
{
    const struct item_view *old = &found->item;
    size_t payload = bytes - header_bytes;
    ebb_ref ref = found->ref;
    if (header_bytes < old->header_bytes) /* before its end is cut off */
        memmove((char *)ebb_at(shard->base, ref) + header_bytes, old->key, payload);
    if (ebb_resize(shard->items, &ref, bytes) != 0)
        return 0; /* it was to become longer: shorter it becomes in place */
    char *item = ebb_at(shard->base, ref);
    if (header_bytes > old->header_bytes)
        memmove(item + header_bytes, item + old->header_bytes, payload);
    return ref;
}

static ebb_ref relabel_copy(struct shard *shard, const struct found *found, uint32_t header_bytes,
                            size_t bytes)
{
    ebb_ref ref = ebb_alloc(shard->items, bytes);
    if (ref == 0)
        return 0;
    memcpy((char *)ebb_at(shard->base, ref) + header_bytes, found->item.key, bytes - header_bytes);
    ebb_free(shard->items, found->ref);
    return ref;
}

int shard_relabel(struct shard *shard, struct found *found, struct item_meta meta)
{
    struct item_view *old = &found->item;
    uint32_t header_bytes = item_header_bytes(&meta);
    size_t payload = (size_t)meta.key_len + meta.value_len, bytes = header_bytes + payload;
    char *item = ebb_at(shard->base, found->ref);
    bool fits = ebb_slot_bytes(shard->items, found->ref) == ebb_round_bytes(bytes);
    bool may_change = shard_may_change(shard, found->ref);
    if (fits && header_bytes == old->header_bytes) {
        /* Key and value stay where they are, even if somebody is reading them. */
    } else if (fits && may_change) {
        memmove(item + header_bytes, old->key, payload);
    } else {
        ebb_ref ref = may_change && are_large(found, bytes)
                          ? relabel_large(shard, found, header_bytes, bytes)
                          : relabel_copy(shard, found, header_bytes, bytes);
        if (ref == 0)
            return STORE_ENOMEM;
        item = ebb_at(shard->base, ref);
        slot_set_ref(found->at.slot, ref);
        found->ref = ref;
    }
    item_write_header(item, &meta);
    count_replaced(shard, old, &meta, header_bytes, slot_use(*found->at.slot));
    note_due(shard, found->ref, &meta);
    item_read(item, old);
    return STORE_OK;
}
