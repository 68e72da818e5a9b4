/* SPDX-License-Identifier: MIT */
/* metrics.c: gathers the figures of a scrape, and the samples whose labels are not known before:
 * parts, classes, databases, commands, histograms. All else is a row of metrics.def.
 */
#include "metrics.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "../cmd/cmd.h"
#include "../options.h"
#include "../store/store.h"
#include "groups.h"
#include "rows.h"

#ifndef EBB_REVISION /* the Makefile knows it */
#define EBB_REVISION "unknown"
#endif
#ifdef __clang__
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

#define LABELS_BYTES 256u

/* ---- gathering ---- */

static uint64_t minus(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

static void add_work(struct ebb_heap_stats *to, const struct ebb_heap_stats *from)
{
    to->allocated_bytes += from->allocated_bytes;
    to->failures += from->failures;
    to->moved_objects += from->moved_objects;
    to->moved_bytes += from->moved_bytes;
    to->freed_spans += from->freed_spans;
    to->freed_bytes += from->freed_bytes;
    to->compact_ns += from->compact_ns;
    to->skipped_pinned += from->skipped_pinned;
    to->reclaimable_bytes += from->reclaimable_bytes;
    for (size_t i = 0; i < EBB_REASON_COUNT; i++)
        to->compact_cycles[i] += from->compact_cycles[i];
}

static double or_infinity(uint64_t bytes)
{
    return bytes == 0 ? INFINITY : (double)bytes;
}

static void gather_limits(struct metrics *metrics, const struct service *service)
{
    const struct memory_limits *limits = &service->limits;
    metrics->memory_limit_bytes = or_infinity(service_limit_bytes(service));
    metrics->evict_start_bytes = or_infinity(counter_read(&limits->start_bytes));
    metrics->clients_limit_bytes = or_infinity(counter_read(&limits->clients_max_bytes));
    metrics->client_bytes = counter_read(&limits->client_bytes);
    metrics->pressure_level = counter_read(&limits->pressure_level);
    metrics->pressure_seconds = (double)counter_read(&limits->pressure_stalls_us) / 1e6;
    metrics->connections_limit = (uint64_t)options_number(&service->options->maxclients);
}

void metrics_gather(struct metrics *metrics, struct service *service, const struct sampler *sampler,
                    const struct classes *classes)
{
    memset(metrics, 0, sizeof *metrics);
    metrics->service = service;
    metrics->classes = classes;
    metrics->sample = sampler->last;
    for (size_t i = 0; i < WINDOW_COUNT; i++)
        metrics->windows[i] = sampler_window(sampler, i);
    store_stats(service->store, &metrics->store);
    service->counters_total(service->server, &metrics->counters);
    process_read_usage(sampler->process, &metrics->usage);
    add_work(&metrics->work, &metrics->store.item_heap);
    add_work(&metrics->work, &metrics->store.index_heap);
    metrics->start_time_seconds = (double)service->start_ms / 1e3;
    if (service->loop_seconds != NULL)
        metrics->loop_count =
            service->loop_seconds(service->server, metrics->loop_seconds, METRICS_LOOPS_MAX);
    gather_limits(metrics, service);
    const struct store_stats *store = &metrics->store;
    metrics->address_resident_bytes =
        store->item_heap.resident_bytes + store->index_heap.resident_bytes + store->pool.idle_bytes;
    metrics->address_reserved_bytes = minus(
        store->pool.reserved_bytes, metrics->address_resident_bytes + store->pool.trimmed_bytes);
    metrics->allocation_failures = minus(metrics->work.failures, store->pool.refusals);
    const struct environment *around = &metrics->sample.environment;
    metrics->has_system_pressure = around->has_pressure && around->is_pressure_of_system;
    metrics->has_cgroup_pressure = around->has_pressure && !around->is_pressure_of_system;
    metrics->trim_pending_bytes = minus(store->pool.idle_bytes, store->pool.keep_bytes);
}

/* ---- words ---- */

static void write_build(const struct metrics *metrics, struct exposition *to)
{
    (void)metrics;
    char labels[LABELS_BYTES] = "";
    struct utsname system;
    bool is_known = uname(&system) == 0;
    exposition_label(labels, sizeof labels, "version", EBB_VERSION);
    exposition_label(labels, sizeof labels, "revision", EBB_REVISION);
    exposition_label(labels, sizeof labels, "compiler", COMPILER);
    exposition_label(labels, sizeof labels, "arch", is_known ? system.machine : "unknown");
    exposition_u64(to, labels, 1);
}

static void write_config(const struct metrics *metrics, struct exposition *to)
{
    const struct options *options = metrics->service->options;
    char labels[LABELS_BYTES] = "", policy[32], protocols[32];
    size_t len = options_format(options, (size_t)options_find("maxmemory-policy", 16), policy,
                                sizeof policy - 1);
    policy[len < sizeof policy ? len : sizeof policy - 1] = '\0';
    bool has_resp = options->port != 0 || options->unixsocket[0] != '\0';
    int used = snprintf(protocols, sizeof protocols, "%s%s%s", has_resp ? ",resp" : "",
                        options->memcached_port != 0 ? ",memcached" : "",
                        options->http_port != 0 ? ",http" : "");
    exposition_label(labels, sizeof labels, "policy", policy);
    exposition_label(labels, sizeof labels, "protocols", used > 0 ? protocols + 1 : "");
    exposition_label(labels, sizeof labels, "thp", metrics->sample.environment.huge_pages);
    exposition_u64(to, labels, 1);
}

/* ---- memory ---- */

static void write_parts(const struct metrics *metrics, struct exposition *to)
{
    for (size_t i = 0; i < PART_COUNT; i++) {
        char labels[LABELS_BYTES] = "";
        exposition_label(labels, sizeof labels, "part", part_name(i));
        exposition_u64(to, labels, metrics->sample.parts.bytes[i]);
    }
}

static void write_of_class(struct exposition *to, const struct ebb_class_stats *class,
                           const char *state, uint64_t value)
{
    char labels[LABELS_BYTES] = "", name[EBB_NUM_TEXT_BYTES] = "large";
    if (class->slot_bytes != 0)
        name[ebb_format_u64(name, class->slot_bytes)] = '\0';
    exposition_label(labels, sizeof labels, "class", name);
    if (state != NULL)
        exposition_label(labels, sizeof labels, "state", state);
    exposition_u64(to, labels, value);
}

static void write_spans(const struct metrics *metrics, struct exposition *to)
{
    struct ebb_class_stats groups[GROUPS_COUNT];
    groups_add_up(metrics->classes, groups);
    for (unsigned g = 0; g < GROUPS_COUNT; g++) {
        write_of_class(to, &groups[g], "full", groups[g].spans_full);
        write_of_class(to, &groups[g], "partial", groups[g].spans_partial);
        write_of_class(to, &groups[g], "empty", groups[g].spans_empty);
    }
}

static void write_slots(const struct metrics *metrics, struct exposition *to)
{
    struct ebb_class_stats groups[GROUPS_COUNT];
    groups_add_up(metrics->classes, groups);
    for (unsigned g = 0; g < GROUPS_COUNT; g++) {
        write_of_class(to, &groups[g], "used", groups[g].slots_used);
        write_of_class(to, &groups[g], "free", groups[g].slots_free);
    }
}

static void write_slot_sizes(const struct metrics *metrics, struct exposition *to)
{
    struct ebb_class_stats groups[GROUPS_COUNT];
    groups_add_up(metrics->classes, groups);
    for (unsigned g = 0; g + 1 < GROUPS_COUNT; g++) /* large has no one size */
        write_of_class(to, &groups[g], NULL, groups[g].slot_bytes);
}

static void write_allocations(const struct metrics *metrics, struct exposition *to)
{
    struct ebb_class_stats groups[GROUPS_COUNT];
    groups_add_up(metrics->classes, groups);
    for (unsigned g = 0; g < GROUPS_COUNT; g++)
        write_of_class(to, &groups[g], NULL, groups[g].allocations);
}

static void write_frees(const struct metrics *metrics, struct exposition *to)
{
    struct ebb_class_stats groups[GROUPS_COUNT];
    groups_add_up(metrics->classes, groups);
    for (unsigned g = 0; g < GROUPS_COUNT; g++)
        write_of_class(to, &groups[g], NULL, groups[g].frees);
}

static void write_steps(const struct metrics *metrics, struct exposition *to)
{
    double bounds[STORE_STEP_BUCKETS - 1];
    for (size_t i = 0; i < STORE_STEP_BUCKETS - 1; i++)
        bounds[i] = (double)(4u << i) / 1e6;
    struct histogram histogram = {bounds, STORE_STEP_BUCKETS - 1, metrics->store.slices,
                                  (double)metrics->store.slice_ns / 1e9};
    exposition_histogram(to, "", &histogram);
}

/* ---- keyspace ---- */

static void write_eviction_ages(const struct metrics *metrics, struct exposition *to)
{
    double bounds[STORE_AGE_BUCKETS - 1];
    for (size_t i = 0; i < STORE_AGE_BUCKETS - 1; i++)
        bounds[i] = store_age_bounds[i];
    struct histogram histogram = {bounds, STORE_AGE_BUCKETS - 1, metrics->store.evicted_ages,
                                  (double)metrics->store.evicted_age_seconds};
    exposition_histogram(to, "", &histogram);
}

static void write_by_database(const struct metrics *metrics, struct exposition *to,
                              size_t (*count)(struct store *store, unsigned database))
{
    for (unsigned i = 0; i < (unsigned)metrics->service->options->databases; i++) {
        char labels[LABELS_BYTES];
        snprintf(labels, sizeof labels, "db=\"%u\"", i);
        exposition_u64(to, labels, count(metrics->service->store, i));
    }
}

static void write_items(const struct metrics *metrics, struct exposition *to)
{
    write_by_database(metrics, to, store_count);
}

static void write_items_with_ttl(const struct metrics *metrics, struct exposition *to)
{
    write_by_database(metrics, to, store_count_expires);
}

/* ---- commands ---- */

static const char *command_label(char *labels, const char *protocol, const char *cmd)
{
    labels[0] = '\0';
    exposition_label(labels, LABELS_BYTES, "protocol", protocol);
    exposition_label(labels, LABELS_BYTES, "cmd", cmd);
    return labels;
}

/* Whether anybody has sent the command: the others show no more than a count of 0.
 * The page is a part of what a server at rest holds. */
static bool was_sent(const struct counters *counters, size_t command)
{
    return counters->resp_commands[command] > 0 || counters->resp_errors[command] > 0;
}

static void write_commands(const struct metrics *metrics, struct exposition *to)
{
    const struct counters *counters = &metrics->counters;
    char labels[LABELS_BYTES];
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        exposition_u64(to, command_label(labels, "resp", commands[i].name),
                       counters->resp_commands[i]);
    exposition_u64(to, command_label(labels, "resp", "unknown"), counters->resp_unknown);
    for (size_t i = 0; i < EBB_MC_VERB_COUNT; i++)
        exposition_u64(to, command_label(labels, "memcached", ebb_mc_verb_names[i]),
                       counters->mc_commands[i]);
}

static void write_command_errors(const struct metrics *metrics, struct exposition *to)
{
    const struct counters *counters = &metrics->counters;
    char labels[LABELS_BYTES];
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (was_sent(counters, i))
            exposition_u64(to, command_label(labels, "resp", commands[i].name),
                           counters->resp_errors[i]);
    }
    exposition_u64(to, command_label(labels, "resp", "unknown"), counters->resp_unknown);
    exposition_u64(to, command_label(labels, "memcached", "any"), counters->mc_errors);
}

