/* SPDX-License-Identifier: MIT */
/* test_mc_meta.c: requests of memcached's meta commands, and base64. What is expected was asked of
 * a real memcached 1.6.18, but for the flags that came later (E, x).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "support/feed.h"
#include "support/rng.h"

/* The parser must say so however the bytes are split. */
static void expect(const char *input, const char *expected)
{
    struct feed_mc mc;
    struct ebb_buf log;
    struct feed_target target = feed_mc_target(&mc);
    ebb_buf_init(&log, 64u << 20);
    assert_true(feed_all_ways(&target, input, strlen(input), &log));
    assert_true(ebb_buf_add(&log, "", 1)); /* a NUL for the comparison */
    assert_string_equal(ebb_buf_data(&log), expected);
    ebb_buf_release(&log);
    feed_mc_release(&mc);
}

struct example {
    const char *line; /* without its end */
    const char *expected;
};

#define EXPECT_EACH(examples) expect_each(examples, sizeof(examples) / sizeof(examples[0]))

static void expect_each(const struct example *examples, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char input[1024], expected[1024];
        for (int crlf = 0; crlf < 2; crlf++) {
            snprintf(input, sizeof(input), "%s%s", examples[i].line, crlf ? "\r\n" : "\n");
            snprintf(expected, sizeof(expected), "%s\n", examples[i].expected);
            expect(input, expected);
        }
    }
}

#define K50  "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"
#define K250 K50 K50 K50 K50 K50

#define BAD_FORMAT "= CLIENT_ERROR bad command line format"
#define BAD_TOKEN  "= CLIENT_ERROR bad token in command line format"
#define BAD_FLAG   "= CLIENT_ERROR invalid or duplicate flag"
#define DUPLICATE  "= CLIENT_ERROR duplicate flag"
#define INVALID    "= CLIENT_ERROR invalid flag"
#define BAD_KEY    "= CLIENT_ERROR error decoding key"
#define LONG_FLAGS "= CLIENT_ERROR options flags too long"
#define LONG_MARK  "= CLIENT_ERROR opaque token too long"
#define EIGHTEEN   "c f h k l s t v O1 P2 L3 u q T0 R0 I C1"

/* ---- what is read ---- */

static void meta_reads_a_key_and_flags_in_their_order(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {"mg k", "mg [k]"},
        {"mg k v", "mg [k][v]"},
        {"  mg   k   v  t k ", "mg [k][v][t][k]"},
        {"mg k O7 s Pfoo L", "mg [k][O7][s][Pfoo][L]"},
        {"mg k T-1 N30 R60", "mg [k][T-1][N30][R60] vivify=30 recache=60 exptime=-1"},
        {"mg k v\tx", "mg [k][v\tx]"},
        {"mg k v C1 D2 J3 F4 I ME",
         "mg [k][v][C1][D2][J3][F4][I][ME] flags=4 cas=1 initial=3 mode=E"},
        {"mg " K250 " k", "mg [" K250 "][k]"},
        {"md k q", "md [k][q]"},
        {"md k I T9 C18446744073709551615", "md [k][I][T9][C18446744073709551615] "
                                            "cas=18446744073709551615 exptime=9"},
        {"md k x E5 F7", "md [k][x][E5][F7] flags=7 new-cas=5"},
        {"ma k", "ma [k]"},
        {"ma k N0 J13 D2 MD", "ma [k][N0][J13][D2][MD] vivify=0 initial=13 mode=D"},
        {"ma k M+", "ma [k][M+] mode=+"},
        {"mn", "mn "},
        {"mn a b", "mn [a][b]"},
        {"me k", "me [k]"},
        {"me k xx", "me [k]"},
    };
    EXPECT_EACH(examples);
}

