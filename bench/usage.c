/* SPDX-License-Identifier: MIT */
/* usage.c: what the kernel says of a process, and the clock; the second half of proc.h. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "proc.h"
#include "workload.h"

uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void sleep_ms(uint64_t ms)
{
    struct timespec pause = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    while (nanosleep(&pause, &pause) != 0)
        ;
}

/* The first `bytes` of /proc/PID/NAME as a text. false: the process is gone, or is not ours. */
static bool read_proc(pid_t pid, const char *name, char *text, size_t bytes)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return false;
    size_t length = fread(text, 1, bytes - 1, file);
    text[length] = '\0';
    fclose(file);
    return length > 0;
}

uint64_t proc_rss(pid_t pid)
{
    char text[4096];
    unsigned long kib;
    const char *line = NULL;
    if (read_proc(pid, "smaps_rollup", text, sizeof text))
        line = strstr(text, "\nRss:");
    if (line == NULL || sscanf(line, " Rss: %lu", &kib) != 1)
        return proc_rss_quick(pid); /* another user's process, or a kernel without it */
    return (uint64_t)kib * 1024;
}

uint64_t proc_rss_quick(pid_t pid)
{
    char text[256];
    unsigned long pages;
    if (!read_proc(pid, "statm", text, sizeof text) || sscanf(text, "%*u %lu", &pages) != 1)
        die("process %d is gone", (int)pid);
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

struct proc_usage proc_usage(pid_t pid)
{
    char text[1024];
    unsigned long minor, major;
    clockid_t clock;
    struct timespec cpu;
    if (!read_proc(pid, "stat", text, sizeof text) || clock_getcpuclockid(pid, &clock) != 0 ||
        clock_gettime(clock, &cpu) != 0)
        die("process %d is gone", (int)pid);
    const char *rest = strrchr(text, ')'); /* the name may hold anything */
    if (rest == NULL ||
        sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %lu %*u %lu", &minor, &major) != 2)
        die("/proc/%d/stat can't be read", (int)pid);
    return (struct proc_usage){(double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9, minor + major};
}

/* ---- the sampler ---- */

static void sample(struct sampler *sampler)
{
    uint64_t rss = proc_rss_quick(sampler->pid);
    if (rss > __atomic_load_n(&sampler->high, __ATOMIC_RELAXED))
        __atomic_store_n(&sampler->high, rss, __ATOMIC_RELAXED);
    if (rss < __atomic_load_n(&sampler->low, __ATOMIC_RELAXED))
        __atomic_store_n(&sampler->low, rss, __ATOMIC_RELAXED);
}

static void *run_sampler(void *context)
{
    struct sampler *sampler = context;
    while (!__atomic_load_n(&sampler->is_stopping, __ATOMIC_RELAXED)) {
        sample(sampler);
        sleep_ms(SAMPLE_MS);
    }
    return NULL;
}

void sampler_reset(struct sampler *sampler)
{
    __atomic_store_n(&sampler->high, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&sampler->low, UINT64_MAX, __ATOMIC_RELAXED);
}

void sampler_start(struct sampler *sampler, pid_t pid)
{
    *sampler = (struct sampler){.pid = pid};
    sampler_reset(sampler);
    if (pthread_create(&sampler->thread, NULL, run_sampler, sampler) != 0)
        die("no thread");
}

uint64_t sampler_high(struct sampler *sampler)
{
    sample(sampler);
    return __atomic_load_n(&sampler->high, __ATOMIC_RELAXED);
}

uint64_t sampler_low(struct sampler *sampler)
{
    sample(sampler);
    return __atomic_load_n(&sampler->low, __ATOMIC_RELAXED);
}

void sampler_stop(struct sampler *sampler)
{
    __atomic_store_n(&sampler->is_stopping, true, __ATOMIC_RELAXED);
    pthread_join(sampler->thread, NULL);
}
