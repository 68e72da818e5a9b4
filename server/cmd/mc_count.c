/* SPDX-License-Identifier: MIT */
/* mc_count.c: what memcached's commands did, for `stats` and for `stats slabs`.
 *
 * Called by the handlers of memcached's verbs. A hit counts for the class that the item lay in
 * before the command changed anything, a store for the one that the new item lies in.
 */
#include "mc_count.h"

#include "../store/stats.h"

static struct class_hits *hits_of(struct cmd_context *context, size_t item_bytes)
{
    return &context->class_hits[store_class_of(item_bytes)];
}

static struct class_hits *hits_of_value(struct cmd_context *context, const struct store_key *key,
                                        const struct store_value *value)
{
    return hits_of(context, key->len + value->header_bytes + value->len);
}

void mc_count_read(struct cmd_context *context, const struct store_key *key,
                   const struct store_value *hit, bool is_touch)
{
    struct counters *counters = context->counters;

    if (hit == NULL) {
        counter_add(is_touch ? &counters->mc_touch_misses : &counters->mc_get_misses, 1);
        return;
    }
    struct class_hits *hits = hits_of_value(context, key, hit);
    counter_add(is_touch ? &counters->mc_touch_hits : &counters->mc_get_hits, 1);
    counter_add(is_touch ? &hits->touch : &hits->get, 1);
}

void mc_count_sum(struct cmd_context *context, const struct store_key *key,
                  const struct store_value *hit, bool is_decr)
{
    struct counters *counters = context->counters;

    if (hit == NULL) {
        counter_add(is_decr ? &counters->mc_decr_misses : &counters->mc_incr_misses, 1);
        return;
    }
    struct class_hits *hits = hits_of_value(context, key, hit);
    counter_add(is_decr ? &counters->mc_decr_hits : &counters->mc_incr_hits, 1);
    counter_add(is_decr ? &hits->decr : &hits->incr, 1);
}

void mc_count_cas(struct cmd_context *context, const struct store_key *key,
                  const struct store_value *old, bool is_same)
{
    struct counters *counters = context->counters;

    if (old == NULL) {
        counter_add(&counters->mc_cas_misses, 1);
        return;
    }
    struct class_hits *hits = hits_of_value(context, key, old);
    counter_add(is_same ? &counters->mc_cas_hits : &counters->mc_cas_badval, 1);
    counter_add(is_same ? &hits->cas : &hits->cas_badval, 1);
}

void mc_count_delete(struct cmd_context *context, size_t item_bytes)
{
    struct counters *counters = context->counters;

    if (item_bytes == 0) {
        counter_add(&counters->mc_delete_misses, 1);
        return;
    }
    counter_add(&counters->mc_delete_hits, 1);
    counter_add(&hits_of(context, item_bytes)->delete, 1);
}

/* What was stored to be gone at once lies in no class. */
void mc_count_stored(struct cmd_context *context)
{
    size_t item_bytes = context->store->item_bytes;

    if (item_bytes > 0)
        counter_add(&hits_of(context, item_bytes)->stored, 1);
}