static void meta_reads_values(void **state)
{
    (void)state;
    expect("ms k 3\r\nabc\r\n", "ms [k] [abc]\n");
    expect("ms k 0 T90 F1 c\r\n\r\nmn\r\n", "ms [k][T90][F1][c] flags=1 exptime=90 []\nmn \n");
    expect("ms k 4\na\r\nb\r\n", "ms [k] [a\r\nb]\n");
    expect("ms k 1 C5 E6 I MS q O3 k s N7\r\nx\r\n",
           "ms [k][C5][E6][I][MS][q][O3][k][s][N7] vivify=7 cas=5 new-cas=6 mode=S [x]\n");
    expect("ms k 3\r\nab", "...10\n");
    expect("ms k 3\r\nabcd\r\nmn\r\n", "= CLIENT_ERROR bad data chunk\n= ERROR\nmn \n");
}

static void meta_decodes_keys(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {"mg Zm9v b v", "mg [foo][b][v]"},
        {"mg Zm8= v b", "mg [fo][v][b]"},
        {"md Zg== b", "md [f][b]"},
        {"ma +/+/ b", "ma [\xfb\xff\xbf][b]"},
        {"me Zm9v b", "me [foo]"},
        {"me Zm9v bb", "me [Zm9v]"},
        {"mg Zm9 b", BAD_KEY},
        {"mg = b", BAD_KEY},
        {"mg Zg=a b", BAD_KEY},
        {"mg Z!== b", BAD_KEY},
        {"mg ==== b", BAD_KEY},
        {"md Zm9 b", BAD_FLAG},
        {"ma Zm9 b", BAD_FLAG},
        {"me Zm9 b", BAD_FORMAT},
    };
    EXPECT_EACH(examples);
    expect("ms Zm9v 1 b\r\nx\r\n", "ms [foo][b] [x]\n");
    expect("ms Zm9 1 b\r\nx\r\nmn\r\n", BAD_KEY "\nmn \n");
}

/* ---- what is refused ---- */

static void meta_counts_words(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {"mg", "= ERROR"},
        {"ms", "= ERROR"},
        {"md", "= ERROR"},
        {"ma", "= ERROR"},
        {"me", BAD_FORMAT},
        {"ms k", BAD_FORMAT},
        {"mg k " EIGHTEEN, "mg [k][c][f][h][k][l][s][t][v][O1][P2][L3][u][q][T0][R0][I][C1] "
                           "recache=0 cas=1"},
        {"mg k " EIGHTEEN " D1", "= CLIENT_ERROR options flags are too long"},
        {"md k " EIGHTEEN " D1", LONG_FLAGS},
        {"ma k " EIGHTEEN " D1 J1 F1 a b c d e", LONG_FLAGS},
        {"ms k 2 " EIGHTEEN, LONG_FLAGS},
    };
    EXPECT_EACH(examples);
}

static void meta_refuses_wrong_flags(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {"mg k z", INVALID},
        {"mg k 1", INVALID},
        {"mg k ~", INVALID},
        {"mg k \x7f", DUPLICATE},
        {"mg k \x80", DUPLICATE},
        {"mg k v v", DUPLICATE},
        {"mg k T1 T2", DUPLICATE},
        {"mg k q z", INVALID},
        {"mg k Tx", BAD_TOKEN},
        {"mg k T", BAD_TOKEN},
        {"mg k Nx", BAD_TOKEN},
        {"mg k Rx", BAD_TOKEN},
        {"mg k Cx", BAD_TOKEN},
        {"mg k C-1", BAD_TOKEN},
        {"mg k Ex", BAD_TOKEN},
        {"mg k Fx", BAD_FORMAT},
        {"mg k Jx", "= CLIENT_ERROR invalid numeric initial value"},
        {"mg k Dx", "= CLIENT_ERROR invalid numeric delta value"},
        {"mg k M", "= CLIENT_ERROR incorrect length for M token"},
        {"mg k MEE", "= CLIENT_ERROR incorrect length for M token"},
        {"mg k Jx Cx", BAD_TOKEN}, /* the last that is wrong is named */
        {"mg k Cx Jx", "= CLIENT_ERROR invalid numeric initial value"},
        {"mg k Jx Fx", "= CLIENT_ERROR invalid numeric initial value"}, /* but for F */
        {"mg !! b Fx", BAD_KEY},
        {"mg k Cx z", INVALID},
        {"md k z", BAD_FLAG},
        {"md k Tx", BAD_FLAG},
        {"ma k v v", BAD_FLAG},
        {"ma k Dx", BAD_FLAG},
        {"ma k MX", "= CLIENT_ERROR invalid mode for ma M token"},
        {"ma k Mi", "= CLIENT_ERROR invalid mode for ma M token"},
        {"mg " K250 "k", BAD_FORMAT},
        {"md " K250 "k q", BAD_FORMAT},
        {"me " K250 "k", BAD_FORMAT},
    };
    EXPECT_EACH(examples);
}

