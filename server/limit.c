/* SPDX-License-Identifier: MIT */
/* limit.c: the arithmetic of maxmemory. Called by memory.c before each call of upkeep. */
#include "limit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)
#define KIB ((size_t)1 << 10)
#define CLIENTS_LEAST_BYTES                                                                        \
    (4 * MIB)                  /* a percentage of a small limit is too little to serve ...         \
                                */
#define CLIENTS_LEAST_SHARE 8u /* ... but at most an eighth of it */
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

/* Follows what is measured slowly, up and down: a look in the middle of a reply, or between the
 * page faults of a large value, says little of what others hold. */
static size_t follow(size_t before, size_t now)
{
    if (now >= before)
        return before + (now - before + OTHERS_DECAY - 1) / OTHERS_DECAY;
    return before - (before - now + OTHERS_DECAY - 1) / OTHERS_DECAY;
}

struct limit_plan limit_make_plan(const struct limit_view *view, const struct limit_plan *before)
{
    size_t limit = view->limit_bytes - view->limit_bytes / 100 * view->lowered;
    size_t others = minus(view->resident_bytes, view->pool_bytes + view->client_bytes);
    struct limit_plan plan = {
        .limit_bytes = SIZE_MAX,
        .clients_bytes = limit_clients(view->limit_bytes, view->clients),
        .others_bytes = before == NULL ? others : follow(before->others_bytes, others),
        .pool_bytes = SIZE_MAX,
        .compact_bytes = SIZE_MAX,
        .start_bytes = SIZE_MAX,
    };
    if (view->limit_bytes == 0)
        return plan;
    /* What is more than usual is most likely a client's: it may use what is set aside for them. */
    size_t cap = plan.clients_bytes == SIZE_MAX ? view->client_bytes : plan.clients_bytes;
    size_t taken = others + view->client_bytes, usual = plan.others_bytes + cap;
    taken = taken > usual ? taken : usual;
    size_t slack = between(SLACK_LEAST_BYTES, limit / SLACK_SHARE, SLACK_MOST_BYTES);
    plan.limit_bytes = limit;
    plan.pool_bytes = minus(limit, taken + slack);
    plan.ahead_bytes = between(AHEAD_LEAST_BYTES, plan.pool_bytes / AHEAD_SHARE, AHEAD_MOST_BYTES);
    plan.compact_bytes = limit / COMPACT_SHARE;
    plan.start_bytes =
        minus(plan.pool_bytes, plan.ahead_bytes) + plan.others_bytes + view->client_bytes;
    return plan;
}

int limit_open_resident(void)
{
    return open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
}

/* The second number of statm, in pages. */
size_t limit_read_resident(int fd)
{
    char text[128];
    ssize_t len = pread(fd, text, sizeof(text) - 1, 0);
    text[len > 0 ? len : 0] = '\0';
    const char *space = strchr(text, ' ');
    return space ? (size_t)strtoull(space, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE) : 0;
}
