/* SPDX-License-Identifier: MIT */
/* splices.c: see splices.h. Handlers add, net/unsent.c sends and releases. */
#include "splices.h"

bool splices_pin(struct splices *splices, struct store_session *session,
                 const struct store_key *key, const struct store_value *value)
{
    return splices->count < SPLICES_MAX &&
           store_pin(session, key, value, &splices->pins[splices->count]);
}

void splices_add(struct splices *splices, const struct ebb_buf *out, const char *data, size_t len)
{
    splices->list[splices->count++] =
        (struct splice){.at = ebb_buf_len(out), .data = data, .len = len};
    splices->bytes += len;
}

/* A reply has bytes in front of its splices and behind them, so none lies at its very beginning or
 * end. Those that are not sent are empty from now on; their pins go with the others. */
void splices_rewind(struct splices *splices, size_t len)
{
    for (unsigned i = splices->count; i-- > 0 && splices->list[i].at > len;) {
        splices->bytes -= splices->list[i].len;
        splices->list[i] = (struct splice){.at = len, .data = ""};
    }
}

void splices_consume(struct splices *splices, size_t bytes)
{
    for (unsigned i = 0; i < splices->count; i++)
        splices->list[i].at -= bytes;
}

struct store_pin splices_take(struct splices *splices, unsigned number)
{
    struct store_pin pin = splices->pins[number];
    unsigned last = --splices->count;
    splices->bytes -= splices->list[number].len;
    splices->list[number] = splices->list[last];
    splices->pins[number] = splices->pins[last];
    return pin;
}

void splices_release(struct splices *splices, struct store_session *session)
{
    store_unpin(session, splices->pins, splices->count);
    splices->count = 0;
    splices->bytes = 0;
}
