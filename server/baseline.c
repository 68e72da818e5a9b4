/* SPDX-License-Identifier: MIT */
/* baseline.c: which figures a reset concerns: what has happened, not what there is. Called by
 * answers.c for the functions of struct service.
 */
#include "baseline.h"

#include <stdlib.h>
#include <string.h>

int baseline_init(struct baseline *baseline)
{
    memset(baseline, 0, sizeof(*baseline));
    return uv_mutex_init(&baseline->mutex);
}

void baseline_release(struct baseline *baseline)
{
    free(baseline->classes);
    uv_mutex_destroy(&baseline->mutex);
}

void baseline_apply_counters(struct baseline *baseline, struct counters *counters)
{
    uv_mutex_lock(&baseline->mutex);
    counters_subtract(counters, &baseline->counters);
    uv_mutex_unlock(&baseline->mutex);
}

void baseline_apply_latencies(struct baseline *baseline, struct latencies *latencies)
{
    uv_mutex_lock(&baseline->mutex);
    latencies_sum(latencies, &baseline->latencies, -1);
    uv_mutex_unlock(&baseline->mutex);
}

void baseline_apply_stats(struct baseline *baseline, struct store_stats *stats)
{
    uv_mutex_lock(&baseline->mutex);
    const struct store_stats *base = &baseline->stats;
    stats->lookups -= base->lookups;
    stats->hits -= base->hits;
    stats->sets -= base->sets;
    stats->deletes -= base->deletes;
    stats->expired_lazy -= base->expired_lazy;
    stats->expired_active -= base->expired_active;
    stats->expired_bytes -= base->expired_bytes;
    stats->evicted -= base->evicted;
    for (unsigned r = 0; r < STORE_EVICT_REASONS; r++) {
        stats->evicted_by[r] -= base->evicted_by[r];
        stats->evicted_bytes[r] -= base->evicted_bytes[r];
    }
    stats->evicted_unfetched -= base->evicted_unfetched;
    stats->evicted_early -= base->evicted_early;
    stats->rejected_memory -= base->rejected_memory;
    uv_mutex_unlock(&baseline->mutex);
}

void baseline_reset(struct baseline *baseline, const struct counters *counters,
                    const struct latencies *latencies, const struct store_stats *stats)
{
    uv_mutex_lock(&baseline->mutex);
    baseline->counters = *counters;
    baseline->latencies = *latencies;
    baseline->stats = *stats;
    struct counters *base = &baseline->counters;
    memset(base->connections, 0, sizeof(base->connections));
    base->connection_bytes = base->input_bytes = base->output_bytes = 0;
    uv_mutex_unlock(&baseline->mutex);
}

/* An age is no count, and of none evicted since there is none. */
static void subtract_counts(struct store_class_counts *counts,
                            const struct store_class_counts *base)
{
    uint64_t idle_s = counts->evicted == base->evicted ? 0 : counts->evicted_idle_s;
    uint64_t *rest = (uint64_t *)counts;
    const uint64_t *word = (const uint64_t *)base;
    for (size_t i = 0; i < sizeof(*counts) / sizeof(*rest); i++)
        rest[i] -= word[i];
    counts->evicted_idle_s = idle_s;
}

void baseline_apply_class(struct baseline *baseline, unsigned class_index, struct class_hits *hits,
                          struct store_class_counts *counts)
{
    uv_mutex_lock(&baseline->mutex);
    if (baseline->classes != NULL) {
        const struct class_base *base = &baseline->classes[class_index];
        class_hits_sum(hits, &base->hits, -1);
        subtract_counts(counts, &base->counts);
    }
    uv_mutex_unlock(&baseline->mutex);
}

void baseline_reset_class(struct baseline *baseline, unsigned class_index,
                          const struct class_hits *hits, const struct store_class_counts *counts)
{
    uv_mutex_lock(&baseline->mutex);
    if (baseline->classes == NULL)
        baseline->classes = calloc(EBB_CLASS_COUNT + 1, sizeof(*baseline->classes));
    if (baseline->classes != NULL)
        baseline->classes[class_index] = (struct class_base){*hits, *counts};
    uv_mutex_unlock(&baseline->mutex);
}
