/* SPDX-License-Identifier: MIT */
/* worker.h: one loop with its connections, and what they share: the read buffer, the reply buffer,
 * the arguments of a batch, the store session, the counters.
 *
 * The server has one worker on a thread of its own for each of `threads`, and one on the main
 * thread for HTTP. Everything here is touched by the worker's own thread, except what `mutex`
 * guards and worker_give(), worker_stop() and reads of the counters.
 *
 *   main thread                          worker thread
 *   accept -> worker_give() -> queue ->  connection_open()
 *                              wake ->
 */
#ifndef EBB_NET_WORKER_H
#define EBB_NET_WORKER_H

#include <uv.h>

#include "../cmd/slowlog.h"
#include "../cmd/splices.h"
#include "../log.h"
#include "../service.h"
#include "../store/store.h"
#include "overruns.h"
#include "pending.h"

#define WORKER_IN_BYTES       (64u * 1024)   /* one read */
#define WORKER_SHARE_BYTES    (16u * 1024)   /* the same where many have much to say */
#define WORKER_TURN_BYTES     (1024u * 1024) /* read in one turn of the loop, as far as that goes */
#define WORKER_BATCH_MAX      16u   /* commands parsed ahead, so that keys can be prefetched */
#define WORKER_TIMED_MAX      1024u /* commands between two looks at the clock */
#define WORKER_FLUSH_BYTES    (256u * 1024) /* of replies gathered before they go to the socket */
#define WORKER_OUT_KEEP_BYTES (512u * 1024) /* a larger reply buffer is given back at once */
#define WORKER_OUT_KEEP_HTTP  (16u * 1024)  /* pages come seldom and are long */
#define WORKER_ARGS_KEEP      1024u         /* and so are arrays of more arguments */
#define WORKER_SPARES         4u
#define WORKER_SPARE_BYTES    (4u * 1024 * 1024) /* of all spares together */

struct admin;
struct connection;
struct gather;

/* An accepted socket on its way to its worker. */
struct handover {
    int fd;
    enum protocol protocol;
    uint64_t client_id;
};

struct worker_config {
    struct service *service;
    struct log *log;
    struct admin *admin;        /* for the worker that serves HTTP, else NULL */
    uint64_t *open_connections; /* of the whole server; changed atomically */
};

/* What has been run since the clock was last looked at. */
struct worker_timing {
    uint64_t start_ns;
    uint64_t unix_look_ns;               /* when unix time was last asked for, in monotonic time */
    int64_t unix_ahead_ns;               /* of monotonic time, by then */
    uint64_t turn_start_ns, turn_end_ns; /* of the batches in this turn of the loop; 0: none yet */
    enum protocol protocol;
    uint64_t own_ns; /* of commands timed by themselves */
    unsigned count;
    enum command_family family; /* the worst of them */
    uint16_t resp_ids[WORKER_TIMED_MAX];
    unsigned resp_count;
};

struct worker {
    uv_loop_t loop;
    uv_async_t wake;
    uv_timer_t tick; /* once a second, but while there is nothing to look after */
    uv_check_t turn; /* at the end of each turn of the loop that served somebody */
    struct worker_config config;
    uv_idle_t line_turn; /* active while there is a line */
    struct store_session session;
    struct counters counters;
    struct latencies latencies;
    struct class_hits *class_hits; /* EBB_CLASS_COUNT + 1; apart, as few of its pages are used */

    struct connection *connections; /* a ring, in no order that matters; NULL: none */
    size_t connection_count;
    struct connection *resting;        /* of them: have had their share of this turn of the loop */
    struct connection *line;           /* of them: wait for a later turn, in order; line.h */
    struct connection *line_last;      /* while there is one */
    unsigned reads;                    /* so far in this turn */
    size_t share_bytes;                /* of each in it: what one read may take */
    size_t waiting_count, large_count; /* of them, by claims.h: wait, or send large commands */
    size_t holding_count;              /* of them: hold values of the store, by held.h */
    size_t wake_bytes; /* while clients hold more, there is room for none that waits */
    size_t vain_bytes; /* what they held when nobody was found to be closed; 0: nobody was looked
                          for since they held so much */
    const struct connection *coming_for; /* replies are about to be kept for it, or NULL: ... */
    size_t coming_bytes;                 /* ... so many bytes */
    bool is_waking;                      /* those that wait are being looked at */

