/* SPDX-License-Identifier: MIT */
/* outgoing.c: see outgoing.h. Called by unsent.c. */
#include "outgoing.h"

static void add(struct outgoing *outgoing, unsigned splice, const char *data, size_t len)
{
    if (len == 0)
        return;
    outgoing->splices[outgoing->count] = (uint8_t)splice;
    outgoing->pieces[outgoing->count++] = (uv_buf_t){.base = (char *)(uintptr_t)data, .len = len};
    outgoing->bytes += len;
}

void outgoing_splice(struct outgoing *outgoing, const struct ebb_buf *out,
                     const struct splices *splices)
{
    const char *data = ebb_buf_data(out);
    size_t at = 0;
    outgoing->first = outgoing->count = 0;
    outgoing->bytes = 0;
    for (unsigned i = 0; i < splices->count; i++) {
        const struct splice *splice = &splices->list[i];
        add(outgoing, OUTGOING_BUFFER, data + at, splice->at - at);
        add(outgoing, i, splice->data, splice->len);
        at = splice->at;
    }
    add(outgoing, OUTGOING_BUFFER, data + at, ebb_buf_len(out) - at);
}

void outgoing_consume_some(struct outgoing *outgoing, size_t bytes)
{
    outgoing->bytes -= bytes;
    while (bytes > 0) {
        uv_buf_t *piece = &outgoing->pieces[outgoing->first];
        size_t part = bytes < piece->len ? bytes : piece->len;
        piece->base += part;
        piece->len -= part;
        bytes -= part;
        outgoing->first += piece->len == 0;
    }
}

bool outgoing_copy(const struct outgoing *outgoing, struct ebb_buf *to)
{
    if (!ebb_buf_reserve(to, outgoing->bytes)) /* once, and no more than there is */
        return false;
    for (unsigned i = outgoing->first; i < outgoing->count; i++)
        ebb_buf_add(to, outgoing->pieces[i].base, outgoing->pieces[i].len);
    return true;
}
