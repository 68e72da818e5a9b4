/* SPDX-License-Identifier: MIT */
/* source.c: see source.h. */
#include "source.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../process.h"

#define ANSWER_BYTES 65536
#define PATIENCE_MS  10000 /* with a server that says nothing of itself */

/* ---- the process ---- */

static void find_charge(struct source *source)
{
    char text[4096], *save = NULL;
    if (!process_read(source->pid, "cgroup", text, sizeof text))
        return;
    for (char *line = strtok_r(text, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        const char *path = strrchr(line, ':');
        bool is_v2 = strncmp(line, "0::", 3) == 0;
        if (path == NULL || (!is_v2 && strstr(line, ":memory:") == NULL))
            continue;
        snprintf(source->charge_path, sizeof source->charge_path,
                 "/sys/fs/cgroup%s%.300s/memory.%s", is_v2 ? "" : "/memory", path + 1,
                 is_v2 ? "current" : "usage_in_bytes");
        if (access(source->charge_path, R_OK) == 0)
            return;
        source->charge_path[0] = '\0';
    }
}

static bool read_process(const struct source *source, bool is_exact, struct reading *reading)
{
    char text[64];
    uint64_t resident, faults;
    *reading = (struct reading){NAN, NAN, NAN, NAN};
    if (!process_rss(source->pid, is_exact, &resident))
        return false;
    reading->resident = (double)resident;
    if (source->charge_path[0] != '\0' && file_read(source->charge_path, text, sizeof text))
        reading->charged = strtod(text, NULL);
    process_cpu(source->pid, &reading->cpu_seconds);
    if (process_faults(source->pid, &faults))
        reading->faults = (double)faults;
    return true;
}

int source_of_process(struct source *source, pid_t pid, char error[], size_t error_size)
{
    struct reading reading;
    *source = (struct source){.kind = SOURCE_PROCESS, .pid = pid};
    find_charge(source);
    if (pid > 0 && read_process(source, false, &reading))
        return 0;
    snprintf(error, error_size, "process %d can't be read", (int)pid);
    return -1;
}

/* ---- elsewhere ---- */

static bool fetch_info(void *context, struct reading *reading)
{
    const struct source *source = context;
    char answer[ANSWER_BYTES];
    if (peer_ask(source->peer, "INFO memory\r\nINFO cpu\r\nPING\r\n", "+PONG\r\n", answer,
                 sizeof answer) < 0)
        return false;
    *reading = (struct reading){
        answer_number(answer, "\nused_memory_rss:"), NAN,
        answer_number(answer, "\nused_cpu_user:") + answer_number(answer, "\nused_cpu_sys:"), NAN};
    return !isnan(reading->resident);
}

int source_of_info(struct source *source, const struct peer *peer, char error[], size_t error_size)
{
    struct reading reading;
    *source = (struct source){.kind = SOURCE_INFO, .peer = peer};
    if (!fetch_info(source, &reading))
        snprintf(error, error_size, "its INFO has no used_memory_rss");
    else if (gauge_start(&source->gauge, fetch_info, source, PATIENCE_MS) < 0)
        snprintf(error, error_size, "no thread");
    else
        return 0;
    return -1;
}

int source_of_metrics(struct source *source, const char *url, char error[], size_t error_size)
{
    *source = (struct source){.kind = SOURCE_METRICS};
    if (metrics_open(&source->metrics, url, error, error_size) < 0 ||
        metrics_choose(&source->metrics, error, error_size) < 0)
        return -1;
    if (gauge_start(&source->gauge, metrics_fetch, &source->metrics, PATIENCE_MS) == 0)
        return 0;
    snprintf(error, error_size, "no thread");
    return -1;
}

void source_release(struct source *source)
{
    gauge_stop(&source->gauge);
    metrics_release(&source->metrics);
}

bool source_read(struct source *source, bool is_exact, struct reading *reading)
{
    return source->kind == SOURCE_PROCESS ? read_process(source, is_exact, reading)
                                          : gauge_read(&source->gauge, is_exact, reading);
}

void source_text(const struct source *source, char text[], size_t size)
{
    if (source->kind == SOURCE_PROCESS)
        snprintf(text, size, "process %d (statm; smaps_rollup at each phase's end)",
                 (int)source->pid);
    else if (source->kind == SOURCE_INFO)
        snprintf(text, size, "INFO (used_memory_rss)");
    else
        snprintf(text, size, "%s (%s)", source->metrics.url, source->metrics.resident_name);
}
