/* SPDX-License-Identifier: MIT */
/* connection.h: one client's socket. Bytes come in, its dialect runs the commands in them, replies
 * go out. One of its worker's, touched on the worker's thread only.
 *
 *   read -> worker's buffer (or pending, for a long command) -> dialect runs what is complete
 *        -> replies in worker's buffer -> one write -> what the socket refused waits in unsent
 *        -> an incomplete rest waits in pending
 *
 * An idle connection is this struct and nothing else.
 */
#ifndef EBB_NET_CONNECTION_H
#define EBB_NET_CONNECTION_H

#include <stddef.h>
#include <uv.h>

#include "../service.h"
#include "worker.h"

#define CONNECTION_SOFT_BYTES (1024u * 1024) /* unsent replies that pause a client */

struct unsent;
struct dump;

struct connection {
    uv_tcp_t tcp; /* serves unix sockets as well: libuv looks no further than the descriptor */
    struct client client;
    struct connection *previous, *next; /* the worker's ring */
    struct connection *next_turn;       /* of those that rest, or of those in line: line.h */
    struct pending *pending;            /* NULL: nothing */
    struct unsent *unsent;              /* NULL: nothing */
    struct dump *dump;                  /* NULL: none is under way */
    bool is_paused;     /* does not read or run before unsent is gone, or it has its turn */
    bool is_ending;     /* takes no more commands; closes when unsent is gone */
    bool is_closing;    /* as good as gone */
    bool is_waiting;    /* its large command is not read before there is room */
    bool is_large;      /* it is one of worker->large_count */
    bool is_resting;    /* is not read before the next turn of the loop */
    bool is_gathered;   /* commands of it wait for the end of the turn: gather.h */
    bool is_in_line;    /* requests of it wait for a later turn: line.h */
    uint8_t end_reason; /* of is_ending: enum close_reason */
    size_t claim_bytes; /* its share of limits.client_bytes; see claims.h */
};

static inline struct connection *connection_of(const struct client *client)
{
    return (struct connection *)((uintptr_t)client - offsetof(struct connection, client));
}

static inline struct worker *connection_worker(const struct connection *connection)
{
    return connection->tcp.loop->data;
}

/* No more commands: it closes for that reason when its replies are out. */
static inline void connection_end(struct connection *connection, enum close_reason reason)
{
    connection->is_ending = true;
    connection->end_reason = (uint8_t)reason;
}

/* Whether commands may be run for it now. */
static inline bool connection_is_open(const struct connection *connection)
{
    return !connection->is_paused && !connection->is_ending && !connection->is_closing;
}

/* Takes over an accepted socket. */
void connection_open(struct worker *worker, const struct handover *handover);
/* At once, whatever is still to be sent. The struct stays until the loop's next turn. */
void connection_close(struct connection *connection, enum close_reason reason);
/* Frees its input at once; it has been closed, and is not the one that runs. */
void connection_forget_input(struct connection *connection);
/* Whether it has been silent for longer than it may. */
bool connection_is_idle(struct connection *connection, int64_t now_ms);
/* Runs what waits in pending, if it may, and reads on. Called when unsent has gone. */
void connection_resume(struct connection *connection);

/* After commands of it have run and their replies have been sent: keeps the input that is left, and
 * closes it when it has come to its end. */
void connection_settle(struct connection *connection, const char *rest, size_t len);
/* client-output-limit in bytes. */
size_t connection_output_limit(const struct connection *connection);
/* Ends the rest of those who had their share of this turn. */
void connection_end_rests(struct worker *worker);
/* Reads on, unless something keeps it from reading. */
void connection_read_on(struct connection *connection);

/* The service function: where the client's two ends are. */
size_t connection_address(const struct client *client, bool local, char *text, size_t size);

#endif
