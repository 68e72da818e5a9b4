/* SPDX-License-Identifier: MIT */
/* connection.c: what happens on a socket, in the order of a connection's life. The protocols are in
 * dialect_*.c, the way out is unsent.c, the memory of unfinished input is pending.c.
 */
#include "connection.h"

#include <malloc.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "../clients.h"
#include "../clock.h"
#include "../cmd/cmd.h"
#include "../cmd/mc_auth.h"
#include "../options.h"
#include "claims.h"
#include "dialect.h"
#include "dump.h"
#include "gather.h"
#include "line.h"
#include "unsent.h"

/* Browsers and scrapers that say nothing for so long are let go, whatever the option timeout is. */
#define HTTP_IDLE_MS 120000

static const struct dialect *dialect(const struct connection *connection)
{
    return dialect_of(connection->client.protocol);
}

static size_t query_limit(const struct worker *worker)
{
    return (size_t)options_number(&worker->config.service->options->client_query_buffer_limit);
}

/* ---- closing ---- */

static void link_in(struct worker *worker, struct connection *connection)
{
    struct connection *first = worker->connections;
    if (first) {
        connection->next = first;
        connection->previous = first->previous;
        first->previous->next = connection;
        first->previous = connection;
    } else {
        connection->next = connection->previous = connection;
        worker->connections = connection;
    }
    worker->connection_count++;
}

static void unlink_from(struct worker *worker, struct connection *connection)
{
    connection->previous->next = connection->next;
    connection->next->previous = connection->previous;
    if (worker->connections == connection)
        worker->connections = connection->next == connection ? NULL : connection->next;
    worker->connection_count--;
}

static void count_pending(struct connection *connection)
{
    struct pending *pending = connection->pending;
    size_t bytes = pending_bytes(pending);
    counter_add(&connection_worker(connection)->counters.input_bytes,
                bytes - pending->counted_bytes);
    pending->counted_bytes = bytes;
    client_note(connection->client.input_bytes, bytes);
}

static void drop_pending(struct connection *connection)
{
    struct pending *pending = connection->pending;
    if (!pending)
        return;
    counter_add(&connection_worker(connection)->counters.input_bytes, -pending->counted_bytes);
    if (pending->in.capacity > PENDING_SHORT_BYTES)
        worker_spare(connection_worker(connection), &pending->in);
    pending_destroy(pending);
    client_note(connection->client.input_bytes, 0);
    connection->pending = NULL;
    claims_update(connection);
}

/* What malloc really holds for it. */
static size_t struct_bytes(struct connection *connection)
{
    return malloc_usable_size(connection) + sizeof(size_t);
}

static void on_closed(uv_handle_t *handle)
{
    struct connection *connection = handle->data;
    struct worker *worker = connection_worker(connection);
    drop_pending(connection);
    unsent_destroy(connection);
    cmd_client_gone(&connection->client, &worker->session, &worker->counters);
    counter_add(&worker->counters.connection_bytes, -struct_bytes(connection));
    free(connection);
}

void connection_close(struct connection *connection, enum close_reason reason)
{
    if (connection->is_closing)
        return;
    struct worker *worker = connection_worker(connection);
    connection->is_closing = true;
    clients_remove(worker->config.service->clients, &connection->client);
    dump_end(connection);
    line_leave(connection);
    unlink_from(worker, connection);
    claims_release(connection);
    /* Before the socket closes: a client that sees it closed may come again at once. */
    __atomic_sub_fetch(worker->config.open_connections, 1, __ATOMIC_RELAXED);
    counter_add(&worker->counters.closed[reason], 1);
    counter_add(&worker->counters.connections[connection->client.protocol], (uint64_t)-1);
    uv_close((uv_handle_t *)&connection->tcp, on_closed);
}

void connection_forget_input(struct connection *connection)
{
    drop_pending(connection);
}

/* A client that is taking a long reply is as little idle as one that sends a long command. */
bool connection_is_idle(struct connection *connection, int64_t now_ms)
{
    int64_t progress_ms = unsent_progress_ms(connection, now_ms);
    int64_t last_ms = connection->client.last_command_ms;
    const struct options *options = connection_worker(connection)->config.service->options;
    int64_t limit_ms = options_number(&options->timeout) * 1000;
    if (connection->client.protocol == PROTOCOL_HTTP)
        limit_ms = HTTP_IDLE_MS;
    last_ms = progress_ms > last_ms ? progress_ms : last_ms;
    return limit_ms > 0 && now_ms - last_ms > limit_ms;
}

