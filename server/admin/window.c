/* SPDX-License-Identifier: MIT */
/* window.c: rings of extremes. Pure. */
#include "window.h"

#include <string.h>

#define NEVER UINT64_MAX

void window_init(struct window *window, unsigned seconds)
{
    memset(window, 0, sizeof *window);
    window->step_seconds = seconds / WINDOW_STEPS;
    for (size_t i = 0; i <= WINDOW_STEPS; i++)
        window->steps[i].number = NEVER;
}

static void widen(struct window_step *step, const struct window_step *by)
{
    if (by->resident_max > step->resident_max)
        step->resident_max = by->resident_max;
    if (by->resident_min < step->resident_min)
        step->resident_min = by->resident_min;
    if (by->live_max > step->live_max)
        step->live_max = by->live_max;
}

void window_add(struct window *window, uint64_t now_seconds, size_t resident_bytes,
                size_t live_bytes)
{
    struct window_step sample = {
        .number = now_seconds / window->step_seconds,
        .resident_max = resident_bytes,
        .resident_min = resident_bytes,
        .live_max = live_bytes,
    };
    struct window_step *step = &window->steps[sample.number % (WINDOW_STEPS + 1)];
    if (step->number != sample.number)
        *step = sample;
    else
        widen(step, &sample);
}

struct window_step window_read(const struct window *window, uint64_t now_seconds)
{
    uint64_t now = now_seconds / window->step_seconds;
    struct window_step sum = {.resident_min = SIZE_MAX};
    for (size_t i = 0; i <= WINDOW_STEPS; i++) {
        const struct window_step *step = &window->steps[i];
        if (step->number != NEVER && now - step->number <= WINDOW_STEPS)
            widen(&sum, step);
    }
    if (sum.resident_min == SIZE_MAX)
        sum.resident_min = 0;
    return sum;
}
