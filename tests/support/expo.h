/* SPDX-License-Identifier: MIT */
/* expo.h: a strict reader of metrics, for tests: Prometheus text 0.0.4 and OpenMetrics 1.0.
 *
 * It knows the formats from their specifications, not from the code that writes them, and refuses
 * what a lenient parser would let pass: families in pieces, series twice, types that do not fit the
 * samples' names, units missing, histograms that do not add up.
 */
#ifndef EBB_TEST_EXPO_H
#define EBB_TEST_EXPO_H

#include <stdbool.h>
#include <stddef.h>

#define EXPO_NAME_BYTES   128
#define EXPO_LABELS_BYTES 320

struct expo_sample {
    char name[EXPO_NAME_BYTES];
    char labels[EXPO_LABELS_BYTES]; /* between the braces, as written */
    double value;
};

struct expo {
    struct expo_sample *samples;
    size_t count, capacity;
    char error[512]; /* what is wrong, with the line */
};

/* False: expo->error says why. Release it in both cases. */
bool expo_parse(struct expo *expo, const char *text, size_t len, bool is_openmetrics);
void expo_release(struct expo *expo);
/* NAN when there is no such series. */
double expo_value(const struct expo *expo, const char *name, const char *labels);
/* Over all series of that name. */
double expo_sum(const struct expo *expo, const char *name);

#endif
