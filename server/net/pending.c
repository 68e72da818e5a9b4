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

void pending_need(struct pending *pending, size_t need_bytes)
{
    bool is_again = pending->need_bytes > 0 && need_bytes > pending->need_bytes;
    pending->need_bytes = need_bytes;
    pending->lacks_little = is_again && missing_bytes(pending) < ROOM_MIN_BYTES;
}

/* Of a large argument just what it lacks, and its memory is no longer than it. Of many short ones
 * only the next is known, and reading them one by one would cost a system call each. */
static size_t room_wanted(const struct pending *pending)
{
    const struct ebb_buf *in = &pending->in;
    size_t len = ebb_buf_len(in), missing = missing_bytes(pending), most = in->max_bytes - len;
    size_t spare = in->capacity - in->end, room = len < ROOM_MIN_BYTES ? ROOM_MIN_BYTES : len;
    if (pending->lacks_little) /* what is there already, but for a NUL */
        room = missing < spare ? spare - 1 : ROOM_MIN_BYTES;
    else if (missing > 0 && room > missing)
        room = missing;
    return room > most && most >= missing && most > 0 ? most : room;
}

char *pending_room(struct pending *pending, size_t *room_bytes)
{
    *room_bytes = room_wanted(pending);
    return ebb_buf_reserve(&pending->in, *room_bytes);
}
