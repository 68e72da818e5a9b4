/* SPDX-License-Identifier: MIT */
/* model.c: see model.h. */
#include "model.h"

#include <stdlib.h>

#define FIRST_CAPACITY 4096

void model_init(struct model *model, struct sizes key_lengths)
{
    *model = (struct model){.key_lengths = key_lengths};
}

void model_release(struct model *model)
{
    free(model->items);
    *model = (struct model){0};
}

size_t item_bytes(const struct model *model, const struct item *item)
{
    return key_length(item->id, model->key_lengths) + item->bytes;
}

static bool grow(struct model *model)
{
    size_t capacity = model->capacity == 0 ? FIRST_CAPACITY : model->capacity * 2;
    struct item *items = realloc(model->items, capacity * sizeof *items);
    if (items == NULL)
        return false;
    model->items = items;
    model->capacity = capacity;
    return true;
}

struct item *model_add(struct model *model, uint32_t bytes, uint32_t expires)
{
    if (model->count == model->capacity && !grow(model))
        return NULL;
    struct item *item = &model->items[model->count++];
    *item = (struct item){.id = model->next_id++, .bytes = bytes & 0xffffff, .expires = expires};
    model->live_bytes += item_bytes(model, item);
    if (expires > model->last_expires)
        model->last_expires = expires;
    return item;
}

struct item *model_replace(struct model *model, size_t at, uint32_t bytes)
{
    struct item *item = &model->items[at];
    model->live_bytes -= item->bytes;
    item->bytes = bytes & 0xffffff;
    item->version = (item->version + 1u) & 0xff;
    item->expires = 0;
    model->live_bytes += item->bytes;
    return item;
}

struct item model_remove(struct model *model, size_t at)
{
    struct item item = model->items[at];
    model->live_bytes -= item_bytes(model, &item);
    model->items[at] = model->items[--model->count];
    return item;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = ((const struct item *)a)->id, y = ((const struct item *)b)->id;
    return (x < y) - (x > y);
}

void model_sort(struct model *model)
{
    if (model->count > 1)
        qsort(model->items, model->count, sizeof *model->items, compare);
}

void model_expire(struct model *model, uint32_t now)
{
    if (model->last_expires == 0)
        return;
    for (size_t i = model->count; i-- > 0;)
        if (model->items[i].expires != 0 && model->items[i].expires <= now)
            model_remove(model, i);
    if (model->last_expires <= now)
        model->last_expires = 0;
}

int model_check(const struct model *model)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < model->count; i++) {
        sum += item_bytes(model, &model->items[i]);
        if (model->items[i].id >= model->next_id || model->items[i].expires > model->last_expires)
            return -1;
    }
    return sum == model->live_bytes && model->count <= model->capacity ? 0 : -1;
}
