/* SPDX-License-Identifier: MIT */
/* dialect.h: what differs between the protocols on a connection: how bytes become commands, and the
 * words for refusing. One row each; connection.c does the rest for all of them.
 */
#ifndef EBB_NET_DIALECT_H
#define EBB_NET_DIALECT_H

#include "connection.h"

struct batch_rules;

struct dialect {
    const char *name;     /* of the listener, for people */
    const char *too_many; /* the whole reply to a client over maxclients */
    /* Sets worker->parser up for the first byte of a command. NULL: the dialect keeps no state. */
    void (*begin)(struct connection *connection);
    const struct batch_rules *rules; /* NULL: commands are run as they are read */
    /* Runs the commands in bytes[0 .. len) until one is incomplete or the connection is no longer
     * open. Returns how many bytes it is done with; worker->parser and worker->args[0] then say
     * where the rest stands. */
    size_t (*run)(struct connection *connection, char *bytes, size_t len);
    /* After run: the rest is the beginning of a command of at least so many bytes, 0: unknown. */
    size_t (*need_bytes)(const struct worker *worker);
    /* Whether there is something to remember even when no byte is left. NULL: never. */
    bool (*is_inside)(const struct worker *worker);
    /* Writes the error for a command over client-query-buffer-limit. */
    void (*refuse_long)(struct ebb_buf *out);
};

extern const struct dialect dialect_resp, dialect_mc, dialect_http;

static inline const struct dialect *dialect_of(enum protocol protocol)
{
    static const struct dialect *const all[PROTOCOL_COUNT] = {
        [PROTOCOL_RESP] = &dialect_resp,
        [PROTOCOL_MEMCACHED] = &dialect_mc,
        [PROTOCOL_HTTP] = &dialect_http,
    };
    return all[protocol];
}

#endif
