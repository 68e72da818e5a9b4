/* SPDX-License-Identifier: MIT */
/* alloc_scenes.c: W1..W8, the five scenes of a heap that keeps too much, and a square wave, on a
 * bare allocator. See alloc_scenes.h; scenes.py plays the same five in Python.
 */
#include "alloc_scenes.h"

#include <stdlib.h>

#include "proc.h"

#define REST_MS      2000
#define HOME_MAX_S   40
#define GROUP        1000u /* chunks that belong together */
#define MIB          (1024.0 * 1024)
#define RATIO_MAX    1.10      /* resident over live bytes, beside ... */
#define RATIO_BESIDE (2 * MIB) /* ... a page for each class and the metadata of an arena */

static void add_cost(struct report *report, struct bed_cost before, uint64_t operations)
{
    struct bed_cost after = bed_cost();
    report_add(report, "faults", after.faults - before.faults);
    report_add(report, "op_ns",
               (after.cpu_seconds - before.cpu_seconds) * 1e9 / (double)operations);
}

/* ---- W1..W8 ---- */

static void add_ratio(struct bed *bed, struct report *report, const char *name)
{
    double live = (double)bed->live_bytes;
    report_add_bound(report, name, bed_resident(bed) / live, RATIO_MAX + RATIO_BESIDE / live);
    bed_verify(bed);
}

void alloc_workload(const struct alloc_plan *plan, struct report *report,
                    const struct workload *workload)
{
    struct bed bed;
    uint64_t written = (uint64_t)((double)plan->live_bytes * plan->written);
    uint32_t least = workload->before.least;
    bed_open(&bed, plan->kind, plan->live_bytes / least + 1, plan->seed);
    struct bed_cost begin = bed_cost();
    bed_write(&bed, workload->before, plan->live_bytes, written);
    add_ratio(&bed, report, "fill_ratio");
    if (workload->delete_percent > 0) {
        bed_thin(&bed, bed.table.count - bed.table.count * workload->delete_percent / 100);
        bed_rest(&bed, REST_MS);
        add_ratio(&bed, report, "delete_ratio");
    }
    if (workload->after.most > 0) {
        bed_write(&bed, workload->after, plan->live_bytes, written);
        /* No bound here: a bare allocator writes gigabytes a second, and upkeep has its budget. */
        report_add(report, "refill_ratio", bed_resident(&bed) / (double)bed.live_bytes);
    }
    struct bed_cost cost = bed_cost();
    uint64_t operations = bed.operations;
    bed_rest(&bed, REST_MS);
    add_ratio(&bed, report, "rest_ratio");
    bed_thin(&bed, bed.table.count / 10);
    bed_rest(&bed, REST_MS);
    add_ratio(&bed, report, "thin_ratio");
    bed_thin(&bed, 0);
    bed_rest(&bed, REST_MS);
    report_add_bound(report, "empty_bytes", bed_resident(&bed), 1024 * 1024);
    report_add(report, "op_ns", (cost.cpu_seconds - begin.cpu_seconds) * 1e9 / (double)operations);
    report_add(report, "faults", cost.faults - begin.faults);
    if (plan->kind != BED_MALLOC) {
        struct ebb_heap_stats stats;
        ebb_heap_stats(bed.heap, &stats);
        report_add(report, "moved_bytes", (double)stats.moved_bytes);
        report_add(report, "slice_us", (double)bed.slice_ns / 1e3);
    }
    bed_close(&bed);
}

/* ---- the scenes ---- */

static void make_chunks(struct bed *bed, const struct alloc_plan *plan, size_t count)
{
    while (count-- > 0)
        bed_add(bed, (uint32_t)plan->chunk);
}

static size_t chunks_of(const struct alloc_plan *plan)
{
    size_t count = plan->live_bytes / plan->chunk;
    return count - count % GROUP;
}

/* A thousand thousands are made, and all are freed. */
void alloc_all_freed(const struct alloc_plan *plan, struct report *report)
{
    struct bed bed;
    size_t chunks = chunks_of(plan);
    bed_open(&bed, plan->kind, chunks, plan->seed);
    struct bed_cost begin = bed_cost();
    make_chunks(&bed, plan, chunks);
    report_add(report, "full_bytes", bed_resident(&bed));
    bed_thin(&bed, 0); /* in no order */
    report_add(report, "at_once_bytes", bed_resident(&bed));
    bed_rest(&bed, REST_MS);
    report_add_bound(report, "rested_bytes", bed_resident(&bed), 1024 * 1024);
    add_cost(report, begin, bed.operations);
    bed_close(&bed);
}

