/* SPDX-License-Identifier: MIT */
/* resp.c: RESP requests: arrays of bulk strings, and inline commands.
 *
 *   *2\r\n  $3\r\n GET\r\n  $5\r\n hello\r\n        GET "hello"\r\n
 *   count   header value    header value            words, unescaped in place
 *
 * What Redis 7 takes is taken here, what it refuses is refused with its words. An incomplete
 * command is gone on with where it stopped: until it is complete, `args` holds offsets instead of
 * pointers, for the bytes may move between calls. Pure; called by whoever reads from clients.
 */
#include "ebb_proto.h"

#include <stdio.h>
#include <string.h>

#define PROTOCOL_ERROR "ERR Protocol error: "

#define BULK_UNKNOWN (-1)
/* Redis's limits for a client that has yet to give the password. */
#define GUEST_ARGS_MAX       10
#define GUEST_BULK_MAX_BYTES 16384
/* "*" or "$", nine digits and the line end: what a header line has in practice. */
#define SHORT_HEADER_BYTES 12u
#define HEADER_MIN_BYTES   4u
/* A plain command has at most nine arguments of at most four digits of bytes each. */
#define PLAIN_HEADER_BYTES 7u
#define PLAIN_DIGITS       4u
#define PLAIN_MAX_BYTES    9999u

void ebb_resp_parser_init(struct ebb_resp_parser *parser)
{
    *parser = (struct ebb_resp_parser){.bulk_bytes = BULK_UNKNOWN};
}

static ssize_t refuse(struct ebb_resp_parser *parser, enum ebb_proto_error error, const char *text)
{
    parser->in_command = false;
    parser->error = text;
    return error;
}

static ssize_t out_of_memory(struct ebb_resp_parser *parser)
{
    return refuse(parser, EBB_PROTO_ENOMEM, "ERR out of memory");
}

static ssize_t wait_for(struct ebb_resp_parser *parser, size_t bytes)
{
    parser->need_bytes = bytes;
    return 0;
}

/* ---- header lines ---- */

/* The number of a header line and the length of the line, 0 when it has not ended, ELIMIT when it
 * can't be one. What is not a number reads as INT64_MAX: over every limit. */
static ssize_t read_any_header(const char *line, size_t len, int64_t *number)
{
    size_t look_bytes = len < EBB_RESP_INLINE_MAX_BYTES + 1 ? len : EBB_RESP_INLINE_MAX_BYTES + 1;
    const char *end = memchr(line, '\r', look_bytes);
    if (!end)
        return look_bytes <= EBB_RESP_INLINE_MAX_BYTES ? 0 : EBB_PROTO_ELIMIT;
    size_t line_bytes = (size_t)(end - line) + 2;
    if (line_bytes > len)
        return 0;
    if (!ebb_parse_i64(line + 1, line_bytes - 3, number))
        *number = INT64_MAX;
    return (ssize_t)line_bytes;
}

/* Nearly all header lines are a few digits. */
static inline ssize_t read_header(const char *line, size_t len, int64_t *number)
{
    if (len < HEADER_MIN_BYTES)
        return read_any_header(line, len, number);
    const char *end = line + (len < SHORT_HEADER_BYTES ? len : SHORT_HEADER_BYTES) - 2;
    const char *at = line + 1;
    uint32_t value = (uint32_t)(*at++ - '0'), digit;
    bool is_plain = value - 1 < 9; /* what begins with "0" or "-" is rare */
    for (; at < end && (digit = (uint32_t)(*at - '0')) <= 9; at++)
        value = value * 10 + digit;
    if (!is_plain || *at != '\r')
        return read_any_header(line, len, number);
    *number = value;
    return at + 2 - line; /* like Redis, whatever stands where "\n" should */
}

/* "*count": how many arguments follow. */
static ssize_t read_count(struct ebb_resp_parser *parser, const char *bytes, size_t len)
{
    int64_t count;
    ssize_t used = read_header(bytes, len, &count);
    if (used == 0)
        return wait_for(parser, len + 1);
    if (used < 0)
        return refuse(parser, EBB_PROTO_ELIMIT, PROTOCOL_ERROR "too big mbulk count string");
    if (count > (int64_t)EBB_RESP_ARGS_MAX)
        return refuse(parser, EBB_PROTO_EBAD, PROTOCOL_ERROR "invalid multibulk length");
    if (count > GUEST_ARGS_MAX && parser->unauthenticated)
        return refuse(parser, EBB_PROTO_EBAD, PROTOCOL_ERROR "unauthenticated multibulk length");
    parser->args_left = count > 0 ? (uint32_t)count : 0;
    return used;
}

