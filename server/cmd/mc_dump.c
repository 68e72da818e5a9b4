/* SPDX-License-Identifier: MIT */
/* mc_dump.c: every key in lines, a piece at a time; see mc_dump.h.
 */
#include "mc_dump.h"

#include <stdlib.h>
#include <string.h>

#include "mc_verbs.h"

#define DUMP_KEYS          256u /* in one piece: some 50 us under a shard's lock */
#define DUMP_CLASS_COUNT   (EBB_CLASS_COUNT + 1)
#define URI_MAX_BYTES(len) (3 * (len))

struct mc_dump {
    enum mc_dump_form form;
    uint64_t cursor;
    uint64_t left; /* lines that may still be written */
    bool wants_all;
    bool wants[DUMP_CLASS_COUNT];
};

/* ---- which classes ---- */

/* "1,2,7": memcached's numbers of slab classes start at 1. */
static bool parse_classes(struct mc_dump *dump, struct ebb_slice text)
{
    const char *at = text.data, *end = at + text.len;

    while (at < end) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        const char *stop = comma != NULL ? comma : end;
        uint64_t number;
        if (!ebb_parse_u64(at, (size_t)(stop - at), &number) || number == 0 ||
            number > DUMP_CLASS_COUNT)
            return false;
        dump->wants[number - 1] = true;
        at = stop + (comma != NULL);
    }
    return text.len > 0 && end[-1] != ',';
}

static bool is_word(struct ebb_slice text, const char *word)
{
    return text.len == strlen(word) && memcmp(text.data, word, text.len) == 0;
}

void mc_dump_begin(struct cmd_context *context, const struct ebb_mc_command *command,
                   enum mc_dump_form form, struct ebb_slice classes)
{
    struct mc_dump *dump = calloc(1, sizeof(*dump));

    if (dump == NULL) {
        mc_answer_error(context, command, "SERVER_ERROR out of memory");
        return;
    }
    dump->form = form;
    dump->left = UINT64_MAX;
    dump->wants_all = is_word(classes, "all") || is_word(classes, "hash");
    if (!dump->wants_all && !parse_classes(dump, classes)) {
        mc_answer_error(context, command, "BADCLASS invalid class id");
        free(dump);
        return;
    }
    context->client->dump = dump;
}

void mc_dump_begin_items(struct cmd_context *context, const struct ebb_mc_command *command)
{
    const struct ebb_slice *words = command->keys.at;
    uint64_t class_id, limit;

    if (command->keys.count < 3) {
        mc_answer_error(context, command, "CLIENT_ERROR bad command line");
        return;
    }
    if (!ebb_parse_u64(words[1].data, words[1].len, &class_id) ||
        !ebb_parse_u64(words[2].data, words[2].len, &limit)) {
        mc_answer_error(context, command, "CLIENT_ERROR bad command line format");
        return;
    }
    struct mc_dump *dump = class_id <= DUMP_CLASS_COUNT ? calloc(1, sizeof(*dump)) : NULL;
    if (dump == NULL) {
        mc_answer_error(context, command,
                        class_id > DUMP_CLASS_COUNT ? "CLIENT_ERROR Illegal slab id"
                                                    : "SERVER_ERROR out of memory");
        return;
    }
    dump->form = MC_DUMP_ITEM;
    dump->left = limit == 0 ? UINT64_MAX : limit;
    if (class_id > 0)
        dump->wants[class_id - 1] = true;
    context->client->dump = dump;
}

/* ---- lines ---- */

static bool is_unreserved(unsigned char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || strchr("-._~", byte) != NULL;
}

static size_t uri_encode(char *text, const char *key, size_t len)
{
    static const char digits[] = "0123456789ABCDEF";
    char *at = text;

    for (size_t i = 0; i < len; i++) {
        unsigned char byte = (unsigned char)key[i];
        if (byte != '\0' && is_unreserved(byte)) {
            *at++ = (char)byte;
            continue;
        }
        *at++ = '%';
        *at++ = digits[byte >> 4];
        *at++ = digits[byte & 15];
    }
    return (size_t)(at - text);
}

struct piece {
    struct cmd_context *context;
    struct mc_dump *dump;
};

static void write_meta(struct cmd_context *context, const char *key, size_t key_len,
                       const struct store_value *value, size_t bytes)
{
    char text[URI_MAX_BYTES(EBB_MC_KEY_MAX_BYTES)];
    int64_t now_s = context->store->now_ms / 1000;

    ebb_buf_printf(context->reply.out,
                   "key=%.*s exp=%lld la=%lld cas=%llu fetch=%s cls=%u size=%zu\n",
                   (int)uri_encode(text, key, key_len), text,
                   value->expire_ms == 0 ? -1 : (long long)(value->expire_ms / 1000),
                   value->access_s == 0 ? (long long)now_s : (long long)value->access_s,
                   (unsigned long long)value->cas, value->marks & STORE_FETCHED ? "yes" : "no",
                   store_class_of(bytes) + 1, bytes);
}

static void write_get(struct ebb_buf *out, const char *key, size_t key_len, bool is_binary)
{
    char text[EBB_BASE64_BYTES(EBB_MC_KEY_MAX_BYTES)];

    ebb_mc_write_code(out, "mg");
    if (is_binary) {
        ebb_mc_write_flag(out, text, ebb_base64_encode(text, key, key_len));
        ebb_mc_write_flag(out, "b", 1);
    } else {
        ebb_mc_write_flag(out, key, key_len);
    }
    ebb_mc_write_end(out, NULL);
}

static void dump_key(void *user, const char *key, size_t key_len, const struct store_value *value)
{
    struct piece *piece = user;
    size_t bytes = value->header_bytes + key_len + value->len;

    /* A longer key came through RESP: no memcached client could name it. */
    if (key_len == 0 || key_len > EBB_MC_KEY_MAX_BYTES || piece->dump->left == 0 ||
        (!piece->dump->wants_all && !piece->dump->wants[store_class_of(bytes)]))
        return;
    bool is_text = mc_key_is_text(key, key_len);
    struct ebb_buf *out = piece->context->reply.out;
    switch (piece->dump->form) {
    case MC_DUMP_META:
        write_meta(piece->context, key, key_len, value, bytes);
        break;
    case MC_DUMP_GET:
        write_get(out, key, key_len, (value->marks & STORE_BINARY_KEY) != 0 || !is_text);
        break;
    case MC_DUMP_ITEM: /* has no way to spell such keys */
        if (!is_text)
            return;
        ebb_buf_printf(out, "ITEM %.*s [%zu b; %lld s]\r\n", (int)key_len, key, value->len,
                       (long long)(value->expire_ms / 1000));
        break;
    }
    piece->dump->left--;
}

bool cmd_mc_dump(struct cmd_context *context)
{
    struct mc_dump *dump = context->client->dump;
    struct piece piece = {context, dump};

    dump->cursor =
        store_scan(context->store, MC_DATABASE, dump->cursor, DUMP_KEYS, dump_key, &piece);
    if (dump->cursor != 0 && dump->left > 0)
        return true;
    ebb_mc_write_line(context->reply.out, dump->form == MC_DUMP_GET ? "EN" : "END");
    free(dump);
    context->client->dump = NULL;
    return false;
}
