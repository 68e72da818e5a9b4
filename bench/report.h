/* SPDX-License-Identifier: MIT */
/* report.h: figures as they are measured, the tables at the end, the JSON file.
 *
 * A figure belongs to a topic (W3, keep, growth), a row (the server, or the allocator), a phase of
 * the topic ("" if it has none) and has a name whose last word is its unit: rss_bytes, cpu_seconds,
 * rss_ratio. A figure with a bound is Ebb's business: it is met or it is not.
 */
#ifndef EBB_BENCH_REPORT_H
#define EBB_BENCH_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define FIGURE_NAME_MAX 64

struct figure {
    char topic[FIGURE_NAME_MAX], row[FIGURE_NAME_MAX], phase[FIGURE_NAME_MAX],
        name[FIGURE_NAME_MAX];
    double value, bound;
    bool has_bound, is_least; /* the value should be at least, not at most, the bound */
};

struct report {
    struct figure *figures;
    size_t count, capacity;
    const char *topic, *row, *phase; /* of the figures to come; good while they are being added */
    bool is_bound;                   /* whether bounds are meant for the present row */
};

void report_add(struct report *report, const char *name, double value);
/* A figure that should be at most `bound`. */
void report_add_bound(struct report *report, const char *name, double value, double bound);
/* A figure that should be at least `bound`. */
void report_add_least(struct report *report, const char *name, double value, double bound);
const struct figure *report_find(const struct report *report, const char *topic, const char *row,
                                 const char *phase, const char *name);
bool figure_is_met(const struct figure *figure);
/* The bounds that were not met. */
size_t report_missed(const struct report *report);

/* One line a workload and row, the phases side by side. */
void report_print_workloads(const struct report *report);
/* The topic's figures: a line for each row and phase, a column for each name. */
void report_print_topic(const struct report *report, const char *topic);
void report_print_missed(const struct report *report);
/* As lines of fields between tabs, so that figures of many processes make one table. */
void report_write_lines(const struct report *report, FILE *file);
bool report_read_lines(struct report *report, const char *path);
/* false: the file can't be written. */
bool report_write_json(const struct report *report, const char *path);
void report_release(struct report *report);

#endif
