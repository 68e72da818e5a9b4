/* SPDX-License-Identifier: MIT */
/* stage.c: what every scene begins and ends with, and the workloads W1..W8. See scenes.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scenes.h"

#define IDLE_MS        1000
#define FOLLOW_STEP_MS 10
#define MIB            (1024.0 * 1024)

/* ---- the stage ---- */

void stage_open(struct stage *stage, const struct plan *plan, struct report *report,
                const struct proc *proc, uint64_t live_bytes, struct sizes key_lengths)
{
    *stage = (struct stage){.plan = plan, .report = report, .proc = *proc};
    proc_start(&stage->proc, live_bytes);
    client_open(&stage->client, stage->proc.protocol, stage->proc.port, plan->batch, key_lengths,
                plan->seed);
    sleep_ms(IDLE_MS);
    stage->idle_bytes = proc_rss(stage->proc.pid);
    sampler_start(&stage->sampler, stage->proc.pid);
    report->row = proc->label;
    report->phase = "";
    report->is_bound = stage->proc.http_port != 0;
}

void stage_close(struct stage *stage)
{
    sampler_stop(&stage->sampler);
    client_close(&stage->client);
    proc_stop(&stage->proc);
}

static void show_parts(struct stage *stage, const char *when, uint64_t rss)
{
    char *metrics = proc_metrics(&stage->proc);
    if (metrics == NULL)
        return;
    fprintf(stderr, "# %s %s %s: rss %.1f MiB", stage->report->topic, stage->report->row, when,
            (double)rss / MIB);
    static const char head[] = "\nebb_memory_resident_bytes{part=\"";
    for (const char *at = strstr(metrics, head); at != NULL; at = strstr(at + 1, head)) {
        const char *name = at + strlen(head), *number = strchr(name, '}');
        if (number != NULL && strtod(number + 1, NULL) >= MIB / 20)
            fprintf(stderr, " %.*s %.1f", (int)strcspn(name, "\""), name,
                    strtod(number + 1, NULL) / MIB);
    }
    fprintf(stderr, " | moved %.1f reclaimable %.1f keep %.1f window %.1f s\n",
            proc_metric(metrics, "ebb_compaction_moved_bytes_total") / MIB,
            proc_metric(metrics, "ebb_compaction_reclaimable_bytes") / MIB,
            proc_metric(metrics, "ebb_trim_hysteresis_bytes") / MIB,
            proc_metric(metrics, "ebb_trim_window_seconds"));
    free(metrics);
}

uint64_t stage_rss(struct stage *stage, const char *when)
{
    uint64_t rss = proc_rss(stage->proc.pid);
    if (stage->plan->has_parts)
        show_parts(stage, when, rss);
    return rss;
}

static double metric(const struct stage *stage, const char *name)
{
    char *metrics = proc_metrics(&stage->proc);
    double number = proc_metric(metrics, name);
    free(metrics);
    return number;
}

double stage_moved_bytes(const struct stage *stage)
{
    return metric(stage, "ebb_compaction_moved_bytes_total");
}

double stage_slice_max_us(const struct stage *stage)
{
    return metric(stage, "ebb_compaction_step_duration_max_seconds") * 1e6;
}

double stage_await(struct stage *stage, double bound, uint64_t ms)
{
    uint64_t begin = clock_ns();
    for (uint64_t now = begin; now < begin + ms * 1000000; now = clock_ns()) {
        if ((double)proc_rss_quick(stage->proc.pid) <= bound)
            return (double)(now - begin) / 1e9;
        sleep_ms(FOLLOW_STEP_MS);
    }
    return -1;
}

double stage_follow(struct stage *stage, double bound, uint64_t ms)
{
    uint64_t begin = clock_ns(), end = begin + ms * 1000000;
    double followed = stage_await(stage, bound, ms);
    uint64_t now = clock_ns();
    if (now < end)
        sleep_ms((end - now) / 1000000);
    return followed;
}

void stage_verify(struct stage *stage)
{
    client_read_all(&stage->client);
}

