/* SPDX-License-Identifier: MIT */
/* rng.h: a small seeded generator for randomised tests (xorshift64*, Vigna 2014), and the seed.
 *
 * A test starts with rng_start("what"), which prints the seed: TEST_SEED in the environment
 * repeats a run. It also knows how much a build can afford: SCALED(n) is n in a plain build and a
 * share of it under a sanitizer or with shrunken constants.
 */
#ifndef EBB_TESTS_RNG_H
#define EBB_TESTS_RNG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(EBB_HARD)
#define SCALED(n) ((n) / 5)
#else
#define SCALED(n) (n)
#endif

#define RNG_SEED_DEFAULT 20240229u

struct rng {
    uint64_t state;
};

static inline uint64_t rng_next(struct rng *rng)
{
    rng->state ^= rng->state >> 12;
    rng->state ^= rng->state << 25;
    rng->state ^= rng->state >> 27;
    return rng->state * UINT64_C(0x2545F4914F6CDD1D);
}

static inline struct rng rng_seeded(uint64_t seed)
{
    struct rng rng = {(seed + 1) * UINT64_C(0x9E3779B97F4A7C15)};
    if (rng.state == 0) /* the one state it never leaves */
        rng.state = 1;
    rng_next(&rng);
    return rng;
}

/* 0 .. limit - 1 */
static inline uint64_t rng_below(struct rng *rng, uint64_t limit)
{
    return rng_next(rng) % limit;
}

static inline uint64_t rng_between(struct rng *rng, uint64_t low, uint64_t high)
{
    return low + rng_below(rng, high - low + 1);
}

/* True once in `n` times. */
static inline bool rng_once_in(struct rng *rng, uint64_t n)
{
    return rng_below(rng, n) == 0;
}

static inline struct rng rng_start(const char *what)
{
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text != NULL ? strtoull(text, NULL, 0) : RNG_SEED_DEFAULT;
    printf("# %s: TEST_SEED=%llu\n", what, (unsigned long long)seed);
    fflush(stdout); /* an assertion in the code under test ends the program at once */
    return rng_seeded(seed);
}

#endif
