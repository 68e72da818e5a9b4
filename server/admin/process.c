/* SPDX-License-Identifier: MIT */
/* process.c: /proc/self and getrusage(). Files are opened once: a read at offset 0 gives the
 * present, and a server that has run out of descriptors can still be watched.
 */
#include "process.h"

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "areas.h"

#define STATUS_BYTES 8192u

struct process {
    int status_fd, fds_fd; /* fds_fd is of the directory */
    struct areas *areas;
};

static size_t parse_kib(const char *text)
{
    return (size_t)strtoull(text, NULL, 10) * 1024;
}

bool process_parse_status(const char *text, struct process_memory *memory)
{
    const struct {
        const char *name;
        size_t *bytes;
    } rows[] = {
        {"VmRSS:", &memory->resident_bytes}, {"RssAnon:", &memory->anon_bytes},
        {"RssFile:", &memory->file_bytes},   {"RssShmem:", &memory->shmem_bytes},
        {"VmSize:", &memory->virtual_bytes}, {"VmHWM:", &memory->resident_peak_bytes},
        {"VmSwap:", &memory->swap_bytes},
    };
    memset(memory, 0, sizeof *memory);
    for (const char *line = text; line != NULL && *line != '\0'; line = strchr(line, '\n')) {
        line += *line == '\n';
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
            if (strncmp(line, rows[i].name, strlen(rows[i].name)) == 0)
                *rows[i].bytes = parse_kib(line + strlen(rows[i].name));
        if (strncmp(line, "Threads:", 8) == 0)
            memory->thread_count = strtoull(line + 8, NULL, 10);
    }
    return memory->resident_bytes > 0;
}

static bool read_status(struct process *process, struct process_memory *memory)
{
    char text[STATUS_BYTES];
    ssize_t len = pread(process->status_fd, text, sizeof text - 1, 0);
    if (len <= 0)
        return false;
    text[len] = '\0';
    return process_parse_status(text, memory);
}

size_t process_resident_bytes(struct process *process)
{
    struct process_memory memory;
    return read_status(process, &memory) ? memory.resident_bytes : 0;
}

int process_read_memory(struct process *process, struct process_memory *memory)
{
    if (!read_status(process, memory))
        return -1;
    size_t bytes[AREA_KIND_COUNT];
    int result = areas_read(process->areas, memory->thread_count, bytes);
    if (result < 0)
        return -1;
    memory->is_partial = result > 0;
    memory->libc_bytes = bytes[AREA_LIBC];
    memory->stack_bytes = bytes[AREA_STACK];
    memory->program_bytes = bytes[AREA_PROGRAM];
    return 0;
}

/* Since Linux 6.2 the size of the directory is the answer; before, its entries are to be counted.
 */
static uint64_t count_open_fds(const struct process *process)
{
    struct stat info;
    if (fstat(process->fds_fd, &info) == 0 && info.st_size > 0)
        return (uint64_t)info.st_size;
    DIR *fds = opendir("/proc/self/fd");
    if (fds == NULL)
        return 0;
    uint64_t count = 0;
    struct dirent *entry;
    while ((entry = readdir(fds)) != NULL)
        count += entry->d_name[0] != '.';
    closedir(fds);
    return count - 1; /* but the one that reads the directory */
}

static double limit_of(int resource)
{
    struct rlimit limit;
    if (getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return INFINITY;
    return (double)limit.rlim_cur;
}

static double seconds_of(const struct timeval *time)
{
    return (double)time->tv_sec + (double)time->tv_usec / 1e6;
}

double process_cpu_seconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

void process_read_usage(const struct process *process, struct process_usage *usage)
{
    struct rusage r;
    memset(usage, 0, sizeof *usage);
    if (getrusage(RUSAGE_SELF, &r) == 0) {
        usage->user_seconds = seconds_of(&r.ru_utime);
        usage->system_seconds = seconds_of(&r.ru_stime);
        usage->cpu_seconds = usage->user_seconds + usage->system_seconds;
        usage->minor_faults = (uint64_t)r.ru_minflt;
        usage->major_faults = (uint64_t)r.ru_majflt;
        usage->voluntary_switches = (uint64_t)r.ru_nvcsw;
        usage->forced_switches = (uint64_t)r.ru_nivcsw;
    }
    usage->open_fds = count_open_fds(process);
    usage->max_fds = limit_of(RLIMIT_NOFILE);
    usage->max_virtual_bytes = limit_of(RLIMIT_AS);
}

int process_create(struct process **out)
{
    struct process *process = calloc(1, sizeof *process);
    if (process == NULL)
        return -1;
    process->status_fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    process->fds_fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (process->status_fd < 0 || areas_create(&process->areas) != 0) {
        process_destroy(process);
        return -1;
    }
    *out = process;
    return 0;
}

void process_destroy(struct process *process)
{
    if (process == NULL)
        return;
    if (process->status_fd >= 0)
        close(process->status_fd);
    if (process->fds_fd >= 0)
        close(process->fds_fd);
    areas_destroy(process->areas);
    free(process);
}

void process_exclude(struct process *process, const void *start, size_t bytes)
{
    areas_exclude(process->areas, start, bytes);
}
