/* SPDX-License-Identifier: MIT */
/* answers.c: what commands and pages may ask of the server, through struct service: its counters,
 * settings that change while it runs, the end. Called from every thread, but where it says else.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "clock.h"
#include "cmd/mc_auth.h"
#include "cmd/mc_detail.h"
#include "net/connection.h"
#include "net/unsent.h"
#include "options.h"
#include "server_internal.h"

#define RESERVED_FDS 64 /* loops, listeners, log: what is open besides clients */

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

void server_raise_descriptor_limit(struct server *server)
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

/* Most settings are read where they matter, each time: these are not. */
static void on_option_changed(void *context, size_t index)
{
    struct server *server = context;
    struct options *options = server->options;
    const char *name = options_info(index)->name;
    if (strcmp(name, "loglevel") == 0)
        log_set_level(&server->log, (enum log_level)options_number(&options->loglevel));
    else if (strcmp(name, "maxclients") == 0 || strcmp(name, "http-maxclients") == 0)
        server_raise_descriptor_limit(server);
    else if (strcmp(name, "timeout") == 0)
        wake_workers(server);
    else if (strncmp(name, "maxmemory", 9) == 0)
        memory_look(&server->memory);
    else if (strcmp(name, "latency-monitor-threshold") == 0)
        server_set_slow(server);
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
    server_failed(error, options->auth_file,
                  result == -EINVAL ? "no name:password line in it (auth-file)"
                                    : strerror(-result));
    return SERVER_BAD_SETUP;
}

enum server_result server_start_service(struct server *server, char *error)
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
        .client_send = unsent_send_part,
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
        return server_failed(error, "can't create the service", "out of memory");
    }
    if (memory_init(&server->memory, &server->service, &server->log) < 0)
        return server_failed(error, "can't watch memory", "out of memory");
    memory_look(&server->memory);
    return SERVER_OK;
}

void server_stop_service(struct server *server)
{
    memory_release(&server->memory);
    slowlog_release(&server->slowlog);
    clients_release(&server->clients);
    script_cache_release(&server->scripts);
    mc_detail_destroy(server->service.detail);
    baseline_release(&server->baseline);
    uv_mutex_destroy(&server->options_mutex);
}
