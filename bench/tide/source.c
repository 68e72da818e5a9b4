/* SPDX-License-Identifier: MIT */
/* source.c: see source.h. */
#include "source.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_BYTES     65536
#define ASK_SECONDS      2
#define EBB_BESIDE       4  /* its header, without what some items have more */
#define MEMCACHED_BESIDE 59 /* header 48, CAS 8, the key's zero, the value's line end */

/* ---- the process ---- */

static bool read_text(const char *path, char text[], size_t size)
{
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return false;
    size_t length = fread(text, 1, size - 1, file);
    text[length] = '\0';
    fclose(file);
    return length > 0;
}

static bool read_proc(pid_t pid, const char *name, char text[], size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    return read_text(path, text, size);
}

static void find_charge(struct source *source)
{
    char text[4096], *save = NULL;
    if (!read_proc(source->pid, "cgroup", text, sizeof text))
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

void source_init(struct source *source, pid_t pid)
{
    *source = (struct source){.pid = pid};
    find_charge(source);
}

static bool read_resident(const struct source *source, bool is_exact, struct reading *reading)
{
    char text[4096];
    unsigned long number;
    const char *line;
    if (is_exact && read_proc(source->pid, "smaps_rollup", text, sizeof text) &&
        (line = strstr(text, "\nRss:")) != NULL && sscanf(line, " Rss: %lu", &number) == 1) {
        reading->resident = (double)number * 1024;
        return true;
    }
    if (!read_proc(source->pid, "statm", text, sizeof text) ||
        sscanf(text, "%*u %lu", &number) != 1 || number == 0)
        return false; /* one that has ended and is not waited for has no pages */
    reading->resident = (double)number * (double)sysconf(_SC_PAGESIZE);
    return true;
}

bool source_read(const struct source *source, bool is_exact, struct reading *reading)
{
    char text[1024];
    unsigned long minor, major;
    clockid_t clock;
    struct timespec cpu;
    *reading = (struct reading){NAN, NAN, NAN, NAN};
    if (!read_resident(source, is_exact, reading))
        return false;
    if (source->charge_path[0] != '\0' && read_text(source->charge_path, text, sizeof text))
        reading->charged = strtod(text, NULL);
    if (clock_getcpuclockid(source->pid, &clock) == 0 && clock_gettime(clock, &cpu) == 0)
        reading->cpu_seconds = (double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9;
    const char *rest =
        read_proc(source->pid, "stat", text, sizeof text) ? strrchr(text, ')') : NULL;
    if (rest != NULL &&
        sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %lu %*u %lu", &minor, &major) == 2)
        reading->faults = (double)(minor + major);
    return true;
}

/* ---- its own word ---- */

ssize_t server_ask(const struct addrinfo *address, const char *question, const char *end,
                   char answer[], size_t size)
{
    struct timeval patience = {.tv_sec = ASK_SECONDS};
    int descriptor = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    size_t length = 0;
    ssize_t got = -1;
    answer[0] = '\0';
    if (descriptor < 0)
        return -1;
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (connect(descriptor, address->ai_addr, address->ai_addrlen) == 0 &&
        send(descriptor, question, strlen(question), MSG_NOSIGNAL) > 0)
        while (length + 1 < size && strstr(answer, end) == NULL &&
               (got = recv(descriptor, answer + length, size - 1 - length, 0)) > 0) {
            length += (size_t)got;
            answer[length] = '\0';
        }
    close(descriptor);
    return got > 0 ? (ssize_t)length : -1;
}

double answer_number(const char *answer, const char *name)
{
    const char *found = strstr(answer, name);
    char *end;
    if (found == NULL)
        return NAN;
    double number = strtod(found + strlen(name), &end);
    return end == found + strlen(name) ? NAN : number;
}

double server_items(const struct addrinfo *address, enum protocol protocol)
{
    char answer[ANSWER_BYTES];
    if (protocol == PROTOCOL_RESP)
        return server_ask(address, "DBSIZE\r\n", "\r\n", answer, sizeof answer) > 0
                   ? answer_number(answer, ":")
                   : NAN;
    return server_ask(address, "stats\r\n", "END\r\n", answer, sizeof answer) > 0
               ? answer_number(answer, "STAT curr_items ")
               : NAN;
}

double server_live_bytes(const struct addrinfo *address, enum protocol protocol)
{
    char answer[ANSWER_BYTES];
    bool is_resp = protocol == PROTOCOL_RESP;
    if (server_ask(address, is_resp ? "INFO\r\nPING\r\n" : "stats\r\n",
                   is_resp ? "+PONG\r\n" : "END\r\n", answer, sizeof answer) < 0)
        return NAN;
    if (is_resp) /* Redis's figure of that name has its overhead in it */
        return strstr(answer, "ebb_version:") != NULL
                   ? answer_number(answer, "\nused_memory_dataset:")
                   : NAN;
    bool is_ebb = strstr(answer, "ebb_version") != NULL;
    return answer_number(answer, "STAT bytes ") -
           (is_ebb ? EBB_BESIDE : MEMCACHED_BESIDE) * answer_number(answer, "STAT curr_items ");
}
