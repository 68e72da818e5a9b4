/* SPDX-License-Identifier: MIT */
/* session.c: which shards a worker has locked.
 *
 * A command enters the shard of its key, or those of all its keys; a batch of commands only asks
 * for the memory its keys lie in. Where one worker has all there is it has one shard, and never
 * waits.
 */
#include "store_internal.h"

void store_session_init(struct store_session *session, struct store *store)
{
    *session = (struct store_session){.store = store, .now_ms = (int64_t)store->now_ms()};
}

/* Of an item: most values end there. To look how long it is would be to wait for it, and of a
 * longer one the processor sees by itself that it is read from front to back. */
#define EXPECT_LINES 4u

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

/* What is fetched in vain does no harm, so nothing need be locked for it. false: there is none. */
UNLOCKED static inline bool expect_items(void *base, const volatile uint64_t *bucket, uint64_t hash)
{
    uint64_t word = (uint64_t)hash_tag(hash) << SLOT_TAG_SHIFT;
    unsigned found = bucket_find((const uint64_t *)(uintptr_t)bucket, SLOT_TAG_MASK, word);
    bool has_any = found != 0;
    for (; found != 0; found &= found - 1) {
        const char *item = ebb_at(base, slot_ref(bucket[__builtin_ctz(found)]));
        for (unsigned line = 0; line < EXPECT_LINES; line++)
            __builtin_prefetch(item + line * CACHE_LINE_BYTES);
    }
    return has_any;
}

/* Asks for all buckets first, then for the items that they name; a key that is not there may be one
 * that is about to be written, and was evicted not long ago. */
static void expect(const struct store *store, const struct store_key *keys, size_t count)
{
    const volatile uint64_t *buckets[STORE_EXPECT_MAX];
    for (size_t i = 0; i < count; i++) {
        const struct shard *shard = &store->shards[shard_index(store, keys[i].hash)];
        buckets[i] = index_guess(&shard->index, keys[i].hash);
        __builtin_prefetch((const void *)(uintptr_t)buckets[i]);
    }
    for (size_t i = 0; i < count; i++)
        if (!expect_items(store->shards[0].base, buckets[i], keys[i].hash))
            ghost_expect(&store->shards[shard_index(store, keys[i].hash)].evictor.ghost,
                         keys[i].hash);
}

void store_enter_keys(struct store_session *session, const struct store_key *keys, size_t count)
{
    uint64_t set = 0;
    for (size_t i = 0; i < count; i++)
        set |= UINT64_C(1) << shard_index(session->store, keys[i].hash);
    enter_set(session, set);
    for (size_t from = 0; from < count; from += STORE_EXPECT_MAX) {
        size_t left = count - from;
        expect(session->store, keys + from, left < STORE_EXPECT_MAX ? left : STORE_EXPECT_MAX);
    }
}

void store_expect_keys(struct store_session *session, const struct store_key *keys, size_t count)
{
    if (session->store->shard_count > 1)
        store_leave(session);
    else
        store_enter(session, keys); /* it has all of them, and stays entered */
    expect(session->store, keys, count);
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

void store_share(struct store_session *session)
{
    if (session->store->shard_count > 1)
        store_leave(session);
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
