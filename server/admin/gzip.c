/* SPDX-License-Identifier: MIT */
/* gzip.c: zlib with small windows: metrics repeat themselves within a few lines, and the 20 KiB
 * that a compressor needs are taken and given back with each body.
 */
#include "gzip.h"

#include <string.h>
#include <strings.h>
#include <zlib.h>

#define LEVEL       1  /* four times faster than the default, a tenth larger */
#define WINDOW_BITS 12 /* 4 KiB */
#define GZIP_FORMAT 16 /* added to the window bits: zlib's way to ask for it */
#define MEMORY      4

/* ---- asking ---- */

/* Takes what lies before the separator off the front of `rest`, blanks cut off. */
static struct ebb_slice next_piece(struct ebb_slice *rest, char separator)
{
    const char *end = memchr(rest->data, separator, rest->len);
    struct ebb_slice piece = {rest->data, end == NULL ? rest->len : (size_t)(end - rest->data)};
    size_t used = end == NULL ? piece.len : piece.len + 1;
    rest->data += used;
    rest->len -= used;
    while (piece.len > 0 && strchr(" \t", piece.data[0]) != NULL) {
        piece.data++;
        piece.len--;
    }
    while (piece.len > 0 && strchr(" \t", piece.data[piece.len - 1]) != NULL)
        piece.len--;
    return piece;
}

static bool is_word(struct ebb_slice slice, const char *word)
{
    return slice.len == strlen(word) && strncasecmp(slice.data, word, slice.len) == 0;
}

/* "q=0", "q=0.000": not at all. */
static bool is_zero_quality(struct ebb_slice parameter)
{
    struct ebb_slice value = parameter;
    if (!is_word(next_piece(&value, '='), "q") || value.len == 0)
        return false;
    for (size_t i = 0; i < value.len; i++)
        if (strchr("0. \t", value.data[i]) == NULL)
            return false;
    return true;
}

bool gzip_is_accepted(struct ebb_slice accept_encoding)
{
    bool any = false;
    while (accept_encoding.len > 0) {
        struct ebb_slice coding = next_piece(&accept_encoding, ',');
        struct ebb_slice name = next_piece(&coding, ';');
        bool is_refused = false;
        while (coding.len > 0)
            is_refused = is_zero_quality(next_piece(&coding, ';')) || is_refused;
        if (is_word(name, "gzip") || is_word(name, "x-gzip"))
            return !is_refused; /* by name counts more than by `*` */
        if (is_word(name, "*"))
            any = !is_refused;
    }
    return any;
}

/* ---- compressing ---- */

bool gzip_add(struct ebb_buf *out, const char *data, size_t len)
{
    z_stream stream;
    memset(&stream, 0, sizeof stream);
    if (len > UINT32_MAX || deflateInit2(&stream, LEVEL, Z_DEFLATED, WINDOW_BITS + GZIP_FORMAT,
                                         MEMORY, Z_DEFAULT_STRATEGY) != Z_OK)
        return false;
    size_t most = deflateBound(&stream, (uLong)len);
    char *room = ebb_buf_reserve(out, most);
    int result = Z_BUF_ERROR;
    if (room != NULL) {
        stream.next_in = (Bytef *)(uintptr_t)data;
        stream.avail_in = (uInt)len;
        stream.next_out = (Bytef *)room;
        stream.avail_out = (uInt)most;
        result = deflate(&stream, Z_FINISH);
        ebb_buf_commit(out, most - stream.avail_out);
    }
    deflateEnd(&stream);
    return result == Z_STREAM_END;
}
