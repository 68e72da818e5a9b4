/* SPDX-License-Identifier: MIT */
/* server.c: puts the parts together, in stages that start in order and stop in reverse. The main
 * thread runs the loop of `main`, a worker without a thread of its own: it accepts, serves HTTP and
 * does the upkeep of the store; `workers` serve the other protocols.
 */
#include "server.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "admin/admin.h"
#include "baseline.h"
#include "clients.h"
#include "clock.h"
#include "cmd/events.h"
#include "cmd/script.h"
#include "cmd/slowlog.h"
#include "cmd/mc_auth.h"
#include "cmd/mc_detail.h"
#include "libc_heap.h"
#include "log.h"
#include "memory.h"
#include "net/connection.h"
#include "net/dialect.h"
#include "net/listeners.h"
#include "net/worker.h"
#include "service.h"
#include "store/store.h"

#define RESERVED_FDS      64 /* loops, listeners, log: what is open besides clients */
#define SHARDS_PER_WORKER 4u
#define SECOND_MS         1000u
#define SIGNAL_COUNT      3u
#define LOOKS_TO_REST     10u /* that find nothing to do, before upkeep slows down */

/* Since the start. */
struct totals {
    uint64_t commands, received_bytes, sent_bytes;
};

struct server {
    struct options *options;
    struct log log;
    struct service service;
    struct script_cache scripts;
    struct clients clients;
    struct slowlog slowlog;
    struct events events;
    char executable[PATH_MAX];
    struct libc_heap libc_heap;
    struct memory memory;
    struct store *store;
    struct admin *admin;
    struct worker main;
    struct worker *workers;
    unsigned worker_count, running_count, next_worker;
    struct listeners listeners;
    uint64_t next_client_id;
    uint64_t open_connections; /* changed atomically, by every worker */
    uint64_t open_pages;       /* HTTP connections: a server full of clients still says how it is */
    uv_mutex_t options_mutex;
    struct baseline baseline;
    struct totals last_second;
    unsigned idle_looks;     /* of upkeep, in a row */
    unsigned rested_seconds; /* in which nobody has had work */
    uv_async_t stop, work;
    uv_signal_t signals[SIGNAL_COUNT];
    uv_timer_t upkeep, second;
    unsigned stage; /* how many stages have started */
};

static enum server_result failed(char *error, const char *what, const char *why)
{
    snprintf(error, SERVER_ERROR_BYTES, "%s: %s", what, why);
    return SERVER_FAILED;
}

/* ---- what commands and pages may ask of the server ---- */

/* Since the start, whatever has been reset. */
static void total_counters(void *context, struct counters *sum)
{
    struct server *server = context;
    memset(sum, 0, sizeof(*sum));
    counters_sum(sum, &server->main.counters);
    for (unsigned i = 0; server->workers && i < server->worker_count; i++)
        counters_sum(sum, &server->workers[i].counters);
}

static void sum_counters(void *context, struct counters *sum)
{
    struct server *server = context;
    total_counters(server, sum);
    baseline_apply_counters(&server->baseline, sum);
}

static void total_latencies(struct server *server, struct latencies *sum)
{
    memset(sum, 0, sizeof(*sum));
    for (unsigned i = 0; server->workers && i < server->worker_count; i++)
        latencies_sum(sum, &server->workers[i].latencies, 1);
}

static void sum_latencies(void *context, struct latencies *sum)
{
    struct server *server = context;
    total_latencies(server, sum);
    baseline_apply_latencies(&server->baseline, sum);
}

static void sum_stats(void *context, struct store_stats *stats)
{
    struct server *server = context;
    store_stats(server->store, stats);
    baseline_apply_stats(&server->baseline, stats);
}

static void total_class_counts(struct server *server, unsigned class_index, struct class_hits *hits,
                               struct store_class_counts *counts)
{
    memset(hits, 0, sizeof(*hits));
    for (unsigned i = 0; server->workers && i < server->worker_count; i++)
        class_hits_sum(hits, &server->workers[i].class_hits[class_index], 1);
    store_class_counts(server->store, class_index, counts);
}

static void sum_class_counts(void *context, unsigned class_index, struct class_hits *hits,
                             struct store_class_counts *counts)
{
    struct server *server = context;
    total_class_counts(server, class_index, hits, counts);
    baseline_apply_class(&server->baseline, class_index, hits, counts);
}

