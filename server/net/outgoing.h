/* SPDX-License-Identifier: MIT */
/* outgoing.h: what a flush sends, as one sequence of pieces: the worker's reply buffer, and between
 * its bytes the values that were not copied into it. Good until either changes.
 */
#ifndef EBB_NET_OUTGOING_H
#define EBB_NET_OUTGOING_H

#include <uv.h>

#include "../cmd/splices.h"

struct outgoing {
    uv_buf_t pieces[2 * SPLICES_MAX + 1]; /* from `first` on: not sent yet, none of them empty */
    unsigned first, count;
    size_t bytes; /* not sent yet */
};

void outgoing_init(struct outgoing *outgoing, const struct ebb_buf *out,
                   const struct splices *splices);
/* So many bytes have been sent. */
void outgoing_consume(struct outgoing *outgoing, size_t bytes);
/* Copies the rest behind the content of the buffer. false: it is over its maximum, or there is no
 * memory. */
bool outgoing_copy(const struct outgoing *outgoing, struct ebb_buf *to);

#endif
