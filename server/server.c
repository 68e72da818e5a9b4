/* SPDX-License-Identifier: MIT */
/* server.c: puts the parts together, in stages that start in order and stop in reverse. The main
 * thread runs the loop of `main`, a worker without a thread of its own: it accepts, serves HTTP and
 * does the upkeep of the store; `workers` serve the other protocols.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "net/connection.h"
#include "net/dialect.h"
#include "options.h"
#include "server_internal.h"

#define SHARDS_PER_WORKER 4u

enum server_result server_failed(char *error, const char *what, const char *why)
{
    snprintf(error, SERVER_ERROR_BYTES, "%s: %s", what, why);
    return SERVER_FAILED;
}

/* ---- log, store, pages ---- */

static enum server_result start_log(struct server *server, char *error)
{
    const struct options *options = server->options;
    int result = log_init(&server->log, options->logfile, (enum log_level)options->loglevel);
    return result < 0 ? server_failed(error, options->logfile, strerror(-result)) : SERVER_OK;
}

static void stop_log(struct server *server)
{
    log_release(&server->log);
}

static unsigned choose_worker_count(const struct options *options)
{
    if (options->threads > 0)
        return (unsigned)options->threads;
    unsigned half = uv_available_parallelism() / 2;
    return half > 0 ? half : 1;
}

/* One worker needs no shards; more of them should seldom meet in one. */
static unsigned choose_shard_count(unsigned worker_count)
{
    unsigned shards = 1;
    while (worker_count > 1 && shards < SHARDS_PER_WORKER * worker_count &&
           shards < STORE_SHARDS_MAX)
        shards *= 2;
    return shards;
}

static void log_explanation(void *context, const char *line)
{
    struct server *server = context;
    log_write(&server->log, LOG_NOTICE, "upkeep: %s", line);
}

static void note_slow_work(void *context, enum store_work work, uint64_t ns)
{
    static const enum event events[] = {[STORE_WORK_EXPIRE] = EVENT_EXPIRE,
                                        [STORE_WORK_EVICT] = EVENT_EVICT,
                                        [STORE_WORK_COMPACT] = EVENT_COMPACT};
    struct server *server = context;
    events_add(&server->events, events[work], clock_unix_ms() / 1000, (int64_t)(ns / 1000000));
}

void server_set_slow(struct server *server)
{
    uint64_t ms = (uint64_t)options_number(&server->options->latency_monitor_threshold);
    store_set_slow(server->store, ms < UINT64_MAX / 1000000 ? ms * 1000000 : UINT64_MAX);
}

static enum server_result start_store(struct server *server, char *error)
{
    server->worker_count = choose_worker_count(server->options);
    struct store_config config = {
        .shard_count = choose_shard_count(server->worker_count),
        .database_count = (unsigned)server->options->databases,
        .explain = log_explanation,
        .explain_context = server,
        .slow = note_slow_work,
        .slow_context = server,
    };
    int result = store_create(&server->store, &config);
    if (result < 0)
        return server_failed(error, "can't create the store",
                             result == STORE_EPAGES
                                 ? "the kernel's memory pages are not of 4 KiB (getconf PAGESIZE)"
                                 : "out of memory");
    events_init(&server->events);
    server_set_slow(server);
    store_set_explain(server->store, server->options->explain != 0);
    return SERVER_OK;
}

static void stop_store(struct server *server)
{
    store_destroy(server->store);
    events_release(&server->events);
}

static enum server_result start_admin(struct server *server, char *error)
{
    if (admin_create(&server->admin, &server->service) < 0)
        return server_failed(error, "can't create the pages", "out of memory");
    return SERVER_OK;
}

static void stop_admin(struct server *server)
{
    admin_destroy(server->admin);
}

/* ---- workers ---- */

static enum server_result start_main(struct server *server, char *error)
{
    struct worker_config config = {.service = &server->service,
                                   .log = &server->log,
                                   .admin = server->admin,
                                   .open_connections = &server->open_pages};
    int result = worker_init(&server->main, &config);
    return result < 0 ? server_failed(error, "can't create the main loop", uv_strerror(result))
                      : SERVER_OK;
}

/* Runs the loop once more, to its end: what the stages before have closed goes here. */
static void stop_main(struct server *server)
{
    worker_release(&server->main);
}

static void release_workers(struct server *server, unsigned count)
{
    while (count > 0)
        worker_release(&server->workers[--count]);
    free(server->workers);
    server->workers = NULL;
}

