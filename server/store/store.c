/* SPDX-License-Identifier: MIT */
/* store.c: its life, and the commands' view of one key. Sentences over shard.c. */
#include "store.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "evict.h"
#include "store_internal.h"

/* ---- hashing ---- */

uint64_t key_hash(const struct store *store, unsigned database, const char *key, size_t len)
{
    uint64_t hash = XXH3_64bits_withSecret(key, len, store->secret, XXH3_SECRET_DEFAULT_SIZE);
    return hash + database * UINT64_C(0x9E3779B97F4A7C15);
}

struct store_key store_key(const struct store *store, unsigned database, const char *data,
                           size_t len)
{
    unsigned own = database_of(store, database);
    return (struct store_key){data, len, own, key_hash(store, own, data, len)};
}

/* ---- life ---- */

static uint64_t system_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool make_secret(struct store *store, uint64_t *seed)
{
    unsigned char random[64];
    size_t have = 0;
    while (have < sizeof random) {
        ssize_t n = getrandom(random + have, sizeof random - have, 0);
        if (n < 0 && errno != EINTR)
            return false;
        have += n > 0 ? (size_t)n : 0;
    }
    store->secret = malloc(XXH3_SECRET_DEFAULT_SIZE);
    if (store->secret == NULL)
        return false;
    memcpy(seed, random, sizeof *seed);
    return XXH3_generateSecret(store->secret, XXH3_SECRET_DEFAULT_SIZE, random, sizeof random) ==
           XXH_OK;
}

int store_create(struct store **out, const struct store_config *config)
{
    struct store *store = calloc(1, sizeof *store);
    uint64_t seed = 0;
    if (store == NULL)
        return STORE_ENOMEM;
    *store = (struct store){
        .limit = {.pool_bytes = SIZE_MAX, .compact_bytes = SIZE_MAX},
        .database_count = config->database_count,
        .explain = config->explain,
        .explain_context = config->explain_context,
        .explain_on = config->explain != NULL,
        .slow = config->slow,
        .slow_context = config->slow_context,
        .now_ms = config->now_ms != NULL ? config->now_ms : system_now_ms,
    };
    for (unsigned d = 0; d < STORE_DATABASES_MAX; d++)
        store->databases[d] = (uint8_t)d;
    struct ebb_pool_config pool = {.reserve_bytes = config->reserve_bytes};
    store->shards = aligned_alloc(CACHE_LINE_BYTES, config->shard_count * sizeof *store->shards);
    int error = store->shards != NULL && make_secret(store, &seed)
                    ? ebb_pool_create(&store->pool, &pool)
                    : EBB_ALLOC_ENOMEM;
    if (error != 0) {
        store_destroy(store);
        return error == EBB_ALLOC_EPAGES ? STORE_EPAGES : STORE_ENOMEM;
    }
    for (unsigned s = 0; s < config->shard_count; s++) {
        if (shard_init(&store->shards[s], store, store->pool, store->database_count,
                       seed + s * UINT64_C(0x9E3779B97F4A7C15)) != STORE_OK) {
            store_destroy(store);
            return STORE_ENOMEM;
        }
        store->shard_count++;
    }
    *out = store;
    return STORE_OK;
}

void store_destroy(struct store *store)
{
    if (store == NULL)
        return;
    for (unsigned s = 0; s < store->shard_count; s++)
        shard_release(&store->shards[s]);
    ebb_pool_destroy(store->pool);
    free(store->shards);
    free(store->secret);
    free(store);
}

/* ---- one key ---- */

static void show(const struct found *found, struct store_value *value)
{
    const struct item_meta *meta = &found->item.meta;
    *value = (struct store_value){.data = found->item.value,
                                  .len = meta->value_len,
                                  .expire_ms = meta->expire_ms,
                                  .flags = meta->flags,
                                  .header_bytes = found->item.header_bytes,
                                  .marks = meta->marks,
                                  .cas = meta->cas,
                                  .access_s = meta->access_s};
}

