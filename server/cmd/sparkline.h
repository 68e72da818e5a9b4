/* SPDX-License-Identifier: MIT */
/* sparkline.h: values as a picture of text, four lines high, with a label below each: what LATENCY
 * GRAPH shows, as Redis draws it.
 */
#ifndef EBB_SPARKLINE_H
#define EBB_SPARKLINE_H

#include <stddef.h>
#include <stdint.h>

#include "../../proto/ebb_proto.h"

#define SPARKLINE_VALUES_MAX  160u
#define SPARKLINE_LABEL_BYTES 24u

struct sparkline {
    size_t count;
    int64_t values[SPARKLINE_VALUES_MAX];
    char labels[SPARKLINE_VALUES_MAX][SPARKLINE_LABEL_BYTES];
};

/* Labels a value with how long ago it was: "5s", "3m", "2h", "9d". */
void sparkline_label(struct sparkline *line, size_t index, int64_t age_s);
/* At most 80 values stand in a row; what is more follows below. */
void sparkline_draw(const struct sparkline *line, struct ebb_buf *text);

#endif
