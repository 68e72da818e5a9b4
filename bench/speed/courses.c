/* SPDX-License-Identifier: MIT */
/* courses.c: throughput and CPU time side by side: the courses that have something to reach, and
 * the sweep over all of them.
 */
#include <stdio.h>
#include <string.h>

#include "../workload.h"
#include "ring.h"

#define WARM_BYTES (4u * 1024 * 1024) /* of keys and values that every server's cache holds */

/* ---- courses ---- */

enum course_id { SHALLOW, DEEP, DEEP_KIB, LONG, LONGEST, COLD, COLD_MANY, COURSE_COUNT };

static const struct course courses[COURSE_COUNT] = {
    [SHALLOW] = {"depth 1, 100 B, 50 connections", 100, 1, 50, 1, false},
    [DEEP] = {"depth 32, 100 B", 100, 32, 50, 1, false},
    [DEEP_KIB] = {"depth 32, 1 KiB", 1024, 32, 50, 1, false},
    [LONG] = {"16 KiB", 16 * 1024, 1, 50, 1, false},
    [LONGEST] = {"1 MiB", 1024 * 1024, 1, 8, 1, false},
    [COLD] = {"depth 32, cold", 100, 32, 50, 1, true},
    [COLD_MANY] = {"MGET 100, cold", 100, 1, 50, 100, true},
};

static uint64_t keys_of(const struct plan *plan, const struct course *course)
{
    uint64_t bytes = course->is_cold ? plan->cold_bytes : WARM_BYTES;
    uint64_t keys = bytes / (LOAD_KEY_BYTES + course->value_bytes);
    return keys < 16 ? 16 : keys;
}

static bool fits(const struct ring *ring, const struct plan *plan, const struct course *course)
{
    return ring->server_count > 0 && ring->value_bytes == course->value_bytes &&
           ring->keys == keys_of(plan, course);
}

/* Servers go on with the next course if it wants the same keys. */
static void open_for(struct ring *ring, const struct plan *plan, const struct course *course)
{
    if (fits(ring, plan, course))
        return;
    ring_close(ring);
    uint64_t keys = keys_of(plan, course);
    fprintf(stderr, "# filling with %llu keys\n", (unsigned long long)keys);
    ring_open(ring, plan, course->value_bytes, keys);
}

/* ---- what is to be reached ---- */

enum rival { RIVAL_LIMIT, RIVAL_REDIS, RIVAL_PEERS };
enum measure { MEASURE_CPU, MEASURE_OPERATIONS, MEASURE_BYTES };

static const struct aim {
    enum course_id course;
    enum measure measure;
    enum rival rival;
    double bound; /* of CPU time at most, of the others at least */
} aims[] = {
    {SHALLOW, MEASURE_OPERATIONS, RIVAL_LIMIT, 0.95},
    {SHALLOW, MEASURE_OPERATIONS, RIVAL_PEERS, 1.2},
    {DEEP, MEASURE_CPU, RIVAL_LIMIT, 1.4},
    {DEEP, MEASURE_CPU, RIVAL_REDIS, 0.35},
    {DEEP_KIB, MEASURE_CPU, RIVAL_LIMIT, 1.5},
    {DEEP_KIB, MEASURE_CPU, RIVAL_REDIS, 0.35},
    {LONG, MEASURE_BYTES, RIVAL_PEERS, 1.2},
    {LONGEST, MEASURE_BYTES, RIVAL_PEERS, 1.2},
    {COLD, MEASURE_CPU, RIVAL_REDIS, 0.5},
    {COLD_MANY, MEASURE_CPU, RIVAL_REDIS, 0.5},
};

static bool is_peer(const struct ring *ring, size_t contestant)
{
    const char *name = ring->servers[ring->contestants[contestant].server].name;
    return strcmp(name, "ebb") != 0 && strcmp(name, "limit") != 0;
}

/* The one with the most operations; contestant_count: there is no peer. */
static size_t best_peer(const struct outcome *outcome)
{
    const struct ring *ring = outcome->ring;
    size_t best = ring->contestant_count;
    double most = 0;
    for (size_t c = 0; c < ring->contestant_count; c++) {
        double reached = outcome_spread(outcome, c, drive_operations_per_second).median;
        if (!is_peer(ring, c) || reached <= most)
            continue;
        best = c;
        most = reached;
    }
    return best;
}

static size_t rival_of(const struct outcome *outcome, enum rival rival)
{
    if (rival == RIVAL_PEERS)
        return best_peer(outcome);
    return ring_find(outcome->ring, rival == RIVAL_LIMIT ? "limit" : "redis");
}

static struct spread inverse(struct spread spread)
{
    return (struct spread){1 / spread.median, 1 / spread.most, 1 / spread.least};
}

