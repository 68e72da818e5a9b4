/* SPDX-License-Identifier: MIT */
/* worker.c: the life of a loop: sockets come in over a queue, once a second it looks after idle
 * clients and idle memory, and at the end it closes what it has. What happens on a connection is
 * connection.c.
 */
#include "worker.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../clients.h"
#include "../clock.h"
#include "../options.h"
#include "claims.h"
#include "connection.h"
#include "gather.h"

#define WORKER_STACK_BYTES (256u * 1024)
#define TICK_MS            1000u
#define UNIX_LOOK_NS       10000000u
#define TURN_NS            100000u /* the shortest there is */
/* Clients looked at in one tick: with more of them, each is seen every few seconds. */
#define SWEEP_MAX 4096u

/* ---- buffers ---- */

char *worker_in(struct worker *worker)
{
    if (!worker->in) {
        worker->in = malloc(WORKER_IN_BYTES);
        worker->has_grown = true;
    }
    return worker->in;
}

static size_t spare_bytes(const struct worker *worker)
{
    size_t bytes = 0;
    for (size_t i = 0; i < WORKER_SPARES; i++)
        bytes += worker->spares[i].capacity;
    return bytes;
}

static struct ebb_buf *largest_spare(struct worker *worker)
{
    struct ebb_buf *largest = &worker->spares[0];
    for (size_t i = 1; i < WORKER_SPARES; i++)
        if (worker->spares[i].capacity > largest->capacity)
            largest = &worker->spares[i];
    return largest;
}

static struct ebb_buf *free_spare(struct worker *worker)
{
    for (size_t i = 0; i < WORKER_SPARES; i++)
        if (worker->spares[i].capacity == 0)
            return &worker->spares[i];
    return NULL;
}

void worker_spare(struct worker *worker, struct ebb_buf *buf)
{
    struct ebb_buf *spare = free_spare(worker);
    if (!spare || buf->capacity + spare_bytes(worker) > WORKER_SPARE_BYTES ||
        claims_are_tight(worker)) {
        ebb_buf_release(buf);
        return;
    }
    *spare = *buf;
    ebb_buf_clear(spare);
    ebb_buf_init(buf, buf->max_bytes);
    worker->has_grown = true;
}

void worker_reuse(struct worker *worker, struct ebb_buf *buf)
{
    struct ebb_buf *spare = largest_spare(worker);
    size_t max_bytes = buf->max_bytes;
    if (spare->capacity == 0 || spare->capacity > max_bytes)
        return;
    *buf = *spare;
    buf->max_bytes = max_bytes;
    ebb_buf_init(spare, 0);
    worker->was_spare_used = worker->has_grown = true;
}

static void release_spares(struct worker *worker)
{
    for (size_t i = 0; i < WORKER_SPARES; i++)
        ebb_buf_release(&worker->spares[i]);
}

static size_t held_in_bytes(const struct worker *worker)
{
    size_t slices = 0;
    for (size_t i = 0; i < WORKER_BATCH_MAX; i++)
        slices += worker->args[i].capacity + worker->mc_commands[i].keys.capacity;
    return slices * sizeof(struct ebb_slice) + (worker->in ? WORKER_IN_BYTES : 0) +
           spare_bytes(worker);
}

static void count_buffers(struct worker *worker)
{
    size_t in_bytes = held_in_bytes(worker);
    counter_add(&worker->counters.input_bytes, in_bytes - worker->counted_in_bytes);
    worker->counted_in_bytes = in_bytes;
    size_t out_bytes = worker->out.capacity;
    counter_add(&worker->counters.output_bytes, out_bytes - worker->counted_out_bytes);
    worker->counted_out_bytes = out_bytes;
    claim_set(worker, &worker->claim_bytes, in_bytes + out_bytes);
}

static void release_long_args(struct ebb_args *args, uint32_t keep)
{
    if (args->capacity > keep)
        ebb_args_release(args);
}

static void release_args(struct worker *worker, uint32_t keep)
{
    for (size_t i = 0; i < WORKER_BATCH_MAX; i++) {
        release_long_args(&worker->args[i], keep);
        release_long_args(&worker->mc_commands[i].keys, keep);
    }
}

