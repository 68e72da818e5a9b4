/* SPDX-License-Identifier: MIT */
/* feed.c: the ways of feeding; see feed.h. */
#include "feed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Above this, one byte at a time would take minutes. */
#define EVERY_POSITION_BYTES 4096u
#define SPLITS_OF_LONG       200u
#define LOG_MAX_BYTES        (256u * 1024 * 1024)

/* Memory whose end is the end of what may be read. */
struct cliff {
    char *start, *end;
    size_t mapped_bytes;
};

static struct cliff cliff_make(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t usable = (bytes / page + 1) * page;
    char *start =
        mmap(NULL, usable + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED || mprotect(start + usable, page, PROT_NONE) != 0)
        abort();
    return (struct cliff){start, start + usable, usable + page};
}

static void cliff_free(struct cliff *cliff)
{
    munmap(cliff->start, cliff->mapped_bytes);
}

/* How many bytes there are at the next call, when there are `now` of `len`. */
struct way {
    const char *name;
    size_t first, step; /* `first` at the first call, then `step` more; 0: the rest */
    uint64_t seed;      /* not 0: at random */
};

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static size_t next_end(struct way *way, size_t now, size_t len)
{
    size_t step = now == 0 ? way->first : way->step;
    if (way->seed) {
        uint64_t random = next_random(&way->seed);
        step = (size_t)(random >> 8) % ((random & 3) ? 9 : 301) + 1;
    }
    return step == 0 || step > len - now ? len : now + step;
}

/* Calls the parser until it has used what it can of `len` bytes, which began with an incomplete
 * command that wanted need_bytes. Returns the bytes used, < 0 when the parser is done with them. */
static ssize_t drain(const struct feed_target *target, char *bytes, size_t len, size_t need_bytes,
                     struct ebb_buf *log)
{
    size_t at = 0;
    while (at < len) {
        ssize_t used = target->parse(target->context, bytes + at, len - at, log);
        if (used != 0 && len - at < need_bytes)
            ebb_buf_printf(log, "spoke at %zu bytes, not %zu\n", len - at, need_bytes);
        if (used < 0)
            return used;
        if ((size_t)used > len - at) {
            ebb_buf_printf(log, "took %zd of %zu bytes\n", used, len - at);
            return -1;
        }
        if (used == 0)
            break;
        at += (size_t)used;
        need_bytes = 0;
    }
    return (ssize_t)at;
}

static void feed(const struct feed_target *target, struct way way, const char *bytes, size_t len,
                 struct ebb_buf *log)
{
    struct cliff cliff = cliff_make(len);
    size_t start = 0, end = 0, need_bytes = 0;
    target->begin(target->context);
    while (end < len) {
        end = next_end(&way, end, len);
        char *copy = cliff.end - (end - start);
        memcpy(copy, bytes + start, end - start);
        ssize_t used = drain(target, copy, end - start, need_bytes, log);
        if (used < 0)
            break;
        start += (size_t)used;
        need_bytes = 0;
        if (start < end && target->need_bytes) {
            need_bytes = target->need_bytes(target->context);
            if (need_bytes <= end - start)
                ebb_buf_printf(log, "has %zu bytes and wants %zu\n", end - start, need_bytes);
        }
        if (end == len && start < len)
            ebb_buf_printf(log, "...%zu\n", len - start);
    }
    cliff_free(&cliff);
}

static bool same(const struct ebb_buf *a, const struct ebb_buf *b)
{
    size_t len = ebb_buf_len(a);
    return len == ebb_buf_len(b) &&
           (len == 0 || memcmp(ebb_buf_data(a), ebb_buf_data(b), len) == 0);
}

static bool agrees(const struct feed_target *target, struct way way, const char *bytes, size_t len,
                   const struct ebb_buf *log)
{
    struct ebb_buf other;
    ebb_buf_init(&other, LOG_MAX_BYTES);
    feed(target, way, bytes, len, &other);
    bool is_same = same(log, &other);
    if (!is_same)
        fprintf(stderr, "feed %s (first %zu, step %zu):\n%.*s--- but whole:\n%.*s", way.name,
                way.first, way.step, (int)ebb_buf_len(&other), ebb_buf_data(&other),
                (int)ebb_buf_len(log), ebb_buf_data(log));
    ebb_buf_release(&other);
    return is_same;
}

static void feed_whole(const struct feed_target *target, const char *bytes, size_t len,
                       struct ebb_buf *log)
{
    ebb_buf_clear(log);
    feed(target, (struct way){.name = "whole"}, bytes, len, log);
}

bool feed_all_ways(const struct feed_target *target, const char *bytes, size_t len,
                   struct ebb_buf *log)
{
    bool is_long = len > EVERY_POSITION_BYTES;
    size_t split_step = is_long ? len / SPLITS_OF_LONG + 1 : 1;
    size_t grow_step = is_long ? 997 : 1;
    feed_whole(target, bytes, len, log);
    bool agreed =
        agrees(target, (struct way){.name = "growing", .first = grow_step, .step = grow_step},
               bytes, len, log);
    for (size_t at = 1; at < len && agreed; at += split_step)
        agreed = agrees(target, (struct way){.name = "split", .first = at}, bytes, len, log);
    return agreed && agrees(target, (struct way){.name = "again"}, bytes, len, log);
}

bool feed_randomly(const struct feed_target *target, const char *bytes, size_t len, uint64_t seed,
                   struct ebb_buf *log)
{
    feed_whole(target, bytes, len, log);
    return agrees(target, (struct way){.name = "random", .seed = seed | 1}, bytes, len, log);
}
