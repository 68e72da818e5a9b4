/* SPDX-License-Identifier: MIT */
/* sparkline.c: see sparkline.h. Pure.
 */
#include "sparkline.h"

#include <stdio.h>
#include <string.h>

#define COLUMNS 80u
#define ROWS    4u
#define LEVELS  3u /* in a character: "_", "o" and "#" */

void sparkline_label(struct sparkline *line, size_t index, int64_t age_s)
{
    static const struct {
        int64_t below_s, unit_s;
        char name;
    } units[] = {{60, 1, 's'}, {3600, 60, 'm'}, {86400, 3600, 'h'}, {INT64_MAX, 86400, 'd'}};
    size_t u = 0;

    while (age_s >= units[u].below_s && u + 1 < sizeof(units) / sizeof(units[0]))
        u++;
    snprintf(line->labels[index], SPARKLINE_LABEL_BYTES, "%lld%c",
             (long long)(age_s / units[u].unit_s), units[u].name);
}

/* How high a value stands, 0 to ROWS * LEVELS - 1. */
static unsigned level_of(int64_t value, int64_t low, int64_t high)
{
    const unsigned steps = ROWS * LEVELS;
    double level_exact = (double)(value - low) * steps / (double)(high > low ? high - low : 1);
    unsigned level = (unsigned)level_exact;

    return level < steps ? level : steps - 1;
}

static char character_of(unsigned level, unsigned row)
{
    unsigned base = (ROWS - 1 - row) * LEVELS;

    return level < base ? ' ' : level < base + LEVELS ? "_o#"[level - base] : '|';
}

static void draw_rows(const struct sparkline *line, size_t from, size_t count, int64_t low,
                      int64_t high, struct ebb_buf *text)
{
    char row[COLUMNS + 1];

    for (unsigned r = 0; r < ROWS; r++) {
        for (size_t i = 0; i < count; i++)
            row[i] = character_of(level_of(line->values[from + i], low, high), r);
        row[count] = '\n';
        ebb_buf_add(text, row, count + 1);
    }
}

/* From the top down, a character each line. */
static void draw_labels(const struct sparkline *line, size_t from, size_t count,
                        struct ebb_buf *text)
{
    size_t longest = 0;
    char row[COLUMNS + 1];

    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(line->labels[from + i]);
        longest = len > longest ? len : longest;
    }
    memset(row, ' ', sizeof(row));
    row[count] = '\n';
    ebb_buf_add(text, row, count + 1);
    for (size_t r = 0; r < longest; r++) {
        for (size_t i = 0; i < count; i++) {
            const char *label = line->labels[from + i];
            row[i] = r < strlen(label) ? label[r] : ' ';
        }
        ebb_buf_add(text, row, count + 1);
    }
}

void sparkline_draw(const struct sparkline *line, struct ebb_buf *text)
{
    int64_t low = line->values[0], high = line->values[0];

    for (size_t i = 0; i < line->count; i++) {
        low = line->values[i] < low ? line->values[i] : low;
        high = line->values[i] > high ? line->values[i] : high;
    }
    for (unsigned i = 0; i < COLUMNS; i++)
        ebb_buf_add(text, "-", 1);
    ebb_buf_add(text, "\n", 1);
    for (size_t from = 0; from < line->count; from += COLUMNS) {
        size_t count = line->count - from < COLUMNS ? line->count - from : COLUMNS;
        if (from > 0)
            ebb_buf_add(text, "\n", 1);
        draw_rows(line, from, count, low, high, text);
        draw_labels(line, from, count, text);
    }
}