/* Where the driver ended before a server did, what the server spent says how far it would go. */
static void add_throughput(const struct aim *aim, const struct outcome *outcome, size_t ebb,
                           size_t rival, struct reach *reach)
{
    bool is_held = outcome_mostly(outcome, ebb, drive_is_limit) ||
                   outcome_mostly(outcome, rival, drive_is_limit);
    bool is_disturbed = outcome_mostly(outcome, ebb, drive_was_disturbed) ||
                        outcome_mostly(outcome, rival, drive_was_disturbed);
    struct spread ratio = is_held ? inverse(outcome_ratio(outcome, ebb, rival, drive_server_ns))
                                  : outcome_ratio(outcome, ebb, rival, drive_operations_per_second);
    struct reach_line *line = reach_at_least(
        reach, ratio, aim->bound, "%s: %s against %s", outcome->course->name,
        aim->measure == MEASURE_BYTES ? "GB/s" : "ops/s", outcome->ring->contestants[rival].label);
    if (is_disturbed)
        snprintf(line->note, sizeof line->note, "worthless, others used the processors");
    else if (is_held)
        snprintf(line->note, sizeof line->note, "by CPU, the driver was the limit");
}

static void add_aim(const struct aim *aim, const struct outcome *outcome, struct reach *reach)
{
    static const char *const rivals[] = {"limit", "redis", "a peer"};
    const struct ring *ring = outcome->ring;
    size_t ebb = ring_find(ring, "ebb"), rival = rival_of(outcome, aim->rival);
    if (ebb == ring->contestant_count || rival == ring->contestant_count) {
        reach_open(reach, "one of the two is not there", "%s: against %s", outcome->course->name,
                   rivals[aim->rival]);
        return;
    }
    if (aim->measure != MEASURE_CPU) {
        add_throughput(aim, outcome, ebb, rival, reach);
        return;
    }
    reach_at_most(reach, outcome_ratio(outcome, ebb, rival, drive_server_ns), aim->bound,
                  "%s: CPU per key against %s", outcome->course->name,
                  ring->contestants[rival].label);
}

void scene_courses(const struct plan *plan, struct report *report, struct reach *reach)
{
    struct ring ring = {.server_count = 0};
    for (enum course_id id = 0; id < COURSE_COUNT; id++) {
        struct outcome outcome;
        open_for(&ring, plan, &courses[id]);
        ring_play(&ring, &courses[id], &outcome);
        outcome_report(&outcome, report);
        report_print_topic(report, courses[id].name);
        for (size_t a = 0; a < sizeof aims / sizeof aims[0]; a++)
            if (aims[a].course == id)
                add_aim(&aims[a], &outcome, reach);
        outcome_release(&outcome);
    }
    ring_close(&ring);
}

/* ---- the sweep ---- */

#define IN_FLIGHT_MAX (1u << 30) /* bytes of replies that are asked for at the same time */
#define BATCH_MAX     (32u << 20)

static void sweep_keys(const struct plan *plan, struct report *report, size_t value_bytes,
                       bool is_cold)
{
    static const unsigned depths[] = {1, 8, 32, 128}, crowds[] = {1, 50, 1000},
                          multigets[] = {1, 100};
    struct ring ring = {.server_count = 0};
    for (unsigned n = 0; n < 4 * 3 * 2; n++) {
        char name[FIGURE_NAME_MAX];
        struct course course = {
            name, value_bytes, depths[n % 4], crowds[n / 4 % 3], multigets[n / 12], is_cold};
        uint64_t batch = (uint64_t)course.depth * course.multiget * value_bytes;
        if ((course.multiget > 1 && course.depth > 1) || batch > BATCH_MAX ||
            batch * course.connections > IN_FLIGHT_MAX)
            continue;
        struct outcome outcome;
        snprintf(name, sizeof name, "%zu B%s%s, depth %u, %u connections", value_bytes,
                 is_cold ? " cold" : "", course.multiget > 1 ? " MGET 100" : "", course.depth,
                 course.connections);
        open_for(&ring, plan, &course);
        ring_play(&ring, &course, &outcome);
        outcome_report(&outcome, report);
        report_print_topic(report, name);
        fflush(stdout);
        outcome_release(&outcome);
    }
    ring_close(&ring);
}

void scene_sweep(const struct plan *plan, struct report *report, struct reach *reach)
{
    static const size_t sizes[] = {32, 230, 1024, 16 * 1024, 1024 * 1024};
    (void)reach; /* nothing is to be reached everywhere */
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        sweep_keys(plan, report, sizes[s], false);
        sweep_keys(plan, report, sizes[s], true);
    }
}
