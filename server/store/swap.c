/* SPDX-License-Identifier: MIT */
/* swap.c: two databases change their numbers. Items keep the store's own number and so stay where
 * they are; what clients call it is looked up when a key is named.
 */
#include "store_internal.h"

/* A key's hash in another database: they differ by a constant (key_hash()). */
static uint64_t hash_elsewhere(const struct store *store, const struct store_watch *watch,
                               unsigned to)
{
    return watch->hash - key_hash(store, watch->database, "", 0) + key_hash(store, to, "", 0);
}

struct wanted_hash {
    const struct shard *shard;
    uint64_t hash;
    int64_t now_ms;
};

static bool has_hash(void *context, ebb_ref ref)
{
    const struct wanted_hash *wanted = context;
    struct item_view item;
    item_read(ebb_at(wanted->shard->base, ref), &item);
    return !item_is_dead(&item.meta, wanted->now_ms) &&
           item_key(wanted->shard->store, &item).hash == wanted->hash;
}

/* The name of a watched key is not kept, but its hash is as good. */
static bool is_there(const struct store_session *session, uint64_t hash)
{
    const struct shard *shard = &session->store->shards[shard_index(session->store, hash)];
    struct wanted_hash wanted = {shard, hash, session->now_ms};
    struct index_at at;
    return index_find(&shard->index, hash, has_hash, &wanted, &at);
}

/* Out of all shards, as one list. */
static struct store_watch *take_watches(struct store *store, unsigned database)
{
    struct store_watch *all = NULL;
    for (unsigned s = 0; s < store->shard_count; s++) {
        struct store_watch *next;
        struct store_watch *watch = watches_take(&store->shards[s].watches, database);
        for (; watch != NULL; watch = next) {
            next = watch->next;
            watch->next = all;
            all = watch;
        }
    }
    return all;
}

/* A watched key is changed if it is there before or after. Its watch goes on in the database that
 * has the number now. */
static void move_watches(struct store_session *session, struct store_watch *watch, unsigned to)
{
    struct store *store = session->store;
    struct store_watch *next;
    for (; watch != NULL; watch = next) {
        next = watch->next;
        __atomic_store_n(&watch->hash, hash_elsewhere(store, watch, to), __ATOMIC_RELAXED);
        watch->database = to;
        watch->is_changed = watch->is_changed || watch->was_there || is_there(session, watch->hash);
        watches_add(&store->shards[shard_index(store, watch->hash)].watches, watch);
    }
}

void store_swap(struct store_session *session, unsigned a, unsigned b)
{
    struct store *store = session->store;
    store_enter_all(session);
    unsigned own_a = store->databases[a], own_b = store->databases[b];
    if (own_a != own_b) {
        struct store_watch *of_a = take_watches(store, own_a), *of_b = take_watches(store, own_b);
        move_watches(session, of_a, own_b);
        move_watches(session, of_b, own_a);
    }
    __atomic_store_n(&store->databases[a], (uint8_t)own_b, __ATOMIC_RELAXED);
    __atomic_store_n(&store->databases[b], (uint8_t)own_a, __ATOMIC_RELAXED);
    store_leave(session);
}
