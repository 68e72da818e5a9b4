/* SPDX-License-Identifier: MIT */
/* memory.c: what servers cost in memory: reads the options, runs the scenes on each server in turn,
 * prints the tables. `memory --help` says how; README.md says what the figures mean.
 */
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arguments.h"
#include "scenes.h"

#define SERVERS_MAX 6
#define LABEL_MAX   24

static const struct {
    const char *name;
    bool (*run)(const struct plan *plan, struct report *report, const struct proc *proc);
} scenes[] = {
    {"frag", scene_frag},     {"keep", scene_keep},     {"overhead", scene_overhead},
    {"growth", scene_growth}, {"square", scene_square}, {"churn", scene_churn},
    {"limit", scene_limit},
};
#define SCENE_COUNT (sizeof scenes / sizeof scenes[0])

struct options {
    struct plan plan;
    struct proc servers[SERVERS_MAX];
    char labels[SERVERS_MAX][LABEL_MAX];
    size_t server_count;
    const char *binary, *json;
    enum wire_protocol protocol;
    bool has_workloads, has_scene[SCENE_COUNT];
    bool must_meet; /* a bound that is not met makes the exit code 1 */
};

/* ---- reading the options ---- */

static void usage(FILE *file)
{
    fputs("memory [WHAT]... [OPTION]...\n"
          "\n"
          "WHAT is workloads (the default), frag, keep, overhead, growth, square, churn, all of\n"
          "these, or limit.\n"
          "\n"
          "  --server LIST       of ebb, redis, memcached, HOST:PORT (default: the first three;\n"
          "                      one that is not installed is left out, and said so)\n"
          "  --binary PATH       Ebb's program (default build/ebb)\n"
          "  --protocol NAME     for Ebb and HOST:PORT: resp (default) or memcached\n"
          "  --workloads LIST    of 1 to 8 (default: all)\n"
          "  --live SIZE         bytes of keys and values, in limit maxmemory (default 256mb)\n"
          "  --written N         times that in each writing phase (default 5)\n"
          "  --items N           of overhead (default 2000000) and growth (5000000)\n"
          "  --periods LIST      of square, in seconds (default 1,5,20)\n"
          "  --waves N           of each period (default: 30 seconds of them, 6 at least)\n"
          "  --seconds N         of churn (default 60)\n"
          "  --batch N           commands on their way at a time (default 256)\n"
          "  --seed N            of all that is random (default 1)\n"
          "  --json FILE         all figures\n"
          "  --parts             Ebb's account of its memory at the end of each phase\n"
          "  --must-meet         exit with 1 too when Ebb is beyond a bound\n"
          "\n"
          "Exit code: 0, or 1 when a value read back was wrong or missing, or 2 when it could not\n"
          "be measured.\n",
          file);
}

static void read_servers(struct options *options, char *list)
{
    for (char *name = strtok(list, ","); name != NULL; name = strtok(NULL, ",")) {
        if (options->server_count == SERVERS_MAX)
            die("--server: at most %d", SERVERS_MAX);
        options->servers[options->server_count++].name = name;
    }
}

static void read_workloads(struct options *options, char *list)
{
    options->plan.workload_mask = 0;
    for (char *name = strtok(list, ","); name != NULL; name = strtok(NULL, ",")) {
        double number = argument_number(name + (*name == 'W'), "workloads", 0, INFINITY);
        if (number < 1 || number > WORKLOAD_COUNT)
            die("--workloads: 1 to %d", WORKLOAD_COUNT);
        options->plan.workload_mask |= 1u << ((unsigned)number - 1);
    }
}

static void read_periods(struct plan *plan, char *list)
{
    plan->period_count = 0;
    for (char *name = strtok(list, ","); name != NULL; name = strtok(NULL, ",")) {
        if (plan->period_count == PERIODS_MAX)
            die("--periods: at most %d", PERIODS_MAX);
        plan->periods[plan->period_count++] = argument_number(name, "periods", 0, INFINITY);
    }
}

static void read_scene(struct options *options, const char *name)
{
    bool is_all = strcmp(name, "all") == 0, is_known = is_all || strcmp(name, "workloads") == 0;
    options->has_workloads = options->has_workloads || is_known;
    for (size_t s = 0; s < SCENE_COUNT; s++) {
        bool is_among_all = scenes[s].run != scene_limit;
        if (!(is_all && is_among_all) && strcmp(scenes[s].name, name) != 0)
            continue;
        options->has_scene[s] = is_known = true;
    }
    if (!is_known)
        die("%s: no such scene (see --help)", name);
}

enum option_id {
    SERVER,
    BINARY,
    PROTOCOL,
    WORKLOADS,
    LIVE,
    WRITTEN,
    ITEMS,
    PERIODS,
    WAVES,
    SECONDS,
    BATCH,
    SEED,
    JSON,
    PARTS,
    MUST_MEET,
    HELP
};

static const struct option rows[] = {
    {"server", required_argument, NULL, SERVER},
    {"binary", required_argument, NULL, BINARY},
    {"protocol", required_argument, NULL, PROTOCOL},
    {"workloads", required_argument, NULL, WORKLOADS},
    {"live", required_argument, NULL, LIVE},
    {"written", required_argument, NULL, WRITTEN},
    {"items", required_argument, NULL, ITEMS},
    {"periods", required_argument, NULL, PERIODS},
    {"waves", required_argument, NULL, WAVES},
    {"seconds", required_argument, NULL, SECONDS},
    {"batch", required_argument, NULL, BATCH},
    {"seed", required_argument, NULL, SEED},
    {"json", required_argument, NULL, JSON},
    {"parts", no_argument, NULL, PARTS},
    {"must-meet", no_argument, NULL, MUST_MEET},
    {"help", no_argument, NULL, HELP},
    {NULL, 0, NULL, 0},
};

