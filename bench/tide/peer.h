/* SPDX-License-Identifier: MIT */
/* peer.h: the server that is played on: how it is reached and spoken to, and what it says of
 * itself.
 */
#ifndef EBB_TIDE_PEER_H
#define EBB_TIDE_PEER_H

#include <netdb.h>
#include <stddef.h>
#include <sys/types.h>

enum protocol { PROTOCOL_RESP, PROTOCOL_MEMCACHED, PROTOCOL_META /* memcached's ms, mg, md */ };
#define PROTOCOL_COUNT 3

#define PEER_SECRET_MAX 512 /* bytes of a name or password */
#define PEER_REFUSED    (-2)

struct peer { /* all of it the caller's */
    const struct addrinfo *address;
    enum protocol protocol;
    const char *user, *password; /* no password: no login; no user: Redis's "default" */
};

/* As in --protocol. */
const char *protocol_name(enum protocol protocol);

/* A blocking connection, logged in if there is a password, that gives up as address.h says. The
 * descriptor; negative with why in `error`: PEER_REFUSED if that is the server's own word, else -1.
 */
int peer_connect(const struct peer *peer, char error[], size_t error_size);

/* Asks on a connection of its own until `end` has come: the answer's length. Negative with why in
 * `answer` as above: an answer that begins with an error is a refusal. */
ssize_t peer_ask(const struct peer *peer, const char *question, const char *end, char answer[],
                 size_t size);
/* The same for all the server says of itself: INFO, or stats. */
ssize_t peer_stats(const struct peer *peer, char answer[], size_t size);
/* The number behind `name` in an answer, NAN if there is none. */
double answer_number(const char *answer, const char *name);

/* Keys and values by the server's own count; NAN if it has none. memcached: bytes less what an
 * item has beside them; Ebb: INFO's used_memory_dataset, stats' ebb_live_bytes. */
double peer_live_bytes(const struct peer *peer);
double peer_items(const struct peer *peer);

#endif
