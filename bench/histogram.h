/* SPDX-License-Identifier: MIT */
/* histogram.h: times in nanoseconds, counted in buckets of at most 1/32 of their value: exact below
 * 64 ns, off by 3 % at most above, up to five hours. 9 KiB, no memory of its own; the longest is
 * kept exactly.
 */
#ifndef EBB_BENCH_HISTOGRAM_H
#define EBB_BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_STEP_BITS 5 /* 32 buckets a doubling */
#define HISTOGRAM_STEPS     (1u << HISTOGRAM_STEP_BITS)
#define HISTOGRAM_DOUBLINGS 38
#define HISTOGRAM_BUCKETS   ((HISTOGRAM_DOUBLINGS + 2) * HISTOGRAM_STEPS)

struct histogram {
    uint64_t buckets[HISTOGRAM_BUCKETS];
    uint64_t count, longest_ns;
};

static inline unsigned histogram_bucket(uint64_t ns)
{
    if (ns < 2 * HISTOGRAM_STEPS)
        return (unsigned)ns;
    unsigned doubling = 63u - (unsigned)__builtin_clzll(ns) - HISTOGRAM_STEP_BITS;
    unsigned bucket =
        (doubling + 1) * HISTOGRAM_STEPS + (unsigned)(ns >> doubling) - HISTOGRAM_STEPS;
    return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

/* `times` times the same. */
static inline void histogram_add(struct histogram *histogram, uint64_t ns, uint64_t times)
{
    histogram->buckets[histogram_bucket(ns)] += times;
    histogram->count += times;
    if (ns > histogram->longest_ns)
        histogram->longest_ns = ns;
}

void histogram_merge(struct histogram *into, const struct histogram *from);
/* What that share (0.999) of all times does not exceed: the top of its bucket. 0: there are none.
 */
uint64_t histogram_quantile(const struct histogram *histogram, double share);

#endif
