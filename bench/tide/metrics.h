/* SPDX-License-Identifier: MIT */
/* metrics.h: a server's figures from a page of metrics in Prometheus's text format: Ebb's own, or
 * that of an exporter beside a Redis or memcached.
 */
#ifndef EBB_TIDE_METRICS_H
#define EBB_TIDE_METRICS_H

#include <netdb.h>
#include <stdbool.h>
#include <stddef.h>

#include "gauge.h"

#define METRICS_BYTES_MAX (1u << 20) /* of a page */

struct metrics {
    const char *url;          /* the caller's */
    struct addrinfo *address; /* all of the host's */
    const struct addrinfo *chosen;
    char request[1024];
    char *page; /* METRICS_BYTES_MAX */
    const char *resident_name,
        *cpu_names[2]; /* what is read, once it is known; cpu: NULL if none */
};

/* http://HOST[:PORT][/PATH]. 0, or -1 with what is wrong in `error`; metrics_release in any case.
 */
int metrics_open(struct metrics *metrics, const char *url, char error[], size_t error_size);
/* Asks for the page and finds out which names it has. As above. */
int metrics_choose(struct metrics *metrics, char error[], size_t error_size);
/* A gauge_fetch; context: a struct metrics that has chosen. */
bool metrics_fetch(void *context, struct reading *reading);
void metrics_release(struct metrics *metrics);

/* Which names a page has for the server, in resident_name and cpu_names. 0, or -1 as above. */
int metrics_choose_names(struct metrics *metrics, const char *page, char error[],
                         size_t error_size);

#endif
