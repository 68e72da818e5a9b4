/* SPDX-License-Identifier: MIT */
/* use.c: the orders of eviction as functions of eight bits. Pure; victim.c samples and evicts. */
#include "use.h"

#define S3_EPOCH_SHIFT   3u
#define S3_EPOCH_MASK    31u
#define S3_TICKS         8u  /* while all bytes of the kind are replaced */
#define LRU_TICKS        64u /* the same of all bytes */
#define LFU_BORN         2u  /* hits that a new item is given credit for */
#define LFU_HITS_MAX     15u
#define LFU_SURE_HITS    3u /* up to here each hit counts, from there on half as many each step */
#define LFU_EPOCH_MASK   15u
#define TICK_BYTES_LEAST 1024u

const char *use_order_name(enum use_order order)
{
    static const char *const names[USE_ORDER_COUNT] = {
        [USE_NONE] = "none", [USE_S3] = "s3fifo",     [USE_LRU] = "lru",
        [USE_LFU] = "lfu",   [USE_RANDOM] = "random", [USE_TTL] = "ttl",
    };
    return (unsigned)order < USE_ORDER_COUNT ? names[order] : "unknown";
}

/* ---- time ---- */

static size_t tick_bytes(enum use_order order, size_t kind_bytes, size_t all_bytes)
{
    size_t bytes = order == USE_S3    ? kind_bytes / S3_TICKS
                   : order == USE_LRU ? all_bytes / LRU_TICKS
                                      : all_bytes;
    return bytes > TICK_BYTES_LEAST ? bytes : TICK_BYTES_LEAST;
}

bool use_advance(enum use_order order, struct use_clocks *clocks, bool is_main, size_t bytes,
                 size_t kind_bytes, size_t all_bytes)
{
    struct use_clock *clock = order == USE_S3 && is_main ? &clocks->main : &clocks->small;
    clock->bytes += bytes;
    if (clock->bytes < tick_bytes(order, kind_bytes, all_bytes))
        return false;
    clock->bytes = 0;
    clock->now++;
    return true;
}

/* ---- S3 ---- */

static const struct use_clock *s3_clock(const struct use_clocks *clocks, unsigned use)
{
    return use & USE_MAIN ? &clocks->main : &clocks->small;
}

static unsigned s3_use(const struct use_clocks *clocks, unsigned kind, unsigned hits)
{
    unsigned now = s3_clock(clocks, kind)->now & S3_EPOCH_MASK;
    return now << S3_EPOCH_SHIFT | kind | hits;
}

static unsigned s3_age(const struct use_clocks *clocks, unsigned use)
{
    return (s3_clock(clocks, use)->now - (use >> S3_EPOCH_SHIFT)) & S3_EPOCH_MASK;
}

/* Small and hit more than once: to main. In main: one hit less, and as if it had just come. */
static bool s3_spares(const struct use_clocks *clocks, unsigned *use)
{
    unsigned hits = *use & S3_HITS;
    bool is_main = *use & USE_MAIN;
    if (is_main ? hits == 0 : hits <= 1)
        return false;
    *use = s3_use(clocks, USE_MAIN, is_main ? hits - 1 : 0);
    return true;
}

/* ---- LFU ---- */

static unsigned lfu_elapsed(const struct use_clocks *clocks, unsigned use)
{
    return (clocks->small.now - use) & LFU_EPOCH_MASK;
}

/* What is left of the hits: one goes each epoch. */
static unsigned lfu_hits(const struct use_clocks *clocks, unsigned use)
{
    unsigned hits = use >> 4, gone = lfu_elapsed(clocks, use);
    return hits > gone ? hits - gone : 0;
}

static unsigned lfu_use(const struct use_clocks *clocks, unsigned hits)
{
    return hits << 4 | (clocks->small.now & LFU_EPOCH_MASK);
}

static unsigned lfu_hit(const struct use_clocks *clocks, unsigned use, uint64_t random)
{
    unsigned hits = lfu_hits(clocks, use);
    unsigned rare = hits > LFU_SURE_HITS ? hits - LFU_SURE_HITS : 0;
    if (hits < LFU_HITS_MAX && (random & ((UINT64_C(1) << rare) - 1)) == 0)
        hits++;
    return lfu_use(clocks, hits);
}

/* ---- any order ---- */

unsigned use_born(enum use_order order, const struct use_clocks *clocks, bool is_known)
{
    switch (order) {
    case USE_S3:
        return s3_use(clocks, is_known ? USE_MAIN : 0, 0);
    case USE_LRU:
        return clocks->small.now;
    case USE_LFU:
        return lfu_use(clocks, LFU_BORN);
    default:
        return 0;
    }
}

unsigned use_hit_other(enum use_order order, const struct use_clocks *clocks, unsigned use,
                       uint64_t random)
{
    switch (order) {
    case USE_LRU:
        return clocks->small.now;
    case USE_LFU:
        return lfu_hit(clocks, use, random);
    default:
        return use;
    }
}

unsigned use_rank(enum use_order order, const struct use_clocks *clocks, unsigned use,
                  bool wants_small)
{
    switch (order) {
    case USE_S3:
        return s3_age(clocks, use) + (wants_small == !(use & USE_MAIN) ? USE_RANK_KIND : 0);
    case USE_LRU:
        return USE_RANK_KIND + ((clocks->small.now - use) & 255);
    case USE_LFU:
        return USE_RANK_KIND + (LFU_HITS_MAX - lfu_hits(clocks, use)) * 16 +
               lfu_elapsed(clocks, use);
    default:
        return USE_RANK_KIND;
    }
}

bool use_spares(enum use_order order, const struct use_clocks *clocks, unsigned *use)
{
    return order == USE_S3 && s3_spares(clocks, use);
}

bool use_is_unfetched(enum use_order order, unsigned use)
{
    return order == USE_S3 && (use & (USE_MAIN | S3_HITS)) == 0;
}

unsigned use_age(enum use_order order, const struct use_clocks *clocks, unsigned use)
{
    if (order == USE_S3)
        return s3_age(clocks, use);
    return order == USE_LRU ? ((clocks->small.now - use) & 255) / (LRU_TICKS / S3_TICKS) : 0;
}

unsigned use_frequency(enum use_order order, const struct use_clocks *clocks, unsigned use)
{
    return order == USE_LFU ? lfu_hits(clocks, use) : 0;
}

/* S3 notes when an item came, and not when it was hit. */
bool use_is_idle(enum use_order order, const struct use_clocks *clocks, unsigned use,
                 unsigned *next)
{
    if (order == USE_S3) {
        *next = ((use >> S3_EPOCH_SHIFT) + 1) & S3_EPOCH_MASK;
        return (use & S3_HITS) == 0 && s3_age(clocks, use) > 0;
    }
    *next = (use + 1) & 255;
    return order == USE_LRU && clocks->small.now != use;
}
