/* SPDX-License-Identifier: MIT */
/* ghost.c: fingerprints of evicted keys in buckets of one cache line. See ghost.h. */
#include "ghost.h"

#include <stdlib.h>

_Static_assert(sizeof(struct ghost_bucket) == 64, "a bucket is a cache line");

void ghost_resize(struct ghost *ghost, size_t keys)
{
    size_t count = keys / GHOST_BUCKET_KEYS;
    free(ghost->buckets);
    *ghost = (struct ghost){0};
    if (count == 0 || count > UINT32_MAX)
        return;
    ghost->buckets = calloc(count, sizeof *ghost->buckets);
    ghost->count = ghost->buckets == NULL ? 0 : (uint32_t)count;
}

size_t ghost_keys(const struct ghost *ghost)
{
    return (size_t)ghost->count * GHOST_BUCKET_KEYS;
}

size_t ghost_bytes(const struct ghost *ghost)
{
    return (size_t)ghost->count * sizeof *ghost->buckets;
}

/* Which of so many buckets. */
static size_t place_of(uint32_t count, uint64_t hash)
{
    return (hash & UINT32_MAX) * count >> 32;
}

static struct ghost_bucket *bucket_of(const struct ghost *ghost, uint64_t hash)
{
    return ghost->buckets + place_of(ghost->count, hash);
}

/* Of bits that do not choose the bucket. */
static uint16_t print_of(uint64_t hash)
{
    uint16_t print = (uint16_t)(hash >> 32);
    return print == 0 ? 1 : print;
}

/* What is read while it is made anew leads nowhere, and nothing is read there. */
__attribute__((no_sanitize("thread"))) void ghost_expect(const struct ghost *ghost, uint64_t hash)
{
    if (ghost->count > 0)
        __builtin_prefetch(ghost->buckets + place_of(ghost->count, hash));
}

static void put(struct ghost *ghost, uint64_t hash)
{
    struct ghost_bucket *bucket = bucket_of(ghost, hash);
    bucket->prints[bucket->next] = print_of(hash);
    bucket->next = (uint16_t)((bucket->next + 1) % GHOST_BUCKET_KEYS);
}

void ghost_add(struct ghost *ghost, uint64_t hash)
{
    if (ghost->count == 0)
        return;
    ghost_expect(ghost, hash);
    if (ghost->coming != 0)
        put(ghost, ghost->coming);
    ghost->coming = hash;
}

bool ghost_take(struct ghost *ghost, uint64_t hash)
{
    if (ghost->count == 0)
        return false;
    if (ghost->coming == hash && hash != 0) {
        ghost->coming = 0;
        return true;
    }
    struct ghost_bucket *bucket = bucket_of(ghost, hash);
    uint16_t print = print_of(hash);
    for (unsigned i = 0; i < GHOST_BUCKET_KEYS; i++) {
        if (bucket->prints[i] != print)
            continue;
        bucket->prints[i] = 0;
        return true;
    }
    return false;
}
