/* SPDX-License-Identifier: MIT */
/* run_file.c: see run_file.h. What a file may hold is a table; a member that the table does not
 * know is passed over, so that a later tide may add some without a new version. */
#include "run_file.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WHERE_SIZE 96

enum kind { KIND_TEXT, KIND_NUMBER, KIND_TRUTH, KIND_OBJECT, KIND_ARRAY };

struct member {
    const char *object, *name; /* object: "" for the root, "phases" for each of the phases */
    enum kind kind;
    bool is_required;
};

static const struct member members[] = {
    {"", "scenario", KIND_OBJECT, true},
    {"", "server", KIND_OBJECT, true},
    {"", "machine", KIND_OBJECT, false},
    {"", "phases", KIND_ARRAY, true},
    {"", "samples", KIND_OBJECT, true},
    {"", "totals", KIND_OBJECT, false},
    {"", "tide_version", KIND_TEXT, false},
    {"", "started", KIND_TEXT, false},
    {"", "seed", KIND_NUMBER, false},
    {"", "connections", KIND_NUMBER, false},
    {"", "depth", KIND_NUMBER, false},
    {"", "completed", KIND_TRUTH, false},
    {"", "error", KIND_TEXT, false},
    {"scenario", "name", KIND_TEXT, true},
    {"scenario", "title", KIND_TEXT, false},
    {"scenario", "scale", KIND_NUMBER, false},
    {"scenario", "time_scale", KIND_NUMBER, false},
    {"scenario", "text", KIND_TEXT, false},
    {"server", "name", KIND_TEXT, true},
    {"server", "version", KIND_TEXT, false},
    {"server", "protocol", KIND_TEXT, false},
    {"server", "address", KIND_TEXT, false},
    {"server", "memory_source", KIND_TEXT, false},
    {"server", "pid", KIND_NUMBER, false},
    {"server", "command", KIND_TEXT, false},
    {"server", "label", KIND_TEXT, false},
    {"machine", "kernel", KIND_TEXT, false},
    {"machine", "cpus", KIND_NUMBER, false},
    {"samples", "columns", KIND_ARRAY, true},
    {"samples", "rows", KIND_ARRAY, true},
    {"totals", "wrong", KIND_NUMBER, false},
    {"totals", "missing", KIND_NUMBER, false},
    {"totals", "operations", KIND_NUMBER, false},
    {"totals", "cpu_seconds", KIND_NUMBER, false},
    {"totals", "stall_max_seconds", KIND_NUMBER, false},
    {"phases", "name", KIND_TEXT, true},
    {"phases", "kind", KIND_TEXT, false},
    {"phases", "start_seconds", KIND_NUMBER, true},
    {"phases", "end_seconds", KIND_NUMBER, true},
    {"phases", "live_bytes", KIND_NUMBER, false},
    {"phases", "items", KIND_NUMBER, false},
    {"phases", "server_live_bytes", KIND_NUMBER, false},
    {"phases", "resident_bytes", KIND_NUMBER, false},
    {"phases", "charged_bytes", KIND_NUMBER, false},
    {"phases", "resident_over_live", KIND_NUMBER, false},
    {"phases", "peak_over_live", KIND_NUMBER, false},
    {"phases", "follow_seconds", KIND_NUMBER, false},
    {"phases", "cpu_seconds", KIND_NUMBER, false},
    {"phases", "operations", KIND_NUMBER, false},
    {"phases", "errors", KIND_NUMBER, false},
    {"phases", "hits", KIND_NUMBER, false},
    {"phases", "misses", KIND_NUMBER, false},
    {"phases", "stall_p999_seconds", KIND_NUMBER, false},
    {"phases", "stall_max_seconds", KIND_NUMBER, false},
    {"phases", "faults", KIND_NUMBER, false},
    {"phases", "faults_per_mib", KIND_NUMBER, false},
    {"phases", "wrong", KIND_NUMBER, false},
    {"phases", "missing", KIND_NUMBER, false},
    {"phases", "work_seconds", KIND_NUMBER, false},
    {"phases", "work_operations", KIND_NUMBER, false},
    {"phases", "load_cpu_seconds", KIND_NUMBER, false},
    {"phases", "overslept_seconds", KIND_NUMBER, false},
    {"phases", "live_off", KIND_NUMBER, false},
};

/* Where the complaint of a reading goes. */
struct complaint {
    const char *path;
    char *text;
    size_t size;
};

__attribute__((format(printf, 2, 3))) static int complain(const struct complaint *to,
                                                          const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = snprintf(to->text, to->size, "%s: ", to->path);
    if (length >= 0 && (size_t)length < to->size)
        vsnprintf(to->text + length, to->size - (size_t)length, format, arguments);
    va_end(arguments);
    return -1;
}

const char *sample_column_name(enum sample_column column)
{
    static const char *const names[] = {
#define X(name, text) text,
        SAMPLE_COLUMNS(X)
#undef X
    };
    return names[column];
}

/* ---- members ---- */

