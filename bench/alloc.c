/* SPDX-License-Identifier: MIT */
/* alloc.c: what allocators cost in memory and time: one scene on one allocator in one process, its
 * figures as lines on the standard output; or the tables of such lines. alloc.sh runs all of them.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc_scenes.h"

static const struct {
    const char *name;
    void (*run)(const struct alloc_plan *plan, struct report *report);
} scenes[] = {
    {"freed", alloc_all_freed}, {"whoops", alloc_whoops}, {"middle", alloc_one_in_the_middle},
    {"library", alloc_library}, {"job", alloc_long_job},  {"square", alloc_square},
};
#define SCENE_COUNT (sizeof scenes / sizeof scenes[0])

static void usage(FILE *file)
{
    fputs("alloc WHAT [OPTION]...      measures; figures go to the standard output as lines\n"
          "alloc --print FILE          prints the tables of such lines\n"
          "\n"
          "WHAT is W1 to W8, freed, whoops, middle, library, job or square.\n"
          "\n"
          "  --allocator NAME    ebb (default), ebb-keep (Ebb's, but never trimmed) or malloc:\n"
          "                      glibc's, or the one in LD_PRELOAD\n"
          "  --label NAME        in the tables (default: the allocator)\n"
          "  --live BYTES        held at most (default 268435456)\n"
          "  --written N         times that in each writing phase of W1 to W8 (default 5)\n"
          "  --chunk BYTES       of freed, whoops, middle and library (default 1024)\n"
          "  --period SECONDS    of square (default 1)\n"
          "  --seed N            (default 1)\n",
          file);
}

enum option_id { ALLOCATOR, LABEL, LIVE, WRITTEN, CHUNK, PERIOD, SEED, PRINT, HELP };

static const struct option rows[] = {
    {"allocator", required_argument, NULL, ALLOCATOR},
    {"label", required_argument, NULL, LABEL},
    {"live", required_argument, NULL, LIVE},
    {"written", required_argument, NULL, WRITTEN},
    {"chunk", required_argument, NULL, CHUNK},
    {"period", required_argument, NULL, PERIOD},
    {"seed", required_argument, NULL, SEED},
    {"print", required_argument, NULL, PRINT},
    {"help", no_argument, NULL, HELP},
    {NULL, 0, NULL, 0},
};

static enum bed_kind read_kind(const char *name)
{
    if (strcmp(name, "malloc") == 0)
        return BED_MALLOC;
    if (strcmp(name, "ebb-keep") == 0)
        return BED_EBB_KEEP;
    if (strcmp(name, "ebb") != 0)
        die("%s: no such allocator (see --help)", name);
    return BED_EBB;
}

static double read_number(const char *text)
{
    char *end;
    double number = strtod(text, &end);
    if (end == text || *end != '\0' || number <= 0)
        die("%s is not a number", text);
    return number;
}

/* ---- measuring ---- */

static void measure(const struct alloc_plan *plan, struct report *report, const char *what)
{
    char topic[FIGURE_NAME_MAX];
    snprintf(topic, sizeof topic, "%s", what);
    if (strcmp(what, "square") == 0)
        snprintf(topic, sizeof topic, "square %g s", plan->period);
    report->topic = topic;
    report->is_bound = plan->kind == BED_EBB;
    for (size_t w = 0; w < WORKLOAD_COUNT; w++) {
        if (strcmp(workloads[w].name, what) == 0) {
            alloc_workload(plan, report, &workloads[w]);
            return;
        }
    }
    for (size_t s = 0; s < SCENE_COUNT; s++) {
        if (strcmp(scenes[s].name, what) == 0) {
            scenes[s].run(plan, report);
            return;
        }
    }
    die("%s: no such scene (see --help)", what);
}

/* ---- printing ---- */

/* Topics in the order of their first line. */
static void print_tables(const char *path)
{
    struct report report = {0};
    if (!report_read_lines(&report, path))
        die("%s can't be read", path);
    for (size_t i = 0; i < report.count; i++) {
        size_t first = 0;
        while (strcmp(report.figures[first].topic, report.figures[i].topic) != 0)
            first++;
        if (first == i)
            report_print_topic(&report, report.figures[i].topic);
    }
    report_print_missed(&report);
    report_release(&report);
}

int main(int argc, char **argv)
{
    struct alloc_plan plan = {.kind = BED_EBB,
                              .live_bytes = UINT64_C(256) << 20,
                              .written = 5,
                              .chunk = 1024,
                              .period = 1,
                              .seed = 1};
    const char *label = NULL, *allocator = "ebb";
    for (int option; (option = getopt_long(argc, argv, "", rows, NULL)) != -1;) {
        switch (option) {
        case ALLOCATOR:
            plan.kind = read_kind(optarg);
            allocator = optarg;
            break;
        case LABEL:
            label = optarg;
            break;
        case LIVE:
            plan.live_bytes = (uint64_t)read_number(optarg);
            break;
        case WRITTEN:
            plan.written = read_number(optarg);
            break;
        case CHUNK:
            plan.chunk = (size_t)read_number(optarg);
            break;
        case PERIOD:
            plan.period = read_number(optarg);
            break;
        case SEED:
            plan.seed = (uint64_t)read_number(optarg);
            break;
        case PRINT:
            print_tables(optarg);
            return 0;
        default:
            usage(option == HELP ? stdout : stderr);
            return option == HELP ? 0 : 2;
        }
    }
    if (optind + 1 != argc) {
        usage(stderr);
        return 2;
    }
    struct report report = {.row = label != NULL ? label : allocator, .phase = ""};
    measure(&plan, &report, argv[optind]);
    report_write_lines(&report, stdout);
    report_release(&report);
    return 0;
}
