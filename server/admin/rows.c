/* SPDX-License-Identifier: MIT */
/* rows.c: writes a table of metrics, row by row. */
#include "rows.h"

static void write_row(const struct metrics *metrics, const struct row *row, struct exposition *to)
{
    const void *field = (const char *)metrics + row->offset;
    switch (row->kind) {
    case ROW_FAMILY:
        exposition_begin(to, row->type, row->text, row->help);
        return;
    case ROW_U64:
        exposition_u64(to, row->text, *(const uint64_t *)field);
        return;
    case ROW_I64:
        exposition_double(to, row->text, (double)*(const int64_t *)field);
        return;
    case ROW_DOUBLE:
        exposition_double(to, row->text, *(const double *)field);
        return;
    case ROW_NANOS:
        exposition_double(to, row->text, (double)*(const uint64_t *)field / 1e9);
        return;
    case ROW_MILLIS:
        exposition_double(to, row->text, (double)*(const uint64_t *)field / 1e3);
        return;
    case ROW_EACH:
        row->each(metrics, to);
        return;
    case ROW_WHEN:
    case ROW_ALWAYS:
        return;
    }
}

void rows_write(const struct row *rows, size_t count, const struct metrics *metrics,
                enum exposition_format format, struct ebb_buf *out)
{
    struct exposition to = {.out = out, .format = format};
    bool is_shown = true;
    for (size_t i = 0; i < count; i++) {
        if (rows[i].kind == ROW_WHEN)
            is_shown = *(const bool *)((const char *)metrics + rows[i].offset);
        else if (rows[i].kind == ROW_ALWAYS)
            is_shown = true;
        else if (is_shown)
            write_row(metrics, &rows[i], &to);
    }
    exposition_end(&to);
}
