/* SPDX-License-Identifier: MIT */
/* cores.h: which processors the driver has and which the servers, so that neither takes the other's
 * time.
 */
#ifndef EBB_BENCH_CORES_H
#define EBB_BENCH_CORES_H

#include <sched.h>
#include <stdbool.h>

struct cores {
    cpu_set_t driver; /* one processor */
    cpu_set_t server; /* one, of another core if there is one */
    cpu_set_t both;   /* the two */
    bool is_shared;   /* there is only one: figures in time mean little */
    bool is_sibling;  /* two processors of one core */
};

/* Of those that this process may use. */
void cores_choose(struct cores *cores);
/* One line: who runs where. */
void cores_print(const struct cores *cores);

#endif
