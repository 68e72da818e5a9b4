/* SPDX-License-Identifier: MIT */
/* counters.h: what the server counts, one struct per worker so that nobody waits for anybody.
 *
 * Each struct has one writer (its worker, or the main thread for its own); anybody may read. A
 * counter is written with counter_add() and read with counter_read(): plain loads and stores that
 * cannot tear. Sums over workers may be a moment apart from each other.
 */
#ifndef EBB_COUNTERS_H
#define EBB_COUNTERS_H

#include <stdint.h>

#include "../proto/ebb_proto.h"
#include "cmd/command_id.h"

enum protocol { PROTOCOL_RESP, PROTOCOL_MEMCACHED, PROTOCOL_HTTP, PROTOCOL_COUNT };
enum command_family { FAMILY_READ, FAMILY_WRITE, FAMILY_MULTI, FAMILY_ADMIN, FAMILY_COUNT };
enum close_reason {
    CLOSE_CLIENT,        /* the other side closed, or QUIT */
    CLOSE_IDLE,          /* option timeout */
    CLOSE_BUFFER_LIMIT,  /* over a buffer limit */
    CLOSE_CLIENTS_LIMIT, /* all clients together over maxmemory-clients, and this one the most */
    CLOSE_ERROR,         /* protocol or socket error */
    CLOSE_SHUTDOWN,
    CLOSE_KILLED, /* CLIENT KILL */
    CLOSE_REASON_COUNT
};

#define COUNTERS_DURATION_BUCKETS 17 /* upper bounds in counters.c, the last +Inf */

struct counters {
    /* commands, by id of commands.def and by memcached verb */
    uint64_t resp_commands[COMMAND_COUNT], resp_errors[COMMAND_COUNT], resp_ns[COMMAND_COUNT];
    uint64_t resp_rejected[COMMAND_COUNT]; /* of the errors: wrong arity or no AUTH, never run */
    uint64_t resp_unknown;
    uint64_t resp_error_kinds[ERROR_KIND_COUNT]; /* every error reply, by its first word */
    uint64_t mc_commands[EBB_MC_VERB_COUNT], mc_errors, mc_too_large, mc_no_memory;
    /* memcached's own hit counters, for `stats` */
    uint64_t mc_get_hits, mc_get_misses, mc_touch_hits, mc_touch_misses, mc_delete_hits,
        mc_delete_misses, mc_incr_hits, mc_incr_misses, mc_decr_hits, mc_decr_misses, mc_cas_hits,
        mc_cas_misses, mc_cas_badval, mc_auths;
    uint64_t http_requests, scrapes;
    uint64_t auth_failures;
    /* durations of batches, by family of their slowest kind (counters.c has the bounds) */
    uint64_t duration[FAMILY_COUNT][COUNTERS_DURATION_BUCKETS];
    uint64_t duration_ns[FAMILY_COUNT];
    /* the whole of a batch, for each of its commands: so long its client waited for the reply */
    uint64_t request[PROTOCOL_COUNT][COUNTERS_DURATION_BUCKETS], request_ns[PROTOCOL_COUNT];
    /* turns of a loop: from its first batch to its last, while no other client was looked at */
    uint64_t stall[COUNTERS_DURATION_BUCKETS], stall_ns;
    /* network */
    uint64_t received_bytes[PROTOCOL_COUNT], sent_bytes[PROTOCOL_COUNT];
    /* long values in replies: not copied, or copied for want of room for one more; bytes of the
     * former, and of replies with such values what was copied after all, as the socket did not take
     * it at once */
    uint64_t spliced_values, unspliced_values, spliced_bytes, unspliced_bytes;
    uint64_t accepted[PROTOCOL_COUNT], closed[CLOSE_REASON_COUNT], rejected_maxclients;
    /* gauges; they may be set on one worker and cleared on another only through counter_add */
    uint64_t connections[PROTOCOL_COUNT];
    uint64_t connection_bytes;          /* connection structs */
    uint64_t input_bytes, output_bytes; /* buffers held by connections and by the worker */
};

/* memcached's commands by the size class of their item; apart, as there are many classes. Written
 * and read as counters are; an array of EBB_CLASS_COUNT + 1 per worker. */
struct class_hits {
    uint64_t get, stored, delete, incr, decr, cas, cas_badval, touch;
};

static inline void counter_add(uint64_t *counter, uint64_t n)
{
    __atomic_store_n(counter, __atomic_load_n(counter, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

static inline uint64_t counter_read(const uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

/* ---- how long commands took; apart, as few ask for it and it is large ---- */

#define LATENCY_BUCKETS 24u /* the last holds all that took longer */

/* Written and read as counters are; one per worker. */
struct latencies {
    uint64_t by_command[COMMAND_COUNT][LATENCY_BUCKETS];
};
/* `sign` 1 adds, -1 takes off; `to` belongs to the caller alone. */
void latencies_sum(struct latencies *to, const struct latencies *from, int sign);

/* Upper bounds of the buckets: powers of two, as Redis shows them. */
static inline uint64_t latency_bound_ns(unsigned bucket)
{
    uint64_t bound = UINT64_C(1024) << bucket;
    return bound + bound / 128 - 1;
}

static inline unsigned latency_bucket(uint64_t ns)
{
    unsigned bucket = ns <= 1024 ? 0 : 64 - (unsigned)__builtin_clzll((ns - 1) >> 10);
    return bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1;
}

extern const double counters_duration_bounds[COUNTERS_DURATION_BUCKETS - 1]; /* seconds */
/* Notes that `commands` (>= 1) of a batch took `ns` together: each counts as one observation of its
 * share. */
void counters_record(struct counters *counters, enum command_family family, uint64_t ns,
                     uint64_t commands);
/* Notes that the replies to `commands` requests were ready `ns` after the first of them was looked
 * at: each of them waited for so long. */
void counters_record_requests(struct counters *counters, enum protocol protocol, uint64_t ns,
                              uint64_t commands);
/* Notes a turn of the loop that served clients for so long. */
void counters_record_stall(struct counters *counters, uint64_t ns);
/* `sign` 1 adds, -1 takes off; `to` belongs to the caller alone. */
void class_hits_sum(struct class_hits *to, const struct class_hits *from, int sign);
/* Adds every counter of `from` to `to`, which belongs to the caller alone. */
void counters_sum(struct counters *to, const struct counters *from);
/* Takes every counter of `base` off `from`; both belong to the caller alone. */
void counters_subtract(struct counters *from, const struct counters *base);

#endif
