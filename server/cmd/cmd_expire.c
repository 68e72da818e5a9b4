/* SPDX-License-Identifier: MIT */
/* cmd_expire.c: the time to live: EXPIRE and TTL in all their units, PERSIST.
 *
 * Handlers of commands.def; called by dispatch.c.
 */
#include "handler.h"

enum expire_flag { EXPIRE_NX = 1, EXPIRE_XX = 2, EXPIRE_GT = 4, EXPIRE_LT = 8 };

static bool parse_flags(struct cmd_context *context, unsigned *flags)
{
    static const struct {
        const char *word;
        unsigned flag;
    } words[] = {{"nx", EXPIRE_NX}, {"xx", EXPIRE_XX}, {"gt", EXPIRE_GT}, {"lt", EXPIRE_LT}};

    *flags = 0;
    for (uint32_t i = 3; i < context->count; i++) {
        struct ebb_slice arg = context->args[i];
        size_t word = 0;
        while (word < 4 && !arg_is(arg, words[word].word))
            word++;
        if (word == 4) {
            ebb_reply_errorf(&context->reply, "ERR Unsupported option %.*s",
                             arg_print_len(arg, 1024), arg.data);
            return false;
        }
        *flags |= words[word].flag;
    }
    if (*flags & EXPIRE_NX && *flags & (EXPIRE_XX | EXPIRE_GT | EXPIRE_LT)) {
        ebb_reply_error(&context->reply,
                        "ERR NX and XX, GT or LT options at the same time are not compatible");
        return false;
    }
    if (*flags & EXPIRE_GT && *flags & EXPIRE_LT) {
        ebb_reply_error(&context->reply,
                        "ERR GT and LT options at the same time are not compatible");
        return false;
    }
    return true;
}

/* Whether the flags let a key that ends at `old` (0: never) end at `expire_ms` instead. A key
 * without an end counts as one that ends later than any. */
static bool flags_allow(unsigned flags, int64_t old, int64_t expire_ms)
{
    if (flags & EXPIRE_NX && old != 0)
        return false;
    if (flags & EXPIRE_XX && old == 0)
        return false;
    if (flags & EXPIRE_GT && (old == 0 || expire_ms <= old))
        return false;
    if (flags & EXPIRE_LT && old != 0 && expire_ms >= old)
        return false;
    return true;
}

/* Of a key that is there. */
static void set_time(struct cmd_context *context, const struct store_key *key, int64_t expire_ms)
{
    if (store_set_expire(context->store, key, expire_ms))
        ebb_reply_int(&context->reply, 1);
    else
        reply_store_error(context, STORE_ENOMEM);
}

static void expire_key(struct cmd_context *context, int64_t unit_ms, int64_t base_ms)
{
    struct store_value value;
    int64_t time;
    unsigned flags;

    if (!parse_flags(context, &flags) || !arg_int(context, 2, &time))
        return;
    if (__builtin_mul_overflow(time, unit_ms, &time) ||
        __builtin_add_overflow(time, base_ms, &time)) {
        ebb_reply_errorf(&context->reply, "ERR invalid expire time in '%s' command",
                         context->command->name);
        return;
    }
    struct store_key key = enter_key(context, 1);
    if (!store_peek(context->store, &key, &value) || !flags_allow(flags, value.expire_ms, time)) {
        ebb_reply_int(&context->reply, 0);
        return;
    }
    if (time <= context->store->now_ms)
        ebb_reply_int(&context->reply, store_delete(context->store, &key));
    else
        set_time(context, &key, time);
}

void cmd_expire(struct cmd_context *context)
{
    expire_key(context, 1000, context->store->now_ms);
}

void cmd_pexpire(struct cmd_context *context)
{
    expire_key(context, 1, context->store->now_ms);
}

void cmd_expireat(struct cmd_context *context)
{
    expire_key(context, 1000, 0);
}

void cmd_pexpireat(struct cmd_context *context)
{
    expire_key(context, 1, 0);
}

/* -2: no such key, -1: it has no end. */
static void reply_time(struct cmd_context *context, int64_t unit_ms, int64_t base_ms)
{
    struct store_key key = enter_key(context, 1);
    struct store_value value;
    int64_t answer = -2;

    if (store_look(context->store, &key, &value)) {
        answer = -1;
        if (value.expire_ms != 0) {
            int64_t time = value.expire_ms - base_ms;
            /* To the nearest second, without overflow at the far end of time. */
            answer = unit_ms == 1 ? time : time / 1000 + (time % 1000 >= 500);
        }
    }
    ebb_reply_int(&context->reply, answer);
}

void cmd_ttl(struct cmd_context *context)
{
    reply_time(context, 1000, context->store->now_ms);
}

void cmd_pttl(struct cmd_context *context)
{
    reply_time(context, 1, context->store->now_ms);
}

void cmd_expiretime(struct cmd_context *context)
{
    reply_time(context, 1000, 0);
}

void cmd_pexpiretime(struct cmd_context *context)
{
    reply_time(context, 1, 0);
}

void cmd_persist(struct cmd_context *context)
{
    struct store_key key = enter_key(context, 1);
    struct store_value value;
    bool had_end = store_peek(context->store, &key, &value) && value.expire_ms != 0;

    if (had_end)
        set_time(context, &key, 0);
    else
        ebb_reply_int(&context->reply, 0);
}
