/* SPDX-License-Identifier: MIT */
/* num.c: integers from and to text, bounded, without locale and without allocation.
 *
 * Parsing takes canonical decimal text only, as Redis does: what ebb_format_*() writes and nothing
 * else. That is what makes "is this value an integer" a question with one answer. memcached's laxer
 * reading of numbers is in mc.c. Called by the parsers, the writers, and commands.
 */
#include "ebb_proto.h"

#include <string.h>

#define U64_DIGITS_MAX 20u

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

bool ebb_parse_u64(const char *text, size_t len, uint64_t *value)
{
    if (len == 0 || len > U64_DIGITS_MAX || !is_digit(text[0]) || (text[0] == '0' && len > 1))
        return false;
    uint64_t number = 0;
    for (size_t i = 0; i < len; i++) {
        if (!is_digit(text[i]))
            return false;
        uint64_t digit = (uint64_t)(text[i] - '0');
        /* Only the twentieth digit can go over. */
        if (i == U64_DIGITS_MAX - 1 && number > (UINT64_MAX - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    *value = number;
    return true;
}

bool ebb_parse_i64(const char *text, size_t len, int64_t *value)
{
    bool is_negative = len > 0 && text[0] == '-';
    uint64_t magnitude;
    if (!ebb_parse_u64(text + is_negative, len - is_negative, &magnitude))
        return false;
    if (is_negative && magnitude == 0)
        return false;
    if (magnitude > (uint64_t)INT64_MAX + is_negative)
        return false;
    *value = (int64_t)(is_negative ? 0 - magnitude : magnitude);
    return true;
}

/* "00" to "99". */
static const char digit_pairs[] = "00010203040506070809"
                                  "10111213141516171819"
                                  "20212223242526272829"
                                  "30313233343536373839"
                                  "40414243444546474849"
                                  "50515253545556575859"
                                  "60616263646566676869"
                                  "70717273747576777879"
                                  "80818283848586878889"
                                  "90919293949596979899";

static inline void put_pair(char *text, uint64_t value)
{
    memcpy(text, digit_pairs + value * 2, 2);
}

static size_t digit_count(uint64_t value)
{
    size_t count = 1;
    while (value >= 10000) {
        value /= 10000;
        count += 4;
    }
    return count + (value >= 10) + (value >= 100) + (value >= 1000);
}

static size_t format_long(char *text, uint64_t value)
{
    size_t len = digit_count(value);
    char *at = text + len;
    while (value >= 100) {
        at -= 2;
        put_pair(at, value % 100);
        value /= 100;
    }
    if (value >= 10)
        put_pair(at - 2, value);
    else
        at[-1] = (char)('0' + value);
    return len;
}

/* Lengths and counts in replies are mostly short. */
size_t ebb_format_u64(char *text, uint64_t value)
{
    if (value >= 1000)
        return format_long(text, value);
    if (value < 10) {
        text[0] = (char)('0' + value);
        return 1;
    }
    if (value < 100) {
        put_pair(text, value);
        return 2;
    }
    text[0] = (char)('0' + value / 100);
    put_pair(text + 1, value % 100);
    return 3;
}

size_t ebb_format_i64(char *text, int64_t value)
{
    if (value >= 0)
        return ebb_format_u64(text, (uint64_t)value);
    text[0] = '-';
    return 1 + ebb_format_u64(text + 1, 0 - (uint64_t)value);
}
