/* SPDX-License-Identifier: MIT */
/* handler.c: what the handlers of commands share. See handler.h.
 */
#include "handler.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

bool arg_is(struct ebb_slice arg, const char *lower)
{
    return strlen(lower) == arg.len && strncasecmp(arg.data, lower, arg.len) == 0;
}

bool arg_int(struct cmd_context *context, uint32_t index, int64_t *value)
{
    if (ebb_parse_i64(context->args[index].data, context->args[index].len, value))
        return true;
    ebb_reply_error(&context->reply, ERROR_INTEGER);
    return false;
}

int arg_print_len(struct ebb_slice arg, size_t max)
{
    return arg.len == 0 ? 0 : (int)strnlen(arg.data, arg.len < max ? arg.len : max);
}

void reply_wrong_arity(struct cmd_context *context, const char *name)
{
    ebb_reply_errorf(&context->reply, "ERR wrong number of arguments for '%s' command", name);
}

void reply_wrong_subcommand(struct cmd_context *context, const char *container)
{
    struct ebb_slice word = context->args[1];

    ebb_reply_errorf(&context->reply,
                     "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try %s HELP.",
                     arg_print_len(word, 128), word.data, container);
}

void reply_store_error(struct cmd_context *context, int error)
{
    ebb_reply_error(&context->reply, error == STORE_ETOOBIG ? ERROR_TOO_LONG : ERROR_MEMORY);
}

void reply_rewind(struct cmd_context *context, size_t len)
{
    struct ebb_buf *out = context->reply.out;

    if (ebb_buf_len(out) > len)
        out->end = out->start + len;
    if (context->splices != NULL)
        splices_rewind(context->splices, len);
}

bool reply_pin(struct cmd_context *context, const struct store_key *key,
               const struct store_value *value, size_t len)
{
    if (context->splices == NULL)
        return false;
    if (!splices_fit(context->splices, context->reply.out, len)) {
        context->reply.out->failed = true; /* as if it had been copied */
        return false;
    }
    bool is_pinned = splices_pin(context->splices, context->store, key, value);
    counter_add(
        is_pinned ? &context->counters->spliced_values : &context->counters->unspliced_values, 1);
    return is_pinned;
}

void reply_splice(struct cmd_context *context, struct ebb_slice bytes)
{
    struct ebb_buf *out = context->reply.out;

    splices_add(context->splices, out, bytes.data, bytes.len);
    ebb_buf_add(out, "\r\n", 2);
}

void reply_long_bytes_of(struct cmd_context *context, const struct store_key *key,
                         const struct store_value *value, struct ebb_slice bytes)
{
    if (!reply_pin(context, key, value, bytes.len)) {
        ebb_reply_bulk(&context->reply, bytes.data, bytes.len);
        return;
    }
    ebb_reply_bulk_head(&context->reply, bytes.len);
    reply_splice(context, bytes);
}

/* What EXEC has locked stays locked, and what is not to be sent is taken back at the end. */
static bool may_stop(const struct cmd_context *context)
{
    const struct client *client = context->client;
    return context->may_stop && !context->store->is_held && !client->reply_off &&
           !client->reply_skip;
}

bool reply_stops(struct cmd_context *context, uint32_t at)
{
    struct client *client = context->client;

    if (!may_stop(context))
        return false;
    size_t bytes = ebb_buf_len(context->reply.out) + context->splices->bytes;
    enum client_sent sent = context->service->client_send(client);
    if (sent == CLIENT_LITTLE)
        return false;
    context->sent_bytes += bytes;
    /* To be parsed again costs as much as some reply. */
    context->has_stopped = sent == CLIENT_FULL && context->sent_bytes >= context->line_bytes;
    client->resume_at = context->has_stopped ? at : 0;
    return context->has_stopped;
}

void reply_help(struct cmd_context *context, const char *container, const char *const *lines,
                size_t count)
{
    char head[128];

    snprintf(head, sizeof(head),
             "%s <subcommand> [<arg> [value] [opt] ...]. Subcommands are:", container);
    ebb_reply_array(&context->reply, count + 3);
    ebb_reply_simple(&context->reply, head);
    for (size_t i = 0; i < count; i++)
        ebb_reply_simple(&context->reply, lines[i]);
    ebb_reply_simple(&context->reply, "HELP");
    ebb_reply_simple(&context->reply, "    Prints this help.");
}

uint32_t enter_keys(struct cmd_context *context, uint32_t from, uint32_t step,
                    enum keys_order order, struct store_key *keys)
{
    struct store *store = context->store->store;
    unsigned database = (unsigned)context->client->database;
    uint32_t count = 0;

    for (uint32_t i = from; i < context->count && count < KEYS_CHUNK; i += step) {
        struct ebb_slice name = context->args[i];
        keys[count] = store_key(store, database, name.data, name.len);
        count++;
    }
    /* More keys than a chunk are spread over nearly all shards anyway. */
    if (order == KEYS_ATOMIC && (context->count - 1) / step > KEYS_CHUNK)
        store_enter_all(context->store);
    store_enter_keys(context->store, keys, count);
    if (count > 0 && store_is_renumbered(context->store, database, &keys[0]))
        return enter_keys(context, from, step, order, keys);
    return count;
}
