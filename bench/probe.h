/* SPDX-License-Identifier: MIT */
/* probe.h: a second connection that sends one GET each millisecond and notes how long each takes:
 * what another client feels meanwhile.
 *
 * A GET whose turn comes while the one before is unanswered counts from its turn, so a stall of
 * 10 ms is ten slow GETs; but where the server has no time to spare turns are left out, or all that
 * come later would wait for those before. That the probe itself woke up late is not the server's
 * doing and does not count. A GET that waits behind a batch of the first connection counts that
 * wait too, and so does a processor that the machine had given to somebody else: compare with the
 * probe of an idle server.
 */
#ifndef EBB_BENCH_PROBE_H
#define EBB_BENCH_PROBE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire.h"

#define PROBE_MAX (1u << 20) /* GETs of one run */

struct probe {
    pthread_t thread;
    struct wire wire;
    uint64_t *ns;
    size_t count;
    size_t missing;
    bool is_wrong;
    bool leaves_out;  /* turns that go by while it waits */
    bool is_stopping; /* atomic */
};

struct probe_result {
    size_t count, over_1_ms;
    size_t missing; /* GETs that found nothing: the key was flushed or evicted */
    double longest_ms, p999_ms, p50_ms;
};

/* Stores its key, and begins. */
void probe_start(struct probe *probe, enum wire_protocol protocol, uint16_t port);
/* The same beside a load that takes all of the server's time. */
void probe_start_beside(struct probe *probe, enum wire_protocol protocol, uint16_t port);
struct probe_result probe_stop(struct probe *probe);

#endif
