/* SPDX-License-Identifier: MIT */
/* held.c: see held.h. Called by unsent.c. */
#include "held.h"

#include <stdlib.h>

/* The splice that a piece is what is left of; splices->count if it is of the reply buffer. */
static unsigned splice_of(const struct splices *splices, const uv_buf_t *piece)
{
    unsigned i = 0;
    while (i < splices->count && (piece->base < splices->list[i].data ||
                                  piece->base >= splices->list[i].data + splices->list[i].len))
        i++;
    return i;
}

static bool is_held(const struct splices *splices, const uv_buf_t *piece)
{
    if (piece->len < HELD_LEAST_BYTES)
        return false;
    unsigned splice = splice_of(splices, piece);
    return splice < splices->count && splices->list[splice].len > HELD_VALUE_BYTES;
}

size_t held_bytes(const struct outgoing *left, const struct splices *splices)
{
    size_t bytes = 0;
    if (splices->count == 0)
        return 0;
    for (unsigned i = left->first; i < left->count; i++)
        bytes += is_held(splices, &left->pieces[i]) ? left->pieces[i].len : 0;
    return bytes;
}

static uv_buf_t copied(struct ebb_buf *copy, const uv_buf_t *piece)
{
    size_t at = ebb_buf_len(copy);
    ebb_buf_add(copy, piece->base, piece->len);
    return (uv_buf_t){.base = ebb_buf_data(copy) + at, .len = piece->len};
}

struct held *held_take(const struct outgoing *left, struct splices *splices, struct ebb_buf *copy)
{
    size_t bytes = held_bytes(left, splices);
    if (left->bytes > bytes && !ebb_buf_reserve(copy, left->bytes - bytes))
        return NULL;
    struct held *held = malloc(sizeof *held);
    if (held == NULL)
        return NULL;
    held->bytes = bytes;
    held->count = held->pin_count = 0;
    for (unsigned i = left->first; i < left->count; i++) {
        const uv_buf_t *piece = &left->pieces[i];
        if (is_held(splices, piece)) {
            held->pins[held->pin_count++] = splices_take(splices, splice_of(splices, piece));
            held->pieces[held->count++] = *piece;
        } else {
            held->pieces[held->count++] = copied(copy, piece);
        }
    }
    return held;
}

size_t held_lost_bytes(const struct held *held, struct store_session *session)
{
    size_t bytes = 0;
    for (unsigned i = 0; i < held->pin_count; i++)
        bytes += store_pin_bytes_lost(session, &held->pins[i]);
    return bytes;
}

void held_release(struct held *held, struct store_session *session)
{
    if (held != NULL)
        store_unpin(session, held->pins, held->pin_count);
    free(held);
}
