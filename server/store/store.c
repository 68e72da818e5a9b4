/* SPDX-License-Identifier: MIT */
/* store.c: sessions, and the commands' view of one key. Sentences over shard.c. */
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
    if (store->shards == NULL || !make_secret(store, &seed) ||
        ebb_pool_create(&store->pool, &pool) != 0) {
        store_destroy(store);
        return STORE_ENOMEM;
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

/* ---- sessions ---- */

void store_session_init(struct store_session *session, struct store *store)
{
    *session = (struct store_session){.store = store, .now_ms = (int64_t)store->now_ms()};
}

/* A worker mostly has a shard for less than it takes to go to sleep. */
#define SPINS 40u

static inline void spin_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb");
#endif
}

/* The mutex is not fair: upkeep, which takes it again and again, looks whether somebody waits. */
static void lock_shard(struct shard *shard)
{
    for (unsigned n = 0; n < SPINS; n++) {
        if (pthread_mutex_trylock(&shard->lock) == 0)
            return;
        spin_pause();
    }
    uint64_t begin = upkeep_now_ns();
    __atomic_add_fetch(&shard->waiting, 1, __ATOMIC_RELAXED);
    pthread_mutex_lock(&shard->lock);
    __atomic_sub_fetch(&shard->waiting, 1, __ATOMIC_RELAXED);
    stat_add(&shard->stats.lock_waits, 1);
    stat_add(&shard->stats.lock_wait_ns, upkeep_now_ns() - begin);
}

static void lock_set(struct store_session *session, uint64_t set)
{
    for (uint64_t left = set; left != 0; left &= left - 1) /* ascending: no deadlock */
        lock_shard(&session->store->shards[__builtin_ctzll(left)]);
    session->locked = set;
}

static void enter_set(struct store_session *session, uint64_t set)
{
    if ((session->locked & set) == set)
        return;
    if (session->is_held) /* the caller's mistake: going on would break the transaction */
        abort();
    store_leave(session);
    lock_set(session, set);
}

void store_enter(struct store_session *session, const struct store_key *key)
{
    enter_set(session, UINT64_C(1) << shard_index(session->store, key->hash));
}

bool store_is_renumbered(const struct store_session *session, unsigned database,
                         const struct store_key *key)
{
    return key->database != database_of(session->store, database);
}

struct store_key store_enter_name(struct store_session *session, unsigned database,
                                  const char *data, size_t len)
{
    struct store_key key;
    do {
        key = store_key(session->store, database, data, len);
        store_enter(session, &key);
    } while (__builtin_expect(store_is_renumbered(session, database, &key), 0));
    return key;
}

void store_enter_keys(struct store_session *session, const struct store_key *keys, size_t count)
{
    struct shard *shards = session->store->shards;
    uint64_t set = 0;
    for (size_t i = 0; i < count; i++)
        set |= UINT64_C(1) << shard_index(session->store, keys[i].hash);
    enter_set(session, set);
    for (size_t i = 0; i < count; i++)
        index_prefetch(&shards[shard_index(session->store, keys[i].hash)].index, keys[i].hash);
    for (size_t i = 0; i < count; i++)
        index_prefetch_items(&shards[shard_index(session->store, keys[i].hash)].index,
                             keys[i].hash);
}

/* What the processor fetches in vain does no harm, so the bucket is looked at without its shard's
 * lock: it lies in the pool, whose addresses once used stay mapped as long as the store is. */
__attribute__((no_sanitize("thread", "address"))) static void expect_items(
    const void *base, const volatile uint64_t *bucket, uint64_t hash)
{
    for (unsigned i = 0; i < BUCKET_SLOTS; i++) {
        uint64_t slot = bucket[i];
        if (slot_tag(slot) == hash_tag(hash)) {
            const char *item = (const char *)base + slot_ref(slot) * EBB_GRANULE_BYTES;
            __builtin_prefetch(item);
            __builtin_prefetch(item + CACHE_LINE_BYTES);
        }
    }
}

