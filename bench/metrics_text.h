/* SPDX-License-Identifier: MIT */
/* metrics_text.h: a page of metrics in Prometheus's text format. */
#ifndef EBB_BENCH_METRICS_TEXT_H
#define EBB_BENCH_METRICS_TEXT_H

/* The value of the first sample of that name, whatever its labels; NAN if there is none. */
double metrics_number(const char *page, const char *name);

#endif
