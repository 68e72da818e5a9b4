/* SPDX-License-Identifier: MIT */
/* counters.c: arithmetic on struct counters. The struct is nothing but 64-bit counters, so sums and
 * differences treat it as one array; a new counter needs no code here.
 */
#include "counters.h"

#include <stddef.h>

#define COUNTERS_WORDS (sizeof(struct counters) / sizeof(uint64_t))

_Static_assert(sizeof(struct counters) % sizeof(uint64_t) == 0, "counters are 64-bit words");

const double counters_duration_bounds[COUNTERS_DURATION_BUCKETS - 1] = {
    1e-6,   2.5e-6, 5e-6,   10e-6, 25e-6, 50e-6, 100e-6, 250e-6,
    500e-6, 1e-3,   2.5e-3, 5e-3,  10e-3, 25e-3, 100e-3, 1};

static const uint64_t bounds_ns[COUNTERS_DURATION_BUCKETS - 1] = {
    1000,   2500,    5000,    10000,   25000,    50000,    100000,    250000,
    500000, 1000000, 2500000, 5000000, 10000000, 25000000, 100000000, 1000000000};

static size_t bucket_of(uint64_t ns)
{
    size_t bucket = 0;
    while (bucket < COUNTERS_DURATION_BUCKETS - 1 && ns > bounds_ns[bucket])
        bucket++;
    return bucket;
}

void counters_record(struct counters *counters, enum command_family family, uint64_t ns,
                     uint64_t commands)
{
    counter_add(&counters->duration[family][bucket_of(ns / commands)], commands);
    counter_add(&counters->duration_ns[family], ns);
}

void counters_record_requests(struct counters *counters, enum protocol protocol, uint64_t ns,
                              uint64_t commands)
{
    counter_add(&counters->request[protocol][bucket_of(ns)], commands);
    counter_add(&counters->request_ns[protocol], ns * commands);
}

void counters_record_stall(struct counters *counters, uint64_t ns)
{
    counter_add(&counters->stall[bucket_of(ns)], 1);
    counter_add(&counters->stall_ns, ns);
}

void counters_sum(struct counters *to, const struct counters *from)
{
    uint64_t *sum = (uint64_t *)to;
    const uint64_t *word = (const uint64_t *)from;
    for (size_t i = 0; i < COUNTERS_WORDS; i++)
        sum[i] += counter_read(&word[i]);
}

void counters_subtract(struct counters *from, const struct counters *base)
{
    uint64_t *rest = (uint64_t *)from;
    const uint64_t *word = (const uint64_t *)base;
    for (size_t i = 0; i < COUNTERS_WORDS; i++)
        rest[i] -= word[i];
}

void latencies_sum(struct latencies *to, const struct latencies *from, int sign)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        for (size_t b = 0; b < LATENCY_BUCKETS; b++)
            to->by_command[i][b] += (uint64_t)sign * counter_read(&from->by_command[i][b]);
    }
}

void class_hits_sum(struct class_hits *to, const struct class_hits *from, int sign)
{
    uint64_t *sum = (uint64_t *)to;
    const uint64_t *word = (const uint64_t *)from;
    for (size_t i = 0; i < sizeof(*to) / sizeof(*sum); i++)
        sum[i] += (uint64_t)sign * counter_read(&word[i]);
}
