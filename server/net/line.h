/* SPDX-License-Identifier: MIT */
/* line.h: HTTP clients whose requests wait for a later turn of the loop.
 *
 * A page may take milliseconds, and one read brings two thousand requests for it. The main thread
 * has more to do: it accepts, does upkeep, and evicts ahead of writers. So it answers requests for
 * LINE_TURN_NS in a turn of its loop, whoever sent them; who has more lines up behind those who
 * wait already, paused, with the rest in pending. While somebody waits the loop does not sleep.
 */
#ifndef EBB_NET_LINE_H
#define EBB_NET_LINE_H

#include "connection.h"

#define LINE_TURN_NS 2000000u

/* Whether requests have been answered for long enough in this turn. */
bool line_is_over(const struct worker *worker);
/* Pauses the connection until its turn comes. */
void line_join(struct connection *connection);
/* It does not wait any more, if it has. Called when it is closed. */
void line_leave(struct connection *connection);

#endif
