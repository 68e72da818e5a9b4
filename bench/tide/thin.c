/* SPDX-License-Identifier: MIT */
/* thin.c: see thin.h. */
#include "thin.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

/* The rows of one pixel column: where each curve is lowest and highest; SIZE_MAX while unknown. */
struct extremes {
    size_t low[SAMPLE_COLUMN_COUNT], high[SAMPLE_COLUMN_COUNT];
};

static void find_extremes(const struct samples *samples, size_t from, size_t to,
                          struct extremes *extremes)
{
    for (int c = SAMPLE_SECONDS + 1; c < SAMPLE_COLUMN_COUNT; c++) {
        const double *values = samples->columns[c];
        size_t low = SIZE_MAX, high = SIZE_MAX;
        for (size_t row = from; row < to; row++) {
            if (isnan(values[row]))
                continue;
            if (low == SIZE_MAX || values[row] < values[low])
                low = row;
            if (high == SIZE_MAX || values[row] > values[high])
                high = row;
        }
        extremes->low[c] = low;
        extremes->high[c] = high;
    }
}

static bool is_extreme(const struct extremes *extremes, size_t row)
{
    for (int c = SAMPLE_SECONDS + 1; c < SAMPLE_COLUMN_COUNT; c++)
        if (extremes->low[c] == row || extremes->high[c] == row)
            return true;
    return false;
}

static size_t pixel_column(const struct samples *samples, size_t row, size_t pixel_columns)
{
    const double *seconds = samples->columns[SAMPLE_SECONDS];
    double span = seconds[samples->count - 1] - seconds[0];
    if (!(span > 0))
        return 0;
    size_t column = (size_t)((seconds[row] - seconds[0]) / span * (double)pixel_columns);
    return column < pixel_columns ? column : pixel_columns - 1;
}

size_t thin(const struct samples *samples, size_t pixel_columns, size_t rows[])
{
    size_t kept = 0, count = samples->count;
    for (size_t from = 0, to = 0; from < count; from = to) {
        size_t column = pixel_column(samples, from, pixel_columns);
        while (to < count && pixel_column(samples, to, pixel_columns) == column)
            to++;
        struct extremes extremes;
        find_extremes(samples, from, to, &extremes);
        for (size_t row = from; row < to; row++)
            if (count <= 2 * pixel_columns || row == 0 || row == count - 1 ||
                is_extreme(&extremes, row))
                rows[kept++] = row;
    }
    return kept;
}
