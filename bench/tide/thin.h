/* SPDX-License-Identifier: MIT */
/* thin.h: which samples a chart of so many pixel columns needs, so that it looks as with all. */
#ifndef EBB_TIDE_THIN_H
#define EBB_TIDE_THIN_H

#include <stddef.h>

#include "run_file.h"

/* Writes the rows to keep, in order, into `rows` (room for samples->count) and returns how many: of
 * each pixel column the first lowest and first highest of each curve, and the first and last of
 * all. All rows if they are few. */
size_t thin(const struct samples *samples, size_t pixel_columns, size_t rows[]);

#endif
