/* SPDX-License-Identifier: MIT */
/* cmd_script.c: EVAL, EVALSHA, SCRIPT and FUNCTION, for those scripts that scripts.def knows. Any
 * other is refused by an error that says so.
 *
 * Handlers of commands.def; called by dispatch.c. A script is of one moment as it is in Redis: the
 * shards of all its keys are entered before it begins.
 */
#include "handler.h"

#include <string.h>

#include "script.h"

/* Script's keys and arguments among those of the command. */
struct call {
    struct cmd_context *context;
    uint32_t key_count;
    struct store_key key;         /* the first one, entered */
    const struct ebb_slice *argv; /* behind the keys */
    uint32_t argc;
};

/* ---- what scripts do ---- */

static bool equals(struct ebb_slice arg, const struct store_value *value)
{
    return arg.len == value->len && memcmp(arg.data, value->data, arg.len) == 0;
}

/* Reads the key; whether it holds the first argument, which is how a lock knows its owner. */
static bool is_owner(struct call *call, const struct store_key *key, struct store_value *value)
{
    return read_key(call->context, key, value) && equals(call->argv[0], value);
}

/* An argument that has to be a whole number. */
static bool number_arg(struct call *call, uint32_t index, int64_t *number)
{
    return arg_int(call->context, (uint32_t)(call->argv - call->context->args) + index, number);
}

/* As EXPIRE and PEXPIRE do. Answers the error and returns false when the time is out of range. */
static bool expire_in(struct call *call, const struct store_key *key, int64_t time, int64_t unit_ms)
{
    struct cmd_context *context = call->context;
    int64_t now_ms = context->store->now_ms;

    if (__builtin_mul_overflow(time, unit_ms, &time) ||
        __builtin_add_overflow(time, now_ms, &time)) {
        ebb_reply_errorf(&context->reply, "ERR invalid expire time in '%s' command",
                         unit_ms == 1 ? "pexpire" : "expire");
        return false;
    }
    if (time <= now_ms) {
        store_delete(context->store, key);
        return true;
    }
    if (store_set_expire(context->store, key, time))
        return true;
    reply_store_error(context, STORE_ENOMEM);
    return false;
}

/* As SET with PX, or SETEX, do. */
static bool set_for(struct call *call, const struct store_key *key, int64_t time, int64_t unit_ms)
{
    struct cmd_context *context = call->context;
    struct store_value value = {.data = call->argv[0].data, .len = call->argv[0].len};

    if (time <= 0 || __builtin_mul_overflow(time, unit_ms, &time) ||
        __builtin_add_overflow(time, context->store->now_ms, &value.expire_ms)) {
        ebb_reply_errorf(&context->reply, "ERR invalid expire time in '%s' command",
                         unit_ms == 1 ? "set" : "setex");
        return false;
    }
    int rc = store_set(context->store, key, &value);
    if (rc != STORE_OK)
        reply_store_error(context, rc);
    return rc == STORE_OK;
}

static void reply_int(struct call *call, int64_t number)
{
    ebb_reply_int(&call->context->reply, number);
}

/* Lua's true and false. */
static void reply_truth(struct call *call, bool is_true)
{
    if (is_true)
        reply_int(call, 1);
    else
        ebb_reply_null(&call->context->reply);
}

static void script_delete_if_equal(struct call *call)
{
    struct store_value value;
    bool is_mine = is_owner(call, &call->key, &value);

    if (is_mine)
        store_delete(call->context->store, &call->key);
    reply_int(call, is_mine);
}

static void expire_if_equal(struct call *call, int64_t unit_ms)
{
    struct store_value value;
    int64_t time;

    if (!is_owner(call, &call->key, &value))
        reply_int(call, 0);
    else if (number_arg(call, 1, &time) && expire_in(call, &call->key, time, unit_ms))
        reply_int(call, 1);
}

static void script_pexpire_if_equal(struct call *call)
{
    expire_if_equal(call, 1);
}

static void script_expire_if_equal(struct call *call)
{
    expire_if_equal(call, 1000);
}

static int64_t time_left(struct call *call, const struct store_value *value)
{
    return value->expire_ms == 0 ? -1 : value->expire_ms - call->context->store->now_ms;
}

static void script_pttl_if_equal(struct call *call)
{
    struct store_value value;

    reply_int(call, is_owner(call, &call->key, &value) ? time_left(call, &value) : -3);
}

/* The third argument "0" adds to what is left of the time, else it is replaced. */
static void script_extend_if_equal(struct call *call)
{
    struct store_value value;
    int64_t time;

    if (!is_owner(call, &call->key, &value) || value.expire_ms == 0) {
        reply_int(call, 0);
        return;
    }
    if (!number_arg(call, 1, &time))
        return;
    if (arg_is(call->argv[2], "0") && __builtin_add_overflow(time, time_left(call, &value), &time))
        time = INT64_MAX;
    if (expire_in(call, &call->key, time, 1))
        reply_int(call, 1);
}

