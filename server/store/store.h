/* SPDX-License-Identifier: MIT */
/* store.h: the keyspace. Keys and values in shards; the only user of alloc/.
 *
 *   store -> shard -> index (hash -> ref) -> item (header, key, value: one movable block)
 *
 * Locks. A worker has one store_session. store_enter() makes sure the shard of a key is locked and
 * keeps it so until another one is entered; store_leave() lets go of everything. All
 * calls below that take a session and a key want that key's shard entered.
 *
 * Lifetimes. Bytes in a struct store_value lie in the item itself: they are good until the next
 * call that changes the store through the same session, or store_enter()/store_leave(). With a pin
 * (store_pin()) they are good until that is taken away.
 *
 * Times are unix milliseconds. The session's `now_ms` is set by the caller for a batch; an item
 * whose time has come is as good as gone for every call here.
 */
#ifndef EBB_STORE_H
#define EBB_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "use.h"

struct store;
struct shard;

#define STORE_SHARDS_MAX      64u
#define STORE_DATABASES_MAX   256u
#define STORE_KEY_MAX_BYTES   (512u * 1024 * 1024)
#define STORE_VALUE_MAX_BYTES (512u * 1024 * 1024)

enum store_error {
    STORE_OK = 0,
    STORE_ENOMEM = -1,  /* no memory: nothing changed */
    STORE_ETOOBIG = -2, /* key or value over its maximum: nothing changed */
    STORE_ENOKEY = -3,  /* the key is not there */
    STORE_EPAGES = -4,  /* of store_create(): the system's pages are not those of the allocator */
};

/* What a client may have to wait for beside its own command. */
enum store_work { STORE_WORK_EXPIRE, STORE_WORK_EVICT, STORE_WORK_COMPACT };

struct store_config {
    unsigned shard_count;    /* power of two, 1 .. STORE_SHARDS_MAX */
    unsigned database_count; /* 1 .. STORE_DATABASES_MAX */
    size_t reserve_bytes;    /* address range for values; 0: the allocator's default */
    /* Told why upkeep acts, a line at a time, at most once a second; NULL: nobody. */
    void (*explain)(void *context, const char *line);
    void *explain_context;
    /* Told of work that took long (store_set_slow), from any thread; may not call the store. NULL:
     * nobody. */
    void (*slow)(void *context, enum store_work work, uint64_t ns);
    void *slow_context;
    uint64_t (*now_ms)(void); /* unix time for upkeep; NULL: the system's */
};

int store_create(struct store **store, const struct store_config *config);
void store_destroy(struct store *store);

struct store_session {
    struct store *store;
    int64_t now_ms;
    uint64_t locked;        /* shards, one bit each */
    bool is_held;           /* between store_hold() and store_release(): store_leave() keeps them */
    size_t item_bytes;      /* of the item that the last store_set() or store_join() has made, or
                               store_delete() ended; 0: a value that was gone at once */
    uint64_t room_since_ns; /* monotonic: when a write first found no memory and had to make room
                               since the caller has set this to 0 */
};
void store_session_init(struct store_session *session, struct store *store);

struct store_key {
    const char *data;
    size_t len;
    unsigned database; /* the store's own number of it, which store_swap() does not change */
    uint64_t hash;
};
/* Names a key: hashes it. `data` must stay until the key is no longer used. */
struct store_key store_key(const struct store *store, unsigned database, const char *data,
                           size_t len);

void store_enter(struct store_session *session, const struct store_key *key);
/* Both in one; and the key is of the database that has the number while its shard is entered. */
struct store_key store_enter_name(struct store_session *session, unsigned database,
                                  const char *data, size_t len);
/* Whether keys named before their shards were entered are of another database since (store_swap).
 */
bool store_is_renumbered(const struct store_session *session, unsigned database,
                         const struct store_key *key);
/* For several keys: all their shards at once, so that a command over them is atomic. Also asks the
 * processor for the memory that lookups of them will touch, buckets first and then items. */
