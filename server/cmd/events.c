/* SPDX-License-Identifier: MIT */
/* events.c: the series of events.h. timing.c and the server add, cmd_latency.c reads.
 */
#include "events.h"

#include <string.h>

const char *const event_names[EVENTS] = {
    [EVENT_COMMAND] = "command",
    [EVENT_FAST_COMMAND] = "fast-command",
    [EVENT_EXPIRE] = "expire-cycle",
    [EVENT_EVICT] = "eviction-cycle",
    [EVENT_COMPACT] = "active-defrag-cycle",
};

enum event event_find(const char *name, size_t len)
{
    enum event event = 0;

    while (event < EVENTS &&
           (strlen(event_names[event]) != len || memcmp(event_names[event], name, len) != 0))
        event++;
    return event;
}

void events_init(struct events *events)
{
    memset(events, 0, sizeof(*events));
    pthread_mutex_init(&events->mutex, NULL);
}

void events_release(struct events *events)
{
    pthread_mutex_destroy(&events->mutex);
}

static void add(struct event_series *series, struct event_sample sample)
{
    struct event_sample *last = &series->at[(series->next + EVENT_SAMPLES - 1) % EVENT_SAMPLES];

    if (sample.took_ms > series->longest_ms)
        series->longest_ms = sample.took_ms;
    if (series->count > 0 && last->time_s == sample.time_s) {
        if (sample.took_ms > last->took_ms)
            last->took_ms = sample.took_ms;
        return;
    }
    series->at[series->next] = sample;
    series->next = (series->next + 1) % EVENT_SAMPLES;
    series->count += series->count < EVENT_SAMPLES;
}

void events_add(struct events *events, enum event event, int64_t time_s, int64_t took_ms)
{
    pthread_mutex_lock(&events->mutex);
    add(&events->series[event], (struct event_sample){time_s, took_ms});
    pthread_mutex_unlock(&events->mutex);
}

bool events_read(struct events *events, enum event event, struct event_series *series)
{
    pthread_mutex_lock(&events->mutex);
    *series = events->series[event];
    pthread_mutex_unlock(&events->mutex);
    return series->count > 0;
}

bool events_reset(struct events *events, enum event event)
{
    struct event_series *series = &events->series[event];

    pthread_mutex_lock(&events->mutex);
    bool had_any = series->count > 0;
    memset(series, 0, sizeof(*series));
    pthread_mutex_unlock(&events->mutex);
    return had_any;
}
