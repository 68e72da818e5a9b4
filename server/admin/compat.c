/* SPDX-License-Identifier: MIT */
/* compat.c: what exporters would compute from INFO and `stats`: by the same formulas as info.c, so
 * that a dashboard shows what redis-cli does.
 */
#include "compat.h"

#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "../cmd/cmd.h"
#include "../options.h"
#include "../store/store.h"
#include "groups.h"
#include "rows.h"

#define LABELS_BYTES 512u

/* ---- arithmetic ---- */

static uint64_t of_clients(const uint64_t *by_protocol)
{
    return by_protocol[PROTOCOL_RESP] + by_protocol[PROTOCOL_MEMCACHED];
}

static uint64_t commands_of(const struct counters *counters)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        sum += counters->resp_commands[i];
    for (size_t i = 0; i < EBB_MC_VERB_COUNT; i++)
        sum += counters->mc_commands[i];
    return sum;
}

static double ratio(uint64_t a, uint64_t b)
{
    return b == 0 ? 0 : (double)a / (double)b;
}

static void add_up_allocator(struct compat *to)
{
    to->allocator_frag_bytes = to->active_bytes - to->allocated_bytes;
    to->allocator_frag_ratio = ratio(to->active_bytes, to->allocated_bytes);
    to->allocator_rss_bytes = to->allocator_resident_bytes - to->active_bytes;
    to->allocator_rss_ratio = ratio(to->allocator_resident_bytes, to->active_bytes);
}

static void add_up_memory(struct metrics *metrics)
{
    struct compat *to = &metrics->compat;
    const struct store_stats *store = &metrics->store;
    struct sysinfo system;
    uint64_t resident = metrics->sample.memory.resident_bytes;
    to->limit_bytes = service_limit_bytes(metrics->service);
    to->maxmemory_bytes = (uint64_t)options_maxmemory(metrics->service->options);
    to->allocated_bytes = store->item_heap.slot_bytes + store->index_heap.slot_bytes;
    to->active_bytes = store->item_heap.resident_bytes + store->index_heap.resident_bytes;
    to->allocator_resident_bytes =
        to->active_bytes + store->pool.idle_bytes + store->pool.metadata_bytes;
    to->used_bytes =
        to->allocated_bytes + store->pool.metadata_bytes + metrics->sample.connection_bytes;
    to->used_peak_bytes =
        store->live_peak_bytes > to->used_bytes ? store->live_peak_bytes : to->used_bytes;
    to->overhead_bytes = to->used_bytes - (store->key_bytes + store->value_bytes);
    to->fragmentation_bytes = (int64_t)resident - (int64_t)to->used_bytes;
    to->fragmentation_ratio = ratio(resident, to->used_bytes);
    add_up_allocator(to);
    if (sysinfo(&system) == 0)
        to->system_bytes = (uint64_t)system.totalram * system.mem_unit;
}

static void add_up(struct metrics *metrics)
{
    struct compat *to = &metrics->compat;
    const struct counters *counters = &metrics->counters;
    memset(to, 0, sizeof *to);
    add_up_memory(metrics);
    to->one = 1;
    to->workers = metrics->service->worker_count;
    to->process_id = (uint64_t)getpid();
    to->uptime_seconds = metrics->sample.time_seconds - metrics->start_time_seconds;
    to->clients = of_clients(counters->connections);
    to->accepted = of_clients(counters->accepted);
    to->received_bytes = of_clients(counters->received_bytes);
    to->sent_bytes = of_clients(counters->sent_bytes);
    to->commands = commands_of(counters);
    to->misses = metrics->store.lookups - metrics->store.hits;
    to->expired = metrics->store.expired_lazy + metrics->store.expired_active;
    for (size_t verb = EBB_MC_SET; verb <= EBB_MC_CAS; verb++)
        to->mc_sets += counters->mc_commands[verb];
}

/* ---- redis ---- */

static void write_instance(const struct metrics *metrics, struct exposition *to)
{
    struct service *service = metrics->service;
    char labels[LABELS_BYTES] = "", policy[32], number[32], os[200];
    struct utsname system;
    memset(&system, 0, sizeof system);
    uname(&system);
    size_t len = options_format(service->options, (size_t)options_find("maxmemory-policy", 16),
                                policy, sizeof policy - 1);
    policy[len < sizeof policy ? len : sizeof policy - 1] = '\0';
    snprintf(os, sizeof os, "%.60s %.60s %.60s", system.sysname, system.release, system.machine);
    exposition_label(labels, sizeof labels, "role", "master");
    exposition_label(labels, sizeof labels, "redis_version", EBB_REDIS_VERSION);
    exposition_label(labels, sizeof labels, "redis_build_id", "ebb " EBB_VERSION);
    exposition_label(labels, sizeof labels, "redis_mode", "standalone");
    exposition_label(labels, sizeof labels, "os", os);
    exposition_label(labels, sizeof labels, "maxmemory_policy", policy);
    snprintf(number, sizeof number, "%lld", (long long)service->options->port);
    exposition_label(labels, sizeof labels, "tcp_port", number);
    exposition_label(labels, sizeof labels, "run_id", service->run_id);
    snprintf(number, sizeof number, "%d", (int)getpid());
    exposition_label(labels, sizeof labels, "process_id", number);
    exposition_u64(to, labels, 1);
}