/* ---- running what has come in ---- */

static void swap_args(struct worker *worker, struct pending *pending)
{
    struct ebb_args other = worker->args[0];
    worker->args[0] = pending->args;
    pending->args = other;
    worker->has_grown = true;
}

/* Takes up the parser where it stood, or at the start of a command. */
static void load_parser(struct connection *connection)
{
    struct worker *worker = connection_worker(connection);
    struct pending *pending = connection->pending;
    if (!pending) {
        if (dialect(connection)->begin)
            dialect(connection)->begin(connection);
        return;
    }
    worker->parser = pending->parser;
    swap_args(worker, pending);
}

static void refuse_long_command(struct connection *connection)
{
    const struct options *options = connection_worker(connection)->config.service->options;
    dialect(connection)->refuse_long(&connection_worker(connection)->out);
    overruns_tell(connection, "client-query-buffer-limit",
                  options_number(&options->client_query_buffer_limit));
    connection_end(connection, CLOSE_BUFFER_LIMIT);
    unsent_flush(connection);
}

/* Whether there is something to keep behind the last command that was run. */
static bool has_rest(const struct connection *connection, size_t len)
{
    const struct dialect *d = dialect(connection);
    return len > 0 || (d->is_inside && d->is_inside(connection_worker(connection)));
}

/* Keeps the input behind the last command that was run, and where the parser stands in it. */
static void keep_rest(struct connection *connection, const char *rest, size_t len)
{
    struct worker *worker = connection_worker(connection);
    const struct dialect *d = dialect(connection);
    if (!has_rest(connection, len))
        return;
    /* What a pause has left unrun is at most one buffer; its need is not known yet. */
    size_t need = !connection->is_paused && d->need_bytes ? d->need_bytes(worker) : 0;
    if (need > query_limit(worker) || len > query_limit(worker)) {
        refuse_long_command(connection);
        return;
    }
    if (!connection->pending)
        connection->pending = pending_create(query_limit(worker));
    struct pending *pending = connection->pending;
    if (pending && need > PENDING_SHORT_BYTES && pending->in.capacity == 0)
        worker_reuse(worker, &pending->in);
    if (!pending || !pending_keep(pending, rest, len)) {
        connection_close(connection, CLOSE_ERROR);
        return;
    }
    pending_need(pending, need);
    pending->parser = worker->parser;
    swap_args(worker, pending);
    count_pending(connection);
    claims_admit(connection, need);
    claims_update(connection);
}

/* Reads no more; closes as soon as the replies are out. */
static void end(struct connection *connection)
{
    drop_pending(connection);
    if (connection->unsent)
        uv_read_stop((uv_stream_t *)&connection->tcp);
    else
        connection_close(connection, connection->end_reason);
}

size_t connection_output_limit(const struct connection *connection)
{
    const struct options *options = connection_worker(connection)->config.service->options;
    return (size_t)options_number(&options->client_output_limit);
}

void connection_settle(struct connection *connection, const char *rest, size_t len)
{
    if (!connection->is_closing && !connection->is_ending)
        keep_rest(connection, rest, len);
    if (!connection->is_closing && connection->is_ending)
        end(connection);
    else if (connection->client.queue_bytes > 0 || connection->claim_bytes > 0)
        claims_update(connection);
}

static void run_input(struct connection *connection, char *bytes, size_t len)
{
    struct worker *worker = connection_worker(connection);
    gather_run(worker);
    worker->out.max_bytes = connection_output_limit(connection);
    worker_begin(worker, connection->client.protocol);
    client_note(connection->client.last_command_ms, worker->session.now_ms);
    load_parser(connection);
    size_t used = dialect(connection)->run(connection, bytes, len);
    worker_end(worker);
    if (!has_rest(connection, len - used))
        drop_pending(connection); /* whoever has its reply may want the room elsewhere at once */
    unsent_flush(connection);
    connection_settle(connection, bytes + used, len - used);
    worker_settle(worker);
}

/* ---- reading ---- */

static size_t carried_bytes(const struct connection *connection)
{
    return connection->pending ? ebb_buf_len(&connection->pending->in) : 0;
}

/* Where the next bytes go. Nothing is run here: libuv would not bear this connection to be closed.
 */
