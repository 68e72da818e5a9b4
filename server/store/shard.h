/* SPDX-License-Identifier: MIT */
/* shard.h: one part of the keyspace: lock, index, items. For the files of store/ only.
 *
 * All functions want the shard's lock held. A `struct found` and every pointer into an item is good
 * until the next call that changes the shard. Nothing here moves an item but the upkeep's
 * compaction and, in `make hard`, store_leave().
 */
#ifndef EBB_STORE_SHARD_H
#define EBB_STORE_SHARD_H

#include <pthread.h>

#include "ghost.h"
#include "index.h"
#include "item.h"
#include "store.h"
#include "use.h"
#include "watch.h"

#define CACHE_LINE_BYTES 64

/* Counters that others read without the lock. */
static inline void stat_add(size_t *counter, size_t n)
{
    __atomic_store_n(counter, __atomic_load_n(counter, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

static inline size_t stat_read(const size_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

struct shard_stats {
    size_t key_bytes, value_bytes, header_bytes;
    size_t lookups, hits, sets, deletes;
    size_t expired_lazy, expired_active, expired_bytes;
    size_t evicted[STORE_EVICT_REASONS], evicted_bytes[STORE_EVICT_REASONS];
    size_t evicted_unfetched, evicted_early;
    size_t evicted_ages[STORE_AGE_BUCKETS], evicted_age_seconds; /* of victims of known age */
    size_t rejected_memory;
    size_t lock_waits, lock_wait_ns; /* of workers that found the shard locked */
    size_t large_item_bytes;         /* of items above EBB_LARGE_BYTES */
    size_t stored_sizes[STORE_SIZE_BUCKETS], stored_bytes;
};

/* Upkeep's slices of a shard. Written with the lock held, but `wanted`; read without. */
struct slices {
    unsigned wanted;          /* upkeep found the shard busy: whoever has it runs so many slices,
                                 one each time it lets go */
    bool has_more;            /* the last one left something to do */
    int64_t overdue_ms;       /* how late the most overdue visit was */
    int64_t due_ms;           /* of the next visit, after the last slice; 0: none */
    size_t reclaimable_bytes; /* by compaction, after the last one */
    unsigned compactions;     /* which heap is first */
    size_t untouched_bytes;   /* in spans, after the last one: not resident yet */
    uint64_t by_duration[STORE_STEP_BUCKETS];
    uint64_t count, ns, max_ns;
};

/* Random numbers that say where a sample is looked for. */
struct draw {
    uint64_t segments[2], slot;
};

/* Who goes next, if by then nothing has become of him: the word must be where it was. */
struct chosen {
    uint64_t word;  /* 0: nobody */
    uint64_t entry; /* of the segment, as it was */
    uint32_t prefix, slot;
};

/* Who is evicted when; victim.c. */
struct evictor {
    struct use_clocks clocks;
    struct draw draw; /* the next one */
    struct chosen chosen;
    struct ghost ghost;
    size_t small_bytes;              /* of items without USE_MAIN */
    ptrdiff_t owed_bytes;            /* by new items, in evictions */
    size_t ghost_bytes;              /* read by others */
    int64_t began_ms[2][USE_EPOCHS]; /* when the last epochs of small and main began */
};

struct shard {
    _Alignas(CACHE_LINE_BYTES) pthread_mutex_t lock;
    unsigned waiting; /* workers that want the lock: upkeep then lets them */
    struct index index;
    struct ebb_heap *items, *segments;
    void *base; /* of the pool */
    struct store *store;
    uint64_t cas_last; /* given out; never again */
    uint64_t random;   /* state of a small generator, for random keys */
    struct watches watches;
    struct shard_stats stats;
    struct slices slices;
    struct evictor evictor;
    size_t *keys, *expires; /* by database */
};

int shard_init(struct shard *shard, struct store *store, struct ebb_pool *pool,
               unsigned database_count, uint64_t seed);
void shard_release(struct shard *shard);
uint64_t shard_random(struct shard *shard);

/* An item and where the index has it. */
struct found {
    struct index_at at;
    ebb_ref ref;
    struct item_view item;
};

/* The key's item, dead or alive. */
bool shard_find_any(struct shard *shard, const struct store_key *key, struct found *found);
/* The key's item; one whose time has come is deleted and not found. */
bool shard_find(struct shard *shard, const struct store_key *key, int64_t now_ms,
                struct found *found);
void shard_delete(struct shard *shard, const struct found *found);

/* Value bytes in two pieces, either empty; they may lie in the item that is replaced. */
struct pieces {
    const char *head, *tail;
    size_t head_len, tail_len;
};
/* Whether the bytes of an item may be changed where they lie: nobody is reading them without the
 * lock. Who may not must put a new item in its place. */
bool shard_may_change(const struct shard *shard, ebb_ref ref);
/* Gives the key a value. `found` is its present item, or NULL. meta's lengths are filled in here.
 */
int shard_put(struct shard *shard, const struct store_key *key, const struct found *found,
              struct item_meta meta, const struct pieces *value);
/* Gives the item another meta with the same key and value; *found is updated. Takes memory for a
 * header that has become longer, for the whole item if that does not fit its slot. */
int shard_relabel(struct shard *shard, struct found *found, struct item_meta meta);
/* Whether that would be a large item, because somebody is reading the one that is there. */
bool shard_relabel_copies_much(const struct shard *shard, const struct found *found,
                               const struct item_meta *meta);
void shard_flush(struct shard *shard, unsigned database);

/* The key has been changed in a way that whoever watches it is to hear of. */
static inline void shard_note_change(struct shard *shard, const struct store_key *key)
{
    if (__builtin_expect(shard->watches.count != 0, 0))
        watches_note(&shard->watches, key->hash);
}

static inline bool item_is_dead(const struct item_meta *meta, int64_t now_ms)
{
    return meta->expire_ms != 0 && meta->expire_ms <= now_ms;
}

/* `database` is the store's own number here and in items, whatever clients call it. */
uint64_t key_hash(const struct store *store, unsigned database, const char *key, size_t len);

static inline struct store_key item_key(const struct store *store, const struct item_view *item)
{
    const struct item_meta *meta = &item->meta;
    return (struct store_key){item->key, meta->key_len, meta->database,
                              key_hash(store, meta->database, item->key, meta->key_len)};
}

#endif
