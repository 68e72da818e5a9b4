/* SPDX-License-Identifier: MIT */
/* fuzz.h: what the fuzzers of the parsers share. */
#ifndef EBB_TESTS_FUZZ_H
#define EBB_TESTS_FUZZ_H

#include <stdlib.h>

#include "../support/feed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Splits by what the bytes are, so that a finding repeats. */
static inline void fuzz_feed(const struct feed_target *target, const uint8_t *data, size_t size)
{
    uint64_t seed = 14695981039346656037u;
    for (size_t i = 0; i < size; i++)
        seed = (seed ^ data[i]) * 1099511628211u;
    struct ebb_buf log;
    ebb_buf_init(&log, 64u << 20);
    for (int i = 0; i < 2; i++)
        if (!feed_randomly(target, (const char *)data, size, seed + (unsigned)i * 2, &log))
            abort();
    if (ebb_buf_check(&log) != 0)
        abort();
    ebb_buf_release(&log);
}

#endif
