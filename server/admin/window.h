/* SPDX-License-Identifier: MIT */
/* window.h: highest and lowest of the last minute, ten minutes, hour, from 1 Hz samples.
 *
 * A ring of 61 steps, each a sixtieth of the window: three windows cost 4.4 KiB instead of the 84
 * KiB of an hour of samples. What it covers is the window and at most one step more.
 */
#ifndef EBB_WINDOW_H
#define EBB_WINDOW_H

#include <stddef.h>
#include <stdint.h>

#define WINDOW_STEPS 60u

struct window_step {
    uint64_t number; /* time / step_seconds */
    size_t resident_max, resident_min, live_max;
};

struct window {
    unsigned step_seconds;
    struct window_step steps[WINDOW_STEPS + 1];
};

/* seconds: a multiple of WINDOW_STEPS. */
void window_init(struct window *window, unsigned seconds);
/* now_seconds never runs backwards. */
void window_add(struct window *window, uint64_t now_seconds, size_t resident_bytes,
                size_t live_bytes);
/* All zero before the first sample. `number` means nothing in the result. */
struct window_step window_read(const struct window *window, uint64_t now_seconds);

#endif
