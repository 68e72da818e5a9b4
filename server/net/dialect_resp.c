/* SPDX-License-Identifier: MIT */
/* dialect_resp.c: Redis's protocol on a connection. Commands are parsed in small batches ahead of
 * running them, so that the memory their keys lie in is on its way when they run.
 */
#include "dialect.h"

#include "../cmd/cmd.h"
#include "../options.h"
#include "unsent.h"

enum batch_end {
    BATCH_FULL,       /* there may be more */
    BATCH_INCOMPLETE, /* args[count] holds what there is of the next command */
    BATCH_ERROR,      /* what follows is not a command */
};

/* Commands parsed and not run yet: their arguments are worker->args[0 .. count). */
struct batch {
    unsigned count;
    bool is_named;                           /* keys are set */
    size_t ends[WORKER_BATCH_MAX];           /* offsets behind each */
    struct store_key keys[WORKER_BATCH_MAX]; /* the first argument of each, taken for a key */
    enum batch_end end;
};

static void begin(struct connection *connection)
{
    struct worker *worker = connection_worker(connection);
    struct ebb_resp_parser *parser = &worker->parser.resp;
    ebb_resp_parser_init(parser);
    parser->unauthenticated = !connection->client.authenticated;
    parser->bulk_max_bytes =
        (size_t)options_number(&worker->config.service->options->proto_max_bulk_len);
}

static void parse_batch(struct connection *connection, char *bytes, size_t len, struct batch *batch)
{
    struct worker *worker = connection_worker(connection);
    /* What a guest sends is looked at one by one: the limits change when AUTH has run. */
    unsigned max = connection->client.authenticated ? WORKER_BATCH_MAX : 1;
    worker->parser.resp.unauthenticated = !connection->client.authenticated;
    size_t offset = 0;
    batch->count = 0;
    batch->is_named = false;
    batch->end = BATCH_FULL;
    while (batch->count < max && offset < len) {
        /* Parsing an inline command changes its bytes. It goes alone, so that no parsed command is
         * ever parsed a second time because a pause came before its turn. */
        bool is_inline = !worker->parser.resp.in_command && bytes[offset] != '*';
        if (is_inline && batch->count > 0)
            return;
        struct ebb_args *args = &worker->args[batch->count];
        uint32_t capacity = args->capacity;
        ssize_t used = ebb_resp_parse(&worker->parser.resp, bytes + offset, len - offset, args);
        worker->has_grown |= args->capacity != capacity;
        if (used <= 0) {
            batch->end = used == 0 ? BATCH_INCOMPLETE : BATCH_ERROR;
            return;
        }
        offset += (size_t)used;
        batch->ends[batch->count++] = offset;
        if (is_inline)
            return;
    }
}

/* What is taken for the key: the first argument. Where it is none, nothing is lost but the asking.
 */
static struct ebb_slice key_of(const struct ebb_args *args)
{
    return args->count > 1 ? args->at[1] : (struct ebb_slice){"", 0};
}

/* Names the batch's keys and asks for their memory. */
static void prefetch(const struct connection *connection, struct batch *batch)
{
    struct worker *worker = connection_worker(connection);
    unsigned database = (unsigned)connection->client.database;
    for (unsigned i = 0; i < batch->count; i++) {
        struct ebb_slice name = key_of(&worker->args[i]);
        batch->keys[i] = store_key(worker->config.service->store, database, name.data, name.len);
    }
    store_enter_keys(&worker->session, batch->keys, batch->count);
    batch->is_named = true;
}

static void run_command(struct cmd_context *context, struct connection *connection,
                        const struct ebb_args *args)
{
    struct worker *worker = connection_worker(connection);
    struct client *client = &connection->client;
    cmd_run_resp(context, args);
    const struct command *command = context->command;
    worker_ran(worker, command ? command->family : FAMILY_READ,
               command ? (uint16_t)(command - commands) : COMMAND_COUNT, context->took_ns);
    if (client->close_after_reply)
        connection_end(connection, (enum close_reason)client->close_reason);
    if (worker_has_much(worker)) {
        store_leave(&worker->session);
        unsent_flush(connection);
    }
}

/* Runs the batch in order while it may. Returns how many commands have been run. */
static unsigned run_batch(struct connection *connection, const struct batch *batch)
{
    struct worker *worker = connection_worker(connection);
    struct cmd_context context = {
        .service = worker->config.service,
        .store = &worker->session,
        .counters = &worker->counters,
        .client = &connection->client,
        .clock = &worker->clock,
        .reply = {.out = &worker->out},
        .splices = &worker->splices,
    };
    unsigned ran = 0;
    while (ran < batch->count && connection_is_open(connection)) {
        const struct ebb_args *args = &worker->args[ran];
        context.named = batch->is_named ? &batch->keys[ran] : NULL;
        ran++;
        if (args->count > 0) /* an empty line is no command */
            run_command(&context, connection, args);
    }
    return ran;
}

static void refuse(struct connection *connection)
{
    struct worker *worker = connection_worker(connection);
    struct ebb_reply reply = {.out = &worker->out, .version = connection->client.resp_version};
    ebb_reply_error(&reply, worker->parser.resp.error);
    log_write(worker->config.log, LOG_VERBOSE, "client %llu: %s",
              (unsigned long long)connection->client.id, worker->parser.resp.error);
    connection_end(connection, CLOSE_ERROR);
}

/* Puts the arguments of the incomplete command where they are looked for. */
static void keep_first(struct worker *worker, unsigned index)
{
    struct ebb_args args = worker->args[index];
    worker->args[index] = worker->args[0];
    worker->args[0] = args;
}

static size_t run(struct connection *connection, char *bytes, size_t len)
{
    struct worker *worker = connection_worker(connection);
    size_t done = 0;
    while (done < len && connection_is_open(connection)) {
        struct batch batch;
        parse_batch(connection, bytes + done, len - done, &batch);
        if (batch.count > 1)
            prefetch(connection, &batch);
        unsigned ran = run_batch(connection, &batch);
        done += ran > 0 ? batch.ends[ran - 1] : 0;
        if (ran < batch.count) {
            begin(connection); /* what was parsed in vain is parsed again when its turn comes */
            break;
        }
        if (batch.end == BATCH_INCOMPLETE)
            keep_first(worker, batch.count);
        if (batch.end == BATCH_ERROR)
            refuse(connection);
        if (batch.end != BATCH_FULL)
            break;
    }
    return done;
}

static size_t need_bytes(const struct worker *worker)
{
    return worker->parser.resp.need_bytes;
}

static void refuse_long(struct ebb_buf *out)
{
    struct ebb_reply reply = {.out = out, .version = 2};
    ebb_reply_error(&reply, "ERR Protocol error: command over client-query-buffer-limit");
}

const struct dialect dialect_resp = {
    .name = "Redis protocol",
    .too_many = "-ERR max number of clients reached\r\n",
    .begin = begin,
    .run = run,
    .need_bytes = need_bytes,
    .refuse_long = refuse_long,
};