static bool is_kind(const json_t *value, enum kind kind)
{
    switch (kind) {
    case KIND_TEXT:
        return json_is_string(value);
    case KIND_NUMBER:
        return json_is_number(value);
    case KIND_TRUTH:
        return json_is_boolean(value);
    case KIND_OBJECT:
        return json_is_object(value);
    case KIND_ARRAY:
        return json_is_array(value);
    }
    return false;
}

static int check_member(const struct complaint *to, const json_t *object, const char *where,
                        const struct member *member)
{
    static const char *const kinds[] = {"a text", "a number", "true or false", "an object",
                                        "an array"};
    const json_t *value = json_object_get(object, member->name);
    if (value == NULL || json_is_null(value))
        return member->is_required ? complain(to, "%s%s is missing", where, member->name) : 0;
    return is_kind(value, member->kind)
               ? 0
               : complain(to, "%s%s should be %s", where, member->name, kinds[member->kind]);
}

static int check_object(const struct complaint *to, const json_t *object, const char *name,
                        const char *where)
{
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        if (strcmp(members[i].object, name) == 0 &&
            check_member(to, object, where, &members[i]) < 0)
            return -1;
    return 0;
}

static int check_phases(const struct complaint *to, const json_t *phases)
{
    for (size_t i = 0; i < json_array_size(phases); i++) {
        char where[WHERE_SIZE];
        const json_t *phase = json_array_get(phases, i);
        if (!json_is_object(phase))
            return complain(to, "phases[%zu] should be an object", i);
        snprintf(where, sizeof where, "phases[%zu].", i);
        if (check_object(to, phase, "phases", where) < 0)
            return -1;
        if (json_number_value(json_object_get(phase, "end_seconds")) <
            json_number_value(json_object_get(phase, "start_seconds")))
            return complain(to, "phases[%zu] ends before it begins", i);
    }
    return 0;
}

static int check_format(const struct complaint *to, const json_t *root)
{
    const char *format = json_string_value(json_object_get(root, "format"));
    if (format == NULL || strcmp(format, RUN_FORMAT) != 0)
        return complain(to, "not a run of tide: \"format\" is not \"" RUN_FORMAT "\"");
    const json_t *version = json_object_get(root, "format_version");
    if (!json_is_integer(version))
        return complain(to, "format_version should be a whole number");
    if (json_integer_value(version) != RUN_FORMAT_VERSION)
        return complain(to, "format_version %lld: this tide reads %d",
                        (long long)json_integer_value(version), RUN_FORMAT_VERSION);
    return 0;
}

static int check_tree(const struct complaint *to, const json_t *root)
{
    static const char *const objects[] = {"scenario", "server", "machine", "samples", "totals"};
    if (check_format(to, root) < 0 || check_object(to, root, "", "") < 0)
        return -1;
    for (size_t i = 0; i < sizeof objects / sizeof objects[0]; i++) {
        char where[WHERE_SIZE];
        const json_t *object = json_object_get(root, objects[i]);
        snprintf(where, sizeof where, "%s.", objects[i]);
        if (json_is_object(object) && check_object(to, object, objects[i], where) < 0)
            return -1;
    }
    return check_phases(to, json_object_get(root, "phases"));
}

/* ---- samples ---- */

/* Which place of a row holds each column; SIZE_MAX if none does. */
static int find_places(const struct complaint *to, const json_t *names, size_t places[])
{
    for (int c = 0; c < SAMPLE_COLUMN_COUNT; c++) {
        places[c] = SIZE_MAX;
        for (size_t i = 0; i < json_array_size(names); i++) {
            const char *name = json_string_value(json_array_get(names, i));
            if (name == NULL)
                return complain(to, "samples.columns[%zu] should be a text", i);
            if (strcmp(name, sample_column_name(c)) == 0)
                places[c] = i;
        }
    }
    return places[SAMPLE_SECONDS] == SIZE_MAX
               ? complain(to, "samples.columns has no \"%s\"", sample_column_name(SAMPLE_SECONDS))
               : 0;
}

static int read_row(const struct complaint *to, struct samples *samples, size_t row,
                    const json_t *values, const size_t places[], size_t width)
{
    if (!json_is_array(values) || json_array_size(values) != width)
        return complain(to, "samples.rows[%zu] should be an array of %zu values", row, width);
    for (int c = 0; c < SAMPLE_COLUMN_COUNT; c++) {
        const json_t *value = places[c] == SIZE_MAX ? NULL : json_array_get(values, places[c]);
        if (value != NULL && !json_is_null(value) && !json_is_number(value))
            return complain(to, "samples.rows[%zu]: %s should be a number or null", row,
                            sample_column_name(c));
        samples->columns[c][row] = json_is_number(value) ? json_number_value(value) : NAN;
    }
    const double *seconds = samples->columns[SAMPLE_SECONDS];
    if (isnan(seconds[row]))
        return complain(to, "samples.rows[%zu] has no time", row);
    if (row > 0 && seconds[row] < seconds[row - 1])
        return complain(to, "samples.rows[%zu]: time goes back", row);
    return 0;
}

