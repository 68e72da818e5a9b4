/* SPDX-License-Identifier: MIT */
/* test_bit.c: values as arrays of bits, and LCS. The answers are those of redis-server 7.0.15; more
 * of them are in e2e/wire/bits.txt and copies.txt.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "support/cmd_talk.h"
#include "support/rng.h"

#define BIT_OFFSET "-ERR bit offset is not an integer or out of range\r\n"

static void bits_are_set_where_they_lie(void **state)
{
    TALK({"SETBIT k 7 1", ":0\r\n"}, {"GET k", "$1\r\n\x01\r\n"}, {"SETBIT k 7 0", ":1\r\n"},
         {"SETBIT k 16 1", ":0\r\n"}, {"STRLEN k", ":3\r\n"}, {"GETBIT k 16", ":1\r\n"},
         {"GETBIT k 99", ":0\r\n"}, {"SETBIT k -1 1", BIT_OFFSET},
         {"SETBIT k 4294967296 1", BIT_OFFSET},
         {"SETBIT k 0 2", "-ERR bit is not an integer or out of range\r\n"},
         {"SET t abc EX 100", OK}, {"SETBIT t 100 1", ":0\r\n"}, {"TTL t", ":100\r\n"});
}

static void an_edited_value_gets_a_new_number(void **state)
{
    struct world *world = *state;
    char first[256];

    RESP("SET k abc", OK);
    snprintf(first, sizeof(first), "%s", world_mc(world, "gets k\r\n"));
    RESP("SETBIT k 7 0", ":1\r\n");
    assert_string_not_equal(world_mc(world, "gets k\r\n"), first);
}

static void ranges_count_bytes_or_bits(void **state)
{
    TALK({"SET k foobar", OK}, {"BITCOUNT k", ":26\r\n"}, {"BITCOUNT k 1 1", ":6\r\n"},
         {"BITCOUNT k 5 30 BIT", ":17\r\n"}, {"BITCOUNT k 5 30 WORD", SYNTAX},
         {"BITCOUNT none x y z", ":0\r\n"}, {"BITPOS k 1 3 20 BIT", ":5\r\n"},
         {"BITPOS k 1 -2 -1", ":33\r\n"}, {"SET k \"\\xff\\xff\\xff\"", OK},
         {"BITPOS k 0", ":24\r\n"}, {"BITPOS k 0 0 -1", ":-1\r\n"}, {"BITPOS none 0", ":0\r\n"},
         {"BITPOS none 1", ":-1\r\n"}, {"BITPOS k 2", "-ERR The bit argument must be 1 or 0.\r\n"});
}

static void bitop_pads_the_shorter_with_zeros(void **state)
{
    TALK({"SET a foobar", OK}, {"SET b \"\\xff\\xff\\xff\"", OK}, {"BITOP OR d a none", ":6\r\n"},
         {"GET d", "$6\r\nfoobar\r\n"}, {"BITOP AND d a b", ":6\r\n"},
         {"GETRANGE d 0 2", "$3\r\nfoo\r\n"}, {"BITCOUNT d 3 5", ":0\r\n"},
         {"BITOP XOR a a a", ":6\r\n"}, {"BITCOUNT a", ":0\r\n"}, {"BITOP NOT a b", ":3\r\n"},
         {"BITCOUNT a", ":0\r\n"}, {"BITOP AND a none", ":0\r\n"}, {"EXISTS a", ":0\r\n"},
         {"BITOP NAND a b", SYNTAX});
}

static void bitop_takes_more_keys_than_a_chunk(void **state)
{
    struct world *world = *state;
    struct ebb_slice words[3 + 150] = {{"BITOP", 5}, {"OR", 2}, {"d", 1}};
    char names[150][8], line[64];

    for (unsigned i = 0; i < 150; i++) {
        snprintf(names[i], sizeof(names[i]), "k%u", i);
        words[3 + i] = (struct ebb_slice){names[i], strlen(names[i])};
        snprintf(line, sizeof(line), "SETBIT k%u %u 1", i, i);
        world_resp(world, line);
    }
    assert_string_equal(world_resp_words(world, words, 153), ":19\r\n");
    RESP("BITCOUNT d", ":150\r\n");
}

/* Against a twin that keeps one bit a byte. */
static void fields_hold_what_was_written(void **state)
{
    struct world *world = *state;
    unsigned char twin[2000] = {0};
    struct rng rng = rng_start("fields");
    char line[128], answer[64];

    RESP("SETBIT f 1999 0", ":0\r\n");
    for (unsigned round = 0; round < SCALED(20000); round++) {
        unsigned bits = 1 + (unsigned)(rng_next(&rng) % 63);
        unsigned offset = (unsigned)(rng_next(&rng) % (2000 - bits));
        uint64_t number = rng_next(&rng) >> (64 - bits), old = 0;
        for (unsigned i = 0; i < bits; i++) {
            old = old << 1 | twin[offset + i];
            twin[offset + i] = number >> (bits - 1 - i) & 1;
        }
        snprintf(line, sizeof(line), "BITFIELD f SET u%u %u %llu GET u%u %u", bits, offset,
                 (unsigned long long)number, bits, offset);
        snprintf(answer, sizeof(answer), "*2\r\n:%llu\r\n:%llu\r\n", (unsigned long long)old,
                 (unsigned long long)number);
        assert_string_equal(world_resp(world, line), answer);
    }
    for (unsigned i = 0; i < 2000; i++) {
        snprintf(line, sizeof(line), "GETBIT f %u", i);
        snprintf(answer, sizeof(answer), ":%u\r\n", twin[i]);
        assert_string_equal(world_resp(world, line), answer);
    }
}

