/* SPDX-License-Identifier: MIT */
/* exposition.h: metrics as text, in the two formats that Prometheus reads.
 *
 *   text 0.0.4       # HELP and # TYPE name the samples; any order, no end
 *   OpenMetrics 1.0  # TYPE, # UNIT, # HELP name the family: counters lose _total, infos _info;
 *                    "# EOF" ends it
 *
 * Families are written one after the other, each begun once; names, labels and help come from a
 * table. Label sets are handed in ready made: `class="64",state="used"`, or "" for none.
 */
#ifndef EBB_EXPOSITION_H
#define EBB_EXPOSITION_H

#include <stddef.h>
#include <stdint.h>

#include "../../proto/ebb_proto.h"

enum exposition_format { EXPOSITION_TEXT, EXPOSITION_OPENMETRICS };
enum metric_type { METRIC_GAUGE, METRIC_COUNTER, METRIC_INFO, METRIC_HISTOGRAM };

struct exposition {
    struct ebb_buf *out;
    enum exposition_format format;
    const char *name; /* of the family's samples, with _total or _info */
    size_t name_len;
};

/* What the client would rather have. OpenMetrics only for a client that names it. */
enum exposition_format exposition_choose(struct ebb_slice accept);
const char *exposition_content_type(enum exposition_format format);

void exposition_begin(struct exposition *to, enum metric_type type, const char *name,
                      const char *help);
void exposition_u64(struct exposition *to, const char *labels, uint64_t value);
void exposition_double(struct exposition *to, const char *labels, double value);

struct histogram {
    const double *bounds; /* upper, without +Inf */
    size_t bound_count;
    const uint64_t *counts; /* bound_count + 1, each of its own bucket only */
    double sum;
};
void exposition_histogram(struct exposition *to, const char *labels,
                          const struct histogram *histogram);
void exposition_end(struct exposition *to);

#define EXPOSITION_NUMBER_BYTES 32
/* A decimal that reads back as the same number, and has no digit too many: 0.25, 1e-05, +Inf. */
size_t exposition_format_double(char *text, double value);

/* Adds name="value" to a label set, escaped; cuts a value that does not fit. */
void exposition_label(char *labels, size_t size, const char *name, const char *value);

#endif
