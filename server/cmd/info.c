/* SPDX-License-Identifier: MIT */
/* info.c: the text of INFO: a sample of everything, printed by the rows of info.def.
 *
 * Called by cmd_server.c. used_memory is what a heap would call allocated: the slots that hold
 * items (keys, values, headers, and the slack behind them), the index, the allocator's metadata,
 * and the structs and buffers of connections. used_memory_dataset is keys and values alone,
 * used_memory_rss is the kernel's word. used_memory_peak is at least the highest live bytes: of the
 * rest no peak is kept.
 */
#include "info.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "../options.h"
#include "handler.h"

/* One moment of the server, as far as its counters are of one moment. */
struct info {
    const struct service *service;
    const struct options *options;
    struct store *keyspace;
    struct counters counters;
    struct store_stats store;
    struct rusage own, children;
    struct utsname system;
    char policy[64];
    int64_t now_us, uptime_s;
    size_t resident_bytes, resident_peak_bytes, system_bytes;
    size_t live_bytes, used_bytes, used_peak_bytes, allocated_bytes, active_bytes;
    unsigned long long connection_bytes, commands_processed, error_replies;
};

/* ---- what the rows of info.def say ---- */

struct human {
    char text[32];
};

/* As Redis prints sizes for people. */
static struct human human(size_t bytes)
{
    static const char units[] = "KMGTPE";
    struct human human;
    double size = (double)bytes / 1024;
    size_t unit = 0;

    if (bytes < 1024) {
        snprintf(human.text, sizeof(human.text), "%zuB", bytes);
        return human;
    }
    for (; size >= 1024 && units[unit + 1] != '\0'; unit++)
        size /= 1024;
    snprintf(human.text, sizeof(human.text), "%.2f%c", size, units[unit]);
    return human;
}

static double ratio(size_t a, size_t b)
{
    return b == 0 ? 0 : (double)a / (double)b;
}

static size_t above(size_t a, size_t b)
{
    return a > b ? a - b : 0;
}

static size_t heap_resident(const struct info *in)
{
    return in->active_bytes + in->store.pool.idle_bytes + in->store.pool.metadata_bytes;
}

static unsigned long long rate(const uint64_t *per_second)
{
    return counter_read(per_second);
}

static unsigned long long u(uint64_t number)
{
    return number;
}

static long long number(const int64_t *option)
{
    return options_number(option);
}

/* HTTP is for those who watch; clients are those who store. */
static unsigned long long sum(const uint64_t *by_protocol)
{
    return by_protocol[PROTOCOL_RESP] + by_protocol[PROTOCOL_MEMCACHED];
}

static double seconds(const struct timeval *time)
{
    return (double)time->tv_sec + (double)time->tv_usec / 1e6;
}

/* ---- taking the sample ---- */

static void read_resident(struct info *info)
{
    FILE *file = fopen("/proc/self/status", "re");
    char line[256];
    size_t kib;

    if (file == NULL)
        return;
    while (fgets(line, sizeof(line), file) != NULL) {
        if (sscanf(line, "VmHWM: %zu kB", &kib) == 1)
            info->resident_peak_bytes = kib * 1024;
        if (sscanf(line, "VmRSS: %zu kB", &kib) == 1)
            info->resident_bytes = kib * 1024;
    }
    fclose(file);
}

static void read_system(struct info *info)
{
    struct sysinfo system;

    if (sysinfo(&system) == 0)
        info->system_bytes = (size_t)system.totalram * system.mem_unit;
    uname(&info->system);
    getrusage(RUSAGE_SELF, &info->own);
    getrusage(RUSAGE_CHILDREN, &info->children);
    read_resident(info);
}

static void add_up_memory(struct info *info)
{
    const struct store_stats *store = &info->store;

    info->connection_bytes =
        info->counters.connection_bytes + info->counters.input_bytes + info->counters.output_bytes;
    info->live_bytes = store->key_bytes + store->value_bytes;
    info->allocated_bytes = store->item_heap.slot_bytes + store->index_heap.slot_bytes;
    info->active_bytes = store->item_heap.resident_bytes + store->index_heap.resident_bytes;
    info->used_bytes = info->allocated_bytes + store->pool.metadata_bytes + info->connection_bytes;
    info->used_peak_bytes =
        store->live_peak_bytes > info->used_bytes ? store->live_peak_bytes : info->used_bytes;
}

