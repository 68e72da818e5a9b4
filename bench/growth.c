/* SPDX-License-Identifier: MIT */
/* growth.c: the scenes whose course is what counts: growth and square. See scenes.h, and README.md
 * for what each asks.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe.h"
#include "scenes.h"

#define MIB (1024.0 * 1024)

/* ---- growth: to many keys and back, and what another client feels ---- */

#define GROWTH_ITEMS   5000000u
#define GROWTH_BYTES   32u
#define GROWTH_BATCH   32u /* small: the probe waits behind it */
#define GROWTH_IDLE_MS 3000

static void add_probe(struct stage *stage, const char *phase, const struct probe_result *result,
                      double bound_ms)
{
    struct report *report = stage->report;
    if (result->missing > 0)
        die("the probe's key has gone");
    report->phase = phase;
    report_add(report, "gets", (double)result->count);
    report_add(report, "p50_ms", result->p50_ms);
    report_add(report, "p999_ms", result->p999_ms);
    report_add_bound(report, "longest_ms", result->longest_ms, bound_ms);
    report_add(report, "over_1_ms_gets", (double)result->over_1_ms);
}

static void probe_idle(struct stage *stage)
{
    struct probe probe;
    probe_start(&probe, stage->proc.protocol, stage->proc.port);
    sleep_ms(GROWTH_IDLE_MS);
    struct probe_result result = probe_stop(&probe);
    add_probe(stage, "idle", &result, 1e9);
}

static void change_phase(struct stage *stage, const char *phase, size_t items)
{
    struct probe probe;
    struct client *client = &stage->client;
    sampler_reset(&stage->sampler);
    uint64_t begin = clock_ns();
    probe_start(&probe, stage->proc.protocol, stage->proc.port);
    while (client->table.count < items)
        client_add(client, GROWTH_BYTES);
    client_thin(client, items);
    struct probe_result result = probe_stop(&probe);
    double high = (double)sampler_high(&stage->sampler);
    add_probe(stage, phase, &result, 1);
    report_add(stage->report, "seconds", (double)(clock_ns() - begin) / 1e9);
    report_add(stage->report, "high_bytes", high);
    if (stage->proc.http_port != 0)
        report_add(stage->report, "slice_max_us", stage_slice_max_us(stage));
    sleep_ms(2000);
    double rss = (double)stage_rss(stage, phase);
    report_add(stage->report, "rss_bytes", rss);
    if (items > 0)
        report_add_bound(stage->report, "high_ratio", high / rss, 1.02);
    else
        report_add_bound(stage->report, "over_idle_bytes", rss - (double)stage->idle_bytes,
                         4 * MIB);
}

bool scene_growth(const struct plan *plan, struct report *report, const struct proc *proc)
{
    struct stage stage;
    struct plan small = *plan;
    size_t items = plan->items != 0 ? plan->items : GROWTH_ITEMS;
    small.batch = GROWTH_BATCH;
    report->topic = "growth";
    stage_open(&stage, &small, report, proc, items * 200, (struct sizes){20, 20});
    probe_idle(&stage);
    change_phase(&stage, "grow", items);
    stage_verify(&stage);
    change_phase(&stage, "shrink", 0);
    return stage_end(&stage);
}

/* ---- square: load that swings between 20 % and 100 % ---- */

#define SQUARE_SIZES    ((struct sizes){200, 1000})
#define SQUARE_LOW      20 /* % */
#define SQUARE_WAVES    6
#define SQUARE_SECONDS  30    /* or as many waves as fit */
#define SQUARE_AFTER_MS 36000 /* the widest window of trim, and some */

static void sleep_until(uint64_t end)
{
    uint64_t now = clock_ns();
    if (now < end)
        sleep_ms((end - now) / 1000000);
}

static void fill(struct client *client, uint64_t bytes)
{
    while (client->user_bytes < bytes)
        client_add(client, sizes_pick(SQUARE_SIZES, &client->prng));
    client_settle(client);
}

static void drain(struct client *client, uint64_t bytes)
{
    while (client->user_bytes > bytes)
        client_delete(client, table_pick(&client->table, &client->prng));
}

/* The same sets and deletes as one wave makes, but in turn, so that the load stays. */
static void level(struct client *client, uint64_t live_bytes)
{
    uint64_t goal = client->written_bytes + live_bytes * (100 - SQUARE_LOW) / 100;
    while (client->written_bytes < goal) {
        client_add(client, sizes_pick(SQUARE_SIZES, &client->prng));
        drain(client, live_bytes);
    }
    client_settle(client);
}

struct wave_sums {
    double cpu_seconds; /* of a wave, mean over the second half of them */
    double first_faults, last_faults;
    double high_bytes, low_bytes;
};

