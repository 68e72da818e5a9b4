/* SPDX-License-Identifier: MIT */
/* bits.h: bitmaps of pages, slots and arenas. A bit's number counts from bit 0 of word 0. */
#ifndef EBB_ALLOC_BITS_H
#define EBB_ALLOC_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool bit_get(const uint64_t *words, size_t bit)
{
    return words[bit / 64] >> (bit % 64) & 1;
}

static inline void bit_set(uint64_t *words, size_t bit)
{
    words[bit / 64] |= UINT64_C(1) << (bit % 64);
}

static inline void bit_clear(uint64_t *words, size_t bit)
{
    words[bit / 64] &= ~(UINT64_C(1) << (bit % 64));
}

static inline void bit_assign(uint64_t *words, size_t bit, bool value)
{
    if (value)
        bit_set(words, bit);
    else
        bit_clear(words, bit);
}

/* The part of word `word` that lies in bits [from, to). */
static inline uint64_t bits_mask(size_t word, size_t from, size_t to)
{
    size_t low = word * 64;
    uint64_t mask = ~UINT64_C(0);
    if (from > low)
        mask = from >= low + 64 ? 0 : mask << (from - low);
    if (to < low + 64)
        mask &= to <= low ? 0 : ~UINT64_C(0) >> (low + 64 - to);
    return mask;
}

static inline void bits_fill(uint64_t *words, size_t from, size_t to, bool value)
{
    for (size_t w = from / 64; w * 64 < to; w++) {
        uint64_t mask = bits_mask(w, from, to);
        words[w] = value ? words[w] | mask : words[w] & ~mask;
    }
}

/* The same where others read single bits without the lock that its writers hold. */
static inline void bits_fill_shared(uint64_t *words, size_t from, size_t to, bool value)
{
    for (size_t w = from / 64; w * 64 < to; w++) {
        uint64_t mask = bits_mask(w, from, to);
        __atomic_store_n(&words[w], value ? words[w] | mask : words[w] & ~mask, __ATOMIC_RELAXED);
    }
}

static inline size_t bits_count(const uint64_t *words, size_t from, size_t to)
{
    size_t count = 0;
    for (size_t w = from / 64; w * 64 < to; w++)
        count += (size_t)__builtin_popcountll(words[w] & bits_mask(w, from, to));
    return count;
}

/* The first bit at or after `from` with that value, or `limit`. */
static inline size_t bits_next(const uint64_t *words, size_t from, size_t limit, bool value)
{
    for (size_t w = from / 64; w * 64 < limit; w++) {
        uint64_t word = (value ? words[w] : ~words[w]) & bits_mask(w, from, limit);
        if (word != 0)
            return w * 64 + (size_t)__builtin_ctzll(word);
    }
    return limit;
}

/* The last set bit below `limit`, or SIZE_MAX. */
static inline size_t bits_last(const uint64_t *words, size_t limit)
{
    for (size_t w = (limit + 63) / 64; w-- > 0;) {
        uint64_t word = words[w] & bits_mask(w, 0, limit);
        if (word != 0)
            return w * 64 + 63 - (size_t)__builtin_clzll(word);
    }
    return SIZE_MAX;
}

#endif
