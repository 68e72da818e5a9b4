/* SPDX-License-Identifier: MIT */
/* race.c: how fast servers are beside each other: reads the options, runs the scenes, prints what
 * was to be reached. `race --help` says how; README.md says what the figures mean.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "../arguments.h"
#include "../workload.h"
#include "plan.h"

#define COLD_COST 8 /* what all servers together hold at most of a key space, in its bytes */

static const struct {
    const char *name;
    void (*run)(const struct plan *plan, struct report *report, struct reach *reach);
    bool is_usual;
} scenes[] = {
    {"courses", scene_courses, true}, {"stalls", scene_stalls, true},
    {"crowd", scene_crowd, true},     {"workers", scene_workers, true},
    {"scrapes", scene_scrapes, true}, {"sweep", scene_sweep, false},
};
#define SCENE_COUNT (sizeof scenes / sizeof scenes[0])

struct options {
    struct plan plan;
    bool has_scene[SCENE_COUNT];
    const char *binary, *json;
    bool must_meet;
};

/* ---- reading the options ---- */

static void usage(FILE *file)
{
    fputs(
        "race [WHAT]... [OPTION]...\n"
        "\n"
        "WHAT is courses, stalls, crowd, workers, scrapes (all of these by default) or sweep.\n"
        "\n"
        "  --quick             a short version of each, to see that all is well\n"
        "  --server LIST       of ebb, limit, redis, memcached, or KIND=PATH for another program\n"
        "                      that is started like one of them (default: the first four; one\n"
        "                      that is not installed is left out, and said so)\n"
        "  --binary PATH       Ebb's program (default build/ebb)\n"
        "  --rounds N          each server's turns (default 5)\n"
        "  --seconds F         of one turn (default 1)\n"
        "  --cold SIZE         of keys and values in a key space that fits no cache (default 2gb)\n"
        "  --items N           of stalls (default 5000000)\n"
        "  --crowd N           connections at the same time (default 10000)\n"
        "  --json FILE         all figures\n"
        "  --must-meet         exit with 1 when something is not reached\n"
        "\n"
        "Exit code: 0, or 1 for --must-meet, or 2 when it could not be measured.\n",
        file);
}

/* "redis" or "redis=/opt/valkey/bin/valkey-server" */
static void read_server(struct plan *plan, const char *text)
{
    static const char *const kinds[] = {"ebb", "limit", "redis", "memcached"};
    if (plan->server_count == PLAN_SERVERS_MAX)
        die("--server: at most %d", PLAN_SERVERS_MAX);
    struct plan_server *server = &plan->servers[plan->server_count++];
    size_t length = strcspn(text, "="), k = 0;
    *server = (struct plan_server){.binary = text[length] == '=' ? text + length + 1 : NULL};
    snprintf(server->name, sizeof server->name, "%.*s", (int)length, text);
    while (k < sizeof kinds / sizeof kinds[0] && strcmp(kinds[k], server->name) != 0)
        k++;
    if (k == sizeof kinds / sizeof kinds[0])
        die("--server: %s is not ebb, limit, redis or memcached", server->name);
    const char *slash = server->binary != NULL ? strrchr(server->binary, '/') : NULL;
    const char *label = slash != NULL ? slash + 1 : server->binary;
    snprintf(server->label, sizeof server->label, "%s", label != NULL ? label : server->name);
}

static void read_servers(struct plan *plan, char *list)
{
    for (char *name = strtok(list, ","); name != NULL; name = strtok(NULL, ","))
        read_server(plan, name);
}

static void read_scene(struct options *options, const char *name)
{
    size_t s = 0;
    while (s < SCENE_COUNT && strcmp(scenes[s].name, name) != 0)
        s++;
    if (s == SCENE_COUNT)
        die("%s: no such scene (see --help)", name);
    options->has_scene[s] = true;
}

enum option_id {
    QUICK,
    SERVER,
    BINARY,
    ROUNDS,
    SECONDS,
    COLD,
    ITEMS,
    CROWD,
    JSON,
    MUST_MEET,
    HELP
};

static const struct option rows[] = {
    {"quick", no_argument, NULL, QUICK},
    {"server", required_argument, NULL, SERVER},
    {"binary", required_argument, NULL, BINARY},
    {"rounds", required_argument, NULL, ROUNDS},
    {"seconds", required_argument, NULL, SECONDS},
    {"cold", required_argument, NULL, COLD},
    {"items", required_argument, NULL, ITEMS},
    {"crowd", required_argument, NULL, CROWD},
    {"json", required_argument, NULL, JSON},
    {"must-meet", no_argument, NULL, MUST_MEET},
    {"help", no_argument, NULL, HELP},
    {NULL, 0, NULL, 0},
};

static void be_quick(struct plan *plan)
{
    plan->rounds = 3;
    plan->stall_rounds = 1;
    plan->seconds = 0.25;
    plan->warm_seconds = 0.05;
    plan->stall_seconds = 1;
    plan->cold_bytes = UINT64_C(128) << 20;
    plan->stall_items = 300000;
    plan->crowd = 1000;
    plan->is_quick = true;
}

