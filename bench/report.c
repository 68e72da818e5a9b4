/* SPDX-License-Identifier: MIT */
/* report.c: see report.h. A figure beyond its bound carries a '!' wherever it is shown. */
#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "workload.h"

#define COLUMNS_MAX 24
#define CELL_WIDTH  13
#define TOPIC_WIDTH 27 /* of the columns before the cells */

/* ---- adding, finding ---- */

static struct figure *add(struct report *report, const char *name, double value)
{
    if (report->count == report->capacity) {
        report->capacity = report->capacity == 0 ? 256 : report->capacity * 2;
        report->figures = must_realloc(report->figures, report->capacity * sizeof *report->figures);
    }
    struct figure *figure = &report->figures[report->count++];
    *figure = (struct figure){.value = value};
    snprintf(figure->topic, sizeof figure->topic, "%s", report->topic);
    snprintf(figure->row, sizeof figure->row, "%s", report->row);
    snprintf(figure->phase, sizeof figure->phase, "%s", report->phase);
    snprintf(figure->name, sizeof figure->name, "%s", name);
    return figure;
}

void report_add(struct report *report, const char *name, double value)
{
    add(report, name, value);
}

void report_add_bound(struct report *report, const char *name, double value, double bound)
{
    struct figure *figure = add(report, name, value);
    figure->bound = bound;
    figure->has_bound = report->is_bound;
}

void report_add_least(struct report *report, const char *name, double value, double bound)
{
    report_add_bound(report, name, value, bound);
    report->figures[report->count - 1].is_least = true;
}

const struct figure *report_find(const struct report *report, const char *topic, const char *row,
                                 const char *phase, const char *name)
{
    for (size_t i = 0; i < report->count; i++) {
        const struct figure *figure = &report->figures[i];
        if (strcmp(figure->topic, topic) == 0 && strcmp(figure->row, row) == 0 &&
            strcmp(figure->phase, phase) == 0 && strcmp(figure->name, name) == 0)
            return figure;
    }
    return NULL;
}

bool figure_is_met(const struct figure *figure)
{
    if (!figure->has_bound)
        return true;
    return figure->is_least ? figure->value >= figure->bound : figure->value <= figure->bound;
}

size_t report_missed(const struct report *report)
{
    size_t missed = 0;
    for (size_t i = 0; i < report->count; i++)
        missed += !figure_is_met(&report->figures[i]);
    return missed;
}

void report_release(struct report *report)
{
    free(report->figures);
    *report = (struct report){0};
}

/* ---- numbers as text ---- */

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), end_length = strlen(end);
    return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

static void write_value(char *cell, size_t size, const char *name, double value)
{
    if (ends_with(name, "_bytes"))
        snprintf(cell, size, "%.1f", value / (1024 * 1024));
    else if (ends_with(name, "_ratio"))
        snprintf(cell, size, "%.3f", value);
    else if (ends_with(name, "_seconds") || ends_with(name, "_percent"))
        snprintf(cell, size, "%.2f", value);
    else if (ends_with(name, "_ms") || ends_with(name, "_us") || ends_with(name, "_each") ||
             ends_with(name, "_ns"))
        snprintf(cell, size, "%.1f", value);
    else
        snprintf(cell, size, "%.0f", value);
}

static void write_cell(char *cell, size_t size, const struct figure *figure)
{
    if (figure == NULL) {
        snprintf(cell, size, "-");
        return;
    }
    write_value(cell, size, figure->name, figure->value);
    if (!figure_is_met(figure))
        strncat(cell, "!", size - strlen(cell) - 1);
}

/* "high_rss_bytes" is headed "high rss" over "MiB". */
static void write_heading(char *heading, char *unit, size_t size, const char *name)
{
    static const char *const units[][2] = {
        {"_bytes", "MiB"},   {"_ratio", "x"}, {"_seconds", "s"}, {"_ms", "ms"},
        {"_each", "B/item"}, {"_ns", "ns"},   {"_percent", "%"}, {"_us", "us"},
    };
    snprintf(heading, size, "%s", name);
    snprintf(unit, size, " ");
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (ends_with(name, units[i][0])) {
            heading[strlen(name) - strlen(units[i][0])] = '\0';
            snprintf(unit, size, "%s", units[i][1]);
        }
    }
    for (char *at = heading; *at != '\0'; at++)
        if (*at == '_')
            *at = ' ';
}

