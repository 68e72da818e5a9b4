/* SPDX-License-Identifier: MIT */
/* cmd_key.c: keys whatever their values: DEL, EXISTS, TYPE, RENAME, OBJECT.
 *
 * Handlers of commands.def; called by dispatch.c.
 */
#include "handler.h"

#include <string.h>

#include "../options.h"

/* DEL and UNLINK: freeing is bounded per step anyway, so there is nothing to leave to a thread. */
void cmd_del(struct cmd_context *context)
{
    struct store_key keys[KEYS_CHUNK];
    int64_t deleted = 0;
    uint32_t count;

    for (uint32_t at = 1; at < context->count; at += count) {
        count = enter_keys(context, at, 1, KEYS_ATOMIC, keys);
        for (uint32_t i = 0; i < count; i++)
            deleted += store_delete(context->store, &keys[i]);
    }
    ebb_reply_int(&context->reply, deleted);
}

typedef bool (*see_key)(struct store_session *store, const struct store_key *key,
                        struct store_value *value);

/* As with MGET, more than KEYS_CHUNK keys are not looked at in one moment. */
static void count_keys(struct cmd_context *context, see_key see)
{
    struct store_key keys[KEYS_CHUNK];
    struct store_value value;
    int64_t found = 0;
    uint32_t count;

    for (uint32_t at = 1; at < context->count; at += count) {
        count = enter_keys(context, at, 1, KEYS_CHUNKED, keys);
        for (uint32_t i = 0; i < count; i++)
            found += see(context->store, &keys[i], &value);
    }
    ebb_reply_int(&context->reply, found);
}

void cmd_exists(struct cmd_context *context)
{
    count_keys(context, store_look);
}

/* A use of the keys even after CLIENT NO-TOUCH, as it is all that is asked for. */
void cmd_touch(struct cmd_context *context)
{
    count_keys(context, store_get);
}

void cmd_type(struct cmd_context *context)
{
    struct store_key key = enter_key(context, 1);
    struct store_value value;

    ebb_reply_simple(&context->reply, store_look(context->store, &key, &value) ? "string" : "none");
}

/* ---- renaming ---- */

static bool is_same_key(const struct store_key *a, const struct store_key *b)
{
    return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

static void rename_key(struct cmd_context *context, bool only_if_free)
{
    struct store_key keys[KEYS_CHUNK];
    struct store_value value, other;

    enter_keys(context, 1, 1, KEYS_ATOMIC, keys);
    if (!store_peek(context->store, &keys[0], &value)) {
        ebb_reply_error(&context->reply, "ERR no such key");
        return;
    }
    bool is_same = is_same_key(&keys[0], &keys[1]);
    if (only_if_free && (is_same || store_peek(context->store, &keys[1], &other))) {
        ebb_reply_int(&context->reply, 0);
        return;
    }
    if (!is_same) {
        int rc = store_set(context->store, &keys[1], &value);
        if (rc != STORE_OK) {
            reply_store_error(context, rc);
            return;
        }
        store_delete(context->store, &keys[0]);
    }
    if (only_if_free)
        ebb_reply_int(&context->reply, 1);
    else
        reply_ok(context);
}

void cmd_rename(struct cmd_context *context)
{
    rename_key(context, false);
}

void cmd_renamenx(struct cmd_context *context)
{
    rename_key(context, true);
}

/* ---- OBJECT ---- */

/* Redis's longest string in one block with its object. */
#define EMBSTR_MAX_BYTES 44u

/* What Redis would keep a fresh value of these bytes as. */
static const char *encoding_of(const struct store_value *value)
{
    int64_t number;

    if (value->len <= 20 && ebb_parse_i64(value->data, value->len, &number))
        return "int";
    return value->len <= EMBSTR_MAX_BYTES ? "embstr" : "raw";
}

/* Looks at the key, or answers null. */
static bool object_read(struct cmd_context *context, const struct store_key *key,
                        struct store_value *value)
{
    if (store_look(context->store, key, value))
        return true;
    ebb_reply_null(&context->reply);
    return false;
}

void cmd_object_encoding(struct cmd_context *context)
{
    struct store_key key = enter_key(context, 2);
    struct store_value value;

    if (object_read(context, &key, &value))
        ebb_reply_text(&context->reply, encoding_of(&value));
}

void cmd_object_refcount(struct cmd_context *context)
{
    struct store_key key = enter_key(context, 2);
    struct store_value value;

    if (object_read(context, &key, &value))
        ebb_reply_int(&context->reply, 1);
}

#define ERROR_ADJUST                                                                               \
    " Please note that when switching between policies at runtime LRU and LFU data will take "     \
    "some time to adjust."

static bool counts_uses(const struct cmd_context *context)
{
    int64_t policy = options_number(&context->service->options->maxmemory_policy);

    return policy == POLICY_ALLKEYS_LFU || policy == POLICY_VOLATILE_LFU;
}

void cmd_object_idletime(struct cmd_context *context)
{
    struct store_key key = enter_key(context, 2);
    struct store_value value;
    uint32_t seconds = 0;

    if (!object_read(context, &key, &value))
        return;
    if (counts_uses(context)) {
        ebb_reply_error(&context->reply, "ERR An LFU maxmemory policy is selected, idle time not "
                                         "tracked." ERROR_ADJUST);
        return;
    }
    store_idle(context->store, &key, &seconds);
    ebb_reply_int(&context->reply, seconds);
}

void cmd_object_freq(struct cmd_context *context)
{
    struct store_key key = enter_key(context, 2);
    struct store_value value;
    unsigned frequency = 0;

    if (!object_read(context, &key, &value))
        return;
    if (!counts_uses(context)) {
        ebb_reply_error(&context->reply, "ERR An LFU maxmemory policy is not selected, access "
                                         "frequency not tracked." ERROR_ADJUST);
        return;
    }
    store_frequency(context->store, &key, &frequency);
    ebb_reply_int(&context->reply, frequency);
}

void cmd_object_help(struct cmd_context *context)
{
    static const char *const lines[] = {
        "ENCODING <key>",
        "    Return the kind of internal representation used in order to store the value",
        "    associated with a <key>.",
        "FREQ <key>",
        "    Return the access frequency index of the <key>. The returned integer is",
        "    proportional to the logarithm of the recent access frequency of the key.",
        "IDLETIME <key>",
        "    Return the idle time of the <key>, that is the approximated number of",
        "    seconds elapsed since the last access to the key.",
        "REFCOUNT <key>",
        "    Return the number of references of the value associated with the specified",
        "    <key>.",
    };
    reply_help(context, "OBJECT", lines, sizeof(lines) / sizeof(lines[0]));
}