void store_enter_keys(struct store_session *session, const struct store_key *keys, size_t count);
/* Asks for the memory alone: for the keys of a batch of commands, at most STORE_EXPECT_MAX, that
 * enter one by one. Workers who had all shards of their batches would wait for each other. */
#define STORE_EXPECT_MAX 64u
void store_expect_keys(struct store_session *session, const struct store_key *keys, size_t count);
void store_enter_all(struct store_session *session);
/* For keys that are not at hand all at once: the shards as bits, from store_shard_of(). */
#define STORE_ALL_SHARDS (~UINT64_C(0))
uint64_t store_shard_of(const struct store *store, uint64_t hash);
void store_enter_shards(struct store_session *session, uint64_t shards);
void store_leave(struct store_session *session);
/* The same if there is another worker: who has all there is may as well keep it. */
void store_share(struct store_session *session);
/* A transaction: what is entered now stays so until store_release(), whatever handlers leave. What
 * they enter in between must be among it; calls that lock shards by themselves want all entered. */
void store_hold(struct store_session *session);
void store_release(struct store_session *session);

/* What memcached's meta commands note of a value. All go when it is set anew. */
enum store_mark {
    STORE_STALE = 1,      /* to be made anew */
    STORE_WON = 2,        /* somebody has been told to make it anew */
    STORE_BINARY_KEY = 4, /* its key was given in base64 */
    STORE_FETCHED = 8,    /* it has been read: noted of every item, by either protocol */
};

struct store_value {
    const char *data;
    size_t len;
    int64_t expire_ms; /* 0: never */
    uint32_t flags;    /* memcached's */
    /* Only told, never taken: */
    uint32_t header_bytes;
    unsigned marks;    /* enum store_mark, as before this use */
    uint64_t cas;      /* memcached's unique; 0: none given out yet */
    uint32_t access_s; /* the last use before this one, unix s; 0: unknown */
};

/* ---- one key; its shard is entered ---- */

/* A read that counts as a lookup (hit or miss) and as a use of the key. */
bool store_get(struct store_session *session, const struct store_key *key,
               struct store_value *value);
/* The same without use: for commands that ask about the key and not for its value. */
bool store_look(struct store_session *session, const struct store_key *key,
                struct store_value *value);
/* The same without counting either: for conditions and for commands that write. */
bool store_peek(struct store_session *session, const struct store_key *key,
                struct store_value *value);

#define STORE_KEEP_TTL (-1) /* expire_ms: the key's own, if it has one */
/* Sets key to the value (data is copied; it may lie in the same item). value->expire_ms in the past
 * deletes the key. STORE_OK, ENOMEM or ETOOBIG. */
int store_set(struct store_session *session, const struct store_key *key,
              const struct store_value *value);
/* The same for a value with marks and a unique of the caller's (0: none). */
int store_set_marked(struct store_session *session, const struct store_key *key,
                     const struct store_value *value, unsigned marks, uint64_t unique);
/* Sets the value's bytes to head + tail, keeping time and flags (no marks) of an existing item; one
 * of the two is usually the present value (append, prepend). Where the head is its beginning, the
 * item is continued in place if it can be, and no byte of it copied. */
int store_join(struct store_session *session, const struct store_key *key, const char *head,
               size_t head_len, const char *tail, size_t tail_len);
/* The value's bytes, to be changed where they lie; their number stays. Good until the next call
 * that changes the store but store_edited(), which is to follow once they have been changed.
 * STORE_OK, ENOKEY or ENOMEM. */
int store_edit(struct store_session *session, const struct store_key *key, char **bytes);
void store_edited(struct store_session *session, const struct store_key *key);
bool store_delete(struct store_session *session, const struct store_key *key);
/* expire_ms 0 removes the time; one in the past deletes. false: no such key. */
bool store_set_expire(struct store_session *session, const struct store_key *key,
                      int64_t expire_ms);