bool stage_end(struct stage *stage)
{
    const struct client *client = &stage->client;
    uint64_t bad = client->wrong + client->missing + client->refused;
    report_add_bound(stage->report, "wrong", (double)bad, 0);
    stage_close(stage);
    return bad == 0;
}

/* ---- W1..W8 ---- */

static double stage_bound(const struct stage *stage)
{
    return memory_bound((double)stage->client.user_bytes, (double)stage->client.table.count);
}

static void add_rss(struct stage *stage, uint64_t rss)
{
    struct report *report = stage->report;
    double bound = stage_bound(stage), user = (double)stage->client.user_bytes;
    report_add(report, "rss_bytes", (double)rss);
    report_add(report, "user_bytes", user);
    report_add(report, "items", (double)stage->client.table.count);
    report_add(report, "user_ratio", (double)rss / user);
    report_add_bound(report, "bound_ratio", (double)rss / bound, 1);
}

static void write_phase(struct stage *stage, const char *phase, struct sizes sizes)
{
    const struct plan *plan = stage->plan;
    stage->report->phase = phase;
    sampler_reset(&stage->sampler);
    uint64_t begin = clock_ns();
    client_write(&stage->client, sizes, plan->live_bytes,
                 (uint64_t)((double)plan->live_bytes * plan->written));
    double seconds = (double)(clock_ns() - begin) / 1e9;
    double high = (double)sampler_high(&stage->sampler);
    uint64_t rss = stage_rss(stage, phase);
    add_rss(stage, rss);
    report_add_bound(stage->report, "high_ratio", high > (double)rss ? high / (double)rss : 1,
                     1.05);
    report_add(stage->report, "seconds", seconds);
    stage_verify(stage);
}

static void delete_phase(struct stage *stage, const char *phase, unsigned percent)
{
    struct client *client = &stage->client;
    size_t left = client->table.count - client->table.count * percent / 100;
    stage->report->phase = phase;
    client_thin(client, left);
    uint64_t at_end = stage_rss(stage, "at once");
    double followed = stage_follow(stage, stage_bound(stage), 2000);
    add_rss(stage, stage_rss(stage, phase));
    report_add(stage->report, "end_rss_bytes", (double)at_end);
    report_add(stage->report, "follow_seconds", followed);
    stage_verify(stage);
}

static void empty_phase(struct stage *stage)
{
    double idle = (double)stage->idle_bytes, bound = idle + 4 * MIB;
    stage->report->phase = "empty";
    client_thin(&stage->client, 0);
    double followed = stage_follow(stage, bound, 5000);
    double rss = (double)stage_rss(stage, "empty");
    report_add(stage->report, "rss_bytes", rss);
    report_add_bound(stage->report, "over_idle_bytes", rss - idle, 4 * MIB);
    report_add(stage->report, "follow_seconds", followed);
}

static void add_totals(struct stage *stage, double moved, double written)
{
    struct report *report = stage->report;
    const struct client *client = &stage->client;
    report->phase = "all";
    report_add(report, "idle_bytes", (double)stage->idle_bytes);
    report_add(report, "written_bytes", written);
    if (stage->proc.http_port != 0) {
        report_add(report, "moved_bytes", moved);
        report_add_bound(report, "moved_ratio", moved / written, 0.25);
        report_add(report, "slice_max_us", stage_slice_max_us(stage));
    }
    report_add(report, "cpu_seconds", proc_usage(stage->proc.pid).cpu_seconds);
    report_add(report, "sets", (double)client->sets);
}

bool scene_workloads(const struct plan *plan, struct report *report, const struct proc *proc,
                     const struct workload *workload)
{
    struct stage stage;
    report->topic = workload->name;
    stage_open(&stage, plan, report, proc, plan->live_bytes, (struct sizes){16, 20});
    write_phase(&stage, "fill", workload->before);
    if (workload->delete_percent > 0)
        delete_phase(&stage, "delete", workload->delete_percent);
    if (workload->after.most > 0)
        write_phase(&stage, "refill", workload->after);
    double moved = stage_moved_bytes(&stage), written = (double)stage.client.written_bytes;
    delete_phase(&stage, "thin", 90);
    empty_phase(&stage);
    add_totals(&stage, moved, written);
    return stage_end(&stage);
}
