/* SPDX-License-Identifier: MIT */
/* gather.c: see gather.h. Called by connection.c, by worker.c at the end of each turn, and by
 * batch.h when replies are to be sent while commands run.
 *
 *   parts    [ sent, settled ][ run: replies in worker->out ][ to be run ]
 *             0 ..             sent ..                        ran ..         count
 */
#include "gather.h"

#include <stdlib.h>

#include "batch.h"
#include "unsent.h"

#define GATHER_MAX_BYTES  4096u
#define GATHER_MANY_BYTES 512u /* more is a batch by itself, if it is not one long command */
/* Of the read buffer; behind that there is room for what a connection has pending, and more. */
#define GATHER_IN_BYTES (WORKER_IN_BYTES / 4)
_Static_assert(GATHER_IN_BYTES + PENDING_SHORT_BYTES < WORKER_IN_BYTES, "room to read into");

/* What one connection has sent: the commands of the batch from there to the next one's first. */
struct part {
    struct connection *connection;
    char *bytes;
    size_t len;
    unsigned first;
    size_t done_bytes;  /* of `len`, by commands that have been run */
    size_t reply_bytes; /* of worker->out, behind those of the parts before */
};

struct gather {
    struct batch batch;
    struct part parts[WORKER_BATCH_MAX];
    unsigned count, ran, sent;
    size_t held_bytes; /* the replies of parts that are not sent */
    enum protocol protocol;
};

struct gather *gather_create(void)
{
    return calloc(1, sizeof(struct gather));
}

void gather_destroy(struct gather *gather)
{
    free(gather);
}

/* ---- adding ---- */

static bool is_fit(const struct connection *connection, const char *bytes, size_t len)
{
    const struct batch_rules *rules = dialect_of(connection->client.protocol)->rules;
    return rules && (!rules->may_wait || rules->may_wait(bytes)) && len <= GATHER_MAX_BYTES &&
           connection->client.authenticated && !connection->pending;
}

static bool is_full(const struct gather *gather, const struct connection *connection)
{
    return connection->is_gathered || gather->batch.count == WORKER_BATCH_MAX ||
           gather->protocol != connection->client.protocol;
}

/* Adds the commands in the bytes to the batch. false: that is not all there is in them. */
static bool parse_whole(struct connection *connection, char *bytes, size_t len)
{
    struct worker *worker = connection_worker(connection);
    struct batch *batch = &worker->gather->batch;
    const struct dialect *dialect = dialect_of(connection->client.protocol);
    unsigned first = batch->count;
    batch->max = len <= GATHER_MANY_BYTES ? WORKER_BATCH_MAX : first + 1;
    batch->end = BATCH_FULL;
    dialect->begin(connection);
    dialect->rules->parse(connection, bytes, len, batch);
    if (batch->count > first && batch->ends[batch->count - 1] == len &&
        !(dialect->is_inside && dialect->is_inside(worker)))
        return true;
    batch->count = first;
    return false;
}

bool gather_add(struct connection *connection, char *bytes, size_t len)
{
    struct worker *worker = connection_worker(connection);
    struct gather *gather = worker->gather;
    struct batch *batch = &gather->batch;
    if (!is_fit(connection, bytes, len))
        return false;
    if (is_full(gather, connection))
        gather_run(worker);
    unsigned first = batch->count;
    if (!parse_whole(connection, bytes, len)) {
        if (first == 0 || batch->end != BATCH_FULL || len > GATHER_MANY_BYTES)
            return false;
        gather_run(worker); /* then there is room for all of them */
        first = 0;
        if (!parse_whole(connection, bytes, len))
            return false;
    }
    batch_name(worker, batch, first);
    gather->parts[gather->count++] =
        (struct part){.connection = connection, .bytes = bytes, .len = len, .first = first};
    gather->protocol = connection->client.protocol;
    connection->is_gathered = true;
    worker->in_used = (size_t)(bytes + len - worker->in);
    if (worker->in_used > GATHER_IN_BYTES)
        gather_run(worker);
    return true;
}

/* ---- running ---- */

/* Keeps what a part has left unrun, closes a connection that ends. Its replies have been sent. */
static void settle(const struct part *part)
{
    struct connection *connection = part->connection;
    if (part->done_bytes < part->len) /* to be parsed again when its turn comes */
        dialect_of(connection->client.protocol)->begin(connection);
    connection_settle(connection, part->bytes + part->done_bytes, part->len - part->done_bytes);
}

void gather_send(struct worker *worker)
{
    struct gather *gather = worker->gather;
    unsigned from = gather->sent;
    size_t at = 0;
    for (; gather->sent < gather->ran; gather->sent++) {
        const struct part *part = &gather->parts[gather->sent];
        unsent_send(part->connection, at, part->reply_bytes);
        at += part->reply_bytes;
    }
    ebb_buf_consume(&worker->out, at);
    splices_consume(&worker->splices, at);
    gather->held_bytes = 0;
    for (; from < gather->sent; from++)
        settle(&gather->parts[from]);
}

/* A part whose replies do not lie in the buffer alone, or are many, is sent by itself. */
static void send_alone(struct worker *worker, const struct part *part)
{
    struct gather *gather = worker->gather;
    store_leave(&worker->session);
    gather_send(worker);
    unsent_flush(part->connection);
    gather->sent = ++gather->ran;
    settle(part);
}

static void run_part(struct worker *worker, struct part *part, unsigned end)
{
    struct gather *gather = worker->gather;
    struct batch *batch = &gather->batch;
    struct connection *connection = part->connection;
    const struct dialect *dialect = dialect_of(connection->client.protocol);
    connection->is_gathered = false;
    worker->out.max_bytes = gather->held_bytes + connection_output_limit(connection);
    unsigned ran = batch_run_commands(connection, batch, part->first, end, dialect->rules);
    part->done_bytes = ran > part->first ? batch->ends[ran - 1] : 0;
    part->reply_bytes = ebb_buf_len(&worker->out) - gather->held_bytes;
    if (worker->splices.count > 0 || worker_has_much(worker)) {
        send_alone(worker, part);
        return;
    }
    gather->held_bytes += part->reply_bytes;
    gather->ran++;
}

void gather_run(struct worker *worker)
{
    struct gather *gather = worker->gather;
    struct batch *batch = &gather->batch;
    if (gather->count == 0)
        return;
    worker_begin(worker, gather->protocol);
    batch->is_named = batch->count > 1;
    if (batch->is_named)
        store_expect_keys(&worker->session, batch->keys, batch->count);
    for (unsigned i = 0; i < gather->count; i++) {
        bool is_last = i + 1 == gather->count;
        run_part(worker, &gather->parts[i], is_last ? batch->count : gather->parts[i + 1].first);
    }
    worker_end(worker);
    gather_send(worker);
    worker_settle(worker);
    batch->count = gather->count = gather->ran = gather->sent = 0;
    worker->in_used = 0;
}
