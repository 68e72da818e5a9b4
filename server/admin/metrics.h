/* SPDX-License-Identifier: MIT */
/* metrics.h: /metrics, printed from the rows of metrics.def. */
#ifndef EBB_METRICS_H
#define EBB_METRICS_H

#include "../service.h"
#include "classes.h"
#include "exposition.h"
#include "process.h"
#include "sample.h"

#define METRICS_LOOPS_MAX 65u /* the main one and 64 workers */

/* What /metrics/redis and /metrics/memcached need besides; compat.c fills it in. */
struct compat {
    uint64_t zero, one, process_id, clients, accepted, received_bytes, sent_bytes;
    uint64_t commands, misses, expired, mc_sets;
    uint64_t maxmemory_bytes; /* as it is set: what INFO, and so an exporter, says */
    uint64_t limit_bytes, used_bytes, used_peak_bytes, overhead_bytes;
    uint64_t allocated_bytes, active_bytes, allocator_resident_bytes, system_bytes;
    uint64_t workers, allocator_frag_bytes, allocator_rss_bytes;
    int64_t fragmentation_bytes;
    double uptime_seconds, fragmentation_ratio, allocator_frag_ratio, allocator_rss_ratio;
};

/* Everything that a scrape shows, gathered before a byte is written. Rows of metrics.def name its
 * fields. */
struct metrics {
    struct service *service;
    const struct classes *classes;
    struct sample sample; /* memory: all of one moment */
    struct window_step windows[WINDOW_COUNT];
    struct store_stats store; /* of now */
    struct counters counters; /* of now */
    struct process_usage usage;
    struct ebb_heap_stats work; /* of both heaps: what the allocator and compaction did */
    double start_time_seconds;
    double memory_limit_bytes, evict_start_bytes, clients_limit_bytes; /* infinity: none */
    double pressure_seconds;
    uint64_t client_bytes, pressure_level;
    uint64_t connections_limit;
    uint64_t address_resident_bytes, address_reserved_bytes;
    uint64_t trim_pending_bytes, allocation_failures;
    struct compat compat;
    double loop_seconds[METRICS_LOOPS_MAX];
    unsigned loop_count;
    bool has_system_pressure, has_cgroup_pressure;
    uint64_t scrapes, scrape_ns; /* set by the caller; what the scrape before this one cost */
};

/* The sampler and the classes have been refreshed. */
void metrics_gather(struct metrics *metrics, struct service *service, const struct sampler *sampler,
                    const struct classes *classes);
void metrics_write(struct metrics *metrics, enum exposition_format format, struct ebb_buf *out);

#endif
