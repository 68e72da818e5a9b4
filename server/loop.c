/* SPDX-License-Identifier: MIT */
/* loop.c: what the main thread does while the server runs: signals, upkeep of the store, and each
 * second a look at memory, rates and the sample for /metrics.
 */
#include <signal.h>
#include <string.h>

#include "options.h"
#include "server_internal.h"

#define SECOND_MS     1000u
#define LOOKS_TO_REST 10u /* that find nothing to do, before upkeep slows down */

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
    server->service.counters_total(server, &sum);
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

enum server_result server_start_loop(struct server *server, char *error)
{
    (void)error;
    static const struct {
        int number;
        uv_signal_cb act;
    } signals[] = {{SIGTERM, on_signal}, {SIGINT, on_signal}, {SIGHUP, on_hangup}};
    uv_loop_t *loop = &server->main.loop;
    int result = uv_async_init(loop, &server->stop, on_stop);
    if (result < 0)
        return server_failed(error, "can't create the main loop", uv_strerror(result));
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

void server_stop_loop(struct server *server)
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