/* No seconds: without an end. */
static void script_refresh_if_equal(struct call *call)
{
    struct store_value value;
    int64_t time;

    if (!is_owner(call, &call->key, &value)) {
        reply_int(call, 0);
        return;
    }
    if (!number_arg(call, 1, &time))
        return;
    if (time <= 0 && value.expire_ms != 0 &&
        !store_set_expire(call->context->store, &call->key, 0)) {
        reply_store_error(call->context, STORE_ENOMEM);
        return;
    }
    if (time > 0 && !expire_in(call, &call->key, time, 1000))
        return;
    reply_int(call, 1);
}

static void script_add(struct call *call)
{
    struct store_value old;
    int64_t time;

    if (read_key(call->context, &call->key, &old))
        reply_truth(call, false);
    else if (number_arg(call, 1, &time) && set_for(call, &call->key, time, 1000))
        reply_ok(call->context);
}

static void script_incr(struct call *call)
{
    struct cmd_context incr = *call->context;
    struct ebb_slice args[3] = {{"incrby", 6}, incr.args[3], call->argv[0]};

    incr.args = args;
    incr.count = 3;
    cmd_incrby(&incr);
}

static void script_incr_if_there(struct call *call)
{
    struct store_value old;

    if (read_key(call->context, &call->key, &old))
        script_incr(call);
    else
        reply_truth(call, false);
}

static void script_obtain(struct call *call)
{
    struct store_value old;
    int64_t time;
    bool is_there = read_key(call->context, &call->key, &old);

    if (is_there && !equals(call->argv[0], &old))
        reply_truth(call, false);
    else if (number_arg(call, 1, &time) &&
             (is_there ? expire_in(call, &call->key, time, 1) : set_for(call, &call->key, time, 1)))
        reply_truth(call, true);
}

static void script_renew(struct call *call)
{
    struct store_value value;
    int64_t time;

    if (!is_owner(call, &call->key, &value))
        reply_truth(call, false);
    else if (number_arg(call, 1, &time) && expire_in(call, &call->key, time, 1))
        reply_truth(call, true);
}

/* The third argument "yes" takes a lock that is free, else only one's own is taken again. */
static void script_lock(struct call *call)
{
    struct ebb_slice word = call->argv[2];
    struct store_value old;
    int64_t time;
    bool is_there = read_key(call->context, &call->key, &old);
    bool may_take =
        is_there ? equals(call->argv[0], &old) : word.len == 3 && memcmp(word.data, "yes", 3) == 0;

    if (!may_take)
        reply_truth(call, false);
    else if (number_arg(call, 1, &time) && set_for(call, &call->key, time, 1))
        reply_ok(call->context);
}

static void script_get_and_pttl(struct call *call)
{
    struct ebb_reply *reply = &call->context->reply;
    struct store_value value;
    bool is_there = read_key(call->context, &call->key, &value);

    ebb_reply_array(reply, 2);
    if (is_there)
        reply_value(call->context, &call->key, &value);
    else
        ebb_reply_null(reply);
    reply_int(call, is_there ? time_left(call, &value) : -2);
}

/* ---- over several keys ---- */

static struct store_key key_at(struct call *call, uint32_t index)
{
    return enter_key(call->context, 3 + index);
}

/* Gives every key the value for so long, and answers their number. */
static void set_all(struct call *call)
{
    int64_t time;

    if (!number_arg(call, 1, &time))
        return;
    for (uint32_t i = 0; i < call->key_count; i++) {
        struct store_key key = key_at(call, i);
        if (!set_for(call, &key, time, 1))
            return;
    }
    reply_int(call, call->key_count);
}

static void script_acquire_all(struct call *call)
{
    struct store_value old;

    for (uint32_t i = 0; i < call->key_count; i++) {
        struct store_key key = key_at(call, i);
        if (read_key(call->context, &key, &old)) {
            reply_int(call, 0);
            return;
        }
    }
    set_all(call);
}

static void script_extend_all(struct call *call)
{
    struct store_value value;

    for (uint32_t i = 0; i < call->key_count; i++) {
        struct store_key key = key_at(call, i);
        if (!is_owner(call, &key, &value)) {
            reply_int(call, 0);
            return;
        }
    }
    set_all(call);
}

static void script_release_all(struct call *call)
{
    struct store_value value;
    int64_t count = 0;

    for (uint32_t i = 0; i < call->key_count; i++) {
        struct store_key key = key_at(call, i);
        if (is_owner(call, &key, &value)) {
            store_delete(call->context->store, &key);
            count++;
        }
    }
    reply_int(call, count);
}

/* ---- EVAL ---- */

static const struct {
    uint32_t keys, args;
    void (*run)(struct call *call);
} scripts[SCRIPT_COUNT] = {
#define SCRIPT(id, keys, args, function) [SCRIPT_##id] = {keys, args, function},
#include "scripts.def"
#undef SCRIPT
};

