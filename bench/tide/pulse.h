/* SPDX-License-Identifier: MIT */
/* pulse.h: what another client feels: a question each millisecond on a connection of its own.
 *
 * A delay counts from the moment the question was due, not from when it could be sent: questions
 * that a stall kept from being asked are in the figures too (no coordinated omission).
 */
#ifndef EBB_TIDE_PULSE_H
#define EBB_TIDE_PULSE_H

#include <netdb.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "lane.h"

#define PULSE_BUCKETS 1024 /* sixteen for each power of two of nanoseconds */

struct pulse {
    pthread_t thread;
    int descriptor;
    enum protocol protocol;
    bool is_stopping, is_running;    /* atomic: is_stopping */
    uint64_t due_ns;                 /* of the question not answered yet, atomic; 0: none */
    uint64_t longest_ns;             /* since it was last taken, atomic */
    uint64_t buckets[PULSE_BUCKETS]; /* atomic */
};

struct pulse_result {
    double p999_seconds, max_seconds; /* NAN: no answer at all */
};

/* 0, or -1 if there is no connection or no thread. */
int pulse_start(struct pulse *pulse, const struct addrinfo *address, enum protocol protocol);
void pulse_stop(struct pulse *pulse);
/* The longest delay since the last call, one still going on included. */
double pulse_longest(struct pulse *pulse);
/* Takes all delays since the last call. */
struct pulse_result pulse_take(struct pulse *pulse);
uint64_t clock_now_ns(void);

#endif
