/* SPDX-License-Identifier: MIT */
/* mc.c: memcached's verbs, executed against database 0 of the same keyspace as RESP.
 *
 * Called by net/ for each command in order. Answers are those of memcached 1.6; `stats` is in
 * mc_stats.c.
 */
#include "cmd.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "mc_stats.h"

#define MC_DATABASE         0u
#define MC_KEYS_CHUNK       64u
#define MC_RELATIVE_MAX_S   (60 * 60 * 24 * 30) /* larger times are unix times */
#define MC_LONG_AGO_MS      1
#define MC_NUMBER_MAX_BYTES (512u * 1024) /* memcached adds to no value that it keeps in chunks */

static void answer(struct cmd_context *context, const struct ebb_mc_command *command,
                   const char *line)
{
    if (!command->noreply)
        ebb_mc_write_line(context->reply.out, line);
}

static void answer_error(struct cmd_context *context, const struct ebb_mc_command *command,
                         const char *line)
{
    counter_add(&context->counters->mc_errors, 1);
    answer(context, command, line);
}

static struct store_key enter_mc_key(struct cmd_context *context,
                                     const struct ebb_mc_command *command)
{
    struct ebb_slice name = command->keys.at[0];

    return store_enter_name(context->store, MC_DATABASE, name.data, name.len);
}

/* 0: never. Seconds below zero are a time long gone. */
static int64_t expire_ms_of(struct cmd_context *context, int64_t exptime)
{
    if (exptime == 0)
        return 0;
    if (exptime < 0)
        return MC_LONG_AGO_MS;
    if (exptime <= MC_RELATIVE_MAX_S)
        return context->store->now_ms + exptime * 1000;
    return exptime > INT64_MAX / 1000 ? INT64_MAX : exptime * 1000;
}

/* ---- get, gets, gat, gats ---- */

static void count_read(struct counters *counters, bool is_touch, bool is_hit)
{
    if (is_touch)
        counter_add(is_hit ? &counters->mc_touch_hits : &counters->mc_touch_misses, 1);
    else
        counter_add(is_hit ? &counters->mc_get_hits : &counters->mc_get_misses, 1);
}

static void read_mc_key(struct cmd_context *context, const struct ebb_mc_command *command,
                        const struct store_key *key)
{
    bool is_touch = command->verb == EBB_MC_GAT || command->verb == EBB_MC_GATS;
    bool wants_cas = command->verb == EBB_MC_GETS || command->verb == EBB_MC_GATS;
    struct store_value value;
    uint64_t unique = 0;

    if (wants_cas) /* first, as giving the number out may move the item */
        unique = store_cas_unique(context->store, key);
    bool is_hit = store_get(context->store, key, &value);
    count_read(context->counters, is_touch, is_hit);
    if (!is_hit)
        return;
    ebb_mc_write_value(context->reply.out, (struct ebb_slice){key->data, key->len}, value.flags,
                       (struct ebb_slice){value.data, value.len}, wants_cas ? &unique : NULL);
    if (is_touch)
        store_set_expire(context->store, key, expire_ms_of(context, command->exptime));
}

static void run_get(struct cmd_context *context, const struct ebb_mc_command *command)
{
    struct store *store = context->store->store;
    struct store_key keys[MC_KEYS_CHUNK];
    uint32_t count;

    for (uint32_t at = 0; at < command->keys.count; at += count) {
        uint32_t left = command->keys.count - at;
        count = left < MC_KEYS_CHUNK ? left : MC_KEYS_CHUNK;
        for (uint32_t i = 0; i < count; i++) {
            struct ebb_slice name = command->keys.at[at + i];
            keys[i] = store_key(store, MC_DATABASE, name.data, name.len);
        }
        store_enter_keys(context->store, keys, count);
        for (uint32_t i = 0; i < count; i++)
            read_mc_key(context, command, &keys[i]);
    }
    ebb_mc_write_line(context->reply.out, "END");
}

/* ---- set, add, replace, append, prepend, cas ---- */

/* A `set` that fails takes the old value with it, so that nobody reads what was to be replaced. */
static void answer_store_error(struct cmd_context *context, const struct ebb_mc_command *command,
                               const struct store_key *key, int error)
{
    bool is_too_large = error == STORE_ETOOBIG;

    counter_add(is_too_large ? &context->counters->mc_too_large : &context->counters->mc_no_memory,
                1);
    if (command->verb == EBB_MC_SET)
        store_delete(context->store, key);
    answer_error(context, command,
                 is_too_large ? "SERVER_ERROR object too large for cache"
                              : "SERVER_ERROR out of memory storing object");
}

