/* SPDX-License-Identifier: MIT */
/* plan.h: what is to be measured, with whom, for how long: what the command line says. */
#ifndef EBB_BENCH_PLAN_H
#define EBB_BENCH_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../cores.h"
#include "../proc.h"
#include "../report.h"
#include "reach.h"

#define PLAN_SERVERS_MAX  8
#define PLAN_LABEL_MAX    16
#define PLAN_ROUNDS_MAX   64
#define PLAN_CLIENTS_MAX  12000u /* what servers are told to expect */
#define PLAN_FILES_BESIDE 200u   /* of a process, beside its connections */

struct plan_server {
    char name[PLAN_LABEL_MAX];  /* ebb, limit, redis or memcached: how it is started */
    char label[PLAN_LABEL_MAX]; /* in tables */
    const char *binary;         /* NULL: the usual one */
};

struct plan {
    struct plan_server servers[PLAN_SERVERS_MAX];
    size_t server_count;
    unsigned rounds, stall_rounds;
    double seconds, warm_seconds; /* of one contestant's turn */
    double stall_seconds;         /* of watching one kind of upkeep */
    uint64_t cold_bytes;          /* of keys and values in a key space that fits no cache */
    uint64_t stall_items;         /* to fill to, while others are probed */
    unsigned crowd;               /* connections at the same time */
    bool is_quick;
    struct cores cores;
};

/* How it is to be started: one worker, on the server's processor, with room for the crowd and for
 * values of that length. */
void plan_proc(const struct plan *plan, const struct plan_server *server, size_t value_bytes,
               struct proc *proc);
/* NULL: not among them. */
const struct plan_server *plan_find(const struct plan *plan, const char *label);

/* The scenes: each prints its tables through the report and adds its lines to `reach`. */
void scene_courses(const struct plan *plan, struct report *report, struct reach *reach);
void scene_sweep(const struct plan *plan, struct report *report, struct reach *reach);
void scene_stalls(const struct plan *plan, struct report *report, struct reach *reach);
void scene_crowd(const struct plan *plan, struct report *report, struct reach *reach);
void scene_scrapes(const struct plan *plan, struct report *report, struct reach *reach);
void scene_workers(const struct plan *plan, struct report *report, struct reach *reach);

#endif
