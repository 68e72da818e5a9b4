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

#include "../clock.h"

#define DEBUG_SLEEP_MAX_S 3600.0
#define SLEEP_SLICE_NS    50000000u /* between two looks whether the server ends */

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

static void sleep_until(const struct service *service, uint64_t end_ns)
{
    uint64_t now_ns;

    while ((now_ns = clock_monotonic_ns()) < end_ns && counter_read(&service->ends) == 0) {
        uint64_t left_ns = end_ns - now_ns;
        struct timespec slice = {.tv_nsec =
                                     (long)(left_ns < SLEEP_SLICE_NS ? left_ns : SLEEP_SLICE_NS)};
        nanosleep(&slice, NULL);
    }
}

/* As strtod() reads it: what is no number is 0. This worker sleeps, the others go on. */
static void sleep_for(const struct service *service, struct ebb_slice arg)
{
    char text[64] = "";

    if (arg.len < sizeof(text))
        memcpy(text, arg.data, arg.len);
    double seconds = strtod(text, NULL);
    if (seconds > 0)
        sleep_until(service,
                    clock_monotonic_ns() + (uint64_t)(fmin(seconds, DEBUG_SLEEP_MAX_S) * 1e9));
}

static void debug_sleep(struct cmd_context *context)
{
    /* The others would have to wait for all its keys, and nobody could tell why. */
    if (context->store->is_held) {
        ebb_reply_error(&context->reply, "ERR DEBUG SLEEP is not allowed inside a transaction");
        return;
    }
    store_leave(context->store);
    sleep_for(context->service, context->args[2]);
    reply_ok(context);
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
        debug_sleep(context);
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
