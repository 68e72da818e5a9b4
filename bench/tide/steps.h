/* SPDX-License-Identifier: MIT */
/* steps.h: which command comes next in a phase. */
#ifndef EBB_TIDE_STEPS_H
#define EBB_TIDE_STEPS_H

#include "engine.h"

enum step {
    STEP_SENT, /* composed into its lane */
    STEP_WAIT, /* not now: the lane is full, the rate is reached, or time must pass */
    STEP_DONE,
    STEP_FAILED, /* out of memory */
};

void steps_begin(struct engine *engine, const struct phase *phase);
enum step steps_next(struct engine *engine, const struct phase *phase);
/* From now on each item is read back once. */
void steps_begin_verify(struct engine *engine);
/* The server has evicted it: the model lets it go at the end of the phase. */
void steps_forget(struct engine *engine, const struct item *item);

#endif