static int read_samples(const struct complaint *to, struct samples *samples, const json_t *from)
{
    const json_t *names = json_object_get(from, "columns"), *rows = json_object_get(from, "rows");
    size_t places[SAMPLE_COLUMN_COUNT], count = json_array_size(rows);
    if (find_places(to, names, places) < 0)
        return -1;
    double *values = calloc(count * SAMPLE_COLUMN_COUNT + 1, sizeof *values);
    if (values == NULL)
        return complain(to, "no memory for %zu samples", count);
    samples->count = count;
    for (int c = 0; c < SAMPLE_COLUMN_COUNT; c++)
        samples->columns[c] = values + (size_t)c * count;
    for (size_t row = 0; row < count; row++)
        if (read_row(to, samples, row, json_array_get(rows, row), places, json_array_size(names)) <
            0) {
            free(values);
            return -1;
        }
    return 0;
}

/* ---- reading ---- */

static int take(const struct complaint *to, struct run_file *run, const json_t *root)
{
    if (check_tree(to, root) < 0 ||
        read_samples(to, &run->samples, json_object_get(root, "samples")) < 0)
        return -1;
    run->path = to->path;
    run->root = json_copy((json_t *)root);
    if (run->root == NULL) {
        free(run->samples.columns[0]);
        return complain(to, "no memory");
    }
    json_object_del(run->root, "samples");
    return 0;
}

int run_file_take(struct run_file *run, json_t *root, const char *path, char error[],
                  size_t error_size)
{
    const struct complaint to = {path, error, error_size};
    *run = (struct run_file){0};
    return take(&to, run, root);
}

int run_file_read(struct run_file *run, const char *path, char error[], size_t error_size)
{
    const struct complaint to = {path, error, error_size};
    *run = (struct run_file){0};
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return complain(&to, "%s", strerror(errno));
    json_error_t wrong;
    errno = 0;
    json_t *root = json_loadf(file, JSON_REJECT_DUPLICATES, &wrong);
    int reading_error = ferror(file) ? errno : 0;
    fclose(file);
    if (root == NULL && reading_error != 0)
        return complain(&to, "%s", strerror(reading_error));
    if (root == NULL)
        return complain(&to, "line %d, column %d: %s", wrong.line, wrong.column, wrong.text);
    int status = take(&to, run, root);
    json_decref(root);
    return status;
}

void run_file_release(struct run_file *run)
{
    json_decref(run->root);
    free(run->samples.columns[0]);
    *run = (struct run_file){0};
}

/* ---- what is asked of it ---- */

const char *run_file_text(const struct run_file *run, const char *object, const char *name)
{
    const char *text = json_string_value(json_object_get(json_object_get(run->root, object), name));
    return text == NULL ? "" : text;
}

void run_file_title(const struct run_file *run, char title[], size_t size)
{
    const char *label = run_file_text(run, "server", "label");
    const char *name = run_file_text(run, "server", "name");
    const char *protocol = run_file_text(run, "server", "protocol");
    if (label[0] != '\0')
        snprintf(title, size, "%s", label);
    else
        snprintf(title, size, "%s %s%s%s", name, run_file_text(run, "server", "version"),
                 strcmp(name, protocol) == 0 ? "" : " ",
                 strcmp(name, protocol) == 0 ? "" : protocol);
}

/* ", scale 0.1", or nothing. */
static size_t write_factor(const struct run_file *run, const char *name, const char *words,
                           char text[], size_t size)
{
    const json_t *factor = json_object_get(json_object_get(run->root, "scenario"), name);
    bool is_shown = json_is_number(factor) && json_number_value(factor) != 1;
    int length = is_shown ? snprintf(text, size, ", %s %.6g", words, json_number_value(factor)) : 0;
    return length > 0 && (size_t)length < size ? (size_t)length : 0;
}

void run_file_scenario(const struct run_file *run, char text[], size_t size)
{
    snprintf(text, size, "%s", run_file_text(run, "scenario", "name"));
    size_t length = strlen(text);
    length += write_factor(run, "scale", "scale", text + length, size - length);
    write_factor(run, "time_scale", "times", text + length, size - length);
}

bool run_file_is_completed(const struct run_file *run)
{
    return !json_is_false(json_object_get(run->root, "completed"));
}

static const json_t *phase_at(const struct run_file *run, size_t phase)
{
    return json_array_get(json_object_get(run->root, "phases"), phase);
}

size_t run_file_phase_count(const struct run_file *run)
{
    return json_array_size(json_object_get(run->root, "phases"));
}

const char *run_file_phase_name(const struct run_file *run, size_t phase)
{
    return json_string_value(json_object_get(phase_at(run, phase), "name"));
}

double run_file_phase_number(const struct run_file *run, size_t phase, const char *name)
{
    const json_t *value = json_object_get(phase_at(run, phase), name);
    return json_is_number(value) ? json_number_value(value) : NAN;
}
