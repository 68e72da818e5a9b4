/* SPDX-License-Identifier: MIT */
/* fuzz_mc.c: libFuzzer on memcached text requests; what must hold is said in fuzz_resp.c. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct feed_mc mc;
    struct feed_target target = feed_mc_target(&mc);
    if (size == 0)
        return 0;
    mc.value_max_bytes = data[0]; /* some values are refused and skipped */
    fuzz_feed(&target, data + 1, size - 1);
    feed_mc_release(&mc);
    return 0;
}
