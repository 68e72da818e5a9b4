/* SPDX-License-Identifier: MIT */
/* run_file.h: what one run has left behind, read from its JSON file and held as it was written.
 *
 * The tree has been checked when one has it: members that are there have the right type, and the
 * accessors answer NAN or "" for what is missing or null. Its samples are taken out into columns.
 */
#ifndef EBB_TIDE_RUN_FILE_H
#define EBB_TIDE_RUN_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <jansson.h>

#define RUN_FORMAT         "tide-run"
#define RUN_FORMAT_VERSION 1

/* The columns of samples that a report draws; others in the file are passed over. Bytes, seconds.
 */
#define SAMPLE_COLUMNS(X)                                                                          \
    X(SECONDS, "seconds")                                                                          \
    X(RESIDENT, "resident_bytes")                                                                  \
    X(CHARGED, "charged_bytes")                                                                    \
    X(LIVE, "live_bytes")                                                                          \
    X(CPU, "cpu_seconds")                                                                          \
    X(STALL, "stall_seconds")

enum sample_column {
#define X(name, text) SAMPLE_##name,
    SAMPLE_COLUMNS(X)
#undef X
        SAMPLE_COLUMN_COUNT
};

/* Time never goes back in them. Unknown values are NAN; the times are all known. */
struct samples {
    size_t count;
    double *columns[SAMPLE_COLUMN_COUNT]; /* of `count` values each, in one allocation */
};

struct run_file {
    const char *path; /* the caller's */
    json_t *root;     /* without its samples */
    struct samples samples;
};

/* 0, or -1 with what is wrong in `error` (which begins with the path) and nothing to release. */
int run_file_read(struct run_file *run, const char *path, char error[], size_t error_size);
/* The same from a tree in memory, which is only borrowed; `path` stands for it in errors. */
int run_file_take(struct run_file *run, json_t *root, const char *path, char error[],
                  size_t error_size);
void run_file_release(struct run_file *run);

/* A text below an object of the root: ("server", "name"). "" if there is none. */
const char *run_file_text(const struct run_file *run, const char *object, const char *name);
/* How a table calls the run: its server's label, or name, version and protocol, as
 * far as that is not the name. */
void run_file_title(const struct run_file *run, char title[], size_t size);
/* The scenario's name and what its sizes and times were multiplied by: runs with the same can be
 * compared. */
void run_file_scenario(const struct run_file *run, char text[], size_t size);
bool run_file_is_completed(const struct run_file *run);
size_t run_file_phase_count(const struct run_file *run);
const char *run_file_phase_name(const struct run_file *run, size_t phase);
double run_file_phase_number(const struct run_file *run, size_t phase, const char *name);

/* The text of a column, as in the file. */
const char *sample_column_name(enum sample_column column);

#endif
