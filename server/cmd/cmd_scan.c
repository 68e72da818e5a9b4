/* SPDX-License-Identifier: MIT */
/* cmd_scan.c: walks over a whole database: KEYS, SCAN, RANDOMKEY, DBSIZE.
 *
 * Handlers of commands.def; called by dispatch.c. Nothing stays entered between the parts of a
 * walk, so that the other workers get their turn.
 */
#include "handler.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "glob.h"

/* ---- arrays whose length is known only at their end ---- */

#define MATCH_LOCKED_MAX (1u << 20) /* pattern x key bytes that are matched with a shard locked */

struct key_list {
    struct ebb_reply *reply;
    const char *pattern; /* NULL: every key */
    size_t pattern_len;
    size_t count, visited;
    struct ebb_buf unmatched; /* until no shard is locked: keys, each behind its length */
};

static void add_match(struct key_list *list, const char *key, size_t key_len)
{
    if (list->pattern != NULL &&
        !glob_matches(list->pattern, list->pattern_len, key, key_len, false))
        return;
    ebb_reply_bulk(list->reply, key, key_len);
    list->count++;
}

/* Matching takes time in proportion to both lengths: what may take long waits for match_rest(). */
static void key_list_add(void *context, const char *key, size_t key_len,
                         const struct store_value *value)
{
    struct key_list *list = context;

    (void)value;
    list->visited++;
    if ((uint64_t)list->pattern_len * key_len <= MATCH_LOCKED_MAX) {
        add_match(list, key, key_len);
        return;
    }
    ebb_buf_add(&list->unmatched, &key_len, sizeof(key_len));
    ebb_buf_add(&list->unmatched, key, key_len);
}

static void match_rest(struct key_list *list)
{
    struct ebb_buf *keys = &list->unmatched;
    const char *at = ebb_buf_data(keys);
    size_t key_len;

    list->reply->out->failed |= keys->failed; /* the reply is lost, and so is the client */
    for (size_t left = keys->failed ? 0 : ebb_buf_len(keys); left > 0;
         left -= sizeof(key_len) + key_len) {
        memcpy(&key_len, at, sizeof(key_len));
        add_match(list, at + sizeof(key_len), key_len);
        at += sizeof(key_len) + key_len;
    }
    ebb_buf_clear(keys);
}

#define HEAD_MAX_BYTES 128

/* The last bytes of the reply, from `head_at` on, belong in front of what was written from `at` on:
 * they say how much that is. */
static void move_to_front(struct ebb_buf *out, size_t at, size_t head_at)
{
    size_t head_len = ebb_buf_len(out) - head_at;
    char *start = ebb_buf_data(out) + at;
    char head[HEAD_MAX_BYTES];

    if (out->failed || head_len > sizeof(head))
        return; /* the reply is lost, and so is the client */
    memcpy(head, start + (head_at - at), head_len);
    memmove(start + head_len, start, head_at - at);
    memcpy(start, head, head_len);
}

static void key_list_init(struct key_list *list, struct cmd_context *context,
                          struct ebb_slice pattern)
{
    *list = (struct key_list){.reply = &context->reply};
    if (!glob_is_all(pattern.data, pattern.len)) {
        list->pattern = pattern.data;
        list->pattern_len = pattern.len;
    }
    ebb_buf_init(&list->unmatched, context->reply.out->max_bytes);
}

void cmd_keys(struct cmd_context *context)
{
    struct key_list list;
    struct ebb_buf *out = context->reply.out;
    size_t at = ebb_buf_len(out);

    key_list_init(&list, context, context->args[1]);
    store_leave(context->store);
    store_each(context->store, (unsigned)context->client->database, key_list_add, &list);
    match_rest(&list);
    ebb_buf_release(&list.unmatched);

    size_t head_at = ebb_buf_len(out);
    ebb_reply_array(&context->reply, list.count);
    move_to_front(out, at, head_at);
}

/* ---- SCAN ---- */