static enum server_result start_workers(struct server *server, char *error)
{
    struct worker_config config = {.service = &server->service,
                                   .log = &server->log,
                                   .open_connections = &server->open_connections};
    server->workers = calloc(server->worker_count, sizeof(*server->workers));
    if (!server->workers)
        return server_failed(error, "can't create the workers", "out of memory");
    for (unsigned i = 0; i < server->worker_count; i++) {
        int result = worker_init(&server->workers[i], &config);
        if (result < 0) {
            release_workers(server, i);
            return server_failed(error, "can't create a worker", uv_strerror(result));
        }
    }
    return SERVER_OK;
}

static void stop_workers(struct server *server)
{
    __atomic_store_n(&server->service.ends, 1, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < server->running_count; i++)
        worker_stop(&server->workers[i]);
    for (unsigned i = 0; i < server->running_count; i++)
        worker_join(&server->workers[i]);
    server->running_count = 0; /* requests that are still answered ask no more for their threads */
    release_workers(server, server->worker_count);
}

/* ---- listeners ---- */

static void reject(struct server *server, struct listener *listener, int fd)
{
    const char *text = dialect_of(listener->protocol)->too_many;
    counter_add(&server->main.counters.rejected_maxclients, 1);
    /* What a full socket buffer would lose is of no use to a client that is sent away. */
    if (send(fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        log_write(&server->log, LOG_DEBUG, "a rejected client has gone");
    close(fd);
}

static void on_accept(void *context, struct listener *listener, int fd)
{
    struct server *server = context;
    bool is_http = listener->protocol == PROTOCOL_HTTP;
    uint64_t *open = is_http ? &server->open_pages : &server->open_connections;
    const int64_t *most =
        is_http ? &server->options->http_maxclients : &server->options->maxclients;
    if (__atomic_load_n(open, __ATOMIC_RELAXED) >= (uint64_t)options_number(most)) {
        reject(server, listener, fd);
        return;
    }
    __atomic_add_fetch(open, 1, __ATOMIC_RELAXED);
    service_note_work(&server->service);
    struct handover handover = {
        .fd = fd, .protocol = listener->protocol, .client_id = ++server->next_client_id};
    if (is_http)
        connection_open(&server->main, &handover);
    else
        worker_give(&server->workers[server->next_worker++ % server->worker_count], &handover);
}

static enum server_result start_listeners(struct server *server, char *error)
{
    server_raise_descriptor_limit(server);
    server->listeners = (struct listeners){
        .loop = &server->main.loop, .log = &server->log, .on_accept = on_accept, .context = server};
    int result = listeners_open(&server->listeners, server->options, error);
    if (result < 0)
        return result == LISTENER_BAD_SETTING ? SERVER_BAD_SETUP : SERVER_FAILED;
    if (server->listeners.count > 0)
        return SERVER_OK;
    snprintf(error, SERVER_ERROR_BYTES,
             "nothing to listen on: port, memcached-port and http-port are 0 or bind is empty, and "
             "there is no unixsocket");
    return SERVER_BAD_SETUP;
}

static void stop_listeners(struct server *server)
{
    listeners_close(&server->listeners);
}

/* ---- stages ---- */

static const struct stage {
    enum server_result (*start)(struct server *server, char *error);
    void (*stop)(struct server *server);
} stages[] = {
    {start_log, stop_log},
    {start_store, stop_store},
    {server_start_service, server_stop_service},
    {start_admin, stop_admin},
    {start_main, stop_main},
    {server_start_loop, server_stop_loop},
    {start_listeners, stop_listeners},
    {start_workers, stop_workers},
};

void server_destroy(struct server *server)
{
    while (server->stage > 0)
        stages[--server->stage].stop(server);
    listeners_release(&server->listeners);
    free(server);
}

enum server_result server_create(struct server **created, struct options *options, char *error)
{
    struct server *server = calloc(1, sizeof(*server));
    if (!server)
        return server_failed(error, "can't create the server", "out of memory");
    server->options = options;
    libc_heap_init(&server->libc_heap);
    signal(SIGPIPE, SIG_IGN); /* a client that has gone is an error of the write */
    signal(SIGHUP, SIG_IGN);
    for (; server->stage < sizeof(stages) / sizeof(*stages); server->stage++) {
        enum server_result result = stages[server->stage].start(server, error);
        if (result != SERVER_OK) {
            server_destroy(server);
            return result;
        }
    }
    *created = server;
    return SERVER_OK;
}

enum server_result server_run(struct server *server, char *error)
{
    for (; server->running_count < server->worker_count; server->running_count++) {
        int result = worker_start(&server->workers[server->running_count]);
        if (result < 0)
            return server_failed(error, "can't start a thread", uv_strerror(result));
    }
    listeners_announce(&server->listeners, server->options);
    uv_run(&server->main.loop, UV_RUN_DEFAULT);
    return SERVER_OK;
}
