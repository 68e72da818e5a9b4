/* SPDX-License-Identifier: MIT */
/* history.c: a ring of points, and what one is made of. admin.c adds, api.c reads. */
#include "history.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_BYTES 4096u

/* ---- columns ---- */

void history_name(enum history_column column, char *name)
{
    static const char *const names[HISTORY_COLUMNS] = {
#define LEVEL(id, text) [HISTORY_##id] = text,
#define RATE(id, text)  [HISTORY_##id] = text,
#define PARTS(id)
#include "history.def"
#undef LEVEL
#undef RATE
#undef PARTS
    };
    if (column >= HISTORY_PART && column <= HISTORY_PART_LAST)
        snprintf(name, HISTORY_NAME_BYTES, "part_%s",
                 part_name((enum part)(column - HISTORY_PART)));
    else
        snprintf(name, HISTORY_NAME_BYTES, "%s", names[column]);
}

bool history_is_rate(enum history_column column)
{
    static const bool is_rate[HISTORY_COLUMNS] = {
#define LEVEL(id, text)
#define RATE(id, text) [HISTORY_##id] = true,
#define PARTS(id)
#include "history.def"
#undef LEVEL
#undef RATE
#undef PARTS
    };
    return is_rate[column];
}

double history_quantile(const double *bounds, size_t bound_count, const uint64_t *counts,
                        double share)
{
    uint64_t all = 0;
    for (size_t i = 0; i <= bound_count; i++)
        all += counts[i];
    double wanted = share * (double)all, below = 0;
    for (size_t i = 0; i < bound_count && all > 0; i++) {
        double here = (double)counts[i], low = i == 0 ? 0 : bounds[i - 1];
        if (here > 0 && below + here >= wanted)
            return low + (bounds[i] - low) * (wanted - below) / here;
        below += here;
    }
    return all > 0 ? bounds[bound_count - 1] : 0; /* longer than the last bound tells */
}

/* ---- a point ---- */

static double commands_of(const struct counters *counters)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        sum += counters->resp_commands[i];
    for (size_t i = 0; i < EBB_MC_VERB_COUNT; i++)
        sum += counters->mc_commands[i];
    return (double)sum;
}

static double of_both(uint64_t a, uint64_t b)
{
    return (double)a + (double)b;
}

static void add_up(struct history_totals *totals, const struct sample *sample)
{
    const struct store_stats *store = &sample->store;
    const struct counters *counters = &sample->counters;
    const struct ebb_heap_stats *items = &store->item_heap, *index = &store->index_heap;
    double *values = totals->values;
    memset(totals, 0, sizeof *totals);
    totals->taken_ns = sample->taken_ns;
    values[HISTORY_OPERATIONS] = commands_of(counters);
    values[HISTORY_LOOKUPS] = (double)store->lookups;
    values[HISTORY_HITS] = (double)store->hits;
    values[HISTORY_EXPIRED] = of_both(store->expired_lazy, store->expired_active);
    values[HISTORY_EVICTED] = (double)store->evicted;
    values[HISTORY_MOVED] = of_both(items->moved_bytes, index->moved_bytes);
    values[HISTORY_FREED] = of_both(items->freed_bytes, index->freed_bytes);
    values[HISTORY_TRIMMED] = (double)store->pool.trim_bytes;
    values[HISTORY_REFAULTED] = (double)store->pool.refault_bytes;
    for (size_t p = 0; p < PROTOCOL_COUNT; p++) {
        values[HISTORY_RECEIVED] += (double)counters->received_bytes[p];
        values[HISTORY_SENT] += (double)counters->sent_bytes[p];
    }
    values[HISTORY_CPU] = sample->cpu_seconds;
    for (size_t b = 0; b < COUNTERS_DURATION_BUCKETS; b++)
        totals->latency[b] =
            counters->request[PROTOCOL_RESP][b] + counters->request[PROTOCOL_MEMCACHED][b];
}

static void set_levels(struct history_point *point, const struct sample *sample, double limit_bytes)
{
    const uint64_t *connections = sample->counters.connections;
    float *values = point->values;
    values[HISTORY_RESIDENT] = (float)sample->memory.resident_bytes;
    values[HISTORY_LIVE] = (float)sample->live_bytes;
    values[HISTORY_LIMIT] = (float)limit_bytes;
    for (size_t p = 0; p < PART_COUNT; p++)
        values[HISTORY_PART + p] = (float)sample->parts.bytes[p];
    values[HISTORY_ITEMS] = (float)sample->store.items;
    values[HISTORY_CLIENTS] = (float)(connections[PROTOCOL_RESP] + connections[PROTOCOL_MEMCACHED]);
    values[HISTORY_LAG] = (float)sample->follow_lag_seconds;
}

static void set_rates(struct history_point *point, const struct history_totals *now,
                      const struct history_totals *before)
{
    double seconds = (double)(now->taken_ns - before->taken_ns) / 1e9;
    uint64_t latency[COUNTERS_DURATION_BUCKETS];
    for (size_t c = 0; c < HISTORY_COLUMNS && seconds > 0; c++)
        if (history_is_rate((enum history_column)c))
            point->values[c] = (float)((now->values[c] - before->values[c]) / seconds);
    for (size_t b = 0; b < COUNTERS_DURATION_BUCKETS; b++)
        latency[b] = now->latency[b] - before->latency[b];
    point->values[HISTORY_LATENCY_P50] = (float)history_quantile(
        counters_duration_bounds, COUNTERS_DURATION_BUCKETS - 1, latency, 0.5);
    point->values[HISTORY_LATENCY_P99] = (float)history_quantile(
        counters_duration_bounds, COUNTERS_DURATION_BUCKETS - 1, latency, 0.99);
}

void history_add(struct history *history, const struct sample *sample, double limit_bytes)
{
    struct history_point *point = &history->points[history->next];
    struct history_totals now;
    memset(point, 0, sizeof *point);
    point->time_seconds = (uint32_t)sample->time_seconds;
    add_up(&now, sample);
    set_levels(point, sample, limit_bytes);
    if (history->totals.taken_ns != 0)
        set_rates(point, &now, &history->totals);
    history->totals = now;
    history->next = (history->next + 1) % HISTORY_SECONDS;
    if (history->count < HISTORY_SECONDS)
        history->count++;
}

/* ---- the ring ---- */

size_t history_bytes(const struct history *history)
{
    size_t bytes = history->count * sizeof *history->points;
    return (bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
}

const struct history_point *history_at(const struct history *history, size_t age)
{
    return &history->points[(history->next + HISTORY_SECONDS - 1 - age) % HISTORY_SECONDS];
}

int history_init(struct history *history)
{
    memset(history, 0, sizeof *history);
    history->points = calloc(HISTORY_SECONDS, sizeof *history->points);
    return history->points == NULL ? -1 : 0;
}

void history_release(struct history *history)
{
    free(history->points);
    history->points = NULL;
}
