/* SPDX-License-Identifier: MIT */
/* result.c: see result.h. */
#include "result.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "output.h"
#include "run_file.h"
#include "verdicts.h"

#define MIB                (1024.0 * 1024)
#define LOAD_SECONDS_LEAST 0.1 /* of a phase, to be judged by */
#define LOAD_SHARE_BUSY    0.9
#define LIVE_OFF_MOST      0.01

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *whole(double value)
{
    return isfinite(value) ? json_integer((json_int_t)value) : json_null();
}

static json_t *text(const char *value)
{
    json_t *string = value != NULL ? json_string(value) : NULL; /* NULL too if it is no UTF-8 */
    return string != NULL ? string : json_null();
}

static double over(double value, double base)
{
    return base > 0 ? value / base : NAN;
}

/* By what part of the live bytes, or of the phase's highest if none are left, the server's count of
 * them differs. */
static double live_off(const struct outcome *outcome)
{
    double live = (double)outcome->live_bytes, difference = fabs(outcome->server_live_bytes - live);
    return difference == 0 ? 0 : over(difference, live > 0 ? live : outcome->peak_live);
}

/* ---- JSON ---- */

static json_t *phase_object(const struct engine *engine, size_t at)
{
    const struct phase *phase = &engine->scenario->phases[at];
    const struct outcome *outcome = &engine->outcomes[at];
    const struct counts *counts = &outcome->counts;
    return json_pack(
        "{ss ss sf sf sI sI so so so so so so so sI sI sI sI so so so so sI sI so so so so so}",
        "name", phase->name, "kind", phase_kind_name(phase->kind), "start_seconds",
        outcome->start_seconds, "end_seconds", outcome->end_seconds, "live_bytes",
        (json_int_t)outcome->live_bytes, "items", (json_int_t)outcome->items, "server_live_bytes",
        whole(outcome->server_live_bytes), "resident_bytes", whole(outcome->resident),
        "charged_bytes", whole(outcome->charged), "resident_over_live",
        number(over(outcome->resident, (double)outcome->live_bytes)), "peak_over_live",
        number(over(outcome->peak_resident, outcome->peak_live)), "follow_seconds",
        number(outcome->follow_seconds), "cpu_seconds", number(outcome->cpu_seconds), "operations",
        (json_int_t)counts->operations, "errors", (json_int_t)counts->errors, "hits",
        (json_int_t)counts->hits, "misses", (json_int_t)counts->misses, "stall_p999_seconds",
        number(outcome->stall.p999_seconds), "stall_max_seconds",
        number(outcome->stall.max_seconds), "faults", whole(outcome->faults), "faults_per_mib",
        number(over(outcome->faults, (double)counts->written_bytes / MIB)), "wrong",
        (json_int_t)counts->wrong, "missing", (json_int_t)counts->missing, "work_seconds",
        number(outcome->work_seconds), "work_operations", whole((double)outcome->work_operations),
        "load_cpu_seconds", number(outcome->load_cpu_seconds), "overslept_seconds",
        number(outcome->stall.overslept_seconds), "live_off", number(live_off(outcome)));
}

/* ---- samples ---- */

/* The columns of JSON and CSV. */
static const struct column {
    const char *name;
    size_t offset; /* of a double in struct sample */
    bool is_whole;
} columns[] = {
    {"seconds", offsetof(struct sample, seconds), false},
    {"resident_bytes", offsetof(struct sample, resident), true},
    {"charged_bytes", offsetof(struct sample, charged), true},
    {"live_bytes", offsetof(struct sample, live), true},
    {"cpu_seconds", offsetof(struct sample, cpu_seconds), false},
    {"faults", offsetof(struct sample, faults), true},
    {"operations", offsetof(struct sample, operations), true},
    {"stall_seconds", offsetof(struct sample, stall), false},
};
#define COLUMN_COUNT (sizeof columns / sizeof columns[0])

static double cell(const struct sample *sample, size_t c)
{
    return *(const double *)((const char *)sample + columns[c].offset);
}

static json_t *samples_object(const struct engine *engine)
{
    json_t *names = json_array(), *rows = json_array();
    for (size_t c = 0; c < COLUMN_COUNT; c++)
        json_array_append_new(names, json_string(columns[c].name));
    for (size_t i = 0; i < engine->sample_count; i++) {
        json_t *row = json_array();
        for (size_t c = 0; c < COLUMN_COUNT; c++) {
            double value = cell(&engine->samples[i], c);
            json_array_append_new(row, columns[c].is_whole ? whole(value) : number(value));
        }
        json_array_append_new(rows, row);
    }
    return json_pack("{so so}", "columns", names, "rows", rows);
}

/* ---- the rest ---- */

static json_t *server_object(const struct engine *engine, const struct run_facts *facts)
{
    char source[256];
    source_text(engine->source, source, sizeof source);
    return json_pack("{so so ss so ss so so so}", "name", text(facts->host->name), "version",
                     text(facts->host->version), "protocol", protocol_name(engine->peer->protocol),
                     "address", text(facts->host->address), "memory_source", source, "pid",
                     engine->source->kind == SOURCE_PROCESS ? json_integer(facts->host->pid)
                                                            : json_null(),
                     "command", text(facts->command), "label", text(facts->label));
}

