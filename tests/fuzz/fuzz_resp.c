/* SPDX-License-Identifier: MIT */
/* fuzz_resp.c: libFuzzer on RESP requests. However the bytes are split, the parser must say the
 * same, and every argument must lie inside the bytes of its command (feed.c sees to both).
 *
 * The first byte chooses the limits, so that small inputs reach them.
 */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct feed_resp resp;
    struct feed_target target = feed_resp_target(&resp);
    if (size == 0)
        return 0;
    resp.settings.unauthenticated = data[0] & 1;
    resp.settings.bulk_max_bytes = data[0] & 2 ? 20 : 0;
    fuzz_feed(&target, data + 1, size - 1);
    feed_resp_release(&resp);
    return 0;
}
