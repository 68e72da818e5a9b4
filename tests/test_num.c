/* SPDX-License-Identifier: MIT */
/* test_num.c: integers to and from text, against libc. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "../proto/ebb_proto.h"

static void num_reads_the_limits(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t value;
    } numbers[] = {
        {"0", 0},
        {"-1", -1},
        {"9", 9},
        {"1000000000000000000", 1000000000000000000},
        {"9223372036854775807", INT64_MAX},
        {"-9223372036854775808", INT64_MIN},
    };
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        int64_t value = 77;
        assert_true(ebb_parse_i64(numbers[i].text, strlen(numbers[i].text), &value));
        assert_true(value == numbers[i].value);
    }
    uint64_t value = 77;
    assert_true(ebb_parse_u64("18446744073709551615", 20, &value));
    assert_true(value == UINT64_MAX);
}

static void num_refuses_what_it_would_not_write(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "-",
                                        "+5",
                                        "05",
                                        "-0",
                                        "-05",
                                        " 5",
                                        "5 ",
                                        "5x",
                                        "0x5",
                                        "--5",
                                        "1e3",
                                        "1.0",
                                        "00",
                                        "\n5",
                                        "5\r",
                                        "a",
                                        "9223372036854775808",
                                        "-9223372036854775809",
                                        "99999999999999999999",
                                        "100000000000000000000"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        int64_t value = 77;
        assert_false(ebb_parse_i64(texts[i], strlen(texts[i]), &value));
        assert_int_equal(value, 77);
    }
    static const char *const not_unsigned[] = {"-1", "18446744073709551616", "18446744073709551620",
                                               "28446744073709551615", ""};
    for (size_t i = 0; i < sizeof(not_unsigned) / sizeof(not_unsigned[0]); i++) {
        uint64_t value = 77;
        assert_false(ebb_parse_u64(not_unsigned[i], strlen(not_unsigned[i]), &value));
        assert_int_equal(value, 77);
    }
    int64_t value;
    assert_false(ebb_parse_i64("5\0", 2, &value)); /* a NUL is no end */
}

static void check_round_trip(uint64_t number)
{
    char text[EBB_NUM_TEXT_BYTES + 1], expected[EBB_NUM_TEXT_BYTES + 1];
    uint64_t as_unsigned;
    int64_t as_signed;

    size_t len = ebb_format_u64(text, number);
    text[len] = '\0';
    snprintf(expected, sizeof(expected), "%" PRIu64, number);
    assert_string_equal(text, expected);
    assert_true(ebb_parse_u64(text, len, &as_unsigned));
    assert_true(as_unsigned == number);

    len = ebb_format_i64(text, (int64_t)number);
    text[len] = '\0';
    snprintf(expected, sizeof(expected), "%" PRId64, (int64_t)number);
    assert_string_equal(text, expected);
    assert_true(ebb_parse_i64(text, len, &as_signed));
    assert_true(as_signed == (int64_t)number);
}

static void num_writes_what_libc_writes(void **state)
{
    (void)state;
    uint64_t seed = (uint64_t)time(NULL);
    printf("# seed %" PRIu64 "\n", seed);
    for (uint64_t i = 0; i < 100001; i++)
        check_round_trip(i);
    uint64_t power = 1;
    for (int digits = 1; digits < 20; digits++, power *= 10) {
        check_round_trip(power - 1);
        check_round_trip(power);
        check_round_trip(power + 1);
    }
    for (int i = 0; i < 300000; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        check_round_trip((seed ^ seed >> 31) >> (seed >> 58));
    }
    check_round_trip(UINT64_MAX);
    check_round_trip((uint64_t)INT64_MAX);
    check_round_trip((uint64_t)INT64_MIN);
}

/* Whatever the text: accepted if and only if writing the number gives the text again. */
static void num_accepts_exactly_the_canonical(void **state)
{
    (void)state;
    static const char alphabet[] = "0123456789012345678901234567890123456789-+ x";
    uint64_t seed = (uint64_t)time(NULL);
    printf("# seed %" PRIu64 "\n", seed);
    for (int i = 0; i < 300000; i++) {
        char text[32], again[32];
        size_t len = 0;
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        size_t wanted = (size_t)(seed >> 40) % 22;
        for (; len < wanted; len++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            text[len] = len == 0 && (seed >> 60) == 0
                            ? '-'
                            : alphabet[(seed >> 33) % (sizeof(alphabet) - 1)];
        }
        text[len] = '\0';
        snprintf(again, sizeof(again), "%lld", strtoll(text, NULL, 10));
        int64_t value;
        assert_int_equal(ebb_parse_i64(text, len, &value), strcmp(text, again) == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(num_reads_the_limits),
        cmocka_unit_test(num_refuses_what_it_would_not_write),
        cmocka_unit_test(num_writes_what_libc_writes),
        cmocka_unit_test(num_accepts_exactly_the_canonical),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
