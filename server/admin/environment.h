/* SPDX-License-Identifier: MIT */
/* environment.h: what the system around says of memory: the control group (v1 or v2) and its
 * pressure, what is left on the machine, and what the kernel makes of our pages. Main thread only.
 *
 * What a machine lacks (no control group, no pressure files) is found out at the start and stays
 * missing: series neither appear nor disappear.
 */
#ifndef EBB_ENVIRONMENT_H
#define EBB_ENVIRONMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct environment {
    bool has_cgroup;           /* with memory accounting, and not the root of all */
    double cgroup_limit_bytes; /* the least of its own and those above; infinity: none */
    uint64_t cgroup_current_bytes, cgroup_peak_bytes, cgroup_anon_bytes;
    uint64_t cgroup_high, cgroup_max, cgroup_oom, cgroup_oom_kill; /* events since it exists */
    bool has_pressure;
    bool is_pressure_of_system;          /* not of the control group */
    double pressure_some, pressure_full; /* seconds of stall since start */
    uint64_t available_bytes;            /* on the machine, without swapping */
    char huge_pages[16];                 /* transparent ones: "madvise"; "none": no such thing */
    /* of /proc/self/smaps_rollup, read less often the dearer it is */
    uint64_t anon_huge_bytes, lazy_free_bytes;
};

struct environment_files;
/* `root` stands before every path, for tests; "" otherwise. 0 or -1: no memory. */
int environment_create(struct environment_files **files, const char *root);
void environment_destroy(struct environment_files *files);
/* Reads everything anew. now_ns: monotonic. What can't be read keeps its last value. */
void environment_read(struct environment_files *files, uint64_t now_ns,
                      struct environment *environment);

#endif
