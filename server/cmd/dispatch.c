/* SPDX-License-Identifier: MIT */
/* dispatch.c: from the words of a command line to its handler.
 *
 * Called by net/ for each command in order. What is wrong with a command before its handler sees it
 * (no such command, wrong number of words, no login) is answered here, and so is CLIENT REPLY.
 */
#include "handler.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "../clients.h"
#include "timing.h"
#include "transaction.h"

const struct command *command_resolve(const struct ebb_slice *args, uint32_t count)
{
    const struct command *command = command_find(args[0].data, args[0].len);

    if (command == NULL || !(command->flags & (COMMAND_CONTAINER | COMMAND_SUB)))
        return command;
    if (command->flags & COMMAND_SUB)
        return NULL; /* "client|id" is a name, but not one to send */
    return count == 1 ? command : command_find_sub(command, args[1].data, args[1].len);
}

void cmd_unknown_subcommand(struct cmd_context *context)
{
    char container[COMMAND_NAME_BYTES];
    struct ebb_slice word = context->args[1];
    size_t len = context->args[0].len;

    for (size_t i = 0; i < len; i++)
        container[i] = (char)toupper((unsigned char)context->args[0].data[i]);
    ebb_reply_errorf(&context->reply, "ERR unknown subcommand '%.*s'. Try %.*s HELP.",
                     arg_print_len(word, 128), word.data, (int)len, container);
}

/* Redis quotes the arguments up to 128 bytes in all, counting quotes and spaces. */
static void reply_unknown_command(struct cmd_context *context)
{
    char text[256];
    size_t len = 0;

    for (uint32_t i = 1; i < context->count && len < 128; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "'%.*s' ",
                                arg_print_len(context->args[i], 128 - len), context->args[i].data);
    text[len] = '\0';
    ebb_reply_errorf(&context->reply, "ERR unknown command '%.*s', with args beginning with: %s",
                     arg_print_len(context->args[0], 128), context->args[0].data, text);
}

static void reject_unknown(struct cmd_context *context)
{
    struct ebb_slice name = context->args[0];
    const struct command *container = command_find(name.data, name.len);

    counter_add(&context->counters->resp_unknown, 1);
    if (container != NULL && container->flags & COMMAND_CONTAINER) {
        cmd_unknown_subcommand(context);
    } else if (arg_is(name, "post") || arg_is(name, "host:")) {
        /* A browser was tricked into sending HTTP here: not one more line of it is obeyed. */
        context->client->close_after_reply = true;
    } else {
        reply_unknown_command(context);
    }
}

/* An EXEC that is refused ends the transaction all the same. */
static void reject_arity(struct cmd_context *context)
{
    const struct command *command = context->command;

    if (command->run != cmd_exec) {
        reply_wrong_arity(context, command->name);
        return;
    }
    transaction_end(context->client, context->store, context->counters);
    ebb_reply_error(&context->reply, "EXECABORT Transaction discarded because of: wrong number of "
                                     "arguments for 'exec' command");
}

static void reject(struct cmd_context *context)
{
    const struct command *command = context->command;

    transaction_spoil(context->client);
    if (command == NULL) {
        reject_unknown(context);
        return;
    }
    counter_add(&context->counters->resp_rejected[command->id], 1);
    if (!command_fits(command, context->count))
        reject_arity(context);
    else if (command->flags & COMMAND_NO_MULTI && transaction_is_open(context->client))
        ebb_reply_error(&context->reply, "ERR Command not allowed inside a transaction");
    else
        ebb_reply_error(&context->reply, "NOAUTH Authentication required.");
}

static bool starts_with(struct ebb_slice text, const char *word)
{
    size_t len = strlen(word);
    return text.len >= len && memcmp(text.data, word, len) == 0;
}

static void count_error(struct cmd_context *context, struct ebb_slice error)
{
    static const char *const words[ERROR_KIND_COUNT] = {
#define ERROR_KIND(word) "-" #word " ",
#include "error_kinds.def"
#undef ERROR_KIND
    };
    unsigned kind = ERROR_KIND_COUNT - 1;

    while (kind > ERROR_KIND_ERR && !starts_with(error, words[kind]))
        kind--;
    counter_add(&context->counters->resp_error_kinds[kind], 1);
    if (context->command != NULL)
        counter_add(&context->counters->resp_errors[context->command->id], 1);
}

/* Counts an error among what was written since the reply was `reply_at` long. */
static inline void look_for_error(struct cmd_context *context, size_t reply_at)
{
    const struct ebb_buf *out = context->reply.out;
    struct ebb_slice reply = {ebb_buf_data(out) + reply_at, ebb_buf_len(out) - reply_at};

    if (reply.len > 0 && reply.data[0] == '-')
        count_error(context, reply);
}

static inline bool has_long_reply(const struct cmd_context *context, size_t reply_at)
{
    return ebb_buf_len(context->reply.out) > reply_at + TIMING_LONG_BYTES && context->clock != NULL;
}

static inline bool had_to_make_room(const struct cmd_context *context)
{
    return context->store->room_since_ns != 0 && context->clock != NULL;
}

static inline void run(struct cmd_context *context)
{
    const struct command *command = context->command;
    size_t reply_at = ebb_buf_len(context->reply.out);
    bool is_exact = timing_is_exact(context);

    context->store->room_since_ns = 0;
    if (is_exact)
        timing_begin(context);
    command->run(context);
    if (__builtin_expect(context->has_stopped, 0))
        return;
    counter_add(&context->counters->resp_commands[command->id], 1);
    if (is_exact || has_long_reply(context, reply_at) || had_to_make_room(context))
        timing_end(context, is_exact);
}

void cmd_run_queued(struct cmd_context *context)
{
    size_t reply_at = ebb_buf_len(context->reply.out);

    run(context);
    look_for_error(context, reply_at);
}

void cmd_client_gone(struct client *client, struct store_session *store, struct counters *counters)
{
    transaction_end(client, store, counters);
    store_leave(store);
    client_release(client);
}

static inline bool may_run(struct cmd_context *context)
{
    const struct client *client = context->client;
    unsigned flags = context->command->flags;

    return command_fits(context->command, context->count) &&
           (client->authenticated || flags & COMMAND_NO_AUTH || auth_passed(context)) &&
           !(flags & COMMAND_NO_MULTI && transaction_is_open(client));
}

void cmd_run_resp(struct cmd_context *context, const struct ebb_args *args)
{
    struct client *client = context->client;
    struct ebb_buf *out = context->reply.out;
    size_t reply_at = ebb_buf_len(out);
    const struct command *command = command_resolve(args->at, args->count);

    context->command = command;
    context->args = args->at;
    context->count = args->count;
    context->reply.version = client->resp_version;
    context->took_ns = 0;
    client->reply_skip = client->reply_skip_next;
    client->reply_skip_next = false;
    client->commands += client->resume_at == 0;
    client_note(client->last_command, command == NULL ? COMMAND_COUNT : command->id);
    client_note(client->last_command_ms, context->store->now_ms);

    if (command == NULL || !may_run(context))
        reject(context);
    else if (transaction_is_open(client) && !(command->flags & COMMAND_UNQUEUED))
        transaction_queue(context);
    else
        run(context);

    if (__builtin_expect(context->sent_bytes > 0, 0)) /* what is left of it is no error */
        return;
    look_for_error(context, reply_at);
    if (client->reply_off || client->reply_skip)
        reply_rewind(context, reply_at);
}
