/* SPDX-License-Identifier: MIT */
/* claims.h: what the buffers of all clients may come to (maxmemory-clients), so that no key makes
 * way for them.
 *
 *   half of it taken    a client is not served before it has read what it was sent
 *   a large command     waits unread until there is room for all of it; one a worker need not wait
 *   most of it taken    the client that leaves the most unread, or queues the most, is closed,
 *                       unless it is alone and getting on; so is one that does not go on with a
 *                       command
 *
 * A connection claims what its buffers and its transaction hold, and what the command that is
 * coming in will need. Everything here is called on the worker's own thread; the sum is of all
 * workers.
 */
#ifndef EBB_NET_CLAIMS_H
#define EBB_NET_CLAIMS_H

#include "connection.h"

/* Less neither waits nor is closed, unless all together are over. */
#define CLAIM_LARGE_BYTES (64u * 1024)

/* Changes a claim to `bytes`. */
void claim_set(struct worker *worker, size_t *claim, size_t bytes);
/* Brings the connection's claim in line with its buffers; closes who holds too much. */
void claims_update(struct connection *connection);
/* The same before so many bytes of replies are kept for it, so that they are not there before
 * somebody has gone for them: it may be this one. Then claims_update() again. */
void claims_expect(struct connection *connection, size_t reply_bytes);
/* Gives the claim back: the connection goes. */
void claims_release(struct connection *connection);
/* Whether its command, which is to become so long, may come in now; else its socket is not read
 * until it may. */
bool claims_admit(struct connection *connection, size_t need_bytes);
/* Once a second: lets one that waits go on whatever is taken, so that none waits for ever. */
void claims_tick(struct worker *worker);
/* Whether clients hold so much that nobody is served who has not read. */
bool claims_are_tight(const struct worker *worker);

#endif