static uint32_t now_s(const struct store_session *session)
{
    return (uint32_t)(session->now_ms / 1000);
}

bool store_get(struct store_session *session, const struct store_key *key,
               struct store_value *value)
{
    struct shard *shard = session_shard(session, key);
    struct found found;
    stat_add(&shard->stats.lookups, 1);
    if (!shard_find(shard, key, session->now_ms, &found))
        return false;
    stat_add(&shard->stats.hits, 1);
    evict_hit(shard, &found);
    show(&found, value);
    if (!(value->marks & STORE_FETCHED) || value->access_s != 0)
        item_note_use(ebb_at(shard->base, found.ref), &found.item.meta, now_s(session));
    return true;
}

bool store_look(struct store_session *session, const struct store_key *key,
                struct store_value *value)
{
    struct shard *shard = session_shard(session, key);
    bool is_there = store_peek(session, key, value);
    stat_add(&shard->stats.lookups, 1);
    stat_add(&shard->stats.hits, is_there);
    return is_there;
}

bool store_peek(struct store_session *session, const struct store_key *key,
                struct store_value *value)
{
    struct found found;
    if (!shard_find(session_shard(session, key), key, session->now_ms, &found))
        return false;
    show(&found, value);
    return true;
}

/* A time later than an item can hold is as good as the last one it can. */
static int64_t storable_expire(int64_t expire_ms)
{
    return expire_ms < ITEM_EXPIRE_MAX_MS ? expire_ms : ITEM_EXPIRE_MAX_MS;
}

static size_t new_bytes(const struct store_key *key, const struct item_meta *meta,
                        const struct pieces *value)
{
    struct item_meta whole = *meta;
    whole.key_len = (uint32_t)key->len;
    whole.value_len = (uint32_t)(value->head_len + value->tail_len);
    whole.database = key->database;
    return item_bytes(&whole);
}

/* That may take long: when it began is noted for whoever wants to know (the slow log). */
static bool make_room(struct store_session *session, struct shard *shard, struct room *room)
{
    if (session->room_since_ns == 0)
        session->room_since_ns = upkeep_now_ns();
    return evict_make_room(shard, room);
}

/* Puts the value in place of the present one (found, NULL: none), making room if it must. */
static int put_in_room(struct store_session *session, const struct store_key *key,
                       const struct found *found, const struct item_meta *meta,
                       const struct pieces *value)
{
    struct shard *shard = session_shard(session, key);
    struct room room = {
        .bytes = new_bytes(key, meta, value), .value = value, .locked = session->locked};
    struct found again;
    int error;
    session->item_bytes = room.bytes;
    uint64_t begin_ns = work_begins(session->store);
    if (found == NULL) /* whatever goes now, this key is not among it */
        evict_pay(shard, &room);
    while ((error = shard_put(shard, key, found, *meta, value)) == STORE_ENOMEM &&
           make_room(session, shard, &room)) {
        found = shard_find(shard, key, session->now_ms, &again) ? &again : NULL;
        room.tries++;
        ebb_heap_exempt(shard->items, evict_must_give_way(shard, &room));
    }
    ebb_heap_exempt(shard->items, false);
    if (room.tries > 0)
        work_ended(session->store, STORE_WORK_EVICT, begin_ns);
    if (error == STORE_ENOMEM) {
        stat_add(&shard->stats.rejected_memory, 1);
        class_count(&class_counts_of(session->store, room.bytes)->rejected, 1);
    }
    return error;
}

static int put(struct store_session *session, const struct store_key *key,
               const struct found *found, const struct item_meta *meta, const struct pieces *value)
{
    int error = put_in_room(session, key, found, meta, value);
    if (error == STORE_OK)
        stat_add(&session_shard(session, key)->stats.sets, 1);
    return error;
}

