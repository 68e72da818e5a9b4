/* SPDX-License-Identifier: MIT */
/* source.c: see source.h. */
#include "source.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "../process.h"

#define ANSWER_BYTES     65536
#define ASK_SECONDS      2
#define EBB_BESIDE       4  /* its header, without what some items have more */
#define MEMCACHED_BESIDE 59 /* header 48, CAS 8, the key's zero, the value's line end */

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

/* ---- elsewhere ---- */

static bool fetch_info(void *context, struct reading *reading)
{
    const struct source *source = context;
    char answer[ANSWER_BYTES];
    if (server_ask(source->address, "INFO memory\r\nINFO cpu\r\nPING\r\n", "+PONG\r\n", answer,
                   sizeof answer) < 0)
        return false;
    *reading = (struct reading){
        answer_number(answer, "\nused_memory_rss:"), NAN,
        answer_number(answer, "\nused_cpu_user:") + answer_number(answer, "\nused_cpu_sys:"), NAN};
    return !isnan(reading->resident);
}

int source_of_info(struct source *source, const struct addrinfo *address, char error[],
                   size_t error_size)
{
    struct reading reading;
    *source = (struct source){.kind = SOURCE_INFO, .address = address};
    if (!fetch_info(source, &reading))
        snprintf(error, error_size, "its INFO has no used_memory_rss");
    else if (gauge_start(&source->gauge, fetch_info, source) < 0)
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
    if (gauge_start(&source->gauge, metrics_fetch, &source->metrics) == 0)
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

/* ---- what it holds ---- */

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
