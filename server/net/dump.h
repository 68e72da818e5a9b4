/* SPDX-License-Identifier: MIT */
/* dump.h: a reply of any length (client.dump), written a piece in each turn of the loop and only as
 * fast as the socket takes it. Its connection is paused meanwhile: it reads and runs nothing.
 */
#ifndef EBB_NET_DUMP_H
#define EBB_NET_DUMP_H

#include "connection.h"

/* Begins to send the dump that a command has left with the client. */
void dump_begin(struct connection *connection);
/* Goes on: what had been written has been sent. */
void dump_resume(struct connection *connection);
/* Ends it, when the connection goes. */
void dump_end(struct connection *connection);

#endif
