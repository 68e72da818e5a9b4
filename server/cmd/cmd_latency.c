/* SPDX-License-Identifier: MIT */
/* cmd_latency.c: LATENCY: what took long and when, and how long each command takes.
 *
 * Handlers of commands.def; called by dispatch.c. The histogram of a command counts those timed by
 * themselves by their own time, and the others by their share of the batch they ran in.
 */
#include "handler.h"

#include <inttypes.h>
#include <string.h>

#include "../options.h"
#include "events.h"
#include "sparkline.h"

/* ---- events ---- */

static bool read_named(struct cmd_context *context, uint32_t index, struct event_series *series)
{
    struct ebb_slice name = context->args[index];
    enum event event = event_find(name.data, name.len);

    return event < EVENTS && events_read(context->service->events, event, series);
}

void cmd_latency_latest(struct cmd_context *context)
{
    struct event_series series[EVENTS];
    size_t count = 0;

    for (enum event event = 0; event < EVENTS; event++)
        count += events_read(context->service->events, event, &series[event]);
    ebb_reply_array(&context->reply, count);
    for (enum event event = 0; event < EVENTS; event++) {
        if (series[event].count == 0)
            continue;
        const struct event_sample *last = event_at(&series[event], series[event].count - 1);
        ebb_reply_array(&context->reply, 4);
        ebb_reply_text(&context->reply, event_names[event]);
        ebb_reply_int(&context->reply, last->time_s);
        ebb_reply_int(&context->reply, last->took_ms);
        ebb_reply_int(&context->reply, series[event].longest_ms);
    }
}

void cmd_latency_history(struct cmd_context *context)
{
    struct event_series series = {.count = 0};

    read_named(context, 2, &series);
    ebb_reply_array(&context->reply, series.count);
    for (size_t i = 0; i < series.count; i++) {
        ebb_reply_array(&context->reply, 2);
        ebb_reply_int(&context->reply, event_at(&series, i)->time_s);
        ebb_reply_int(&context->reply, event_at(&series, i)->took_ms);
    }
}

void cmd_latency_reset(struct cmd_context *context)
{
    struct events *events = context->service->events;
    int64_t count = 0;

    for (enum event event = 0; context->count == 2 && event < EVENTS; event++)
        count += events_reset(events, event);
    for (uint32_t i = 2; i < context->count; i++) {
        enum event event = event_find(context->args[i].data, context->args[i].len);
        count += event < EVENTS && events_reset(events, event);
    }
    ebb_reply_int(&context->reply, count);
}

/* ---- drawn ---- */

static void draw(const struct event_series *series, const char *name, int64_t now_s,
                 struct ebb_buf *text)
{
    struct sparkline line = {.count = series->count};
    int64_t high = event_at(series, 0)->took_ms, low = high;

    for (size_t i = 0; i < series->count; i++) {
        const struct event_sample *sample = event_at(series, i);
        high = sample->took_ms > high ? sample->took_ms : high;
        low = sample->took_ms < low ? sample->took_ms : low;
        line.values[i] = sample->took_ms;
        sparkline_label(&line, i, now_s - sample->time_s);
    }
    ebb_buf_printf(text,
                   "%s - high %" PRId64 " ms, low %" PRId64 " ms (all time high %" PRId64 " ms)\n",
                   name, high, low, series->longest_ms);
    sparkline_draw(&line, text);
}

void cmd_latency_graph(struct cmd_context *context)
{
    struct ebb_slice name = context->args[2];
    struct event_series series;
    struct ebb_buf text;

    if (!read_named(context, 2, &series)) {
        ebb_reply_errorf(&context->reply, "ERR No samples available for event '%.*s'",
                         arg_print_len(name, 128), name.data);
        return;
    }
    ebb_buf_init(&text, context->reply.out->max_bytes);
    draw(&series, event_names[event_find(name.data, name.len)], context->store->now_ms / 1000,
         &text);
    ebb_reply_verbatim(&context->reply, ebb_buf_data(&text), ebb_buf_len(&text));
    ebb_buf_release(&text);
}

/* ---- in words ---- */

struct spikes {
    int64_t average_ms, deviation_ms; /* from it, on average */
    double period_s;                  /* from one to the next, on average */
};

static struct spikes measure(const struct event_series *series, int64_t now_s)
{
    struct spikes spikes = {0};
    int64_t count = (int64_t)series->count, sum = 0;

