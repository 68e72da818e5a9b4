/* SPDX-License-Identifier: MIT */
/* mc.c: memcached's verbs, executed against database 0 of the same keyspace as RESP.
 *
 * Called by net/ for each command in order. Answers are those of memcached 1.6. Here is what
 * stores, reads and deletes in the classic way; mc_verbs.h says where the others are.
 */
#include "mc_verbs.h"

#include <string.h>

#include "../clients.h"
#include "../options.h"
#include "handler.h"
#include "mc_count.h"
#include "mc_detail.h"

#define MC_KEYS_CHUNK     64u
#define MC_RELATIVE_MAX_S (60 * 60 * 24 * 30) /* larger times are unix times */
#define MC_LONG_AGO_MS    1

void mc_answer(struct cmd_context *context, const struct ebb_mc_command *command, const char *line)
{
    if (!command->noreply)
        ebb_mc_write_line(context->reply.out, line);
}

void mc_answer_error(struct cmd_context *context, const struct ebb_mc_command *command,
                     const char *line)
{
    counter_add(&context->counters->mc_errors, 1);
    mc_answer(context, command, line);
}

const char *mc_store_error(struct cmd_context *context, int error)
{
    if (error == STORE_ETOOBIG) {
        counter_add(&context->counters->mc_too_large, 1);
        return "SERVER_ERROR object too large for cache";
    }
    counter_add(&context->counters->mc_no_memory, 1);
    return "SERVER_ERROR out of memory storing object";
}

struct store_key mc_enter_key(struct cmd_context *context, const struct ebb_mc_command *command)
{
    return enter_name(context, MC_DATABASE, command->keys.at[0]);
}

int64_t mc_expire_ms(struct cmd_context *context, int64_t exptime)
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

static void write_value(struct cmd_context *context, const struct store_key *key,
                        const struct store_value *value, const uint64_t *unique)
{
    struct ebb_slice name = {key->data, key->len}, bytes = {value->data, value->len};
    struct ebb_buf *out = context->reply.out;

    if (!reply_may_splice(context, key, value, value->len)) {
        ebb_mc_write_value(out, name, value->flags, bytes, unique);
        return;
    }
    ebb_mc_write_value_head(out, name, value->flags, value->len, unique);
    reply_splice(context, bytes);
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
    mc_count_read(context, key, is_hit ? &value : NULL, is_touch);
    mc_detail_note_read(context->service, key, is_hit);
    if (!is_hit)
        return;
    int64_t expire_ms = is_touch ? mc_expire_ms(context, command->exptime) : 0;
    bool ends_now = is_over(context, expire_ms);
    /* The time comes first: a long value that is on its way out can't take one in place. */
    if (is_touch && !ends_now && store_set_expire(context->store, key, expire_ms))
        store_peek(context->store, key, &value);
    write_value(context, key, &value, wants_cas ? &unique : NULL);
    if (ends_now)
        store_set_expire(context->store, key, expire_ms);
}

static void run_get_one(struct cmd_context *context, const struct ebb_mc_command *command)
{
    struct store_key key = mc_enter_key(context, command);

    read_mc_key(context, command, &key);
    ebb_mc_write_line(context->reply.out, "END");
}

static void run_get_many(struct cmd_context *context, const struct ebb_mc_command *command)
{
    struct store *store = context->store->store;
    struct store_key keys[MC_KEYS_CHUNK];
    uint32_t at = context->client->resume_at;

    context->client->resume_at = 0;
    while (at < command->keys.count) {
        uint32_t left = command->keys.count - at;
        uint32_t count = left < MC_KEYS_CHUNK ? left : MC_KEYS_CHUNK;
        for (uint32_t i = 0; i < count; i++) {
            struct ebb_slice name = command->keys.at[at + i];
            keys[i] = store_key(store, MC_DATABASE, name.data, name.len);
        }
        store_enter_keys(context->store, keys, count);
        for (uint32_t i = 0; i < count; i++)
            read_mc_key(context, command, &keys[i]);
        at += count;
        if (at < command->keys.count && reply_stops(context, at))
            return;
    }
    ebb_mc_write_line(context->reply.out, "END");
}

static void run_get(struct cmd_context *context, const struct ebb_mc_command *command)
{
    if (command->keys.count == 1)
        run_get_one(context, command);
    else
        run_get_many(context, command);
}

/* ---- set, add, replace, append, prepend, cas ---- */

/* A `set` that fails takes the old value with it, so that nobody reads what was to be replaced. */
static void answer_store_error(struct cmd_context *context, const struct ebb_mc_command *command,
                               const struct store_key *key, int error)
{
    if (command->verb == EBB_MC_SET)
        store_delete(context->store, key);
    mc_answer_error(context, command, mc_store_error(context, error));
}

static void store_value_of(struct cmd_context *context, const struct ebb_mc_command *command,
                           const struct store_key *key)
{
    struct store_value value = {.data = command->value.data,
                                .len = command->value.len,
                                .expire_ms = mc_expire_ms(context, command->exptime),
                                .flags = command->flags};
    int rc = store_set(context->store, key, &value);

    if (rc != STORE_OK) {
        answer_store_error(context, command, key, rc);
        return;
    }
    mc_count_stored(context);
    mc_answer(context, command, "STORED");
}

static void run_set(struct cmd_context *context, const struct ebb_mc_command *command)
{
    struct store_key key = mc_enter_key(context, command);
    store_value_of(context, command, &key);
}

/* add wants no such key, replace wants one. */
static void run_add(struct cmd_context *context, const struct ebb_mc_command *command)
{
    struct store_key key = mc_enter_key(context, command);
    struct store_value old;

    if (store_peek(context->store, &key, &old) == (command->verb == EBB_MC_REPLACE))
        store_value_of(context, command, &key);
    else
        mc_answer(context, command, "NOT_STORED");
}

