/* SPDX-License-Identifier: MIT */
/* cmd_memory.c: MEMORY: what a key costs, what all of it costs, and giving back.
 *
 * Handlers of commands.def; called by dispatch.c. Sums are those of INFO memory (info.c).
 */
#include "handler.h"

#include <string.h>

#include "../facts.h"
#include "info.h"

/* SAMPLES is for nested values, of which there are none: it is only checked. */
void cmd_memory_usage(struct cmd_context *context)
{
    int64_t samples;

    for (uint32_t i = 3; i < context->count; i += 2) {
        if (!arg_is(context->args[i], "samples") || i + 1 == context->count) {
            ebb_reply_error(&context->reply, ERROR_SYNTAX);
            return;
        }
        if (!arg_int(context, i + 1, &samples))
            return;
        if (samples < 0) {
            ebb_reply_error(&context->reply, ERROR_SYNTAX);
            return;
        }
    }
    struct store_key key = enter_key(context, 2);
    size_t bytes = store_usage(context->store, &key);
    if (bytes == 0)
        ebb_reply_null(&context->reply);
    else
        ebb_reply_int(&context->reply, (int64_t)bytes);
}

/* ---- MEMORY STATS ---- */

static void reply_number(struct ebb_reply *reply, const char *name, uint64_t number)
{
    ebb_reply_text(reply, name);
    ebb_reply_int(reply, (int64_t)number);
}

static void reply_ratio(struct ebb_reply *reply, const char *name, uint64_t a, uint64_t b)
{
    ebb_reply_text(reply, name);
    ebb_reply_double(reply, b == 0 ? 0 : (double)a / (double)b);
}

/* Of Redis's fields those that exist here, under its names. */
void cmd_memory_stats(struct cmd_context *context)
{
    struct ebb_reply *reply = &context->reply;
    struct info_memory memory;

    store_leave(context->store); /* the sums look at every shard */
    info_memory(context, &memory);
    ebb_reply_map(reply, 15);
    reply_number(reply, "peak.allocated", memory.used_peak_bytes);
    reply_number(reply, "total.allocated", memory.used_bytes);
    reply_number(reply, "startup.allocated", memory.metadata_bytes);
    reply_number(reply, "clients.normal", memory.connection_bytes);
    reply_number(reply, "overhead.total", memory.used_bytes - memory.live_bytes);
    reply_number(reply, "keys.count", memory.keys);
    reply_number(reply, "keys.bytes-per-key",
                 memory.keys == 0 ? 0 : memory.allocated_bytes / memory.keys);
    reply_number(reply, "dataset.bytes", memory.live_bytes);
    reply_ratio(reply, "dataset.percentage", 100 * memory.live_bytes, memory.used_bytes);
    reply_ratio(reply, "peak.percentage", 100 * memory.used_bytes, memory.used_peak_bytes);
    reply_number(reply, "allocator.allocated", memory.allocated_bytes);
    reply_number(reply, "allocator.active", memory.active_bytes);
    reply_number(reply, "allocator.resident", memory.heap_resident_bytes);
    reply_ratio(reply, "allocator-fragmentation.ratio", memory.active_bytes,
                memory.allocated_bytes);
    reply_ratio(reply, "fragmentation", memory.resident_bytes, memory.used_bytes);
}

/* ---- in words ---- */

/* The page's words, from the same figures: of the last second. */
void cmd_memory_doctor(struct cmd_context *context)
{
    struct memory_facts facts;
    struct ebb_buf text;

    context->service->memory_facts(context->service->server, &facts);
    ebb_buf_init(&text, context->reply.out->max_bytes);
    facts_verdict(&facts, &text);
    ebb_reply_verbatim(&context->reply, ebb_buf_data(&text), ebb_buf_len(&text));
    ebb_buf_release(&text);
}

void cmd_memory_malloc_stats(struct cmd_context *context)
{
    struct info_memory memory;
    struct ebb_buf text;

    store_leave(context->store);
    info_memory(context, &memory);
    ebb_buf_init(&text, context->reply.out->max_bytes);
    ebb_buf_printf(&text,
                   "allocated %zu, active %zu, resident %zu, metadata %zu bytes\n"
                   "spans %zu, idle %zu bytes; moved %llu bytes in %llu objects since start\n",
                   memory.allocated_bytes, memory.active_bytes, memory.heap_resident_bytes,
                   memory.metadata_bytes, memory.spans, memory.idle_bytes,
                   (unsigned long long)memory.moved_bytes,
                   (unsigned long long)memory.moved_objects);
    ebb_reply_verbatim(&context->reply, ebb_buf_data(&text), ebb_buf_len(&text));
    ebb_buf_release(&text);
}

/* ---- giving back ---- */

void cmd_memory_purge(struct cmd_context *context)
{
    store_leave(context->store);
    store_purge(context->store);
    reply_ok(context);
}

void cmd_memory_help(struct cmd_context *context)
{
    static const char *const lines[] = {
        "DOCTOR",
        "    Says in words how memory is used.",
        "MALLOC-STATS",
        "    Prints the state of the allocator.",
        "PURGE",
        "    Compacts the values and gives every idle page back to the system.",
        "STATS",
        "    Answers figures about memory.",
        "USAGE <key> [SAMPLES <count>]",
        "    Answers how many bytes <key> and its value take, with their share of the index.",
    };
    reply_help(context, "MEMORY", lines, sizeof(lines) / sizeof(lines[0]));
}