static void write_databases(const struct metrics *metrics, struct exposition *to,
                            size_t (*count)(struct store *store, unsigned database))
{
    for (unsigned i = 0; i < (unsigned)metrics->service->options->databases; i++) {
        char labels[LABELS_BYTES];
        snprintf(labels, sizeof labels, "db=\"db%u\"", i);
        exposition_u64(to, labels, count(metrics->service->store, i));
    }
}

static void write_redis_keys(const struct metrics *metrics, struct exposition *to)
{
    write_databases(metrics, to, store_count);
}

static void write_redis_expires(const struct metrics *metrics, struct exposition *to)
{
    write_databases(metrics, to, store_count_expires);
}

static const char *cmd_label(char *labels, size_t command)
{
    labels[0] = '\0';
    exposition_label(labels, LABELS_BYTES, "cmd", commands[command].name);
    return labels;
}

static void write_redis_commands(const struct metrics *metrics, struct exposition *to)
{
    char labels[LABELS_BYTES];
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        exposition_u64(to, cmd_label(labels, i), metrics->counters.resp_commands[i]);
}

static void write_redis_durations(const struct metrics *metrics, struct exposition *to)
{
    char labels[LABELS_BYTES];
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        exposition_double(to, cmd_label(labels, i), (double)metrics->counters.resp_ns[i] / 1e9);
}

static void write_redis_rejected(const struct metrics *metrics, struct exposition *to)
{
    char labels[LABELS_BYTES];
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        exposition_u64(to, cmd_label(labels, i), metrics->counters.resp_rejected[i]);
}

static void write_redis_failed(const struct metrics *metrics, struct exposition *to)
{
    const struct counters *counters = &metrics->counters;
    char labels[LABELS_BYTES];
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        exposition_u64(to, cmd_label(labels, i),
                       counters->resp_errors[i] - counters->resp_rejected[i]);
}

static void write_redis_errors(const struct metrics *metrics, struct exposition *to)
{
    static const char *const labels[ERROR_KIND_COUNT] = {
#define ERROR_KIND(word) "err=\"" #word "\"",
#include "../cmd/error_kinds.def"
#undef ERROR_KIND
    };
    for (size_t i = 0; i < ERROR_KIND_COUNT; i++)
        exposition_u64(to, labels[i], metrics->counters.resp_error_kinds[i]);
}

static const struct row redis_rows[] = {
#include "metrics_redis.def"
};

void compat_write_redis(struct metrics *metrics, enum exposition_format format, struct ebb_buf *out)
{
    add_up(metrics);
    rows_write(redis_rows, sizeof redis_rows / sizeof redis_rows[0], metrics, format, out);
}

/* ---- memcached ---- */

static void write_version(const struct metrics *metrics, struct exposition *to)
{
    (void)metrics;
    exposition_u64(to, "version=\"" EBB_MEMCACHED_VERSION "\"", 1);
}

static void write_slabs(const struct metrics *metrics, struct exposition *to,
                        uint64_t (*figure)(const struct ebb_class_stats *group))
{
    struct ebb_class_stats groups[GROUPS_COUNT];
    groups_add_up(metrics->classes, groups);
    for (unsigned g = 0; g < GROUPS_COUNT; g++) {
        char labels[32];
        snprintf(labels, sizeof labels, "slab=\"%u\"", g + 1);
        exposition_u64(to, labels, figure(&groups[g]));
    }
}

static uint64_t slot_size(const struct ebb_class_stats *group)
{
    return group->slot_bytes;
}

static uint64_t slots(const struct ebb_class_stats *group)
{
    return group->slots_used + group->slots_free;
}

static uint64_t slots_used(const struct ebb_class_stats *group)
{
    return group->slots_used;
}

static uint64_t slots_free(const struct ebb_class_stats *group)
{
    return group->slots_free;
}

static uint64_t spans(const struct ebb_class_stats *group)
{
    return group->spans_full + group->spans_partial + group->spans_empty;
}

static void write_pages(const struct metrics *metrics, struct exposition *to)
{
    write_slabs(metrics, to, spans);
}

static void write_chunk_sizes(const struct metrics *metrics, struct exposition *to)
{
    write_slabs(metrics, to, slot_size);
}

static void write_chunks(const struct metrics *metrics, struct exposition *to)
{
    write_slabs(metrics, to, slots);
}

static void write_chunks_used(const struct metrics *metrics, struct exposition *to)
{
    write_slabs(metrics, to, slots_used);
}

static void write_chunks_free(const struct metrics *metrics, struct exposition *to)
{
    write_slabs(metrics, to, slots_free);
}

static const struct row memcached_rows[] = {
#include "metrics_memcached.def"
};

void compat_write_memcached(struct metrics *metrics, enum exposition_format format,
                            struct ebb_buf *out)
{
    add_up(metrics);
    rows_write(memcached_rows, sizeof memcached_rows / sizeof memcached_rows[0], metrics, format,
               out);
}
