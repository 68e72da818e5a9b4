/* SPDX-License-Identifier: MIT */
/* gauge.h: the figures of a server elsewhere, asked for again and again by a thread of their own,
 * so that neither the load nor the samples wait for an answer.
 */
#ifndef EBB_TIDE_GAUGE_H
#define EBB_TIDE_GAUGE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct reading { /* NAN: not to be had */
    double resident, charged, cpu_seconds, faults;
};

/* Asks once, as long as that takes; called in the gauge's thread. */
typedef bool (*gauge_fetch)(void *context, struct reading *reading);

struct gauge {
    gauge_fetch fetch;
    void *context;
    unsigned patience_ms;
    pthread_t thread;
    bool is_running;
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t changed;
    bool is_stopping;
    struct reading latest;
    uint64_t asked_ns; /* when it was asked for; 0: there is none yet */
};

/* An answer may be so old, and be waited for so long. 0, or -1: no thread. */
int gauge_start(struct gauge *gauge, gauge_fetch fetch, void *context, unsigned patience_ms);
void gauge_stop(struct gauge *gauge);
/* The latest answer; with is_fresh one to a question a quarter of a second after this call, for
 * which it waits: servers and exporters look some times a second at most, and
 * what they say then may be so old. false: there is none, or all are too old. */
bool gauge_read(struct gauge *gauge, bool is_fresh, struct reading *reading);

#endif