static void overflow_wraps_saturates_or_fails(void **state)
{
    TALK({"BITFIELD k SET u8 0 255 INCRBY u8 0 10", "*2\r\n:0\r\n:9\r\n"},
         {"BITFIELD k OVERFLOW SAT INCRBY u8 0 1000 OVERFLOW FAIL INCRBY u8 0 1",
          "*2\r\n:255\r\n$-1\r\n"},
         {"BITFIELD k SET i64 0 -9223372036854775808 INCRBY i64 0 -1",
          "*2\r\n:-72057594037927936\r\n:9223372036854775807\r\n"},
         {"BITFIELD k OVERFLOW SAT SET i8 0 -9223372036854775808 GET i8 0",
          "*2\r\n:127\r\n:-128\r\n"},
         {"BITFIELD_RO k GET u4 #1", "*1\r\n:0\r\n"},
         {"BITFIELD_RO k SET u4 0 1", "-ERR BITFIELD_RO only supports the GET subcommand\r\n"},
         {"BITFIELD none GET u8 0", "*1\r\n:0\r\n"}, {"EXISTS none", ":0\r\n"},
         {"BITFIELD k OVERFLOW x", "-ERR Invalid OVERFLOW type specified\r\n"},
         {"BITFIELD k GET u8", SYNTAX});
}

static void lcs_finds_what_is_common(void **state)
{
    TALK({"SET a ohmytext", OK}, {"SET b mynewtext", OK}, {"LCS a b", "$6\r\nmytext\r\n"},
         {"LCS a b LEN", ":6\r\n"}, {"LCS a none", "$0\r\n\r\n"}, {"LCS a none LEN", ":0\r\n"},
         {"LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN",
          "*4\r\n$7\r\nmatches\r\n*1\r\n*3\r\n*2\r\n:4\r\n:7\r\n*2\r\n:5\r\n:8\r\n:4\r\n$3\r\nlen"
          "\r\n:6\r\n"},
         {"LCS a b IDX LEN",
          "-ERR If you want both the length and indexes, please just use IDX.\r\n"},
         {"SETBIT a 800000 1", ":0\r\n"}, {"SETBIT b 800000 1", ":0\r\n"},
         {"LCS a b", "-ERR Insufficient memory, transient memory for LCS exceeds "
                     "proto-max-bulk-len\r\n"});
}

/* Resident at most, since the start. */
static long most_resident_kb(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

/* What is refused for its size has not been copied before. */
static void lcs_copies_nothing_that_it_refuses(void **state)
{
    TALK({"SETBIT a 268435455 1", ":0\r\n"}, {"SETBIT b 268435455 1", ":0\r\n"});
    long before_kb = most_resident_kb();
    RESP("LCS a b LEN", "-ERR Insufficient memory, transient memory for LCS exceeds "
                        "proto-max-bulk-len\r\n");
    assert_in_range(most_resident_kb() - before_kb, 0, 16 << 10);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(bits_are_set_where_they_lie),        TEST(an_edited_value_gets_a_new_number),
        TEST(ranges_count_bytes_or_bits),         TEST(bitop_pads_the_shorter_with_zeros),
        TEST(bitop_takes_more_keys_than_a_chunk), TEST(fields_hold_what_was_written),
        TEST(overflow_wraps_saturates_or_fails),  TEST(lcs_finds_what_is_common),
        TEST(lcs_copies_nothing_that_it_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
