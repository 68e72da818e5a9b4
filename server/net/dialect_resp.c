/* SPDX-License-Identifier: MIT */
/* dialect_resp.c: Redis's protocol on a connection. */
#include "batch.h"

#include "../options.h"

static void begin(struct connection *connection)
{
    struct worker *worker = connection_worker(connection);
    struct ebb_resp_parser *parser = &worker->parser.resp;
    ebb_resp_parser_init(parser);
    parser->unauthenticated = !connection->client.authenticated;
    parser->bulk_max_bytes =
        (size_t)options_number(&worker->config.service->options->proto_max_bulk_len);
}

/* The first argument. */
static struct ebb_slice key_of(const struct ebb_args *args)
{
    return args->count > 1 ? args->at[1] : (struct ebb_slice){"", 0};
}

static void parse(struct connection *connection, char *bytes, size_t len, struct batch *batch)
{
    struct worker *worker = connection_worker(connection);
    struct ebb_resp_parser *parser = &worker->parser.resp;
    size_t offset = 0;
    parser->unauthenticated = !connection->client.authenticated;
    batch->database = (unsigned)connection->client.database;
    batch->is_changed = false;
    while (batch->count < batch->max && offset < len) {
        /* Parsing an inline command changes its bytes. It goes alone, so that no parsed command is
         * ever parsed a second time because a pause came before its turn. */
        bool is_inline = !parser->in_command && bytes[offset] != '*';
        if (is_inline && batch->count > 0)
            return;
        struct ebb_args *args = &worker->args[batch->count];
        uint32_t capacity = args->capacity;
        ssize_t used = ebb_resp_parse(parser, bytes + offset, len - offset, args);
        worker->has_grown |= args->capacity != capacity;
        if (used <= 0) {
            batch->end = used == 0 ? BATCH_INCOMPLETE : BATCH_ERROR;
            return;
        }
        offset += (size_t)used;
        batch_add(batch, offset, key_of(args));
        batch->is_changed = is_inline;
        if (is_inline)
            return;
    }
}

static void run_command(struct connection *connection, struct cmd_context *context, unsigned index)
{
    struct worker *worker = connection_worker(connection);
    struct client *client = &connection->client;
    const struct ebb_args *args = &worker->args[index];
    if (args->count == 0) /* an empty line is no command */
        return;
    cmd_run_resp(context, args);
    if (context->has_stopped)
        return;
    const struct command *command = context->command;
    worker_ran(worker, command ? command->family : FAMILY_READ,
               command ? command->id : COMMAND_COUNT, context->took_ns);
    if (client->close_after_reply && client->close_reason == CLOSE_BUFFER_LIMIT)
        overruns_tell(connection, "client-query-buffer-limit",
                      options_number(&worker->config.service->options->client_query_buffer_limit));
    if (client->close_after_reply)
        connection_end(connection, (enum close_reason)client->close_reason);
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

static void stop(struct connection *connection, const struct batch *batch)
{
    if (batch->end == BATCH_ERROR)
        refuse(connection);
    else
        keep_first(connection_worker(connection), batch->count);
}

static bool may_wait(const char *bytes)
{
    return bytes[0] == '*'; /* an inline command is changed by parsing */
}

static const struct batch_rules rules = {may_wait, parse, run_command, stop};

static size_t run(struct connection *connection, char *bytes, size_t len)
{
    return batch_run(connection, bytes, len, &rules);
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
    .rules = &rules,
    .run = run,
    .need_bytes = need_bytes,
    .refuse_long = refuse_long,
};
