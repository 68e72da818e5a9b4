/* SPDX-License-Identifier: MIT */
/* gauge.c: see gauge.h. */
#include "gauge.h"

#include <time.h>

#include "../process.h"

#define PERIOD_MS      50
#define FRESH_NS       UINT64_C(250000000)
#define NS_OF_A_MS     1000000
#define NS_OF_A_SECOND 1000000000

static struct timespec in_ms(long ms)
{
    struct timespec when;
    clock_gettime(CLOCK_MONOTONIC, &when);
    when.tv_sec += ms / 1000;
    when.tv_nsec += ms % 1000 * NS_OF_A_MS;
    if (when.tv_nsec >= NS_OF_A_SECOND) {
        when.tv_sec++;
        when.tv_nsec -= NS_OF_A_SECOND;
    }
    return when;
}

static void *run(void *context)
{
    struct gauge *gauge = context;
    pthread_mutex_lock(&gauge->mutex);
    while (!gauge->is_stopping) {
        struct timespec next = in_ms(PERIOD_MS);
        struct reading reading;
        uint64_t asked_ns = clock_ns();
        pthread_mutex_unlock(&gauge->mutex);
        bool is_answered = gauge->fetch(gauge->context, &reading);
        pthread_mutex_lock(&gauge->mutex);
        if (is_answered) {
            gauge->latest = reading;
            gauge->asked_ns = asked_ns;
            pthread_cond_broadcast(&gauge->changed);
        }
        while (!gauge->is_stopping &&
               pthread_cond_timedwait(&gauge->changed, &gauge->mutex, &next) == 0)
            ;
    }
    pthread_mutex_unlock(&gauge->mutex);
    return NULL;
}

int gauge_start(struct gauge *gauge, gauge_fetch fetch, void *context, unsigned patience_ms)
{
    pthread_condattr_t attributes;
    *gauge = (struct gauge){.fetch = fetch, .context = context, .patience_ms = patience_ms};
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&gauge->mutex, NULL);
    pthread_cond_init(&gauge->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    gauge->is_running = pthread_create(&gauge->thread, NULL, run, gauge) == 0;
    return gauge->is_running ? 0 : -1;
}

void gauge_stop(struct gauge *gauge)
{
    if (!gauge->is_running)
        return;
    pthread_mutex_lock(&gauge->mutex);
    gauge->is_stopping = true;
    pthread_cond_broadcast(&gauge->changed);
    pthread_mutex_unlock(&gauge->mutex);
    pthread_join(gauge->thread, NULL);
    pthread_cond_destroy(&gauge->changed);
    pthread_mutex_destroy(&gauge->mutex);
    gauge->is_running = false;
}

bool gauge_read(struct gauge *gauge, bool is_fresh, struct reading *reading)
{
    struct timespec limit = in_ms(gauge->patience_ms);
    uint64_t now = clock_ns(), patience = (uint64_t)gauge->patience_ms * NS_OF_A_MS;
    uint64_t least = is_fresh ? now + FRESH_NS : now > patience ? now - patience : 1;
    int status = 0;
    pthread_mutex_lock(&gauge->mutex);
    while (is_fresh && gauge->asked_ns < least && status == 0)
        status = pthread_cond_timedwait(&gauge->changed, &gauge->mutex, &limit);
    bool is_there = gauge->asked_ns != 0 && gauge->asked_ns >= least;
    *reading = gauge->latest;
    pthread_mutex_unlock(&gauge->mutex);
    return is_there;
}
