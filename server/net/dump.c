/* SPDX-License-Identifier: MIT */
/* dump.c: long replies in pieces; see dump.h. */
#include "dump.h"

#include <stdlib.h>

#include "../clients.h"
#include "batch.h"

struct dump {
    uv_idle_t turn; /* active while the socket takes what it is given */
};

static void on_closed(uv_handle_t *handle)
{
    free(handle);
}

void dump_end(struct connection *connection)
{
    struct dump *dump = connection->dump;
    if (!dump)
        return;
    connection->dump = NULL;
    uv_close((uv_handle_t *)&dump->turn, on_closed);
}

/* Writes a piece. true: there is more. */
static bool write_piece(struct connection *connection)
{
    struct worker *worker = connection_worker(connection);
    struct cmd_context context = batch_context(connection);
    worker_begin(worker, connection->client.protocol);
    client_note(connection->client.last_command_ms, worker->session.now_ms);
    bool more = cmd_mc_dump(&context);
    worker_end(worker);
    return more;
}

static void on_turn(uv_idle_t *turn)
{
    struct connection *connection = turn->data;
    struct worker *worker = connection_worker(connection);
    bool more = write_piece(connection);
    unsent_flush(connection);
    worker_settle(worker);
    if (connection->is_closing)
        return;
    if (more && connection->unsent)
        uv_idle_stop(turn);
    if (more)
        return;
    dump_end(connection);
    if (!connection->unsent) /* else when that has gone */
        connection_resume(connection);
}

void dump_begin(struct connection *connection)
{
    struct dump *dump = malloc(sizeof(*dump));
    if (!dump) {
        connection_close(connection, CLOSE_ERROR);
        return;
    }
    uv_idle_init(connection->tcp.loop, &dump->turn);
    dump->turn.data = connection;
    connection->dump = dump;
    connection->is_paused = true;
    uv_read_stop((uv_stream_t *)&connection->tcp);
    uv_idle_start(&dump->turn, on_turn);
}

void dump_resume(struct connection *connection)
{
    uv_idle_start(&connection->dump->turn, on_turn);
}