static void read_protocol(struct options *options, const char *name)
{
    if (strcmp(name, "resp") != 0 && strcmp(name, "memcached") != 0)
        die("--protocol: resp or memcached");
    options->protocol = strcmp(name, "resp") == 0 ? WIRE_RESP : WIRE_MEMCACHED;
}

static void read_option(struct options *options, int option, char *text)
{
    struct plan *plan = &options->plan;
    switch (option) {
    case SERVER:
        read_servers(options, text);
        break;
    case BINARY:
        options->binary = text;
        break;
    case PROTOCOL:
        read_protocol(options, text);
        break;
    case WORKLOADS:
        read_workloads(options, text);
        break;
    case LIVE:
        plan->live_bytes = argument_size(text, "live");
        break;
    case WRITTEN:
        plan->written = argument_number(text, "written", 0, INFINITY);
        break;
    case ITEMS:
        plan->items = (size_t)argument_number(text, "items", 0, INFINITY);
        break;
    case PERIODS:
        read_periods(plan, text);
        break;
    case WAVES:
        plan->waves = (unsigned)argument_number(text, "waves", 0, INFINITY);
        break;
    case SECONDS:
        plan->churn_seconds = argument_number(text, "seconds", 0, INFINITY);
        break;
    case BATCH:
        plan->batch = (unsigned)argument_number(text, "batch", 0, INFINITY);
        break;
    case SEED:
        plan->seed = (uint64_t)argument_number(text, "seed", 0, INFINITY);
        break;
    case JSON:
        options->json = text;
        break;
    case PARTS:
        plan->has_parts = true;
        break;
    case MUST_MEET:
        options->must_meet = true;
        break;
    case HELP:
        usage(stdout);
        exit(0);
    default:
        usage(stderr);
        exit(2);
    }
}

static void read_options(struct options *options, int argc, char **argv)
{
    static char usual[] = "ebb,redis,memcached";
    *options = (struct options){.plan = {.live_bytes = UINT64_C(256) << 20,
                                         .written = 5,
                                         .workload_mask = (1u << WORKLOAD_COUNT) - 1,
                                         .periods = {1, 5, 20},
                                         .period_count = 3,
                                         .batch = 256,
                                         .seed = 1}};
    for (int option; (option = getopt_long(argc, argv, "", rows, NULL)) != -1;)
        read_option(options, option, optarg);
    for (; optind < argc; optind++)
        read_scene(options, argv[optind]);
    bool has_any = options->has_workloads;
    for (size_t s = 0; s < SCENE_COUNT; s++)
        has_any = has_any || options->has_scene[s];
    options->has_workloads = options->has_workloads || !has_any;
    if (options->server_count == 0)
        read_servers(options, usual);
}

/* Leaves out what is not installed; names the rows of the tables. */
static void prepare_servers(struct options *options)
{
    size_t kept = 0;
    for (size_t s = 0; s < options->server_count; s++) {
        struct proc proc = {.name = options->servers[s].name, .protocol = options->protocol};
        if (strcmp(proc.name, "ebb") == 0)
            proc.binary = options->binary;
        if (!proc_is_installed(&proc)) {
            fprintf(stderr, "bench: %s is not installed: left out\n", proc.name);
            continue;
        }
        bool is_other = strcmp(proc.name, "ebb") == 0 && proc.protocol == WIRE_MEMCACHED;
        snprintf(options->labels[kept], LABEL_MAX, "%s%s", proc.name, is_other ? "/mc" : "");
        proc.label = options->labels[kept];
        options->servers[kept++] = proc;
    }
    options->server_count = kept;
    if (kept == 0)
        die("no server to measure");
}

/* ---- running ---- */

static bool run_all(const struct options *options, struct report *report)
{
    bool is_right = true;
    for (size_t w = 0; options->has_workloads && w < WORKLOAD_COUNT; w++)
        for (size_t s = 0; options->plan.workload_mask >> w & 1 && s < options->server_count; s++) {
            fprintf(stderr, "# %s %s\n", workloads[w].name, options->servers[s].label);
            is_right =
                scene_workloads(&options->plan, report, &options->servers[s], &workloads[w]) &&
                is_right;
        }
    for (size_t n = 0; n < SCENE_COUNT; n++)
        for (size_t s = 0; options->has_scene[n] && s < options->server_count; s++) {
            fprintf(stderr, "# %s %s\n", scenes[n].name, options->servers[s].label);
            is_right = scenes[n].run(&options->plan, report, &options->servers[s]) && is_right;
        }
    return is_right;
}

int main(int argc, char **argv)
{
    struct options options;
    struct report report = {0};
    read_options(&options, argc, argv);
    prepare_servers(&options);
    bool is_right = run_all(&options, &report);
    report_print_workloads(&report);
    for (size_t n = 0; n < SCENE_COUNT; n++)
        report_print_topic(&report, scenes[n].name);
    report_print_missed(&report);
    if (options.json != NULL && !report_write_json(&report, options.json))
        die("%s can't be written", options.json);
    bool is_met = report_missed(&report) == 0;
    if (!is_right)
        fprintf(stderr, "bench: values read back were wrong or missing\n");
    report_release(&report);
    return !is_right || (options.must_meet && !is_met);
}
