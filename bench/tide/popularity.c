/* SPDX-License-Identifier: MIT */
/* popularity.c: see popularity.h. */
#include "popularity.h"

#include <math.h>

#define FRACTION_BITS (63 - POPULARITY_PART_BITS) /* of the mantissa, below a part's number */

void popularity_init(struct popularity *popularity, double zipf)
{
    double power = 1 / (1 - zipf);
    for (int zeros = 0; zeros < 64; zeros++)
        popularity->wholes[zeros] = exp2(-power * (zeros + 1));
    for (unsigned part = 0; part <= POPULARITY_PARTS; part++)
        popularity->parts[part] = pow(1 + (double)part / POPULARITY_PARTS, power);
}

size_t popularity_place(const struct popularity *popularity, uint64_t random, size_t count)
{
    random |= 1;
    int zeros = __builtin_clzll(random);
    uint64_t mantissa = random << zeros;
    unsigned part = (unsigned)(mantissa >> FRACTION_BITS) & (POPULARITY_PARTS - 1);
    double fraction = (double)(mantissa & ((UINT64_C(1) << FRACTION_BITS) - 1)) *
                      (1 / (double)(UINT64_C(1) << FRACTION_BITS));
    double low = popularity->parts[part], high = popularity->parts[part + 1];
    double share = popularity->wholes[zeros] * (low + fraction * (high - low));
    size_t at = (size_t)((double)count * share);
    return at < count ? at : count - 1;
}
