/* SPDX-License-Identifier: MIT */
/* slowlog.h: the commands that took long, for SLOWLOG; and how it is known that they did.
 *
 * Reading the clock for each command would cost a fast one more than it is worth. A command that
 * may take long (many words, long values, a look at the whole keyspace) is timed by itself. For the
 * others time runs from the last look at the clock, and is looked at again only when a reply got
 * long: what short commands before it took in the same batch is then counted in, a fraction of a
 * millisecond. A write that finds no memory looks at the clock before it makes room, and is timed
 * from there. With slowlog-log-slower-than below a millisecond, or with
 * latency-monitor-threshold, every command is timed by itself.
 */
#ifndef EBB_SLOWLOG_H
#define EBB_SLOWLOG_H

#include <pthread.h>
#include <stdbool.h>

#include "../../proto/ebb_proto.h"

#define SLOWLOG_ARGS_MAX      32u  /* kept of a command */
#define SLOWLOG_ARG_MAX_BYTES 128u /* and of each of its words */

/* A worker's clock, as commands see it. */
struct command_clock {
    uint64_t last_ns;       /* monotonic: the last look */
    int64_t slower_than_us; /* the setting, at the start of the batch; below 0: nothing is logged */
    int64_t event_ms;       /* latency-monitor-threshold likewise; 0: none is kept (events.h) */
};

struct slow_entry {
    struct slow_entry *older, *newer;
    int64_t id, time_s, took_us;
    uint32_t count;
    struct ebb_slice args[SLOWLOG_ARGS_MAX]; /* in the bytes below */
    struct ebb_slice address, name;
    char bytes[];
};

struct slowlog {
    pthread_mutex_t mutex;
    struct slow_entry *newest, *oldest;
    size_t count;
    int64_t next_id;
};
void slowlog_init(struct slowlog *slowlog);
void slowlog_release(struct slowlog *slowlog);
/* Takes the entry over; the oldest go until no more than `max` are left. */
void slowlog_add(struct slowlog *slowlog, struct slow_entry *entry, size_t max);
void slowlog_reset(struct slowlog *slowlog);

#endif
