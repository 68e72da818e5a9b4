/* SPDX-License-Identifier: MIT */
/* popularity.h: places by Zipf's law, the first is asked for most.
 *
 * A place is count x u^power with u even in (0, 1). pow() would cost as much as composing the
 * command, so u is taken apart: the power of its leading zeros and that of its mantissa, between
 * two neighbours of a table, multiply to u^power, within 0.2 % for exponents up to 0.99.
 */
#ifndef EBB_TIDE_POPULARITY_H
#define EBB_TIDE_POPULARITY_H

#include <stddef.h>
#include <stdint.h>

#define POPULARITY_PART_BITS 10
#define POPULARITY_PARTS     (1u << POPULARITY_PART_BITS)

struct popularity {
    double wholes[64];                  /* by leading zeros */
    double parts[POPULARITY_PARTS + 1]; /* by the mantissa, which is in [1, 2] */
};

/* zipf: the exponent, from 0 (all alike) to below 1. */
void popularity_init(struct popularity *popularity, double zipf);
/* `random`: all 64 bits even. Below count, which is not 0. */
size_t popularity_place(const struct popularity *popularity, uint64_t random, size_t count);

#endif
