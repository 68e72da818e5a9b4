/* SPDX-License-Identifier: MIT */
/* model.h: what the server must hold: every item in 16 bytes, and the sum of their keys and values.
 *
 * Dense, in no order but that of model_sort: places move when an item goes.
 */
#ifndef EBB_TIDE_MODEL_H
#define EBB_TIDE_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../values.h"

struct item {
    uint64_t id;
    uint32_t bytes : 24;  /* of the value */
    uint32_t version : 8; /* of the value, goes around */
    uint32_t expires;     /* tenths of a second since the run's start; 0 never */
};

struct model {
    struct item *items;
    size_t count, capacity;
    struct sizes key_lengths;
    uint64_t next_id;
    uint64_t live_bytes;   /* keys and values */
    uint32_t last_expires; /* the latest there has been */
};

void model_init(struct model *model, struct sizes key_lengths);
void model_release(struct model *model);

size_t item_bytes(const struct model *model, const struct item *item);
/* NULL: out of memory. Good until the next change. */
struct item *model_add(struct model *model, uint32_t bytes, uint32_t expires);
/* Another value: its version is one more; it does not expire, as SET has it. */
struct item *model_replace(struct model *model, size_t at, uint32_t bytes);
struct item model_remove(struct model *model, size_t at);
/* By id, the youngest first: the oldest is the last and goes without moving another. */
void model_sort(struct model *model);
/* Takes out what expires at or before `now`, in tenths of a second. */
void model_expire(struct model *model, uint32_t now);
/* 0 if the sum and all limits hold. */
int model_check(const struct model *model);

#endif