void worker_settle(struct worker *worker)
{
    size_t keep = worker->config.admin ? WORKER_OUT_KEEP_HTTP : WORKER_OUT_KEEP_BYTES;
    worker->was_used = true;
    worker_stir(worker);
    if (!worker->has_grown && worker->out.capacity == worker->counted_out_bytes)
        return;
    if (worker->out.capacity > keep)
        ebb_buf_release(&worker->out);
    release_args(worker, WORKER_ARGS_KEEP);
    count_buffers(worker);
    worker->has_grown = false;
}

/* A worker that rests holds nothing. */
static void release_buffers(struct worker *worker)
{
    free(worker->in);
    worker->in = NULL;
    release_spares(worker);
    ebb_buf_release(&worker->out);
    release_args(worker, 0);
    count_buffers(worker);
}

/* ---- running commands ---- */

/* Unix time goes along with monotonic time from one look at it to the next: one clock is enough to
 * be read for each batch, and when somebody sets the other one, that is seen soon. */
static int64_t unix_ms(struct worker_timing *timing, uint64_t now_ns)
{
    if (now_ns - timing->unix_look_ns >= UNIX_LOOK_NS) {
        timing->unix_look_ns = now_ns;
        timing->unix_ahead_ns = clock_unix_ns() - (int64_t)now_ns;
    }
    return ((int64_t)now_ns + timing->unix_ahead_ns) / 1000000;
}

void worker_begin(struct worker *worker, enum protocol protocol)
{
    const struct options *options = worker->config.service->options;
    struct worker_timing *timing = &worker->timing;
    timing->start_ns = clock_monotonic_ns();
    timing->protocol = protocol;
    if (timing->turn_start_ns == 0)
        timing->turn_start_ns = timing->start_ns;
    timing->count = timing->resp_count = 0;
    timing->own_ns = 0;
    timing->family = FAMILY_READ;
    worker->session.now_ms = unix_ms(timing, timing->start_ns);
    worker->clock.last_ns = timing->start_ns;
    worker->clock.slower_than_us = options_number(&options->slowlog_log_slower_than);
    worker->clock.event_ms = options_number(&options->latency_monitor_threshold);
}

static inline void note_time(struct worker *worker, uint16_t resp_id, uint64_t ns, unsigned bucket)
{
    counter_add(&worker->counters.resp_ns[resp_id], ns);
    counter_add(&worker->latencies.by_command[resp_id][bucket], 1);
}

/* What the commands that were not timed by themselves have taken, in equal parts. */
static void note_shares(struct worker *worker, uint64_t ns)
{
    struct worker_timing *timing = &worker->timing;
    if (timing->resp_count == 0)
        return;
    uint64_t share = ns > timing->own_ns ? (ns - timing->own_ns) / timing->resp_count : 0;
    unsigned bucket = latency_bucket(share);
    for (unsigned i = 0; i < timing->resp_count; i++)
        note_time(worker, timing->resp_ids[i], share, bucket);
}

void worker_end(struct worker *worker)
{
    store_leave(&worker->session);
    struct worker_timing *timing = &worker->timing;
    if (timing->count == 0)
        return;
    timing->turn_end_ns = clock_monotonic_ns();
    uint64_t ns = timing->turn_end_ns - timing->start_ns;
    counters_record(&worker->counters, timing->family, ns, timing->count);
    counters_record_requests(&worker->counters, timing->protocol, ns, timing->count);
    note_shares(worker, ns);
}

void worker_note_time(struct worker *worker, uint16_t resp_id, uint64_t took_ns)
{
    if (resp_id == COMMAND_COUNT)
        return;
    note_time(worker, resp_id, took_ns, latency_bucket(took_ns));
    worker->timing.own_ns += took_ns;
}

void worker_look(struct worker *worker)
{
    worker_end(worker);
    worker_begin(worker, worker->timing.protocol);
}

/* How much each may send in the next turn, if as many do as in the last one. */
static size_t share_of(unsigned reads)
{
    size_t share = WORKER_TURN_BYTES / (reads + 1);
    if (share > WORKER_IN_BYTES)
        return WORKER_IN_BYTES;
    return share < WORKER_SHARE_BYTES ? WORKER_SHARE_BYTES : share;
}

/* libuv calls this when it has gone round all sockets that had something to say. No clock is read
 * for it: the batches have. What it misses is the last batch's way to the socket. */
static void on_turn(uv_check_t *turn)
{
    struct worker *worker = turn->data;
    gather_run(worker);
    connection_end_rests(worker);
    worker->share_bytes = share_of(worker->reads);
    worker->reads = 0;
    struct worker_timing *timing = &worker->timing;
    if (timing->turn_end_ns > timing->turn_start_ns && timing->turn_start_ns != 0)
        counters_record_stall(&worker->counters, timing->turn_end_ns - timing->turn_start_ns);
    timing->turn_start_ns = timing->turn_end_ns = 0;
}

