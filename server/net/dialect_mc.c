/* SPDX-License-Identifier: MIT */
/* dialect_mc.c: memcached's text protocol on a connection. */
#include "batch.h"

#include "../cmd/mc_auth.h"
#include "../options.h"
#include "dump.h"

static const enum command_family families[EBB_MC_VERB_COUNT] = {
    [EBB_MC_GET] = FAMILY_READ,        [EBB_MC_GETS] = FAMILY_READ,
    [EBB_MC_GAT] = FAMILY_WRITE,       [EBB_MC_GATS] = FAMILY_WRITE,
    [EBB_MC_SET] = FAMILY_WRITE,       [EBB_MC_ADD] = FAMILY_WRITE,
    [EBB_MC_REPLACE] = FAMILY_WRITE,   [EBB_MC_APPEND] = FAMILY_WRITE,
    [EBB_MC_PREPEND] = FAMILY_WRITE,   [EBB_MC_CAS] = FAMILY_WRITE,
    [EBB_MC_DELETE] = FAMILY_WRITE,    [EBB_MC_INCR] = FAMILY_WRITE,
    [EBB_MC_DECR] = FAMILY_WRITE,      [EBB_MC_TOUCH] = FAMILY_WRITE,
    [EBB_MC_MG] = FAMILY_READ,         [EBB_MC_MS] = FAMILY_WRITE,
    [EBB_MC_MD] = FAMILY_WRITE,        [EBB_MC_MA] = FAMILY_WRITE,
    [EBB_MC_MN] = FAMILY_ADMIN,        [EBB_MC_ME] = FAMILY_READ,
    [EBB_MC_FLUSH_ALL] = FAMILY_ADMIN, [EBB_MC_VERSION] = FAMILY_ADMIN,
    [EBB_MC_VERBOSITY] = FAMILY_ADMIN, [EBB_MC_STATS] = FAMILY_ADMIN,
    [EBB_MC_QUIT] = FAMILY_ADMIN,      [EBB_MC_CACHE_MEMLIMIT] = FAMILY_ADMIN,
    [EBB_MC_LRU] = FAMILY_ADMIN,       [EBB_MC_LRU_CRAWLER] = FAMILY_ADMIN,
    [EBB_MC_SLABS] = FAMILY_ADMIN,     [EBB_MC_SHUTDOWN] = FAMILY_ADMIN,
    [EBB_MC_WATCH] = FAMILY_ADMIN,
};

static enum command_family family_of(const struct ebb_mc_command *command)
{
    if (command->error)
        return FAMILY_READ;
    bool has_keys = command->verb <= EBB_MC_GATS && command->keys.count > 1;
    return has_keys ? FAMILY_MULTI : families[command->verb];
}

static void set_limit(struct connection *connection)
{
    struct worker *worker = connection_worker(connection);
    worker->parser.mc.value_max_bytes =
        connection->client.authenticated
            ? (size_t)options_number(&worker->config.service->options->proto_max_bulk_len)
            : MC_AUTH_TOKEN_MAX_BYTES;
}

static void begin(struct connection *connection)
{
    struct worker *worker = connection_worker(connection);
    ebb_mc_parser_init(&worker->parser.mc, 0);
    worker->parser.mc.has_begun = connection->client.commands > 0;
    set_limit(connection);
}

/* Whether it has yet to log in. The password may have been taken away since it connected. */
static bool is_guest(struct connection *connection)
{
    struct service *service = connection_worker(connection)->config.service;
    if (!connection->client.authenticated)
        connection->client.authenticated = !mc_auth_is_needed(service);
    return !connection->client.authenticated;
}

/* ---- parsing and running ---- */

/* The first word behind the verb. */
static struct ebb_slice key_of(const struct ebb_mc_command *command)
{
    return command->keys.count > 0 ? command->keys.at[0] : (struct ebb_slice){"", 0};
}

static void parse(struct connection *connection, char *bytes, size_t len, struct batch *batch)
{
    struct worker *worker = connection_worker(connection);
    struct ebb_mc_parser *parser = &worker->parser.mc;
    size_t offset = 0;
    set_limit(connection);
    batch->database = MC_DATABASE;
    batch->is_changed = false;
    while (batch->count < batch->max && offset < len) {
        struct ebb_mc_command *command = &worker->mc_commands[batch->count];
        uint32_t capacity = command->keys.capacity;
        ssize_t used = ebb_mc_parse(parser, bytes + offset, len - offset, command);
        worker->has_grown |= command->keys.capacity != capacity;
        if (used <= 0) {
            batch->end = used == 0 ? BATCH_INCOMPLETE : BATCH_ERROR;
            return;
        }
        offset += (size_t)used;
        batch_add(batch, offset, key_of(command));
        if (parser->skip_bytes > 0) /* the refusal is to be run before its value is skipped */
            return;
    }
}

static void run_command(struct connection *connection, struct cmd_context *context, unsigned index)
{
    struct worker *worker = connection_worker(connection);
    const struct ebb_mc_command *command = &worker->mc_commands[index];
    if (is_guest(connection))
        mc_auth_run(context, command);
    else
        cmd_run_mc(context, command);
    if (context->has_stopped)
        return;
    worker_ran(worker, family_of(command), COMMAND_COUNT, 0);
    if (connection->client.dump)
        dump_begin(connection);
    if (connection->client.close_after_reply)
        connection_end(connection, CLOSE_CLIENT);
}

static void refuse(struct connection *connection)
{
    struct worker *worker = connection_worker(connection);
    const struct ebb_mc_parser *parser = &worker->parser.mc;
    const char *error = parser->error;
    if (parser->is_binary)
        ebb_mc_write_binary_error(&worker->out, &parser->binary, error);
    else if (error)
        ebb_mc_write_line(&worker->out, error);
    log_write(worker->config.log, LOG_VERBOSE, "client %llu: %s",
              (unsigned long long)connection->client.id, error ? error : "no memory");
    connection_end(connection, CLOSE_ERROR);
}

static void stop(struct connection *connection, const struct batch *batch)
{
    if (batch->end == BATCH_ERROR)
        refuse(connection);
}

static const struct batch_rules rules = {.parse = parse, .run = run_command, .stop = stop};

static size_t run(struct connection *connection, char *bytes, size_t len)
{
    return batch_run(connection, bytes, len, &rules);
}

static size_t need_bytes(const struct worker *worker)
{
    return worker->parser.mc.need_bytes;
}

static bool is_inside(const struct worker *worker)
{
    return worker->parser.mc.skip_bytes > 0;
}

static void refuse_long(struct ebb_buf *out)
{
    ebb_mc_write_line(out, "SERVER_ERROR command over client-query-buffer-limit");
}

const struct dialect dialect_mc = {
    .name = "memcached protocol",
    .too_many = "ERROR Too many open connections\r\n",
    .begin = begin,
    .rules = &rules,
    .run = run,
    .need_bytes = need_bytes,
    .is_inside = is_inside,
    .refuse_long = refuse_long,
};