int mc_join(struct cmd_context *context, const struct store_key *key, const struct store_value *old,
            struct ebb_slice more, bool is_append)
{
    size_t max = (size_t)options_number(&context->service->options->proto_max_bulk_len);

    if (old->len > max || more.len > max - old->len)
        return STORE_ETOOBIG;
    return is_append ? store_join(context->store, key, old->data, old->len, more.data, more.len)
                     : store_join(context->store, key, more.data, more.len, old->data, old->len);
}

static void run_append(struct cmd_context *context, const struct ebb_mc_command *command)
{
    struct store_key key = mc_enter_key(context, command);
    struct store_value old;
    int rc = STORE_ENOKEY;

    if (store_peek(context->store, &key, &old))
        rc = mc_join(context, &key, &old, command->value, command->verb == EBB_MC_APPEND);
    if (rc == STORE_OK)
        mc_count_stored(context);
    /* memcached says no more than this when the whole is too large or there is no memory. */
    mc_answer(context, command, rc == STORE_OK ? "STORED" : "NOT_STORED");
}

static void run_cas(struct cmd_context *context, const struct ebb_mc_command *command)
{
    struct store_key key = mc_enter_key(context, command);
    struct store_value old;

    if (!store_peek(context->store, &key, &old)) {
        mc_count_cas(context, &key, NULL, false);
        mc_answer(context, command, "NOT_FOUND");
    } else if (!store_cas_matches(context->store, &key, command->cas)) {
        mc_count_cas(context, &key, &old, false);
        mc_answer(context, command, "EXISTS");
    } else {
        mc_count_cas(context, &key, &old, true);
        store_value_of(context, command, &key);
    }
}

/* ---- delete, touch ---- */

static void run_delete(struct cmd_context *context, const struct ebb_mc_command *command)
{
    struct store_key key = mc_enter_key(context, command);
    bool is_hit = store_delete(context->store, &key);

    mc_count_delete(context, is_hit ? context->store->item_bytes : 0);
    mc_answer(context, command, is_hit ? "DELETED" : "NOT_FOUND");
}

static void run_touch(struct cmd_context *context, const struct ebb_mc_command *command)
{
    struct store_key key = mc_enter_key(context, command);
    struct store_value value;
    bool is_hit = store_get(context->store, &key, &value) && /* a use of the key */
                  store_set_expire(context->store, &key, mc_expire_ms(context, command->exptime));

    mc_count_read(context, &key, is_hit ? &value : NULL, true);
    mc_answer(context, command, is_hit ? "TOUCHED" : "NOT_FOUND");
}

/* ---- the server ---- */

/* A new flush_all takes the place of one that is still to come. */
static void run_flush_all(struct cmd_context *context, const struct ebb_mc_command *command)
{
    store_leave(context->store);
    if (command->has_delay && command->exptime > 0) {
        store_flush_at(context->store, mc_expire_ms(context, command->exptime));
    } else {
        store_flush_at(context->store, 0);
        store_flush(context->store, MC_DATABASE);
    }
    mc_answer(context, command, "OK");
}

static void run_version(struct cmd_context *context, const struct ebb_mc_command *command)
{
    mc_answer(context, command, "VERSION " EBB_MEMCACHED_VERSION);
}

/* What is logged is set by option loglevel, not by clients. */
static void run_verbosity(struct cmd_context *context, const struct ebb_mc_command *command)
{
    mc_answer(context, command, "OK");
}

static void run_quit(struct cmd_context *context, const struct ebb_mc_command *command)
{
    (void)command;
    context->client->close_after_reply = true;
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
    [EBB_MC_INCR] = mc_run_number,
    [EBB_MC_DECR] = mc_run_number,
    [EBB_MC_TOUCH] = run_touch,
    [EBB_MC_MG] = mc_run_get,
    [EBB_MC_MS] = mc_run_set,
    [EBB_MC_MD] = mc_run_delete,
    [EBB_MC_MA] = mc_run_arithmetic,
    [EBB_MC_MN] = mc_run_noop,
    [EBB_MC_ME] = mc_run_debug,
    [EBB_MC_FLUSH_ALL] = run_flush_all,
    [EBB_MC_VERSION] = run_version,
    [EBB_MC_VERBOSITY] = run_verbosity,
    [EBB_MC_STATS] = mc_run_stats,
    [EBB_MC_QUIT] = run_quit,
    [EBB_MC_CACHE_MEMLIMIT] = mc_run_memlimit,
    [EBB_MC_LRU] = mc_run_lru,
    [EBB_MC_LRU_CRAWLER] = mc_run_crawler,
    [EBB_MC_SLABS] = mc_run_slabs,
    [EBB_MC_SHUTDOWN] = mc_run_shutdown,
    [EBB_MC_WATCH] = mc_run_watch,
};

/* The parser has thrown the value away; a `set` or `ms` of it still ends the old one. */
static void run_wrong(struct cmd_context *context, const struct ebb_mc_command *command)
{
    if (command->is_too_large) {
        counter_add(&context->counters->mc_too_large, 1);
        if (command->verb == EBB_MC_SET || command->verb == EBB_MC_MS) {
            struct store_key key = mc_enter_key(context, command);
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
    context->client->commands += context->client->resume_at == 0;
    client_note(context->client->last_command_ms, context->store->now_ms);
    if (command->error != NULL) {
        run_wrong(context, command);
        return;
    }
    if (context->client->resume_at == 0)
        counter_add(&context->counters->mc_commands[command->verb], 1);
    mc_detail_note_write(context->service, command);
    handlers[command->verb](context, command);
}