static void read_option(struct options *options, int option, char *text)
{
    struct plan *plan = &options->plan;
    switch (option) {
    case QUICK:
        be_quick(plan);
        break;
    case SERVER:
        read_servers(plan, text);
        break;
    case BINARY:
        options->binary = text;
        break;
    case ROUNDS:
        plan->rounds = (unsigned)argument_number(text, "rounds", 1, PLAN_ROUNDS_MAX);
        plan->stall_rounds = plan->rounds;
        break;
    case SECONDS:
        plan->seconds = plan->stall_seconds = argument_number(text, "seconds", 0.05, 3600);
        break;
    case COLD:
        plan->cold_bytes = argument_size(text, "cold");
        break;
    case ITEMS:
        plan->stall_items = (uint64_t)argument_number(text, "items", 1000, 1e9);
        break;
    case CROWD:
        plan->crowd = (unsigned)argument_number(text, "crowd", 1, PLAN_CLIENTS_MAX);
        break;
    case JSON:
        options->json = text;
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
    static char usual[] = "ebb,limit,redis,memcached";
    *options = (struct options){.plan = {.rounds = 5,
                                         .stall_rounds = 3,
                                         .seconds = 1,
                                         .warm_seconds = 0.2,
                                         .stall_seconds = 5,
                                         .cold_bytes = UINT64_C(2) << 30,
                                         .stall_items = 5000000,
                                         .crowd = 10000}};
    for (int option; (option = getopt_long(argc, argv, "", rows, NULL)) != -1;)
        read_option(options, option, optarg);
    for (; optind < argc; optind++)
        read_scene(options, argv[optind]);
    bool has_any = false;
    for (size_t s = 0; s < SCENE_COUNT; s++)
        has_any = has_any || options->has_scene[s];
    for (size_t s = 0; s < SCENE_COUNT && !has_any; s++)
        options->has_scene[s] = scenes[s].is_usual;
    if (options->plan.server_count == 0)
        read_servers(&options->plan, usual);
}

/* ---- what the machine allows ---- */

/* Leaves out what is not installed. The responder is built beside this program. */
static void prepare_servers(struct options *options, const char *self)
{
    static char limit[512];
    struct plan *plan = &options->plan;
    size_t kept = 0, folder = (size_t)(strrchr(self, '/') != NULL ? strrchr(self, '/') - self : 0);
    snprintf(limit, sizeof limit, "%.*s/limit", folder > 0 ? (int)folder : 1,
             folder > 0 ? self : ".");
    for (size_t s = 0; s < plan->server_count; s++) {
        struct plan_server server = plan->servers[s];
        if (server.binary == NULL && strcmp(server.name, "ebb") == 0)
            server.binary = options->binary;
        if (server.binary == NULL && strcmp(server.name, "limit") == 0)
            server.binary = limit;
        struct proc proc = {.name = server.name, .binary = server.binary};
        if (proc_is_installed(&proc))
            plan->servers[kept++] = server;
        else
            printf("%s is not installed: left out\n", server.label);
    }
    plan->server_count = kept;
}

static uint64_t available_bytes(void)
{
    char line[128];
    unsigned long kib = 0;
    FILE *file = fopen("/proc/meminfo", "r");
    while (file != NULL && kib == 0 && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "MemAvailable: %lu", &kib) != 1)
            kib = 0;
    if (file != NULL)
        fclose(file);
    return (uint64_t)kib * 1024;
}

static void fit_memory(struct plan *plan)
{
    uint64_t available = available_bytes(), wanted = plan->cold_bytes;
    while (available > 0 && plan->cold_bytes > available / COLD_COST)
        plan->cold_bytes /= 2;
    if (plan->cold_bytes != wanted)
        printf("the cold key space has %llu MiB: there is no room for more\n",
               (unsigned long long)plan->cold_bytes >> 20);
}

/* Servers are started with the same limit. */
static void raise_open_files(struct plan *plan)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return;
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_cur > plan->crowd + PLAN_FILES_BESIDE)
        return;
    plan->crowd = (unsigned)files.rlim_cur > 2 * PLAN_FILES_BESIDE
                      ? (unsigned)files.rlim_cur - PLAN_FILES_BESIDE
                      : PLAN_FILES_BESIDE;
    printf("a crowd is %u connections: the limit of open files allows no more\n", plan->crowd);
}

int main(int argc, char **argv)
{
    struct options options;
    struct report report = {0};
    static struct reach reach;
    read_options(&options, argc, argv);
    setvbuf(stdout, NULL, _IOLBF, 0); /* a table is to be seen when it is done */
    cores_choose(&options.plan.cores);
    cores_print(&options.plan.cores);
    prepare_servers(&options, argv[0]);
    fit_memory(&options.plan);
    raise_open_files(&options.plan);
    for (size_t s = 0; s < SCENE_COUNT; s++)
        if (options.has_scene[s])
            scenes[s].run(&options.plan, &report, &reach);
    reach_print(&reach);
    reach_report(&reach, &report);
    if (options.json != NULL && !report_write_json(&report, options.json))
        die("%s can't be written", options.json);
    report_release(&report);
    return options.must_meet && reach_missed(&reach) > 0;
}
