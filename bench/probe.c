/* SPDX-License-Identifier: MIT */
/* probe.c: see probe.h. */
#include "probe.h"

#include <stdlib.h>
#include <string.h>

#include "proc.h"
#include "workload.h"

static const char key[] = "probe", value[] = "a value";

static void on_reply(void *context, unsigned number, const struct wire_reply *reply)
{
    struct probe *probe = context;
    (void)number;
    if (reply->status == WIRE_DONE)
        return;
    if (reply->status != WIRE_VALUE || reply->length != strlen(value) ||
        memcmp(reply->data, value, reply->length) != 0)
        probe->is_wrong = true;
}

static void *run(void *context)
{
    struct probe *probe = context;
    uint64_t next = clock_ns();
    while (!__atomic_load_n(&probe->is_stopping, __ATOMIC_RELAXED) && probe->count < PROBE_MAX) {
        uint64_t begin = clock_ns();
        if (begin < next) {
            struct timespec pause = {.tv_nsec = (long)(next - begin)};
            nanosleep(&pause, NULL);
            continue;
        }
        wire_get(&probe->wire, key, strlen(key), strlen(value));
        wire_exchange(&probe->wire, on_reply, probe);
        probe->ns[probe->count++] = clock_ns() - begin;
        next = begin + 1000000;
    }
    return NULL;
}

void probe_start(struct probe *probe, enum wire_protocol protocol, uint16_t port)
{
    *probe = (struct probe){.ns = must_realloc(NULL, PROBE_MAX * sizeof *probe->ns)};
    if (!wire_open(&probe->wire, protocol, port, 1))
        die("no connection to port %u", port);
    wire_set(&probe->wire, key, strlen(key), value, strlen(value));
    wire_exchange(&probe->wire, on_reply, probe);
    if (pthread_create(&probe->thread, NULL, run, probe) != 0)
        die("no thread");
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
    struct probe_result result = {.count = probe->count};
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