#define SCAN_STEP_KEYS 1024u /* between two chances for the other workers */

struct scan_options {
    uint64_t cursor;
    int64_t count;
    struct ebb_slice pattern;
    bool wants_strings; /* false: TYPE of something that is not there */
};

/* As strtoul() reads it, which Redis uses: signs are allowed, and nothing at all is 0. */
static bool parse_cursor(struct ebb_slice arg, uint64_t *cursor)
{
    char text[64];
    char *end;

    if (arg.len >= sizeof(text))
        return false;
    memcpy(text, arg.data, arg.len);
    text[arg.len] = '\0';
    errno = 0;
    *cursor = strtoull(text, &end, 10);
    return !isspace((unsigned char)text[0]) && *end == '\0' && errno != ERANGE;
}

static bool parse_scan_count(struct cmd_context *context, uint32_t index, int64_t *count)
{
    if (!arg_int(context, index, count))
        return false;
    if (*count < 1) {
        ebb_reply_error(&context->reply, ERROR_SYNTAX);
        return false;
    }
    return true;
}

static bool parse_scan(struct cmd_context *context, struct scan_options *options)
{
    *options = (struct scan_options){.count = 10, .pattern = {"*", 1}, .wants_strings = true};
    if (!parse_cursor(context->args[1], &options->cursor)) {
        ebb_reply_error(&context->reply, "ERR invalid cursor");
        return false;
    }
    for (uint32_t i = 2; i < context->count; i += 2) {
        struct ebb_slice word = context->args[i];
        bool has_value = i + 1 < context->count;
        if (has_value && arg_is(word, "count")) {
            if (!parse_scan_count(context, i + 1, &options->count))
                return false;
        } else if (has_value && arg_is(word, "match")) {
            options->pattern = context->args[i + 1];
        } else if (has_value && arg_is(word, "type")) {
            options->wants_strings = arg_is(context->args[i + 1], "string");
        } else {
            ebb_reply_error(&context->reply, ERROR_SYNTAX);
            return false;
        }
    }
    return true;
}

static void skip_key(void *context, const char *key, size_t key_len,
                     const struct store_value *value)
{
    struct key_list *list = context;

    (void)key, (void)key_len, (void)value;
    list->visited++;
}

void cmd_scan(struct cmd_context *context)
{
    struct ebb_buf *out = context->reply.out;
    size_t at = ebb_buf_len(out);
    struct scan_options options;
    struct key_list list;
    char cursor[EBB_NUM_TEXT_BYTES];

    if (!parse_scan(context, &options))
        return;
    key_list_init(&list, context, options.pattern);
    store_visit visit = options.wants_strings ? key_list_add : skip_key;
    size_t wanted = (size_t)options.count;
    do {
        size_t left = wanted - list.visited;
        store_leave(context->store);
        options.cursor =
            store_scan(context->store, (unsigned)context->client->database, options.cursor,
                       left < SCAN_STEP_KEYS ? left : SCAN_STEP_KEYS, visit, &list);
        match_rest(&list);
    } while (options.cursor != 0 && list.visited < wanted);
    store_leave(context->store);
    ebb_buf_release(&list.unmatched);

    size_t head_at = ebb_buf_len(out);
    ebb_reply_array(&context->reply, 2);
    ebb_reply_bulk(&context->reply, cursor, ebb_format_u64(cursor, options.cursor));
    ebb_reply_array(&context->reply, list.count);
    move_to_front(out, at, head_at);
}

/* ---- the others ---- */

void cmd_randomkey(struct cmd_context *context)
{
    struct key_list list = {.reply = &context->reply};

    store_leave(context->store);
    if (!store_random(context->store, (unsigned)context->client->database, key_list_add, &list))
        ebb_reply_null(&context->reply);
}

void cmd_dbsize(struct cmd_context *context)
{
    size_t count = store_count(context->store->store, (unsigned)context->client->database);
    ebb_reply_int(&context->reply, (int64_t)count);
}
