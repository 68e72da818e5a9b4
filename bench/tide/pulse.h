/* SPDX-License-Identifier: MIT */
/* pulse.h: what another client feels: a question each millisecond on a connection of its own.
 *
 * A question is sent when it is due, whether those before it are answered or not, and its delay
 * counts from then: a stall is in the figures with all the questions that came into it (no
 * coordinated omission), and a server whose answers take long is not charged for a queue of our
 * making. A second thread asks nobody and only sleeps a millisecond at a time: by how much it is
 * late is the machine's doing, or another program's, and would be in the answers of any server.
 */
#ifndef EBB_TIDE_PULSE_H
#define EBB_TIDE_PULSE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "../histogram.h"
#include "peer.h"

struct pulse {
    pthread_t thread, sleeper;
    int descriptor;
    enum protocol protocol;
    bool is_stopping, is_lost; /* atomic; lost: the connection, while it was not stopping */
    bool is_running;
    uint64_t due_ns;         /* of the oldest without an answer, atomic; 0: none */
    uint64_t overslept_ns;   /* the sleeper's longest since it was last taken, atomic */
    pthread_mutex_t mutex;   /* guards the next two */
    uint64_t longest_ns;     /* since it was last asked for */
    struct histogram delays; /* since they were last taken */
};

struct pulse_result {
    double p999_seconds, max_seconds; /* NAN: no answer at all */
    double overslept_seconds;         /* the longest */
};

/* 0, or -1 with why in `error`: no connection, no thread. */
int pulse_start(struct pulse *pulse, const struct peer *peer, char error[], size_t error_size);
void pulse_stop(struct pulse *pulse);
/* Whether its connection has ended: there are no more delays then. */
bool pulse_is_lost(const struct pulse *pulse);
/* The longest delay since the last call, one still going on included. */
double pulse_longest(struct pulse *pulse);
/* Takes all delays since the last call. */
struct pulse_result pulse_take(struct pulse *pulse);

#endif
