/* SPDX-License-Identifier: MIT */
/* transaction.h: what MULTI and WATCH keep with a client: the commands queued and the keys watched.
 *
 * A client without either has none. The memory counts as input of the client, and is bounded by
 * client-query-buffer-limit as an unfinished command is.
 */
#ifndef EBB_TRANSACTION_H
#define EBB_TRANSACTION_H

#include "cmd.h"

struct watched_key;

struct transaction {
    bool is_open;         /* between MULTI and EXEC or DISCARD */
    bool is_spoilt;       /* a command was refused: EXEC will not run the others */
    uint32_t count;       /* of commands queued */
    uint32_t args_max;    /* words in the longest of them */
    struct ebb_buf queue; /* the commands, packed */
    struct watched_key *watched;
    size_t watched_bytes;
};

static inline bool transaction_is_open(const struct client *client)
{
    return __builtin_expect(client->transaction != NULL, 0) && client->transaction->is_open;
}

/* The command that is being dispatched has been refused. */
static inline void transaction_spoil(struct client *client)
{
    if (transaction_is_open(client))
        client->transaction->is_spoilt = true;
}

/* Keeps the command for EXEC and answers so; or the error, when it takes the client over its limit,
 * which ends the connection. */
void transaction_queue(struct cmd_context *context);
/* Forgets commands and keys. */
void transaction_end(struct client *client, struct store_session *store, struct counters *counters);

#endif
