/* SPDX-License-Identifier: MIT */
/* cmd_transaction.c: MULTI EXEC DISCARD WATCH UNWATCH, and the queue between them.
 *
 * Handlers of commands.def; called by dispatch.c, which queues what comes between MULTI and EXEC.
 * EXEC locks the shards of all keys it needs before the first command and lets go after the last:
 * so it is of one moment for every other worker.
 */
#include "handler.h"

#include <stdlib.h>
#include <string.h>

#include "../clients.h"
#include "../options.h"
#include "transaction.h"

#define ERROR_EXECABORT "EXECABORT Transaction discarded because of previous errors."

struct watched_key {
    struct store_watch watch;
    struct watched_key *next;
};

/* ---- memory ---- */

static size_t transaction_bytes(const struct transaction *transaction)
{
    return sizeof(*transaction) + transaction->queue.capacity + transaction->watched_bytes;
}

static void count_bytes(struct cmd_context *context)
{
    struct client *client = context->client;
    size_t bytes = transaction_bytes(client->transaction);

    counter_add(&context->counters->input_bytes, bytes - client->queue_bytes);
    client_note(client->queue_bytes, bytes);
}

/* The client's, made when it has none; NULL: no memory. */
static struct transaction *transaction_of(struct cmd_context *context)
{
    struct client *client = context->client;

    if (client->transaction == NULL) {
        struct transaction *transaction = calloc(1, sizeof(*transaction));
        if (transaction == NULL)
            return NULL;
        ebb_buf_init(&transaction->queue, SIZE_MAX / 2);
        client->transaction = transaction;
        count_bytes(context);
    }
    return client->transaction;
}

static void unwatch_all(struct transaction *transaction, struct store_session *store)
{
    struct watched_key *next;

    for (struct watched_key *key = transaction->watched; key != NULL; key = next) {
        next = key->next;
        store_unwatch(store, &key->watch);
        free(key);
    }
    transaction->watched = NULL;
    transaction->watched_bytes = 0;
}

void transaction_end(struct client *client, struct store_session *store, struct counters *counters)
{
    struct transaction *transaction = client->transaction;

    if (transaction == NULL)
        return;
    unwatch_all(transaction, store);
    counter_add(&counters->input_bytes, -client->queue_bytes);
    ebb_buf_release(&transaction->queue);
    free(transaction);
    client->transaction = NULL;
    client_note(client->queued, 0);
    client_note(client->queue_bytes, 0);
    client_note(client->in_multi, false);
}

static void end(struct cmd_context *context)
{
    transaction_end(context->client, context->store, context->counters);
}

/* Whether so many bytes more are within the client's limit. Answers and closes when not. */
static bool fits_limit(struct cmd_context *context, size_t bytes)
{
    const struct options *options = context->service->options;
    const struct transaction *transaction = context->client->transaction;
    size_t used =
        sizeof(*transaction) + ebb_buf_len(&transaction->queue) + transaction->watched_bytes;
    size_t limit = (size_t)options_number(&options->client_query_buffer_limit);

    context->client->transaction->queue.max_bytes = limit; /* it grows to little more than that */
    if (used <= limit && bytes <= limit - used)
        return true;
    ebb_reply_error(&context->reply, "ERR Protocol error: transaction over "
                                     "client-query-buffer-limit");
    context->client->close_after_reply = true;
    context->client->close_reason = CLOSE_BUFFER_LIMIT;
    return false;
}

static void reply_no_memory(struct cmd_context *context)
{
    transaction_spoil(context->client);
    ebb_reply_error(&context->reply, ERROR_MEMORY);
}

/* ---- the queue ----
 *
 * A command is a struct queued, the length of each word, and the words.
 */
struct queued {
    uint32_t command, count; /* the row, the words */
};

static size_t packed_bytes(const struct cmd_context *context)
{
    size_t bytes = sizeof(struct queued) + context->count * sizeof(size_t);

    for (uint32_t i = 0; i < context->count; i++)
        bytes += context->args[i].len;
    return bytes;
}