static void store_value_of(struct cmd_context *context, const struct ebb_mc_command *command,
                           const struct store_key *key)
{
    struct store_value value = {.data = command->value.data,
                                .len = command->value.len,
                                .expire_ms = expire_ms_of(context, command->exptime),
                                .flags = command->flags};
    int rc = store_set(context->store, key, &value);

    if (rc == STORE_OK)
        answer(context, command, "STORED");
    else
        answer_store_error(context, command, key, rc);
}

static void run_set(struct cmd_context *context, const struct ebb_mc_command *command)
{
    struct store_key key = enter_mc_key(context, command);
    store_value_of(context, command, &key);
}

/* add wants no such key, replace wants one. */
static void run_add(struct cmd_context *context, const struct ebb_mc_command *command)
{
    struct store_key key = enter_mc_key(context, command);
    struct store_value old;

    if (store_peek(context->store, &key, &old) == (command->verb == EBB_MC_REPLACE))
        store_value_of(context, command, &key);
    else
        answer(context, command, "NOT_STORED");
}

static void run_append(struct cmd_context *context, const struct ebb_mc_command *command)
{
    struct store_key key = enter_mc_key(context, command);
    struct ebb_slice more = command->value;
    struct store_value old;
    int rc = STORE_ENOKEY;

    if (store_peek(context->store, &key, &old))
        rc = command->verb == EBB_MC_APPEND
                 ? store_join(context->store, &key, old.data, old.len, more.data, more.len)
                 : store_join(context->store, &key, more.data, more.len, old.data, old.len);
    /* memcached says no more than this when the whole is too large or there is no memory. */
    answer(context, command, rc == STORE_OK ? "STORED" : "NOT_STORED");
}

static void run_cas(struct cmd_context *context, const struct ebb_mc_command *command)
{
    struct store_key key = enter_mc_key(context, command);
    struct counters *counters = context->counters;
    struct store_value old;

    if (!store_peek(context->store, &key, &old)) {
        counter_add(&counters->mc_cas_misses, 1);
        answer(context, command, "NOT_FOUND");
    } else if (!store_cas_matches(context->store, &key, command->cas)) {
        counter_add(&counters->mc_cas_badval, 1);
        answer(context, command, "EXISTS");
    } else {
        counter_add(&counters->mc_cas_hits, 1);
        store_value_of(context, command, &key);
    }
}

/* ---- delete, touch ---- */

static void run_delete(struct cmd_context *context, const struct ebb_mc_command *command)
{
    struct store_key key = enter_mc_key(context, command);
    struct counters *counters = context->counters;
    bool is_hit = store_delete(context->store, &key);

    counter_add(is_hit ? &counters->mc_delete_hits : &counters->mc_delete_misses, 1);
    answer(context, command, is_hit ? "DELETED" : "NOT_FOUND");
}

static void run_touch(struct cmd_context *context, const struct ebb_mc_command *command)
{
    struct store_key key = enter_mc_key(context, command);
    bool is_hit = store_set_expire(context->store, &key, expire_ms_of(context, command->exptime));

    count_read(context->counters, true, is_hit);
    answer(context, command, is_hit ? "TOUCHED" : "NOT_FOUND");
}

/* ---- incr, decr ---- */

/* What ends a number: white space, as strtoull()'s callers in memcached have it, or a NUL, which
 * ends their string. */
static bool ends_counter(char c)
{
    return c == '\0' || isspace((unsigned char)c);
}

/* As strtoull() reads it, which memcached uses: a sign and white space in front are fine, and so is
 * anything behind the first byte that ends it. */
static bool parse_counter(const char *text, size_t len, uint64_t *number)
{
    const char *end = text + len;
    bool is_negative = false;
    uint64_t value = 0;

    while (text < end && isspace((unsigned char)*text))
        text++;
    if (text < end && (*text == '-' || *text == '+'))
        is_negative = *text++ == '-';
    const char *digits = text;
    for (; text < end && isdigit((unsigned char)*text); text++) {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
            return false;
    }
    if (text == digits || (text < end && !ends_counter(*text)))
        return false;
    *number = is_negative ? -value : value;
    return !is_negative || *number <= INT64_MAX;
}

/* A number that got shorter is filled up with spaces to the length the value had. */
static int set_counter(struct cmd_context *context, const struct store_key *key,
                       const struct store_value *old, uint64_t number)
{
    char text[EBB_NUM_TEXT_BYTES];
    size_t number_len = ebb_format_u64(text, number);
    size_t len = number_len > old->len ? number_len : old->len;
    char *bytes = len > sizeof(text) ? malloc(len) : text;

    if (bytes == NULL)
        return STORE_ENOMEM;
    memmove(bytes, text, number_len);
    memset(bytes + number_len, ' ', len - number_len);
    int rc =
        store_set(context->store, key,
                  &(struct store_value){
                      .data = bytes, .len = len, .expire_ms = STORE_KEEP_TTL, .flags = old->flags});
    if (bytes != text)
        free(bytes);
    return rc;
}