/* ---- once a second ---- */

static void sweep(struct worker *worker)
{
    size_t look = worker->connection_count < SWEEP_MAX ? worker->connection_count : SWEEP_MAX;
    int64_t now_ms = clock_unix_ms();
    for (; look > 0 && worker->connections; look--) {
        struct connection *connection = worker->connections;
        worker->connections = connection->next;
        if (connection_is_idle(connection, now_ms))
            connection_close(connection, CLOSE_IDLE);
    }
}

static bool sweeps(const struct worker *worker)
{
    const struct options *options = worker->config.service->options;
    return worker->connection_count > 0 &&
           (worker->config.admin || options_number(&options->timeout) > 0);
}

/* Nobody is to be closed for being idle, and nobody holds anything. */
static bool may_rest(const struct worker *worker)
{
    const struct counters *counters = &worker->counters;
    return !sweeps(worker) && worker->waiting_count == 0 && counters->input_bytes == 0 &&
           counters->output_bytes == 0;
}

static void on_tick(uv_timer_t *tick)
{
    struct worker *worker = tick->data;
    if (sweeps(worker))
        sweep(worker);
    claims_tick(worker);
    if (!worker->was_used && worker->counted_in_bytes + worker->counted_out_bytes > 0)
        release_buffers(worker);
    if (!worker->was_spare_used && spare_bytes(worker) > 0) {
        release_spares(worker);
        count_buffers(worker);
    }
    worker->was_used = worker->was_spare_used = false;
    if (may_rest(worker))
        uv_timer_stop(tick);
}

void worker_stir(struct worker *worker)
{
    if (!uv_is_active((uv_handle_t *)&worker->tick))
        uv_timer_start(&worker->tick, on_tick, TICK_MS, TICK_MS);
}

/* ---- coming and going ---- */

static void close_all(struct worker *worker)
{
    while (worker->connections)
        connection_close(worker->connections, CLOSE_SHUTDOWN);
    uv_close((uv_handle_t *)&worker->wake, NULL);
    uv_close((uv_handle_t *)&worker->tick, NULL);
    uv_close((uv_handle_t *)&worker->turn, NULL);
    uv_close((uv_handle_t *)&worker->line_turn, NULL);
}

/* Closing one may make others go that wait or hold too much: what has left the ring still leads on,
 * until the loop's next turn. */
static void close_killed(struct worker *worker)
{
    struct connection *connection = worker->connections;
    for (size_t left = worker->connection_count; left > 0; left--) {
        struct connection *next = connection->next;
        if (client_look(connection->client.is_killed))
            connection_close(connection, CLOSE_KILLED);
        connection = next;
    }
}

void worker_kill(struct client *client)
{
    struct worker *worker = connection_worker(connection_of(client));
    client_note(client->is_killed, true);
    client_note(worker->has_killed, true);
    uv_async_send(&worker->wake);
}

static void on_wake(uv_async_t *wake)
{
    struct worker *worker = wake->data;
    worker_stir(worker);
    if (__atomic_exchange_n(&worker->has_killed, false, __ATOMIC_ACQ_REL))
        close_killed(worker);
    uv_mutex_lock(&worker->mutex);
    struct handover *given = worker->given;
    size_t count = worker->given_count;
    bool is_stopping = worker->is_stopping;
    worker->given = NULL;
    worker->given_count = worker->given_capacity = 0;
    uv_mutex_unlock(&worker->mutex);

    for (size_t i = 0; i < count; i++)
        connection_open(worker, &given[i]);
    free(given);
    if (is_stopping)
        close_all(worker);
}

static bool has_room(struct worker *worker)
{
    if (worker->given_count < worker->given_capacity)
        return true;
    size_t capacity = worker->given_capacity ? worker->given_capacity * 2 : 16;
    struct handover *given = realloc(worker->given, capacity * sizeof(*given));
    if (!given)
        return false;
    worker->given = given;
    worker->given_capacity = capacity;
    return true;
}

