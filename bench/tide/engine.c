/* SPDX-License-Identifier: MIT */
/* engine.c: see engine.h. The loop, the samples, the ends of phases; steps.c says what is sent. */
#include "engine.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../process.h"
#include "steps.h"

#define TICK_MS          5
#define FOLLOW_FACTOR    1.05
#define FOLLOW_BYTES     (8.0 * 1024 * 1024)
#define NEAR_EXPIRY      20 /* tenths of a second that the server's clock and ours may differ */
#define PATIENCE_SECONDS 60

double engine_seconds(const struct engine *engine)
{
    return (double)(clock_ns() - engine->start_ns) / 1e9;
}

__attribute__((format(printf, 2, 3))) static void fail(struct engine *engine, const char *format,
                                                       ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (engine->error[0] == '\0')
        vsnprintf(engine->error, sizeof engine->error, format, arguments);
    va_end(arguments);
    uv_stop(&engine->loop);
    engine->is_stopped = true;
}

static void fail_without_figures(struct engine *engine)
{
    char where[300];
    source_text(engine->source, where, sizeof where);
    if (engine->source->kind == SOURCE_PROCESS)
        fail(engine, "the server's process is gone");
    else
        fail(engine, "no more figures of the server's memory from %s", where);
}

static const struct phase *phase_of(const struct engine *engine)
{
    return &engine->scenario->phases[engine->phase];
}

/* ---- replies ---- */

static void note_missing(struct engine *engine, const struct asked *asked)
{
    uint32_t now = (uint32_t)(engine_seconds(engine) * 10);
    engine->counts.misses += asked->verb == VERB_GET;
    if (engine->is_evicting && engine->stage == STAGE_VERIFY)
        steps_forget(engine, &asked->item);
    if (engine->is_evicting ||
        (asked->item.expires != 0 && asked->item.expires <= now + NEAR_EXPIRY))
        return;
    engine->counts.missing++;
}

static void on_reply(void *context, const struct asked *asked, const struct reply *reply)
{
    static const char *const verbs[] = {"write", "read", "delete"};
    struct engine *engine = context;
    engine->in_flight--;
    engine->counts.operations++;
    if (reply->status == REPLY_REFUSED) {
        engine->counts.errors++;
        fail(engine, "the server refused a %s: %.*s", verbs[asked->verb],
             reply->length < 100 ? (int)reply->length : 100, reply->data);
    } else if (reply->status == REPLY_MISSING) {
        note_missing(engine, asked);
    } else if (reply->status == REPLY_VALUE) {
        engine->counts.hits++;
        if (engine->stage == STAGE_VERIFY) {
            struct outcome *outcome = &engine->outcomes[engine->phase];
            outcome->found_items++;
            outcome->found_bytes +=
                item_bytes(&engine->model, &asked->item) - asked->item.bytes + reply->length;
        }
        engine->counts.wrong +=
            reply->length != asked->item.bytes ||
            !value_is_right(reply->data, reply->length, asked->item.id, asked->item.version);
    }
}

/* ---- phases ---- */

