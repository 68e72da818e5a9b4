/* SPDX-License-Identifier: MIT */
/* probe.c: see probe.h. */
#include "probe.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proc.h"
#include "workload.h"

#define PROBE_TURN_NS 1000000u

static const char key[] = "probe", value[] = "a value";

static void on_reply(void *context, unsigned number, const struct wire_reply *reply)
{
    struct probe *probe = context;
    (void)number;
    if (reply->status == WIRE_DONE)
        return;
    if (reply->status == WIRE_MISSING)
        probe->missing++;
    else if (reply->status != WIRE_VALUE || reply->length != strlen(value) ||
             memcmp(reply->data, value, reply->length) != 0)
        probe->is_wrong = true;
}

/* Waits for the next turn. Returns when its GET begins: at the turn, if that has gone by. */
static uint64_t wait_for(uint64_t turn_ns)
{
    uint64_t now_ns = clock_ns();
    if (now_ns >= turn_ns)
        return turn_ns;
    struct timespec turn = {.tv_sec = (time_t)(turn_ns / 1000000000u),
                            .tv_nsec = (long)(turn_ns % 1000000000u)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &turn, NULL) == EINTR)
        ;
    return clock_ns();
}

/* It does next to nothing, and should not wait for those who do much. Where that is not allowed, it
 * waits. */
static void come_first(void)
{
    struct sched_param first = {.sched_priority = 1};
    pthread_setschedparam(pthread_self(), SCHED_FIFO, &first);
}

static void *run(void *context)
{
    struct probe *probe = context;
    come_first();
    uint64_t turn_ns = clock_ns();
    while (!__atomic_load_n(&probe->is_stopping, __ATOMIC_RELAXED) && probe->count < PROBE_MAX) {
        uint64_t begin_ns = wait_for(turn_ns);
        wire_get(&probe->wire, key, strlen(key), strlen(value));
        wire_exchange(&probe->wire, on_reply, probe);
        probe->ns[probe->count++] = clock_ns() - begin_ns;
        turn_ns = begin_ns + PROBE_TURN_NS;
        if (probe->leaves_out && turn_ns < clock_ns())
            turn_ns = clock_ns();
    }
    return NULL;
}

static void start(struct probe *probe, enum wire_protocol protocol, uint16_t port, bool leaves_out)
{
    *probe = (struct probe){.leaves_out = leaves_out,
                            .ns = must_realloc(NULL, PROBE_MAX * sizeof *probe->ns)};
    if (!wire_open(&probe->wire, protocol, port, 1))
        die("no connection to port %u", port);
    wire_set(&probe->wire, key, strlen(key), value, strlen(value));
    wire_exchange(&probe->wire, on_reply, probe);
    if (pthread_create(&probe->thread, NULL, run, probe) != 0)
        die("no thread");
}

void probe_start(struct probe *probe, enum wire_protocol protocol, uint16_t port)
{
    start(probe, protocol, port, false);
}

void probe_start_beside(struct probe *probe, enum wire_protocol protocol, uint16_t port)
{
    start(probe, protocol, port, true);
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

struct probe_result probe_stop(struct probe *probe)
{
    __atomic_store_n(&probe->is_stopping, true, __ATOMIC_RELAXED);
    pthread_join(probe->thread, NULL);
    wire_close(&probe->wire);
    struct probe_result result = {.count = probe->count, .missing = probe->missing};
    if (probe->is_wrong)
        die("the probe's value is not what it was");
    if (probe->count > 0) {
        qsort(probe->ns, probe->count, sizeof *probe->ns, compare);
        for (size_t i = probe->count; i-- > 0 && probe->ns[i] > 1000000;)
            result.over_1_ms++;
        result.longest_ms = (double)probe->ns[probe->count - 1] / 1e6;
        result.p999_ms = (double)probe->ns[probe->count * 999 / 1000] / 1e6;
        result.p50_ms = (double)probe->ns[probe->count / 2] / 1e6;
    }
    free(probe->ns);
    return result;
}