static void write_error_replies(const struct metrics *metrics, struct exposition *to)
{
    static const char *const labels[ERROR_KIND_COUNT] = {
#define ERROR_KIND(word) "kind=\"" #word "\"",
#include "../cmd/error_kinds.def"
#undef ERROR_KIND
    };
    for (size_t i = 0; i < ERROR_KIND_COUNT; i++)
        exposition_u64(to, labels[i], metrics->counters.resp_error_kinds[i]);
}

static void write_command_seconds(const struct metrics *metrics, struct exposition *to)
{
    char labels[LABELS_BYTES];
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (was_sent(&metrics->counters, i))
            exposition_double(to, command_label(labels, "resp", commands[i].name),
                              (double)metrics->counters.resp_ns[i] / 1e9);
    }
}

static void write_durations(const struct metrics *metrics, struct exposition *to)
{
    static const char *const families[FAMILY_COUNT] = {
        [FAMILY_READ] = "family=\"read\"",
        [FAMILY_WRITE] = "family=\"write\"",
        [FAMILY_MULTI] = "family=\"multi\"",
        [FAMILY_ADMIN] = "family=\"admin\"",
    };
    for (size_t i = 0; i < FAMILY_COUNT; i++) {
        struct histogram histogram = {counters_duration_bounds, COUNTERS_DURATION_BUCKETS - 1,
                                      metrics->counters.duration[i],
                                      (double)metrics->counters.duration_ns[i] / 1e9};
        exposition_histogram(to, families[i], &histogram);
    }
}