static json_t *totals_object(const struct engine *engine)
{
    double stall = NAN, cpu = NAN;
    for (size_t i = 0; i < engine->outcome_count; i++)
        stall = fmax(stall, engine->outcomes[i].stall.max_seconds);
    if (engine->sample_count > 0)
        cpu = engine->samples[engine->sample_count - 1].cpu_seconds;
    return json_pack("{sI sI sI so so}", "wrong", (json_int_t)engine->counts.wrong, "missing",
                     (json_int_t)engine->counts.missing, "operations",
                     (json_int_t)engine->counts.operations, "cpu_seconds", number(cpu),
                     "stall_max_seconds", number(stall));
}

json_t *result_make(const struct engine *engine, const struct run_facts *facts)
{
    struct utsname machine;
    struct tm when;
    char started[32];
    json_t *phases = json_array();
    for (size_t i = 0; i < engine->outcome_count; i++)
        json_array_append_new(phases, phase_object(engine, i));
    json_t *name = json_string(facts->scenario_name);
    if (name == NULL) /* a file's name need not be UTF-8 */
        name = json_string("?");
    uname(&machine);
    gmtime_r(&facts->started, &when);
    strftime(started, sizeof started, "%Y-%m-%dT%H:%M:%SZ", &when);
    bool is_complete = engine->error[0] == '\0';
    return json_pack("{ss si ss s{so so so sf sf} so s{ss si} ss sI si si sb so so so so}",
                     "format", RUN_FORMAT, "format_version", RUN_FORMAT_VERSION, "tide_version",
                     TIDE_VERSION, "scenario", "name", name, "title", text(engine->scenario->title),
                     "text", text(facts->scenario_text), "scale", facts->scale, "time_scale",
                     facts->time_scale, "server", server_object(engine, facts), "machine", "kernel",
                     machine.release, "cpus", (int)sysconf(_SC_NPROCESSORS_ONLN), "started",
                     started, "seed", (json_int_t)engine->seed, "connections",
                     (int)engine->lane_count, "depth", (int)engine->depth, "completed", is_complete,
                     "error", is_complete ? json_null() : text(engine->error), "phases", phases,
                     "samples", samples_object(engine), "totals", totals_object(engine));
}

int result_write_json(const json_t *result, const char *path)
{
    struct output output;
    if (output_open(&output, path) < 0)
        return -1;
    bool is_all = json_dumpf(result, output.file, JSON_REAL_PRECISION(9)) == 0;
    return output_close(&output, is_all);
}

/* ---- CSV, text ---- */

int result_write_csv(const struct engine *engine, const char *path)
{
    struct output output;
    if (output_open(&output, path) < 0)
        return -1;
    FILE *file = output.file;
    for (size_t c = 0; c < COLUMN_COUNT; c++)
        fprintf(file, "%s%s", c > 0 ? "," : "", columns[c].name);
    fputc('\n', file);
    for (size_t i = 0; i < engine->sample_count; i++) {
        for (size_t c = 0; c < COLUMN_COUNT; c++) {
            double value = cell(&engine->samples[i], c);
            fputs(c > 0 ? "," : "", file);
            if (isfinite(value))
                fprintf(file, "%.9g", value);
        }
        fputc('\n', file);
    }
    return output_close(&output, true);
}

/* What tide cost itself: whether it was what held the server up. */
static void print_load(const struct run_file *run, FILE *file)
{
    double operations = 0, cpu = 0, busiest = -1;
    size_t where = 0;
    for (size_t i = 0; i < run_file_phase_count(run); i++) {
        double seconds = run_file_phase_number(run, i, "work_seconds");
        double mine = run_file_phase_number(run, i, "load_cpu_seconds");
        double sent = run_file_phase_number(run, i, "work_operations");
        if (!(seconds > LOAD_SECONDS_LEAST) || !(sent > 0) || isnan(mine))
            continue;
        operations += sent;
        cpu += mine;
        if (mine / seconds > busiest) {
            busiest = mine / seconds;
            where = i;
        }
    }
    if (operations > 0)
        fprintf(file,
                "\ntide itself: %.2f us of CPU a command, %.0f %% of a processor at most (%s)%s\n",
                cpu / operations * 1e6, busiest * 100, run_file_phase_name(run, where),
                busiest > LOAD_SHARE_BUSY ? ": it was the limit there, more --depth costs it less"
                                          : "");
}

/* What no server could help: a stall of about that length may not be the server's. */
static void print_machine(const struct run_file *run, FILE *file)
{
    double longest = -1;
    size_t where = 0;
    for (size_t i = 0; i < run_file_phase_count(run); i++) {
        double seconds = run_file_phase_number(run, i, "overslept_seconds");
        if (seconds > longest) {
            longest = seconds;
            where = i;
        }
    }
    if (longest >= 0)
        fprintf(file, "the machine: a thread that only sleeps was late by %.2f ms at most (%s)\n",
                longest * 1e3, run_file_phase_name(run, where));
}

/* memcached counts what has expired until it comes across it; else the figures are not of what tide
 * wrote. */
static void print_agreement(const struct run_file *run, FILE *file)
{
    for (size_t i = 0; i < run_file_phase_count(run); i++) {
        double off = run_file_phase_number(run, i, "live_off");
        if (off > LIVE_OFF_MOST)
            fprintf(file, "live bytes: by the server's own count %.1f %% off (%s)\n", off * 100,
                    run_file_phase_name(run, i));
    }
}

int result_print(json_t *result, FILE *file)
{
    struct run_file run;
    char error[200];
    if (run_file_take(&run, result, "this run", error, sizeof error) < 0) {
        errno = ENOMEM; /* what it is made of is right */
        return -1;
    }
    verdicts_print(&run, 1, file);
    print_load(&run, file);
    print_machine(&run, file);
    print_agreement(&run, file);
    run_file_release(&run);
    return 0;
}
