/* SPDX-License-Identifier: MIT */
/* cmd_client.c: CLIENT: what a connection is called, what it is, how it is answered.
 *
 * Handlers of commands.def; called by dispatch.c, which also obeys CLIENT REPLY.
 */
#include "handler.h"

#include <stdlib.h>
#include <string.h>

#include "client_name.h"

bool client_name_is_valid(struct ebb_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '!' || text.data[i] > '~')
            return false;
    }
    return true;
}

void client_name_clear(char **field)
{
    free(*field);
    *field = NULL;
}

void client_name_set(char **field, struct ebb_slice text)
{
    client_name_clear(field);
    if (text.len > 0)
        *field = strndup(text.data, text.len);
}

void cmd_client_getname(struct cmd_context *context)
{
    if (context->client->name == NULL)
        ebb_reply_null(&context->reply);
    else
        ebb_reply_text(&context->reply, context->client->name);
}

void cmd_client_setname(struct cmd_context *context)
{
    if (!client_name_is_valid(context->args[2])) {
        ebb_reply_error(&context->reply, ERROR_CLIENT_NAME);
        return;
    }
    client_name_set(&context->client->name, context->args[2]);
    reply_ok(context);
}

void cmd_client_setinfo(struct cmd_context *context)
{
    struct ebb_slice field_name = context->args[2];
    char **field;

    if (arg_is(field_name, "lib-name")) {
        field = &context->client->library_name;
    } else if (arg_is(field_name, "lib-ver")) {
        field = &context->client->library_version;
    } else {
        ebb_reply_errorf(&context->reply, "ERR Unrecognized option '%.*s'",
                         arg_print_len(field_name, 1024), field_name.data);
        return;
    }
    if (!client_name_is_valid(context->args[3])) {
        ebb_reply_errorf(&context->reply,
                         "ERR %.*s cannot contain spaces, newlines or special characters.",
                         (int)field_name.len, field_name.data);
        return;
    }
    client_name_set(field, context->args[3]);
    reply_ok(context);
}

void cmd_client_id(struct cmd_context *context)
{
    ebb_reply_int(&context->reply, (int64_t)context->client->id);
}

void cmd_client_reply(struct cmd_context *context)
{
    struct client *client = context->client;
    struct ebb_slice word = context->args[2];

    if (arg_is(word, "on")) {
        client->reply_off = client->reply_skip = false;
        reply_ok(context);
    } else if (arg_is(word, "off")) {
        client->reply_off = true;
    } else if (arg_is(word, "skip")) {
        client->reply_skip_next = !client->reply_off;
    } else {
        ebb_reply_error(&context->reply, ERROR_SYNTAX);
    }
}

/* Reads ON or OFF, or answers that it is neither. */
static bool parse_on_off(struct cmd_context *context, bool *is_on)
{
    struct ebb_slice word = context->args[2];

    *is_on = arg_is(word, "on");
    if (*is_on || arg_is(word, "off"))
        return true;
    ebb_reply_error(&context->reply, ERROR_SYNTAX);
    return false;
}

/* There is nothing to switch off: clients are closed for their own buffers only. */
void cmd_client_no_evict(struct cmd_context *context)
{
    bool is_on;

    if (parse_on_off(context, &is_on))
        reply_ok(context);
}

void cmd_client_no_touch(struct cmd_context *context)
{
    if (parse_on_off(context, &context->client->no_touch))
        reply_ok(context);
}

/* ---- CLIENT INFO and LIST ---- */

#define CLIENT_ADDRESS_BYTES 128

static const char *text_or_empty(const char *text)
{
    return text == NULL ? "" : text;
}

/* Of Redis's fields those that exist here. While a command runs, its bytes and its reply lie in the
 * worker's buffers, and the connection has none of its own: these fields are 0, but clients'
 * parsers want them. */
