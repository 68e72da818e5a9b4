/* SPDX-License-Identifier: MIT */
/* unsent.c: the way out of the worker's reply buffer. One write is under way at a time; what is
 * added meanwhile waits behind it.
 */
#include "unsent.h"

#include <stdlib.h>

#include "../clients.h"
#include "../clock.h"
#include "../options.h"
#include "claims.h"
#include "gather.h"
#include "held.h"
#include "outgoing.h"

/* Below this, copying the rest is cheaper than giving the worker's buffer away. */
#define STEAL_MIN_BYTES (64u * 1024)

struct unsent {
    uv_write_t request;
    struct ebb_buf sending, waiting;
    struct held *held;    /* what the write under way sends besides `sending`, or NULL */
    size_t lost_bytes;    /* of that, values that no key has any more */
    size_t counted_bytes; /* what counters.output_bytes holds for all of this */
    size_t left_bytes;    /* of the write under way, at the last look */
    int64_t progress_ms;  /* when that became less, as far as was seen */
};

static void count(struct connection *connection)
{
    struct unsent *unsent = connection->unsent;
    size_t bytes = sizeof(*unsent) + unsent->sending.capacity + unsent->waiting.capacity +
                   (unsent->held ? sizeof(*unsent->held) : 0);
    counter_add(&connection_worker(connection)->counters.output_bytes,
                bytes - unsent->counted_bytes);
    unsent->counted_bytes = bytes;
    client_note(connection->client.output_bytes, bytes);
}

size_t unsent_bytes(const struct connection *connection)
{
    const struct unsent *unsent = connection->unsent;
    return unsent ? unsent->counted_bytes + unsent->lost_bytes : 0;
}

void unsent_look(struct connection *connection)
{
    struct unsent *unsent = connection->unsent;
    if (!unsent || !unsent->held)
        return;
    size_t lost = held_lost_bytes(unsent->held, &connection_worker(connection)->session);
    if (lost == unsent->lost_bytes)
        return;
    unsent->lost_bytes = lost;
    claims_update(connection);
}

static void let_go(struct connection *connection)
{
    struct worker *worker = connection_worker(connection);
    struct unsent *unsent = connection->unsent;
    if (!unsent->held)
        return;
    worker->holding_count--;
    held_release(unsent->held, &worker->session);
    unsent->held = NULL;
    unsent->lost_bytes = 0;
}

int64_t unsent_progress_ms(struct connection *connection, int64_t now_ms)
{
    struct unsent *unsent = connection->unsent;
    if (!unsent)
        return 0;
    size_t left = uv_stream_get_write_queue_size((uv_stream_t *)&connection->tcp);
    if (left != unsent->left_bytes) {
        unsent->left_bytes = left;
        unsent->progress_ms = now_ms;
    }
    return unsent->progress_ms;
}

/* libuv looks at the bytes of a write no more once its handle is being closed. */
void unsent_forget(struct connection *connection)
{
    struct unsent *unsent = connection->unsent;
    if (!unsent)
        return;
    let_go(connection);
    ebb_buf_release(&unsent->sending);
    ebb_buf_release(&unsent->waiting);
    count(connection);
}

void unsent_destroy(struct connection *connection)
{
    struct unsent *unsent = connection->unsent;
    if (!unsent)
        return;
    counter_add(&connection_worker(connection)->counters.output_bytes, -unsent->counted_bytes);
    let_go(connection);
    ebb_buf_release(&unsent->sending);
    ebb_buf_release(&unsent->waiting);
    free(unsent);
    connection->unsent = NULL;
    client_note(connection->client.output_bytes, 0);
}

static void count_sent(struct connection *connection, size_t bytes)
{
    struct counters *counters = &connection_worker(connection)->counters;
    counter_add(&counters->sent_bytes[connection->client.protocol], bytes);
}