static void wave(struct client *client, uint64_t live_bytes, double period, bool is_level)
{
    uint64_t begin = clock_ns();
    if (is_level)
        level(client, live_bytes);
    else
        fill(client, live_bytes);
    sleep_until(begin + (uint64_t)(period / 2 * 1e9));
    if (!is_level)
        drain(client, live_bytes * SQUARE_LOW / 100);
    client_settle(client);
    sleep_until(begin + (uint64_t)(period * 1e9));
}

static struct wave_sums run_waves(struct stage *stage, double period, unsigned waves, bool is_level)
{
    struct wave_sums sums = {0};
    struct proc_usage before = proc_usage(stage->proc.pid), middle = before;
    fill(&stage->client, stage->plan->live_bytes * (is_level ? 100 : SQUARE_LOW) / 100);
    for (unsigned w = 0; w < waves; w++) {
        if (w == waves / 2)
            middle = proc_usage(stage->proc.pid);
        sampler_reset(&stage->sampler);
        double faults = (double)proc_usage(stage->proc.pid).faults;
        wave(&stage->client, stage->plan->live_bytes, period, is_level);
        sums.last_faults = (double)proc_usage(stage->proc.pid).faults - faults;
        if (w == 0)
            sums.first_faults = sums.last_faults;
    }
    struct proc_usage after = proc_usage(stage->proc.pid);
    sums.cpu_seconds = (after.cpu_seconds - middle.cpu_seconds) / (waves - waves / 2);
    sums.high_bytes = (double)sampler_high(&stage->sampler);
    sums.low_bytes = (double)sampler_low(&stage->sampler);
    return sums;
}

/* What the same commands cost on a load that stays, and what waves cost a server that keeps all
 * its memory, is run first: only Ebb can be told to keep it. */
enum run { RUN_LEVEL, RUN_KEPT, RUN_WAVES, RUN_COUNT };
static const char *const run_names[RUN_COUNT] = {" level", " kept", ""};

static bool can_keep(const struct proc *proc)
{
    return proc->protocol == WIRE_RESP && strcmp(proc->name, "ebb") == 0;
}

static void keep_all(const struct stage *stage)
{
    free(wire_ask(stage->proc.port, "DEBUG SET-ACTIVE-TRIM 0\r\n", "+OK"));
}

static void add_ratio(struct report *report, const char *name, double cpu, double of)
{
    if (of > 0)
        report_add(report, name, cpu / of);
}

static bool square_of(struct stage *stage, const char *phase, double period, enum run run,
                      double cpu[RUN_COUNT])
{
    struct report *report = stage->report;
    unsigned waves = stage->plan->waves;
    if (waves == 0)
        waves = period * SQUARE_WAVES < SQUARE_SECONDS ? (unsigned)(SQUARE_SECONDS / period)
                                                       : SQUARE_WAVES;
    report->phase = phase;
    if (run == RUN_KEPT)
        keep_all(stage);
    struct wave_sums sums = run_waves(stage, period, waves, run == RUN_LEVEL);
    cpu[run] = sums.cpu_seconds;
    report_add(report, "waves", waves);
    report_add(report, "cpu_seconds", sums.cpu_seconds);
    if (run == RUN_WAVES) {
        add_ratio(report, "level_ratio", cpu[RUN_WAVES], cpu[RUN_LEVEL]);
        add_ratio(report, "kept_ratio", cpu[RUN_WAVES], cpu[RUN_KEPT]);
    }
    report_add(report, "first_faults", sums.first_faults);
    report_add(report, "last_faults", sums.last_faults);
    report_add(report, "high_bytes", sums.high_bytes);
    report_add(report, "low_bytes", sums.low_bytes);
    if (run == RUN_WAVES) {
        const struct client *client = &stage->client;
        double bound = memory_bound((double)client->user_bytes, (double)client->table.count);
        report_add(report, "follow_seconds", stage_await(stage, bound, SQUARE_AFTER_MS));
        report_add_bound(report, "rss_bytes", (double)stage_rss(stage, phase), bound);
    }
    stage_verify(stage);
    return stage_end(stage);
}

bool scene_square(const struct plan *plan, struct report *report, const struct proc *proc)
{
    bool is_right = true;
    report->topic = "square";
    for (size_t p = 0; p < plan->period_count; p++) {
        struct stage stage;
        char phase[FIGURE_NAME_MAX];
        double cpu[RUN_COUNT] = {0};
        for (enum run run = 0; run < RUN_COUNT; run++) {
            if (run == RUN_KEPT && !can_keep(proc))
                continue;
            snprintf(phase, sizeof phase, "%g s%s", plan->periods[p], run_names[run]);
            stage_open(&stage, plan, report, proc, plan->live_bytes, (struct sizes){16, 20});
            is_right = square_of(&stage, phase, plan->periods[p], run, cpu) && is_right;
        }
    }
    return is_right;
}
