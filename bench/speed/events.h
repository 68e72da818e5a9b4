/* SPDX-License-Identifier: MIT */
/* events.h: what the processor counts while a process runs: instructions and cycles, where the
 * system and the machine (many virtual ones have no counters) allow; and its context switches.
 */
#ifndef EBB_BENCH_EVENTS_H
#define EBB_BENCH_EVENTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum event { EVENT_INSTRUCTIONS, EVENT_CYCLES, EVENT_SWITCHES, EVENT_COUNT };

#define EVENTS_THREADS_MAX 128

struct events {
    int fds[EVENTS_THREADS_MAX][EVENT_COUNT];
    unsigned threads;
};

struct events_count {
    uint64_t counts[EVENT_COUNT];
    bool has[EVENT_COUNT];
};

/* Counts begin, for the threads that the process has now. */
void events_open(struct events *events, pid_t pid);
/* What was counted until now; ends the counting. */
struct events_count events_close(struct events *events);

#endif
