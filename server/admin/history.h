/* SPDX-License-Identifier: MIT */
/* history.h: the last hour, second by second, so that a page loaded now shows what has been.
 *
 * A ring of HISTORY_SECONDS points of 32-bit floats: they hold sizes to seven digits, and every
 * whole number of KiB up to 16 GiB exactly. Its memory is one mapping that is touched as the hour
 * goes by; the sampler counts it as a part of its own. Main thread only.
 */
#ifndef EBB_HISTORY_H
#define EBB_HISTORY_H

#include "sample.h"

#define HISTORY_SECONDS 3600u

enum history_column {
#define LEVEL(id, name) HISTORY_##id,
#define RATE(id, name)  HISTORY_##id,
#define PARTS(id)       HISTORY_##id, HISTORY_##id##_LAST = HISTORY_##id + PART_COUNT - 1,
#include "history.def"
#undef LEVEL
#undef RATE
#undef PARTS
    HISTORY_COLUMNS
};

/* What is counted since start; rates are differences of these. */
struct history_totals {
    double values[HISTORY_COLUMNS]; /* of the rate columns */
    uint64_t latency[COUNTERS_DURATION_BUCKETS];
    uint64_t taken_ns; /* monotonic; 0: nothing yet */
};

struct history_point {
    uint32_t time_seconds; /* unix */
    float values[HISTORY_COLUMNS];
};

struct history {
    struct history_point *points; /* a ring */
    size_t count, next;
    struct history_totals totals; /* when the last point was added */
};

int history_init(struct history *history); /* 0 or -1: no memory */
void history_release(struct history *history);
/* Adds a point: called once a second, with the sample just taken. */
void history_add(struct history *history, const struct sample *sample, double limit_bytes);
/* Resident bytes of the ring. */
size_t history_bytes(const struct history *history);
/* The point of `age` points ago, 0 is the last; age < history->count. */
const struct history_point *history_at(const struct history *history, size_t age);

/* Name of a column; size: HISTORY_NAME_BYTES. */
#define HISTORY_NAME_BYTES 48
void history_name(enum history_column column, char *name);
bool history_is_rate(enum history_column column);

/* The value below which `share` (0 .. 1) of the observations lie, from counts by bucket; 0 without
 * any. Within a bucket they are taken to lie evenly. Pure. */
double history_quantile(const double *bounds, size_t bound_count, const uint64_t *counts,
                        double share);

#endif
