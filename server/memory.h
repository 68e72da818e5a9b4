/* SPDX-License-Identifier: MIT */
/* memory.h: holds the process to maxmemory: looks at what is resident and how hard the system is
 * pressed, and tells the store what it may hold. What others may know of it stands in
 * service->limits.
 */
#ifndef EBB_MEMORY_H
#define EBB_MEMORY_H

#include <uv.h>

#include "cgroup.h"
#include "limit.h"
#include "log.h"
#include "pressure.h"
#include "service.h"

struct memory {
    struct service *service;
    struct log *log;
    struct cgroup cgroup;
    struct pressure pressure; /* the main thread's, but for its level */
    uv_mutex_t mutex;         /* of what follows */
    struct limit_plan plan;
    bool has_plan;
    uint64_t looked_ns;
    int resident_fd;      /* see limit.h */
    int64_t warned_limit; /* the limit that was said to be too small, 0: none */
};

/* Finds the group and what `maxmemory auto` comes to. `root` and `proc` as in cgroup_find(). */
void memory_find(struct cgroup *cgroup, struct options *options, const char *root,
                 const char *proc);
int memory_init(struct memory *memory, struct service *service, struct log *log); /* 0 or -1 */
void memory_release(struct memory *memory);
/* Before each call of upkeep: looks unless it did a moment ago. */
void memory_tick(struct memory *memory);
/* From any thread, when a setting has changed: it is in force when this returns. */
void memory_look(struct memory *memory);
/* Once a second, on the main thread. */
void memory_second(struct memory *memory);

#endif
