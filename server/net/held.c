/* SPDX-License-Identifier: MIT */
/* held.c: see held.h. Called by unsent.c. */
#include "held.h"

#include <stdlib.h>

/* The splice that the piece is what is left of, if that is to be held; else splices->count. */
static unsigned held_splice(const struct splices *splices, const uv_buf_t *piece)
{
    unsigned i = piece->len < HELD_LEAST_BYTES ? splices->count : 0;
    for (; i < splices->count; i++) {
        const struct splice *splice = &splices->list[i];
        if (piece->base >= splice->data && piece->base < splice->data + splice->len)
            return splice->len > HELD_VALUE_BYTES ? i : splices->count;
    }
    return i;
}

size_t held_bytes(const struct outgoing *left, const struct splices *splices)
{
    size_t bytes = 0;
    for (unsigned i = left->first; i < left->count; i++)
        if (held_splice(splices, &left->pieces[i]) < splices->count)
            bytes += left->pieces[i].len;
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
        unsigned splice = held_splice(splices, piece);
        bool is_held = splice < splices->count;
        if (is_held)
            held->pins[held->pin_count++] = splices_take(splices, splice);
        held->pieces[held->count++] = is_held ? *piece : copied(copy, piece);
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
