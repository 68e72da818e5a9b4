/* SPDX-License-Identifier: MIT */
/* splices.h: long values on their way out, not copied into the reply buffer. A splice is a place in
 * the replies where bytes of an item belong:
 *
 *   reply buffer   $20000\r\n  \r\n+OK\r\n$30000\r\n  \r\n
 *                            ^                       ^
 *   splices         20000 bytes of an item    30000 of another
 *
 * The items are pinned from the moment a handler adds a splice until the batch's replies have been
 * flushed. What the socket does not take by then is copied, but for values with pages of their own
 * (net/held.h). One struct for each worker.
 */
#ifndef EBB_SPLICES_H
#define EBB_SPLICES_H

#include "../../proto/ebb_buf.h"
#include "../store/store.h"

#ifdef EBB_HARD /* nearly every value, and one too many now and then */
#define SPLICE_MIN_BYTES 4u
#define SPLICES_MAX      3u
#else
#define SPLICE_MIN_BYTES (16u * 1024) /* below, copying is cheaper than the pin */
#define SPLICES_MAX      128u         /* in one flush; values beyond are copied */
#endif

struct splice {
    size_t at; /* behind so many bytes of the reply buffer's content */
    const char *data;
    size_t len;
};

struct splices {
    unsigned count;
    size_t bytes; /* of all */
    struct splice list[SPLICES_MAX];
    struct store_pin pins[SPLICES_MAX];
};

/* Takes a pin for the next splice, of a value that has just been read. false: there is no room for
 * one more, then the value is to be copied. */
bool splices_pin(struct splices *splices, struct store_session *session,
                 const struct store_key *key, const struct store_value *value);
/* Whether `len` bytes more would be within the maximum of `out` with all splices in it. So that no
 * transaction pins what it deletes beyond what its client may hold in buffers. */
static inline bool splices_fit(const struct splices *splices, const struct ebb_buf *out, size_t len)
{
    size_t held = ebb_buf_len(out) + splices->bytes;
    return held <= out->max_bytes && len <= out->max_bytes - held;
}
/* Puts bytes of the value just pinned behind what is in `out`. */
void splices_add(struct splices *splices, const struct ebb_buf *out, const char *data, size_t len);
/* Nothing behind the first `len` bytes of the reply buffer is sent. */
void splices_rewind(struct splices *splices, size_t len);
/* So many bytes have been taken off the front of the reply buffer, and no splice was in them. */
void splices_consume(struct splices *splices, size_t bytes);
/* Gives one of them away with its pin, which is the caller's from then on; the last one takes its
 * number. */
struct store_pin splices_take(struct splices *splices, unsigned number);
/* The replies have been flushed: takes the pins away. Leaves all shards. */
void splices_release(struct splices *splices, struct store_session *session);

#endif
