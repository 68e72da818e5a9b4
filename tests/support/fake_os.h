/* SPDX-License-Identifier: MIT */
/* fake_os.h: a struct ebb_os for tests. The memory behind it is real, so that contents can be
 * checked and the kernel asked what is resident; the clock is the test's; calls are counted, and
 * the n-th can be made to fail.
 *
 *     struct fake_os fake;
 *     fake_os_init(&fake);
 *     struct ebb_pool_config config = {.os = &fake.os, .reserve_bytes = FAKE_RESERVE_BYTES};
 */
#ifndef EBB_TESTS_FAKE_OS_H
#define EBB_TESTS_FAKE_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../alloc/ebb_alloc.h"

#define FAKE_RESERVE_BYTES (UINT64_C(1) << 30)
#define FAKE_RANGES_MAX    8

enum fake_call {
    FAKE_RESERVE,
    FAKE_COMMIT,
    FAKE_DISCARD,
    FAKE_RELOCATE,
    FAKE_ANY, /* all of them together */
    FAKE_CALL_COUNT
};

struct fake_range { /* reserved and not yet unreserved */
    char *start;
    size_t bytes;
};

struct fake_os {
    struct ebb_os os;
    uint64_t now_ns;
    uint64_t tick_ns; /* the clock moves by this much each time it is read */
    size_t calls[FAKE_CALL_COUNT];
    size_t clock_reads;
    size_t fail_from[FAKE_CALL_COUNT];  /* the call of that number fails, 0: none ... */
    size_t fail_count[FAKE_CALL_COUNT]; /* ... and so many in all */
    size_t failed;                      /* calls that were made to fail */
    size_t committed_bytes;
    size_t discarded_bytes; /* since start */
    size_t relocated_bytes;
    struct fake_range ranges[FAKE_RANGES_MAX];
};

void fake_os_init(struct fake_os *fake);
/* Every range must have been given back. */
bool fake_os_is_clean(const struct fake_os *fake);

/* Makes the n-th call from now on fail (1: the next), and count - 1 more after it. */
void fake_os_fail(struct fake_os *fake, enum fake_call call, size_t nth, size_t count);
void fake_os_fail_never(struct fake_os *fake);

void fake_os_turn(struct fake_os *fake, uint64_t ms);

/* What the kernel holds resident of [start, start + bytes), which must lie in one range. */
size_t fake_os_resident_bytes(const struct fake_os *fake, const void *start, size_t bytes);

#endif
