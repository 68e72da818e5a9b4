/* SPDX-License-Identifier: MIT */
/* progress.h: how long a run still takes: what its phases will send, at the pace so far, and the
 * times they wait.
 *
 * An estimate for the eye: sizes are taken at their mean, and a server that slows down is believed
 * to stay as it was.
 */
#ifndef EBB_TIDE_PROGRESS_H
#define EBB_TIDE_PROGRESS_H

#include "engine.h"

struct forecast {      /* of a phase */
    double operations; /* as fast as the server is */
    double seconds;    /* whatever the server does */
    double verify;     /* operations, of the read-back */
    double settle;
};

struct progress {
    struct forecast phases[SCENARIO_PHASES_MAX];
    double seconds, operations; /* when it was last noted */
    double busy_seconds, busy_operations;
};

void progress_init(struct progress *progress, const struct scenario *scenario);
/* To be called now and then: it learns the pace. */
void progress_note(struct progress *progress, const struct engine *engine);
/* Negative while the pace is unknown. */
double progress_seconds_left(const struct progress *progress, const struct engine *engine);

#endif
