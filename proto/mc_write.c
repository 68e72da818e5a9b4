/* SPDX-License-Identifier: MIT */
/* mc_write.c: replies of memcached's text protocol and meta commands.
 *
 * As in resp_write.c: one reserve, composed in place; what can't be added leaves the buffer failed.
 * Called by commands.
 */
#include "ebb_proto.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

static inline char *put(char *at, const void *data, size_t len)
{
    if (len > 0)
        memcpy(at, data, len);
    return at + len;
}

static inline char *put_line_end(char *at)
{
    return put(at, "\r\n", 2);
}

static inline char *put_number(char *at, uint64_t number)
{
    *at++ = ' ';
    return at + ebb_format_u64(at, number);
}

void ebb_mc_write_line(struct ebb_buf *out, const char *line)
{
    size_t len = strlen(line);
    char *at = ebb_buf_reserve(out, len + 2);
    if (!at)
        return;
    put_line_end(put(at, line, len));
    ebb_buf_commit(out, len + 2);
}

#define BINARY_HEAD_BYTES    24u
#define BINARY_RESPONSE      '\x81'
#define BINARY_NOT_SUPPORTED '\x83' /* of two bytes, the first 0 */

void ebb_mc_write_binary_error(struct ebb_buf *out, const struct ebb_mc_binary *request,
                               const char *text)
{
    size_t len = strlen(text);
    assert(len <= UINT8_MAX);
    char *head = ebb_buf_reserve(out, BINARY_HEAD_BYTES + len);
    if (!head)
        return;
    memset(head, 0, BINARY_HEAD_BYTES);
    head[0] = BINARY_RESPONSE;
    head[1] = (char)request->opcode;
    head[7] = BINARY_NOT_SUPPORTED;
    head[11] = (char)len; /* of the body, in four bytes */
    memcpy(head + 12, request->opaque, sizeof(request->opaque));
    memcpy(head + BINARY_HEAD_BYTES, text, len);
    ebb_buf_commit(out, BINARY_HEAD_BYTES + len);
}

#define VALUE_HEAD_MAX_BYTES (6 + 3 * (1 + EBB_NUM_TEXT_BYTES) + 2) /* with a key of none */

static inline char *put_value_head(char *at, struct ebb_slice key, uint32_t flags,
                                   size_t value_bytes, const uint64_t *cas)
{
    at = put(at, "VALUE ", 6);
    at = put(at, key.data, key.len);
    at = put_number(at, flags);
    at = put_number(at, value_bytes);
    if (cas)
        at = put_number(at, *cas);
    return put_line_end(at);
}

void ebb_mc_write_value(struct ebb_buf *out, struct ebb_slice key, uint32_t flags,
                        struct ebb_slice value, const uint64_t *cas)
{
    char *start = ebb_buf_reserve(out, VALUE_HEAD_MAX_BYTES + key.len + value.len + 2);
    if (!start)
        return;
    char *at = put_value_head(start, key, flags, value.len, cas);
    at = put_line_end(put(at, value.data, value.len));
    ebb_buf_commit(out, (size_t)(at - start));
}

void ebb_mc_write_value_head(struct ebb_buf *out, struct ebb_slice key, uint32_t flags,
                             size_t value_bytes, const uint64_t *cas)
{
    char *start = ebb_buf_reserve(out, VALUE_HEAD_MAX_BYTES + key.len);
    if (start)
        ebb_buf_commit(out, (size_t)(put_value_head(start, key, flags, value_bytes, cas) - start));
}

void ebb_mc_write_number(struct ebb_buf *out, uint64_t number)
{
    char *start = ebb_buf_reserve(out, EBB_NUM_TEXT_BYTES + 2);
    if (!start)
        return;
    char *end = put_line_end(start + ebb_format_u64(start, number));
    ebb_buf_commit(out, (size_t)(end - start));
}

/* ---- meta ---- */

void ebb_mc_write_code(struct ebb_buf *out, const char *code)
{
    ebb_buf_add(out, code, 2);
}

void ebb_mc_write_flag(struct ebb_buf *out, const char *flag, size_t len)
{
    char *at = ebb_buf_reserve(out, 1 + len);
    if (!at)
        return;
    *at = ' ';
    put(at + 1, flag, len);
    ebb_buf_commit(out, 1 + len);
}

void ebb_mc_write_flag_number(struct ebb_buf *out, char flag, uint64_t number)
{
    char *start = ebb_buf_reserve(out, 2 + EBB_NUM_TEXT_BYTES);
    if (!start)
        return;
    start[0] = ' ';
    start[1] = flag;
    ebb_buf_commit(out, 2 + ebb_format_u64(start + 2, number));
}

void ebb_mc_write_flag_key(struct ebb_buf *out, struct ebb_slice key, bool is_binary)
{
    char *start = ebb_buf_reserve(out, 2 + EBB_BASE64_BYTES(key.len) + 2);
    if (!start)
        return;
    char *at = put(start, " k", 2);
    if (is_binary)
        at = put(at + ebb_base64_encode(at, key.data, key.len), " b", 2);
    else
        at = put(at, key.data, key.len);
    ebb_buf_commit(out, (size_t)(at - start));
}

void ebb_mc_write_value_code(struct ebb_buf *out, size_t value_bytes)
{
    char *start = ebb_buf_reserve(out, 2 + 1 + EBB_NUM_TEXT_BYTES);
    if (!start)
        return;
    char *at = put_number(put(start, "VA", 2), value_bytes);
    ebb_buf_commit(out, (size_t)(at - start));
}

void ebb_mc_write_end(struct ebb_buf *out, const struct ebb_slice *value)
{
    size_t value_bytes = value ? value->len : 0;
    char *start = ebb_buf_reserve(out, 2 + value_bytes + 2);
    if (!start)
        return;
    char *at = put_line_end(start);
    if (value)
        at = put_line_end(put(at, value->data, value->len));
    ebb_buf_commit(out, (size_t)(at - start));
}

/* ---- stats ---- */

void ebb_mc_write_stat(struct ebb_buf *out, const char *name, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    ebb_buf_printf(out, "STAT %s ", name);
    ebb_buf_vprintf(out, format, values);
    ebb_buf_add(out, "\r\n", 2);
    va_end(values);
}