static void pack(const struct cmd_context *context, char *to)
{
    struct queued queued = {context->command->id, context->count};

    memcpy(to, &queued, sizeof(queued));
    to += sizeof(queued);
    for (uint32_t i = 0; i < context->count; i++, to += sizeof(size_t))
        memcpy(to, &context->args[i].len, sizeof(size_t));
    for (uint32_t i = 0; i < context->count; i++) {
        if (context->args[i].len > 0)
            memcpy(to, context->args[i].data, context->args[i].len);
        to += context->args[i].len;
    }
}

/* Makes the command at `from` the context's, its words in `args`. Returns what lies behind it. */
static const char *unpack(struct cmd_context *context, const char *from, struct ebb_slice *args)
{
    struct queued queued;

    memcpy(&queued, from, sizeof(queued));
    const char *len_at = from + sizeof(queued);
    const char *word = len_at + queued.count * sizeof(size_t);
    for (uint32_t i = 0; i < queued.count; i++, len_at += sizeof(size_t)) {
        memcpy(&args[i].len, len_at, sizeof(size_t));
        args[i].data = word;
        word += args[i].len;
    }
    context->command = &commands[queued.command];
    context->args = args;
    context->count = queued.count;
    return word;
}

void transaction_queue(struct cmd_context *context)
{
    struct transaction *transaction = context->client->transaction;
    size_t bytes = packed_bytes(context);

    if (!fits_limit(context, bytes))
        return;
    char *room = ebb_buf_reserve(&transaction->queue, bytes);
    if (room == NULL) {
        reply_no_memory(context);
        return;
    }
    pack(context, room);
    ebb_buf_commit(&transaction->queue, bytes);
    transaction->count++;
    client_note(context->client->queued, transaction->count);
    if (context->count > transaction->args_max)
        transaction->args_max = context->count;
    count_bytes(context);
    ebb_reply_simple(&context->reply, "QUEUED");
}

void cmd_multi(struct cmd_context *context)
{
    struct transaction *transaction = transaction_of(context);

    if (transaction == NULL) {
        reply_no_memory(context);
    } else if (transaction->is_open) {
        ebb_reply_error(&context->reply, "ERR MULTI calls can not be nested");
    } else {
        transaction->is_open = true;
        client_note(context->client->in_multi, true);
        reply_ok(context);
    }
}

void cmd_discard(struct cmd_context *context)
{
    if (!transaction_is_open(context->client)) {
        ebb_reply_error(&context->reply, "ERR DISCARD without MULTI");
        return;
    }
    end(context);
    reply_ok(context);
}

/* ---- WATCH ---- */

static bool watch_key(struct cmd_context *context, uint32_t index)
{
    struct transaction *transaction = context->client->transaction;
    struct store_key key = enter_key(context, index);

    if (store_is_watched(context->store, &key, transaction))
        return true;
    if (!fits_limit(context, sizeof(struct watched_key)))
        return false;
    struct watched_key *watched = malloc(sizeof(*watched));
    if (watched == NULL) {
        reply_no_memory(context);
        return false;
    }
    store_watch(context->store, &key, &watched->watch, transaction);
    watched->next = transaction->watched;
    transaction->watched = watched;
    transaction->watched_bytes += sizeof(*watched);
    return true;
}

void cmd_watch(struct cmd_context *context)
{
    if (transaction_is_open(context->client)) {
        ebb_reply_error(&context->reply, "ERR WATCH inside MULTI is not allowed");
        return;
    }
    if (transaction_of(context) == NULL) {
        reply_no_memory(context);
        return;
    }
    for (uint32_t i = 1; i < context->count; i++) {
        if (!watch_key(context, i))
            return;
    }
    count_bytes(context);
    reply_ok(context);
}

/* Inside EXEC it comes too late to matter. */
void cmd_unwatch(struct cmd_context *context)
{
    if (context->client->transaction != NULL && !transaction_is_open(context->client))
        end(context);
    reply_ok(context);
}

