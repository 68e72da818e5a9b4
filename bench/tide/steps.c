/* SPDX-License-Identifier: MIT */
/* steps.c: see steps.h. A place is chosen, its lane asked for room, and only then the model
 * changed: what does not fit is chosen again.
 */
#include "steps.h"

#include <math.h>
#include <stdlib.h>

#define PLACE_TRIES 16

static struct lane *lane_for(struct engine *engine, uint64_t id)
{
    struct lane *lane = &engine->lanes[id % engine->lane_count];
    return lane_is_full(lane) ? NULL : lane;
}

static enum step sent(struct engine *engine, bool is_composed)
{
    engine->in_flight += is_composed;
    return is_composed ? STEP_SENT : STEP_FAILED;
}

/* ---- one command ---- */

static uint32_t next_bytes(struct engine *engine, const struct phase *phase)
{
    if (!engine->has_next)
        engine->next_bytes = mix_pick(&phase->value, &engine->prng);
    engine->has_next = true;
    return engine->next_bytes;
}

static enum step write_item(struct engine *engine, struct lane *lane, const struct item *item,
                            double ttl)
{
    uint64_t bytes = item_bytes(&engine->model, item);
    engine->has_next = false;
    engine->written += bytes;
    engine->counts.written_bytes += bytes;
    return sent(engine, lane_set(lane, item, (uint64_t)ttl * 1000));
}

static enum step add(struct engine *engine, const struct phase *phase)
{
    struct lane *lane = lane_for(engine, engine->model.next_id);
    uint32_t bytes = next_bytes(engine, phase), expires = 0;
    double ttl = 0;
    if (lane == NULL)
        return STEP_WAIT;
    if (phase->ttl_least > 0) {
        uint64_t range = (uint64_t)(phase->ttl_most - phase->ttl_least) + 1;
        ttl = floor(phase->ttl_least) + (double)prng_below(&engine->prng, range);
        expires = (uint32_t)((engine_seconds(engine) + ttl) * 10) + 1;
    }
    struct item *item = model_add(&engine->model, bytes, expires);
    if (item == NULL)
        return STEP_FAILED;
    engine->added++;
    return write_item(engine, lane, item, ttl);
}

static enum step replace(struct engine *engine, const struct phase *phase, size_t at)
{
    struct lane *lane = lane_for(engine, engine->model.items[at].id);
    if (lane == NULL)
        return STEP_WAIT;
    uint32_t bytes = next_bytes(engine, phase);
    return write_item(engine, lane, model_replace(&engine->model, at, bytes), 0);
}

static enum step take_out(struct engine *engine, size_t at)
{
    struct lane *lane = lane_for(engine, engine->model.items[at].id);
    if (lane == NULL)
        return STEP_WAIT;
    struct item item = model_remove(&engine->model, at);
    return sent(engine, lane_delete(lane, &item));
}

static enum step read_back(struct engine *engine, size_t at)
{
    struct lane *lane = lane_for(engine, engine->model.items[at].id);
    return lane == NULL ? STEP_WAIT : sent(engine, lane_get(lane, &engine->model.items[at]));
}

/* ---- where ---- */

static size_t draw(struct engine *engine, const struct phase *phase)
{
    size_t count = engine->model.count;
    return phase->zipf == 0
               ? prng_below(&engine->prng, count)
               : popularity_place(&engine->popularity, prng_next(&engine->prng), count);
}

/* A random place in a model that has some. It was drawn a few steps ago: by now its line of memory
 * is here, without which waiting for it would be the dearest part of a step. */
static size_t next_place(struct engine *engine, const struct phase *phase)
{
    size_t *place = &engine->places[engine->next_place++ % PLACES_AHEAD], at = *place;
    *place = draw(engine, phase);
    __builtin_prefetch(&engine->model.items[*place]);
    return at < engine->model.count ? at : draw(engine, phase);
}

static void forget_places(struct engine *engine)
{
    for (size_t i = 0; i < PLACES_AHEAD; i++)
        engine->places[i] = SIZE_MAX;
}

/* One of some whose lane has room: any is as good, and the others' lanes are not kept waiting. */
static size_t place_with_room(struct engine *engine, const struct phase *phase)
{
    size_t at = next_place(engine, phase);
    for (unsigned tries = 1; tries < PLACE_TRIES; tries++) {
        if (lane_for(engine, engine->model.items[at].id) != NULL)
            break;
        at = next_place(engine, phase);
    }
    return at;
}

/* ---- phases ---- */

static enum step fill(struct engine *engine, const struct phase *phase)
{
    struct model *model = &engine->model;
    if (phase->items > 0 ? engine->added >= phase->items : engine->written >= engine->target)
        return STEP_DONE;
    uint64_t next = next_bytes(engine, phase) + key_length(model->next_id, model->key_lengths);
    if (phase->live_bytes > 0 && model->count > 0 && model->live_bytes + next > phase->live_bytes)
        return take_out(engine, place_with_room(engine, phase));
    return add(engine, phase);
}