void store_expect_keys(struct store_session *session, const struct store_key *keys, size_t count)
{
    struct store *store = session->store;
    const uint64_t *buckets[STORE_EXPECT_MAX];
    if (store->shard_count == 1) {
        store_enter_keys(session, keys, count);
        return;
    }
    store_leave(session);
    for (size_t i = 0; i < count; i++) {
        struct shard *shard = &store->shards[shard_index(store, keys[i].hash)];
        buckets[i] = NULL;
        if (pthread_mutex_trylock(&shard->lock) != 0) /* it is not worth waiting for */
            continue;
        struct index_home home = index_home(&shard->index, keys[i].hash);
        buckets[i] = home.segment + home.bucket * BUCKET_SLOTS;
        __builtin_prefetch(buckets[i]);
        pthread_mutex_unlock(&shard->lock);
    }
    for (size_t i = 0; i < count; i++)
        if (buckets[i] != NULL)
            expect_items(store->shards[0].base, buckets[i], keys[i].hash);
}

uint64_t store_shard_of(const struct store *store, uint64_t hash)
{
    return UINT64_C(1) << shard_index(store, hash);
}

void store_enter_shards(struct store_session *session, uint64_t shards)
{
    unsigned count = session->store->shard_count;
    enter_set(session, shards & (count == 64 ? ~UINT64_C(0) : (UINT64_C(1) << count) - 1));
}

void store_enter_all(struct store_session *session)
{
    store_enter_shards(session, STORE_ALL_SHARDS);
}

#ifdef EBB_HARD
#define SHUFFLE_OBJECTS_MAX 256u

/* Letting go is where items may move: so they do, all of them while they are few, else at times. */
static void shuffle(struct shard *shard)
{
    if (shard->index.items > SHUFFLE_OBJECTS_MAX &&
        shard_random(shard) % shard->index.items > SHUFFLE_OBJECTS_MAX / 16)
        return;
    ebb_heap_shuffle(shard->items);
    ebb_heap_shuffle(shard->segments);
}
#else
static void shuffle(struct shard *shard)
{
    (void)shard;
}
#endif

void store_leave(struct store_session *session)
{
    if (session->is_held)
        return;
    for (uint64_t left = session->locked; left != 0; left &= left - 1) {
        struct shard *shard = &session->store->shards[__builtin_ctzll(left)];
        unsigned wanted = __atomic_load_n(&shard->slices.wanted, __ATOMIC_RELAXED);
        if (wanted > 0) {
            __atomic_store_n(&shard->slices.wanted, wanted - 1, __ATOMIC_RELAXED);
            shard_slice(session->store, shard);
        }
        shuffle(shard);
        pthread_mutex_unlock(&shard->lock);
    }
    session->locked = 0;
}

void store_hold(struct store_session *session)
{
    session->is_held = true;
}

void store_release(struct store_session *session)
{
    session->is_held = false;
    store_leave(session);
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
    uint64_t begin_ns = work_begins(session->store);
    if (found == NULL) /* whatever goes now, this key is not among it */
        evict_pay(shard, &room);
    while ((error = shard_put(shard, key, found, *meta, value)) == STORE_ENOMEM &&
           evict_make_room(shard, &room)) {
        found = shard_find(shard, key, session->now_ms, &again) ? &again : NULL;
        room.tries++;
        ebb_heap_exempt(shard->items, evict_must_give_way(shard, &room));
    }
    ebb_heap_exempt(shard->items, false);
    if (room.tries > 0)
        work_ended(session->store, STORE_WORK_EVICT, begin_ns);
    if (error == STORE_ENOMEM)
        stat_add(&shard->stats.rejected_memory, 1);
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
    shard_delete(shard, &found);
    stat_add(&shard->stats.deletes, 1);
    return true;
}

/* The few bytes more that a time or a number takes are not refused for the sake of the limit, as
 * Redis does not: upkeep makes up for them. */
static int relabel(struct shard *shard, struct found *found, struct item_meta meta)
{
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
    return relabel(shard, &found, meta) == STORE_OK;
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
    return relabel(shard, &found, meta) == STORE_OK ? meta.cas : 0;
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
    return meta.marks == found.item.meta.marks || relabel(shard, &found, meta) == STORE_OK;
}

bool store_set_cas(struct store_session *session, const struct store_key *key, uint64_t unique)
{
    struct shard *shard = session_shard(session, key);
    struct found found;
    if (!shard_find(shard, key, session->now_ms, &found))
        return false;
    struct item_meta meta = found.item.meta;
    meta.cas = unique;
    return relabel(shard, &found, meta) == STORE_OK;
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
    return relabel(shard, &found, meta) == STORE_OK;
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
        relabel(shard, &found,
                meta); /* without memory for four bytes more the next time is as this */
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
