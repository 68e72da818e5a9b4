/* SPDX-License-Identifier: MIT */
/* cmd_client.c: CLIENT: what a connection is called, how it is answered. LIST and KILL are in
 * cmd_clients.c.
 *
 * Handlers of commands.def; called by dispatch.c, which also obeys CLIENT REPLY.
 */
#include "handler.h"

#include <stdlib.h>
#include <string.h>

#include "../clients.h"
#include "client_name.h"

_Static_assert(CLIENT_TEXT_MAX_BYTES == 4096, "the error says so");

/* As the end of a sentence; NULL: nothing. */
static const char *fault_of(struct ebb_slice text)
{
    if (text.len > CLIENT_TEXT_MAX_BYTES)
        return "cannot be longer than 4096 bytes";
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '!' || text.data[i] > '~')
            return "cannot contain spaces, newlines or special characters.";
    }
    return NULL;
}

bool client_name_fits(struct cmd_context *context, struct ebb_slice what, struct ebb_slice text)
{
    const char *fault = fault_of(text);

    if (fault != NULL)
        ebb_reply_errorf(&context->reply, "ERR %.*s %s", (int)what.len, what.data, fault);
    return fault == NULL;
}

/* With the list locked: CLIENT LIST on another worker may be reading the old text. */
void client_name_set(struct cmd_context *context, char **field, struct ebb_slice text)
{
    char *copy = text.len > 0 ? strndup(text.data, text.len) : NULL;

    clients_lock(context->service->clients);
    char *old = *field;
    *field = copy;
    clients_unlock(context->service->clients);
    free(old);
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
    if (!client_name_fits(context, CLIENT_NAMES, context->args[2]))
        return;
    client_name_set(context, &context->client->name, context->args[2]);
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
    if (!client_name_fits(context, field_name, context->args[3]))
        return;
    client_name_set(context, field, context->args[3]);
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
    bool is_on;

    if (!parse_on_off(context, &is_on))
        return;
    client_note(context->client->no_touch, is_on);
    reply_ok(context);
}

/* ---- CLIENT TRACKING, which is always off ---- */

static bool is_redirect_possible(struct cmd_context *context, uint32_t index)
{
    int64_t id;

    if (!arg_int(context, index, &id))
        return false;
    if (id > 0 && clients_has(context->service->clients, (uint64_t)id))
        return true;
    ebb_reply_error(&context->reply, "ERR The client ID you want redirect to does not exist");
    return false;
}

/* What follows ON or OFF must be right even if nothing comes of it. */
static bool check_tracking_words(struct cmd_context *context)
{
    for (uint32_t i = 3; i < context->count; i++) {
        struct ebb_slice word = context->args[i];
        bool has_next = i + 1 < context->count;
        if (arg_is(word, "redirect") && has_next) {
            if (!is_redirect_possible(context, ++i))
                return false;
        } else if (arg_is(word, "prefix") && has_next) {
            i++;
        } else if (!arg_is(word, "bcast") && !arg_is(word, "optin") && !arg_is(word, "optout") &&
                   !arg_is(word, "noloop")) {
            ebb_reply_error(&context->reply, ERROR_SYNTAX);
            return false;
        }
    }
    return true;
}

void cmd_client_tracking(struct cmd_context *context)
{
    bool is_on;

    if (!check_tracking_words(context) || !parse_on_off(context, &is_on))
        return;
    if (is_on)
        ebb_reply_error(&context->reply, "ERR Client tracking is not supported by this server");
    else
        reply_ok(context);
}

void cmd_client_trackinginfo(struct cmd_context *context)
{
    struct ebb_reply *reply = &context->reply;

    ebb_reply_map(reply, 3);
    ebb_reply_text(reply, "flags");
    ebb_reply_set(reply, 1);
    ebb_reply_text(reply, "off");
    ebb_reply_text(reply, "redirect");
    ebb_reply_int(reply, -1);
    ebb_reply_text(reply, "prefixes");
    ebb_reply_array(reply, 0);
}

void cmd_client_getredir(struct cmd_context *context)
{
    ebb_reply_int(&context->reply, -1);
}

void cmd_client_help(struct cmd_context *context)
{
    static const char *const lines[] = {
        "GETNAME",
        "    Answers the name of this connection.",
        "GETREDIR",
        "    Answers -1: tracking is off.",
        "ID",
        "    Answers the number of this connection.",
        "INFO",
        "    Describes this connection.",
        "KILL <ip:port> | <option> ...",
        "    Closes the connections that all options name: ADDR <ip:port>, LADDR <ip:port>,",
        "    ID <id>, TYPE (NORMAL|MASTER|REPLICA|PUBSUB), USER <name>; SKIPME (YES|NO).",
        "LIST [TYPE (NORMAL|MASTER|REPLICA|PUBSUB) | ID <id> ...]",
        "    Describes connections, all or those.",
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
        "TRACKING (ON|OFF)",
        "    Accepts OFF; there is no tracking here.",
        "TRACKINGINFO",
        "    Answers that tracking is off.",
    };
    reply_help(context, "CLIENT", lines, sizeof(lines) / sizeof(lines[0]));
}
