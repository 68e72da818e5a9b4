/* SPDX-License-Identifier: MIT */
/* held.c: see held.h. Called by unsent.c. */
#include "held.h"

#include <stdlib.h>

/* Whether the piece is what is left of a value that is to be held. */
static bool is_held(const struct outgoing *left, unsigned piece, const struct splices *splices)
{
    unsigned splice = left->splices[piece];
    return splice != OUTGOING_BUFFER && left->pieces[piece].len >= HELD_LEAST_BYTES &&
           splices->list[splice].len > HELD_VALUE_BYTES;
}

size_t held_bytes(const struct outgoing *left, const struct splices *splices)
{
    size_t bytes = 0;
    for (unsigned i = left->first; i < left->count; i++)
        if (is_held(left, i, splices))
            bytes += left->pieces[i].len;
    return bytes;
}

static uv_buf_t copied(struct ebb_buf *copy, const uv_buf_t *piece)
{
    size_t at = ebb_buf_len(copy);
    ebb_buf_add(copy, piece->base, piece->len);
    return (uv_buf_t){.base = ebb_buf_data(copy) + at, .len = piece->len};
}

/* From the last on: taking one changes the numbers of those behind it alone. */
static void take_pins(struct held *held, const struct outgoing *left, struct splices *splices)
{
    for (unsigned i = left->count; i-- > left->first;)
        if (is_held(left, i, splices))
            held->pins[held->pin_count++] = splices_take(splices, left->splices[i]);
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
        held->pieces[held->count++] = is_held(left, i, splices) ? *piece : copied(copy, piece);
    }
    take_pins(held, left, splices);
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
