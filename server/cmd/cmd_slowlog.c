/* SPDX-License-Identifier: MIT */
/* cmd_slowlog.c: SLOWLOG and LATENCY: which commands took long, and how long each kind takes.
 *
 * Handlers of commands.def; called by dispatch.c. The histogram of a command counts those timed by
 * themselves by their own time, and the others by their share of the batch they ran in.
 */
#include "handler.h"

#include <string.h>

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
        ebb_reply_error(&context->reply, "ERR unknown subcommand or wrong number of arguments for "
                                         "'get'. Try SLOWLOG HELP.");
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

/* ---- LATENCY: events are not kept, so the monitor is as good as off ---- */

void cmd_latency_latest(struct cmd_context *context)
{
    ebb_reply_array(&context->reply, 0);
}

void cmd_latency_history(struct cmd_context *context)
{
    ebb_reply_array(&context->reply, 0);
}

void cmd_latency_reset(struct cmd_context *context)
{
    ebb_reply_int(&context->reply, 0);
}

void cmd_latency_doctor(struct cmd_context *context)
{
    static const char text[] =
        "Latency events are not recorded by this server. LATENCY HISTOGRAM shows how long each "
        "command takes, SLOWLOG the slow ones, and the pauses of upkeep stand in /metrics.\n";
    ebb_reply_verbatim(&context->reply, text, sizeof(text) - 1);
}

/* ---- LATENCY HISTOGRAM ---- */

static uint64_t observations(const struct latencies *latencies, size_t command)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
        sum += latencies->by_command[command][i];
    return sum;
}

/* Upper bounds in microseconds with how many took no longer; bounds without news are left out. */
static void reply_histogram(struct ebb_reply *reply, const uint64_t buckets[LATENCY_BUCKETS])
{
    size_t shown = 0;
    uint64_t sum = 0;

    for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
        shown += buckets[i] > 0;
    ebb_reply_map(reply, shown);
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
        if (buckets[i] == 0)
            continue;
        sum += buckets[i];
        ebb_reply_int(reply, (int64_t)(latency_bound_ns(i) / 1000));
        ebb_reply_int(reply, (int64_t)sum);
    }
}

static void reply_latency(struct ebb_reply *reply, const struct latencies *latencies,
                          size_t command)
{
    ebb_reply_text(reply, commands[command].name);
    ebb_reply_map(reply, 2);
    ebb_reply_text(reply, "calls");
    ebb_reply_int(reply, (int64_t)observations(latencies, command));
    ebb_reply_text(reply, "histogram_usec");
    reply_histogram(reply, latencies->by_command[command]);
}

/* Named, or under a container that is. */
static bool is_wanted(const struct cmd_context *context, const struct command *command)
{
    if (context->count == 2)
        return true;
    for (uint32_t i = 2; i < context->count; i++) {
        const struct command *named = command_find(context->args[i].data, context->args[i].len);
        if (named == command ||
            (named != NULL && named->flags & COMMAND_CONTAINER && command->flags & COMMAND_SUB &&
             memcmp(command->name, named->name, named->name_len) == 0 &&
             command->name[named->name_len] == '|'))
            return true;
    }
    return false;
}

void cmd_latency_histogram(struct cmd_context *context)
{
    struct service *service = context->service;
    struct latencies latencies;
    size_t count = 0;

    service->latencies(service->server, &latencies);
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        count += is_wanted(context, &commands[i]) && observations(&latencies, i) > 0;
    ebb_reply_map(&context->reply, count);
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (is_wanted(context, &commands[i]) && observations(&latencies, i) > 0)
            reply_latency(&context->reply, &latencies, i);
    }
}

void cmd_latency_help(struct cmd_context *context)
{
    static const char *const lines[] = {
        "DOCTOR",
        "    Says where to look.",
        "HISTOGRAM [<command> ...]",
        "    Answers how long the given commands took, or all.",
        "HISTORY <event>",
        "    Answers nothing: events are not recorded.",
        "LATEST",
        "    Answers nothing: events are not recorded.",
        "RESET [<event> ...]",
        "    Answers 0: events are not recorded.",
    };
    reply_help(context, "LATENCY", lines, sizeof(lines) / sizeof(lines[0]));
}
