/* SPDX-License-Identifier: MIT */
/* unsent.h: replies on their way out. What the socket takes at once never leaves the worker's
 * buffer; the rest waits in a struct unsent of the connection until the socket has taken it.
 */
#ifndef EBB_NET_UNSENT_H
#define EBB_NET_UNSENT_H

#include "connection.h"

/* Sends what is in the worker's reply buffer to the connection and empties that buffer. Pauses a
 * connection that takes too little, closes it when it is over its limit or broken. */
void unsent_flush(struct connection *connection);
/* The same while commands run: what others have been answered goes first. Leaves all shards. */
void unsent_flush_part(struct connection *connection);
/* The service function: that, in the middle of a command, if there is much. */
enum client_sent unsent_send_part(struct client *client);
/* Sends so many bytes of the worker's reply buffer, from `at` on, which stay in it. */
void unsent_send(struct connection *connection, size_t at, size_t bytes);
/* When the socket last took some of what waits, unix ms, as far as these calls have seen; 0:
 * nothing waits. */
int64_t unsent_progress_ms(struct connection *connection, int64_t now_ms);
/* The memory it holds: buffers, and values that it alone still wants. */
size_t unsent_bytes(const struct connection *connection);
/* Once a second: looks which of the values it holds have been replaced or deleted. */
void unsent_look(struct connection *connection);
/* Frees its content; the connection has been closed. */
void unsent_forget(struct connection *connection);
/* Frees it, when the connection goes. */
void unsent_destroy(struct connection *connection);

#endif
