/* SPDX-License-Identifier: MIT */
/* ring.c: see ring.h. */
#include "ring.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../workload.h"

#define SEED 1

/* ---- servers ---- */

static const struct {
    const char *name;
    unsigned protocols; /* bits of enum load_protocol */
} kinds[] = {
    {"ebb", 1u << LOAD_RESP | 1u << LOAD_TEXT | 1u << LOAD_META},
    {"limit", 1u << LOAD_RESP | 1u << LOAD_TEXT | 1u << LOAD_META},
    {"redis", 1u << LOAD_RESP},
    {"memcached", 1u << LOAD_TEXT | 1u << LOAD_META},
};
#define KIND_COUNT (sizeof kinds / sizeof kinds[0])

static unsigned protocols_of(const char *name)
{
    for (size_t k = 0; k < KIND_COUNT; k++)
        if (strcmp(name, kinds[k].name) == 0)
            return kinds[k].protocols;
    die("%s: a server is ebb, limit, redis or memcached", name);
}

static const char *suffix_of(const char *name, enum load_protocol protocol)
{
    if (protocol == LOAD_META)
        return " meta";
    return protocol == LOAD_TEXT && strcmp(name, "memcached") != 0 ? " text" : "";
}

static void add_contestants(struct ring *ring, size_t server, const struct plan_server *row)
{
    for (unsigned p = LOAD_RESP; p <= LOAD_META; p++) {
        if ((protocols_of(row->name) >> p & 1) == 0)
            continue;
        struct contestant *contestant = &ring->contestants[ring->contestant_count++];
        contestant->server = server;
        contestant->protocol = (enum load_protocol)p;
        snprintf(contestant->label, sizeof contestant->label, "%s%s", row->label,
                 suffix_of(row->name, (enum load_protocol)p));
    }
}

static bool is_limit(const struct proc *proc)
{
    return strcmp(proc->name, "limit") == 0;
}

void ring_open(struct ring *ring, const struct plan *plan, size_t value_bytes, uint64_t keys)
{
    *ring = (struct ring){.plan = plan, .keys = keys, .value_bytes = value_bytes};
    for (size_t s = 0; s < plan->server_count; s++) {
        struct proc *proc = &ring->servers[ring->server_count];
        plan_proc(plan, &plan->servers[s], value_bytes, proc);
        proc->protocol = protocols_of(proc->name) & 1u << LOAD_RESP ? WIRE_RESP : WIRE_MEMCACHED;
        proc_start(proc, keys * (LOAD_KEY_BYTES + value_bytes));
        if (!is_limit(proc))
            load_fill(proc->protocol, proc->port, keys, value_bytes);
        add_contestants(ring, ring->server_count++, &plan->servers[s]);
    }
}

void ring_close(struct ring *ring)
{
    for (size_t s = 0; s < ring->server_count; s++)
        proc_stop(&ring->servers[s]);
}

size_t ring_find(const struct ring *ring, const char *label)
{
    size_t c = 0;
    while (c < ring->contestant_count && strcmp(ring->contestants[c].label, label) != 0)
        c++;
    return c;
}

/* ---- playing ---- */

static void play_one(const struct ring *ring, const struct course *course,
                     const struct contestant *contestant, const struct load *load,
                     struct drive_result *result)
{
    const struct proc *proc = &ring->servers[contestant->server];
    struct drive_options options = {
        .port = contestant->protocol == LOAD_RESP || proc->memcached_port == 0
                    ? proc->port
                    : proc->memcached_port,
        .connections = course->connections,
        .warm_seconds = ring->plan->warm_seconds,
        .seconds = ring->plan->seconds,
        .cpus = &ring->plan->cores.driver,
        .server = proc->pid,
    };
    drive(load, &options, result);
    if (result->misses > 0)
        die("%s %s: %llu of %llu keys are not there", course->name, contestant->label,
            (unsigned long long)result->misses, (unsigned long long)result->operations);
}

void ring_play(const struct ring *ring, const struct course *course, struct outcome *outcome)
{
    struct load loads[LOAD_META + 1];
    unsigned rounds = ring->plan->rounds;
    for (unsigned p = LOAD_RESP; p <= LOAD_META; p++) {
        struct load_options options = {.protocol = (enum load_protocol)p,
                                       .value_bytes = course->value_bytes,
                                       .keys = ring->keys,
                                       .depth = course->depth,
                                       .multiget = course->multiget,
                                       .get_share = 10.0 / 11,
                                       .seed = SEED};
        load_compose(&loads[p], &options);
    }
    *outcome = (struct outcome){.ring = ring, .course = course, .rounds = rounds};
    outcome->results =
        must_realloc(NULL, ring->contestant_count * rounds * sizeof *outcome->results);
    for (unsigned r = 0; r < rounds; r++) {
        fprintf(stderr, "# %s, round %u of %u\n", course->name, r + 1, rounds);
        for (size_t n = 0; n < ring->contestant_count; n++) {
            size_t c = (n + r) % ring->contestant_count; /* nobody is always the first */
            const struct contestant *contestant = &ring->contestants[c];
            play_one(ring, course, contestant, &loads[contestant->protocol],
                     &outcome->results[c * rounds + r]);
        }
    }
    for (unsigned p = LOAD_RESP; p <= LOAD_META; p++)
        load_release(&loads[p]);
}