/* memcached's unique number of the present value: given out on first asking, new after each change.
 * 0: no such key, or no memory. May move the item. */
uint64_t store_cas_unique(struct store_session *session, const struct store_key *key);
/* A number that no value of the key will have: for one that is gone as soon as it is set. */
uint64_t store_cas_unused(struct store_session *session, const struct store_key *key);
/* Whether `unique` is still the number of the present value. */
bool store_cas_matches(struct store_session *session, const struct store_key *key, uint64_t unique);
/* Takes the marks `clear` from the key and gives it the marks `set`, with value and time as they
 * are. false: no such key, or no memory for the byte more. May move the item. */
bool store_mark(struct store_session *session, const struct store_key *key, unsigned set,
                unsigned clear);
/* Makes `unique` the number of the present value; 0: the next one that is asked for. */
bool store_set_cas(struct store_session *session, const struct store_key *key, uint64_t unique);
/* From now on the time of the key's last use is kept (four bytes). */
bool store_keep_access(struct store_session *session, const struct store_key *key);
/* Seconds since the key's last use. The first time that is what is known from the order of
 * eviction: no more than have passed. From then on the time is kept, and they are exact. false: no
 * such key. May move the item. */
bool store_idle(struct store_session *session, const struct store_key *key, uint32_t *seconds);
/* How often the key was used lately, as use_frequency() has it. false: no such key. */
bool store_frequency(struct store_session *session, const struct store_key *key,
                     unsigned *frequency);

/* ---- values that are being sent ---- */

struct store_pin {
    uint64_t ref;
    unsigned shard;
};
/* Keeps the bytes of a value that has just been read (its lifetime has not ended yet) where and as
 * they are until store_unpin(), whatever becomes of the key. false: no memory for that. */
bool store_pin(struct store_session *session, const struct store_key *key,
               const struct store_value *value, struct store_pin *pin);
/* Enters the shards itself and leaves everything. */
void store_unpin(struct store_session *session, const struct store_pin *pins, size_t count);

/* What a pin keeps that no key has any more; 0 while one has. Leaves everything. */
size_t store_pin_bytes_lost(struct store_session *session, const struct store_pin *pin);

/* ---- watching keys ---- */

/* One key watched by one owner; the memory is the owner's, the fields are the store's. */
struct store_watch {
    struct store_watch *next;
    const void *owner;
    uint64_t hash;
    int64_t expire_ms; /* the key's, when it was watched */
    unsigned database;
    bool was_there, is_changed;
};
/* The key's shard is entered. */
void store_watch(struct store_session *session, const struct store_key *key,
                 struct store_watch *watch, const void *owner);
bool store_is_watched(struct store_session *session, const struct store_key *key,
                      const void *owner);
/* Whether the key has been changed or has expired since; its shard is entered. */
bool store_watch_changed(const struct store_session *session, const struct store_watch *watch);
/* As store_shard_of(). store_swap() may put the watch into another shard: what is said here is sure
 * only while that shard is entered. */
uint64_t store_shard_of_watch(const struct store *store, const struct store_watch *watch);
/* Enters the shard itself. */
void store_unwatch(struct store_session *session, struct store_watch *watch);

/* ---- the whole keyspace; enters what it needs itself ---- */

size_t store_count(struct store *store, unsigned database);         /* keys, expired ones too */
size_t store_count_expires(struct store *store, unsigned database); /* of these, with a time */
/* Deletes every key of a database, or of all (STORE_ALL_DATABASES), before it returns. */
#define STORE_ALL_DATABASES (~0u)
void store_flush(struct store_session *session, unsigned database);
/* Lets two databases change their numbers; takes no longer for many keys. */
void store_swap(struct store_session *session, unsigned a, unsigned b);
/* Deletes every key of database 0 that is there when `at_ms` comes (memcached's flush_all with a
 * delay). One such time is kept: a later call replaces it, 0 takes it back. */
void store_flush_at(struct store_session *session, int64_t at_ms);

