/* SPDX-License-Identifier: MIT */
/* scenes.h: what `memory` does with one server: the workloads and the scenes beside them. Each
 * starts the server afresh, adds its figures to the report, and ends the server.
 */
#ifndef EBB_BENCH_SCENES_H
#define EBB_BENCH_SCENES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client.h"
#include "proc.h"
#include "report.h"

#define PERIODS_MAX 8

struct plan {
    uint64_t live_bytes;
    double written;         /* times live_bytes, in each writing phase */
    unsigned workload_mask; /* bit 0: W1 */
    size_t items;           /* of overhead and growth, 0: their own */
    double periods[PERIODS_MAX];
    size_t period_count;
    unsigned waves; /* per period, 0: by its length */
    double churn_seconds;
    unsigned batch;
    uint64_t seed;
    bool has_parts; /* print Ebb's parts of resident memory at the end of each phase */
};

/* A server, a client on it, a sampler: what every scene begins and ends with. */
struct stage {
    const struct plan *plan;
    struct report *report;
    struct proc proc;
    struct client client;
    struct sampler sampler;
    uint64_t idle_bytes; /* RSS before the first key */
};

void stage_open(struct stage *stage, const struct plan *plan, struct report *report,
                const struct proc *proc, uint64_t live_bytes, struct sizes key_lengths);
void stage_close(struct stage *stage);
/* RSS now, exactly; with --parts Ebb's account of it. */
uint64_t stage_rss(struct stage *stage, const char *when);
/* Waits until `bound` holds, then until `ms` have passed in all. Returns after how many seconds it
 * held, or -1: never. */
double stage_follow(struct stage *stage, double bound, uint64_t ms);
/* Waits until `bound` holds, at most `ms`. Returns after how many seconds, or -1. */
double stage_await(struct stage *stage, double bound, uint64_t ms);
/* Of Ebb's figures: bytes moved, the longest slice of upkeep. 0 for others. */
double stage_moved_bytes(const struct stage *stage);
double stage_slice_max_us(const struct stage *stage);
/* Reads everything back. */
void stage_verify(struct stage *stage);
/* Adds the number of replies that were not right, and closes. true: there were none. */
bool stage_end(struct stage *stage);

/* Each returns whether every reply was right. */
bool scene_workloads(const struct plan *plan, struct report *report, const struct proc *proc,
                     const struct workload *workload);
bool scene_frag(const struct plan *plan, struct report *report, const struct proc *proc);
bool scene_keep(const struct plan *plan, struct report *report, const struct proc *proc);
bool scene_overhead(const struct plan *plan, struct report *report, const struct proc *proc);
bool scene_growth(const struct plan *plan, struct report *report, const struct proc *proc);
bool scene_square(const struct plan *plan, struct report *report, const struct proc *proc);
bool scene_limit(const struct plan *plan, struct report *report, const struct proc *proc);
bool scene_churn(const struct plan *plan, struct report *report, const struct proc *proc);

#endif
