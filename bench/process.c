/* SPDX-License-Identifier: MIT */
/* process.c: see process.h. */
#include "process.h"

#include <dirent.h>
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

/* ---- who listens ---- */

#define LISTENERS_MAX 8 /* sockets on one port: addresses, families, SO_REUSEPORT */
#define STATE_LISTEN  0x0A

static size_t find_listeners(pid_t pid, const char *name, uint16_t port, unsigned long inodes[],
                             size_t count)
{
    char path[64], line[512];
    snprintf(path, sizeof path, "/proc/%d/net/%s", (int)pid, name);
    FILE *file = fopen(path, "r");
    while (file != NULL && count < LISTENERS_MAX && fgets(line, sizeof line, file) != NULL) {
        unsigned local, state;
        unsigned long inode;
        if (sscanf(line, " %*u: %*[0-9A-F]:%x %*[0-9A-F]:%*x %x %*s %*s %*s %*u %*u %lu", &local,
                   &state, &inode) == 3 &&
            local == port && state == STATE_LISTEN)
            inodes[count++] = inode;
    }
    if (file != NULL)
        fclose(file);
    return count;
}

enum process_listens process_listens(pid_t pid, uint16_t port)
{
    char path[64], link[320], target[64];
    unsigned long inodes[LISTENERS_MAX], inode;
    size_t count = find_listeners(pid, "tcp", port, inodes, 0);
    count = find_listeners(pid, "tcp6", port, inodes, count);
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *folder = opendir(path);
    if (count == 0 || folder == NULL)
        return count == 0 ? LISTENS_NO : LISTENS_UNKNOWN;
    enum process_listens answer = LISTENS_NO;
    for (struct dirent *entry; answer == LISTENS_NO && (entry = readdir(folder)) != NULL;) {
        snprintf(link, sizeof link, "%s/%s", path, entry->d_name);
        ssize_t length = readlink(link, target, sizeof target - 1);
        target[length > 0 ? length : 0] = '\0';
        if (sscanf(target, "socket:[%lu]", &inode) == 1)
            for (size_t i = 0; i < count; i++)
                if (inodes[i] == inode)
                    answer = LISTENS_YES;
    }
    closedir(folder);
    return answer;
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
