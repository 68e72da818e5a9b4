/* SPDX-License-Identifier: MIT */
/* engine.h: plays a scenario on a server and keeps what it saw.
 *
 * All commands for a key go over one connection, so the model knows at the moment of sending what
 * the reply must be. One thread and one loop for the load, one thread for the pulse.
 */
#ifndef EBB_TIDE_ENGINE_H
#define EBB_TIDE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "lane.h"
#include "model.h"
#include "peer.h"
#include "popularity.h"
#include "pulse.h"
#include "scenario.h"
#include "source.h"

#define ENGINE_LANES_MAX 1024
#define SAMPLE_MS        50
#define PLACES_AHEAD     8

struct sample { /* NAN: not to be had; cumulative from `cpu_seconds` on, but for the stall */
    double seconds, resident, charged, live, cpu_seconds, faults, operations, stall;
};

struct counts {
    uint64_t operations, errors, hits, misses, wrong, missing, written_bytes;
};

struct outcome { /* of a phase */
    double start_seconds, end_seconds;
    uint64_t live_bytes, items;
    double server_live_bytes, server_items, resident, charged, peak_resident, peak_live;
    double follow_seconds, cpu_seconds, faults;
    /* while it worked, without settling and reading back */
    double work_seconds, load_cpu_seconds; /* tide's own: the load's thread */
    uint64_t work_operations;
    uint64_t found_items, found_bytes; /* keys and values that were read back at the end */
    struct pulse_result stall;
    struct counts counts;
};

enum stage { STAGE_WORK, STAGE_SETTLE, STAGE_VERIFY };

struct engine {
    /* given */
    const struct scenario *scenario;
    const struct peer *peer;
    struct source *source;
    unsigned lane_count, depth;
    uint64_t seed;
    bool is_evicting;
    void (*on_sample)(void *context, const struct engine *engine);
    void *context;
    /* found */
    struct outcome outcomes[SCENARIO_PHASES_MAX];
    size_t outcome_count;
    struct sample *samples;
    size_t sample_count, sample_capacity;
    struct counts counts;
    char error[400]; /* why it ended early, "" */
    /* the work */
    uv_loop_t loop;
    uv_timer_t tick;
    uv_check_t check;
    uv_signal_t signals[2]; /* SIGINT, SIGTERM: what was seen is kept */
    uv_poll_t *polls;
    struct lane *lanes;
    struct pulse pulse;
    struct model model;
    struct prng prng;
    uint64_t start_ns;
    double now; /* engine_seconds() when the loop woke: good for a batch of commands */
    double idle_resident;
    unsigned in_flight, ticks;
    /* the phase */
    size_t phase;
    enum stage stage;
    double stage_begin, stage_cpu; /* on the clock, and of the load's thread */
    struct counts phase_counts;    /* as it began */
    struct reading phase_reading;
    uint64_t phase_live, added, written;
    uint64_t target; /* bytes to write (fill), items to leave (delete) or to replace (resize) */
    size_t cursor, choice;       /* choice: churn's next, if has_choice */
    size_t places[PLACES_AHEAD]; /* a ring: where random steps go next, already fetched */
    unsigned next_place;
    struct popularity popularity;
    uint32_t next_bytes; /* of the value to be written next; has_next */
    bool has_next, is_write, has_choice, is_stopped;
};

/* Plays it all. 0, or -1 with `error`; what was seen until then is there in both cases. */
int engine_run(struct engine *engine);
void engine_release(struct engine *engine);
double engine_seconds(const struct engine *engine);

#endif
