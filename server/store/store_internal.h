/* SPDX-License-Identifier: MIT */
/* store_internal.h: struct store, for the files of store/ only. */
#ifndef EBB_STORE_INTERNAL_H
#define EBB_STORE_INTERNAL_H

#include "shard.h"

/* The upkeep thread's own. */
struct upkeep {
    unsigned turn;       /* the shard whose turn it is */
    uint64_t compacting; /* 1: the last round left something to do */
    int64_t flush_at_ms; /* a flush_all that waits for its time, 0: none */
    size_t changes;      /* to the keyspace, at the last look */
    uint64_t slices_ns;  /* what slices had taken at the last look */
    uint64_t called_ns;  /* when that was */
    int64_t credit_ns;   /* what slices and trimming may take now; negative: they have taken more */
};

struct store {
    struct store_limit limit; /* its fields are read by all, atomically */
    bool is_near;             /* to the limit: new items pay for themselves */
    struct ebb_pool *pool;
    unsigned shard_count, database_count;
    uint8_t databases[STORE_DATABASES_MAX]; /* by number; changed with all shards locked */
    unsigned char *secret;                  /* of the hash */
    uint64_t (*now_ms)(void);
    struct shard *shards;
    struct upkeep upkeep; /* the upkeep thread's; others read its numbers */
    void (*explain)(void *context, const char *line);
    void *explain_context;
    void (*slow)(void *context, enum store_work work, uint64_t ns);
    void *slow_context;
    uint64_t slow_ns; /* 0: nobody is told; changed atomically */
    bool explain_on;
    bool expire_off, trim_off; /* changed atomically, like explain_on */
    uint64_t explained_ns;     /* when it was last told */
    size_t live_peak_bytes;
    struct store_class_counts classes[EBB_CLASS_COUNT + 1]; /* changed atomically: all shards' */
};

static inline struct store_class_counts *class_counts_of(struct store *store, size_t item_bytes)
{
    return &store->classes[ebb_class_of(item_bytes)];
}

/* These events are rare beside what they cost. */
static inline void class_count(uint64_t *counter, uint64_t n)
{
    __atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

/* The store's own number of the database that clients know by that one. */
static inline unsigned database_of(const struct store *store, unsigned number)
{
    return __atomic_load_n(&store->databases[number], __ATOMIC_RELAXED);
}

static inline unsigned shard_index(const struct store *store, uint64_t hash)
{
    return (unsigned)(hash >> 58) & (store->shard_count - 1);
}

static inline struct shard *session_shard(const struct store_session *session,
                                          const struct store_key *key)
{
    return &session->store->shards[shard_index(session->store, key->hash)];
}

/* Locks one shard for a moment, for calls without a session. */
static inline struct shard *shard_lock(struct store *store, unsigned index)
{
    pthread_mutex_lock(&store->shards[index].lock);
    return &store->shards[index];
}

static inline void shard_unlock(struct shard *shard)
{
    pthread_mutex_unlock(&shard->lock);
}

/* When work begins, 0 if nobody wants to know how long it takes; and when it has ended. */
uint64_t work_begins(const struct store *store);
void work_ended(const struct store *store, enum store_work work, uint64_t begin_ns);

/* Whether somebody wants explanations and the last one is long enough ago; notes this one. */
bool store_may_explain(struct store *store);
#define SLICE_NS 100000u /* of work under a shard's lock */

/* slice.c; the shard is locked */
/* Reaps expired items until the deadline. true: there were spans to look at. */
bool slice_expire(struct shard *shard, uint64_t deadline_ns);
void shard_slice(struct store *store, struct shard *shard);
size_t slice_reclaimable(const struct shard *shard); /* by compaction, of both heaps */
/* Compacts both heaps of a shard until the deadline. true: there is more to win. */
bool slice_compact(struct shard *shard, enum ebb_urge urge, uint64_t deadline_ns,
                   enum ebb_reason *reason);
uint64_t upkeep_now_ns(void); /* monotonic */

#endif