static void reset_class_counts(struct server *server)
{
    struct class_hits hits;
    struct store_class_counts counts;
    for (unsigned i = 0; i <= EBB_CLASS_COUNT; i++) {
        total_class_counts(server, i, &hits, &counts);
        baseline_reset_class(&server->baseline, i, &hits, &counts);
    }
}

static void reset_counters(void *context)
{
    struct server *server = context;
    struct counters counters;
    struct latencies latencies;
    struct store_stats stats;
    total_counters(server, &counters);
    total_latencies(server, &latencies);
    store_stats(server->store, &stats);
    baseline_reset(&server->baseline, &counters, &latencies, &stats);
    reset_class_counts(server);
}

static void ask_to_stop(void *context)
{
    struct server *server = context;
    uv_async_send(&server->stop);
}

static void note_work(void *context)
{
    struct server *server = context;
    if (__atomic_exchange_n(&server->service.rests, 0, __ATOMIC_SEQ_CST) != 0)
        uv_async_send(&server->work);
}

static void wake_workers(struct server *server)
{
    for (unsigned i = 0; i < server->worker_count; i++)
        worker_wake(&server->workers[i]);
}

static void raise_descriptor_limit(struct server *server);
static void set_slow(struct server *server);
static bool is_possible(void *context, const struct options *wanted, size_t index, char *error);

/* Most settings are read where they matter, each time: these are not. */
static void on_option_changed(void *context, size_t index)
{
    struct server *server = context;
    struct options *options = server->options;
    const char *name = options_info(index)->name;
    if (strcmp(name, "loglevel") == 0)
        log_set_level(&server->log, (enum log_level)options_number(&options->loglevel));
    else if (strcmp(name, "maxclients") == 0 || strcmp(name, "http-maxclients") == 0)
        raise_descriptor_limit(server);
    else if (strcmp(name, "timeout") == 0)
        wake_workers(server);
    else if (strncmp(name, "maxmemory", 9) == 0)
        memory_look(&server->memory);
    else if (strcmp(name, "latency-monitor-threshold") == 0)
        set_slow(server);
    else if (strcmp(name, "explain") == 0)
        store_set_explain(server->store, options_number(&options->explain) != 0);
}

static void copy_facts(void *context, struct memory_facts *facts)
{
    struct server *server = context;
    admin_facts(server->admin, facts);
}

