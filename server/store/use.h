/* SPDX-License-Identifier: MIT */
/* use.h: what eight bits of an index slot remember of an item's use, and who is evicted first.
 * Pure.
 *
 *   S3       [ epoch 5 ][ main 1 ][ hits 2 ]   S3-FIFO (Yang et al., SOSP'23) without queues
 *   LRU      [ epoch 8                     ]   of the last use
 *   LFU      [ hits, logarithmic 4 ][ epoch 4 ]
 *   random, TTL: nothing
 *
 * An epoch is a stretch of time measured in bytes that came in, a part of what the kind holds: so
 * eight of them (S3), 64 (LRU) or one (LFU) pass while all of it is replaced once. Victims are
 * chosen from a sample; an item that outlives all epochs would look young again, but long before
 * that it has been in a sample, as the oldest.
 *
 * S3: an item is born small. One in ten bytes is small; what is hit more than once while small
 * moves to main, what is not goes, and its hash is remembered (ghost.h): if it comes back it is
 * born main. In main each hit spares an item once. Bits may be read by another order than wrote
 * them (CONFIG SET): they are then a bad guess for as long as it takes to replace them.
 */
#ifndef EBB_STORE_USE_H
#define EBB_STORE_USE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum use_order { USE_NONE, USE_S3, USE_LRU, USE_LFU, USE_RANDOM, USE_TTL, USE_ORDER_COUNT };
const char *use_order_name(enum use_order order);

#define USE_MAIN          4u /* this bit means main whatever the order: its bytes are counted */
#define USE_SMALL_PERCENT 10u
#define USE_RANK_KIND     256u /* ranks from here on are of the wanted kind */
#define USE_EPOCHS        32u  /* of S3: what use_age() is below */

struct use_clock {
    uint8_t now;
    size_t bytes; /* that came in since the last tick */
};

/* The time of one shard. */
struct use_clocks {
    struct use_clock small, main; /* orders without kinds use `small` */
};

/* Counts bytes that came in as that kind, which now holds kind_bytes of all_bytes. true: a tick. */
bool use_advance(enum use_order order, struct use_clocks *clocks, bool is_main, size_t bytes,
                 size_t kind_bytes, size_t all_bytes);

/* The use of a new item; is_known: it was evicted not long ago. */
unsigned use_born(enum use_order order, const struct use_clocks *clocks, bool is_known);
#define S3_HITS 3u /* these bits count them */
unsigned use_hit_other(enum use_order order, const struct use_clocks *clocks, unsigned use,
                       uint64_t random);
/* After a hit. The same as before in most cases: then the slot need not be written. */
static inline unsigned use_hit(enum use_order order, const struct use_clocks *clocks, unsigned use,
                               uint64_t random)
{
    if (order != USE_S3)
        return use_hit_other(order, clocks, use, random);
    return (use & S3_HITS) < S3_HITS ? use + 1 : use;
}
/* The higher goes the sooner. At least USE_RANK_KIND: of the kind that should go now. */
unsigned use_rank(enum use_order order, const struct use_clocks *clocks, unsigned use,
                  bool wants_small);
/* Whether the chosen victim is spared after all, with the use it has from then on. */
bool use_spares(enum use_order order, const struct use_clocks *clocks, unsigned *use);
/* Whether nobody hit it since it came in; false where that is not known. */
bool use_is_unfetched(enum use_order order, unsigned use);
/* The epochs since it came in (S3) or was used (LRU), in units of S3's epochs; 0 where unknown. */
unsigned use_age(enum use_order order, const struct use_clocks *clocks, unsigned use);
/* How often it was used lately, 0 to 15, logarithmic from 3 on (LFU); 0 where unknown. */
unsigned use_frequency(enum use_order order, const struct use_clocks *clocks, unsigned use);
/* Whether it is known that it was last used in an epoch that is over; *next is then the first epoch
 * of its clock (S3: the main one if it is main) after that. */
bool use_is_idle(enum use_order order, const struct use_clocks *clocks, unsigned use,
                 unsigned *next);

#endif
