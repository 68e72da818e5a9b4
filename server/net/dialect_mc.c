/* SPDX-License-Identifier: MIT */
/* dialect_mc.c: memcached's text protocol on a connection. Commands are parsed ahead in small
 * batches, as in dialect_resp.c and for the same reason.
 */
#include "dialect.h"

#include "../cmd/cmd.h"
#include "../cmd/mc_auth.h"
#include "../options.h"
#include "dump.h"
#include "unsent.h"

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

/* ---- batches ---- */

/* Commands parsed and not run yet: worker->mc_commands[0 .. count). */
struct batch {
    unsigned count;
    bool is_named;                           /* keys are set */
    size_t ends[WORKER_BATCH_MAX];           /* offsets behind each */
    struct store_key keys[WORKER_BATCH_MAX]; /* the first word of each, taken for a key */
    ssize_t end; /* what the parser said last; at most 0: the rest is no complete command */
};

static void parse_batch(struct connection *connection, const char *bytes, size_t len,
                        struct batch *batch)
{
    struct worker *worker = connection_worker(connection);
    struct ebb_mc_parser *parser = &worker->parser.mc;
    /* What a guest sends is looked at one by one: the limits change when he has logged in. */
    unsigned max = connection->client.authenticated ? WORKER_BATCH_MAX : 1;
    size_t offset = 0;
    batch->count = 0;
    batch->is_named = false;
    batch->end = 1;
    set_limit(connection);
    while (batch->count < max && offset < len) {
        struct ebb_mc_command *command = &worker->mc_commands[batch->count];
        uint32_t capacity = command->keys.capacity;
        batch->end = ebb_mc_parse(parser, bytes + offset, len - offset, command);
        worker->has_grown |= command->keys.capacity != capacity;
        if (batch->end <= 0)
            return;
        offset += (size_t)batch->end;
        batch->ends[batch->count++] = offset;
        if (parser->skip_bytes > 0) /* the refusal is to be run before its value is skipped */
            return;
    }
}

/* Names the batch's keys and asks for their memory. Where the word is no key, nothing is lost. */
static void prefetch(struct worker *worker, struct batch *batch)
{
    for (unsigned i = 0; i < batch->count; i++) {
        const struct ebb_args *words = &worker->mc_commands[i].keys;
        struct ebb_slice name = words->count > 0 ? words->at[0] : (struct ebb_slice){"", 0};
        batch->keys[i] = store_key(worker->config.service->store, MC_DATABASE, name.data, name.len);
    }
    store_enter_keys(&worker->session, batch->keys, batch->count);
    batch->is_named = true;
}

static void run_command(struct cmd_context *context, struct connection *connection,
                        const struct ebb_mc_command *command)
{
    struct worker *worker = connection_worker(connection);
    if (is_guest(connection))
        mc_auth_run(context, command);
    else
        cmd_run_mc(context, command);
    worker_ran(worker, family_of(command), COMMAND_COUNT, 0);
    if (connection->client.dump)
        dump_begin(connection);
    if (connection->client.close_after_reply)
        connection_end(connection, CLOSE_CLIENT);
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
        .reply = {.out = &worker->out, .version = 2},
        .splices = &worker->splices,
    };
    unsigned ran = 0;
    while (ran < batch->count && connection_is_open(connection)) {
        context.named = batch->is_named ? &batch->keys[ran] : NULL;
        run_command(&context, connection, &worker->mc_commands[ran]);
        ran++;
    }
    return ran;
}

static void refuse(struct connection *connection)
{
    struct worker *worker = connection_worker(connection);
    const char *error = worker->parser.mc.error;
    if (error)
        ebb_mc_write_line(&worker->out, error);
    log_write(worker->config.log, LOG_VERBOSE, "client %llu: %s",
              (unsigned long long)connection->client.id, error ? error : "no memory");
    connection_end(connection, CLOSE_ERROR);
}

static size_t run(struct connection *connection, char *bytes, size_t len)
{
    struct worker *worker = connection_worker(connection);
    size_t done = 0;
    while (done < len && connection_is_open(connection)) {
        struct batch batch;
        parse_batch(connection, bytes + done, len - done, &batch);
        if (batch.count > 1)
            prefetch(worker, &batch);
        unsigned ran = run_batch(connection, &batch);
        done += ran > 0 ? batch.ends[ran - 1] : 0;
        if (ran < batch.count) {
            begin(connection); /* what was parsed in vain is parsed again when its turn comes */
            break;
        }
        if (batch.end < 0)
            refuse(connection);
        if (batch.end <= 0)
            break;
    }
    return done;
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
    .run = run,
    .need_bytes = need_bytes,
    .is_inside = is_inside,
    .refuse_long = refuse_long,
};
