/* SPDX-License-Identifier: MIT */
/* source.h: where the figures of the server come from: its process and cgroup on this machine, its
 * own INFO, a page of metrics.
 */
#ifndef EBB_TIDE_SOURCE_H
#define EBB_TIDE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "gauge.h"
#include "metrics.h"
#include "peer.h"

enum source_kind { SOURCE_PROCESS, SOURCE_INFO, SOURCE_METRICS };

struct source {
    enum source_kind kind;
    pid_t pid;               /* SOURCE_PROCESS */
    char charge_path[512];   /* of the cgroup's charge, "" if it can't be read */
    const struct peer *peer; /* SOURCE_INFO */
    struct metrics metrics;  /* SOURCE_METRICS */
    struct gauge gauge;      /* asks the last two */
};

/* Each 0, or -1 with why in `error`; source_release in any case. */
int source_of_process(struct source *source, pid_t pid, char error[], size_t error_size);
/* used_memory_rss and used_cpu_* of INFO. The peer stays the caller's. */
int source_of_info(struct source *source, const struct peer *peer, char error[], size_t error_size);
int source_of_metrics(struct source *source, const char *url, char error[], size_t error_size);
void source_release(struct source *source);
/* Exact: what holds now; of a process smaps_rollup, which walks the page tables, else statm. Not
 * exact does not wait. false: the process is gone, or no answer comes any more. */
bool source_read(struct source *source, bool is_exact, struct reading *reading);
/* What it is, for people. */
void source_text(const struct source *source, char text[], size_t size);

#endif
