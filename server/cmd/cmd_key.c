/* SPDX-License-Identifier: MIT */
/* cmd_key.c: keys whatever their values: DEL, EXISTS, TYPE, RENAME, OBJECT.
 *
 * Handlers of commands.def; called by dispatch.c.
 */
#include "handler.h"

#include <string.h>

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

/* EXISTS and TOUCH. As with MGET, more than KEYS_CHUNK keys are not looked at in one moment. */
void cmd_exists(struct cmd_context *context)
{
    struct store_key keys[KEYS_CHUNK];
    struct store_value value;
    int64_t found = 0;
    uint32_t count;

    for (uint32_t at = 1; at < context->count; at += count) {
        count = enter_keys(context, at, 1, KEYS_CHUNKED, keys);
        for (uint32_t i = 0; i < count; i++)
            found += read_key(context, &keys[i], &value);
    }
    ebb_reply_int(&context->reply, found);
}

void cmd_type(struct cmd_context *context)
{
    struct store_key key = enter_key(context, 1);
    struct store_value value;

    ebb_reply_simple(&context->reply, read_key(context, &key, &value) ? "string" : "none");
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

/* Reads the key in args[2], or answers null. */
static bool object_read(struct cmd_context *context, struct store_value *value)
{
    struct store_key key = enter_key(context, 2);

    if (read_key(context, &key, value))
        return true;
    ebb_reply_null(&context->reply);
    return false;
}

void cmd_object_encoding(struct cmd_context *context)
{
    struct store_value value;

    if (object_read(context, &value))
        ebb_reply_text(&context->reply, encoding_of(&value));
}

void cmd_object_refcount(struct cmd_context *context)
{
    struct store_value value;

    if (object_read(context, &value))
        ebb_reply_int(&context->reply, 1);
}

void cmd_object_idletime(struct cmd_context *context)
{
    struct store_value value;

    if (object_read(context, &value))
        ebb_reply_error(&context->reply, "ERR The time of the last access is not tracked.");
}

void cmd_object_freq(struct cmd_context *context)
{
    struct store_value value;

    if (object_read(context, &value))
        ebb_reply_error(&context->reply,
                        "ERR An LFU maxmemory policy is not selected, access frequency not "
                        "tracked. Please note that when switching between policies at runtime LRU "
                        "and LFU data will take some time to adjust.");
}

void cmd_object_help(struct cmd_context *context)
{
    static const char *const lines[] = {
        "ENCODING <key>",
        "    Answers the encoding that Redis would choose for the value of <key>.",
        "FREQ <key>",
        "    Refused: Redis's counter of accesses is not kept.",
        "IDLETIME <key>",
        "    Refused: the time of the last access is not kept.",
        "REFCOUNT <key>",
        "    Answers how many keys share the value of <key>: one.",
    };
    reply_help(context, "OBJECT", lines, sizeof(lines) / sizeof(lines[0]));
}
