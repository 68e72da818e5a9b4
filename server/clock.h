/* SPDX-License-Identifier: MIT */
/* clock.h: the two times the server knows. Unix time is for expiry and for people, it may jump;
 * monotonic time is for measuring.
 */
#ifndef EBB_CLOCK_H
#define EBB_CLOCK_H

#include <stdint.h>

int64_t clock_unix_ms(void);
int64_t clock_unix_ns(void);
uint64_t clock_monotonic_ns(void);

#endif
