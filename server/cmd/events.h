/* SPDX-License-Identifier: MIT */
/* events.h: what took long and when, for LATENCY: commands, and work of the store that a client may
 * have had to wait for. Who finds that something took latency-monitor-threshold or more adds it,
 * from any thread. Names and numbers are Redis's.
 */
#ifndef EBB_EVENTS_H
#define EBB_EVENTS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum event { EVENT_COMMAND, EVENT_FAST_COMMAND, EVENT_EXPIRE, EVENT_EVICT, EVENT_COMPACT, EVENTS };
extern const char *const event_names[EVENTS];
/* The event of that name, or EVENTS. */
enum event event_find(const char *name, size_t len);

#define EVENT_SAMPLES 160u /* kept of each event: one of a second, the longest */

struct event_sample {
    int64_t time_s;
    int64_t took_ms;
};

/* The samples of one event; all zero: none. */
struct event_series {
    struct event_sample at[EVENT_SAMPLES]; /* a ring */
    size_t count, next;
    int64_t longest_ms; /* ever */
};
/* The i-th, oldest first. */
static inline const struct event_sample *event_at(const struct event_series *series, size_t i)
{
    return &series->at[(series->next + EVENT_SAMPLES - series->count + i) % EVENT_SAMPLES];
}

struct events {
    pthread_mutex_t mutex; /* nothing else is locked while it is held */
    struct event_series series[EVENTS];
};
void events_init(struct events *events);
void events_release(struct events *events);
void events_add(struct events *events, enum event event, int64_t time_s, int64_t took_ms);
/* Copies one series. false: it is empty. */
bool events_read(struct events *events, enum event event, struct event_series *series);
/* Empties one series. false: it was empty. */
bool events_reset(struct events *events, enum event event);

#endif
