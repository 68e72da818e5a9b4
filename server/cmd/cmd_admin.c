/* SPDX-License-Identifier: MIT */
/* cmd_admin.c: what clients ask of replicas, snapshots and clusters, of which there are none here;
 * and DEBUG, as far as test suites need it.
 *
 * Handlers of commands.def; called by dispatch.c.
 */
#include "handler.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DEBUG_SLEEP_MAX_S 3600.0

void cmd_role(struct cmd_context *context)
{
    ebb_reply_array(&context->reply, 3);
    ebb_reply_text(&context->reply, "master");
    ebb_reply_int(&context->reply, 0);
    ebb_reply_array(&context->reply, 0);
}

/* There are no replicas to wait for, so the answer is known at once. */
void cmd_wait(struct cmd_context *context)
{
    struct ebb_slice arg = context->args[2];
    int64_t replicas, timeout;

    if (!arg_int(context, 1, &replicas))
        return;
    if (!ebb_parse_i64(arg.data, arg.len, &timeout))
        ebb_reply_error(&context->reply, "ERR timeout is not an integer or out of range");
    else if (timeout < 0)
        ebb_reply_error(&context->reply, "ERR timeout is negative");
    else
        ebb_reply_int(&context->reply, 0);
}

/* Nothing is ever saved: as in Redis, the time is then that of the start. */
void cmd_lastsave(struct cmd_context *context)
{
    ebb_reply_int(&context->reply, context->service->start_ms / 1000);
}

void cmd_no_cluster(struct cmd_context *context)
{
    ebb_reply_error(&context->reply, "ERR This instance has cluster support disabled");
}

/* ---- DEBUG ---- */

/* As strtod() reads it: what is no number is 0. This worker sleeps, the others go on. */
static void sleep_for(struct ebb_slice arg)
{
    char text[64] = "";
    struct timespec time;

    if (arg.len < sizeof(text))
        memcpy(text, arg.data, arg.len);
    double seconds = strtod(text, NULL);
    if (!(seconds > 0))
        return;
    seconds = fmin(seconds, DEBUG_SLEEP_MAX_S);
    time.tv_sec = (time_t)seconds;
    time.tv_nsec = (long)((seconds - (double)time.tv_sec) * 1e9);
    nanosleep(&time, NULL);
}

/* As atoi() would have it, like Redis. */
static bool is_on(struct ebb_slice arg)
{
    return arg.len > 0 && arg.data[0] >= '1' && arg.data[0] <= '9';
}

void cmd_debug(struct cmd_context *context)
{
    struct ebb_slice word = context->args[1];

    if (context->count == 3 && arg_is(word, "sleep")) {
        store_leave(context->store);
        sleep_for(context->args[2]);
        reply_ok(context);
    } else if (context->count == 3 && arg_is(word, "set-active-expire")) {
        store_set_active_expire(context->store->store, is_on(context->args[2]));
        reply_ok(context);
    } else if (context->count == 3 && arg_is(word, "set-active-trim")) {
        store_set_active_trim(context->store->store, is_on(context->args[2]));
        reply_ok(context);
    } else if (context->count == 2 && arg_is(word, "help")) {
        static const char *const lines[] = {
            "SET-ACTIVE-EXPIRE <0|1>",
            "    Whether expired keys are removed before somebody asks for them.",
            "SET-ACTIVE-TRIM <0|1>",
            "    Whether memory that is not used is given back to the system.",
            "SLEEP <seconds>",
            "    Stops the worker of this connection for so long.",
        };
        reply_help(context, "DEBUG", lines, sizeof(lines) / sizeof(lines[0]));
    } else {
        reply_wrong_subcommand(context, "DEBUG");
    }
}