typedef void (*store_visit)(void *context, const char *key, size_t key_len,
                            const struct store_value *value);
/* Calls `visit` for some keys after `cursor` and returns the next cursor, 0 at the end (cursors
 * stay below 2^53). A key that is there from the first call to the last is given once; again only
 * if the index has grown many times over while the cursor waited. Gives at least one bucket's worth
 * and stops after `at_least` keys. `visit` may not call the store. */
uint64_t store_scan(struct store_session *session, unsigned database, uint64_t cursor,
                    size_t at_least, store_visit visit, void *context);
/* Calls `visit` for every key of the database, each exactly once: shard by shard, with no other
 * lock held, which others get at times (KEYS). A key that comes or goes meanwhile is given or not.
 * Leaves everything. */
void store_each(struct store_session *session, unsigned database, store_visit visit, void *context);
/* A key taken at random; `visit` is called once. false: the database is empty. */
bool store_random(struct store_session *session, unsigned database, store_visit visit,
                  void *context);
/* Bytes that the key costs: slot and index. 0: no such key. */
size_t store_usage(struct store_session *session, const struct store_key *key);

/* ---- upkeep: bounded background work, called from one thread only ---- */

/* From here on a wait means that there is nothing to do. */
#define STORE_IDLE_US 100000u
/* Does at most one slice (about 100 us) of what is due: expire, compact, trim. Returns the
 * microseconds after which it wants to be called again: STORE_IDLE_US or more, up to a second, when
 * there is nothing to do, and as long as nobody uses the store there will not be before then. */
uint64_t store_upkeep(struct store *store);
/* Compacts and trims everything that can be, in slices, before it returns (MEMORY PURGE). */
void store_purge(struct store_session *session);
/* The same a step at a time, each of about 100 us, or compaction alone. One purge at a time. */
struct store_purge {
    bool is_active, trims;
    unsigned shard;     /* being compacted; the number of shards: trimming */
    size_t slices_left; /* of that shard; 0: not begun */
};
void store_purge_begin(struct store_purge *purge, bool trims);
/* true: there is more to do. */
bool store_purge_step(struct store_session *session, struct store_purge *purge);

/* How much memory there may be, and who goes when there is no more. At the limit, writes make room:
 * compaction first, then eviction; where there is nothing to evict they are refused. */
struct store_limit {
    size_t pool_bytes;    /* of all spans, idle pages and metadata; SIZE_MAX: no limit */
    size_t ahead_bytes;   /* of it, what upkeep keeps free ahead of writers */
    size_t compact_bytes; /* with so much to be won by compaction nothing is evicted */
    enum use_order order; /* USE_NONE: nobody is evicted */
    bool is_volatile;     /* only items with an expiry time are evicted */
    bool is_pressed;      /* the system is short of memory: compact and trim all that can be */
};
/* Takes effect at once; what is held beyond it goes in
 * slices. Calls may come from any thread, one at a time. */
void store_set_limit(struct store *store, const struct store_limit *limit);
/* Bytes that the pool holds now, and how many of them are not resident, as far as known: some
 * pages of spans that nobody has written yet. Cheap. */
size_t store_pool_bytes(struct store *store, size_t *untouched_bytes);

/* Whether upkeep removes expired items before anybody asks for them; it does from the start. */
void store_set_active_expire(struct store *store, bool on);
/* Whether upkeep gives idle pages back; it does from the start. To see what that costs. */
void store_set_active_trim(struct store *store, bool on);
/* From which duration on config.slow is told of work; 0: never. */
void store_set_slow(struct store *store, uint64_t ns);
/* Upkeep explains itself from now on, or no longer. */
void store_set_explain(struct store *store, bool on);

/* ---- statistics ---- */

#include "stats.h"
/* Locks one shard after the other: the caller's session must have left. */
void store_stats(struct store *store, struct store_stats *stats);
/* Walks and compares everything; 0 or negative. */
int store_check(struct store *store);

#endif
