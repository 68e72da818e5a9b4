/* SPDX-License-Identifier: MIT */
/* events.c: see events.h. User and kernel are counted together: half of a request is the kernel's.
 */
#include "events.h"

#include <dirent.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
    uint32_t type;
    uint64_t config;
} rows[EVENT_COUNT] = {
    [EVENT_INSTRUCTIONS] = {PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS},
    [EVENT_CYCLES] = {PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES},
    [EVENT_SWITCHES] = {PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CONTEXT_SWITCHES},
};

static int open_event(enum event event, pid_t thread)
{
    struct perf_event_attr attributes = {
        .size = sizeof attributes, .type = rows[event].type, .config = rows[event].config};
    return (int)syscall(SYS_perf_event_open, &attributes, thread, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

void events_open(struct events *events, pid_t pid)
{
    char path[64];
    events->threads = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *folder = opendir(path);
    if (folder == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        pid_t thread = (pid_t)atoi(entry->d_name);
        if (thread <= 0 || events->threads == EVENTS_THREADS_MAX)
            continue;
        for (unsigned e = 0; e < EVENT_COUNT; e++)
            events->fds[events->threads][e] = open_event(e, thread);
        events->threads++;
    }
    closedir(folder);
}

struct events_count events_close(struct events *events)
{
    struct events_count count = {0};
    for (unsigned e = 0; e < EVENT_COUNT; e++) {
        count.has[e] = events->threads > 0;
        for (unsigned t = 0; t < events->threads; t++) {
            uint64_t seen = 0;
            int fd = events->fds[t][e];
            count.has[e] = count.has[e] && fd >= 0 && read(fd, &seen, sizeof seen) == sizeof seen;
            count.counts[e] += seen;
            if (fd >= 0)
                close(fd);
        }
    }
    events->threads = 0;
    return count;
}