static void add_up_commands(struct info *info)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        info->commands_processed += info->counters.resp_commands[i];
    for (size_t i = 0; i < EBB_MC_VERB_COUNT; i++)
        info->commands_processed += info->counters.mc_commands[i];
    for (size_t i = 0; i < ERROR_KIND_COUNT; i++)
        info->error_replies += info->counters.resp_error_kinds[i];
}

static void take(struct info *info, struct cmd_context *context)
{
    struct service *service = context->service;
    struct timespec now;

    memset(info, 0, sizeof(*info));
    info->service = service;
    info->options = service->options;
    info->keyspace = context->store->store;
    service->counters(service->server, &info->counters);
    service->store_stats(service->server, &info->store);
    clock_gettime(CLOCK_REALTIME, &now);
    info->now_us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
    info->uptime_s = (info->now_us / 1000 - service->start_ms) / 1000;
    service->options_lock(service->server);
    options_format(service->options, (size_t)options_find("maxmemory-policy", 16), info->policy,
                   sizeof(info->policy));
    service->options_unlock(service->server);
    read_system(info);
    add_up_memory(info);
    add_up_commands(info);
}

void info_memory(struct cmd_context *context, struct info_memory *memory)
{
    struct info info;

    take(&info, context);
    const struct store_stats *store = &info.store;
    *memory = (struct info_memory){
        .keys = store->items,
        .live_bytes = info.live_bytes,
        .used_bytes = info.used_bytes,
        .used_peak_bytes = info.used_peak_bytes,
        .allocated_bytes = info.allocated_bytes,
        .active_bytes = info.active_bytes,
        .heap_resident_bytes = heap_resident(&info),
        .idle_bytes = store->pool.idle_bytes,
        .metadata_bytes = store->pool.metadata_bytes,
        .resident_bytes = info.resident_bytes,
        .connection_bytes = info.connection_bytes,
        .spans = store->item_heap.span_count + store->index_heap.span_count,
        .moved_bytes = store->item_heap.moved_bytes + store->index_heap.moved_bytes,
        .moved_objects = store->item_heap.moved_objects + store->index_heap.moved_objects,
    };
}

/* ---- sections that are lists ---- */

static void print_commandstats(const struct info *in, struct ebb_buf *out)
{
    const struct counters *counters = &in->counters;

    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        unsigned long long calls = counters->resp_commands[i];
        unsigned long long rejected = counters->resp_rejected[i];
        unsigned long long failed = counters->resp_errors[i] - rejected;
        double us = (double)counters->resp_ns[i] / 1000;
        if (calls == 0 && rejected == 0)
            continue;
        ebb_buf_printf(out,
                       "cmdstat_%s:calls=%llu,usec=%.0f,usec_per_call=%.2f,rejected_calls=%llu,"
                       "failed_calls=%llu\r\n",
                       commands[i].name, calls, us, calls == 0 ? 0 : us / (double)calls, rejected,
                       failed);
    }
}

/* The bound of the bucket in which the percentile lies, in microseconds. */
static double percentile_us(const uint64_t buckets[LATENCY_BUCKETS], uint64_t total, double share)
{
    uint64_t sum = 0;
    unsigned bucket = 0;

    while (bucket < LATENCY_BUCKETS - 1 && (double)(sum += buckets[bucket]) < share * (double)total)
        bucket++;
    return (double)latency_bound_ns(bucket) / 1000;
}

static void print_latencystats(const struct info *in, struct ebb_buf *out)
{
    struct latencies latencies;

    in->service->latencies(in->service->server, &latencies);
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        const uint64_t *buckets = latencies.by_command[i];
        uint64_t total = 0;
        for (unsigned b = 0; b < LATENCY_BUCKETS; b++)
            total += buckets[b];
        if (total > 0)
            ebb_buf_printf(out, "latency_percentiles_usec_%s:p50=%.3f,p99=%.3f,p99.9=%.3f\r\n",
                           commands[i].name, percentile_us(buckets, total, 0.5),
                           percentile_us(buckets, total, 0.99),
                           percentile_us(buckets, total, 0.999));
    }
}