/* The next line wants again what was freed a moment ago. */
void alloc_whoops(const struct alloc_plan *plan, struct report *report)
{
    struct bed bed;
    size_t rounds = chunks_of(plan) / GROUP * 20;
    bed_open(&bed, plan->kind, GROUP, plan->seed);
    struct bed_cost begin = bed_cost();
    for (size_t round = 0; round < rounds; round++) {
        make_chunks(&bed, plan, GROUP);
        while (bed.table.count > 0)
            bed_drop(&bed, bed.table.count - 1);
    }
    report_add(report, "rounds", (double)rounds);
    report_add(report, "at_once_bytes", bed_resident(&bed));
    bed_rest(&bed, REST_MS);
    report_add_bound(report, "rested_bytes", bed_resident(&bed), 1024 * 1024);
    add_cost(report, begin, bed.operations);
    bed_close(&bed);
}

/* Drops all but those that were made as the middle one of each thousand. The table is in the order
 * of making, and is put together anew. */
static void keep_the_middle(struct bed *bed, size_t chunks)
{
    size_t kept = 0;
    for (size_t at = chunks; at-- > 0;) /* from the end: what moves into a gap is a survivor */
        if (at % GROUP != GROUP / 2)
            bed_drop(bed, at);
        else
            kept++;
    if (bed->table.count != kept)
        die("%zu objects are left of %zu", bed->table.count, kept);
}

void alloc_one_in_the_middle(const struct alloc_plan *plan, struct report *report)
{
    struct bed bed;
    size_t chunks = chunks_of(plan);
    bed_open(&bed, plan->kind, chunks, plan->seed);
    struct bed_cost begin = bed_cost();
    make_chunks(&bed, plan, chunks);
    report_add(report, "full_bytes", bed_resident(&bed));
    keep_the_middle(&bed, chunks);
    bed_rest(&bed, REST_MS);
    double rested = bed_resident(&bed);
    bed_verify(&bed);
    report_add(report, "live_bytes", (double)bed.live_bytes);
    report_add_bound(report, "rested_bytes", rested, (double)bed.live_bytes + 1024 * 1024);
    add_cost(report, begin, bed.operations);
    bed_close(&bed);
}

/* In the middle of each thousand a library deep below takes a chunk from malloc, and keeps it. */
void alloc_library(const struct alloc_plan *plan, struct report *report)
{
    struct bed bed;
    size_t groups = chunks_of(plan) / GROUP;
    void **library = calloc(groups, sizeof *library);
    if (library == NULL)
        die("no memory for the library");
    bed_open(&bed, plan->kind, groups * GROUP, plan->seed);
    struct bed_cost begin = bed_cost();
    for (size_t g = 0; g < groups; g++) {
        make_chunks(&bed, plan, GROUP / 2);
        library[g] = malloc(plan->chunk);
        if (library[g] == NULL)
            die("no memory for the library");
        value_write(library[g], plan->chunk, g, 0);
        make_chunks(&bed, plan, GROUP / 2);
    }
    report_add(report, "full_bytes", bed_resident(&bed));
    while (bed.table.count > 0)
        bed_drop(&bed, bed.table.count - 1);
    bed_rest(&bed, REST_MS);
    double live = (double)(groups * plan->chunk);
    report_add(report, "live_bytes", live);
    report_add_bound(report, "rested_bytes", bed_resident(&bed), live + 1024 * 1024);
    add_cost(report, begin, bed.operations);
    for (size_t g = 0; g < groups; g++)
        free(library[g]);
    free(library);
    bed_close(&bed);
}

#define JOB_DAYS   60u
#define JOB_SEASON 10u /* days between a high and a low */
#define JOB_SIZES  6u
#define JOB_LOW    4u /* the low is so much less than the high */
#define JOB_LAST   8u /* and the end */

/* A load that swung may be about to come back, and is believed to for two of its seasons at most.
 * Returns the seconds until no more than that is resident. */