static void count_incr(struct counters *counters, enum ebb_mc_verb verb, bool is_hit)
{
    if (verb == EBB_MC_INCR)
        counter_add(is_hit ? &counters->mc_incr_hits : &counters->mc_incr_misses, 1);
    else
        counter_add(is_hit ? &counters->mc_decr_hits : &counters->mc_decr_misses, 1);
}

static void run_incr(struct cmd_context *context, const struct ebb_mc_command *command)
{
    struct store_key key = enter_mc_key(context, command);
    struct store_value old;
    uint64_t number;

    if (!store_peek(context->store, &key, &old)) {
        count_incr(context->counters, command->verb, false);
        answer(context, command, "NOT_FOUND");
        return;
    }
    if (old.len > MC_NUMBER_MAX_BYTES || !parse_counter(old.data, old.len, &number)) {
        answer_error(context, command,
                     "CLIENT_ERROR cannot increment or decrement non-numeric value");
        return;
    }
    if (command->verb == EBB_MC_INCR)
        number += command->delta; /* around at 2^64 */
    else
        number = command->delta > number ? 0 : number - command->delta;
    count_incr(context->counters, command->verb, true);
    if (set_counter(context, &key, &old, number) != STORE_OK)
        answer_error(context, command, "SERVER_ERROR out of memory");
    else if (!command->noreply)
        ebb_mc_write_number(context->reply.out, number);
}

/* ---- the server ---- */

/* A new flush_all takes the place of one that is still to come. */
static void run_flush_all(struct cmd_context *context, const struct ebb_mc_command *command)
{
    store_leave(context->store);
    if (command->has_delay && command->exptime > 0) {
        store_flush_at(context->store, expire_ms_of(context, command->exptime));
    } else {
        store_flush_at(context->store, 0);
        store_flush(context->store, MC_DATABASE);
    }
    answer(context, command, "OK");
}

static void run_version(struct cmd_context *context, const struct ebb_mc_command *command)
{
    answer(context, command, "VERSION " EBB_MEMCACHED_VERSION);
}

/* What is logged is set by option loglevel, not by clients. */
static void run_verbosity(struct cmd_context *context, const struct ebb_mc_command *command)
{
    answer(context, command, "OK");
}

static void run_quit(struct cmd_context *context, const struct ebb_mc_command *command)
{
    (void)command;
    context->client->close_after_reply = true;
}

static void run_stats(struct cmd_context *context, const struct ebb_mc_command *command)
{
    store_leave(context->store); /* the sums look at every shard */
    if (!mc_stats_print(context, &command->keys))
        answer_error(context, command, "ERROR");
}

static void (*const handlers[EBB_MC_VERB_COUNT])(struct cmd_context *context,
                                                 const struct ebb_mc_command *command) = {
    [EBB_MC_GET] = run_get,
    [EBB_MC_GETS] = run_get,
    [EBB_MC_GAT] = run_get,
    [EBB_MC_GATS] = run_get,
    [EBB_MC_SET] = run_set,
    [EBB_MC_ADD] = run_add,
    [EBB_MC_REPLACE] = run_add,
    [EBB_MC_APPEND] = run_append,
    [EBB_MC_PREPEND] = run_append,
    [EBB_MC_CAS] = run_cas,
    [EBB_MC_DELETE] = run_delete,
    [EBB_MC_INCR] = run_incr,
    [EBB_MC_DECR] = run_incr,
    [EBB_MC_TOUCH] = run_touch,
    [EBB_MC_FLUSH_ALL] = run_flush_all,
    [EBB_MC_VERSION] = run_version,
    [EBB_MC_VERBOSITY] = run_verbosity,
    [EBB_MC_STATS] = run_stats,
    [EBB_MC_QUIT] = run_quit,
};

/* The parser has thrown the value away; a `set` of it still ends the old one. */
static void run_wrong(struct cmd_context *context, const struct ebb_mc_command *command)
{
    if (command->is_too_large) {
        counter_add(&context->counters->mc_too_large, 1);
        if (command->verb == EBB_MC_SET) {
            struct store_key key = enter_mc_key(context, command);
            store_delete(context->store, &key);
        }
    }
    if (command->error[0] != '\0')
        ebb_mc_write_line(context->reply.out, command->error);
    if (command->error[0] != '\0' || command->is_too_large)
        counter_add(&context->counters->mc_errors, 1);
}

void cmd_run_mc(struct cmd_context *context, const struct ebb_mc_command *command)
{
    context->client->commands++;
    context->client->last_command_ms = context->store->now_ms;
    if (command->error != NULL) {
        run_wrong(context, command);
        return;
    }
    counter_add(&context->counters->mc_commands[command->verb], 1);
    handlers[command->verb](context, command);
}
