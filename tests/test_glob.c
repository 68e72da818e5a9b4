/* SPDX-License-Identifier: MIT */
/* test_glob.c: patterns of KEYS, SCAN and CONFIG GET, against what Redis 7 answers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../server/cmd/glob.h"
#include "support/rng.h"

static bool fits(const char *pattern, const char *text)
{
    return glob_matches(pattern, strlen(pattern), text, strlen(text), false);
}

static bool fits_any_case(const char *pattern, const char *text)
{
    return glob_matches(pattern, strlen(pattern), text, strlen(text), true);
}

static void glob_fits_plain_text_to_itself_only(void **state)
{
    (void)state;
    assert_true(fits("abc", "abc"));
    assert_false(fits("abc", "ab"));
    assert_false(fits("ab", "abc"));
    assert_false(fits("", "a"));
    assert_true(fits("", ""));
    assert_false(fits("abc", "ABC"));
}

static void glob_lets_a_question_mark_be_one_byte(void **state)
{
    (void)state;
    assert_true(fits("h?llo", "hello"));
    assert_false(fits("h?llo", "hllo"));
    assert_true(glob_matches("?", 1, "\0", 1, false));
}

static void glob_lets_a_star_be_any_bytes(void **state)
{
    (void)state;
    assert_true(fits("*", "anything"));
    assert_true(fits("h*o", "ho"));
    assert_true(fits("h**o", "hello"));
    assert_true(fits("*a*b", "xaxbxb"));
    assert_false(fits("*a*b", "xaxbxc"));
    assert_true(fits("a*", "a"));
    assert_false(fits("*a?", "xa"));
}

/* So in Redis, where KEYS * and SCAN pass by the matcher. */
static void glob_fits_no_star_to_the_empty_text(void **state)
{
    (void)state;
    assert_false(fits("*", ""));
    assert_false(fits("**", ""));
}

static void glob_knows_sets_and_ranges(void **state)
{
    (void)state;
    assert_true(fits("h[ae]llo", "hallo"));
    assert_false(fits("h[ae]llo", "hillo"));
    assert_true(fits("h[^e]llo", "hallo"));
    assert_false(fits("h[^e]llo", "hello"));
    assert_true(fits("h[a-c]llo", "hbllo"));
    assert_true(fits("h[c-a]llo", "hbllo"));
    assert_false(fits("h[a-c]llo", "hdllo"));
    assert_true(fits("[\\]]", "]"));
    assert_true(fits("[a\\-z]", "-"));
    assert_false(fits("[a\\-z]", "b"));
}

static void glob_reads_ill_formed_sets_as_redis_does(void **state)
{
    (void)state;
    assert_true(fits("[abc", "b"));
    assert_false(fits("[", "["));
    assert_true(fits("[^", "x"));
    assert_false(fits("[]a", "]a"));
    assert_false(fits("[", "x"));
    assert_true(fits("a[\\", "a\\"));
}

static void glob_takes_what_is_escaped_literally(void **state)
{
    (void)state;
    assert_true(fits("\\*", "*"));
    assert_false(fits("\\*", "a"));
    assert_true(fits("a\\\\b", "a\\b"));
    assert_true(fits("a\\", "a\\"));
}

static void glob_can_ignore_case(void **state)
{
    (void)state;
    assert_true(fits_any_case("MAX*", "maxmemory"));
    assert_true(fits_any_case("[A-C]x", "bX"));
    assert_false(fits_any_case("[Z-a]", "m")); /* 'z' above 'a' once the case is gone */
    assert_false(fits_any_case("[\\A]", "a"));
}

static void glob_tells_plain_patterns_from_others(void **state)
{
    (void)state;
    assert_true(glob_is_all("*", 1));
    assert_false(glob_is_all("**", 2));
    assert_true(glob_is_plain("maxmemory", 9));
    assert_false(glob_is_plain("max*", 4));
    assert_false(glob_is_plain("a[b", 3));
}

/* The matcher as anybody would write it first, for patterns of stars, question marks and bytes. */
static bool fits_naively(const char *pattern, const char *text)
{
    if (*pattern == '\0')
        return *text == '\0';
    if (*pattern == '*')
        return fits_naively(pattern + 1, text) ||
               (*text != '\0' && fits_naively(pattern, text + 1));
    return *text != '\0' && (*pattern == '?' || *pattern == *text) &&
           fits_naively(pattern + 1, text + 1);
}

static void glob_agrees_with_a_naive_matcher(void **state)
{
    (void)state;
    struct rng rng = rng_start("glob");
    size_t fitted = 0;
    for (int i = 0; i < SCALED(300000); i++) {
        char pattern[8] = "", text[9] = "";
        size_t pattern_len = rng_below(&rng, 7), text_len = rng_between(&rng, 1, 8);
        for (size_t j = 0; j < pattern_len; j++)
            pattern[j] = "ab?*"[rng_below(&rng, 4)];
        for (size_t j = 0; j < text_len; j++)
            text[j] = "ab"[rng_below(&rng, 2)];
        if (fits(pattern, text) != fits_naively(pattern, text))
            fail_msg("'%s' and '%s'", pattern, text);
        fitted += fits(pattern, text);
    }
    assert_true(fitted > 1000);
}

/* A matcher that tries every star anew would take longer than the world lasts. */
static void glob_is_quick_about_malicious_patterns(void **state)
{
    (void)state;
    char pattern[2001], text[20001];
    for (size_t i = 0; i < 2000; i += 2)
        memcpy(pattern + i, "*a", 2);
    pattern[1999] = 'b';
    pattern[2000] = '\0';
    memset(text, 'a', sizeof(text) - 1);
    text[20000] = '\0';
    assert_false(fits(pattern, text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(glob_fits_plain_text_to_itself_only),
        cmocka_unit_test(glob_lets_a_question_mark_be_one_byte),
        cmocka_unit_test(glob_lets_a_star_be_any_bytes),
        cmocka_unit_test(glob_fits_no_star_to_the_empty_text),
        cmocka_unit_test(glob_knows_sets_and_ranges),
        cmocka_unit_test(glob_reads_ill_formed_sets_as_redis_does),
        cmocka_unit_test(glob_takes_what_is_escaped_literally),
        cmocka_unit_test(glob_can_ignore_case),
        cmocka_unit_test(glob_tells_plain_patterns_from_others),
        cmocka_unit_test(glob_agrees_with_a_naive_matcher),
        cmocka_unit_test(glob_is_quick_about_malicious_patterns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