int store_set_marked(struct store_session *session, const struct store_key *key,
                     const struct store_value *value, unsigned marks, uint64_t unique)
{
    struct shard *shard = session_shard(session, key);
    struct found found;
    bool exists = shard_find(shard, key, session->now_ms, &found);
    struct item_meta meta = {.expire_ms = storable_expire(value->expire_ms),
                             .flags = value->flags,
                             .marks = marks,
                             .cas = unique};
    if (exists && found.item.meta.access_s != 0)
        meta.access_s = now_s(session);
    if (value->expire_ms == STORE_KEEP_TTL)
        meta.expire_ms = exists ? found.item.meta.expire_ms : 0;
    if (item_is_dead(&meta, session->now_ms)) {
        session->item_bytes = 0;
        shard_note_change(shard, key);
        if (exists)
            shard_delete(shard, &found);
        return STORE_OK;
    }
    struct pieces pieces = {.head = value->data, .head_len = value->len};
    return put(session, key, exists ? &found : NULL, &meta, &pieces);
}

int store_set(struct store_session *session, const struct store_key *key,
              const struct store_value *value)
{
    return store_set_marked(session, key, value, 0, 0);
}

int store_join(struct store_session *session, const struct store_key *key, const char *head,
               size_t head_len, const char *tail, size_t tail_len)
{
    struct shard *shard = session_shard(session, key);
    struct found found;
    bool exists = shard_find(shard, key, session->now_ms, &found);
    struct item_meta meta = {0};
    if (exists) {
        meta.expire_ms = found.item.meta.expire_ms;
        meta.flags = found.item.meta.flags;
        meta.access_s = found.item.meta.access_s != 0 ? now_s(session) : 0;
    }
    struct pieces pieces = {head, tail, head_len, tail_len};
    return put(session, key, exists ? &found : NULL, &meta, &pieces);
}

int store_edit(struct store_session *session, const struct store_key *key, char **bytes)
{
    struct shard *shard = session_shard(session, key);
    struct found found;
    if (!shard_find(shard, key, session->now_ms, &found))
        return STORE_ENOKEY;
    /* An item whose number somebody has, which is marked or being read, is replaced by one like it.
     */
    struct item_meta meta = found.item.meta;
    if (meta.cas != 0 || (meta.marks & ~(unsigned)STORE_FETCHED) != 0 ||
        !shard_may_change(shard, found.ref)) {
        struct pieces value = {.head = found.item.value, .head_len = meta.value_len};
        meta.cas = 0;
        meta.marks = 0;
        int error = put_in_room(session, key, &found, &meta, &value);
        if (error != STORE_OK)
            return error;
        shard_find(shard, key, session->now_ms, &found);
    }
    item_note_set(ebb_at(shard->base, found.ref), &found.item.meta, now_s(session));
    *bytes = found.item.value;
    return STORE_OK;
}

void store_edited(struct store_session *session, const struct store_key *key)
{
    struct shard *shard = session_shard(session, key);
    shard_note_change(shard, key);
    stat_add(&shard->stats.sets, 1);
}

bool store_delete(struct store_session *session, const struct store_key *key)
{
    struct shard *shard = session_shard(session, key);
    struct found found;
    if (!shard_find(shard, key, session->now_ms, &found))
        return false;
    session->item_bytes = item_view_bytes(&found.item);
    shard_delete(shard, &found);
    stat_add(&shard->stats.deletes, 1);
    return true;
}

/* The few bytes more that a time or a number takes are not refused for the sake of the limit, as
 * Redis does not: upkeep makes up for them. A second large item is more than a few. */
static int relabel(struct store_session *session, const struct store_key *key, struct found *found,
                   struct item_meta meta)
{
    struct shard *shard = session_shard(session, key);
    if (shard_relabel_copies_much(shard, found, &meta)) {
        struct pieces value = {.head = found->item.value, .head_len = meta.value_len};
        return put_in_room(session, key, found, &meta, &value);
    }
    ebb_heap_exempt(shard->items, true);
    int error = shard_relabel(shard, found, meta);
    ebb_heap_exempt(shard->items, false);
    return error;
}

