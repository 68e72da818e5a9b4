/* SPDX-License-Identifier: MIT */
/* claims.c: see claims.h. Called by connection.c, unsent.c and worker.c. */
#include "claims.h"

#include "../clock.h"
#include "unsent.h"

#define STALLED_MS 5000 /* without a byte from or to a client that holds the most, alone */

static struct memory_limits *limits(const struct worker *worker)
{
    return &worker->config.service->limits;
}

static size_t cap_bytes(const struct worker *worker)
{
    uint64_t cap = counter_read(&limits(worker)->clients_max_bytes);
    return cap == 0 ? SIZE_MAX : (size_t)cap;
}

static size_t total_bytes(const struct worker *worker)
{
    return (size_t)counter_read(&limits(worker)->client_bytes);
}

void claim_set(struct worker *worker, size_t *claim, size_t bytes)
{
    if (*claim != bytes)
        __atomic_add_fetch(&limits(worker)->client_bytes, bytes - *claim, __ATOMIC_RELAXED);
    *claim = bytes;
}

/* Somebody must go before all of it is taken: replies come in pieces. */
static size_t full_bytes(const struct worker *worker)
{
    size_t cap = cap_bytes(worker);
    return cap - cap / 4;
}

bool claims_are_tight(const struct worker *worker)
{
    return total_bytes(worker) > cap_bytes(worker) / 2;
}

/* ---- waiting to send a large command ---- */

static size_t input_bytes(const struct connection *connection)
{
    const struct pending *pending = connection->pending;
    if (!pending)
        return 0;
    size_t held = pending_bytes(pending);
    return held > pending->need_bytes || connection->is_waiting ? held : pending->need_bytes;
}

static bool is_large(const struct connection *connection)
{
    return connection->pending && input_bytes(connection) > CLAIM_LARGE_BYTES;
}

static bool has_room(struct connection *connection, size_t need_bytes)
{
    const struct worker *worker = connection_worker(connection);
    size_t others = total_bytes(worker) - connection->claim_bytes;
    return others + need_bytes <= cap_bytes(worker) ||
           (worker->large_count == (size_t)connection->is_large && !connection->is_waiting);
}

static void go_on(struct connection *connection)
{
    connection->is_waiting = false;
    connection_worker(connection)->waiting_count--;
    connection_worker(connection)->vain_bytes = 0; /* it may be the one to go */
    claims_update(connection);
    connection_read_on(connection);
}

/* What all may hold when there is room for one that waits. */
static size_t room_at(const struct connection *connection)
{
    size_t need = connection->pending ? connection->pending->need_bytes : 0,
           own = connection->claim_bytes, cap = cap_bytes(connection_worker(connection));
    if (need > own)
        return cap > need - own ? cap - (need - own) : 0;
    return cap > SIZE_MAX - (own - need) ? SIZE_MAX : cap + (own - need);
}

static void note_waiting(struct worker *worker, const struct connection *connection)
{
    size_t room = room_at(connection);
    worker->wake_bytes = room > worker->wake_bytes ? room : worker->wake_bytes;
}

static bool may_go_on(const struct connection *connection)
{
    const struct worker *worker = connection_worker(connection);
    return worker->large_count == 0 || total_bytes(worker) <= room_at(connection);
}

/* Lets those go on for whom there is room, in the order of the ring; `is_forced` at least one. Who
 * goes on may make others go, whose room is for those behind: that is not another call of this, or
 * ten thousand of them would be as many on the stack. */
static void wake(struct worker *worker, bool is_forced)
{
    struct connection *connection = worker->connections;
    bool is_vain = worker->large_count > 0 && total_bytes(worker) > worker->wake_bytes;
    if (worker->is_waking || (is_vain && !is_forced))
        return;
    worker->is_waking = true;
    worker->wake_bytes = 0;
    for (size_t left = worker->connection_count;
         left > 0 && worker->waiting_count > 0 && connection != NULL; left--) {
        struct connection *next = connection->next;
        if (connection->is_waiting && (is_forced || may_go_on(connection))) {
            worker->connections = next; /* the next time those behind have their turn */
            go_on(connection);
            is_forced = false;
            next = worker->connections; /* that one may have gone */
        } else if (connection->is_waiting) {
            note_waiting(worker, connection);
        }
        connection = next;
    }
    worker->is_waking = false;
}

bool claims_admit(struct connection *connection, size_t need_bytes)
{
    struct worker *worker = connection_worker(connection);
    if (need_bytes <= CLAIM_LARGE_BYTES || has_room(connection, need_bytes))
        return true;
    if (!connection->is_waiting) {
        connection->is_waiting = true;
        worker->waiting_count++;
        uv_read_stop((uv_stream_t *)&connection->tcp);
    }
    return false;
}

/* ---- who holds too much ---- */

static size_t coming_bytes(const struct connection *connection)
{
    const struct worker *worker = connection_worker(connection);
    return worker->coming_for == connection ? worker->coming_bytes : 0;
}

/* What is held against it: replies that it does not read, a transaction that does not end, and a
 * command that does not come. */
static size_t greed(const struct connection *connection, int64_t now_ms)
{
    const struct worker *worker = connection_worker(connection);
    bool is_stalled = now_ms - connection->client.last_command_ms >= STALLED_MS;
    bool all_count = total_bytes(worker) > cap_bytes(worker); /* many that hold little each */
    size_t held =
        unsent_bytes(connection) + coming_bytes(connection) + connection->client.queue_bytes;
    return (held > CLAIM_LARGE_BYTES || all_count ? held : 0) +
           (is_stalled && !connection->is_waiting ? input_bytes(connection) : 0);
}

