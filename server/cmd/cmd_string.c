/* SPDX-License-Identifier: MIT */
/* cmd_string.c: whole values: GET and SET in all their forms, and the same for several keys.
 *
 * Handlers of commands.def; called by dispatch.c. A value read from the store is written into the
 * reply before the store is changed.
 */
#include "handler.h"

#include <string.h>

#include "set_options.h"

/* Answers the present value or null. */
static bool reply_present(struct cmd_context *context, const struct store_key *key)
{
    struct store_value value;
    bool found = read_key(context, key, &value);

    if (found)
        reply_value(context, key, &value);
    else
        ebb_reply_null(&context->reply);
    return found;
}

void cmd_get(struct cmd_context *context)
{
    struct store_key key = enter_key(context, 1);
    reply_present(context, &key);
}

void cmd_getdel(struct cmd_context *context)
{
    struct store_key key = enter_key(context, 1);

    if (reply_present(context, &key))
        store_delete(context->store, &key);
}

/* The time comes before the reply: a long value that is on its way out can't take one in place. */
static void reply_with_time(struct cmd_context *context, const struct store_key *key,
                            int64_t expire_ms)
{
    struct store_value value;

    if (store_set_expire(context->store, key, expire_ms) && store_peek(context->store, key, &value))
        reply_value(context, key, &value);
    else
        reply_store_error(context, STORE_ENOMEM);
}

void cmd_getex(struct cmd_context *context)
{
    struct set_options options;
    struct store_value value;

    if (!set_options_parse(context, 2, SET_OPTIONS_GETEX, &options))
        return;
    struct store_key key = enter_key(context, 1);
    if (!read_key(context, &key, &value)) {
        ebb_reply_null(&context->reply);
        return;
    }
    if (!set_options_expire(context, &options))
        return;
    bool ends_now = options.time_arg != 0 && is_over(context, options.expire_ms);
    bool takes_time = options.flags & SET_PERSIST && value.expire_ms != 0;
    if (!ends_now && (options.time_arg != 0 || takes_time)) {
        reply_with_time(context, &key, options.time_arg != 0 ? options.expire_ms : 0);
        return;
    }
    reply_value(context, &key, &value);
    if (ends_now)
        store_set_expire(context->store, &key, options.expire_ms);
}

/* ---- SET and its older forms ---- */

static struct store_value value_arg(struct cmd_context *context, uint32_t index)
{
    return (struct store_value){.data = context->args[index].data, .len = context->args[index].len};
}

/* Sets the key in args[1]; answers nothing on success. */
static bool set_value(struct cmd_context *context, const struct store_key *key,
                      const struct store_value *value, size_t reply_at)
{
    int rc = store_set(context->store, key, value);

    if (rc == STORE_OK)
        return true;
    reply_rewind(context, reply_at);
    reply_store_error(context, rc);
    return false;
}

/* Whether NX, XX, IFEQ or IFNE lets SET go on; found: there is an old value. */
static bool set_is_allowed(struct cmd_context *context, const struct set_options *options,
                           bool found, const struct store_value *old)
{
    if (!found)
        return !(options->flags & (SET_XX | SET_IFEQ));
    if (!(options->flags & SET_VALUES))
        return !(options->flags & SET_NX);
    struct ebb_slice wanted = context->args[options->value_arg];
    bool is_equal = wanted.len == old->len && memcmp(wanted.data, old->data, old->len) == 0;
    return is_equal == (bool)(options->flags & SET_IFEQ);
}

static void set_with_options(struct cmd_context *context)
{
    struct ebb_buf *out = context->reply.out;
    size_t reply_at = ebb_buf_len(out);
    struct set_options options;
    struct store_value old;

    if (!set_options_parse(context, 3, SET_OPTIONS_SET, &options) ||
        !set_options_expire(context, &options))
        return;
    struct store_key key = enter_key(context, 1);
    bool wants_old = options.flags & SET_GET;
    bool found = false;
    if (wants_old)
        reply_present(context, &key);
    if (options.flags & SET_CONDITIONS)
        found = store_peek(context->store, &key, &old);

    if (!set_is_allowed(context, &options, found, &old)) {
        if (!wants_old)
            ebb_reply_null(&context->reply);
        return;
    }
    struct store_value value = value_arg(context, 2);
    value.expire_ms = options.flags & SET_KEEPTTL ? STORE_KEEP_TTL : options.expire_ms;
    if (set_value(context, &key, &value, reply_at) && !wants_old)
        reply_ok(context);
}

