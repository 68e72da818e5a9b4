/* SPDX-License-Identifier: MIT */
/* spread.h: the median of a figure over the rounds, and how far apart they were. */
#ifndef EBB_BENCH_SPREAD_H
#define EBB_BENCH_SPREAD_H

#include <stddef.h>

struct spread {
    double median, least, most;
};

/* Sorts the values; there is at least one. */
struct spread spread_of(double *values, size_t count);

#endif
