/* SPDX-License-Identifier: MIT */
/* buf.c: the byte buffer that parsers read from and writers write to.
 *
 * Owns the memory of each buffer and the two decisions about it: when to move the content to the
 * front, and by how much to grow. Both cost an amortised constant per byte added. Called by the
 * writers of this room and by whoever moves bytes to and from sockets.
 */
#include "ebb_buf.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define BUF_FIRST_BYTES 256u

/* Capacity beyond max_bytes lets a buffer that is nearly full drain a quarter before its content
 * has to move; without it each small drain would move everything. */
static size_t capacity_max(const struct ebb_buf *buf)
{
    return buf->max_bytes + buf->max_bytes / 4 + 1;
}

void ebb_buf_init(struct ebb_buf *buf, size_t max_bytes)
{
    if (max_bytes > SIZE_MAX / 2)
        max_bytes = SIZE_MAX / 2; /* sums of sizes then can't overflow */
    *buf = (struct ebb_buf){.max_bytes = max_bytes};
}

void ebb_buf_release(struct ebb_buf *buf)
{
    free(buf->bytes);
    ebb_buf_init(buf, buf->max_bytes);
}

void ebb_buf_clear(struct ebb_buf *buf)
{
    buf->start = buf->end = 0;
    buf->failed = buf->no_memory = false;
}

static void move_to_front(struct ebb_buf *buf)
{
    size_t len = ebb_buf_len(buf);
    if (buf->start > 0)
        memmove(buf->bytes, buf->bytes + buf->start, len);
    buf->start = 0;
    buf->end = len;
}

static bool set_capacity(struct ebb_buf *buf, size_t capacity)
{
    char *bytes = realloc(buf->bytes, capacity);
    if (!bytes)
        return false;
    buf->bytes = bytes;
    buf->capacity = capacity;
    return true;
}

void ebb_buf_shrink(struct ebb_buf *buf, size_t keep_bytes)
{
    if (buf->capacity <= keep_bytes || ebb_buf_len(buf) > keep_bytes)
        return;
    move_to_front(buf);
    if (keep_bytes > 0) {
        set_capacity(buf, keep_bytes); /* when it fails the larger block does as well */
    } else {
        free(buf->bytes);
        buf->bytes = NULL;
        buf->capacity = 0;
    }
}

/* What to allocate so that `need` bytes fit: half as much again as now, or exactly what a large
 * value needs, which is then not paid for twice. */
static size_t grown_capacity(const struct ebb_buf *buf, size_t need)
{
    size_t capacity = buf->capacity + buf->capacity / 2;
    if (capacity < BUF_FIRST_BYTES)
        capacity = BUF_FIRST_BYTES;
    if (capacity > capacity_max(buf))
        capacity = capacity_max(buf);
    return capacity < need ? need : capacity;
}

/* Makes room for `bytes` that are known to be within max_bytes. */
static bool make_room(struct ebb_buf *buf, size_t bytes)
{
    size_t len = ebb_buf_len(buf);
    /* Moving is paid for by what was consumed since the last move: at least as much as the content,
     * or a quarter of the maximum. */
    bool worth_moving = buf->start >= len || buf->end + bytes >= capacity_max(buf);
    if (worth_moving && buf->start > 0)
        move_to_front(buf);
    if (bytes < buf->capacity - buf->end)
        return true;
    /* One byte more than asked for: see ebb_buf_fits(). */
    return set_capacity(buf, grown_capacity(buf, buf->end + bytes + 1));
}

char *ebb_buf_reserve_slow(struct ebb_buf *buf, size_t bytes)
{
    if (buf->failed)
        return NULL;
    size_t len = ebb_buf_len(buf); /* over the maximum if the owner has lowered that */
    bool is_over = len > buf->max_bytes || bytes > buf->max_bytes - len;
    if (!is_over && make_room(buf, bytes))
        return buf->bytes + buf->end;
    buf->failed = true;
    buf->no_memory = !is_over;
    return NULL;
}

bool ebb_buf_add_slow(struct ebb_buf *buf, const void *data, size_t bytes)
{
    if (bytes == 0)
        return !buf->failed;
    char *room = ebb_buf_reserve_slow(buf, bytes);
    if (!room)
        return false;
    memcpy(room, data, bytes);
    buf->end += bytes;
    return true;
}

void ebb_buf_consume(struct ebb_buf *buf, size_t bytes)
{
    assert(bytes <= ebb_buf_len(buf));
    buf->start += bytes;
    if (buf->start == buf->end)
        buf->start = buf->end = 0;
}

bool ebb_buf_vprintf(struct ebb_buf *buf, const char *format, va_list values)
{
    va_list again;
    va_copy(again, values);
    size_t room = buf->failed ? 0 : buf->capacity - buf->end;
    int len = vsnprintf(room ? buf->bytes + buf->end : NULL, room, format, values);
    char *text = NULL;
    if (len < 0)
        buf->failed = true;
    else
        text = ebb_buf_reserve(buf, (size_t)len);
    if (text && (size_t)len >= room)
        vsnprintf(text, (size_t)len + 1, format, again);
    if (text)
        buf->end += (size_t)len;
    va_end(again);
    return text != NULL;
}

bool ebb_buf_printf(struct ebb_buf *buf, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    bool done = ebb_buf_vprintf(buf, format, values);
    va_end(values);
    return done;
}

static int violated(const char *rule)
{
    fprintf(stderr, "ebb_buf_check: not %s\n", rule);
    return -1;
}

int ebb_buf_check(const struct ebb_buf *buf)
{
    if (!(buf->start <= buf->end))
        return violated("start <= end");
    if (!(buf->end <= buf->capacity))
        return violated("end <= capacity");
    if (!(ebb_buf_len(buf) <= buf->max_bytes))
        return violated("end - start <= max_bytes");
    if (!(buf->capacity <= capacity_max(buf)))
        return violated("capacity <= max_bytes + max_bytes / 4 + 1");
    if ((buf->bytes == NULL) != (buf->capacity == 0))
        return violated("(no bytes) == (no capacity)");
    return 0;
}
