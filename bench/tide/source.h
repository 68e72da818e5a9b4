/* SPDX-License-Identifier: MIT */
/* source.h: where the figures of the server come from: its process and cgroup on this machine, its
 * own INFO, a page of metrics; and what it says of itself.
 */
#ifndef EBB_TIDE_SOURCE_H
#define EBB_TIDE_SOURCE_H

#include <netdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "gauge.h"
#include "lane.h"
#include "metrics.h"

enum source_kind { SOURCE_PROCESS, SOURCE_INFO, SOURCE_METRICS };

struct source {
    enum source_kind kind;
    pid_t pid;                      /* SOURCE_PROCESS */
    char charge_path[512];          /* of the cgroup's charge, "" if it can't be read */
    const struct addrinfo *address; /* SOURCE_INFO */
    struct metrics metrics;         /* SOURCE_METRICS */
    struct gauge gauge;             /* asks the last two */
};

/* Each 0, or -1 with why in `error`; source_release in any case. */
int source_of_process(struct source *source, pid_t pid, char error[], size_t error_size);
/* used_memory_rss and used_cpu_* of INFO. The address stays the caller's. */
int source_of_info(struct source *source, const struct addrinfo *address, char error[],
                   size_t error_size);
int source_of_metrics(struct source *source, const char *url, char error[], size_t error_size);
void source_release(struct source *source);
/* Exact: what holds now; of a process smaps_rollup, which walks the page tables, else statm. Not
 * exact does not wait. false: the process is gone, or no answer comes any more. */
bool source_read(struct source *source, bool is_exact, struct reading *reading);
/* What it is, for people. */
void source_text(const struct source *source, char text[], size_t size);

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