bool store_set_expire(struct store_session *session, const struct store_key *key, int64_t expire_ms)
{
    struct shard *shard = session_shard(session, key);
    struct found found;
    if (!shard_find(shard, key, session->now_ms, &found))
        return false;
    struct item_meta meta = found.item.meta;
    meta.expire_ms = storable_expire(expire_ms);
    if (item_is_dead(&meta, session->now_ms)) {
        shard_delete(shard, &found);
        stat_add(&shard->stats.deletes, 1);
        return true;
    }
    shard_note_change(shard, key);
    /* Without memory for the six bytes more the key keeps the time it had. */
    return relabel(session, key, &found, meta) == STORE_OK;
}

uint64_t store_cas_unique(struct store_session *session, const struct store_key *key)
{
    struct shard *shard = session_shard(session, key);
    struct found found;
    if (!shard_find(shard, key, session->now_ms, &found))
        return 0;
    if (found.item.meta.cas != 0)
        return found.item.meta.cas;
    struct item_meta meta = found.item.meta;
    meta.cas = ++shard->cas_last;
    return relabel(session, key, &found, meta) == STORE_OK ? meta.cas : 0;
}

uint64_t store_cas_unused(struct store_session *session, const struct store_key *key)
{
    return ++session_shard(session, key)->cas_last;
}

bool store_cas_matches(struct store_session *session, const struct store_key *key, uint64_t unique)
{
    struct found found;
    return unique != 0 && shard_find(session_shard(session, key), key, session->now_ms, &found) &&
           found.item.meta.cas == unique;
}

bool store_mark(struct store_session *session, const struct store_key *key, unsigned set,
                unsigned clear)
{
    struct shard *shard = session_shard(session, key);
    struct found found;
    if (!shard_find(shard, key, session->now_ms, &found))
        return false;
    struct item_meta meta = found.item.meta;
    meta.marks = (meta.marks & ~clear) | set;
    return meta.marks == found.item.meta.marks || relabel(session, key, &found, meta) == STORE_OK;
}

bool store_set_cas(struct store_session *session, const struct store_key *key, uint64_t unique)
{
    struct shard *shard = session_shard(session, key);
    struct found found;
    if (!shard_find(shard, key, session->now_ms, &found))
        return false;
    struct item_meta meta = found.item.meta;
    meta.cas = unique;
    return relabel(session, key, &found, meta) == STORE_OK;
}

bool store_keep_access(struct store_session *session, const struct store_key *key)
{
    struct shard *shard = session_shard(session, key);
    struct found found;
    if (!shard_find(shard, key, session->now_ms, &found))
        return false;
    struct item_meta meta = found.item.meta;
    if (meta.access_s != 0)
        return true;
    meta.access_s = now_s(session);
    return relabel(session, key, &found, meta) == STORE_OK;
}

bool store_idle(struct store_session *session, const struct store_key *key, uint32_t *seconds)
{
    struct shard *shard = session_shard(session, key);
    struct found found;
    if (!shard_find(shard, key, session->now_ms, &found))
        return false;
    struct item_meta meta = found.item.meta;
    uint32_t now = now_s(session);
    if (meta.access_s == 0) {
        meta.access_s = now - evict_idle_s(shard, &found);
        *seconds = now - meta.access_s;
        /* Without memory for four bytes more the next time is as this. */
        relabel(session, key, &found, meta);
        return true;
    }
    *seconds = meta.access_s < now ? now - meta.access_s : 0;
    return true;
}

bool store_frequency(struct store_session *session, const struct store_key *key,
                     unsigned *frequency)
{
    struct shard *shard = session_shard(session, key);
    struct found found;
    if (!shard_find(shard, key, session->now_ms, &found))
        return false;
    *frequency = evict_frequency(shard, &found);
    return true;
}

size_t store_usage(struct store_session *session, const struct store_key *key)
{
    struct shard *shard = session_shard(session, key);
    struct found found;
    if (!shard_find(shard, key, session->now_ms, &found))
        return 0;
    size_t index_bytes = shard->index.slots * sizeof(uint64_t) / shard->index.items;
    return ebb_slot_bytes(shard->items, found.ref) + index_bytes;
}
