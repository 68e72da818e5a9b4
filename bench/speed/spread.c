/* SPDX-License-Identifier: MIT */
/* spread.c: see spread.h. */
#include "spread.h"

#include <stdlib.h>

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct spread spread_of(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare);
    size_t middle = count / 2;
    double median = count % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
    return (struct spread){median, values[0], values[count - 1]};
}
