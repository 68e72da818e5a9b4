/* SPDX-License-Identifier: MIT */
/* outgoing.h: what a flush sends, as one sequence of pieces: the worker's reply buffer, and between
 * its bytes the values that were not copied into it. Good until either changes.
 */
#ifndef EBB_NET_OUTGOING_H
#define EBB_NET_OUTGOING_H

#include <uv.h>

#include "../cmd/splices.h"

#define OUTGOING_BUFFER UINT8_MAX /* a piece of the reply buffer */
_Static_assert(SPLICES_MAX < OUTGOING_BUFFER, "the numbers of splices and one more");

struct outgoing {
    uv_buf_t pieces[2 * SPLICES_MAX + 1]; /* from `first` on: not sent yet, none of them empty */
    uint8_t splices[2 * SPLICES_MAX + 1]; /* which of the splices each is, or OUTGOING_BUFFER */
    unsigned first, count;
    size_t bytes; /* not sent yet */
    bool is_part; /* of the reply buffer: the rest of that is for others */
};

void outgoing_splice(struct outgoing *outgoing, const struct ebb_buf *out,
                     const struct splices *splices);
void outgoing_consume_some(struct outgoing *outgoing, size_t bytes);

/* Bytes of the reply buffer without a splice. */
static inline void outgoing_part(struct outgoing *outgoing, const struct ebb_buf *out, size_t at,
                                 size_t bytes)
{
    outgoing->bytes = bytes;
    outgoing->pieces[0] = (uv_buf_t){.base = ebb_buf_data(out) + at, .len = bytes};
    outgoing->splices[0] = OUTGOING_BUFFER;
    outgoing->first = 0;
    outgoing->count = bytes > 0;
    outgoing->is_part = true;
}

/* Nearly always there is one piece, and it goes at once. */
static inline void outgoing_init(struct outgoing *outgoing, const struct ebb_buf *out,
                                 const struct splices *splices)
{
    if (__builtin_expect(splices->count != 0, 0))
        outgoing_splice(outgoing, out, splices);
    else
        outgoing_part(outgoing, out, 0, ebb_buf_len(out));
    outgoing->is_part = false;
}

/* So many bytes have been sent. */
static inline void outgoing_consume(struct outgoing *outgoing, size_t bytes)
{
    if (bytes < outgoing->bytes) {
        outgoing_consume_some(outgoing, bytes);
        return;
    }
    outgoing->first = outgoing->count;
    outgoing->bytes = 0;
}
/* Copies the rest behind the content of the buffer. false: it is over its maximum, or there is no
 * memory. */
bool outgoing_copy(const struct outgoing *outgoing, struct ebb_buf *to);

#endif
