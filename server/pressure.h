/* SPDX-License-Identifier: MIT */
/* pressure.h: what the system's shortage of memory asks of us: first to compact and trim all that
 * can be, then to live with less, five percent of the limit a step. Pure but for who calls it.
 */
#ifndef EBB_PRESSURE_H
#define EBB_PRESSURE_H

#include "cgroup.h"

#define PRESSURE_STEP_PERCENT 5u
#define PRESSURE_LEVEL_MAX    5u /* 1 is to try harder, each one above it a step */
#define PRESSURE_QUIET_MS     10000u
#define PRESSURE_STALL_SHARE  10u /* percent of the time that tasks wait for memory */

struct pressure {
    unsigned level; /* 0: none */
    bool has_last;  /* the counters below have been read */
    struct cgroup_pressure last;
    int64_t last_ms, changed_ms;
    uint64_t stalls_us; /* since start */
    uint64_t rises;     /* of the level, since start */
};

/* Takes the counters of a look, about once a second. Returns the level: it rises by one a look
 * under pressure, and falls by one for each PRESSURE_QUIET_MS without. */
unsigned pressure_look(struct pressure *pressure, const struct cgroup_pressure *now,
                       int64_t now_ms);
/* What the level takes off the limit, in percent. */
unsigned pressure_lowers(unsigned level);

#endif