static void close_broken(struct connection *connection, int error)
{
    bool has_left = error == UV_EPIPE || error == UV_ECONNRESET;
    connection_close(connection, has_left ? CLOSE_CLIENT : CLOSE_ERROR);
}

static void close_over_limit(struct connection *connection)
{
    if (connection->is_closing)
        return;
    overruns_tell(connection, "client-output-limit", (int64_t)connection_output_limit(connection));
    connection_close(connection, CLOSE_BUFFER_LIMIT);
}

static void close_without_memory(struct connection *connection)
{
    if (connection->is_closing)
        return;
    overruns_tell_memory(connection);
    connection_close(connection, CLOSE_ERROR);
}

/* ---- the write that is under way ---- */

static void on_written(uv_write_t *request, int status);

static void start_write(struct connection *connection)
{
    struct unsent *unsent = connection->unsent;
    struct ebb_buf *sending = &unsent->sending;
    uv_buf_t part = {.base = ebb_buf_data(sending), .len = ebb_buf_len(sending)};
    const uv_buf_t *pieces = unsent->held ? unsent->held->pieces : &part;
    unsigned count = unsent->held ? unsent->held->count : 1;
    unsent->request.data = connection;
    int error =
        uv_write(&unsent->request, (uv_stream_t *)&connection->tcp, pieces, count, on_written);
    if (error < 0)
        close_broken(connection, error);
}

static void on_written(uv_write_t *request, int status)
{
    struct connection *connection = request->data;
    if (connection->is_closing)
        return;
    if (status < 0) {
        close_broken(connection, status);
        return;
    }
    struct unsent *unsent = connection->unsent;
    count_sent(connection,
               ebb_buf_len(&unsent->sending) + (unsent->held ? unsent->held->bytes : 0));
    let_go(connection);
    client_note(connection->client.last_command_ms, clock_unix_ms());
    ebb_buf_release(&unsent->sending);
    if (ebb_buf_len(&unsent->waiting) == 0) {
        unsent_destroy(connection);
        claims_update(connection);
        connection_resume(connection);
        return;
    }
    unsent->sending = unsent->waiting;
    ebb_buf_init(&unsent->waiting, unsent->sending.max_bytes);
    count(connection);
    claims_update(connection);
    start_write(connection);
}

/* ---- from the worker's buffer ---- */

/* Moves the content: the memory itself when that is cheaper than copying and wastes little. */
static bool move_content(struct ebb_buf *to, struct ebb_buf *from)
{
    size_t len = ebb_buf_len(from);
    if (ebb_buf_len(to) > 0 || len < STEAL_MIN_BYTES || len < from->capacity / 2)
        return ebb_buf_add(to, ebb_buf_data(from), len);
    size_t max_bytes = from->max_bytes;
    ebb_buf_release(to);
    *to = *from;
    ebb_buf_init(from, max_bytes);
    return true;
}

/* Takes over what is left behind nothing else, with the pins of what need not be copied. */
static bool take_held(struct connection *connection, const struct outgoing *left)
{
    struct worker *worker = connection_worker(connection);
    struct unsent *unsent = connection->unsent;
    unsent->held = held_take(left, &worker->splices, &unsent->sending);
    if (!unsent->held)
        return false;
    worker->holding_count++;
    counter_add(&worker->counters.unspliced_bytes, left->bytes - unsent->held->bytes);
    return true;
}

/* Moves or copies what is left into the buffer. Only what is all of the worker's buffer can be
 * moved. */
static bool take(struct connection *connection, const struct outgoing *left, struct ebb_buf *to)
{
    struct worker *worker = connection_worker(connection);
    if (worker->splices.count > 0)
        counter_add(&worker->counters.unspliced_bytes, left->bytes);
    if (worker->splices.count > 0 || left->is_part)
        return outgoing_copy(left, to);
    ebb_buf_consume(&worker->out, ebb_buf_len(&worker->out) - left->bytes);
    return move_content(to, &worker->out);
}