/* ---- EXEC ---- */

/* Whether the keys in the command's words, and nothing else, say what it will lock. */
static bool has_plain_keys(const struct cmd_context *context, int last)
{
    const struct command *command = context->command;

    return command->first_key > 0 && !(command->flags & COMMAND_ALL_SHARDS) &&
           last / command->key_step <= (int)KEYS_CHUNK;
}

static uint64_t shards_of(const struct cmd_context *context)
{
    const struct command *command = context->command;
    const struct store *store = context->store->store;
    int last = command->last_key < 0 ? (int)context->count + command->last_key : command->last_key;
    uint64_t shards = 0;

    if (!has_plain_keys(context, last))
        return STORE_ALL_SHARDS;
    for (int i = command->first_key; i <= last; i += command->key_step) {
        struct ebb_slice name = context->args[i];
        struct store_key key =
            store_key(store, (unsigned)context->client->database, name.data, name.len);
        shards |= store_shard_of(store, key.hash);
    }
    return shards;
}

static uint64_t shards_of_all(struct cmd_context *context, struct ebb_slice *args)
{
    const struct transaction *transaction = context->client->transaction;
    const char *at = ebb_buf_data(&transaction->queue);
    uint64_t shards = 0;

    for (uint32_t i = 0; i < transaction->count; i++) {
        at = unpack(context, at, args);
        shards |= shards_of(context);
    }
    for (const struct watched_key *key = transaction->watched; key != NULL; key = key->next)
        shards |= store_shard_of_watch(context->store->store, &key->watch);
    return shards;
}

/* Watches follow their database when SWAPDB gives it another number, so where they are is known for
 * sure only with their shards locked. */
static void enter_all_keys(struct cmd_context *context, struct ebb_slice *args)
{
    uint64_t wanted;

    do {
        wanted = shards_of_all(context, args);
        store_enter_shards(context->store, wanted);
    } while (shards_of_all(context, args) != wanted);
}

static bool has_changed(const struct cmd_context *context)
{
    const struct watched_key *key = context->client->transaction->watched;

    while (key != NULL && !store_watch_changed(context->store, &key->watch))
        key = key->next;
    return key != NULL;
}

static void run_all(struct cmd_context *context, struct transaction *transaction,
                    struct ebb_slice *args)
{
    const char *at = ebb_buf_data(&transaction->queue);

    ebb_reply_array(&context->reply, transaction->count);
    for (uint32_t i = 0; i < transaction->count; i++) {
        at = unpack(context, at, args);
        cmd_run_queued(context);
    }
}

/* The transaction is taken off the client first: the commands in it run as any others. */
static void run_transaction(struct cmd_context *context, struct ebb_slice *args)
{
    struct transaction *transaction = context->client->transaction;
    struct cmd_context own = *context;

    unwatch_all(transaction, context->store);
    context->client->transaction = NULL;
    store_hold(context->store);
    run_all(context, transaction, args);
    store_release(context->store);
    context->client->transaction = transaction;
    context->command = own.command;
    context->args = own.args;
    context->count = own.count;
}

static void execute(struct cmd_context *context)
{
    struct transaction *transaction = context->client->transaction;
    struct ebb_slice *args = calloc((size_t)transaction->args_max + 1, sizeof(*args));
    struct cmd_context planner = *context;

    if (args == NULL) {
        ebb_reply_error(&context->reply, ERROR_MEMORY);
        return;
    }
    enter_all_keys(&planner, args);
    if (has_changed(context))
        ebb_reply_null_array(&context->reply);
    else
        run_transaction(context, args);
    free(args);
}

void cmd_exec(struct cmd_context *context)
{
    if (!transaction_is_open(context->client)) {
        ebb_reply_error(&context->reply, "ERR EXEC without MULTI");
        return;
    }
    if (context->client->transaction->is_spoilt)
        ebb_reply_error(&context->reply, ERROR_EXECABORT);
    else
        execute(context);
    end(context);
}