static size_t greatest_greed(const struct worker *worker, int64_t now_ms)
{
    const struct connection *connection = worker->connections;
    size_t most = 0;
    for (size_t left = worker->connection_count; left > 0; left--) {
        size_t bytes = greed(connection, now_ms);
        most = bytes > most ? bytes : most;
        connection = connection->next;
    }
    return most;
}

/* A value larger than all clients may hold can still be read, by one at a time. */
static bool is_alone(const struct worker *worker, const struct connection *connection,
                     int64_t now_ms)
{
    size_t others = total_bytes(worker) - connection->claim_bytes;
    return others <= cap_bytes(worker) / 2 &&
           now_ms - connection->client.last_command_ms < STALLED_MS;
}

/* `current` is being run: its input is still needed. */
static void close_greedy(struct worker *worker, struct connection *connection,
                         const struct connection *current)
{
    log_write(worker->config.log, LOG_VERBOSE,
              "clients hold %zu KiB in buffers, of %zu KiB at most (maxmemory-clients): closing "
              "client %llu, which holds %zu KiB",
              total_bytes(worker) >> 10, cap_bytes(worker) >> 10,
              (unsigned long long)connection->client.id, connection->claim_bytes >> 10);
    connection_close(connection, CLOSE_CLIENTS_LIMIT);
    unsent_forget(connection);
    if (connection != current)
        connection_forget_input(connection);
}

/* Closes who is held at least so much against, until clients hold less. false: nobody is to go. */
static bool close_greediest(struct worker *worker, const struct connection *current, size_t least,
                            int64_t now_ms)
{
    struct connection *connection = worker->connections;
    for (size_t left = worker->connection_count; left > 0; left--) {
        struct connection *next = connection->next;
        if (greed(connection, now_ms) >= least) {
            if (is_alone(worker, connection, now_ms))
                return false;
            close_greedy(worker, connection, current);
            /* Who goes on in its place may have made others go. */
            if (total_bytes(worker) <= full_bytes(worker) || next->is_closing)
                return true;
        }
        connection = next;
    }
    return true;
}

/* Who is within an eighth of the greediest is as greedy: so thousands that hold the same, or
 * nearly, are looked at once and not once for each of them. */
static void relieve(struct worker *worker, const struct connection *current)
{
    int64_t now_ms = total_bytes(worker) > full_bytes(worker) ? clock_unix_ms() : 0;
    worker->vain_bytes = 0;
    while (total_bytes(worker) > full_bytes(worker)) {
        size_t most = greatest_greed(worker, now_ms);
        if (most == 0 || !close_greediest(worker, current, most - most / 8, now_ms)) {
            worker->vain_bytes = total_bytes(worker);
            return;
        }
    }
}

/* Where nobody was to go, the next look comes when they hold noticeably more, or the next second.
 */
static bool may_relieve(const struct worker *worker)
{
    return worker->vain_bytes == 0 ||
           total_bytes(worker) > worker->vain_bytes + cap_bytes(worker) / 64 ||
           total_bytes(worker) <= full_bytes(worker);
}

static void set_large(struct connection *connection, bool is_now)
{
    struct worker *worker = connection_worker(connection);
    worker->large_count += (size_t)is_now - (size_t)connection->is_large;
    connection->is_large = is_now;
}

void claims_update(struct connection *connection)
{
    struct worker *worker = connection_worker(connection);
    size_t before = connection->claim_bytes;
    if (connection->is_closing)
        return;
    claim_set(worker, &connection->claim_bytes,
              input_bytes(connection) + unsent_bytes(connection) + coming_bytes(connection) +
                  connection->client.queue_bytes);
    set_large(connection, is_large(connection) && !connection->is_waiting);
    if (connection->is_waiting)
        note_waiting(worker, connection);
    if (connection->claim_bytes > before && may_relieve(worker))
        relieve(worker, connection);
    else if (connection->claim_bytes <= before && worker->waiting_count > 0)
        wake(worker, false);
}

void claims_expect(struct connection *connection, size_t reply_bytes)
{
    struct worker *worker = connection_worker(connection);
    worker->coming_bytes = reply_bytes;
    worker->coming_for = connection;
    claims_update(connection);
    worker->coming_for = NULL;
}

void claims_release(struct connection *connection)
{
    struct worker *worker = connection_worker(connection);
    claim_set(worker, &connection->claim_bytes, 0);
    set_large(connection, false);
    worker->waiting_count -= connection->is_waiting;
    connection->is_waiting = false;
    if (worker->waiting_count > 0)
        wake(worker, false);
}

/* What has become of the values that clients hold. Who has to go leaves the ring. */
static void look_at_held(struct worker *worker)
{
    struct connection *connection = worker->connections;
    for (size_t left = worker->connection_count; left > 0; left--) {
        struct connection *next = connection->next;
        unsent_look(connection);
        connection = next;
    }
}

void claims_tick(struct worker *worker)
{
    if (worker->holding_count > 0)
        look_at_held(worker);
    relieve(worker, NULL);
    if (worker->waiting_count > 0)
        wake(worker, true);
}