static void meta_limits_opaques(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {"mg k O1234567890123456789012345678901", "mg [k][O1234567890123456789012345678901]"},
        {"mg k O12345678901234567890123456789012", LONG_MARK},
        {"mg k q O12345678901234567890123456789012", LONG_MARK},
        {"md k O12345678901234567890123456789012", LONG_MARK},
        {"ma k O12345678901234567890123456789012", LONG_MARK},
    };
    EXPECT_EACH(examples);
    expect("ms k 2 O12345678901234567890123456789012\r\nab\r\nmn\r\n", LONG_MARK "\nmn \n");
}

/* A value whose length is known does not become commands. */
static void meta_skips_the_value_of_a_refused_set(void **state)
{
    (void)state;
    expect("ms k 2 z\r\nmn\r\nmn\r\n", INVALID "\nmn \n");
    expect("ms k 2 v v q\r\nmn\r\nmn\r\n", DUPLICATE "\nmn \n");
    expect("ms k 2 MX\r\nmn\r\nmn\r\n", "= CLIENT_ERROR invalid mode for ms M token\nmn \n");
    expect("ms k 4 Tx\r\nmn\r\n", BAD_TOKEN "\n");
    expect("ms k x\r\nmn\r\n", BAD_FORMAT "\nmn \n");
    expect("ms k -1\r\nmn\r\n", BAD_FORMAT "\nmn \n");
    expect("ms k 2147483646\r\nmn\r\n", BAD_FORMAT "\nmn \n");
    expect("ms " K250 "k 2\r\nmn\r\n", BAD_FORMAT "\nmn \n");
    expect("ms k 2147483645\r\nmn\r\n",
           "too large: ms k\n= SERVER_ERROR object too large for cache\n");
}

/* What is to be skipped may come any time: nothing is waited for, whatever was before. */
static void meta_needs_nothing_once_a_command_is_over(void **state)
{
    (void)state;
    static const char set[] = "set k 0 0 3\r\nabc\r\n";
    struct ebb_mc_parser parser;
    struct ebb_mc_command command;
    ebb_mc_parser_init(&parser, 1024);
    ebb_mc_command_init(&command);
    assert_int_equal(ebb_mc_parse(&parser, set, 14, &command), 0);
    assert_int_equal(parser.need_bytes, 18);
    assert_int_equal(ebb_mc_parse(&parser, set, 18, &command), 18);
    assert_int_equal(parser.need_bytes, 0);
    assert_int_equal(ebb_mc_parse(&parser, "ms k 3 z\r\n", 10, &command), 10);
    assert_int_equal(parser.need_bytes, 0);
    assert_int_equal(parser.skip_bytes, 5);
    ebb_mc_command_release(&command);
}

static void meta_adds_and_asks_for_one_without_a_delta(void **state)
{
    (void)state;
    struct ebb_mc_parser parser;
    struct ebb_mc_command command;
    ebb_mc_parser_init(&parser, 1024);
    ebb_mc_command_init(&command);
    assert_int_equal(ebb_mc_parse(&parser, "ma k\r\n", 6, &command), 6);
    assert_int_equal(command.delta, 1);
    assert_int_equal(ebb_mc_parse(&parser, "ma k D7\r\n", 9, &command), 9);
    assert_int_equal(command.delta, 7);
    ebb_mc_command_release(&command);
}

