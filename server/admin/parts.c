/* SPDX-License-Identifier: MIT */
/* parts.c: the arithmetic of resident memory.
 *
 *   resident   == file + shmem + anonymous
 *   anonymous  == value range + metadata + libc (connections, history among it) + stacks + program
 *   range      == item spans + index (but for its directories, which are of libc) + idle
 *   item spans == live + header + slack (small, large) + free
 *
 * The figures are of moments some microseconds apart, and some are the allocator's belief about
 * pages, so they can miss. What is missing is `unattributed`; what is too much is taken off again,
 * from the least certain part first. Both show in the skew, which is not corrected.
 */
#include "parts.h"

#include <string.h>

static const struct {
    const char *name, *help;
} part_rows[PART_COUNT] = {
    [PART_LIVE] = {"live", "keys and values as stored"},
    [PART_ITEM_HEADER] = {"item_header", "headers of items"},
    [PART_SLOT_SLACK] = {"slot_slack", "rounding up to slots"},
    [PART_SLOT_FREE] = {"slot_free", "free room in spans, for compaction"},
    [PART_SPAN_IDLE] = {"span_idle", "free pages, for trim"},
    [PART_LARGE_SLACK] = {"large_slack", "rounding up of large values to pages"},
    [PART_INDEX] = {"index", "the hash index"},
    [PART_POLICY] = {"policy", "eviction and expiry state of its own"},
    [PART_ALLOCATOR_METADATA] = {"allocator_metadata", "page maps and span descriptors"},
    [PART_CONNECTIONS] = {"connections",
                          "clients, their buffers, deleted values on their way to them"},
    [PART_HISTORY] = {"history", "the last hour, second by second"},
    [PART_LIBC_HEAP] = {"libc_heap", "everything else from malloc"},
    [PART_STACKS] = {"stacks", "stacks of threads"},
    [PART_FILE] = {"file", "program text, libraries, shared memory"},
    [PART_PROGRAM] = {"program", "data, bss, relocations"},
    [PART_UNATTRIBUTED] = {"unattributed", "no name for it"},
};

const char *part_name(enum part part)
{
    return part_rows[part].name;
}

const char *part_help(enum part part)
{
    return part_rows[part].help;
}

static size_t minus(size_t a, size_t b)
{
    return a > b ? a - b : 0;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* slot_bytes of the heap covers large objects, whose slot is their run of pages, and what is
 * deleted but still being sent: that is of the connections. */
static void add_items(const struct store_stats *store, size_t *bytes)
{
    const struct ebb_heap_stats *heap = &store->item_heap;
    size_t stored = store->key_bytes + store->value_bytes;
    size_t slack = minus(heap->slot_bytes, heap->freed_pinned_bytes + stored + store->header_bytes);
    bytes[PART_LIVE] = stored;
    bytes[PART_ITEM_HEADER] = store->header_bytes;
    bytes[PART_LARGE_SLACK] =
        least(slack, minus(heap->large_bytes, heap->freed_pinned_bytes + store->large_item_bytes));
    bytes[PART_SLOT_SLACK] = slack - bytes[PART_LARGE_SLACK];
    bytes[PART_SLOT_FREE] = minus(heap->resident_bytes, heap->slot_bytes);
    bytes[PART_SPAN_IDLE] = store->pool.idle_bytes;
    bytes[PART_INDEX] = store->index_bytes;
    bytes[PART_ALLOCATOR_METADATA] = store->pool.metadata_bytes;
    bytes[PART_POLICY] = store->ghost_bytes; /* all else lives in headers and index slots */
}

/* When the kernel could not be asked about all of it, it is what is left of the anonymous memory.
 */
static size_t libc_bytes(const struct store_stats *store, const struct process_memory *memory)
{
    if (!memory->is_partial)
        return memory->libc_bytes;
    return minus(memory->anon_bytes, store->item_heap.resident_bytes +
                                         store->index_heap.resident_bytes + store->pool.idle_bytes +
                                         memory->stack_bytes + memory->program_bytes);
}

/* The kernel gives one figure for all anonymous memory outside the value range: the allocator's
 * metadata, the directories of the index, the history and the connections are in it, and libc has
 * the rest. */
static void add_process(const struct store_stats *store, const struct process_memory *memory,
                        size_t connection_bytes, size_t history_bytes, size_t *bytes)
{
    size_t directories = minus(store->index_bytes, store->index_heap.resident_bytes);
    size_t rest = minus(libc_bytes(store, memory),
                        bytes[PART_ALLOCATOR_METADATA] + directories + bytes[PART_POLICY]);
    bytes[PART_CONNECTIONS] = least(connection_bytes, rest);
    rest -= bytes[PART_CONNECTIONS];
    bytes[PART_CONNECTIONS] += store->item_heap.freed_pinned_bytes;
    bytes[PART_HISTORY] = least(history_bytes, rest);
    bytes[PART_LIBC_HEAP] = rest - bytes[PART_HISTORY];
    bytes[PART_STACKS] = memory->stack_bytes;
    bytes[PART_FILE] = memory->file_bytes + memory->shmem_bytes;
    bytes[PART_PROGRAM] = memory->program_bytes;
}

/* Beliefs about pages go first, the kernel's own figures next, what users stored last. */
static void take_off(size_t *bytes, size_t excess)
{
    static const enum part order[] = {
        PART_SLOT_FREE,   PART_SPAN_IDLE, PART_LARGE_SLACK,
        PART_SLOT_SLACK,  PART_INDEX,     PART_ALLOCATOR_METADATA,
        PART_POLICY,      PART_LIBC_HEAP, PART_STACKS,
        PART_PROGRAM,     PART_HISTORY,   PART_CONNECTIONS,
        PART_ITEM_HEADER, PART_LIVE,      PART_FILE,
    };
    _Static_assert(sizeof order / sizeof order[0] == PART_COUNT - 1, "every part has its turn");
    for (size_t i = 0; i < sizeof order / sizeof order[0] && excess > 0; i++) {
        size_t taken = least(excess, bytes[order[i]]);
        bytes[order[i]] -= taken;
        excess -= taken;
    }
}

void parts_compute(const struct store_stats *store, const struct process_memory *memory,
                   size_t connection_bytes, size_t history_bytes, struct parts *parts)
{
    memset(parts, 0, sizeof *parts);
    add_items(store, parts->bytes);
    add_process(store, memory, connection_bytes, history_bytes, parts->bytes);
    size_t claimed = 0;
    for (size_t i = 0; i < PART_COUNT; i++)
        claimed += parts->bytes[i];
    parts->skew_bytes = (int64_t)(claimed - memory->resident_bytes);
    if (claimed > memory->resident_bytes)
        take_off(parts->bytes, claimed - memory->resident_bytes);
    else
        parts->bytes[PART_UNATTRIBUTED] = memory->resident_bytes - claimed;
}