static ssize_t refuse_byte(struct ebb_resp_parser *parser, struct ebb_args *args, char got)
{
    /* The command is over, so the room of its arguments may carry the text. */
    char *text = (char *)args->at;
    snprintf(text, args->capacity * sizeof(*args->at), PROTOCOL_ERROR "expected '$', got '%c'",
             got);
    return refuse(parser, EBB_PROTO_EBAD, text);
}

/* "$length" at `offset`, into parser->bulk_bytes. */
static ssize_t read_bulk_header(struct ebb_resp_parser *parser, struct ebb_args *args,
                                const char *bytes, size_t offset, size_t len)
{
    int64_t bulk_bytes;
    ssize_t used = read_header(bytes + offset, len - offset, &bulk_bytes);
    if (used == 0)
        return wait_for(parser, len + 1);
    if (used < 0)
        return refuse(parser, EBB_PROTO_ELIMIT, PROTOCOL_ERROR "too big bulk count string");
    if (bytes[offset] != '$')
        return refuse_byte(parser, args, bytes[offset]);
    size_t max_bytes = parser->bulk_max_bytes ? parser->bulk_max_bytes : EBB_RESP_BULK_MAX_BYTES;
    if (bulk_bytes < 0 || (uint64_t)bulk_bytes > max_bytes)
        return refuse(parser, EBB_PROTO_EBAD, PROTOCOL_ERROR "invalid bulk length");
    if (bulk_bytes > GUEST_BULK_MAX_BYTES && parser->unauthenticated)
        return refuse(parser, EBB_PROTO_EBAD, PROTOCOL_ERROR "unauthenticated bulk length");
    parser->bulk_bytes = bulk_bytes;
    return used;
}

/* ---- arrays ---- */

/* Of a command that comes in many pieces each argument is turned into an offset once, and back once
 * when it is complete. */
static void offsets_to_pointers(struct ebb_resp_parser *parser, struct ebb_args *args,
                                const char *bytes)
{
    for (uint32_t i = 0; i < parser->offsets; i++)
        args->at[i].data = bytes + (uintptr_t)args->at[i].data;
    parser->offsets = 0;
}

/* Notes where an incomplete command stops, to go on when there are more bytes. */
static ssize_t stop_at(struct ebb_resp_parser *parser, struct ebb_args *args, const char *bytes,
                       size_t offset)
{
    parser->offset = offset;
    for (; parser->offsets < args->count; parser->offsets++) {
        struct ebb_slice *arg = &args->at[parser->offsets];
        arg->data = (const char *)(uintptr_t)(arg->data - bytes);
    }
    return 0;
}

/* Reads arguments until none is left or bytes run out. */
static ssize_t read_bulks(struct ebb_resp_parser *parser, struct ebb_args *args, const char *bytes,
                          size_t len)
{
    size_t offset = parser->offset;
    while (parser->args_left > 0) {
        if (parser->bulk_bytes == BULK_UNKNOWN) {
            ssize_t used = read_bulk_header(parser, args, bytes, offset, len);
            if (used <= 0)
                return used < 0 ? used : stop_at(parser, args, bytes, offset);
            offset += (size_t)used;
        }
        size_t bulk_bytes = (size_t)parser->bulk_bytes;
        if (len - offset < bulk_bytes + 2) {
            wait_for(parser, offset + bulk_bytes + 2);
            return stop_at(parser, args, bytes, offset);
        }
        if (!ebb_args_add(args, bytes + offset, bulk_bytes))
            return out_of_memory(parser);
        offset += bulk_bytes + 2;
        parser->bulk_bytes = BULK_UNKNOWN;
        parser->args_left--;
    }
    parser->in_command = false;
    if (parser->offsets > 0)
        offsets_to_pointers(parser, args, bytes);
    return (ssize_t)offset;
}

/* ---- inline commands ---- */

