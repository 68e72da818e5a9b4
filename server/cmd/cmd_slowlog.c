/* SPDX-License-Identifier: MIT */
/* cmd_slowlog.c: SLOWLOG: which commands took long.
 *
 * Handlers of commands.def; called by dispatch.c.
 */
#include "handler.h"

#include "slowlog.h"

#define SLOWLOG_SHOWN 10

/* ---- SLOWLOG ---- */

static void reply_entry(struct ebb_reply *reply, const struct slow_entry *entry)
{
    ebb_reply_array(reply, 6);
    ebb_reply_int(reply, entry->id);
    ebb_reply_int(reply, entry->time_s);
    ebb_reply_int(reply, entry->took_us);
    ebb_reply_array(reply, entry->count);
    for (uint32_t i = 0; i < entry->count; i++)
        ebb_reply_bulk(reply, entry->args[i].data, entry->args[i].len);
    ebb_reply_bulk(reply, entry->address.data, entry->address.len);
    ebb_reply_bulk(reply, entry->name.data, entry->name.len);
}

void cmd_slowlog_get(struct cmd_context *context)
{
    struct slowlog *slowlog = context->service->slowlog;
    int64_t wanted = SLOWLOG_SHOWN;

    if (context->count > 3) {
        reply_wrong_subcommand(context, "SLOWLOG");
        return;
    }
    if (context->count == 3 &&
        (!ebb_parse_i64(context->args[2].data, context->args[2].len, &wanted) || wanted < -1)) {
        ebb_reply_error(&context->reply, "ERR count should be greater than or equal to -1");
        return;
    }
    pthread_mutex_lock(&slowlog->mutex);
    size_t count = wanted < 0 || (size_t)wanted > slowlog->count ? slowlog->count : (size_t)wanted;
    const struct slow_entry *entry = slowlog->newest;
    ebb_reply_array(&context->reply, count);
    for (; count > 0; count--, entry = entry->older)
        reply_entry(&context->reply, entry);
    pthread_mutex_unlock(&slowlog->mutex);
}

void cmd_slowlog_len(struct cmd_context *context)
{
    struct slowlog *slowlog = context->service->slowlog;

    pthread_mutex_lock(&slowlog->mutex);
    ebb_reply_int(&context->reply, (int64_t)slowlog->count);
    pthread_mutex_unlock(&slowlog->mutex);
}

void cmd_slowlog_reset(struct cmd_context *context)
{
    slowlog_reset(context->service->slowlog);
    reply_ok(context);
}

void cmd_slowlog_help(struct cmd_context *context)
{
    static const char *const lines[] = {
        "GET [<count>]",
        "    Return top <count> entries from the slowlog (default: 10, -1 mean all).",
        "    Entries are made of:",
        "    id, timestamp, time in microseconds, arguments array, client IP and port,",
        "    client name",
        "LEN",
        "    Return the length of the slowlog.",
        "RESET",
        "    Reset the slowlog.",
    };
    reply_help(context, "SLOWLOG", lines, sizeof(lines) / sizeof(lines[0]));
}
