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
    memset(text + 4, '0', length - 4); /* most of it: ids are small */
    for (size_t at = length; id != 0 && at-- > 4; id >>= 4)
        text[at] = digits[id & 15];
    return length;
}

/* What a value begins with, as far as it has room. */
struct head {
    uint64_t id, version;
};

/* The words behind it follow from both and from their place. One multiply each: as much is written
 * and checked as the server stores. */
static inline uint64_t next_word(uint64_t *state)
{
    uint64_t x = *state += GOLDEN;
    return (x ^ x >> 32) * UINT64_C(0xBF58476D1CE4E5B9);
}

void value_write(void *data, size_t bytes, uint64_t id, uint32_t version)
{
    const struct head head = {id, version};
    uint64_t state = mix(id << 24 ^ version), word;
    char *at = data;
    if (bytes <= sizeof head) {
        memcpy(at, &head, bytes);
        return;
    }
    memcpy(at, &head, sizeof head);
    for (at += sizeof head, bytes -= sizeof head; bytes >= sizeof word; bytes -= sizeof word) {
        word = next_word(&state);
        memcpy(at, &word, sizeof word);
        at += sizeof word;
    }
    word = next_word(&state);
    memcpy(at, &word, bytes);
}

bool value_is_right(const void *data, size_t bytes, uint64_t id, uint32_t version)
{
    const struct head head = {id, version};
    uint64_t state = mix(id << 24 ^ version), word, wrong_bits = 0;
    const char *at = data;
    if (bytes <= sizeof head)
        return memcmp(at, &head, bytes) == 0;
    if (memcmp(at, &head, sizeof head) != 0)
        return false;
    for (at += sizeof head, bytes -= sizeof head; bytes >= sizeof word; bytes -= sizeof word) {
        memcpy(&word, at, sizeof word);
        wrong_bits |= word ^ next_word(&state);
        at += sizeof word;
    }
    word = next_word(&state);
    return wrong_bits == 0 && memcmp(at, &word, bytes) == 0;
}
