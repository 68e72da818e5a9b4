/* SPDX-License-Identifier: MIT */
/* source.h: where the figures of the server come from: its process, its cgroup, its own word. */
#ifndef EBB_TIDE_SOURCE_H
#define EBB_TIDE_SOURCE_H

#include <netdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lane.h"

struct source {
    pid_t pid;
    char charge_path[512]; /* of the cgroup's charge, "" if it can't be read */
};

struct reading { /* NAN: not to be had */
    double resident, charged, cpu_seconds, faults;
};

void source_init(struct source *source, pid_t pid);
/* Exact: smaps_rollup, which walks the page tables; else statm. false: the process is gone. */
bool source_read(const struct source *source, bool is_exact, struct reading *reading);

/* Asks the server on a connection of its own, two seconds at most: the answer's length, or -1. */
ssize_t server_ask(const struct addrinfo *address, const char *question, const char *end,
                   char answer[], size_t size);
/* The number behind `name` in an answer, NAN if there is none. */
double answer_number(const char *answer, const char *name);

/* Keys and values by the server's own count; NAN if it has none. memcached: bytes less what an
 * item has beside them; Ebb: INFO's used_memory_dataset, stats' bytes less its header. */
double server_live_bytes(const struct addrinfo *address, enum protocol protocol);
double server_items(const struct addrinfo *address, enum protocol protocol);

#endif