static bool is_blank(char byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

static int hex_value(char byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

static char unescaped(char byte)
{
    switch (byte) {
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'b':
        return '\b';
    case 'a':
        return '\a';
    default:
        return byte;
    }
}

/* What a backslash at `in` stands for inside quotes, and how many bytes say so. */
static size_t read_escape(const char *in, const char *end, char quote, char *byte)
{
    *byte = '\\';
    if (end - in < 2 || (quote == '\'' && in[1] != '\''))
        return 1; /* itself */
    if (quote == '"' && in[1] == 'x' && end - in >= 4 && hex_value(in[2]) >= 0 &&
        hex_value(in[3]) >= 0) {
        *byte = (char)(hex_value(in[2]) * 16 + hex_value(in[3]));
        return 4;
    }
    *byte = unescaped(in[1]);
    return 2;
}

/* The word at `in`, unescaped where it stands: it can only get shorter. Returns where it ends, NULL
 * when its quotes do not match. */
static char *read_word(char *in, const char *end, struct ebb_slice *word)
{
    char *out = in;
    char quote = 0;
    word->data = out;
    while (in < end) {
        if (!quote && is_blank(*in) && *in != '\v' && *in != '\f') {
            break;
        } else if (!quote && (*in == '"' || *in == '\'')) {
            quote = *in++;
        } else if (quote && *in == '\\') {
            in += read_escape(in, end, quote, out++);
        } else if (quote && *in == quote) {
            quote = 0;
            in++;
            if (in < end && !is_blank(*in))
                return NULL; /* "a"b */
            break;
        } else {
            *out++ = *in++;
        }
    }
    word->len = (size_t)(out - word->data);
    return quote ? NULL : in;
}

static ssize_t read_inline(struct ebb_resp_parser *parser, struct ebb_args *args, char *bytes,
                           size_t len)
{
    size_t look_bytes = len < EBB_RESP_INLINE_MAX_BYTES + 1 ? len : EBB_RESP_INLINE_MAX_BYTES + 1;
    char *newline = memchr(bytes, '\n', look_bytes);
    if (!newline && look_bytes > EBB_RESP_INLINE_MAX_BYTES)
        return refuse(parser, EBB_PROTO_ELIMIT, PROTOCOL_ERROR "too big inline request");
    if (!newline)
        return wait_for(parser, len + 1);
    char *end = newline > bytes && newline[-1] == '\r' ? newline - 1 : newline;
    for (char *in = bytes;;) {
        while (in < end && is_blank(*in))
            in++;
        if (in == end)
            return newline + 1 - bytes;
        struct ebb_slice word;
        in = read_word(in, end, &word);
        if (!in)
            return refuse(parser, EBB_PROTO_EBAD, PROTOCOL_ERROR "unbalanced quotes in request");
        if (!ebb_args_add(args, word.data, word.len))
            return out_of_memory(parser);
    }
}

/* ---- plain commands ---- */

static inline size_t digit(char byte)
{
    return (unsigned char)(byte - '0');
}

/* "$number" of a plain argument: the length of the line, 0 when it must be looked at more closely.
 */
static inline size_t read_plain_header(const char *line, size_t *number)
{
    size_t value = digit(line[1]), next, at = 2;
    if (line[0] != '$' || value > 9)
        return 0;
    while (line[at] != '\r') {
        if ((next = digit(line[at])) > 9 || value == 0 || at > PLAIN_DIGITS)
            return 0;
        value = value * 10 + next;
        at++;
    }
    *number = value;
    return at + 2;
}

/* A whole command of few and short arguments, as nearly all are, without a note of where it stands:
 * it is complete, or 0 and all of it is read again with care. */
static inline size_t read_plain(const char *bytes, size_t len, struct ebb_args *args)
{
    const char *at = bytes + HEADER_MIN_BYTES, *end = bytes + len;
    if (len < HEADER_MIN_BYTES || bytes[2] != '\r')
        return 0;
    uint32_t count = (unsigned char)(bytes[1] - '0');
    if (count - 1 >= 9 || count > args->capacity)
        return 0;
    for (uint32_t i = 0; i < count; i++) {
        size_t number, left = (size_t)(end - at);
        if (left < PLAIN_HEADER_BYTES)
            return 0;
        size_t header = read_plain_header(at, &number);
        if (header == 0 || left < header + number + 2)
            return 0;
        args->at[i] = (struct ebb_slice){at + header, number};
        at += header + number + 2;
    }
    args->count = count;
    return (size_t)(at - bytes);
}

static inline bool may_be_plain(const struct ebb_resp_parser *parser, const char *bytes, size_t len)
{
    return !parser->in_command && len > 0 && bytes[0] == '*' &&
           (parser->bulk_max_bytes == 0 || parser->bulk_max_bytes >= PLAIN_MAX_BYTES);
}

/* Any command, plain or not, whole or in pieces. */
__attribute__((noinline)) static ssize_t read_any(struct ebb_resp_parser *parser, char *bytes,
                                                  size_t len, struct ebb_args *args)
{
    if (!parser->in_command) {
        args->count = 0;
        if (len == 0)
            return wait_for(parser, 1);
        if (bytes[0] != '*')
            return read_inline(parser, args, bytes, len);
        ssize_t used = read_count(parser, bytes, len);
        if (used <= 0 || parser->args_left == 0)
            return used;
        if (args->capacity == 0 && !ebb_args_grow(args))
            return out_of_memory(parser);
        parser->in_command = true;
        parser->offset = (size_t)used;
        parser->bulk_bytes = BULK_UNKNOWN;
        parser->offsets = 0;
    }
    return read_bulks(parser, args, bytes, len);
}

ssize_t ebb_resp_parse(struct ebb_resp_parser *parser, char *bytes, size_t len,
                       struct ebb_args *args)
{
    size_t plain = may_be_plain(parser, bytes, len) ? read_plain(bytes, len, args) : 0;
    return plain > 0 ? (ssize_t)plain : read_any(parser, bytes, len, args);
}
