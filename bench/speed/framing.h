/* SPDX-License-Identifier: MIT */
/* framing.h: where a command ends and which of a handful it is, for a responder that stores
 * nothing. No more of the bytes is looked at than that takes: what a server's own parser costs
 * above this is the server's.
 *
 * RESP arrays, and memcached's text and meta commands; told apart by their first byte.
 */
#ifndef EBB_BENCH_FRAMING_H
#define EBB_BENCH_FRAMING_H

#include <stdint.h>
#include <sys/types.h>

enum frame_kind {
    FRAME_RESP_GET,
    FRAME_RESP_MGET, /* keys tells how many */
    FRAME_RESP_PING,
    FRAME_RESP_OTHER, /* SET and all else that is answered with OK */
    FRAME_TEXT_GET,   /* words .. words_end are the keys */
    FRAME_TEXT_SET,
    FRAME_META_GET, /* words .. words_end is the key and its flags */
    FRAME_META_SET,
    FRAME_META_NOOP,
    FRAME_VERSION,
    FRAME_UNKNOWN, /* a line of something else */
};

struct frame {
    enum frame_kind kind;
    unsigned keys;
    const char *words, *words_end; /* into the bytes */
};

#define FRAME_HEAD_MAX_BYTES (64u * 1024) /* of a command without its last argument */

/* Returns the length of the first command, which may be more than `len`: then the rest is its value
 * and need not be looked at. 0: more must come first. -1: that is no protocol. */
ssize_t frame_next(const char *bytes, size_t len, struct frame *frame);

#endif
