/* SPDX-License-Identifier: MIT */
/* verdicts.c: see verdicts.h. */
#include "verdicts.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "table.h"

#define CELL_SIZE  64
#define TITLE_SIZE 256
#define MIB        (1024.0 * 1024)

static const struct verdict {
    const char *name, *heading;
    double scale; /* from the file's unit to the heading's */
    int digits;
    bool is_merit; /* less is better */
} verdicts[] = {
    {"resident_bytes", "resident MiB", 1 / MIB, 1, true},
    {"resident_over_live", "resident/live", 1, 2, true},
    {"peak_over_live", "peak/live", 1, 2, true},
    {"follow_seconds", "follow s", 1, 2, true},
    {"cpu_seconds", "CPU s", 1, 2, true},
    {"stall_p999_seconds", "p99.9 ms", 1e3, 2, true},
    {"stall_max_seconds", "longest ms", 1e3, 2, true},
    {"faults_per_mib", "faults/MiB", 1, 1, true},
    {"wrong", "wrong", 1, 0, true},
    {"missing", "missing", 1, 0, true},
    {"live_off", "off %", 1e2, 2, false},
};
#define VERDICT_COUNT (sizeof verdicts / sizeof verdicts[0])

static bool is_same_scenario(const struct run_file *a, const struct run_file *b)
{
    char name[TITLE_SIZE], other[TITLE_SIZE];
    run_file_scenario(a, name, sizeof name);
    run_file_scenario(b, other, sizeof other);
    return strcmp(name, other) == 0;
}

/* Whether no run of the scenario has less in this phase, and some has more. */
static bool is_best(const struct run_file runs[], size_t count, const struct run_file *run,
                    size_t phase, const char *name)
{
    double mine = run_file_phase_number(run, phase, name);
    bool is_contest = false;
    for (size_t i = 0; i < count; i++) {
        double other = run_file_phase_number(&runs[i], phase, name);
        if (!is_same_scenario(&runs[i], run) || isnan(other))
            continue;
        if (other < mine)
            return false;
        is_contest |= other > mine;
    }
    return is_contest && !isnan(mine);
}

/* Two runs of one server have one name: then their files tell them apart. */
static void write_title(const struct run_file runs[], size_t count, const struct run_file *run,
                        char title[TITLE_SIZE])
{
    char other[TITLE_SIZE];
    const char *slash = strrchr(run->path, '/');
    run_file_title(run, title, TITLE_SIZE);
    for (size_t i = 0; i < count; i++) {
        run_file_title(&runs[i], other, sizeof other);
        if (&runs[i] == run || !is_same_scenario(&runs[i], run) || strcmp(other, title) != 0)
            continue;
        size_t length = strlen(title);
        snprintf(title + length, TITLE_SIZE - length, " (%s)",
                 slash != NULL ? slash + 1 : run->path);
        return;
    }
}

static void add_phase(struct table *table, const struct run_file runs[], size_t count,
                      const struct run_file *run, size_t phase)
{
    char title[TITLE_SIZE], cell[CELL_SIZE];
    write_title(runs, count, run, title);
    table_add(table, run_file_phase_name(run, phase));
    table_add(table, title);
    for (size_t v = 0; v < VERDICT_COUNT; v++) {
        double value = run_file_phase_number(run, phase, verdicts[v].name);
        bool best = verdicts[v].is_merit && is_best(runs, count, run, phase, verdicts[v].name);
        snprintf(cell, sizeof cell, "%.*f%s", verdicts[v].digits, value * verdicts[v].scale,
                 best ? "*" : " ");
        table_add(table, isnan(value) ? "- " : cell);
    }
}

static void print_scenario(const struct run_file runs[], size_t count, const struct run_file *first,
                           FILE *file)
{
    struct table table;
    char name[TITLE_SIZE];
    size_t phases = 0;
    run_file_scenario(first, name, sizeof name);
    table_init(&table, 2 + VERDICT_COUNT, 2);
    table_add(&table, name);
    table_add(&table, "server");
    for (size_t v = 0; v < VERDICT_COUNT; v++)
        table_add(&table, verdicts[v].heading);
    for (size_t i = 0; i < count; i++)
        if (is_same_scenario(&runs[i], first) && run_file_phase_count(&runs[i]) > phases)
            phases = run_file_phase_count(&runs[i]);
    for (size_t phase = 0; phase < phases; phase++)
        for (size_t i = 0; i < count; i++)
            if (is_same_scenario(&runs[i], first) && phase < run_file_phase_count(&runs[i]))
                add_phase(&table, runs, count, &runs[i], phase);
    table_print(&table, file);
    table_release(&table);
}

void verdicts_print(const struct run_file runs[], size_t count, FILE *file)
{
    for (size_t i = 0; i < count; i++) {
        bool is_first = true;
        for (size_t j = 0; j < i; j++)
            is_first &= !is_same_scenario(&runs[j], &runs[i]);
        if (!is_first)
            continue;
        if (i > 0)
            fputc('\n', file);
        print_scenario(runs, count, &runs[i], file);
    }
}