/* ---- a topic ---- */

struct columns {
    const char *names[COLUMNS_MAX];
    size_t count;
};

static void find_columns(const struct report *report, const char *topic, struct columns *columns)
{
    columns->count = 0;
    for (size_t i = 0; i < report->count; i++) {
        const struct figure *figure = &report->figures[i];
        size_t c = 0;
        while (c < columns->count && strcmp(columns->names[c], figure->name) != 0)
            c++;
        if (strcmp(figure->topic, topic) == 0 && c == columns->count && c < COLUMNS_MAX)
            columns->names[columns->count++] = figure->name;
    }
}

static void print_headings(const char *topic, const struct columns *columns)
{
    char headings[COLUMNS_MAX][FIGURE_NAME_MAX], units[COLUMNS_MAX][FIGURE_NAME_MAX];
    for (size_t c = 0; c < columns->count; c++)
        write_heading(headings[c], units[c], FIGURE_NAME_MAX, columns->names[c]);
    int used = printf("\n%s", topic) - 1;
    if (used > TOPIC_WIDTH) /* it has a line of its own */
        used = printf("\n") - 1;
    printf("%*s", TOPIC_WIDTH - used, "");
    for (size_t c = 0; c < columns->count; c++)
        printf(" %*s", CELL_WIDTH, headings[c]);
    printf("\n%-10s %-16s", "", "");
    for (size_t c = 0; c < columns->count; c++)
        printf(" %*s", CELL_WIDTH, units[c]);
    printf("\n");
}

static bool same_line(const struct figure *a, const struct figure *b)
{
    return strcmp(a->topic, b->topic) == 0 && strcmp(a->row, b->row) == 0 &&
           strcmp(a->phase, b->phase) == 0;
}

void report_print_topic(const struct report *report, const char *topic)
{
    struct columns columns;
    find_columns(report, topic, &columns);
    if (columns.count == 0)
        return;
    print_headings(topic, &columns);
    const struct figure *line = NULL;
    for (size_t i = 0; i < report->count; i++) {
        const struct figure *figure = &report->figures[i];
        if (strcmp(figure->topic, topic) != 0 || (line != NULL && same_line(line, figure)))
            continue;
        line = figure;
        printf("%-10s %-16s", figure->phase, figure->row);
        for (size_t c = 0; c < columns.count; c++) {
            char cell[FIGURE_NAME_MAX];
            write_cell(cell, sizeof cell,
                       report_find(report, topic, figure->row, figure->phase, columns.names[c]));
            printf(" %*s", CELL_WIDTH, cell);
        }
        printf("\n");
    }
}

/* ---- the workloads ---- */

static void print_cell(const struct report *report, const struct figure *line, const char *phase,
                       const char *name, int width)
{
    char cell[FIGURE_NAME_MAX];
    write_cell(cell, sizeof cell, report_find(report, line->topic, line->row, phase, name));
    printf(" %*s", width, cell);
}

static bool is_workload_line(const struct figure *figure)
{
    return figure->topic[0] == 'W' && strcmp(figure->phase, "all") == 0 &&
           strcmp(figure->name, "wrong") == 0;
}