/* Only the load's: the pulse has a thread of its own. */
static double thread_cpu_seconds(void)
{
    struct timespec cpu;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
    return (double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9;
}

static void begin_phase(struct engine *engine)
{
    engine->stage = STAGE_WORK;
    engine->stage_begin = engine->now = engine_seconds(engine);
    engine->stage_cpu = thread_cpu_seconds();
    engine->phase_counts = engine->counts;
    engine->phase_live = engine->model.live_bytes;
    pulse_take(&engine->pulse);
    if (!source_read(engine->source, true, &engine->phase_reading))
        fail_without_figures(engine);
    engine->outcomes[engine->phase] = (struct outcome){.start_seconds = engine->stage_begin,
                                                       .follow_seconds = NAN,
                                                       .work_seconds = NAN,
                                                       .load_cpu_seconds = NAN,
                                                       .server_live_bytes = NAN,
                                                       .server_items = NAN,
                                                       .cpu_seconds = NAN,
                                                       .faults = NAN,
                                                       .stall = {NAN, NAN, NAN},
                                                       .resident = NAN,
                                                       .charged = NAN};
    engine->outcome_count = engine->phase + 1;
    steps_begin(engine, phase_of(engine));
}

static void measure_phase(struct engine *engine)
{
    struct outcome *outcome = &engine->outcomes[engine->phase];
    struct reading reading;
    if (!source_read(engine->source, true, &reading)) {
        fail_without_figures(engine);
        return;
    }
    outcome->end_seconds = engine_seconds(engine);
    outcome->live_bytes = engine->model.live_bytes;
    outcome->items = engine->model.count;
    outcome->resident = reading.resident;
    outcome->charged = reading.charged;
    outcome->cpu_seconds = reading.cpu_seconds - engine->phase_reading.cpu_seconds;
    outcome->faults = reading.faults - engine->phase_reading.faults;
    outcome->stall = pulse_take(&engine->pulse);
    outcome->server_live_bytes = peer_live_bytes(engine->peer);
    outcome->server_items = peer_items(engine->peer);
}

/* For a server that counts its keys but not their bytes, as Redis: so many, each as long as what
 * was read back of them is in the mean. */
static double by_items(const struct outcome *outcome)
{
    if (outcome->server_items == 0)
        return 0;
    return outcome->found_items == 0 ? NAN
                                     : outcome->server_items * (double)outcome->found_bytes /
                                           (double)outcome->found_items;
}

static void note_counts(struct engine *engine)
{
    struct outcome *outcome = &engine->outcomes[engine->phase];
    const struct counts *now = &engine->counts, *then = &engine->phase_counts;
    outcome->counts = (struct counts){now->operations - then->operations,
                                      now->errors - then->errors,
                                      now->hits - then->hits,
                                      now->misses - then->misses,
                                      now->wrong - then->wrong,
                                      now->missing - then->missing,
                                      now->written_bytes - then->written_bytes};
}

/* It ended early: what is known of the phase it was in. */
static void cut_phase(struct engine *engine)
{
    struct outcome *outcome = &engine->outcomes[engine->phase];
    note_counts(engine);
    if (outcome->end_seconds > 0)
        return; /* it was being read back */
    outcome->end_seconds = engine_seconds(engine);
    outcome->live_bytes = engine->model.live_bytes;
    outcome->items = engine->model.count;
    outcome->stall = pulse_take(&engine->pulse);
}

static void end_phase(struct engine *engine)
{
    struct outcome *outcome = &engine->outcomes[engine->phase];
    note_counts(engine);
    if (isnan(outcome->server_live_bytes))
        outcome->server_live_bytes = by_items(outcome);
    if (engine->is_evicting) {
        model_expire(&engine->model, (uint32_t)(engine_seconds(engine) * 10));
        outcome->live_bytes = outcome->found_bytes; /* what had gone was not known before */
        outcome->items = outcome->found_items;
        outcome->peak_live = NAN;
    }
    if (++engine->phase < engine->scenario->count) {
        begin_phase(engine);
        return;
    }
    engine->is_stopped = true;
    uv_stop(&engine->loop);
}

/* Nothing more to send at this stage, and every reply is there. */
static void next_stage(struct engine *engine)
{
    struct outcome *outcome = &engine->outcomes[engine->phase];
    if (engine->stage == STAGE_WORK) {
        double now = engine_seconds(engine);
        outcome->work_seconds = now - engine->stage_begin;
        outcome->load_cpu_seconds = thread_cpu_seconds() - engine->stage_cpu;
        outcome->work_operations = engine->counts.operations - engine->phase_counts.operations;
        engine->stage = STAGE_SETTLE;
        engine->stage_begin = now;
    } else if (engine->stage == STAGE_SETTLE) {
        measure_phase(engine);
        engine->stage = STAGE_VERIFY;
        steps_begin_verify(engine);
    } else {
        end_phase(engine);
    }
}

/* ---- sending ---- */

static void pump(struct engine *engine)
{
    unsigned most = engine->lane_count * engine->depth;
    if (engine->is_stopped || engine->in_flight > most / 2)
        return; /* many at a time: a system call for each command would be dear */
    enum step step = STEP_WAIT;
    engine->now = engine_seconds(engine);
    if (engine->stage != STAGE_SETTLE)
        while ((step = steps_next(engine, phase_of(engine))) == STEP_SENT)
            ;
    else if (engine->now - engine->stage_begin >= phase_of(engine)->settle)
        step = STEP_DONE;
    for (unsigned i = 0; i < engine->lane_count; i++)
        if (!lane_send(&engine->lanes[i]))
            fail(engine, "lost the connection: %s", engine->lanes[i].error);
    if (step == STEP_FAILED)
        fail(engine, "out of memory");
    if (step == STEP_DONE && engine->in_flight == 0 && !engine->is_stopped)
        next_stage(engine);
}

static void on_check(uv_check_t *check)
{
    pump(check->data);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct engine *engine = poll->data;
    struct lane *lane = &engine->lanes[poll - engine->polls];
    (void)events;
    if (engine->is_stopped)
        return;
    /* Tried first: the socket knows why, the loop says EBADF whatever it was. */
    if (!lane_receive(lane, on_reply, engine) || !lane_send(lane))
        fail(engine, "lost the connection: %s", lane->error);
    else if (status < 0)
        fail(engine, "lost the connection: %s", uv_strerror(status));
}

/* ---- samples ---- */

static void note_follow(struct engine *engine, const struct sample *sample)
{
    struct outcome *outcome = &engine->outcomes[engine->phase];
    double bound = FOLLOW_FACTOR * sample->live + FOLLOW_BYTES + engine->idle_resident;
    if (sample->resident > outcome->peak_resident)
        outcome->peak_resident = sample->resident;
    if (sample->live > outcome->peak_live)
        outcome->peak_live = sample->live;
    if (engine->stage == STAGE_SETTLE && isnan(outcome->follow_seconds) &&
        engine->model.live_bytes < engine->phase_live && sample->resident <= bound)
        outcome->follow_seconds = sample->seconds - engine->stage_begin;
}

static void take_sample(struct engine *engine)
{
    struct reading reading;
    if (!source_read(engine->source, false, &reading)) {
        fail_without_figures(engine);
        return;
    }
    if (engine->sample_count == engine->sample_capacity) {
        size_t capacity = 2 * engine->sample_capacity + 1024;
        struct sample *samples = realloc(engine->samples, capacity * sizeof *samples);
        if (samples == NULL) {
            fail(engine, "out of memory");
            return;
        }
        engine->samples = samples;
        engine->sample_capacity = capacity;
    }
    struct sample *sample = &engine->samples[engine->sample_count++];
    *sample = (struct sample){engine_seconds(engine),
                              reading.resident,
                              reading.charged,
                              (double)engine->model.live_bytes,
                              reading.cpu_seconds,
                              reading.faults,
                              (double)engine->counts.operations,
                              pulse_longest(&engine->pulse)};
    note_follow(engine, sample);
    if (pulse_is_lost(&engine->pulse))
        fail(engine, "lost the connection of the probe");
    if (sample->stall > PATIENCE_SECONDS)
        fail(engine, "no reply for %d seconds", PATIENCE_SECONDS);
    if (engine->on_sample != NULL)
        engine->on_sample(engine->context, engine);
}

static void on_tick(uv_timer_t *tick)
{
    struct engine *engine = tick->data;
    if (engine->is_stopped)
        return;
    if (engine->ticks++ % (SAMPLE_MS / TICK_MS) == 0) {
        model_expire(&engine->model, (uint32_t)(engine_seconds(engine) * 10));
        take_sample(engine);
    }
    pump(engine);
}

/* ---- life ---- */

static void on_signal(uv_signal_t *signal, int number)
{
    (void)number;
    fail(signal->data, "interrupted");
}

static int open_lanes(struct engine *engine)
{
    char error[300];
    engine->lanes = calloc(engine->lane_count, sizeof *engine->lanes);
    engine->polls = calloc(engine->lane_count, sizeof *engine->polls);
    if (engine->lanes == NULL || engine->polls == NULL) {
        snprintf(engine->error, sizeof engine->error, "out of memory");
        return -1;
    }
    for (unsigned i = 0; i < engine->lane_count; i++)
        if (lane_open(&engine->lanes[i], engine->peer, engine->depth, engine->scenario->key_lengths,
                      error, sizeof error) < 0) {
            snprintf(engine->error, sizeof engine->error, "no connection: %s", error);
            engine->lane_count = i;
            return -1;
        }
    return 0;
}

static int watch_lanes(struct engine *engine)
{
    int status = 0;
    for (unsigned i = 0; status == 0 && i < engine->lane_count; i++) {
        uv_poll_t *poll = &engine->polls[i];
        status = uv_poll_init(&engine->loop, poll, engine->lanes[i].descriptor);
        poll->data = engine;
        if (status == 0)
            status = uv_poll_start(poll, UV_READABLE | UV_DISCONNECT, on_poll);
    }
    return status;
}

static int watch_signals(struct engine *engine)
{
    int status = 0;
    for (unsigned i = 0; status == 0 && i < 2; i++) {
        uv_signal_t *handle = &engine->signals[i];
        status = uv_signal_init(&engine->loop, handle);
        handle->data = engine;
        if (status == 0)
            status = uv_signal_start(handle, on_signal, i == 0 ? SIGINT : SIGTERM);
    }
    return status;
}

static void start_clock(struct engine *engine)
{
    uv_timer_init(&engine->loop, &engine->tick);
    uv_check_init(&engine->loop, &engine->check);
    engine->tick.data = engine->check.data = engine;
    uv_timer_start(&engine->tick, on_tick, 0, TICK_MS);
    uv_check_start(&engine->check, on_check);
    engine->start_ns = clock_ns();
}

static int start(struct engine *engine)
{
    char error[300];
    if (open_lanes(engine) < 0)
        return -1;
    if (pulse_start(&engine->pulse, engine->peer, error, sizeof error) < 0) {
        snprintf(engine->error, sizeof engine->error, "no probe: %s", error);
        return -1;
    }
    int status = watch_lanes(engine);
    if (status == 0)
        status = watch_signals(engine);
    if (status < 0)
        snprintf(engine->error, sizeof engine->error, "no event loop: %s", uv_strerror(status));
    return status;
}

static void play(struct engine *engine)
{
    struct reading idle;
    start_clock(engine);
    if (source_read(engine->source, true, &idle))
        engine->idle_resident = idle.resident;
    begin_phase(engine);
    if (!engine->is_stopped)
        uv_run(&engine->loop, UV_RUN_DEFAULT);
    if (engine->error[0] != '\0' && engine->phase < engine->outcome_count)
        cut_phase(engine);
}

static void close_handle(uv_handle_t *handle, void *context)
{
    (void)context;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

int engine_run(struct engine *engine)
{
    int status = uv_loop_init(&engine->loop);
    if (status < 0) {
        snprintf(engine->error, sizeof engine->error, "no event loop: %s", uv_strerror(status));
        return -1;
    }
    model_init(&engine->model, engine->scenario->key_lengths);
    engine->prng = prng_seeded(engine->seed);
    if (start(engine) == 0)
        play(engine);
    pulse_stop(&engine->pulse);
    uv_walk(&engine->loop, close_handle, NULL);
    uv_run(&engine->loop, UV_RUN_DEFAULT);
    uv_loop_close(&engine->loop);
    return engine->error[0] == '\0' ? 0 : -1;
}

void engine_release(struct engine *engine)
{
    for (unsigned i = 0; engine->lanes != NULL && i < engine->lane_count; i++)
        lane_close(&engine->lanes[i]);
    free(engine->lanes);
    free(engine->polls);
    free(engine->samples);
    model_release(&engine->model);
}
