/* SPDX-License-Identifier: MIT */
/* histogram.c: see histogram.h. */
#include "histogram.h"

#include <math.h>

void histogram_merge(struct histogram *into, const struct histogram *from)
{
    for (unsigned b = 0; b < HISTOGRAM_BUCKETS; b++)
        into->buckets[b] += from->buckets[b];
    into->count += from->count;
    if (from->longest_ns > into->longest_ns)
        into->longest_ns = from->longest_ns;
}

/* The longest time that falls into the bucket. */
static uint64_t top_of(unsigned bucket)
{
    if (bucket < 2 * HISTOGRAM_STEPS)
        return bucket;
    unsigned doubling = bucket / HISTOGRAM_STEPS - 1;
    uint64_t step = bucket % HISTOGRAM_STEPS + HISTOGRAM_STEPS;
    return ((step + 1) << doubling) - 1;
}

uint64_t histogram_quantile(const struct histogram *histogram, double share)
{
    uint64_t wanted = (uint64_t)ceil(share * (double)histogram->count), seen = 0;
    if (histogram->count == 0)
        return 0;
    for (unsigned b = 0; b < HISTOGRAM_BUCKETS; b++) {
        seen += histogram->buckets[b];
        if (seen >= wanted && seen > 0)
            return top_of(b) < histogram->longest_ns ? top_of(b) : histogram->longest_ns;
    }
    return histogram->longest_ns;
}
