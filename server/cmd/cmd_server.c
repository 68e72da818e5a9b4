/* SPDX-License-Identifier: MIT */
/* cmd_server.c: the server as a whole: INFO TIME FLUSHDB FLUSHALL SHUTDOWN.
 *
 * Handlers of commands.def; called by dispatch.c. What takes long leaves all shards first.
 */
#include "handler.h"

#include <time.h>

#include "info.h"

void cmd_info(struct cmd_context *context)
{
    struct ebb_buf text;

    ebb_buf_init(&text, context->reply.out->max_bytes);
    store_leave(context->store); /* the sums look at every shard */
    info_print(context, &context->args[1], context->count - 1, &text);
    ebb_reply_verbatim(&context->reply, ebb_buf_data(&text), ebb_buf_len(&text));
    ebb_buf_release(&text);
}

void cmd_time(struct cmd_context *context)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    ebb_reply_array(&context->reply, 2);
    ebb_reply_bulkf(&context->reply, "%lld", (long long)now.tv_sec);
    ebb_reply_bulkf(&context->reply, "%ld", now.tv_nsec / 1000);
}

/* ASYNC and SYNC are the same here: freeing takes time by spans, not by keys. */
static void flush(struct cmd_context *context, unsigned database)
{
    if (context->count > 2 || (context->count == 2 && !arg_is(context->args[1], "async") &&
                               !arg_is(context->args[1], "sync"))) {
        ebb_reply_error(&context->reply, ERROR_SYNTAX);
        return;
    }
    store_leave(context->store);
    store_flush(context->store, database);
    reply_ok(context);
}

void cmd_flushdb(struct cmd_context *context)
{
    flush(context, (unsigned)context->client->database);
}

void cmd_flushall(struct cmd_context *context)
{
    flush(context, STORE_ALL_DATABASES);
}

/* ---- SHUTDOWN ---- */

enum shutdown_word { SHUTDOWN_SAVE = 1, SHUTDOWN_NOSAVE = 2, SHUTDOWN_ABORT = 4 };

static bool parse_shutdown(struct cmd_context *context, unsigned *words)
{
    bool is_right = true;

    *words = 0;
    for (uint32_t i = 1; i < context->count; i++) {
        struct ebb_slice word = context->args[i];
        if (arg_is(word, "save"))
            *words |= SHUTDOWN_SAVE;
        else if (arg_is(word, "nosave"))
            *words |= SHUTDOWN_NOSAVE;
        else if (arg_is(word, "abort"))
            *words |= SHUTDOWN_ABORT;
        else if (!arg_is(word, "now") && !arg_is(word, "force"))
            is_right = false;
    }
    if (*words & SHUTDOWN_ABORT && context->count > 2)
        is_right = false;
    return is_right &&
           (*words & (SHUTDOWN_SAVE | SHUTDOWN_NOSAVE)) != (SHUTDOWN_SAVE | SHUTDOWN_NOSAVE);
}

/* NOW and FORCE skip what is not done here anyway. On success the connection just ends. */
void cmd_shutdown(struct cmd_context *context)
{
    unsigned words;

    if (!parse_shutdown(context, &words))
        ebb_reply_error(&context->reply, ERROR_SYNTAX);
    else if (words & SHUTDOWN_ABORT)
        ebb_reply_error(&context->reply, "ERR No shutdown in progress.");
    else if (words & SHUTDOWN_SAVE) /* there is nowhere to save to */
        ebb_reply_error(&context->reply, "ERR Errors trying to SHUTDOWN. Check logs.");
    else
        context->service->shutdown(context->service->server);
}