static double thread_seconds(pthread_t thread)
{
    clockid_t clock;
    struct timespec time;
    if (pthread_getcpuclockid(thread, &clock) != 0 || clock_gettime(clock, &time) != 0)
        return 0;
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Asked on the main thread only, which starts the workers and ends them. */
static unsigned loop_seconds(void *context, double *seconds, unsigned most)
{
    struct server *server = context;
    unsigned count = 0;
    if (count < most)
        seconds[count++] = thread_seconds(pthread_self());
    for (unsigned i = 0; i < server->running_count && count < most; i++)
        seconds[count++] = thread_seconds(server->workers[i].thread);
    return count;
}

static void lock_options(void *context)
{
    struct server *server = context;
    uv_mutex_lock(&server->options_mutex);
}

static void unlock_options(void *context)
{
    struct server *server = context;
    uv_mutex_unlock(&server->options_mutex);
}

static void make_run_id(char run_id[41])
{
    unsigned char bytes[20];
    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
        memset(bytes, 0, sizeof(bytes));
    for (size_t i = 0; i < sizeof(bytes); i++)
        snprintf(run_id + 2 * i, 3, "%02x", bytes[i]);
}

/* A server that nobody could log in to is better not started. */
static enum server_result check_auth_file(const struct options *options, char *error)
{
    int result = options->auth_file[0] != '\0' ? mc_auth_check_file(options->auth_file) : 0;
    if (result == 0)
        return SERVER_OK;
    failed(error, options->auth_file,
           result == -EINVAL ? "no name:password line in it (auth-file)" : strerror(-result));
    return SERVER_BAD_SETUP;
}

static enum server_result start_service(struct server *server, char *error)
{
    enum server_result checked = check_auth_file(server->options, error);
    if (checked != SERVER_OK)
        return checked;
    uv_mutex_init(&server->options_mutex);
    baseline_init(&server->baseline);
    script_cache_init(&server->scripts);
    clients_init(&server->clients);
    slowlog_init(&server->slowlog);
    ssize_t len = readlink("/proc/self/exe", server->executable, sizeof(server->executable) - 1);
    server->executable[len > 0 ? len : 0] = '\0';
    server->service = (struct service){
        .options = server->options,
        .store = server->store,
        .scripts = &server->scripts,
        .clients = &server->clients,
        .slowlog = &server->slowlog,
        .events = &server->events,
        .detail = mc_detail_create(),
        .start_ms = clock_unix_ms(),
        .executable = server->executable,
        .config_file = server->options->config_file,
        .server = server,
        .counters = sum_counters,
        .counters_total = total_counters,
        .latencies = sum_latencies,
        .class_counts = sum_class_counts,
        .store_stats = sum_stats,
        .counters_reset = reset_counters,
        .worker_count = server->worker_count,
        .wake = note_work,
        .client_address = connection_address,
        .client_kill = worker_kill,
        .shutdown = ask_to_stop,
        .option_possible = is_possible,
        .option_changed = on_option_changed,
        .memory_facts = copy_facts,
        .loop_seconds = loop_seconds,
        .options_lock = lock_options,
        .options_unlock = unlock_options,
    };
    make_run_id(server->service.run_id);
    if (!server->service.detail) {
        uv_mutex_destroy(&server->options_mutex);
        return failed(error, "can't create the service", "out of memory");
    }
    if (memory_init(&server->memory, &server->service, &server->log) < 0)
        return failed(error, "can't watch memory", "out of memory");
    memory_look(&server->memory);
    return SERVER_OK;
}

static void stop_service(struct server *server)
{
    memory_release(&server->memory);
    slowlog_release(&server->slowlog);
    clients_release(&server->clients);
    script_cache_release(&server->scripts);
    mc_detail_destroy(server->service.detail);
    baseline_release(&server->baseline);
    uv_mutex_destroy(&server->options_mutex);
}

/* ---- log, store, pages ---- */

static enum server_result start_log(struct server *server, char *error)
{
    const struct options *options = server->options;
    int result = log_init(&server->log, options->logfile, (enum log_level)options->loglevel);
    return result < 0 ? failed(error, options->logfile, strerror(-result)) : SERVER_OK;
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

static void set_slow(struct server *server)
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
    if (store_create(&server->store, &config) < 0)
        return failed(error, "can't create the store", "out of memory");
    events_init(&server->events);
    set_slow(server);
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
        return failed(error, "can't create the pages", "out of memory");
    return SERVER_OK;
}

static void stop_admin(struct server *server)
{
    admin_destroy(server->admin);
}

/* ---- descriptors ---- */

/* Asks for as many descriptors as that many connections need. Returns how many there may be then:
 * `wanted`, or fewer when the system grants no more. */
static int64_t ask_for_descriptors(int64_t wanted, int64_t beside)
{
    struct rlimit limit;
    rlim_t fds = (rlim_t)(wanted + beside);
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= fds)
        return wanted;
    struct rlimit raised = {.rlim_cur = fds,
                            .rlim_max = limit.rlim_max > fds ? limit.rlim_max : fds};
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
        return wanted;
    raised.rlim_cur = raised.rlim_max = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &raised) < 0)
        raised.rlim_cur = limit.rlim_cur;
    return raised.rlim_cur > (rlim_t)beside + 1 ? (int64_t)raised.rlim_cur - beside : 1;
}

/* As Redis does: serves fewer clients than maxclients when their descriptors are not granted. */
static void raise_descriptor_limit(struct server *server)
{
    int64_t *maxclients = &server->options->maxclients, wanted = options_number(maxclients);
    int64_t pages = options_number(&server->options->http_maxclients);
    int64_t possible = ask_for_descriptors(wanted, RESERVED_FDS + pages);
    if (possible == wanted)
        return;
    log_write(&server->log, LOG_WARNING,
              "the limit of open files allows %lld clients, not %lld: maxclients lowered",
              (long long)possible, (long long)wanted);
    __atomic_store_n(maxclients, possible, __ATOMIC_RELAXED);
}

/* Told to change the setting, it refuses instead. */
static bool is_possible(void *context, const struct options *wanted, size_t index, char *error)
{
    struct server *server = context;
    const char *name = options_info(index)->name;
    bool is_clients = strcmp(name, "maxclients") == 0;
    if (!is_clients && strcmp(name, "http-maxclients") != 0)
        return true;
    int64_t number = is_clients ? wanted->maxclients : wanted->http_maxclients;
    int64_t others = options_number(is_clients ? &server->options->http_maxclients
                                               : &server->options->maxclients);
    int64_t possible = ask_for_descriptors(number, RESERVED_FDS + others);
    if (possible < number)
        snprintf(error, OPTIONS_ERROR_BYTES,
                 "The operating system is not able to handle the specified number of clients, try "
                 "with %lld",
                 (long long)possible);
    return possible == number;
}

