/* SPDX-License-Identifier: MIT */
/* reach.h: the lines of the last table: what was to be reached, what was, whether that is met. */
#ifndef EBB_BENCH_REACH_H
#define EBB_BENCH_REACH_H

#include <stdbool.h>
#include <stddef.h>

#include "../report.h"
#include "spread.h"

#define REACH_LINES_MAX 48
#define REACH_TEXT_MAX  72

struct reach_line {
    char what[REACH_TEXT_MAX], note[REACH_TEXT_MAX];
    struct spread value;
    double bound;
    bool is_least; /* the value should be at least the bound, not at most */
    bool is_open;  /* it could not be measured; the note says why */
};

struct reach {
    struct reach_line lines[REACH_LINES_MAX];
    size_t count;
};

/* The line is the caller's until the next one is added. */
struct reach_line *reach_at_most(struct reach *reach, struct spread value, double bound,
                                 const char *what, ...) __attribute__((format(printf, 4, 5)));
struct reach_line *reach_at_least(struct reach *reach, struct spread value, double bound,
                                  const char *what, ...) __attribute__((format(printf, 4, 5)));
/* Not measured, because of `note`. */
void reach_open(struct reach *reach, const char *note, const char *what, ...)
    __attribute__((format(printf, 3, 4)));

void reach_print(const struct reach *reach);
/* As figures of the topic "reach". */
void reach_report(const struct reach *reach, struct report *report);
/* How many were measured and not met. */
size_t reach_missed(const struct reach *reach);

#endif
