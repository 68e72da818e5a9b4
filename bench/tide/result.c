/* SPDX-License-Identifier: MIT */
/* result.c: see result.h. */
#include "result.h"
#include "run_file.h"
#include "verdicts.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define MIB (1024.0 * 1024)

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

/* ---- JSON ---- */

static json_t *phase_object(const struct engine *engine, size_t at)
{
    const struct phase *phase = &engine->scenario->phases[at];
    const struct outcome *outcome = &engine->outcomes[at];
    const struct counts *counts = &outcome->counts;
    return json_pack(
        "{ss ss sf sf sI sI so so so so so so so sI sI sI sI so so so so sI sI}", "name",
        phase->name, "kind", phase_kind_name(phase->kind), "start_seconds", outcome->start_seconds,
        "end_seconds", outcome->end_seconds, "live_bytes", (json_int_t)outcome->live_bytes, "items",
        (json_int_t)outcome->items, "server_live_bytes", whole(outcome->server_live_bytes),
        "resident_bytes", whole(outcome->resident), "charged_bytes", whole(outcome->charged),
        "resident_over_live", number(over(outcome->resident, (double)outcome->live_bytes)),
        "peak_over_live", number(over(outcome->peak_resident, outcome->peak_live)),
        "follow_seconds", number(outcome->follow_seconds), "cpu_seconds",
        number(outcome->cpu_seconds), "operations", (json_int_t)counts->operations, "errors",
        (json_int_t)counts->errors, "hits", (json_int_t)counts->hits, "misses",
        (json_int_t)counts->misses, "stall_p999_seconds", number(outcome->stall.p999_seconds),
        "stall_max_seconds", number(outcome->stall.max_seconds), "faults", whole(outcome->faults),
        "faults_per_mib", number(over(outcome->faults, (double)counts->written_bytes / MIB)),
        "wrong", (json_int_t)counts->wrong, "missing", (json_int_t)counts->missing);
}

static json_t *sample_rows(const struct engine *engine)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < engine->sample_count; i++) {
        const struct sample *s = &engine->samples[i];
        json_array_append_new(rows,
                              json_pack("[foooooof]", s->seconds, whole(s->resident),
                                        whole(s->charged), whole(s->live), number(s->cpu_seconds),
                                        whole(s->faults), whole(s->operations), s->stall));
    }
    return rows;
}

static json_t *server_object(const struct engine *engine, const struct run_facts *facts)
{
    char source[64];
    snprintf(source, sizeof source, "process %d (statm; smaps_rollup at each phase's end)",
             (int)facts->pid);
    return json_pack("{so so ss so ss si so so}", "name", text(facts->server_name), "version",
                     text(facts->server_version), "protocol",
                     engine->protocol == PROTOCOL_RESP ? "resp" : "memcached", "address",
                     text(facts->address), "memory_source", source, "pid", (int)facts->pid,
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

static json_t *run_object(const struct engine *engine, const struct run_facts *facts)
{
    struct utsname machine;
    struct tm when;
    char started[32];
    json_t *phases = json_array();
    for (size_t i = 0; i < engine->outcome_count; i++)
        json_array_append_new(phases, phase_object(engine, i));
    uname(&machine);
    gmtime_r(&facts->started, &when);
    strftime(started, sizeof started, "%Y-%m-%dT%H:%M:%SZ", &when);
    bool is_complete = engine->error[0] == '\0';
    return json_pack("{ss si ss s{so so so} so s{ss si} ss sI si si sb so so s{s[ssssssss] so} so}",
                     "format", "tide-run", "format_version", 1, "tide_version", TIDE_VERSION,
                     "scenario", "name", text(facts->scenario_name), "title",
                     text(engine->scenario->title), "text", text(facts->scenario_text), "server",
                     server_object(engine, facts), "machine", "kernel", machine.release, "cpus",
                     (int)sysconf(_SC_NPROCESSORS_ONLN), "started", started, "seed",
                     (json_int_t)engine->seed, "connections", (int)engine->lane_count, "depth",
                     (int)engine->depth, "completed", is_complete, "error",
                     is_complete ? json_null() : text(engine->error), "phases", phases, "samples",
                     "columns", "seconds", "resident_bytes", "charged_bytes", "live_bytes",
                     "cpu_seconds", "faults", "operations", "stall_seconds", "rows",
                     sample_rows(engine), "totals", totals_object(engine));
}

/* 0 if all of it is on its way to the disk. */
static int close_file(FILE *file, bool is_written)
{
    bool is_flushed = fflush(file) == 0 && !ferror(file);
    int cause = errno;
    fclose(file);
    errno = cause;
    return is_written && is_flushed ? 0 : -1;
}

int result_write_json(const struct engine *engine, const struct run_facts *facts, const char *path)
{
    FILE *file = fopen(path, "w");
    if (file == NULL)
        return -1;
    json_t *run = run_object(engine, facts);
    bool is_written = run != NULL && json_dumpf(run, file, JSON_REAL_PRECISION(9)) == 0;
    json_decref(run);
    return close_file(file, is_written);
}

/* ---- CSV, text ---- */

static void print_cell(FILE *file, double value, char end)
{
    if (isfinite(value))
        fprintf(file, "%.9g", value);
    fputc(end, file);
}

int result_write_csv(const struct engine *engine, const char *path)
{
    FILE *file = fopen(path, "w");
    if (file == NULL)
        return -1;
    fputs("seconds,resident_bytes,charged_bytes,live_bytes,cpu_seconds,faults,operations,"
          "stall_seconds\n",
          file);
    for (size_t i = 0; i < engine->sample_count; i++) {
        const struct sample *s = &engine->samples[i];
        const double cells[] = {s->seconds,     s->resident, s->charged,    s->live,
                                s->cpu_seconds, s->faults,   s->operations, s->stall};
        for (size_t c = 0; c < 8; c++)
            print_cell(file, cells[c], c < 7 ? ',' : '\n');
    }
    return close_file(file, true);
}

void result_print(const struct engine *engine, const struct run_facts *facts, FILE *file)
{
    struct run_file run;
    char error[200];
    json_t *root = run_object(engine, facts);
    if (root != NULL && run_file_take(&run, root, "this run", error, sizeof error) == 0) {
        verdicts_print(&run, 1, file);
        run_file_release(&run);
    } else {
        fputs("tide: no memory for the table\n", stderr);
    }
    json_decref(root);
}