void outcome_release(struct outcome *outcome)
{
    free(outcome->results);
    *outcome = (struct outcome){0};
}

/* ---- figures ---- */

double drive_operations_per_second(const struct drive_result *result)
{
    return (double)result->operations / result->seconds;
}

double drive_server_ns(const struct drive_result *result)
{
    return result->server_cpu_seconds * 1e9 / (double)result->operations;
}

double drive_driver_ns(const struct drive_result *result)
{
    return result->driver_cpu_seconds * 1e9 / (double)result->operations;
}

double drive_received_mb(const struct drive_result *result)
{
    return (double)result->received_bytes / result->seconds / 1e6;
}

struct spread outcome_spread(const struct outcome *outcome, size_t contestant, drive_figure *figure)
{
    double values[PLAN_ROUNDS_MAX];
    for (unsigned r = 0; r < outcome->rounds; r++)
        values[r] = figure(outcome_at(outcome, contestant, r));
    return spread_of(values, outcome->rounds);
}

struct spread outcome_ratio(const struct outcome *outcome, size_t contestant, size_t other,
                            drive_figure *figure)
{
    double values[PLAN_ROUNDS_MAX];
    for (unsigned r = 0; r < outcome->rounds; r++)
        values[r] =
            figure(outcome_at(outcome, contestant, r)) / figure(outcome_at(outcome, other, r));
    return spread_of(values, outcome->rounds);
}

bool outcome_mostly(const struct outcome *outcome, size_t contestant, drive_finding *finding)
{
    unsigned found = 0;
    for (unsigned r = 0; r < outcome->rounds; r++)
        found += finding(outcome_at(outcome, contestant, r));
    return 2 * found > outcome->rounds;
}

static double p50_us(const struct drive_result *result)
{
    return (double)histogram_quantile(&result->latency, 0.5) / 1e3;
}

static double p99_us(const struct drive_result *result)
{
    return (double)histogram_quantile(&result->latency, 0.99) / 1e3;
}

static double p999_us(const struct drive_result *result)
{
    return (double)histogram_quantile(&result->latency, 0.999) / 1e3;
}

static double longest_us(const struct drive_result *result)
{
    return (double)result->latency.longest_ns / 1e3;
}

static double server_busy(const struct drive_result *result)
{
    return 100 * drive_server_busy(result);
}

static double driver_busy(const struct drive_result *result)
{
    return 100 * drive_driver_busy(result);
}

static double instructions(const struct drive_result *result)
{
    return (double)result->server_events.counts[EVENT_INSTRUCTIONS] / (double)result->operations;
}

static double cycles(const struct drive_result *result)
{
    return (double)result->server_events.counts[EVENT_CYCLES] / (double)result->operations;
}

static const struct {
    const char *name;
    drive_figure *figure;
    bool is_counted; /* by the processor, where it does */
} columns[] = {
    {"operations/s", drive_operations_per_second, false},
    {"MB/s", drive_received_mb, false},
    {"server_ns", drive_server_ns, false},
    {"driver_ns", drive_driver_ns, false},
    {"server_busy_percent", server_busy, false},
    {"driver_busy_percent", driver_busy, false},
    {"p50_us", p50_us, false},
    {"p99_us", p99_us, false},
    {"p99.9_us", p999_us, false},
    {"longest_us", longest_us, false},
    {"instructions", instructions, true},
    {"cycles", cycles, true},
};

void outcome_report(const struct outcome *outcome, struct report *report)
{
    report->topic = outcome->course->name;
    report->phase = "";
    report->is_bound = false;
    for (size_t c = 0; c < outcome->ring->contestant_count; c++) {
        report->row = outcome->ring->contestants[c].label;
        bool has_counts = outcome_at(outcome, c, 0)->server_events.has[EVENT_INSTRUCTIONS];
        for (size_t n = 0; n < sizeof columns / sizeof columns[0]; n++)
            if (!columns[n].is_counted || has_counts)
                report_add(report, columns[n].name,
                           outcome_spread(outcome, c, columns[n].figure).median);
    }
}
