/* SPDX-License-Identifier: MIT */
/* limit.c: the arithmetic of maxmemory. Called by server.c before each call of upkeep. */
#include "limit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIB                 ((size_t)1 << 20)
#define KIB                 ((size_t)1 << 10)
#define CLIENTS_LEAST_BYTES (4 * MIB) /* a percentage of a small limit is too little to serve ... */
#define CLIENTS_LEAST_SHARE 8u        /* ... but at most an eighth of it */
#define SLACK_SHARE         256u
#define SLACK_LEAST_BYTES   (256 * KIB)
#define SLACK_MOST_BYTES    (4 * MIB)
#define AHEAD_SHARE         64u
#define AHEAD_LEAST_BYTES   (256 * KIB)
#define AHEAD_MOST_BYTES    (16 * MIB)
#define COMPACT_SHARE       20u /* 5 % of the limit */
#define OTHERS_DECAY        64u

static size_t between(size_t least, size_t bytes, size_t most)
{
    return bytes < least ? least : bytes < most ? bytes : most;
}

static size_t minus(size_t a, size_t b)
{
    return a > b ? a - b : 0;
}

size_t limit_clients(size_t limit_bytes, int64_t clients)
{
    if (clients == 0 || (clients < 0 && limit_bytes == 0))
        return SIZE_MAX;
    if (clients > 0)
        return (size_t)clients;
    size_t bytes = limit_bytes / 100 * (size_t)-clients;
    size_t least = limit_bytes / CLIENTS_LEAST_SHARE;
    least = least < CLIENTS_LEAST_BYTES ? least : CLIENTS_LEAST_BYTES;
    return bytes > least ? bytes : least;
}

/* A look between two page faults of a large value must not make room that is not there: what others
 * hold is taken to fall slowly. */
static size_t others(const struct limit_view *view, const struct limit_plan *before)
{
    size_t now = minus(view->resident_bytes, view->pool_bytes + view->client_bytes);
    if (before == NULL || now >= before->others_bytes)
        return now;
    return before->others_bytes - (before->others_bytes - now) / OTHERS_DECAY -
           (before->others_bytes - now < OTHERS_DECAY);
}

struct limit_plan limit_make_plan(const struct limit_view *view, const struct limit_plan *before)
{
    size_t limit = view->limit_bytes - view->limit_bytes / 100 * view->lowered;
    struct limit_plan plan = {
        .limit_bytes = SIZE_MAX,
        .clients_bytes = limit_clients(view->limit_bytes, view->clients),
        .others_bytes = others(view, before),
        .pool_bytes = SIZE_MAX,
        .compact_bytes = SIZE_MAX,
        .start_bytes = SIZE_MAX,
    };
    if (view->limit_bytes == 0)
        return plan;
    size_t clients = plan.clients_bytes == SIZE_MAX ? 0 : plan.clients_bytes;
    clients = clients > view->client_bytes ? clients : view->client_bytes;
    size_t slack = between(SLACK_LEAST_BYTES, limit / SLACK_SHARE, SLACK_MOST_BYTES);
    plan.limit_bytes = limit;
    plan.pool_bytes = minus(limit, plan.others_bytes + clients + slack);
    plan.ahead_bytes =
        between(AHEAD_LEAST_BYTES, plan.pool_bytes / AHEAD_SHARE, AHEAD_MOST_BYTES);
    plan.compact_bytes = limit / COMPACT_SHARE;
    plan.start_bytes = minus(plan.pool_bytes, plan.ahead_bytes) + plan.others_bytes +
                       view->client_bytes;
    return plan;
}

/* The second number of statm, in pages. */
size_t limit_read_resident(void)
{
    char text[128];
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (fd >= 0)
        close(fd);
    text[len > 0 ? len : 0] = '\0';
    const char *space = strchr(text, ' ');
    return space ? (size_t)strtoull(space, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE) : 0;
}
