/* SPDX-License-Identifier: MIT */
/* test_bits.c: the bitmaps against an array of bools, at every pair of borders. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "../alloc/bits.h"
#include "support/rng.h"

#define BITS  200u /* three words and a part: borders inside, between and at the end of words */
#define WORDS 4u

struct twin_map {
    uint64_t words[WORDS];
    bool bits[WORDS * 64];
};

static void fill_randomly(struct twin_map *map, struct rng *rng, unsigned density)
{
    for (size_t b = 0; b < WORDS * 64; b++) {
        map->bits[b] = rng_below(rng, 100) < density;
        bit_assign(map->words, b, map->bits[b]);
    }
}

static void assert_same(const struct twin_map *map)
{
    for (size_t b = 0; b < WORDS * 64; b++)
        assert_int_equal(bit_get(map->words, b), map->bits[b]);
}

static void bit_set_and_clear_touch_one_bit(void **state)
{
    (void)state;
    for (size_t b = 0; b < WORDS * 64; b++) {
        uint64_t words[WORDS] = {0};
        bit_set(words, b);
        assert_true(bit_get(words, b));
        assert_int_equal(bits_count(words, 0, WORDS * 64), 1);
        bit_clear(words, b);
        assert_int_equal(bits_count(words, 0, WORDS * 64), 0);
    }
}

static void fill_and_count_agree_with_a_loop(void **state)
{
    (void)state;
    struct rng rng = rng_start("bits");
    struct twin_map map;
    for (size_t from = 0; from <= BITS; from++)
        for (size_t to = from; to <= BITS; to++) {
            if (to % 16 == 0) /* a fresh ground now and then: filling wears it out */
                fill_randomly(&map, &rng, 50);
            bool value = rng_once_in(&rng, 2);
            size_t count = 0;
            for (size_t b = from; b < to; b++)
                count += map.bits[b];
            assert_int_equal(bits_count(map.words, from, to), count);
            bits_fill(map.words, from, to, value);
            memset(map.bits + from, value, to - from);
            if ((from + to) % 32 == 0)
                assert_same(&map);
        }
    assert_same(&map);
}

static void next_finds_the_first_at_or_after(void **state)
{
    (void)state;
    struct rng rng = rng_start("bits");
    struct twin_map map;
    static const unsigned densities[] = {0, 2, 50, 98, 100};
    for (size_t d = 0; d < sizeof densities / sizeof *densities; d++) {
        fill_randomly(&map, &rng, densities[d]);
        for (size_t from = 0; from <= BITS; from++)
            for (size_t limit = 0; limit <= BITS; limit++)
                for (int value = 0; value <= 1; value++) {
                    size_t expected = from;
                    while (expected < limit && map.bits[expected] != (bool)value)
                        expected++;
                    if (expected > limit)
                        expected = limit;
                    assert_int_equal(bits_next(map.words, from, limit, value), expected);
                }
    }
}

static void last_finds_the_last_below(void **state)
{
    (void)state;
    struct rng rng = rng_start("bits");
    struct twin_map map;
    for (unsigned round = 0; round < 200; round++) {
        fill_randomly(&map, &rng, round % 5 * 2);
        for (size_t limit = 0; limit <= BITS; limit++) {
            size_t expected = SIZE_MAX;
            for (size_t b = 0; b < limit; b++)
                if (map.bits[b])
                    expected = b;
            assert_true(bits_last(map.words, limit) == expected);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bit_set_and_clear_touch_one_bit),
        cmocka_unit_test(fill_and_count_agree_with_a_loop),
        cmocka_unit_test(next_finds_the_first_at_or_after),
        cmocka_unit_test(last_finds_the_last_below),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
