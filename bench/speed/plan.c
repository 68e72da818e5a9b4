/* SPDX-License-Identifier: MIT */
/* plan.c: see plan.h: how a server of the plan is started. */
#include "plan.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "../workload.h"

#define MEMCACHED_USUAL_MAX (1000u * 1000) /* of a value, without -I */

/* As many clients as the limit of open files allows, at most PLAN_CLIENTS_MAX. */
static const char *clients_text(void)
{
    static char text[16];
    struct rlimit files;
    unsigned clients = PLAN_CLIENTS_MAX;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < clients + PLAN_FILES_BESIDE)
        clients = files.rlim_cur > 2 * PLAN_FILES_BESIDE
                      ? (unsigned)files.rlim_cur - PLAN_FILES_BESIDE
                      : PLAN_FILES_BESIDE;
    snprintf(text, sizeof text, "%u", clients);
    return text;
}

void plan_proc(const struct plan *plan, const struct plan_server *server, size_t value_bytes,
               struct proc *proc)
{
    static const char *ebb[] = {"--threads", "1", "--maxclients", NULL, NULL};
    static const char *redis[] = {"--maxclients", NULL, NULL};
    static const char *memcached[] = {"-t", "1", "-c", NULL, "-I", NULL, NULL};
    static const char *limit[] = {NULL};
    ebb[3] = redis[1] = memcached[3] = clients_text();
    memcached[5] = value_bytes < MEMCACHED_USUAL_MAX ? "1m" : "8m";
    *proc = (struct proc){.name = server->name,
                          .label = server->label,
                          .binary = server->binary,
                          .value_bytes = value_bytes,
                          .cpus = &plan->cores.server};
    if (strcmp(server->name, "ebb") == 0)
        proc->extra = ebb;
    else if (strcmp(server->name, "redis") == 0)
        proc->extra = redis;
    else if (strcmp(server->name, "memcached") == 0)
        proc->extra = memcached;
    else
        proc->extra = limit;
}

const struct plan_server *plan_find(const struct plan *plan, const char *label)
{
    for (size_t s = 0; s < plan->server_count; s++)
        if (strcmp(plan->servers[s].label, label) == 0)
            return &plan->servers[s];
    return NULL;
}
