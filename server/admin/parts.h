/* SPDX-License-Identifier: MIT */
/* parts.h: every resident byte has a name. From what the store, the connections and the kernel say
 * to parts that add up to the kernel's resident bytes, exactly and always. Pure.
 */
#ifndef EBB_PARTS_H
#define EBB_PARTS_H

#include <stddef.h>
#include <stdint.h>

#include "../store/stats.h"
#include "process.h"

enum part {
    PART_LIVE, /* keys and values as stored; expired ones until they are reaped */
    PART_ITEM_HEADER,
    PART_SLOT_SLACK,  /* what slots are larger than their items */
    PART_SLOT_FREE,   /* resident pages of spans that no item uses: compaction's to win */
    PART_SPAN_IDLE,   /* resident pages in no span: trim's to win */
    PART_LARGE_SLACK, /* the rest of the last page of large items */
    PART_INDEX,
    PART_POLICY, /* eviction and expiry state outside of item and index */
    PART_ALLOCATOR_METADATA,
    PART_CONNECTIONS, /* their structs and buffers, and values that only they want any more */
    PART_HISTORY,     /* of the last hour, for the page */
    PART_LIBC_HEAP,   /* all other memory of malloc, used and free */
    PART_STACKS,
    PART_FILE,    /* program text, libraries, shared memory */
    PART_PROGRAM, /* data, bss and relocated pages */
    PART_UNATTRIBUTED,
    PART_COUNT
};

struct parts {
    size_t bytes[PART_COUNT];
    int64_t skew_bytes; /* what was claimed for all parts, minus what is resident */
};

const char *part_name(enum part part);
const char *part_help(enum part part);

void parts_compute(const struct store_stats *store, const struct process_memory *memory,
                   size_t connection_bytes, size_t history_bytes, struct parts *parts);

#endif
