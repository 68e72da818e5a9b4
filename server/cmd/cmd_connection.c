/* SPDX-License-Identifier: MIT */
/* cmd_connection.c: a connection's state: PING ECHO QUIT HELLO AUTH SELECT RESET.
 *
 * Handlers of commands.def; called by dispatch.c. CLIENT is in cmd_client.c.
 */
#include "handler.h"

#include <stdlib.h>
#include <string.h>

#include "../clients.h"
#include "client_name.h"
#include "transaction.h"

void cmd_ping(struct cmd_context *context)
{
    if (context->count > 2)
        reply_wrong_arity(context, "ping");
    else if (context->count == 2)
        ebb_reply_bulk(&context->reply, context->args[1].data, context->args[1].len);
    else
        ebb_reply_simple(&context->reply, "PONG");
}

void cmd_echo(struct cmd_context *context)
{
    ebb_reply_bulk(&context->reply, context->args[1].data, context->args[1].len);
}

void cmd_quit(struct cmd_context *context)
{
    context->client->close_after_reply = true;
    reply_ok(context);
}

void cmd_select(struct cmd_context *context)
{
    unsigned database;

    if (!arg_database(context, 1, &database))
        return;
    client_note(context->client->database, (int)database);
    reply_ok(context);
}

void cmd_reset(struct cmd_context *context)
{
    struct client *client = context->client;

    transaction_end(client, context->store, context->counters);
    client->authenticated = !auth_has_password(context);
    client_note(client->database, 0);
    context->reply.version = 2;
    client_note(client->resp_version, 2);
    client->reply_off = client->reply_skip_next = false;
    client_note(client->no_touch, false);
    client_name_set(context, &client->name, (struct ebb_slice){"", 0});
    ebb_reply_simple(&context->reply, "RESET");
}

/* ---- AUTH and HELLO ---- */

#define ERROR_WRONGPASS "WRONGPASS invalid username-password pair or user is disabled."

void cmd_auth(struct cmd_context *context)
{
    struct ebb_slice user = {"default", 7};

    if (context->count > 3) {
        ebb_reply_error(&context->reply, ERROR_SYNTAX);
        return;
    }
    if (context->count == 2 && !auth_has_password(context)) {
        ebb_reply_error(&context->reply,
                        "ERR AUTH <password> called without any password configured for the "
                        "default user. Are you sure your configuration is correct?");
        return;
    }
    if (context->count == 3)
        user = context->args[1];
    if (auth_try(context, user, context->args[context->count - 1]))
        reply_ok(context);
    else
        ebb_reply_error(&context->reply, ERROR_WRONGPASS);
}

struct hello_options {
    int64_t version; /* 0: stays as it is */
    const struct ebb_slice *user, *password, *name;
};

static bool parse_hello_words(struct cmd_context *context, struct hello_options *options)
{
    for (uint32_t i = 2; i < context->count; i++) {
        const struct ebb_slice *arg = &context->args[i];
        uint32_t left = context->count - 1 - i;
        if (arg_is(*arg, "auth") && left >= 2) {
            options->user = arg + 1;
            options->password = arg + 2;
            i += 2;
        } else if (arg_is(*arg, "setname") && left >= 1) {
            if (!client_name_fits(context, CLIENT_NAMES, arg[1]))
                return false;
            options->name = arg + 1;
            i++;
        } else {
            ebb_reply_errorf(&context->reply, "ERR Syntax error in HELLO option '%.*s'",
                             arg_print_len(*arg, 1024), arg->data);
            return false;
        }
    }
    return true;
}

static bool parse_hello(struct cmd_context *context, struct hello_options *options)
{
    *options = (struct hello_options){0};
    if (context->count == 1)
        return true;
    if (!ebb_parse_i64(context->args[1].data, context->args[1].len, &options->version)) {
        ebb_reply_error(&context->reply, "ERR Protocol version is not an integer or out of range");
        return false;
    }
    if (options->version < 2 || options->version > 3) {
        ebb_reply_error(&context->reply, "NOPROTO unsupported protocol version");
        return false;
    }
    return parse_hello_words(context, options);
}

static void reply_hello(struct cmd_context *context)
{
    struct ebb_reply *reply = &context->reply;

    ebb_reply_map(reply, 7);
    ebb_reply_text(reply, "server");
    ebb_reply_text(reply, "redis");
    ebb_reply_text(reply, "version");
    ebb_reply_text(reply, EBB_REDIS_VERSION);
    ebb_reply_text(reply, "proto");
    ebb_reply_int(reply, context->client->resp_version);
    ebb_reply_text(reply, "id");
    ebb_reply_int(reply, (int64_t)context->client->id);
    ebb_reply_text(reply, "mode");
    ebb_reply_text(reply, "standalone");
    ebb_reply_text(reply, "role");
    ebb_reply_text(reply, "master");
    ebb_reply_text(reply, "modules");
    ebb_reply_array(reply, 0);
}

void cmd_hello(struct cmd_context *context)
{
    struct client *client = context->client;
    struct hello_options options;

    if (!parse_hello(context, &options))
        return;
    if (options.user != NULL && !auth_try(context, *options.user, *options.password)) {
        ebb_reply_error(&context->reply, ERROR_WRONGPASS);
        return;
    }
    if (!auth_passed(context)) {
        ebb_reply_error(&context->reply,
                        "NOAUTH HELLO must be called with the client already authenticated, "
                        "otherwise the HELLO AUTH <user> <pass> option can be used to "
                        "authenticate the client and select the RESP protocol version at the same "
                        "time");
        return;
    }
    if (options.name != NULL)
        client_name_set(context, &client->name, *options.name);
    if (options.version != 0) {
        context->reply.version = (int)options.version;
        client_note(client->resp_version, context->reply.version);
    }
    reply_hello(context);
}