static void print_errorstats(const struct info *in, struct ebb_buf *out)
{
    static const char *const words[ERROR_KIND_COUNT] = {
#define ERROR_KIND(word) #word,
#include "error_kinds.def"
#undef ERROR_KIND
    };

    for (size_t i = 0; i < ERROR_KIND_COUNT; i++) {
        if (in->counters.resp_error_kinds[i] > 0)
            ebb_buf_printf(out, "errorstat_%s:count=%llu\r\n", words[i],
                           u(in->counters.resp_error_kinds[i]));
    }
}

static void print_keyspace(const struct info *in, struct ebb_buf *out)
{
    for (unsigned database = 0; database < number(&in->options->databases); database++) {
        size_t keys = store_count(in->keyspace, database);
        if (keys > 0)
            ebb_buf_printf(out, "db%u:keys=%zu,expires=%zu,avg_ttl=0\r\n", database, keys,
                           store_count_expires(in->keyspace, database));
    }
}

/* ---- the table ---- */

enum section {
    SECTION_SERVER,
    SECTION_CLIENTS,
    SECTION_MEMORY,
    SECTION_PERSISTENCE,
    SECTION_STATS,
    SECTION_REPLICATION,
    SECTION_CPU,
    SECTION_COMMANDSTATS,
    SECTION_ERRORSTATS,
    SECTION_LATENCYSTATS,
    SECTION_CLUSTER,
    SECTION_KEYSPACE,
    SECTION_COUNT
};

static const struct {
    const char *name, *title;
    bool is_default;
    void (*print)(const struct info *in, struct ebb_buf *out); /* NULL: rows of info.def */
} sections[SECTION_COUNT] = {
    [SECTION_SERVER] = {"server", "Server", true, NULL},
    [SECTION_CLIENTS] = {"clients", "Clients", true, NULL},
    [SECTION_MEMORY] = {"memory", "Memory", true, NULL},
    [SECTION_PERSISTENCE] = {"persistence", "Persistence", true, NULL},
    [SECTION_STATS] = {"stats", "Stats", true, NULL},
    [SECTION_REPLICATION] = {"replication", "Replication", true, NULL},
    [SECTION_CPU] = {"cpu", "CPU", true, NULL},
    [SECTION_COMMANDSTATS] = {"commandstats", "Commandstats", false, print_commandstats},
    [SECTION_ERRORSTATS] = {"errorstats", "Errorstats", true, print_errorstats},
    [SECTION_LATENCYSTATS] = {"latencystats", "Latencystats", false, print_latencystats},
    [SECTION_CLUSTER] = {"cluster", "Cluster", true, NULL},
    [SECTION_KEYSPACE] = {"keyspace", "Keyspace", true, print_keyspace},
};

#define FIELD(section, name, format, ...)                                                          \
    static void print_##name(const struct info *in, struct ebb_buf *out)                           \
    {                                                                                              \
        (void)in;                                                                                  \
        ebb_buf_printf(out, #name ":" format "\r\n", __VA_ARGS__);                                 \
    }
#include "info.def"
#undef FIELD

static const struct {
    enum section section;
    void (*print)(const struct info *in, struct ebb_buf *out);
} fields[] = {
#define FIELD(section, name, format, ...) {SECTION_##section, print_##name},
#include "info.def"
#undef FIELD
};

static void print_section(const struct info *info, enum section section, struct ebb_buf *out)
{
    ebb_buf_printf(out, "%s# %s\r\n", ebb_buf_len(out) == 0 ? "" : "\r\n", sections[section].title);
    if (sections[section].print != NULL) {
        sections[section].print(info, out);
        return;
    }
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (fields[i].section == section)
            fields[i].print(info, out);
    }
}

static bool is_wanted(enum section section, const struct ebb_slice *names, uint32_t count)
{
    bool is_default = sections[section].is_default;

    if (count == 0)
        return is_default;
    for (uint32_t i = 0; i < count; i++) {
        if (arg_is(names[i], sections[section].name) || arg_is(names[i], "all") ||
            arg_is(names[i], "everything") || (is_default && arg_is(names[i], "default")))
            return true;
    }
    return false;
}

void info_print(struct cmd_context *context, const struct ebb_slice *names, uint32_t count,
                struct ebb_buf *out)
{
    struct info info;

    take(&info, context);
    for (enum section section = 0; section < SECTION_COUNT; section++) {
        if (is_wanted(section, names, count))
            print_section(&info, section, out);
    }
}
