/* SPDX-License-Identifier: MIT */
/* bed.h: an allocator on the test bed: the same objects in malloc or in a heap of Ebb's.
 *
 * Objects are numbered; a number is what the caller keeps. The contents of each follow from its
 * number and version and begin with the number: so Ebb's heap, when it moves an object, finds its
 * owner's entry, and so every object can be checked. The tables lie in mappings of their own and
 * are there before anything is measured: no allocator is charged for them.
 */
#ifndef EBB_BENCH_BED_H
#define EBB_BENCH_BED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../alloc/ebb_alloc.h"
#include "workload.h"

#define BED_OBJECT_LEAST 16u /* bytes: room for the number and the version */

enum bed_kind {
    BED_MALLOC,
    BED_EBB,
    BED_EBB_KEEP, /* the same, but nothing is ever given back: what trimming costs is the
                     difference */
};

union bed_handle {
    void *pointer;
    ebb_ref ref;
};

struct bed {
    enum bed_kind kind;
    struct prng prng;
    struct table table; /* entry.id is the number of an object */
    union bed_handle *handles;
    uint32_t *spare; /* numbers not in use */
    size_t spare_count, capacity;
    uint64_t live_bytes; /* as asked for */
    uint64_t operations; /* objects made or freed */
    uint32_t next_version;
    struct ebb_pool *pool;
    struct ebb_heap *heap;
    void *base;
    uint64_t upkeep_ns;    /* when it is due */
    uint64_t slice_ns;     /* the longest */
    size_t base_rss_bytes; /* of the process before the first object */
};

/* Room for so many objects at once. */
void bed_open(struct bed *bed, enum bed_kind kind, size_t capacity, uint64_t seed);
void bed_close(struct bed *bed);

/* Makes an object and writes it. */
void bed_add(struct bed *bed, uint32_t bytes);
/* Frees the one at that place in the table. */
void bed_drop(struct bed *bed, size_t at);
/* Adds objects until so many bytes have been written; random others go so that live_bytes stays. */
void bed_write(struct bed *bed, struct sizes sizes, uint64_t live_bytes, uint64_t bytes);
void bed_thin(struct bed *bed, size_t left);
/* Time without allocations. Ebb's upkeep goes on, as from a timer; malloc has nothing to do. */
void bed_rest(struct bed *bed, uint64_t ms);
/* Compares every byte of every object; ends the program if one is wrong. */
void bed_verify(const struct bed *bed);
/* Resident bytes beyond those before the first object, exactly. */
double bed_resident(const struct bed *bed);

/* Page faults and processor time of this process so far. */
struct bed_cost {
    double cpu_seconds, faults;
};
struct bed_cost bed_cost(void);

#endif