void report_print_workloads(const struct report *report)
{
    static const struct {
        const char *phase, *name;
        int width;
    } cells[] = {
        {"fill", "user_ratio", 8},     {"fill", "bound_ratio", 7},
        {"fill", "high_ratio", 7},     {"delete", "user_ratio", 9},
        {"delete", "bound_ratio", 7},  {"refill", "user_ratio", 8},
        {"refill", "bound_ratio", 7},  {"refill", "high_ratio", 7},
        {"thin", "user_ratio", 8},     {"thin", "bound_ratio", 7},
        {"thin", "follow_seconds", 6}, {"empty", "over_idle_bytes", 8},
        {"all", "moved_ratio", 7},     {"all", "wrong", 6},
    };
    bool is_first = true;
    for (size_t i = 0; i < report->count; i++) {
        const struct figure *line = &report->figures[i];
        if (!is_workload_line(line))
            continue;
        if (is_first)
            printf("\n%-14s %24s %17s %24s %23s %8s %7s\n%-14s %8s %7s %7s %9s %7s %8s %7s %7s %8s "
                   "%7s %6s %8s %7s %6s\n",
                   "", "-------- fill ---------", "---- delete ----", "------- refill --------",
                   "-- 90 % deleted ------", "- empty", "moved", "", "RSS/user", "/bound", "high",
                   "RSS/user", "/bound", "RSS/user", "/bound", "high", "RSS/user", "/bound", "s",
                   "+MiB", "/writ.", "wrong");
        is_first = false;
        printf("%-3s%-11s", line->topic, line->row);
        for (size_t c = 0; c < sizeof cells / sizeof cells[0]; c++)
            print_cell(report, line, cells[c].phase, cells[c].name, cells[c].width);
        printf("\n");
    }
}

void report_print_missed(const struct report *report)
{
    bool is_first = true;
    for (size_t i = 0; i < report->count; i++) {
        const struct figure *figure = &report->figures[i];
        if (figure_is_met(figure))
            continue;
        char value[FIGURE_NAME_MAX], bound[FIGURE_NAME_MAX];
        write_value(value, sizeof value, figure->name, figure->value);
        write_value(bound, sizeof bound, figure->name, figure->bound);
        if (is_first)
            printf("\nbeyond their bound:\n");
        is_first = false;
        printf("  %s %s %s %s: %s, bound %s%s\n", figure->topic, figure->row, figure->phase,
               figure->name, value, figure->is_least ? ">= " : "", bound);
    }
}

/* ---- lines ---- */

void report_write_lines(const struct report *report, FILE *file)
{
    for (size_t i = 0; i < report->count; i++) {
        const struct figure *figure = &report->figures[i];
        fprintf(file, "%s\t%s\t%s\t%s\t%.9g", figure->topic, figure->row, figure->phase,
                figure->name, figure->value);
        if (figure->has_bound)
            fprintf(file, "\t%.9g", figure->bound);
        if (figure->has_bound && figure->is_least)
            fprintf(file, "\tleast");
        fprintf(file, "\n");
    }
}

bool report_read_lines(struct report *report, const char *path)
{
    char line[512];
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return false;
    while (fgets(line, sizeof line, file) != NULL) {
        char *fields[7] = {0}, *rest = line;
        for (size_t f = 0; f < 7 && rest != NULL; f++)
            fields[f] = strsep(&rest, "\t\n");
        if (fields[4] == NULL)
            continue;
        report->topic = fields[0];
        report->row = fields[1];
        report->phase = fields[2];
        struct figure *figure = add(report, fields[3], strtod(fields[4], NULL));
        figure->has_bound = fields[5] != NULL && *fields[5] != '\0';
        figure->bound = figure->has_bound ? strtod(fields[5], NULL) : 0;
        figure->is_least = fields[6] != NULL && strcmp(fields[6], "least") == 0;
    }
    fclose(file);
    return true;
}

/* ---- JSON ---- */

bool report_write_json(const struct report *report, const char *path)
{
    FILE *file = fopen(path, "w");
    if (file == NULL)
        return false;
    fprintf(file, "[\n");
    for (size_t i = 0; i < report->count; i++) {
        const struct figure *figure = &report->figures[i];
        fprintf(file,
                "  {\"topic\": \"%s\", \"row\": \"%s\", \"phase\": \"%s\", \"name\": \"%s\", "
                "\"value\": %.9g",
                figure->topic, figure->row, figure->phase, figure->name, figure->value);
        if (figure->has_bound)
            fprintf(file, ", \"bound\": %.9g, \"least\": %s, \"met\": %s", figure->bound,
                    figure->is_least ? "true" : "false", figure_is_met(figure) ? "true" : "false");
        fprintf(file, "}%s\n", i + 1 < report->count ? "," : "");
    }
    fprintf(file, "]\n");
    return fclose(file) == 0;
}