void cmd_set(struct cmd_context *context)
{
    if (context->count > 3) {
        set_with_options(context);
        return;
    }
    struct store_key key = enter_key(context, 1);
    struct store_value value = value_arg(context, 2);
    int rc = store_set(context->store, &key, &value);
    if (rc == STORE_OK)
        reply_ok(context);
    else
        reply_store_error(context, rc);
}

static void set_for_time(struct cmd_context *context, unsigned unit)
{
    struct set_options options = {.flags = unit, .time_arg = 2};

    if (!set_options_expire(context, &options))
        return;
    struct store_key key = enter_key(context, 1);
    struct store_value value = value_arg(context, 3);
    value.expire_ms = options.expire_ms;
    if (set_value(context, &key, &value, ebb_buf_len(context->reply.out)))
        reply_ok(context);
}

void cmd_setex(struct cmd_context *context)
{
    set_for_time(context, SET_EX);
}

void cmd_psetex(struct cmd_context *context)
{
    set_for_time(context, SET_PX);
}

void cmd_setnx(struct cmd_context *context)
{
    struct store_key key = enter_key(context, 1);
    struct store_value value = value_arg(context, 2);
    struct store_value old;

    if (store_peek(context->store, &key, &old))
        ebb_reply_int(&context->reply, 0);
    else if (set_value(context, &key, &value, ebb_buf_len(context->reply.out)))
        ebb_reply_int(&context->reply, 1);
}

void cmd_getset(struct cmd_context *context)
{
    size_t reply_at = ebb_buf_len(context->reply.out);
    struct store_key key = enter_key(context, 1);
    struct store_value value = value_arg(context, 2);

    reply_present(context, &key);
    set_value(context, &key, &value, reply_at);
}

/* ---- several keys ---- */

/* Up to KEYS_CHUNK keys are read at one moment. More are read chunk by chunk, and a writer on
 * another worker may come in between: that is the price for not holding every shard that long. */
void cmd_mget(struct cmd_context *context)
{
    struct store_key keys[KEYS_CHUNK];
    uint32_t at = context->client->resume_at;

    if (at == 0) {
        ebb_reply_array(&context->reply, context->count - 1);
        at = 1;
    }
    context->client->resume_at = 0;
    while (at < context->count) {
        uint32_t count = enter_keys(context, at, 1, KEYS_CHUNKED, keys);
        for (uint32_t i = 0; i < count; i++)
            reply_present(context, &keys[i]);
        at += count;
        if (at < context->count && reply_stops(context, at))
            return;
    }
}

/* Keys set before memory ran out stay set: their old values are gone. */
static bool set_all(struct cmd_context *context)
{
    struct store_key keys[KEYS_CHUNK];
    size_t reply_at = ebb_buf_len(context->reply.out);
    uint32_t count;

    for (uint32_t at = 1; at < context->count; at += 2 * count) {
        count = enter_keys(context, at, 2, KEYS_ATOMIC, keys);
        for (uint32_t i = 0; i < count; i++) {
            struct store_value value = value_arg(context, at + 2 * i + 1);
            if (!set_value(context, &keys[i], &value, reply_at))
                return false;
        }
    }
    return true;
}

static bool none_exists(struct cmd_context *context)
{
    struct store_key keys[KEYS_CHUNK];
    struct store_value value;
    uint32_t count;

    for (uint32_t at = 1; at < context->count; at += 2 * count) {
        count = enter_keys(context, at, 2, KEYS_ATOMIC, keys);
        for (uint32_t i = 0; i < count; i++) {
            if (store_peek(context->store, &keys[i], &value))
                return false;
        }
    }
    return true;
}

void cmd_mset(struct cmd_context *context)
{
    if (context->count % 2 == 0)
        reply_wrong_arity(context, "mset");
    else if (set_all(context))
        reply_ok(context);
}

void cmd_msetnx(struct cmd_context *context)
{
    if (context->count % 2 == 0)
        reply_wrong_arity(context, "msetnx");
    else if (!none_exists(context))
        ebb_reply_int(&context->reply, 0);
    else if (set_all(context))
        ebb_reply_int(&context->reply, 1);
}
