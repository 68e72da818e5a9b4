/* SPDX-License-Identifier: MIT */
/* reach.c: see reach.h. */
#include "reach.h"

#include <stdarg.h>
#include <stdio.h>

#include "../workload.h"

static struct reach_line *add(struct reach *reach, const char *what, va_list values)
{
    if (reach->count == REACH_LINES_MAX)
        die("more than %d lines of what is to be reached", REACH_LINES_MAX);
    struct reach_line *line = &reach->lines[reach->count++];
    *line = (struct reach_line){.is_least = false};
    vsnprintf(line->what, sizeof line->what, what, values);
    return line;
}

static struct reach_line *add_bound(struct reach *reach, struct spread value, double bound,
                                    bool is_least, const char *what, va_list values)
{
    struct reach_line *line = add(reach, what, values);
    line->value = value;
    line->bound = bound;
    line->is_least = is_least;
    return line;
}

struct reach_line *reach_at_most(struct reach *reach, struct spread value, double bound,
                                 const char *what, ...)
{
    va_list values;
    va_start(values, what);
    struct reach_line *line = add_bound(reach, value, bound, false, what, values);
    va_end(values);
    return line;
}

struct reach_line *reach_at_least(struct reach *reach, struct spread value, double bound,
                                  const char *what, ...)
{
    va_list values;
    va_start(values, what);
    struct reach_line *line = add_bound(reach, value, bound, true, what, values);
    va_end(values);
    return line;
}

void reach_open(struct reach *reach, const char *note, const char *what, ...)
{
    va_list values;
    va_start(values, what);
    struct reach_line *line = add(reach, what, values);
    va_end(values);
    line->is_open = true;
    snprintf(line->note, sizeof line->note, "%s", note);
}

static bool is_met(const struct reach_line *line)
{
    return line->is_least ? line->value.median >= line->bound : line->value.median <= line->bound;
}

static void print_line(const struct reach_line *line)
{
    if (line->is_open) {
        printf("%-58s %32s  not measured: %s\n", line->what, "", line->note);
        return;
    }
    printf("%-58s %8.3g %8.3g .. %-8.3g  %s %-6.3g %s%s%s\n", line->what, line->value.median,
           line->value.least, line->value.most, line->is_least ? ">=" : "<=", line->bound,
           is_met(line) ? "met" : "MISSED", line->note[0] != '\0' ? ": " : "", line->note);
}

void reach_print(const struct reach *reach)
{
    if (reach->count == 0)
        return;
    printf("\n%-58s %8s %20s  %9s\n", "reach", "median", "of the rounds", "bound");
    for (size_t l = 0; l < reach->count; l++)
        print_line(&reach->lines[l]);
}

void reach_report(const struct reach *reach, struct report *report)
{
    report->topic = "reach";
    report->phase = "";
    report->is_bound = true;
    for (size_t l = 0; l < reach->count; l++) {
        const struct reach_line *line = &reach->lines[l];
        report->row = line->what;
        if (!line->is_open && line->is_least)
            report_add_least(report, "median", line->value.median, line->bound);
        else if (!line->is_open)
            report_add_bound(report, "median", line->value.median, line->bound);
    }
}

size_t reach_missed(const struct reach *reach)
{
    size_t missed = 0;
    for (size_t l = 0; l < reach->count; l++)
        missed += !reach->lines[l].is_open && !is_met(&reach->lines[l]);
    return missed;
}