static enum step thin_out(struct engine *engine, const struct phase *phase)
{
    struct model *model = &engine->model;
    if (phase->every > 0) {
        while (engine->cursor > 0 && (engine->cursor - 1) % phase->every == 0)
            engine->cursor--;
        if (engine->cursor == 0 || engine->cursor > model->count)
            return STEP_DONE;
        enum step step = take_out(engine, engine->cursor - 1);
        engine->cursor -= step == STEP_SENT;
        return step;
    }
    if (model->count == 0 || (phase->live_bytes > 0 ? model->live_bytes <= phase->live_bytes
                                                    : model->count <= engine->target))
        return STEP_DONE;
    bool is_oldest = phase->order == ORDER_OLDEST;
    return take_out(engine, is_oldest ? model->count - 1 : place_with_room(engine, phase));
}

static enum step churn(struct engine *engine, const struct phase *phase)
{
    if (engine->now - engine->stage_begin >= phase->seconds || engine->model.count == 0)
        return STEP_DONE;
    if (!engine->has_choice || engine->choice >= engine->model.count) {
        engine->choice =
            phase->zipf > 0 ? next_place(engine, phase) : place_with_room(engine, phase);
        engine->is_write = (double)(prng_next(&engine->prng) >> 11) * 0x1p-53 < phase->writes;
    }
    enum step step = engine->is_write ? replace(engine, phase, engine->choice)
                                      : read_back(engine, engine->choice);
    engine->has_choice = step == STEP_WAIT; /* what is asked for most is not passed over */
    return step;
}

static enum step oscillate(struct engine *engine, const struct phase *phase)
{
    struct model *model = &engine->model;
    double seconds = engine->now - engine->stage_begin;
    if (seconds >= phase->seconds)
        return STEP_DONE;
    if (fmod(seconds, phase->period) < phase->period / 2)
        return model->live_bytes < phase->live_bytes ? add(engine, phase) : STEP_WAIT;
    return model->live_bytes > phase->low_bytes && model->count > 0
               ? take_out(engine, place_with_room(engine, phase))
               : STEP_WAIT;
}

static enum step resize(struct engine *engine, const struct phase *phase)
{
    if (engine->cursor >= engine->target || engine->cursor >= engine->model.count)
        return STEP_DONE;
    enum step step = replace(engine, phase, engine->cursor);
    engine->cursor += step == STEP_SENT;
    return step;
}

static enum step verify(struct engine *engine)
{
    if (engine->cursor >= engine->model.count)
        return STEP_DONE;
    enum step step = read_back(engine, engine->cursor);
    engine->cursor += step == STEP_SENT;
    return step;
}

static bool is_ahead_of_rate(const struct engine *engine, const struct phase *phase)
{
    if (phase->rate == 0 || engine->stage != STAGE_WORK)
        return false;
    uint64_t sent_since =
        engine->counts.operations - engine->phase_counts.operations + engine->in_flight;
    return (double)sent_since >= phase->rate * (engine->now - engine->stage_begin);
}

enum step steps_next(struct engine *engine, const struct phase *phase)
{
    if (engine->stage == STAGE_VERIFY)
        return verify(engine);
    if (is_ahead_of_rate(engine, phase))
        return STEP_WAIT;
    switch (phase->kind) {
    case PHASE_FILL:
        return fill(engine, phase);
    case PHASE_DELETE:
        return thin_out(engine, phase);
    case PHASE_CHURN:
        return churn(engine, phase);
    case PHASE_OSCILLATE:
        return oscillate(engine, phase);
    case PHASE_RESIZE:
        return resize(engine, phase);
    case PHASE_EXPIRE:
        return engine->model.last_expires == 0 ? STEP_DONE : STEP_WAIT;
    default:
        return engine->now - engine->stage_begin >= phase->seconds ? STEP_DONE : STEP_WAIT;
    }
}

void steps_begin(struct engine *engine, const struct phase *phase)
{
    struct model *model = &engine->model;
    double share = phase->share > 0 ? phase->share : 1;
    engine->added = engine->written = engine->cursor = 0;
    engine->has_next = engine->has_choice = false;
    popularity_init(&engine->popularity, phase->zipf);
    if (phase->kind == PHASE_FILL)
        engine->target = phase->written_bytes > 0 ? phase->written_bytes
                         : phase->live_bytes > model->live_bytes
                             ? phase->live_bytes - model->live_bytes
                             : 0;
    else if (phase->kind == PHASE_DELETE)
        engine->target = phase->items > 0
                             ? phase->items
                             : model->count - (uint64_t)(share * (double)model->count + 0.5);
    else
        engine->target = (uint64_t)(share * (double)model->count + 0.5);
    if (phase->kind == PHASE_DELETE && (phase->every > 0 || phase->order == ORDER_OLDEST))
        model_sort(model);
    if (phase->every > 0)
        engine->cursor = model->count;
    forget_places(engine);
}

/* ---- read-back ---- */

void steps_begin_verify(struct engine *engine)
{
    engine->cursor = 0;
    if (engine->is_evicting)
        model_sort(&engine->model);
}

void steps_forget(struct engine *engine, const struct item *item)
{
    struct model *model = &engine->model;
    size_t low = 0, high = model->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (model->items[middle].id > item->id)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == model->count || model->items[low].id != item->id)
        return;
    model->items[low].expires = 1;
    if (model->last_expires == 0)
        model->last_expires = 1;
}
