/* SPDX-License-Identifier: MIT */
/* timing.c: from the clock to the slow log and to the events of LATENCY. Called by dispatch.c.
 */
#include "timing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../clock.h"
#include "../options.h"
#include "events.h"
#include "handler.h"

#define ADDRESS_BYTES 128u
#define MORE_BYTES    64u /* "... (n more bytes)" */

void timing_begin(struct cmd_context *context)
{
    context->clock->last_ns = clock_monotonic_ns();
}

/* ---- an entry ---- */

static bool is_secret(struct ebb_slice setting)
{
    int option = options_find(setting.data, setting.len);
    return option >= 0 && options_info((size_t)option)->is_secret;
}

/* From which word on a command is not shown: passwords are nobody's business. */
static uint32_t shown_words(const struct cmd_context *context)
{
    const struct command *command = context->command;

    if (command->run == cmd_auth)
        return 1;
    if (command->run == cmd_hello)
        return 2;
    for (uint32_t i = 2; command->run == cmd_config_set && i < context->count; i += 2) {
        if (is_secret(context->args[i]))
            return 3;
    }
    return context->count;
}

struct entry_writer {
    struct slow_entry *entry;
    char *at;
};

static struct ebb_slice put(struct entry_writer *writer, const char *data, size_t len)
{
    struct ebb_slice slice = {writer->at, len};

    if (len > 0)
        memcpy(writer->at, data, len);
    writer->at += len;
    return slice;
}

static struct ebb_slice put_word(struct entry_writer *writer, struct ebb_slice word)
{
    if (word.len <= SLOWLOG_ARG_MAX_BYTES)
        return put(writer, word.data, word.len);
    struct ebb_slice shown = put(writer, word.data, SLOWLOG_ARG_MAX_BYTES);
    int len =
        snprintf(writer->at, MORE_BYTES, "... (%zu more bytes)", word.len - SLOWLOG_ARG_MAX_BYTES);
    writer->at += len;
    shown.len += (size_t)len;
    return shown;
}

static void put_words(struct entry_writer *writer, const struct cmd_context *context)
{
    struct slow_entry *entry = writer->entry;
    uint32_t shown = shown_words(context);
    bool is_cut = context->count > SLOWLOG_ARGS_MAX;
    char more[MORE_BYTES];

    entry->count = is_cut ? SLOWLOG_ARGS_MAX : context->count;
    for (uint32_t i = 0; i < entry->count - is_cut; i++)
        entry->args[i] = i < shown ? put_word(writer, context->args[i])
                                   : put(writer, "(redacted)", strlen("(redacted)"));
    if (is_cut) {
        int len = snprintf(more, sizeof(more), "... (%u more arguments)",
                           context->count - SLOWLOG_ARGS_MAX + 1);
        entry->args[SLOWLOG_ARGS_MAX - 1] = put(writer, more, (size_t)len);
    }
}

static size_t entry_bytes(const struct cmd_context *context)
{
    const char *name = context->client->name;

    return sizeof(struct slow_entry) + ADDRESS_BYTES + (name != NULL ? strlen(name) : 0) +
           SLOWLOG_ARGS_MAX * (SLOWLOG_ARG_MAX_BYTES + MORE_BYTES);
}

static void log_slow(struct cmd_context *context, uint64_t took_ns)
{
    const struct service *service = context->service;
    struct slow_entry *entry = malloc(entry_bytes(context));
    struct entry_writer writer;
    const char *name = context->client->name;
    char address[ADDRESS_BYTES];

    if (entry == NULL)
        return;
    writer = (struct entry_writer){entry, entry->bytes};
    put_words(&writer, context);
    size_t len = service->client_address(context->client, false, address, sizeof(address));
    entry->address = put(&writer, address, len);
    entry->name = put(&writer, name, name != NULL ? strlen(name) : 0);
    entry->time_s = clock_unix_ms() / 1000;
    entry->took_us = (int64_t)(took_ns / 1000);
    slowlog_add(service->slowlog, entry,
                (size_t)options_number(&service->options->slowlog_max_len));
}

static void note_event(const struct cmd_context *context, uint64_t took_ns)
{
    bool is_fast = context->command->flags & COMMAND_FAST;
    int64_t took_ms = (int64_t)(took_ns / 1000000);

    if (took_ms >= context->clock->event_ms)
        events_add(context->service->events, is_fast ? EVENT_FAST_COMMAND : EVENT_COMMAND,
                   clock_unix_ms() / 1000, took_ms);
}

void timing_end(struct cmd_context *context, bool is_exact)
{
    struct command_clock *clock = context->clock;
    uint64_t room_ns = context->store->room_since_ns;
    uint64_t begin_ns = is_exact || room_ns == 0 ? clock->last_ns : room_ns;
    uint64_t now_ns = clock_monotonic_ns(), took_ns = now_ns - begin_ns;

    clock->last_ns = now_ns;
    context->took_ns = took_ns > 0 ? took_ns : 1;
    if (clock->slower_than_us >= 0 && took_ns / 1000 >= (uint64_t)clock->slower_than_us &&
        !(context->command->flags & COMMAND_SKIP_SLOWLOG))
        log_slow(context, took_ns);
    if (clock->event_ms > 0)
        note_event(context, took_ns);
}
