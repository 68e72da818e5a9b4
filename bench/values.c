/* SPDX-License-Identifier: MIT */
/* values.c: see values.h. Everything follows from the seed. */
#include "values.h"

#include <string.h>

/* ---- chance ---- */

static uint64_t mix(uint64_t x) /* splitmix64, Vigna 2015 */
{
    x ^= x >> 30;
    x *= UINT64_C(0xBF58476D1CE4E5B9);
    x ^= x >> 27;
    x *= UINT64_C(0x94D049BB133111EB);
    return x ^ x >> 31;
}

#define GOLDEN UINT64_C(0x9E3779B97F4A7C15)

struct prng prng_seeded(uint64_t seed)
{
    return (struct prng){mix(seed + GOLDEN)};
}

uint64_t prng_next(struct prng *prng)
{
    return mix(prng->state += GOLDEN);
}

uint64_t prng_below(struct prng *prng, uint64_t limit)
{
    return (uint64_t)((unsigned __int128)prng_next(prng) * limit >> 64);
}

uint32_t sizes_pick(struct sizes sizes, struct prng *prng)
{
    if (sizes.least == sizes.most)
        return sizes.least;
    return sizes.least + (uint32_t)prng_below(prng, sizes.most - sizes.least + 1);
}

/* ---- keys and values ---- */

size_t key_length(uint64_t id, struct sizes lengths)
{
    return lengths.least + id % (lengths.most - lengths.least + 1);
}

size_t key_write(char *text, uint64_t id, struct sizes lengths)
{
    static const char digits[] = "0123456789abcdef";
    size_t length = key_length(id, lengths);
    memcpy(text, "key:", 4);
    for (size_t at = length; at-- > 4; id >>= 4)
        text[at] = digits[id & 15];
    return length;
}

/* The word at that place in a value. */
static uint64_t value_word(size_t index, uint64_t id, uint32_t version)
{
    if (index == 0)
        return id;
    if (index == 1)
        return version;
    return mix((id << 24 ^ version) + index * GOLDEN);
}

void value_write(void *data, size_t bytes, uint64_t id, uint32_t version)
{
    char *at = data;
    size_t index = 0;
    for (; bytes >= sizeof(uint64_t); bytes -= sizeof(uint64_t), at += sizeof(uint64_t)) {
        uint64_t word = value_word(index++, id, version);
        memcpy(at, &word, sizeof word);
    }
    uint64_t word = value_word(index, id, version);
    memcpy(at, &word, bytes);
}

bool value_is_right(const void *data, size_t bytes, uint64_t id, uint32_t version)
{
    const char *at = data;
    size_t index = 0;
    for (; bytes >= sizeof(uint64_t); bytes -= sizeof(uint64_t), at += sizeof(uint64_t)) {
        uint64_t word = value_word(index++, id, version);
        if (memcmp(at, &word, sizeof word) != 0)
            return false;
    }
    uint64_t word = value_word(index, id, version);
    return memcmp(at, &word, bytes) == 0;
}