static void write_requests(const struct metrics *metrics, struct exposition *to)
{
    static const char *const protocols[PROTOCOL_COUNT] = {
        [PROTOCOL_RESP] = "protocol=\"resp\"",
        [PROTOCOL_MEMCACHED] = "protocol=\"memcached\"",
        [PROTOCOL_HTTP] = "protocol=\"http\"",
    };
    for (size_t i = 0; i < PROTOCOL_COUNT; i++) {
        struct histogram histogram = {counters_duration_bounds, COUNTERS_DURATION_BUCKETS - 1,
                                      metrics->counters.request[i],
                                      (double)metrics->counters.request_ns[i] / 1e9};
        exposition_histogram(to, protocols[i], &histogram);
    }
}

/* ---- loops ---- */

static void write_stalls(const struct metrics *metrics, struct exposition *to)
{
    struct histogram histogram = {counters_duration_bounds, COUNTERS_DURATION_BUCKETS - 1,
                                  metrics->counters.stall,
                                  (double)metrics->counters.stall_ns / 1e9};
    exposition_histogram(to, "", &histogram);
}

static void write_loops(const struct metrics *metrics, struct exposition *to)
{
    for (unsigned i = 0; i < metrics->loop_count; i++) {
        char labels[LABELS_BYTES] = "thread=\"main\"";
        if (i > 0)
            snprintf(labels, sizeof labels, "thread=\"worker-%u\"", i);
        exposition_double(to, labels, metrics->loop_seconds[i]);
    }
}

static void write_value_sizes(const struct metrics *metrics, struct exposition *to)
{
    double bounds[STORE_SIZE_BUCKETS - 1];
    for (size_t i = 0; i < STORE_SIZE_BUCKETS - 1; i++)
        bounds[i] = (double)(UINT64_C(64) << (2 * i));
    struct histogram histogram = {bounds, STORE_SIZE_BUCKETS - 1, metrics->store.stored_sizes,
                                  (double)metrics->store.stored_bytes};
    exposition_histogram(to, "", &histogram);
}

/* ---- the table ---- */

static const struct row rows[] = {
#include "metrics.def"
};

void metrics_write(struct metrics *metrics, enum exposition_format format, struct ebb_buf *out)
{
    rows_write(rows, sizeof rows / sizeof rows[0], metrics, format, out);
}
