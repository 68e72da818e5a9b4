/* SPDX-License-Identifier: MIT */
/* gather.h: commands of several connections, parsed as they are read and run together at the end of
 * the loop's turn, so that the memory of all their keys is on its way before the first one runs.
 *
 * With one command at a time on each connection, what a command waits for is memory: its bucket,
 * then its item. The sockets that have something to say in the same turn are as good as a batch.
 * Only what is whole, short and from a client who has logged in is gathered; all else is run when
 * it is read. Source of the idea: Valkey 8, which prefetches across clients.
 */
#ifndef EBB_NET_GATHER_H
#define EBB_NET_GATHER_H

#include "connection.h"

/* NULL: no memory. */
struct gather *gather_create(void);
void gather_destroy(struct gather *gather);

/* Takes what has been read for a connection, if it is fit for it. The bytes lie in the worker's
 * read buffer and stay there until gather_run(). */
bool gather_add(struct connection *connection, char *bytes, size_t len);
/* Runs what is gathered. Everything that uses the worker's parser, arguments or read buffer for
 * something else calls it first. */
void gather_run(struct worker *worker);
/* While it runs them: sends the replies in the worker's buffer that are not of the connection whose
 * commands run, so that all that is left there is its own. */
void gather_send(struct worker *worker);

#endif
