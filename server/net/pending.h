/* SPDX-License-Identifier: MIT */
/* pending.h: input that can't be run yet: the beginning of a command whose end has not come, or
 * commands of a client that is paused. A connection has one only while there is something to keep,
 * so that an idle connection costs nothing here.
 */
#ifndef EBB_NET_PENDING_H
#define EBB_NET_PENDING_H

#include "../../proto/ebb_buf.h"
#include "../../proto/ebb_proto.h"

/* Longer tails are read into in place; shorter ones are cheaper to carry back to the front of the
 * worker's buffer, where the next read goes behind them. */
#define PENDING_SHORT_BYTES (32u * 1024)

union parser {
    struct ebb_resp_parser resp;
    struct ebb_mc_parser mc;
};

struct pending {
    struct ebb_buf in;
    union parser parser; /* where it stands in `in`; with the arguments found so far */
    struct ebb_args args;
    size_t need_bytes;    /* the first command in `in` is at least this long */
    size_t counted_bytes; /* what counters.input_bytes holds for all of this */
};

struct pending *pending_create(size_t max_bytes); /* NULL: no memory */
void pending_destroy(struct pending *pending);
/* The memory it holds. */
size_t pending_bytes(const struct pending *pending);

/* Makes the last `len` bytes of what was run the content; `rest` may point into the content. */
bool pending_keep(struct pending *pending, const char *rest, size_t len);
/* True when the next read should go into it; pending_room() then says where. */
bool pending_is_long(const struct pending *pending);
/* Room behind the content. For what the command lacks, or as much again as there is, memory is got;
 * what comes with it may be used as well. So memory follows what the client has really sent. NULL:
 * over the maximum or no memory. */
char *pending_room(struct pending *pending, size_t *room_bytes);

#endif