void worker_give(struct worker *worker, const struct handover *handover)
{
    uv_mutex_lock(&worker->mutex);
    bool is_taken = !worker->is_stopping && has_room(worker);
    if (is_taken)
        worker->given[worker->given_count++] = *handover;
    uv_mutex_unlock(&worker->mutex);
    if (is_taken) {
        uv_async_send(&worker->wake);
        return;
    }
    close(handover->fd);
    __atomic_sub_fetch(worker->config.open_connections, 1, __ATOMIC_RELAXED);
}

void worker_stop(struct worker *worker)
{
    uv_mutex_lock(&worker->mutex);
    bool is_first = !worker->is_stopping;
    worker->is_stopping = true;
    uv_mutex_unlock(&worker->mutex);
    if (is_first)
        uv_async_send(&worker->wake);
}

void worker_wake(struct worker *worker)
{
    uv_async_send(&worker->wake);
}

/* struct sched_attr of <linux/sched/types.h>, which can't be included beside <sched.h>. */
struct turns {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime_ns, deadline_ns, period_ns;
};

/* Clients wait for a worker, and its turns on a processor are short: it should not have to wait for
 * the end of another thread's, which is 3 ms as a rule. Linux 6.12 and later let a thread say so;
 * older ones take no notice. */
static void ask_for_short_turns(void)
{
#ifdef SYS_sched_setattr
    struct turns turns = {.size = sizeof(turns)};
    if (syscall(SYS_sched_getattr, 0, &turns, sizeof(turns), 0) != 0 || turns.policy != SCHED_OTHER)
        return;
    turns.runtime_ns = TURN_NS;
    syscall(SYS_sched_setattr, 0, &turns, 0);
#endif
}

static void run(void *context)
{
    struct worker *worker = context;
    ask_for_short_turns();
    uv_run(&worker->loop, UV_RUN_DEFAULT);
}

int worker_start(struct worker *worker)
{
    uv_thread_options_t options = {.flags = UV_THREAD_HAS_STACK_SIZE,
                                   .stack_size = WORKER_STACK_BYTES};
    return uv_thread_create_ex(&worker->thread, &options, run, worker);
}

void worker_join(struct worker *worker)
{
    uv_thread_join(&worker->thread);
}

static void init_buffers(struct worker *worker)
{
    ebb_buf_init(&worker->out, 0);
    worker->share_bytes = WORKER_IN_BYTES;
    for (size_t i = 0; i < WORKER_BATCH_MAX; i++) {
        ebb_args_init(&worker->args[i]);
        ebb_mc_command_init(&worker->mc_commands[i]);
    }
}

int worker_init(struct worker *worker, const struct worker_config *config)
{
    memset(worker, 0, sizeof(*worker));
    worker->config = *config;
    int error = uv_loop_init(&worker->loop);
    if (error < 0)
        return error;
    error = uv_mutex_init(&worker->mutex);
    if (error < 0) {
        uv_loop_close(&worker->loop);
        return error;
    }
    worker->loop.data = worker->wake.data = worker->tick.data = worker->turn.data = worker;
    worker->line_turn.data = worker;
    init_buffers(worker);
    worker->gather = gather_create();
    worker->class_hits = calloc(EBB_CLASS_COUNT + 1, sizeof(*worker->class_hits));
    if (!worker->gather || !worker->class_hits) {
        worker_release(worker);
        return UV_ENOMEM;
    }
    if (config->service->store)
        store_session_init(&worker->session, config->service->store);
    error = uv_async_init(&worker->loop, &worker->wake, on_wake);
    if (error < 0) {
        worker_release(worker);
        return error;
    }
    uv_check_init(&worker->loop, &worker->turn);
    uv_check_start(&worker->turn, on_turn);
    uv_idle_init(&worker->loop, &worker->line_turn);
    uv_timer_init(&worker->loop, &worker->tick);
    uv_timer_start(&worker->tick, on_tick, 0, TICK_MS);
    return 0;
}

void worker_release(struct worker *worker)
{
    if (uv_loop_alive(&worker->loop)) { /* it never ran: its handles are still to be closed */
        worker_stop(worker);
        uv_run(&worker->loop, UV_RUN_DEFAULT);
    }
    for (size_t i = 0; i < worker->given_count; i++)
        close(worker->given[i].fd);
    free(worker->given);
    release_buffers(worker);
    for (size_t i = 0; i < WORKER_BATCH_MAX; i++)
        ebb_mc_command_release(&worker->mc_commands[i]);
    gather_destroy(worker->gather);
    free(worker->class_hits);
    uv_mutex_destroy(&worker->mutex);
    uv_loop_close(&worker->loop);
}
