/* SPDX-License-Identifier: MIT */
/* pending.c: memory for unfinished input. Only connection.c calls it; it knows no socket. */
#include "pending.h"

#include <stdlib.h>

#define ROOM_MIN_BYTES (64u * 1024)

struct pending *pending_create(size_t max_bytes)
{
    struct pending *pending = calloc(1, sizeof(*pending));
    if (!pending)
        return NULL;
    ebb_buf_init(&pending->in, max_bytes);
    ebb_args_init(&pending->args);
    return pending;
}

void pending_destroy(struct pending *pending)
{
    ebb_buf_release(&pending->in);
    ebb_args_release(&pending->args);
    free(pending);
}

size_t pending_bytes(const struct pending *pending)
{
    return sizeof(*pending) + pending->in.capacity +
           pending->args.capacity * sizeof(struct ebb_slice);
}

static bool is_inside(const struct ebb_buf *buf, const char *at)
{
    return buf->bytes && at >= buf->bytes && at <= buf->bytes + buf->capacity;
}

bool pending_keep(struct pending *pending, const char *rest, size_t len)
{
    struct ebb_buf *in = &pending->in;
    if (is_inside(in, rest)) {
        size_t used = ebb_buf_len(in) - len;
        ebb_buf_consume(in, used);
        if (used > 0)
            ebb_buf_shrink(in, len);
        return true;
    }
    ebb_buf_clear(in);
    return ebb_buf_add(in, rest, len);
}

static size_t missing_bytes(const struct pending *pending)
{
    size_t len = ebb_buf_len(&pending->in);
    return pending->need_bytes > len ? pending->need_bytes - len : 0;
}

bool pending_is_long(const struct pending *pending)
{
    return ebb_buf_len(&pending->in) > PENDING_SHORT_BYTES ||
           missing_bytes(pending) > PENDING_SHORT_BYTES;
}

/* Memory is asked for no more than the command is known to lack; but that may be the next of many
 * small arguments, and a read of that size each would never end. So the buffer's growth is its own
 * (ebb_buf.h), and all of it is offered. */
char *pending_room(struct pending *pending, size_t *room_bytes)
{
    struct ebb_buf *in = &pending->in;
    size_t len = ebb_buf_len(in), missing = missing_bytes(pending);
    size_t room = len < ROOM_MIN_BYTES ? ROOM_MIN_BYTES : len;
    if (missing > 0 && room > missing)
        room = missing;
    char *at = ebb_buf_reserve(in, room);
    if (at == NULL)
        return NULL;
    size_t most = in->max_bytes - len, there = in->capacity - in->end - 1;
    *room_bytes = there < most ? there : most;
    return at;
}
