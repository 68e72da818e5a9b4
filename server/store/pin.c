/* SPDX-License-Identifier: MIT */
/* pin.c: values that are being sent from where they lie. Called by cmd/splices.c. */
#include "store_internal.h"

bool store_pin(struct store_session *session, const struct store_key *key,
               const struct store_value *value, struct store_pin *pin)
{
    const struct shard *shard = session_shard(session, key);
    const char *item = value->data - key->len - value->header_bytes;
    pin->ref = (uint64_t)(item - (const char *)shard->base) / EBB_GRANULE_BYTES;
    pin->shard = shard_index(session->store, key->hash);
    return ebb_pin(shard->items, pin->ref) == 0;
}

void store_unpin(struct store_session *session, const struct store_pin *pins, size_t count)
{
    uint64_t set = 0;
    for (size_t i = 0; i < count; i++)
        set |= UINT64_C(1) << pins[i].shard;
    store_enter_shards(session, set);
    for (size_t i = 0; i < count; i++)
        ebb_unpin(session->store->shards[pins[i].shard].items, pins[i].ref);
    store_leave(session);
}

size_t store_pin_bytes_lost(struct store_session *session, const struct store_pin *pin)
{
    store_enter_shards(session, UINT64_C(1) << pin->shard);
    const struct ebb_heap *items = session->store->shards[pin->shard].items;
    size_t bytes = ebb_is_live(items, pin->ref) ? 0 : ebb_pinned_bytes(items, pin->ref);
    store_leave(session);
    return bytes;
}
