/* SPDX-License-Identifier: MIT */
/* limit.h: what maxmemory leaves for keys. It bounds the resident memory of the process, all of it:
 *
 *   limit == others            stacks, libc's heap, program and libraries: measured
 *          + for clients       set aside for their buffers, or what they hold if that is more
 *          + slack             for what may happen between two looks
 *          + the store's pool  spans, idle pages, metadata: bounded exactly by the allocator
 *
 * So keys never use what is set aside for clients, and never make way for them within it. Main
 * thread only, but for limit_state.
 */
#ifndef EBB_LIMIT_H
#define EBB_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is known at a look. */
struct limit_view {
    size_t limit_bytes;    /* maxmemory; 0: none */
    unsigned lowered;      /* percent of it that memory pressure takes off */
    int64_t clients;       /* maxmemory-clients: bytes, or a negative percentage; 0: no cap */
    size_t client_bytes;   /* buffers of clients now */
    size_t resident_bytes; /* as the kernel counts */
    size_t pool_bytes;     /* resident pages of the store's pool */
};

/* What follows from it. */
struct limit_plan {
    size_t limit_bytes;   /* in force: lowered by pressure; SIZE_MAX: none */
    size_t clients_bytes; /* cap of all clients' buffers; SIZE_MAX: none */
    size_t others_bytes;  /* neither keys nor clients, as it usually is */
    size_t pool_bytes;    /* what the store may hold; SIZE_MAX: no limit */
    size_t ahead_bytes;   /* of it, what upkeep keeps free ahead of writers */
    size_t compact_bytes; /* more than this to be won by compaction: nothing is evicted */
    size_t start_bytes;   /* resident memory from which on keys are evicted; SIZE_MAX: never */
};

/* Pure. `before` is the last plan, NULL: the first. */
struct limit_plan limit_make_plan(const struct limit_view *view, const struct limit_plan *before);
/* What the clients of such a limit may hold together; SIZE_MAX: no cap. Pure. */
size_t limit_clients(size_t limit_bytes, int64_t clients);

/* A descriptor for limit_read_resident(), negative: there is none. The caller closes it. */
int limit_open_resident(void);
/* Resident bytes of this process, 0 when the kernel does not say. */
size_t limit_read_resident(int fd);

#endif
