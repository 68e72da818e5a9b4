/* SPDX-License-Identifier: MIT */
/* fuzz_http.c: libFuzzer on HTTP requests; what must hold is said in fuzz_resp.c. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct feed_target target = feed_http_target();
    fuzz_feed(&target, data, size);
    return 0;
}
