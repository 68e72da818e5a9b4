/* SPDX-License-Identifier: MIT */
/* progress.c: see progress.h. */
#include "progress.h"

#include <math.h>

#define MEAN_DRAWS         4096
#define BUSY_SECONDS_LEAST 0.3 /* before the pace is believed */

/* ---- what will be sent ---- */

struct level {                  /* what the server holds at a moment of the forecast */
    double items, live, ending; /* ending: items that will expire */
    double ttl;                 /* the longest of those */
};

/* Of a key and a value. */
static double mean_bytes(const struct scenario *scenario, const struct mix *mix)
{
    struct prng prng = prng_seeded(1);
    double sum = 0;
    for (unsigned i = 0; i < MEAN_DRAWS; i++)
        sum += mix_pick(mix, &prng);
    return sum / MEAN_DRAWS +
           (double)(scenario->key_lengths.least + scenario->key_lengths.most) / 2;
}

static void leave(struct level *level, double items)
{
    if (level->items > 0)
        level->live *= items / level->items;
    level->items = items;
}

static double forecast_fill(const struct phase *phase, double bytes, struct level *level)
{
    double room = fmax(0, (double)phase->live_bytes - level->live), removed = 0;
    double added = phase->items > 0           ? (double)phase->items
                   : phase->written_bytes > 0 ? (double)phase->written_bytes / bytes
                                              : room / bytes;
    level->items += added;
    level->live += added * bytes;
    if (phase->live_bytes > 0 && level->live > (double)phase->live_bytes) {
        double left = level->items * (double)phase->live_bytes / level->live;
        removed = level->items - left;
        leave(level, left);
    }
    if (phase->ttl_most > 0) {
        level->ending += added;
        level->ttl = fmax(level->ttl, phase->ttl_most);
    }
    return added + removed;
}

static double forecast_delete(const struct phase *phase, struct level *level)
{
    double before = level->items, left = before * (1 - (phase->share > 0 ? phase->share : 1));
    if (phase->every > 0)
        left = before / (double)phase->every;
    else if (phase->live_bytes > 0)
        left = level->live > 0 ? before * fmin(1, (double)phase->live_bytes / level->live) : 0;
    else if (phase->items > 0)
        left = fmin(before, (double)phase->items);
    leave(level, left);
    return before - left;
}

static double forecast_resize(const struct phase *phase, double bytes, struct level *level)
{
    double share = phase->share > 0 ? phase->share : 1;
    level->live += share * (level->items * bytes - level->live);
    return share * level->items;
}

static struct forecast forecast_phase(const struct scenario *scenario, const struct phase *phase,
                                      struct level *level)
{
    struct forecast forecast = {.settle = phase->settle};
    double bytes = phase->value.kind == MIX_NONE ? 0 : mean_bytes(scenario, &phase->value);
    switch (phase->kind) {
    case PHASE_FILL:
        forecast.operations = forecast_fill(phase, bytes, level);
        break;
    case PHASE_DELETE:
        forecast.operations = forecast_delete(phase, level);
        break;
    case PHASE_RESIZE:
        forecast.operations = forecast_resize(phase, bytes, level);
        break;
    case PHASE_EXPIRE:
        forecast.seconds = level->ttl;
        leave(level, fmax(0, level->items - level->ending));
        level->ttl = level->ending = 0;
        break;
    case PHASE_OSCILLATE:
        forecast.seconds = phase->seconds;
        level->live = (double)phase->low_bytes;
        level->items = level->live / bytes;
        break;
    default:
        forecast.seconds = phase->seconds;
    }
    if (phase->rate > 0 && forecast.operations > 0) {
        forecast.seconds = forecast.operations / phase->rate;
        forecast.operations = 0;
    }
    forecast.verify = level->items;
    return forecast;
}

void progress_init(struct progress *progress, const struct scenario *scenario)
{
    struct level level = {0};
    *progress = (struct progress){0};
    for (size_t i = 0; i < scenario->count; i++)
        progress->phases[i] = forecast_phase(scenario, &scenario->phases[i], &level);
}

/* ---- how fast ---- */

void progress_note(struct progress *progress, const struct engine *engine)
{
    double seconds = engine->now, operations = (double)engine->counts.operations;
    bool is_busy = engine->stage == STAGE_VERIFY ||
                   (engine->stage == STAGE_WORK && progress->phases[engine->phase].operations > 0);
    if (is_busy) {
        progress->busy_seconds += seconds - progress->seconds;
        progress->busy_operations += operations - progress->operations;
    }
    progress->seconds = seconds;
    progress->operations = operations;
}

/* Of the phase that is played now. */
static struct forecast rest_of_phase(const struct progress *progress, const struct engine *engine)
{
    struct forecast rest = progress->phases[engine->phase];
    double sent = (double)(engine->counts.operations - engine->phase_counts.operations);
    double waited = engine->now - engine->stage_begin;
    if (engine->stage == STAGE_WORK) {
        rest.operations = fmax(0, rest.operations - sent);
        rest.seconds = fmax(0, rest.seconds - waited);
        return rest;
    }
    rest.operations = rest.seconds = 0;
    rest.settle = engine->stage == STAGE_SETTLE ? fmax(0, rest.settle - waited) : 0;
    if (engine->stage == STAGE_VERIFY)
        rest.verify = (double)(engine->model.count - engine->cursor);
    return rest;
}

double progress_seconds_left(const struct progress *progress, const struct engine *engine)
{
    double operations = 0, seconds = 0;
    for (size_t i = engine->phase; i < engine->scenario->count; i++) {
        struct forecast left =
            i == engine->phase ? rest_of_phase(progress, engine) : progress->phases[i];
        operations += left.operations + left.verify;
        seconds += left.seconds + left.settle;
    }
    if (operations == 0)
        return seconds;
    if (progress->busy_seconds < BUSY_SECONDS_LEAST || progress->busy_operations == 0)
        return -1;
    return seconds + operations * progress->busy_seconds / progress->busy_operations;
}