static bool parse_key_count(struct cmd_context *context, uint32_t *count)
{
    int64_t number;

    if (!arg_int(context, 2, &number))
        return false;
    bool fits = number >= 0 && number <= (int64_t)context->count - 3;
    if (number < 0)
        ebb_reply_error(&context->reply, "ERR Number of keys can't be negative");
    else if (!fits)
        ebb_reply_error(&context->reply, "ERR Number of keys can't be greater than number of args");
    *count = (uint32_t)number;
    return fits;
}

static void run_script(struct cmd_context *context, enum script_id id, uint32_t key_count)
{
    struct call call = {.context = context,
                        .key_count = key_count,
                        .argv = context->args + 3 + key_count,
                        .argc = context->count - 3 - key_count};

    if (call.key_count < scripts[id].keys || call.argc < scripts[id].args) {
        ebb_reply_error(&context->reply,
                        "ERR Lua redis lib command arguments must be strings or integers");
        return;
    }
    if (key_count > 1)
        store_enter_all(context->store);
    if (key_count > 0)
        call.key = key_at(&call, 0);
    scripts[id].run(&call);
}

#define ERROR_NO_SCRIPT "NOSCRIPT No matching script. Please use EVAL."
#define ERROR_SCRIPT                                                                               \
    "ERR This server runs no Lua, only the published scripts of lock and cache libraries, and "    \
    "%.40s is none of them"

void cmd_eval(struct cmd_context *context)
{
    struct ebb_slice text = context->args[1];
    char sha1[SHA1_TEXT_BYTES];
    uint32_t key_count;

    if (!parse_key_count(context, &key_count))
        return;
    enum script_id id = script_load(context->service->scripts, text.data, text.len, sha1);
    if (id == SCRIPT_COUNT)
        ebb_reply_errorf(&context->reply, ERROR_SCRIPT, sha1);
    else
        run_script(context, id, key_count);
}

void cmd_evalsha(struct cmd_context *context)
{
    struct ebb_slice sha1 = context->args[1];
    uint32_t key_count;

    /* What cannot be the name of a script is told first, as Redis does. */
    if (sha1.len != SHA1_TEXT_BYTES) {
        ebb_reply_error(&context->reply, ERROR_NO_SCRIPT);
        return;
    }
    if (!parse_key_count(context, &key_count))
        return;
    enum script_id id = script_find(context->service->scripts, sha1.data, sha1.len);
    if (id == SCRIPT_COUNT)
        ebb_reply_error(&context->reply, ERROR_NO_SCRIPT);
    else
        run_script(context, id, key_count);
}

/* ---- SCRIPT and FUNCTION ---- */

void cmd_script_load(struct cmd_context *context)
{
    struct ebb_slice text = context->args[2];
    char sha1[SHA1_TEXT_BYTES];

    if (script_load(context->service->scripts, text.data, text.len, sha1) == SCRIPT_COUNT)
        ebb_reply_errorf(&context->reply, ERROR_SCRIPT, sha1);
    else
        ebb_reply_bulk(&context->reply, sha1, SHA1_TEXT_BYTES);
}

void cmd_script_exists(struct cmd_context *context)
{
    ebb_reply_array(&context->reply, context->count - 2);
    for (uint32_t i = 2; i < context->count; i++) {
        struct ebb_slice sha1 = context->args[i];
        enum script_id id = script_find(context->service->scripts, sha1.data, sha1.len);
        ebb_reply_int(&context->reply, id != SCRIPT_COUNT);
    }
}

static bool is_flush_word(struct ebb_slice word)
{
    return arg_is(word, "async") || arg_is(word, "sync");
}

void cmd_script_flush(struct cmd_context *context)
{
    if (context->count > 3 || (context->count == 3 && !is_flush_word(context->args[2]))) {
        ebb_reply_error(&context->reply, "ERR SCRIPT FLUSH only support SYNC|ASYNC option");
        return;
    }
    script_cache_clear(context->service->scripts);
    reply_ok(context);
}

void cmd_script_kill(struct cmd_context *context)
{
    ebb_reply_error(&context->reply, "NOTBUSY No scripts in execution right now.");
}

void cmd_script_help(struct cmd_context *context)
{
    static const char *const lines[] = {
        "EXISTS <sha1> [<sha1> ...]",
        "    Answers for each SHA-1 whether EVALSHA would run its script.",
        "FLUSH [ASYNC|SYNC]",
        "    Forgets the spellings of scripts that were loaded.",
        "KILL",
        "    Refused: no script runs long enough.",
        "LOAD <script>",
        "    Answers the script's SHA-1 if it is one of the published ones known here.",
    };
    reply_help(context, "SCRIPT", lines, sizeof(lines) / sizeof(lines[0]));
}

/* There are no functions to delete. */
void cmd_function_flush(struct cmd_context *context)
{
    if (context->count > 3)
        reply_wrong_subcommand(context, "FUNCTION");
    else if (context->count == 3 && !is_flush_word(context->args[2]))
        ebb_reply_error(&context->reply, "ERR FUNCTION FLUSH only supports SYNC|ASYNC option");
    else
        reply_ok(context);
}