/* ---- workers ---- */

static enum server_result start_main(struct server *server, char *error)
{
    struct worker_config config = {.service = &server->service,
                                   .log = &server->log,
                                   .admin = server->admin,
                                   .open_connections = &server->open_pages};
    int result = worker_init(&server->main, &config);
    return result < 0 ? failed(error, "can't create the main loop", uv_strerror(result))
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
        return failed(error, "can't create the workers", "out of memory");
    for (unsigned i = 0; i < server->worker_count; i++) {
        int result = worker_init(&server->workers[i], &config);
        if (result < 0) {
            release_workers(server, i);
            return failed(error, "can't create a worker", uv_strerror(result));
        }
    }
    return SERVER_OK;
}

static void stop_workers(struct server *server)
{
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
    raise_descriptor_limit(server);
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

/* ---- the main loop ---- */

static void on_stop(uv_async_t *stop)
{
    struct server *server = stop->data;
    log_write(&server->log, LOG_NOTICE, "asked to end: ending");
    uv_stop(stop->loop);
}

static void on_signal(uv_signal_t *signal, int number)
{
    struct server *server = signal->data;
    log_write(&server->log, LOG_NOTICE, "%s: ending", number == SIGINT ? "SIGINT" : "SIGTERM");
    uv_stop(signal->loop);
}

/* The file has been moved away, by logrotate: a new one takes its name. */
static void on_hangup(uv_signal_t *signal, int number)
{
    (void)number;
    struct server *server = signal->data;
    const char *path = server->options->logfile;
    if (path[0] == '\0')
        return;
    int result = log_reopen(&server->log, path);
    if (result < 0)
        log_write(&server->log, LOG_WARNING, "SIGHUP: can't open %s: %s; logging goes on as before",
                  path, strerror(-result));
    else
        log_write(&server->log, LOG_NOTICE, "SIGHUP: logging to %s anew", path);
}

/* Whether nothing happens. That is said to the workers a look before it is acted upon: what they
 * did before they could know of it is found by that look. */
static bool rests(struct server *server, bool is_idle)
{
    uint64_t *said = &server->service.rests;
    server->idle_looks = is_idle ? server->idle_looks + 1 : 0;
    if (server->idle_looks > LOOKS_TO_REST && __atomic_load_n(said, __ATOMIC_SEQ_CST) != 0)
        return true;
    if (server->idle_looks >= LOOKS_TO_REST)
        server->idle_looks = LOOKS_TO_REST;
    __atomic_store_n(said, server->idle_looks == LOOKS_TO_REST, __ATOMIC_SEQ_CST);
    return false;
}

/* While it rests, upkeep comes with the tick of each second, and before only if an item's time
 * does. */
static void on_upkeep(uv_timer_t *upkeep)
{
    struct server *server = upkeep->data;
    memory_tick(&server->memory);
    uint64_t wait_us = store_upkeep(server->store);
    bool is_purging = admin_work(server->admin);
    bool is_idle = wait_us >= STORE_IDLE_US && !is_purging;
    if (rests(server, is_idle)) {
        uv_timer_stop(upkeep);
        if (wait_us < SECOND_MS * 1000)
            uv_timer_start(upkeep, on_upkeep, wait_us / 1000 + 1, 0);
        return;
    }
    if (is_idle)
        wait_us = STORE_IDLE_US;
    uint64_t wait_ms = is_purging ? 1 : wait_us / 1000 + (wait_us % 1000 != 0);
    uv_timer_start(upkeep, on_upkeep, wait_ms > 0 ? wait_ms : 1, 0);
}

static void on_work(uv_async_t *work)
{
    struct server *server = work->data;
    server->idle_looks = 0;
    uv_timer_start(&server->upkeep, on_upkeep, 1, 0);
}

static struct totals add_up(const struct counters *sum)
{
    struct totals totals = {0};
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        totals.commands += sum->resp_commands[i];
    for (size_t i = 0; i < EBB_MC_VERB_COUNT; i++)
        totals.commands += sum->mc_commands[i];
    totals.received_bytes =
        sum->received_bytes[PROTOCOL_RESP] + sum->received_bytes[PROTOCOL_MEMCACHED];
    totals.sent_bytes = sum->sent_bytes[PROTOCOL_RESP] + sum->sent_bytes[PROTOCOL_MEMCACHED];
    return totals;
}

/* For INFO's instantaneous figures: what the last second has brought. */
static void note_rates(struct server *server, const struct counters *sum)
{
    struct totals now = add_up(sum), *last = &server->last_second;
    struct service *service = &server->service;
    __atomic_store_n(&service->rates.commands, now.commands - last->commands, __ATOMIC_RELAXED);
    __atomic_store_n(&service->rates.received_bytes, now.received_bytes - last->received_bytes,
                     __ATOMIC_RELAXED);
    __atomic_store_n(&service->rates.sent_bytes, now.sent_bytes - last->sent_bytes,
                     __ATOMIC_RELAXED);
    *last = now;
}

static void on_second(uv_timer_t *second)
{
    struct server *server = second->data;
    struct counters sum;
    total_counters(server, &sum);
    note_rates(server, &sum);
    uint64_t activity = 0;
    for (unsigned i = 0; i < PROTOCOL_COUNT; i++)
        activity += sum.received_bytes[i] + sum.accepted[i];
    for (unsigned i = 0; i < CLOSE_REASON_COUNT; i++)
        activity += sum.closed[i];
    libc_heap_tick(&server->libc_heap, activity);
    memory_second(&server->memory);
    bool rests_now = counter_read(&server->service.rests) != 0;
    server->rested_seconds = rests_now ? server->rested_seconds + 1 : 0;
    if (!uv_is_active((uv_handle_t *)&server->upkeep))
        on_upkeep(&server->upkeep);
    admin_sample(server->admin, server->rested_seconds > 1);
}

static enum server_result start_handles(struct server *server, char *error)
{
    (void)error;
    static const struct {
        int number;
        uv_signal_cb act;
    } signals[] = {{SIGTERM, on_signal}, {SIGINT, on_signal}, {SIGHUP, on_hangup}};
    uv_loop_t *loop = &server->main.loop;
    int result = uv_async_init(loop, &server->stop, on_stop);
    if (result < 0)
        return failed(error, "can't create the main loop", uv_strerror(result));
    uv_async_init(loop, &server->work, on_work); /* can't fail once there is one */
    server->stop.data = server->work.data = server;
    for (unsigned i = 0; i < SIGNAL_COUNT; i++) {
        uv_signal_init(loop, &server->signals[i]);
        server->signals[i].data = server;
        uv_signal_start(&server->signals[i], signals[i].act, signals[i].number);
    }
    uv_timer_init(loop, &server->upkeep);
    uv_timer_init(loop, &server->second);
    server->upkeep.data = server->second.data = server;
    uv_timer_start(&server->upkeep, on_upkeep, 1, 0);
    uv_timer_start(&server->second, on_second, 0, SECOND_MS);
    return SERVER_OK;
}

static void stop_handles(struct server *server)
{
    __atomic_store_n(&server->service.rests, 0, __ATOMIC_SEQ_CST); /* nobody is to wake it */
    uv_close((uv_handle_t *)&server->stop, NULL);
    uv_close((uv_handle_t *)&server->work, NULL);
    for (unsigned i = 0; i < SIGNAL_COUNT; i++)
        uv_close((uv_handle_t *)&server->signals[i], NULL);
    signal(SIGHUP, SIG_IGN); /* a terminal that goes during the end does not spoil it */
    uv_close((uv_handle_t *)&server->upkeep, NULL);
    uv_close((uv_handle_t *)&server->second, NULL);
}

/* ---- stages ---- */

static const struct stage {
    enum server_result (*start)(struct server *server, char *error);
    void (*stop)(struct server *server);
} stages[] = {
    {start_log, stop_log},
    {start_store, stop_store},
    {start_service, stop_service},
    {start_admin, stop_admin},
    {start_main, stop_main},
    {start_handles, stop_handles},
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
        return failed(error, "can't create the server", "out of memory");
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
            return failed(error, "can't start a thread", uv_strerror(result));
    }
    listeners_announce(&server->listeners, server->options);
    uv_run(&server->main.loop, UV_RUN_DEFAULT);
    return SERVER_OK;
}
