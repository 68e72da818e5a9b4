/* SPDX-License-Identifier: MIT */
/* ring.h: the servers that are compared: started beside each other, filled with the same keys,
 * driven one at a time, in turn, round after round.
 *
 * A contestant is a server and a protocol. Every contestant of a protocol is sent the same bytes.
 */
#ifndef EBB_BENCH_RING_H
#define EBB_BENCH_RING_H

#include "../proc.h"
#include "../report.h"
#include "../cores.h"
#include "drive.h"
#include "plan.h"
#include "spread.h"

#define RING_CONTESTANTS_MAX (3 * PLAN_SERVERS_MAX)

struct contestant {
    char label[PLAN_LABEL_MAX + 8];
    size_t server; /* which of the ring's */
    enum load_protocol protocol;
};

struct ring {
    const struct plan *plan;
    struct proc servers[PLAN_SERVERS_MAX];
    size_t server_count;
    struct contestant contestants[RING_CONTESTANTS_MAX];
    size_t contestant_count;
    uint64_t keys;
    size_t value_bytes;
};

/* One line of questions. */
struct course {
    const char *name;
    size_t value_bytes;
    unsigned depth, connections, multiget;
    bool is_cold; /* more keys than any cache holds */
};

/* What each contestant reached in each round. */
struct outcome {
    const struct ring *ring;
    const struct course *course;
    unsigned rounds;
    struct drive_result *results; /* [contestant][round] */
};

/* Starts all servers of the plan that are installed, and stores all keys. */
void ring_open(struct ring *ring, const struct plan *plan, size_t value_bytes, uint64_t keys);
void ring_close(struct ring *ring);

void ring_play(const struct ring *ring, const struct course *course, struct outcome *outcome);
void outcome_release(struct outcome *outcome);

static inline const struct drive_result *outcome_at(const struct outcome *outcome,
                                                    size_t contestant, unsigned round)
{
    return &outcome->results[contestant * outcome->rounds + round];
}

/* The contestant of that label, or contestant_count. */
size_t ring_find(const struct ring *ring, const char *label);

/* ---- figures ---- */

typedef double drive_figure(const struct drive_result *result);

drive_figure drive_operations_per_second, drive_server_ns, drive_driver_ns, drive_received_mb;

struct spread outcome_spread(const struct outcome *outcome, size_t contestant,
                             drive_figure *figure);
/* The same for one contestant over another, round by round. */
struct spread outcome_ratio(const struct outcome *outcome, size_t contestant, size_t other,
                            drive_figure *figure);
/* Whether that is so in more than half of the contestant's rounds. */
typedef bool drive_finding(const struct drive_result *result);
bool outcome_mostly(const struct outcome *outcome, size_t contestant, drive_finding *finding);

/* A line of figures for each contestant, as the topic of the course's name. */
void outcome_report(const struct outcome *outcome, struct report *report);

#endif
