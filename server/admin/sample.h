/* SPDX-License-Identifier: MIT */
/* sample.h: one consistent look at memory, and what is remembered of earlier looks.
 *
 * admin.c takes a sample once a second, and one more when somebody asks and the last is stale.
 */
#ifndef EBB_SAMPLE_H
#define EBB_SAMPLE_H

#include "../facts.h"
#include "../service.h"
#include "../store/stats.h"
#include "environment.h"
#include "parts.h"
#include "process.h"
#include "window.h"

/* The promise of the product: resident <= 1.05 x (live + 16 x items) + 8 MiB. What connections hold
 * comes on top: it is their clients who have to read. */
#define FOLLOW_PERCENT    105u
#define FOLLOW_ITEM_BYTES 16u
#define FOLLOW_BASE_BYTES ((size_t)8 << 20)

enum { WINDOW_1M, WINDOW_10M, WINDOW_1H, WINDOW_COUNT };

/* The highest that the kernel or the store saw between samples, or that a sample saw: the kernel's
 * own mark may lie below its exact count. */
struct peak {
    size_t bytes;
    double time_seconds; /* unix; of the sample that first showed it */
};

struct sample {
    double time_seconds;  /* unix */
    uint64_t taken_ns;    /* monotonic; of the look, or when nothing had changed since it */
    uint64_t duration_ns; /* CPU time that taking it cost */
    struct process_memory memory;
    struct environment environment; /* of the last full second */
    struct store_stats store;
    struct counters counters; /* since start */
    double cpu_seconds;       /* since start */
    struct parts parts;
    size_t live_bytes; /* keys and values, expired ones too */
    size_t connection_bytes;
    struct peak resident_peak, live_peak; /* since start */
    double evicted_per_second;            /* since the look before */
    double follow_lag_seconds; /* for how long resident memory has been above the promise */
};

struct sampler {
    struct service *service;
    struct process *process;
    struct environment_files *files;
    struct environment environment;
    struct sample last;
    uint64_t looked_ns, looked_around_ns; /* when the kernel was last asked */
    struct window windows[WINDOW_COUNT];
    uint64_t behind_since_ns; /* 0: resident memory follows */
    size_t history_bytes;     /* set by whoever keeps one: it is a part too */
};

int sampler_init(struct sampler *sampler, struct service *service); /* 0 or -1 */
void sampler_release(struct sampler *sampler);
void sampler_take(struct sampler *sampler);
/* Takes the last one for the present, for nothing has happened since. false: it is 10 s old, and
 * what others do to our pages is to be seen as well. */
bool sampler_repeat(struct sampler *sampler);
/* Looks at the system around as well: once a second is enough. */
void sampler_look_around(struct sampler *sampler);
/* Takes one unless the last is younger than 0.2 s, or so dear that sampling would cost 1 % of a
 * processor. */
void sampler_refresh(struct sampler *sampler);
/* Extremes of a window (WINDOW_1M ..) up to the last sample. */
struct window_step sampler_window(const struct sampler *sampler, size_t window);
/* Whether resident memory is above the promise. Pure. */
bool sample_is_behind(const struct sample *sample);

void sample_facts(const struct sample *sample, size_t limit_bytes, struct memory_facts *facts);

uint64_t monotonic_ns(void);
uint64_t thread_cpu_ns(void); /* what something costs, however often we are held up in it */

#endif
