/* SPDX-License-Identifier: MIT */
/* lane.h: one connection of the load: commands composed into one buffer, replies taken in order.
 *
 * Knows both protocols and no loop: its owner waits for the descriptor. Sending and receiving never
 * block. Nothing is allocated for a command once the buffers have grown.
 */
#ifndef EBB_TIDE_LANE_H
#define EBB_TIDE_LANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model.h"
#include "peer.h"

#define LANE_DEPTH_MAX 1024

enum verb { VERB_SET, VERB_GET, VERB_DELETE };

enum reply_status {
    REPLY_DONE,
    REPLY_VALUE,   /* data and length are the value */
    REPLY_MISSING, /* no such key */
    REPLY_REFUSED, /* data and length are what the server said */
};

struct reply {
    enum reply_status status;
    const char *data; /* good until the callback returns */
    size_t length;
};

struct asked { /* a command whose reply is awaited */
    struct item item;
    enum verb verb;
};

struct lane {
    int descriptor;
    enum protocol protocol;
    struct sizes key_lengths;
    unsigned depth;          /* at most so many commands on their way */
    unsigned first, pending; /* in `asked`, a ring of `depth`: no longer, for the cache's sake */
    struct asked asked[LANE_DEPTH_MAX];
    char *out, *in;
    size_t out_sent, out_length, out_capacity, in_length, in_capacity;
    const char *error; /* why it can't go on; NULL */
};

typedef void (*lane_on_reply)(void *context, const struct asked *asked, const struct reply *reply);

/* Connects, blocking. 0, or -1 with why in `error`. */
int lane_open(struct lane *lane, const struct peer *peer, unsigned depth, struct sizes key_lengths,
              char error[], size_t error_size);
void lane_close(struct lane *lane);

static inline bool lane_is_full(const struct lane *lane)
{
    return lane->pending >= lane->depth;
}

/* Composes a command; ttl_ms 0 is none. false: out of memory. The lane is not full. */
bool lane_set(struct lane *lane, const struct item *item, uint64_t ttl_ms);
bool lane_get(struct lane *lane, const struct item *item);
bool lane_delete(struct lane *lane, const struct item *item);

/* Sends what the socket takes. false: the connection is lost, `error` says how. */
bool lane_send(struct lane *lane);
/* Takes what has come and hands over each complete reply. false as above. */
bool lane_receive(struct lane *lane, lane_on_reply on_reply, void *context);
static inline bool lane_has_unsent(const struct lane *lane)
{
    return lane->out_sent < lane->out_length;
}

#endif
