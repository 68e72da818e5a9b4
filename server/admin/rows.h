/* SPDX-License-Identifier: MIT */
/* rows.h: the rows of a table of metrics (metrics.def and its like), as data. A file that includes
 * such a table between braces gets an array of struct row:
 *
 *     static const struct row rows[] = {
 *     #include "metrics.def"
 *     };
 *
 * A row names a field of struct metrics, whose type says how it is written.
 */
#ifndef EBB_ROWS_H
#define EBB_ROWS_H

#include <stddef.h>

#include "metrics.h"

enum row_kind {
    ROW_FAMILY,
    ROW_U64,
    ROW_I64,
    ROW_DOUBLE,
    ROW_NANOS,
    ROW_MILLIS,
    ROW_EACH,
    ROW_WHEN,
    ROW_ALWAYS
};

struct row {
    enum row_kind kind;
    enum metric_type type;
    const char *text; /* name of a family, labels of a sample */
    const char *help;
    size_t offset; /* in struct metrics */
    void (*each)(const struct metrics *metrics, struct exposition *to);
};

void rows_write(const struct row *rows, size_t count, const struct metrics *metrics,
                enum exposition_format format, struct ebb_buf *out);

#define ROW_KIND_OF(field)                                                                         \
    _Generic(((const struct metrics *)0)->field, uint64_t                                          \
             : ROW_U64, int64_t                                                                    \
             : ROW_I64, double                                                                     \
             : ROW_DOUBLE)

#define FAMILY(type, name, help) {ROW_FAMILY, METRIC_##type, name, help, 0, NULL},
#define VALUE(labels, field)                                                                       \
    {ROW_KIND_OF(field), 0, labels, NULL, offsetof(struct metrics, field), NULL},
#define NANOS(labels, field)  {ROW_NANOS, 0, labels, NULL, offsetof(struct metrics, field), NULL},
#define MILLIS(labels, field) {ROW_MILLIS, 0, labels, NULL, offsetof(struct metrics, field), NULL},
#define EACH(function)        {ROW_EACH, 0, NULL, NULL, 0, function},
#define WHEN(field)           {ROW_WHEN, 0, NULL, NULL, offsetof(struct metrics, field), NULL},
#define ALWAYS()              {ROW_ALWAYS, 0, NULL, NULL, 0, NULL},

#endif
