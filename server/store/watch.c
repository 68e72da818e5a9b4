/* SPDX-License-Identifier: MIT */
/* watch.c: a small hash table of watches in each shard that has some, and what store.h says of
 * them. The promise is Redis's: a watch is changed once its key was set, changed, expired or
 * deleted, through whatever connection or protocol.
 */
#include "watch.h"

#include <stdlib.h>

#include "store_internal.h"

static struct store_watch **buckets_of(struct watches *watches, size_t *count)
{
    *count = watches->many == NULL ? WATCHES_FEW : watches->bucket_count;
    return watches->many == NULL ? watches->few : watches->many;
}

static struct store_watch **bucket_of(struct watches *watches, uint64_t hash)
{
    size_t count;
    struct store_watch **buckets = buckets_of(watches, &count);
    return &buckets[hash & (count - 1)]; /* the upper bits have chosen the shard */
}

static void link_in(struct watches *watches, struct store_watch *watch)
{
    struct store_watch **bucket = bucket_of(watches, watch->hash);
    watch->next = *bucket;
    *bucket = watch;
}

/* Without memory the chains just get longer. */
static void grow(struct watches *watches)
{
    size_t old_count;
    struct store_watch **old = buckets_of(watches, &old_count);
    struct store_watch **many = calloc(old_count * 2, sizeof(struct store_watch *));
    if (many == NULL)
        return;
    struct store_watch **old_many = watches->many;
    watches->many = many;
    watches->bucket_count = old_count * 2;
    for (size_t i = 0; i < old_count; i++) {
        struct store_watch *next;
        for (struct store_watch *watch = old[i]; watch != NULL; watch = next) {
            next = watch->next;
            link_in(watches, watch);
        }
        old[i] = NULL;
    }
    free(old_many);
}

void watches_add(struct watches *watches, struct store_watch *watch)
{
    size_t bucket_count;
    buckets_of(watches, &bucket_count);
    if (watches->count >= 2 * bucket_count)
        grow(watches);
    link_in(watches, watch);
    watches->count++;
}

static void forget(struct watches *watches, size_t count)
{
    watches->count -= count;
    if (watches->count > 0 || watches->many == NULL)
        return;
    free(watches->many);
    watches->many = NULL;
}

void watches_remove(struct watches *watches, struct store_watch *watch)
{
    struct store_watch **link = bucket_of(watches, watch->hash);
    while (*link != watch)
        link = &(*link)->next;
    *link = watch->next;
    forget(watches, 1);
}

bool watches_has(struct watches *watches, const struct store_key *key, const void *owner)
{
    const struct store_watch *watch = *bucket_of(watches, key->hash);
    while (watch != NULL && !(watch->hash == key->hash && watch->owner == owner))
        watch = watch->next;
    return watch != NULL;
}

void watches_note(struct watches *watches, uint64_t hash)
{
    struct store_watch *watch = *bucket_of(watches, hash);
    for (; watch != NULL; watch = watch->next)
        watch->is_changed = watch->is_changed || watch->hash == hash;
}

static bool is_of(const struct store_watch *watch, unsigned database)
{
    return database == STORE_ALL_DATABASES || watch->database == database;
}

void watches_note_flush(struct watches *watches, unsigned database)
{
    size_t count;
    struct store_watch **buckets = buckets_of(watches, &count);
    for (size_t i = 0; i < count; i++) {
        struct store_watch *watch = buckets[i];
        for (; watch != NULL; watch = watch->next)
            watch->is_changed |= is_of(watch, database) && watch->was_there;
    }
}

struct store_watch *watches_take(struct watches *watches, unsigned database)
{
    struct store_watch *taken = NULL;
    size_t bucket_count, count = 0;
    struct store_watch **buckets = buckets_of(watches, &bucket_count);
    for (size_t i = 0; i < bucket_count; i++) {
        struct store_watch **link = &buckets[i];
        while (*link != NULL) {
            struct store_watch *watch = *link;
            if (!is_of(watch, database)) {
                link = &watch->next;
                continue;
            }
            *link = watch->next;
            watch->next = taken;
            taken = watch;
            count++;
        }
    }
    forget(watches, count);
    return taken;
}

/* ---- what store.h says ---- */

bool store_is_watched(struct store_session *session, const struct store_key *key, const void *owner)
{
    return watches_has(&session_shard(session, key)->watches, key, owner);
}

void store_watch(struct store_session *session, const struct store_key *key,
                 struct store_watch *watch, const void *owner)
{
    struct shard *shard = session_shard(session, key);
    struct found found;
    *watch = (struct store_watch){.hash = key->hash, .database = key->database, .owner = owner};
    if (shard_find(shard, key, session->now_ms, &found)) {
        watch->was_there = true;
        watch->expire_ms = found.item.meta.expire_ms;
    }
    watches_add(&shard->watches, watch);
}

bool store_watch_changed(const struct store_session *session, const struct store_watch *watch)
{
    return watch->is_changed || (watch->expire_ms != 0 && watch->expire_ms <= session->now_ms);
}

uint64_t store_shard_of_watch(const struct store *store, const struct store_watch *watch)
{
    return store_shard_of(store, __atomic_load_n(&watch->hash, __ATOMIC_RELAXED));
}

void store_unwatch(struct store_session *session, struct store_watch *watch)
{
    uint64_t shard;
    do {
        shard = store_shard_of_watch(session->store, watch);
        store_enter_shards(session, shard);
    } while (shard != store_shard_of_watch(session->store, watch));
    watches_remove(&session->store->shards[shard_index(session->store, watch->hash)].watches,
                   watch);
}