static void describe(struct cmd_context *context, struct ebb_buf *line)
{
    const struct client *client = context->client;
    const struct service *service = context->service;
    int64_t now_ms = context->store->now_ms;
    char peer[CLIENT_ADDRESS_BYTES], local[CLIENT_ADDRESS_BYTES];
    size_t peer_len = service->client_address(client, false, peer, sizeof(peer));
    size_t local_len = service->client_address(client, true, local, sizeof(local));

    ebb_buf_printf(line,
                   "id=%llu addr=%.*s laddr=%.*s name=%s age=%lld idle=%lld flags=%s db=%d sub=0 "
                   "psub=0 ssub=0 multi=-1 qbuf=0 qbuf-free=0 argv-mem=0 multi-mem=0 obl=0 oll=0 "
                   "omem=0 tot-mem=%zu cmd=%s user=default redir=-1 resp=%d lib-name=%s "
                   "lib-ver=%s\n",
                   (unsigned long long)client->id, (int)peer_len, peer, (int)local_len, local,
                   text_or_empty(client->name), (long long)((now_ms - client->connected_ms) / 1000),
                   (long long)((now_ms - client->last_command_ms) / 1000),
                   client->no_touch ? "T" : "N", client->database, sizeof(*client),
                   context->command->name, client->resp_version,
                   text_or_empty(client->library_name), text_or_empty(client->library_version));
}

static void reply_description(struct cmd_context *context, bool is_wanted)
{
    struct ebb_buf line;

    ebb_buf_init(&line, context->reply.out->max_bytes);
    if (is_wanted)
        describe(context, &line);
    ebb_reply_verbatim(&context->reply, ebb_buf_data(&line), ebb_buf_len(&line));
    ebb_buf_release(&line);
}

void cmd_client_info(struct cmd_context *context)
{
    reply_description(context, true);
}

static void list_by_type(struct cmd_context *context)
{
    static const char *const types[] = {"normal", "master", "replica", "slave", "pubsub"};
    struct ebb_slice type = context->args[3];
    size_t i = 0;

    while (i < 5 && !arg_is(type, types[i]))
        i++;
    if (i == 5)
        ebb_reply_errorf(&context->reply, "ERR Unknown client type '%.*s'",
                         arg_print_len(type, 1024), type.data);
    else
        reply_description(context, i == 0);
}

static void list_by_id(struct cmd_context *context)
{
    bool is_wanted = false;
    int64_t id;

    for (uint32_t i = 3; i < context->count; i++) {
        if (!ebb_parse_i64(context->args[i].data, context->args[i].len, &id)) {
            ebb_reply_error(&context->reply, "ERR Invalid client ID");
            return;
        }
        is_wanted |= id > 0 && (uint64_t)id == context->client->id;
    }
    reply_description(context, is_wanted);
}

/* Other connections belong to other workers, which cannot be asked from here. */
void cmd_client_list(struct cmd_context *context)
{
    if (context->count == 2)
        reply_description(context, true);
    else if (context->count == 4 && arg_is(context->args[2], "type"))
        list_by_type(context);
    else if (context->count > 3 && arg_is(context->args[2], "id"))
        list_by_id(context);
    else
        ebb_reply_error(&context->reply, ERROR_SYNTAX);
}

void cmd_client_help(struct cmd_context *context)
{
    static const char *const lines[] = {
        "GETNAME",
        "    Answers the name of this connection.",
        "ID",
        "    Answers the number of this connection.",
        "INFO",
        "    Describes this connection.",
        "LIST [TYPE (NORMAL|MASTER|REPLICA|PUBSUB) | ID <id> ...]",
        "    Describes connections, so far only this one.",
        "NO-EVICT (ON|OFF)",
        "    Accepted; no connection is closed here to make room for keys.",
        "NO-TOUCH (ON|OFF)",
        "    Whether reads on this connection leave the use of keys uncounted.",
        "REPLY (ON|OFF|SKIP)",
        "    Turns replies on this connection on or off, or skips that of the next command.",
        "SETINFO (LIB-NAME|LIB-VER) <text>",
        "    Notes which client library speaks on this connection.",
        "SETNAME <name>",
        "    Names this connection.",
    };
    reply_help(context, "CLIENT", lines, sizeof(lines) / sizeof(lines[0]));
}
