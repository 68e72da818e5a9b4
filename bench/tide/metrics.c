/* SPDX-License-Identifier: MIT */
/* metrics.c: see metrics.h. */
#include "metrics.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../metrics_text.h"
#include "address.h"

/* An exporter has figures of its own under the plain names: those of the server go first. */
static const struct names {
    const char *resident, *cpu[2];
} known[] = {
    {"redis_memory_used_rss_bytes",
     {"redis_cpu_user_seconds_total", "redis_cpu_sys_seconds_total"}},
    {"memcached_process_resident_memory_bytes",
     {"memcached_process_user_cpu_seconds_total", "memcached_process_system_cpu_seconds_total"}},
    {"process_resident_memory_bytes", {"process_cpu_seconds_total"}},
};
#define KNOWN_COUNT (sizeof known / sizeof known[0])

/* ---- the page ---- */

int metrics_choose_names(struct metrics *metrics, const char *page, char error[], size_t error_size)
{
    bool is_exporter =
        !isnan(metrics_number(page, "memcached_up")) || !isnan(metrics_number(page, "redis_up"));
    for (size_t i = 0; i < KNOWN_COUNT; i++) {
        if (isnan(metrics_number(page, known[i].resident)))
            continue;
        if (is_exporter && i == KNOWN_COUNT - 1)
            break;
        metrics->resident_name = known[i].resident;
        for (size_t c = 0; c < 2; c++) {
            const char *name = known[i].cpu[c];
            metrics->cpu_names[c] =
                name != NULL && !isnan(metrics_number(page, name)) ? name : NULL;
        }
        return 0;
    }
    snprintf(error, error_size,
             is_exporter ? "%s has the exporter's memory, not the server's (memcached_exporter "
                           "needs --memcached.pid-file)"
                         : "%s has no process_resident_memory_bytes",
             metrics->url);
    return -1;
}

/* ---- asking ---- */

int metrics_open(struct metrics *metrics, const char *url, char error[], size_t error_size)
{
    static const char scheme[] = "http://";
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    char host[ADDRESS_HOST_SIZE], port[ADDRESS_PORT_SIZE] = "80";
    *metrics = (struct metrics){.url = url};
    if (strncmp(url, scheme, strlen(scheme)) != 0 || strpbrk(url, " \t\r\n") != NULL) {
        snprintf(error, error_size, "--metrics is http://HOST[:PORT]/PATH, not %s", url);
        return -1;
    }
    const char *authority = url + strlen(scheme);
    size_t length = strcspn(authority, "/?#");
    const char *path = authority[length] == '/' ? authority + length : "/metrics";
    if (!address_split(authority, length, host, port)) {
        snprintf(error, error_size, "no host in %s", url);
        return -1;
    }
    int status = getaddrinfo(host, port, &hints, &metrics->address);
    if (status != 0) {
        snprintf(error, error_size, "%s: %s", url, gai_strerror(status));
        return -1;
    }
    metrics->chosen = address_choose(metrics->address);
    metrics->page = malloc(METRICS_BYTES_MAX);
    int used = snprintf(metrics->request, sizeof metrics->request,
                        "GET %s HTTP/1.0\r\nHost: %.*s\r\nAccept: text/plain\r\n\r\n", path,
                        (int)length, authority);
    if (metrics->page == NULL || used < 0 || (size_t)used >= sizeof metrics->request) {
        snprintf(error, error_size, "%s is too long", url);
        return -1;
    }
    return 0;
}

void metrics_release(struct metrics *metrics)
{
    if (metrics->address != NULL)
        freeaddrinfo(metrics->address);
    free(metrics->page);
    *metrics = (struct metrics){0};
}

/* The body, NULL if there is none. */
static const char *ask(struct metrics *metrics)
{
    int descriptor = address_connect(metrics->chosen);
    size_t length = 0;
    ssize_t got = -1;
    if (descriptor < 0)
        return NULL;
    if (send(descriptor, metrics->request, strlen(metrics->request), MSG_NOSIGNAL) > 0)
        while ((got = recv(descriptor, metrics->page + length, METRICS_BYTES_MAX - 1 - length, 0)) >
               0)
            length += (size_t)got;
    close(descriptor);
    metrics->page[length] = '\0';
    const char *body = strstr(metrics->page, "\r\n\r\n"), *code = strchr(metrics->page, ' ');
    bool is_good = got == 0 && body != NULL && strncmp(metrics->page, "HTTP/1.", 7) == 0 &&
                   code != NULL && strncmp(code, " 200", 4) == 0;
    return is_good ? body + strlen("\r\n\r\n") : NULL;
}

int metrics_choose(struct metrics *metrics, char error[], size_t error_size)
{
    const char *page = ask(metrics);
    if (page == NULL) {
        snprintf(error, error_size, "%s: no page of metrics there", metrics->url);
        return -1;
    }
    return metrics_choose_names(metrics, page, error, error_size);
}

bool metrics_fetch(void *context, struct reading *reading)
{
    struct metrics *metrics = context;
    const char *page = ask(metrics);
    if (page == NULL)
        return false;
    *reading = (struct reading){metrics_number(page, metrics->resident_name), NAN, NAN, NAN};
    if (metrics->cpu_names[0] != NULL)
        reading->cpu_seconds = metrics_number(page, metrics->cpu_names[0]);
    if (metrics->cpu_names[1] != NULL)
        reading->cpu_seconds += metrics_number(page, metrics->cpu_names[1]);
    return !isnan(reading->resident);
}