static double rest_until_home(struct bed *bed, double bytes)
{
    double home = REST_MS / 1e3;
    for (; home < HOME_MAX_S && bed_resident(bed) > bytes; home++)
        bed_rest(bed, 1000);
    return home;
}

/* Small objects of many sizes, another mix each day; the load swings; in the end little is left. */
void alloc_long_job(const struct alloc_plan *plan, struct report *report)
{
    struct bed bed;
    bed_open(&bed, plan->kind, plan->live_bytes / BED_OBJECT_LEAST, plan->seed);
    struct bed_cost begin = bed_cost();
    uint64_t begin_ns = clock_ns();
    double peak = 0;
    for (unsigned day = 0; day < JOB_DAYS; day++) {
        uint32_t least = BED_OBJECT_LEAST << day % JOB_SIZES;
        uint64_t live = plan->live_bytes / (day / JOB_SEASON % 2 == 0 ? 1 : JOB_LOW);
        bed_write(&bed, (struct sizes){least, 4 * least}, live, plan->live_bytes / 4);
        double resident = bed_resident(&bed);
        peak = resident > peak ? resident : peak;
    }
    double season = (double)(clock_ns() - begin_ns) / 1e9 / (JOB_DAYS / JOB_SEASON);
    while (bed.live_bytes > plan->live_bytes / JOB_LAST)
        bed_drop(&bed, table_pick(&bed.table, &bed.prng));
    bed_rest(&bed, REST_MS);
    double rested = bed_resident(&bed), live = (double)bed.live_bytes;
    bed_verify(&bed);
    report_add(report, "full_bytes", peak);
    report_add(report, "live_bytes", live);
    report_add(report, "rested_bytes", rested);
    add_cost(report, begin, bed.operations);
    if (plan->kind == BED_EBB) { /* the others have nothing more to do */
        double home = rest_until_home(&bed, 1.25 * live + MIB);
        report_add(report, "season_seconds", season);
        report_add_bound(report, "home_seconds", home, REST_MS / 1e3 + 2 * season);
    }
    bed_close(&bed);
}

/* ---- a square wave between 20 % and 100 % ---- */

#define SQUARE_SECONDS 12
#define SQUARE_WAVES   8 /* at least: the first few teach */
#define SQUARE_SIZES   ((struct sizes){200, 1000})

static void rest_until(struct bed *bed, uint64_t end)
{
    uint64_t now = clock_ns();
    if (now < end)
        bed_rest(bed, (end - now) / 1000000);
}

static void wave(struct bed *bed, const struct alloc_plan *plan)
{
    uint64_t begin = clock_ns(), period_ns = (uint64_t)(plan->period * 1e9);
    while (bed->live_bytes < plan->live_bytes)
        bed_add(bed, sizes_pick(SQUARE_SIZES, &bed->prng));
    rest_until(bed, begin + period_ns / 2);
    while (bed->live_bytes > plan->live_bytes / 5)
        bed_drop(bed, table_pick(&bed->table, &bed->prng));
    rest_until(bed, begin + period_ns);
}

void alloc_square(const struct alloc_plan *plan, struct report *report)
{
    struct bed bed;
    unsigned waves = (unsigned)(SQUARE_SECONDS / plan->period);
    waves = waves < SQUARE_WAVES ? SQUARE_WAVES : waves;
    bed_open(&bed, plan->kind, plan->live_bytes / 200 + 1000, plan->seed);
    struct bed_cost begin = bed_cost(), middle = begin, first = begin;
    for (unsigned w = 0; w < waves; w++) {
        if (w == waves / 2)
            middle = bed_cost();
        wave(&bed, plan);
        if (w == 0)
            first = bed_cost();
    }
    struct bed_cost end = bed_cost();
    double half = waves - waves / 2;
    report_add(report, "waves", waves);
    report_add(report, "wave_cpu_ms", (end.cpu_seconds - middle.cpu_seconds) / half * 1e3);
    report_add(report, "first_faults", first.faults - begin.faults);
    report_add(report, "wave_faults", (end.faults - middle.faults) / half);
    report_add(report, "end_bytes", bed_resident(&bed));
    bed_rest(&bed, 10000);
    report_add(report, "rested_bytes", bed_resident(&bed));
    report_add(report, "live_bytes", (double)bed.live_bytes);
    bed_verify(&bed);
    bed_close(&bed);
}
