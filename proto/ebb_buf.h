/* SPDX-License-Identifier: MIT */
/* ebb_buf.h: a byte buffer that grows up to a maximum given at init.
 *
 *   bytes[0 .. start)      consumed, reclaimed when it pays
 *   bytes[start .. end)    the content: ebb_buf_data(), ebb_buf_len()
 *   bytes[end .. capacity) room
 *
 * The memory is from malloc and is the buffer's. Pointers into it are good until the next call that
 * adds, reserves or releases. A buffer that could not grow is `failed`: it takes nothing more and
 * keeps what it has, so a writer may add many things and look once at the end.
 */
#ifndef EBB_BUF_H
#define EBB_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct ebb_buf {
    char *bytes;
    size_t start, end, capacity;
    size_t max_bytes; /* of content; capacity may exceed it by a quarter */
    bool failed;      /* over max_bytes or out of memory */
    bool no_memory;   /* failed for want of memory */
};

void ebb_buf_init(struct ebb_buf *buf, size_t max_bytes);
void ebb_buf_release(struct ebb_buf *buf); /* frees; the buffer is then as after init */
void ebb_buf_clear(struct ebb_buf *buf);   /* empties, keeps the memory, forgets a failure */
/* Frees memory beyond keep_bytes of capacity when the content leaves room for it. */
void ebb_buf_shrink(struct ebb_buf *buf, size_t keep_bytes);

static inline char *ebb_buf_data(const struct ebb_buf *buf)
{
    return buf->start ? buf->bytes + buf->start : buf->bytes; /* bytes may be NULL */
}

static inline size_t ebb_buf_len(const struct ebb_buf *buf)
{
    return buf->end - buf->start;
}

/* Whether `bytes` more fit as things are, and one more for whoever must write a NUL. */
static inline bool ebb_buf_fits(const struct ebb_buf *buf, size_t bytes)
{
    return bytes < buf->capacity - buf->end && bytes <= buf->max_bytes - ebb_buf_len(buf) &&
           !buf->failed;
}

char *ebb_buf_reserve_slow(struct ebb_buf *buf, size_t bytes);
bool ebb_buf_add_slow(struct ebb_buf *buf, const void *data, size_t bytes);

/* Room for `bytes` more behind the content (and a NUL), or NULL (failed). What was written there
 * becomes content by ebb_buf_commit(). */
static inline char *ebb_buf_reserve(struct ebb_buf *buf, size_t bytes)
{
    return ebb_buf_fits(buf, bytes) ? buf->bytes + buf->end : ebb_buf_reserve_slow(buf, bytes);
}

static inline void ebb_buf_commit(struct ebb_buf *buf, size_t bytes)
{
    buf->end += bytes;
}

static inline bool ebb_buf_add(struct ebb_buf *buf, const void *data, size_t bytes)
{
    if (bytes == 0 || !ebb_buf_fits(buf, bytes))
        return ebb_buf_add_slow(buf, data, bytes);
    memcpy(buf->bytes + buf->end, data, bytes);
    buf->end += bytes;
    return true;
}

/* Drops bytes from the front. */
void ebb_buf_consume(struct ebb_buf *buf, size_t bytes);
/* 0, or -1 with the violated rule on stderr. */
int ebb_buf_check(const struct ebb_buf *buf);

bool ebb_buf_vprintf(struct ebb_buf *buf, const char *format, va_list values)
    __attribute__((format(printf, 2, 0)));
bool ebb_buf_printf(struct ebb_buf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