static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *room)
{
    (void)suggested;
    struct connection *connection = handle->data;
    struct worker *worker = connection_worker(connection);
    struct pending *pending = connection->pending;
    *room = uv_buf_init(NULL, 0);
    if (pending && pending_is_long(pending)) {
        room->base = pending_room(pending, &room->len);
        return;
    }
    char *in = worker_in(worker);
    if (!in)
        return;
    in += worker->in_used;
    size_t len = carried_bytes(connection);
    if (len > 0)
        memcpy(in, ebb_buf_data(&pending->in), len);
    size_t left = WORKER_IN_BYTES - worker->in_used - len;
    worker->reads++;
    *room =
        uv_buf_init(in + len, (unsigned)(left < worker->share_bytes ? left : worker->share_bytes));
}

static void on_long_read(struct connection *connection, size_t read_bytes)
{
    struct pending *pending = connection->pending;
    ebb_buf_commit(&pending->in, read_bytes);
    count_pending(connection);
    client_note(connection->client.last_command_ms, clock_unix_ms()); /* it is getting on */
    claims_update(connection);
    if (connection->is_closing)
        return;
    size_t len = ebb_buf_len(&pending->in);
    if (len >= pending->need_bytes)
        run_input(connection, ebb_buf_data(&pending->in), len);
}

/* The other side has closed, at least its sending half, or the socket is broken. */
static void on_read_end(struct connection *connection, int error)
{
    if (error == UV_EOF && connection->unsent) {
        connection_end(connection, CLOSE_CLIENT);
        end(connection);
    } else if (error == UV_EOF || error == UV_ECONNRESET) {
        connection_close(connection, CLOSE_CLIENT);
    } else if (error == UV_ENOBUFS && worker_in(connection_worker(connection))) {
        refuse_long_command(connection);
        if (!connection->is_closing)
            end(connection);
    } else {
        connection_close(connection, CLOSE_ERROR);
    }
}

/* Who fills the buffer has more to say. libuv would read 32 times as much before it looks at
 * another client; so it is read on in the next turn, after all others have had theirs. */
static void rest(struct connection *connection)
{
    struct worker *worker = connection_worker(connection);
    if (worker->connection_count == 1 || !connection_is_open(connection) || connection->is_resting)
        return;
    uv_read_stop((uv_stream_t *)&connection->tcp);
    connection->is_resting = true;
    connection->next_turn = worker->resting;
    worker->resting = connection;
}

void connection_end_rests(struct worker *worker)
{
    while (worker->resting) {
        struct connection *connection = worker->resting;
        worker->resting = connection->next_turn;
        connection->is_resting = false;
        connection_read_on(connection);
    }
}

/* Adds to what a pause has left unrun, or is the first of it. */
static void add_to_rest(struct connection *connection, const char *bytes, size_t len)
{
    struct worker *worker = connection_worker(connection);
    struct pending *pending = connection->pending;
    if (!pending) {
        pending = connection->pending = pending_create(query_limit(worker));
        dialect(connection)->begin(connection);
        if (pending)
            pending->parser = worker->parser;
    }
    if (!pending || !ebb_buf_add(&pending->in, bytes, len)) {
        connection_close(connection, CLOSE_ERROR);
        return;
    }
    count_pending(connection);
    claims_update(connection);
}

/* Runs what was gathered of the connection, which is read a second time in one turn of the loop:
 * where more sockets are ready than libuv asks for at once, it asks again. false: it takes no more
 * now; what has come waits behind what that has left. */
static bool run_before(struct connection *connection, const char *bytes, size_t len)
{
    gather_run(connection_worker(connection));
    if (connection->is_closing || connection->is_ending)
        return false;
    if (!connection->is_paused)
        return true;
    add_to_rest(connection, bytes, len);
    return false;
}

static void on_read(uv_stream_t *stream, ssize_t read_bytes, const uv_buf_t *room)
{
    struct connection *connection = stream->data;
    struct worker *worker = connection_worker(connection);
    if (read_bytes == 0)
        return;
    service_note_work(worker->config.service);
    if (read_bytes < 0) {
        gather_run(worker);
        on_read_end(connection, (int)read_bytes);
        return;
    }
    counter_add(&worker->counters.received_bytes[connection->client.protocol],
                (uint64_t)read_bytes);
    bool is_shared =
        worker->in && room->base >= worker->in && room->base < worker->in + WORKER_IN_BYTES;
    if (!is_shared) {
        on_long_read(connection, (size_t)read_bytes);
        return;
    }
    if (connection->is_gathered && !run_before(connection, room->base, (size_t)read_bytes))
        return;
    size_t carried = carried_bytes(connection), len = carried + (size_t)read_bytes;
    if (!gather_add(connection, room->base - carried, len))
        run_input(connection, room->base - carried, len);
    if ((size_t)read_bytes == room->len)
        rest(connection);
}

