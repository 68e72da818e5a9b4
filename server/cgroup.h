/* SPDX-License-Identifier: MIT */
/* cgroup.h: what the system allows this process and how hard it is pressed: memory limits of cgroup
 * v1 and v2, the machine's memory, pressure stall information. All files are read below two
 * folders, so that tests can bring their own.
 */
#ifndef EBB_CGROUP_H
#define EBB_CGROUP_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cgroup {
    char group[PATH_MAX]; /* folder of this process's memory group, "": none */
    char top[PATH_MAX];   /* where its parents end */
    char proc[PATH_MAX];  /* usually /proc */
    bool is_v2;
};

/* Finds the group of this process. `root` is usually /sys/fs/cgroup, `proc` /proc. */
void cgroup_find(struct cgroup *cgroup, const char *root, const char *proc);
/* The least limit of the group and its parents in bytes, 0: none. */
uint64_t cgroup_limit(const struct cgroup *cgroup);
/* Memory of the machine in bytes, 0 when it does not say. */
uint64_t cgroup_machine(const struct cgroup *cgroup);
/* What `maxmemory auto` comes to: 80 % of the lesser of the two. */
uint64_t cgroup_auto(const struct cgroup *cgroup);

/* Counters since the start of the group or the machine. */
struct cgroup_pressure {
    bool has_stalls;    /* the kernel keeps pressure stall information */
    uint64_t stalls_us; /* some task waited for memory: of the group, else of the machine */
    uint64_t hits;      /* the group ran against its limit */
    uint64_t kills;     /* and something was killed for it */
};
void cgroup_read_pressure(const struct cgroup *cgroup, struct cgroup_pressure *pressure);

#endif
