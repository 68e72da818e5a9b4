/* SPDX-License-Identifier: MIT */
/* resp_write.c: RESP2 and RESP3 replies.
 *
 * Each function adds one reply to the buffer with one reserve and composes it in place. What can't
 * be added leaves the buffer failed; the caller looks once, after many. Called by commands.
 */
#include "ebb_proto.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A type byte, a number and a line end. */
#define HEADER_MAX_BYTES (1 + EBB_NUM_TEXT_BYTES + 2)

static inline char *put_line_end(char *at)
{
    at[0] = '\r';
    at[1] = '\n';
    return at + 2;
}

static inline char *put_header(char *at, char type, uint64_t number)
{
    at[0] = type;
    at++;
    return put_line_end(at + ebb_format_u64(at, number));
}

static void write_header(struct ebb_reply *reply, char type, uint64_t number)
{
    char *start = ebb_buf_reserve(reply->out, HEADER_MAX_BYTES);
    if (start)
        ebb_buf_commit(reply->out, (size_t)(put_header(start, type, number) - start));
}

/* A line of text behind a type byte. */
static void write_line(struct ebb_reply *reply, char type, const char *text, size_t len)
{
    char *at = ebb_buf_reserve(reply->out, len + 3);
    if (!at)
        return;
    at[0] = type;
    memcpy(at + 1, text, len);
    put_line_end(at + 1 + len);
    ebb_buf_commit(reply->out, len + 3);
}

void ebb_reply_simple(struct ebb_reply *reply, const char *text)
{
    write_line(reply, '+', text, strlen(text));
}

/* Blanks line ends in the newest bytes, so that text from a client can't begin a reply of its own.
 */
static void blank_line_ends(struct ebb_buf *out, size_t bytes)
{
    char *at = out->bytes + out->end - bytes;
    for (size_t i = 0; i < bytes; i++)
        if (at[i] == '\r' || at[i] == '\n')
            at[i] = ' ';
}

void ebb_reply_error(struct ebb_reply *reply, const char *text)
{
    ebb_reply_errorf(reply, "%s", text);
}

void ebb_reply_errorf(struct ebb_reply *reply, const char *format, ...)
{
    struct ebb_buf *out = reply->out;
    va_list values;
    va_start(values, format);
    if (ebb_buf_add(out, "-", 1)) {
        size_t before = ebb_buf_len(out);
        ebb_buf_vprintf(out, format, values);
        blank_line_ends(out, ebb_buf_len(out) - before);
        ebb_buf_add(out, "\r\n", 2);
    }
    va_end(values);
}

void ebb_reply_int(struct ebb_reply *reply, int64_t value)
{
    char *start = ebb_buf_reserve(reply->out, HEADER_MAX_BYTES);
    if (!start)
        return;
    start[0] = ':';
    char *end = put_line_end(start + 1 + ebb_format_i64(start + 1, value));
    ebb_buf_commit(reply->out, (size_t)(end - start));
}

void ebb_reply_bulk(struct ebb_reply *reply, const void *data, size_t len)
{
    char *start = ebb_buf_reserve(reply->out, HEADER_MAX_BYTES + len + 2);
    if (!start)
        return;
    char *at = put_header(start, '$', len);
    if (len > 0)
        memcpy(at, data, len);
    at = put_line_end(at + len);
    ebb_buf_commit(reply->out, (size_t)(at - start));
}

void ebb_reply_bulk_head(struct ebb_reply *reply, size_t len)
{
    write_header(reply, '$', len);
}

void ebb_reply_text(struct ebb_reply *reply, const char *text)
{
    ebb_reply_bulk(reply, text, strlen(text));
}

void ebb_reply_bulkf(struct ebb_reply *reply, const char *format, ...)
{
    va_list values, again;
    va_start(values, format);
    va_copy(again, values);
    int len = vsnprintf(NULL, 0, format, values); /* its length goes before it */
    if (len < 0)
        len = 0;
    write_header(reply, '$', (uint64_t)len);
    if (len > 0)
        ebb_buf_vprintf(reply->out, format, again);
    ebb_buf_add(reply->out, "\r\n", 2);
    va_end(again);
    va_end(values);
}

void ebb_reply_null(struct ebb_reply *reply)
{
    if (reply->version >= 3)
        ebb_buf_add(reply->out, "_\r\n", 3);
    else
        ebb_buf_add(reply->out, "$-1\r\n", 5);
}

void ebb_reply_null_array(struct ebb_reply *reply)
{
    if (reply->version >= 3)
        ebb_buf_add(reply->out, "_\r\n", 3);
    else
        ebb_buf_add(reply->out, "*-1\r\n", 5);
}

void ebb_reply_array(struct ebb_reply *reply, size_t count)
{
    write_header(reply, '*', count);
}

void ebb_reply_map(struct ebb_reply *reply, size_t pairs)
{
    if (reply->version >= 3)
        write_header(reply, '%', pairs);
    else
        write_header(reply, '*', 2 * pairs);
}

void ebb_reply_set(struct ebb_reply *reply, size_t count)
{
    write_header(reply, reply->version >= 3 ? '~' : '*', count);
}

void ebb_reply_push(struct ebb_reply *reply, size_t count)
{
    write_header(reply, reply->version >= 3 ? '>' : '*', count);
}

void ebb_reply_bool(struct ebb_reply *reply, bool value)
{
    if (reply->version >= 3)
        ebb_buf_add(reply->out, value ? "#t\r\n" : "#f\r\n", 4);
    else
        ebb_reply_int(reply, value);
}

void ebb_reply_double(struct ebb_reply *reply, double value)
{
    char text[40];
    int len;
    if (isnan(value)) /* libc may add a sign */
        len = snprintf(text, sizeof(text), "nan");
    else
        len = snprintf(text, sizeof(text), "%.17g", value);
    if (reply->version >= 3)
        write_line(reply, ',', text, (size_t)len);
    else
        ebb_reply_bulk(reply, text, (size_t)len);
}

void ebb_reply_verbatim(struct ebb_reply *reply, const char *data, size_t len)
{
    if (reply->version < 3) {
        ebb_reply_bulk(reply, data, len);
        return;
    }
    write_header(reply, '=', len + 4);
    ebb_buf_add(reply->out, "txt:", 4);
    ebb_buf_add(reply->out, data, len);
    ebb_buf_add(reply->out, "\r\n", 2);
}

void ebb_reply_raw(struct ebb_reply *reply, const void *data, size_t len)
{
    ebb_buf_add(reply->out, data, len);
}
