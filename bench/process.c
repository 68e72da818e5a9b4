/* SPDX-License-Identifier: MIT */
/* process.c: see process.h. */
#include "process.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

bool file_read(const char *path, char *text, size_t bytes)
{
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return false;
    size_t length = fread(text, 1, bytes - 1, file);
    text[length] = '\0';
    fclose(file);
    return length > 0;
}

bool process_read(pid_t pid, const char *name, char *text, size_t bytes)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    return file_read(path, text, bytes);
}

bool process_rss(pid_t pid, bool is_exact, uint64_t *bytes)
{
    char text[4096];
    unsigned long number;
    const char *line = NULL;
    if (is_exact && process_read(pid, "smaps_rollup", text, sizeof text))
        line = strstr(text, "\nRss:");
    if (line != NULL && sscanf(line, " Rss: %lu", &number) == 1) {
        *bytes = (uint64_t)number * 1024;
        return true;
    }
    /* Another user's process, or a kernel without it. One that has ended and is not waited for has
     * no pages. */
    if (!process_read(pid, "statm", text, sizeof text) || sscanf(text, "%*u %lu", &number) != 1 ||
        number == 0)
        return false;
    *bytes = (uint64_t)number * (uint64_t)sysconf(_SC_PAGESIZE);
    return true;
}

bool process_cpu(pid_t pid, double *seconds)
{
    clockid_t clock;
    struct timespec cpu;
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &cpu) != 0)
        return false;
    *seconds = (double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9;
    return true;
}

bool process_faults(pid_t pid, uint64_t *faults)
{
    char text[1024];
    unsigned long minor, major;
    const char *rest = NULL;
    if (process_read(pid, "stat", text, sizeof text))
        rest = strrchr(text, ')'); /* the name may hold anything */
    if (rest == NULL ||
        sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %lu %*u %lu", &minor, &major) != 2)
        return false;
    *faults = minor + major;
    return true;
}

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