    for (size_t i = 0; i < series->count; i++)
        sum += event_at(series, i)->took_ms;
    spikes.average_ms = sum / count;
    sum = 0;
    for (size_t i = 0; i < series->count; i++) {
        int64_t off = event_at(series, i)->took_ms - spikes.average_ms;
        sum += off < 0 ? -off : off;
    }
    spikes.deviation_ms = sum / count;
    spikes.period_s = (double)(now_s - event_at(series, 0)->time_s) / (double)count;
    return spikes;
}

static void advise(const struct cmd_context *context, enum event event, struct ebb_buf *text)
{
    static const char *const advice[EVENTS] = {
        [EVENT_COMMAND] = "SLOWLOG GET names the commands that took long, and from whom they came: "
                          "most look at many keys or at long values.",
        [EVENT_FAST_COMMAND] = "Fast commands that take long wait for others on the same keys, or "
                               "for a processor: see INFO cpu, and whether the machine swaps.",
        [EVENT_EXPIRE] = "Many keys expire at the same time. Times that are spread a little spread "
                         "the work, too.",
        [EVENT_EVICT] = "Writers wait for evictions: the limit leaves little room for what is "
                        "written. See maxmemory, and MEMORY DOCTOR.",
        [EVENT_COMPACT] = "A step of compaction is bounded to a tenth of a millisecond: longer "
                          "ones had to wait for a processor or for the machine's memory.",
    };
    int64_t slower_us = options_number(&context->service->options->slowlog_log_slower_than);
    int64_t threshold_ms = options_number(&context->service->options->latency_monitor_threshold);

    ebb_buf_printf(text, "   %s\n", advice[event]);
    if (event <= EVENT_FAST_COMMAND && (slower_us < 0 || slower_us / 1000 > threshold_ms))
        ebb_buf_printf(text,
                       "   The slow log keeps less than that: CONFIG SET slowlog-log-slower-than "
                       "%" PRId64 " lets it keep these.\n",
                       threshold_ms < INT64_MAX / 1000 ? threshold_ms * 1000 : INT64_MAX);
}

static void diagnose(struct cmd_context *context, struct ebb_buf *text)
{
    struct event_series series;
    unsigned number = 0;

    for (enum event event = 0; event < EVENTS; event++) {
        if (!events_read(context->service->events, event, &series))
            continue;
        struct spikes spikes = measure(&series, context->store->now_ms / 1000);
        ebb_buf_printf(text,
                       "%u. %s: %zu latency spikes (average %" PRId64 "ms, mean deviation %" PRId64
                       "ms, period %.2f sec). Worst all time event %" PRId64 "ms.\n",
                       ++number, event_names[event], series.count, spikes.average_ms,
                       spikes.deviation_ms, spikes.period_s, series.longest_ms);
        advise(context, event, text);
    }
    if (number == 0)
        ebb_buf_printf(text, "Nothing has taken as long as the latency monitor's threshold.\n");
}

void cmd_latency_doctor(struct cmd_context *context)
{
    struct ebb_buf text;

    ebb_buf_init(&text, context->reply.out->max_bytes);
    if (options_number(&context->service->options->latency_monitor_threshold) == 0)
        ebb_buf_printf(&text, "Latency monitoring is disabled. You may use \"CONFIG SET "
                              "latency-monitor-threshold <milliseconds>.\" in order to enable "
                              "it.\n");
    diagnose(context, &text);
    ebb_reply_verbatim(&context->reply, ebb_buf_data(&text), ebb_buf_len(&text));
    ebb_buf_release(&text);
}

/* ---- how long each command takes ---- */

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
        "    Return a human readable latency analysis report.",
        "GRAPH <event>",
        "    Return an ASCII latency graph for the <event> class.",
        "HISTORY <event>",
        "    Return time-latency samples for the <event> class.",
        "LATEST",
        "    Return the latest latency samples for all events.",
        "RESET [<event> ...]",
        "    Reset latency data of one or more <event> classes.",
        "    (default: reset all data for all event classes)",
        "HISTOGRAM [COMMAND ...]",
        "    Return a cumulative distribution of latencies in the format of a histogram for the "
        "specified command names.",
        "    If no commands are specified then all histograms are replied.",
    };
    reply_help(context, "LATENCY", lines, sizeof(lines) / sizeof(lines[0]));
}