static void keep(struct connection *connection, const struct outgoing *left)
{
    const struct worker *worker = connection_worker(connection);
    bool is_first = !connection->unsent;
    size_t in_place = is_first ? held_bytes(left, &worker->splices) : 0;
    claims_expect(connection, left->bytes - in_place);
    if (connection->is_closing)
        return;
    size_t max_bytes = connection_output_limit(connection);
    if (is_first)
        connection->unsent = calloc(1, sizeof(*connection->unsent));
    struct unsent *unsent = connection->unsent;
    if (!unsent) {
        close_without_memory(connection);
        return;
    }
    unsent->sending.max_bytes = unsent->waiting.max_bytes = max_bytes; /* it may have changed */
    size_t total = connection->tcp.write_queue_size + ebb_buf_len(&unsent->waiting) + left->bytes;
    if (total > max_bytes) {
        close_over_limit(connection);
        return;
    }
    bool is_taken = in_place > 0
                        ? take_held(connection, left)
                        : take(connection, left, is_first ? &unsent->sending : &unsent->waiting);
    if (!is_taken) {
        close_without_memory(connection);
        return;
    }
    count(connection);
    claims_update(connection);
    if (connection->is_closing)
        return;
    /* Behind long values others would have to be copied. */
    bool is_tight = unsent->held || worker->splices.count > 0 || claims_are_tight(worker);
    size_t soft_bytes = is_tight ? 0 : CONNECTION_SOFT_BYTES;
    if (total > soft_bytes && !connection->is_paused) {
        connection->is_paused = true;
        uv_read_stop((uv_stream_t *)&connection->tcp);
    }
    if (is_first)
        start_write(connection);
}

/* Sends what the socket takes without waiting. */
static void send_now(struct connection *connection, struct outgoing *outgoing)
{
    int sent = uv_try_write((uv_stream_t *)&connection->tcp, outgoing->pieces, outgoing->count);
    if (sent > 0) {
        count_sent(connection, (size_t)sent);
        outgoing_consume(outgoing, (size_t)sent);
    } else if (sent < 0 && sent != UV_EAGAIN) {
        close_broken(connection, sent);
    }
}

static void send_or_keep(struct connection *connection, struct outgoing *outgoing)
{
    if (!connection->is_closing && !connection->unsent && outgoing->bytes > 0)
        send_now(connection, outgoing);
    if (!connection->is_closing && outgoing->bytes > 0)
        keep(connection, outgoing);
}

void unsent_send(struct connection *connection, size_t at, size_t bytes)
{
    struct worker *worker = connection_worker(connection);
    struct outgoing outgoing;
    outgoing_part(&outgoing, &worker->out, at, bytes);
    send_or_keep(connection, &outgoing);
}

void unsent_flush(struct connection *connection)
{
    struct worker *worker = connection_worker(connection);
    struct outgoing outgoing;
    if (worker->out.no_memory)
        close_without_memory(connection);
    else if (worker->out.failed || !splices_fit(&worker->splices, &worker->out, 0))
        close_over_limit(connection);
    outgoing_init(&outgoing, &worker->out, &worker->splices);
    if (worker->splices.count > 0)
        counter_add(&worker->counters.spliced_bytes, worker->splices.bytes);
    send_or_keep(connection, &outgoing);
    ebb_buf_clear(&worker->out);
    if (worker->splices.count > 0)
        splices_release(&worker->splices, &worker->session);
}

void unsent_flush_part(struct connection *connection)
{
    struct worker *worker = connection_worker(connection);
    store_leave(&worker->session);
    gather_send(worker);
    unsent_flush(connection);
}

enum client_sent unsent_send_part(struct client *client)
{
    struct connection *connection = connection_of(client);
    const struct worker *worker = connection_worker(connection);
    if (!worker_has_much(worker))
        return CLIENT_LITTLE;
    unsent_flush_part(connection);
    return connection_is_open(connection) ? CLIENT_SENT : CLIENT_FULL;
}
