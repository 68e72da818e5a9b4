/* SPDX-License-Identifier: MIT */
/* drive.h: plays a load against a server on 127.0.0.1 with as little work as possible, and says
 * what that work was.
 *
 * Each connection sends a batch, waits for the last of its replies and sends the next (a closed
 * loop). A batch is one send, a reply is counted by comparing its head; long values are thrown away
 * by the kernel. The time of an operation is that from the sending of its batch to the last reply
 * of it. A reply that is not what it must be, or a byte too many, ends the program.
 */
#ifndef EBB_BENCH_DRIVE_H
#define EBB_BENCH_DRIVE_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "events.h"
#include "../histogram.h"
#include "load.h"

struct drive_options {
    uint16_t port;
    unsigned connections;
    unsigned threads;      /* 0: one */
    double warm_seconds;   /* not counted, before the others */
    double seconds;        /* 0: until there were so many operations */
    uint64_t operations;   /* keys read or written */
    const cpu_set_t *cpus; /* where the driver's threads run; NULL: anywhere */
    pid_t server;          /* whose CPU time is looked at; 0: nobody's */
};

struct drive_result {
    uint64_t operations, commands, misses;
    uint64_t sent_bytes, received_bytes;
    double seconds;
    double driver_cpu_seconds, server_cpu_seconds; /* all threads of each */
    unsigned driver_threads;
    struct events_count server_events;
    struct histogram latency; /* of operations */
};

void drive(const struct load *load, const struct drive_options *options,
           struct drive_result *result);

/* How much of its time a thread of the driver, or the server, was at work: 1 is one processor. */
static inline double drive_driver_busy(const struct drive_result *result)
{
    return result->driver_cpu_seconds / result->seconds / result->driver_threads;
}

static inline double drive_server_busy(const struct drive_result *result)
{
    return result->server_cpu_seconds / result->seconds;
}

/* Whether more operations were not possible because the driver had no time for them. */
bool drive_is_limit(const struct drive_result *result);
/* Whether neither had its processor, though there was always something to do: others had it. Means
 * nothing with one connection. */
bool drive_was_disturbed(const struct drive_result *result);

#endif
