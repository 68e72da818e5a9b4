/* SPDX-License-Identifier: MIT */
/* line.c: see line.h. Called by dialect_http.c, and by connection.c when one is closed. */
#include "line.h"

#include "../clock.h"

bool line_is_over(const struct worker *worker)
{
    uint64_t start_ns = worker->timing.turn_start_ns;
    return start_ns != 0 && clock_monotonic_ns() - start_ns > LINE_TURN_NS;
}

/* Who still has replies to send goes on when they have gone, as after any pause. */
static void on_turn(uv_idle_t *turn)
{
    struct worker *worker = turn->data;
    while (worker->line && !line_is_over(worker)) {
        struct connection *connection = worker->line;
        line_leave(connection);
        if (!connection->unsent)
            connection_resume(connection);
    }
}

void line_join(struct connection *connection)
{
    struct worker *worker = connection_worker(connection);
    connection->is_in_line = connection->is_paused = true;
    connection->next_turn = NULL;
    uv_read_stop((uv_stream_t *)&connection->tcp);
    if (worker->line)
        worker->line_last->next_turn = connection;
    else
        worker->line = connection;
    worker->line_last = connection;
    uv_idle_start(&worker->line_turn, on_turn);
}

/* The first one leaves it, but for those that are closed; and http-maxclients are no crowd. */
void line_leave(struct connection *connection)
{
    struct worker *worker = connection_worker(connection);
    if (!connection->is_in_line)
        return;
    struct connection **place = &worker->line, *before = NULL;
    for (; *place != connection; place = &before->next_turn)
        before = *place;
    *place = connection->next_turn;
    if (worker->line_last == connection)
        worker->line_last = before;
    connection->is_in_line = false;
    if (!worker->line)
        uv_idle_stop(&worker->line_turn);
}
