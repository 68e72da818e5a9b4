/* SPDX-License-Identifier: MIT */
/* report.h: one HTML page that shows runs beside each other, and needs nothing but itself. */
#ifndef EBB_TIDE_REPORT_H
#define EBB_TIDE_REPORT_H

#include <stddef.h>

/* Reads the runs and writes the page; a page that is there is replaced at once, or not at all. 0,
 * or -1 with what went wrong, and in which file, in `error`. */
int report_write(const char *html_path, char *const run_paths[], int count, char error[],
                 size_t error_size);

#endif
