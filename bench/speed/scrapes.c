/* SPDX-License-Identifier: MIT */
/* scrapes.c: what watching costs: throughput while /metrics is asked for a hundred times a second
 * beside the same without, and the share of the main thread, which does upkeep, samples and
 * answers. Once with worker and main thread on one processor, once with the main thread on the
 * other one, where the kernel would put it if it were free.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../workload.h"
#include "ring.h"

#define KEYS        100000u
#define VALUE_BYTES 100u
#define SCRAPE_MS   10

static const char title[] = "depth 32: ops/s with 100 scrapes/s against none";

struct scraper {
    pthread_t thread;
    const struct proc *proc;
    const cpu_set_t *cpus;
    uint64_t scrapes;
    bool is_stopping; /* atomic */
};

/* A scrape that is late is made up for. */
static void *run(void *context)
{
    struct scraper *scraper = context;
    sched_setaffinity(0, sizeof *scraper->cpus, scraper->cpus);
    uint64_t turn_ns = clock_ns();
    while (!__atomic_load_n(&scraper->is_stopping, __ATOMIC_RELAXED)) {
        char *metrics = proc_metrics(scraper->proc);
        if (metrics == NULL || strstr(metrics, "\nebb_memory_resident_bytes{") == NULL)
            die("no /metrics");
        free(metrics);
        scraper->scrapes++;
        turn_ns += SCRAPE_MS * UINT64_C(1000000);
        uint64_t now_ns = clock_ns();
        if (now_ns < turn_ns)
            sleep_ms((turn_ns - now_ns) / 1000000);
    }
    return NULL;
}

/* What the thread that has the process's number has used: the main one. */
static double main_thread_seconds(pid_t pid)
{
    char path[64];
    unsigned long long ns = 0;
    snprintf(path, sizeof path, "/proc/%d/task/%d/schedstat", (int)pid, (int)pid);
    FILE *file = fopen(path, "r");
    if (file == NULL || fscanf(file, "%llu", &ns) != 1)
        ns = 0;
    if (file != NULL)
        fclose(file);
    return (double)ns / 1e9;
}

struct turn {
    double operations[PLAN_ROUNDS_MAX], main_percent[PLAN_ROUNDS_MAX], scrapes[PLAN_ROUNDS_MAX];
};

static void play(struct turn *turn, unsigned round, const struct plan *plan,
                 const struct proc *proc, const struct load *load, bool is_scraped)
{
    struct drive_result result;
    struct drive_options options = {.port = proc->port,
                                    .connections = 50,
                                    .warm_seconds = plan->warm_seconds,
                                    .seconds = plan->seconds,
                                    .cpus = &plan->cores.driver,
                                    .server = proc->pid};
    struct scraper scraper = {.proc = proc, .cpus = &plan->cores.driver};
    if (is_scraped && pthread_create(&scraper.thread, NULL, run, &scraper) != 0)
        die("no thread");
    double before = main_thread_seconds(proc->pid), begin = (double)clock_ns() / 1e9;
    drive(load, &options, &result);
    double seconds = (double)clock_ns() / 1e9 - begin;
    turn->main_percent[round] = 100 * (main_thread_seconds(proc->pid) - before) / seconds;
    __atomic_store_n(&scraper.is_stopping, true, __ATOMIC_RELAXED);
    if (is_scraped)
        pthread_join(scraper.thread, NULL);
    turn->scrapes[round] = (double)scraper.scrapes / seconds;
    turn->operations[round] = drive_operations_per_second(&result);
}

static void report_turn(struct turn *turn, unsigned rounds, const char *row, struct report *report)
{
    report->row = row;
    report_add(report, "operations/s", spread_of(turn->operations, rounds).median);
    report_add(report, "scrapes/s", spread_of(turn->scrapes, rounds).median);
    report_add(report, "main thread_percent", spread_of(turn->main_percent, rounds).median);
}

/* All rounds; is_apart: with the main thread on the driver's processor. */
static void play_rounds(const struct plan *plan, const struct proc *proc, const struct load *load,
                        bool is_apart, struct report *report, struct reach *reach)
{
    static struct turn alone, scraped;
    double ratios[PLAN_ROUNDS_MAX];
    const cpu_set_t *main_cpus = is_apart ? &plan->cores.driver : &plan->cores.server;
    const char *where = is_apart ? ", main thread apart" : "";
    char row[2][64];
    if (sched_setaffinity(proc->pid, sizeof *main_cpus, main_cpus) != 0)
        die("the main thread can't be moved");
    for (unsigned r = 0; r < plan->rounds; r++) {
        fprintf(stderr, "# scrapes%s, round %u of %u\n", where, r + 1, plan->rounds);
        for (unsigned n = 0; n < 2; n++) {
            bool is_scraped = (n + r) % 2 == 1;
            play(is_scraped ? &scraped : &alone, r, plan, proc, load, is_scraped);
        }
        ratios[r] = scraped.operations[r] / alone.operations[r];
    }
    snprintf(row[0], sizeof row[0], "none%s", where);
    snprintf(row[1], sizeof row[1], "100 a second%s", where);
    report_turn(&alone, plan->rounds, row[0], report);
    report_turn(&scraped, plan->rounds, row[1], report);
    struct reach_line *line =
        reach_at_least(reach, spread_of(ratios, plan->rounds), 0.99, "%s%s", title, where);
    snprintf(line->note, sizeof line->note,
             is_apart ? "main thread, driver and scraper on one processor"
                      : "worker and main thread on one processor");
    if (!is_apart)
        reach_at_most(reach, spread_of(alone.main_percent, plan->rounds), 5,
                      "upkeep and samples, %% of a processor under load");
}

void scene_scrapes(const struct plan *plan, struct report *report, struct reach *reach)
{
    const struct plan_server *server = plan_find(plan, "ebb");
    if (server == NULL) {
        reach_open(reach, "no ebb", "%s", title);
        return;
    }
    struct proc proc;
    struct load load;
    struct load_options options = {.value_bytes = VALUE_BYTES,
                                   .keys = KEYS,
                                   .depth = 32,
                                   .multiget = 1,
                                   .get_share = 10.0 / 11,
                                   .seed = 1};
    load_compose(&load, &options);
    plan_proc(plan, server, VALUE_BYTES, &proc);
    proc_start(&proc, KEYS * (VALUE_BYTES + LOAD_KEY_BYTES));
    load_fill(WIRE_RESP, proc.port, KEYS, VALUE_BYTES);
    report->topic = "scrapes, depth 32, 100 B";
    report->phase = "";
    report->is_bound = false;
    play_rounds(plan, &proc, &load, false, report, reach);
    play_rounds(plan, &proc, &load, true, report, reach);
    proc_stop(&proc);
    load_release(&load);
    report_print_topic(report, report->topic);
}