void connection_resume(struct connection *connection)
{
    if (connection->is_ending) {
        connection_close(connection, connection->end_reason);
        return;
    }
    if (connection->dump) {
        dump_resume(connection);
        return;
    }
    if (!connection->is_paused || connection->is_in_line)
        return;
    connection->is_paused = false;
    struct pending *pending = connection->pending;
    if (pending)
        run_input(connection, ebb_buf_data(&pending->in), ebb_buf_len(&pending->in));
    connection_read_on(connection);
}

void connection_read_on(struct connection *connection)
{
    if (connection_is_open(connection) && !connection->is_waiting)
        uv_read_start((uv_stream_t *)&connection->tcp, on_room, on_read);
}

/* ---- opening ---- */

static bool needs_password(struct service *service, enum protocol protocol)
{
    if (protocol == PROTOCOL_MEMCACHED)
        return mc_auth_is_needed(service);
    service->options_lock(service->server);
    bool needs = service->options->requirepass[0] != '\0';
    service->options_unlock(service->server);
    return needs;
}

static void init_client(struct connection *connection, const struct handover *handover)
{
    struct worker *worker = connection_worker(connection);
    int64_t now_ms = clock_unix_ms();
    connection->client = (struct client){
        .id = handover->client_id,
        .resp_version = 2,
        .authenticated = !needs_password(worker->config.service, handover->protocol),
        .protocol = handover->protocol,
        .connected_ms = now_ms,
        .last_command_ms = now_ms,
        .last_command = COMMAND_COUNT,
    };
}

/* Once it has a socket, others may see it. */
static void enlist(struct connection *connection)
{
    if (connection->client.protocol != PROTOCOL_HTTP)
        clients_add(connection_worker(connection)->config.service->clients, &connection->client);
}

void connection_open(struct worker *worker, const struct handover *handover)
{
    struct connection *connection = calloc(1, sizeof(*connection));
    if (!connection) {
        log_write(worker->config.log, LOG_WARNING, "no memory for a connection");
        close(handover->fd);
        __atomic_sub_fetch(worker->config.open_connections, 1, __ATOMIC_RELAXED);
        return;
    }
    uv_tcp_init(&worker->loop, &connection->tcp);
    connection->tcp.data = connection;
    init_client(connection, handover);
    link_in(worker, connection);
    worker_stir(worker);
    counter_add(&worker->counters.connection_bytes, struct_bytes(connection));
    counter_add(&worker->counters.connections[handover->protocol], 1);
    counter_add(&worker->counters.accepted[handover->protocol], 1);
    int error = uv_tcp_open(&connection->tcp, handover->fd);
    if (error < 0)
        close(handover->fd);
    else
        enlist(connection);
    if (error == 0)
        error = uv_read_start((uv_stream_t *)&connection->tcp, on_room, on_read);
    if (error < 0)
        connection_close(connection, CLOSE_ERROR);
}

/* ---- addresses ---- */

size_t connection_address(const struct client *client, bool local, char *text, size_t size)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof(address);
    uv_os_fd_t fd;
    int len_text = 0;
    if (uv_fileno((const uv_handle_t *)&connection_of(client)->tcp, &fd) < 0)
        return (size_t)snprintf(text, size, "?:0");
    /* The path of a unix socket is the server's end, for both. */
    int error = getpeername(fd, (struct sockaddr *)&address, &len);
    if (local || (error == 0 && address.ss_family == AF_UNIX)) {
        len = sizeof(address);
        error = getsockname(fd, (struct sockaddr *)&address, &len);
    }
    char host[INET6_ADDRSTRLEN], port[8];
    if (error == 0 && address.ss_family == AF_UNIX)
        len_text = snprintf(text, size, "%s:0", ((struct sockaddr_un *)&address)->sun_path);
    else if (error == 0 && getnameinfo((struct sockaddr *)&address, len, host, sizeof(host), port,
                                       sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) == 0)
        len_text =
            snprintf(text, size, address.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
    else
        len_text = snprintf(text, size, "?:0");
    return (size_t)len_text < size ? (size_t)len_text : size - 1;
}