    char *in;              /* WORKER_IN_BYTES, there only while in use */
    size_t in_used;        /* of it, by what is gathered */
    struct gather *gather; /* commands that wait for the end of the turn */
    /* Buffers that long commands have come in with, for the next ones: their pages are there. */
    struct ebb_buf spares[WORKER_SPARES];
    bool was_spare_used;    /* since the last tick */
    struct ebb_buf out;     /* replies of the batch that runs */
    struct splices splices; /* and the values in them */
    union parser parser;    /* of the connection that runs, with args[0] */
    struct ebb_args args[WORKER_BATCH_MAX];
    struct ebb_mc_command mc_commands[WORKER_BATCH_MAX];
    struct worker_timing timing;
    struct command_clock clock;
    struct overruns overruns;
    size_t counted_in_bytes, counted_out_bytes; /* what the counters hold for the buffers above */
    size_t claim_bytes;                         /* for the buffers above; see claims.h */
    bool was_used;                              /* since the last tick */
    bool has_grown; /* `in` or arrays of arguments, since the counters were brought up to date */

    uv_thread_t thread;
    uv_mutex_t mutex;
    struct handover *given; /* guarded by mutex, like the next three */
    size_t given_count, given_capacity;
    bool is_stopping;
    bool has_killed; /* changed atomically: clients of it are to be closed */
};

/* 0 or a negative libuv error. */
int worker_init(struct worker *worker, const struct worker_config *config);
/* After the loop has ended (worker_stop and worker_join, or a failed start). */
void worker_release(struct worker *worker);
int worker_start(struct worker *worker); /* runs the loop on a thread of its own */
void worker_join(struct worker *worker);

/* From any thread. The socket is the worker's, whatever becomes of it. */
void worker_give(struct worker *worker, const struct handover *handover);
/* From any thread, with the list of clients locked: the worker closes the client soon. */
void worker_kill(struct client *client);
/* From any thread: the worker closes everything, and its loop ends. */
void worker_stop(struct worker *worker);
/* From any thread: the worker looks around once more, for a setting has changed. */
void worker_wake(struct worker *worker);

/* ---- for connections and dialects, on the worker's thread ---- */

/* Brackets the running of commands: sets the session's time, lets go of the store, counts. */
void worker_begin(struct worker *worker, enum protocol protocol);
void worker_end(struct worker *worker);
/* For worker_ran(): a command that was timed by itself; and the batch so far, since it is long. */
void worker_note_time(struct worker *worker, uint16_t resp_id, uint64_t took_ns);
void worker_look(struct worker *worker);
/* Notes one command that has run; `resp_id` is COMMAND_COUNT where there is none, `took_ns` 0 where
 * it takes its share of the batch. */
static inline void worker_ran(struct worker *worker, enum command_family family, uint16_t resp_id,
                              uint64_t took_ns)
{
    struct worker_timing *timing = &worker->timing;
    timing->count++;
    if (family > timing->family)
        timing->family = family;
    if (took_ns > 0)
        worker_note_time(worker, resp_id, took_ns);
    else if (resp_id != COMMAND_COUNT)
        timing->resp_ids[timing->resp_count++] = resp_id;
    if (timing->count == WORKER_TIMED_MAX)
        worker_look(worker);
}
/* Starts the tick anew, if it has stopped: there is something to look after. */
void worker_stir(struct worker *worker);
/* Whether the replies are so many that they should be sent before more is run. */
static inline bool worker_has_much(const struct worker *worker)
{
    return worker->out.failed ||
           ebb_buf_len(&worker->out) + worker->splices.bytes > WORKER_FLUSH_BYTES;
}
/* The read buffer, or NULL without memory. */
char *worker_in(struct worker *worker);
/* Takes over the memory of a buffer whose content is done with, or frees it. */
void worker_spare(struct worker *worker, struct ebb_buf *buf);
/* Gives memory taken over before to a buffer that has none; leaves it so if there is none. */
void worker_reuse(struct worker *worker, struct ebb_buf *buf);
/* Gives back what a large command made grow, and brings the byte counters up to date. */
void worker_settle(struct worker *worker);

#endif
