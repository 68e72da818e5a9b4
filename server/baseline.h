/* SPDX-License-Identifier: MIT */
/* baseline.h: what CONFIG RESETSTAT has set aside. Counters only ever grow; a reset remembers where
 * they stood, and what is reported is the difference. Any thread may call.
 */
#ifndef EBB_BASELINE_H
#define EBB_BASELINE_H

#include <uv.h>

#include "counters.h"
#include "store/stats.h"

struct baseline {
    uv_mutex_t mutex;
    struct counters counters;
    struct latencies latencies;
    struct store_stats stats;
    struct class_base *classes; /* by class; malloc, NULL before the first reset */
};

struct class_base {
    struct class_hits hits;
    struct store_class_counts counts;
};

int baseline_init(struct baseline *baseline);
void baseline_release(struct baseline *baseline);
/* Takes off what had been counted at the last reset. */
void baseline_apply_counters(struct baseline *baseline, struct counters *counters);
void baseline_apply_latencies(struct baseline *baseline, struct latencies *latencies);
void baseline_apply_stats(struct baseline *baseline, struct store_stats *stats);
void baseline_apply_class(struct baseline *baseline, unsigned class_index, struct class_hits *hits,
                          struct store_class_counts *counts);
/* Sets these totals aside, as they are before anything was taken off. */
void baseline_reset(struct baseline *baseline, const struct counters *counters,
                    const struct latencies *latencies, const struct store_stats *stats);
/* The same of a size class. Without memory for it what it counted stays. */
void baseline_reset_class(struct baseline *baseline, unsigned class_index,
                          const struct class_hits *hits, const struct store_class_counts *counts);

#endif
