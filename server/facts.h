/* SPDX-License-Identifier: MIT */
/* facts.h: what is known of memory at one moment, for all who tell it: the page, /api, MEMORY STATS
 * and MEMORY DOCTOR say the same numbers because they are these.
 *
 * Taken once a second on the main thread; service->memory_facts() copies them on any thread.
 */
#ifndef EBB_FACTS_H
#define EBB_FACTS_H

#include <stddef.h>
#include <stdint.h>

#include "../proto/ebb_buf.h"

#define FACTS_PARTS_MAX 24

struct memory_fact {
    const char *name, *help; /* constant texts */
    size_t bytes;
};

struct memory_facts {
    double time_seconds; /* unix; 0: nothing is known yet */
    size_t resident_bytes, live_bytes;
    size_t limit_bytes; /* 0: none */
    size_t resident_peak_bytes, live_peak_bytes;
    size_t items, clients;
    size_t unread_bytes;     /* room of buffers for replies, and values that only clients want */
    size_t unfinished_bytes; /* room of buffers for commands */
    struct memory_fact parts[FACTS_PARTS_MAX]; /* they add up to resident_bytes */
    unsigned part_count;
    int64_t skew_bytes;       /* what was claimed for them, minus what is resident */
    size_t reclaimable_bytes; /* what compaction could free now */
    size_t pinned_bytes;      /* of spans that can't move at this moment, and are still wanted */
    size_t idle_bytes, keep_bytes; /* free and resident; of these, kept for demand to come */
    double window_seconds;         /* how far back trim looks for it */
    double follow_lag_seconds;
    double evicted_per_second; /* items, since the look before */
    size_t swap_bytes, anon_huge_bytes;
    bool is_compacting;
};

/* 0 when there is no part of that name. */
size_t facts_part(const struct memory_facts *facts, const char *name);

/* A short verdict in words: what resident memory is made of, what could still be won, what keeps
 * it, what to change. Sentences, each ended by a line end. Pure. */
void facts_verdict(const struct memory_facts *facts, struct ebb_buf *out);

/* "0 B", "1023 B", "1.5 KiB", "12.3 MiB". Pure. */
#define FACTS_BYTES_TEXT 32
void facts_format_bytes(char *text, size_t size, uint64_t bytes);

#endif
