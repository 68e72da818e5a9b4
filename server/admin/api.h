/* SPDX-License-Identifier: MIT */
/* api.h: the JSON behind the page, for other programs too. README.md of this room describes it.
 *
 * Each function adds one JSON document to `out`; out->failed says that there was no memory.
 */
#ifndef EBB_API_H
#define EBB_API_H

#include "../facts.h"
#include "history.h"
#include "metrics.h"

#define API_ARENAS_MAX 1024u /* of one /api/heapmap: 2 GiB, and some milliseconds */

void api_memory(const struct metrics *metrics, const struct memory_facts *facts, bool has_actions,
                struct ebb_buf *out);
void api_classes(struct store *store, const struct classes *classes, struct ebb_buf *out);

/* What a query wants of /api/history and /api/heapmap. */
struct api_range {
    uint64_t first, count, step;
};
/* Reads ?seconds= and ?step=, or ?first= and ?count=; what is absent has its default. False: not a
 * number in range. */
bool api_history_range(struct ebb_slice query, struct api_range *range);
bool api_heapmap_range(struct ebb_slice query, struct api_range *range);
/* The last range->count points, one for range->step of them. */
void api_history(const struct history *history, const struct api_range *range, struct ebb_buf *out);
void api_heapmap(struct store *store, const struct api_range *range, struct ebb_buf *out);

void api_error(const char *text, struct ebb_buf *out);
void api_started(const char *action, struct ebb_buf *out);

#endif
