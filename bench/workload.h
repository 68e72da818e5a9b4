/* SPDX-License-Identifier: MIT */
/* workload.h: what the benchmarks store: workloads W1..W8, and the table of what is stored at
 * present. Keys and values are in values.h.
 *
 * W1..W8 are the workloads of RAMCloud (Rumble et al., FAST'14, table 1) at a smaller size: write
 * objects of `before` while random others are deleted so that the live bytes stay at a target;
 * delete a share of them at random; write objects of `after` in the same way.
 *
 * No clock, no socket, no allocator but libc's: used against servers and against bare heaps alike.
 */
#ifndef EBB_BENCH_WORKLOAD_H
#define EBB_BENCH_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "values.h"

struct workload {
    const char *name;
    struct sizes before;
    unsigned delete_percent;
    struct sizes after; /* most == 0: the workload ends after `before` */
};

#define WORKLOAD_COUNT 8
extern const struct workload workloads[WORKLOAD_COUNT];
#define WORKLOAD_VALUE_MAX 15000u

/* ---- what is stored ---- */

struct entry {
    uint64_t id;
    uint32_t bytes; /* of the value */
    uint32_t version;
};

struct table {
    struct entry *entries; /* dense, in no order */
    size_t count, capacity;
};

void table_add(struct table *table, struct entry entry);
/* Takes the entry at that place out; the last one moves there. */
struct entry table_remove(struct table *table, size_t at);
size_t table_pick(const struct table *table, struct prng *prng); /* the table is not empty */
void table_release(struct table *table);

/* What Ebb may cost at most for so many bytes of keys and values in so many items. */
double memory_bound(double user_bytes, double items);

/* Ends the program: a benchmark has no use for half a result. */
void *must_realloc(void *memory, size_t bytes);
void die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

#endif
