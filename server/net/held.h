/* SPDX-License-Identifier: MIT */
/* held.h: the rest of a reply whose long values wait for the socket where they lie.
 *
 * What a socket does not take at once is copied as a rule, so that no client holds a pin. A value
 * with pages of its own is another matter: its pin keeps nothing else from moving, and a copy would
 * be as large as it is. So it stays, pinned, until the socket has taken it. While its key has it
 * that costs nothing; once it is replaced or deleted it is the client's memory, as a copy would be.
 */
#ifndef EBB_NET_HELD_H
#define EBB_NET_HELD_H

#include "outgoing.h"

#ifdef EBB_HARD /* values that share their spans, too */
#define HELD_VALUE_BYTES 1000u
#define HELD_LEAST_BYTES 100u
#else
#define HELD_VALUE_BYTES EBB_LARGE_BYTES /* longer ones have pages of their own */
#define HELD_LEAST_BYTES (16u * 1024)    /* left to send: less is copied */
#endif

struct held {
    size_t bytes; /* of values */
    unsigned count, pin_count;
    uv_buf_t pieces[2 * SPLICES_MAX + 1]; /* all that is left, in order */
    struct store_pin pins[SPLICES_MAX];
};

/* The bytes of what is left that would be held. */
size_t held_bytes(const struct outgoing *left, const struct splices *splices);
/* Takes over the pins of those values; all else is copied to `copy`, which is empty and stays as it
 * is until the pieces have been sent. NULL: no memory, or `copy` may not be as long. */
struct held *held_take(const struct outgoing *left, struct splices *splices, struct ebb_buf *copy);
/* The bytes of values that are nobody's but the client's by now. Leaves all shards. */
size_t held_lost_bytes(const struct held *held, struct store_session *session);
/* Takes the pins away; NULL: does nothing. Leaves all shards. */
void held_release(struct held *held, struct store_session *session);

#endif