static void mc_reads_what_tools_say(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {"lru_crawler metadump all", "lru_crawler [metadump][all]"},
        {"cache_memlimit 64", "cache_memlimit [64]"},
        {"cache_memlimit 64 noreply", "cache_memlimit [64][noreply] noreply"},
        {"cache_memlimit", "= ERROR"},
        {"slabs reassign 1 2", "slabs [reassign][1][2]"},
        {"lru mode flat", "lru [mode][flat]"},
        {"watch fetchers", "watch [fetchers]"},
        {"shutdown", "shutdown "},
    };
    EXPECT_EACH(examples);
}

/* ---- base64 ---- */

static void base64_goes_there_and_back(void **state)
{
    (void)state;
    struct rng rng = rng_start("base64");
    for (unsigned round = 0; round < 2000; round++) {
        char bytes[100], text[EBB_BASE64_BYTES(100)], back[100];
        size_t len = rng_below(&rng, sizeof(bytes) + 1);
        for (size_t i = 0; i < len; i++)
            bytes[i] = (char)rng_next(&rng);
        size_t text_len = ebb_base64_encode(text, bytes, len);
        assert_int_equal(text_len, EBB_BASE64_BYTES(len));
        assert_int_equal(ebb_base64_decode(text, text_len, back), len);
        assert_memory_equal(back, bytes, len);
    }
}

static void base64_knows_the_examples_of_its_rfc(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {{"f", "Zg=="},         {"fo", "Zm8="},
                                           {"foo", "Zm9v"},       {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        char text[16];
        size_t len = ebb_base64_encode(text, pairs[i][0], strlen(pairs[i][0]));
        assert_int_equal(len, strlen(pairs[i][1]));
        assert_memory_equal(text, pairs[i][1], len);
    }
}

static void base64_refuses_what_is_none(void **state)
{
    (void)state;
    static const char *const texts[] = {"",     "Z",     "Zm",   "Zm9",     "Zm9vY",
                                        "====", "Z===",  "Zg=a", "=m9v",    "Zm-v",
                                        "Zm9 ", "Zm9\n", "Zm=v", "Zg==Zg=="};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char bytes[16];
        assert_int_equal(ebb_base64_decode(texts[i], strlen(texts[i]), bytes), 0);
    }
}

/* ---- replies ---- */

static void meta_writes_replies(void **state)
{
    (void)state;
    struct ebb_buf out;
    const struct ebb_slice key = {"foo", 3}, value = {"a\r\nb", 4};
    ebb_buf_init(&out, 1000);
    ebb_mc_write_code(&out, "HD");
    ebb_mc_write_flag(&out, "O7", 2);
    ebb_mc_write_flag_number(&out, 'c', UINT64_MAX);
    ebb_mc_write_flag_key(&out, key, false);
    ebb_mc_write_flag_key(&out, key, true);
    ebb_mc_write_end(&out, NULL);
    ebb_mc_write_value_code(&out, 4);
    ebb_mc_write_end(&out, &value);
    ebb_buf_add(&out, "", 1);
    assert_string_equal(ebb_buf_data(&out),
                        "HD O7 c18446744073709551615 kfoo kZm9v b\r\nVA 4\r\na\r\nb\r\n");
    ebb_buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(meta_reads_a_key_and_flags_in_their_order),
        cmocka_unit_test(meta_reads_values),
        cmocka_unit_test(meta_decodes_keys),
        cmocka_unit_test(meta_counts_words),
        cmocka_unit_test(meta_refuses_wrong_flags),
        cmocka_unit_test(meta_limits_opaques),
        cmocka_unit_test(meta_skips_the_value_of_a_refused_set),
        cmocka_unit_test(meta_needs_nothing_once_a_command_is_over),
        cmocka_unit_test(meta_adds_and_asks_for_one_without_a_delta),
        cmocka_unit_test(mc_reads_what_tools_say),
        cmocka_unit_test(base64_goes_there_and_back),
        cmocka_unit_test(base64_knows_the_examples_of_its_rfc),
        cmocka_unit_test(base64_refuses_what_is_none),
        cmocka_unit_test(meta_writes_replies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
