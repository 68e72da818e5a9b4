/* SPDX-License-Identifier: MIT */
/* ghost.h: which keys were evicted not long ago. Two bytes a key: 16 bits of its hash, in the order
 * of leaving within a bucket of one cache line; the oldest of a bucket is forgotten for the next.
 * So it holds about as many keys as it has room for, and mistakes a stranger for one of them once
 * in some 2000 times.
 */
#ifndef EBB_STORE_GHOST_H
#define EBB_STORE_GHOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GHOST_BUCKET_KEYS 31u

struct ghost_bucket {
    uint16_t prints[GHOST_BUCKET_KEYS]; /* 0: none */
    uint16_t next;                      /* the oldest: where the next goes */
};

struct ghost {
    struct ghost_bucket *buckets; /* from libc: a mapping of its own once it is large */
    uint32_t count;
    uint64_t coming; /* the last one added: its bucket is on its way into the cache; 0: none */
};

/* Room for so many keys; forgets everything. 0 keys frees it. Without memory there is no ghost. */
void ghost_resize(struct ghost *ghost, size_t keys);
size_t ghost_keys(const struct ghost *ghost); /* it has room for */
size_t ghost_bytes(const struct ghost *ghost);
void ghost_add(struct ghost *ghost, uint64_t hash);
/* Asks for the key's memory; also for who has no lock. */
void ghost_expect(const struct ghost *ghost, uint64_t hash);
/* Whether it holds the key, which it then forgets. */
bool ghost_take(struct ghost *ghost, uint64_t hash);

#endif
