/* SPDX-License-Identifier: MIT */
/* values.h: chance by seed, keys, and values that can be told apart. No clock, no socket: the
 * benchmarks and tide use it against servers and bare heaps alike.
 */
#ifndef EBB_BENCH_VALUES_H
#define EBB_BENCH_VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- chance, by seed ---- */

struct prng {
    uint64_t state;
};

struct prng prng_seeded(uint64_t seed);
uint64_t prng_next(struct prng *prng);
uint64_t prng_below(struct prng *prng, uint64_t limit); /* 0 .. limit - 1 */

/* ---- sizes ---- */

struct sizes { /* uniform, both ends included; least == most is a fixed size */
    uint32_t least, most;
};

uint32_t sizes_pick(struct sizes sizes, struct prng *prng);

/* ---- keys and values ---- */

#define KEY_MAX_BYTES 64

/* The key of an item: different ids have different keys. Its length is one of `lengths`, 12 at
 * least. Returns the length. */
size_t key_length(uint64_t id, struct sizes lengths);
size_t key_write(char *text, uint64_t id, struct sizes lengths);

/* A value says whose it is in its first 16 bytes, as far as it has them; the rest follows from id
 * and version, so that a wrong byte anywhere is found. */
void value_write(void *data, size_t bytes, uint64_t id, uint32_t version);
bool value_is_right(const void *data, size_t bytes, uint64_t id, uint32_t version);

#endif
