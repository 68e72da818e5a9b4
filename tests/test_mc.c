/* SPDX-License-Identifier: MIT */
/* test_mc.c: memcached's text protocol. What is expected was asked of a real memcached 1.6.18. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "support/feed.h"

static void expect_bytes(const char *input, size_t len, const char *expected)
{
    struct feed_mc mc;
    struct ebb_buf log;
    struct feed_target target = feed_mc_target(&mc);
    ebb_buf_init(&log, 64u << 20);
    assert_true(feed_all_ways(&target, input, len, &log));
    assert_true(ebb_buf_add(&log, "", 1)); /* a NUL for the comparison */
    assert_string_equal(ebb_buf_data(&log), expected);
    ebb_buf_release(&log);
    feed_mc_release(&mc);
}

static void expect(const char *input, const char *expected)
{
    expect_bytes(input, strlen(input), expected);
}

struct example {
    const char *line; /* without its end */
    const char *expected;
};

static void expect_each(const struct example *examples, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char input[1024], expected[1024];
        for (int crlf = 0; crlf < 2; crlf++) {
            snprintf(input, sizeof(input), "%s%s", examples[i].line, crlf ? "\r\n" : "\n");
            snprintf(expected, sizeof(expected), "%s\n", examples[i].expected);
            expect(input, examples[i].expected[0] ? expected : "");
        }
    }
}

#define EXPECT_EACH(examples) expect_each(examples, sizeof(examples) / sizeof(examples[0]))

/* 250 and 251 bytes */
#define K50  "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"
#define K250 K50 K50 K50 K50 K50
#define K251 K250 "k"

#define BAD_FORMAT "= CLIENT_ERROR bad command line format"
#define BAD_TIME   "= CLIENT_ERROR invalid exptime argument"
#define BAD_DELTA  "= CLIENT_ERROR invalid numeric delta argument"
#define BAD_DELETE BAD_FORMAT ".  Usage: delete <key> [noreply]"

/* ---- verbs ---- */

static void mc_reads_gets(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {"get k", "get [k]"},
        {"gets a b c", "gets [a][b][c]"},
        {"   get   k  ", "get [k]"},
        {"bget k", "get [k]"},
        {"get a b c d e f g h i j k l m n o p q r s t u v w x y z 1 2 3",
         "get [a][b][c][d][e][f][g][h][i][j][k][l][m][n][o][p][q][r][s][t][u][v][w][x][y][z][1][2]"
         "[3]"},
        {"get " K250, "get [" K250 "]"},
        {"get " K251, BAD_FORMAT},
        {"get a b " K251 " c", BAD_FORMAT},
        {"get k\001", "get [k\001]"},
        {"get", "= ERROR"},
        {"get ", "= ERROR"},
        {"gat 10 k l", "gat [k][l] exptime=10"},
        {"gats -1 k", "gats [k] exptime=-1"},
        {"gat x k", BAD_TIME},
        {"gat 10", "= END"},
        {"gat x", BAD_TIME},
        {"gat", "= ERROR"},
    };
    EXPECT_EACH(examples);
}

static void mc_reads_storage(void **state)
{
    (void)state;
    expect("set k 1 2 3\r\nabc\r\n", "set [k] flags=1 exptime=2 [abc]\n");
    expect("add k 0 0 0 noreply\r\n\r\n", "add [k] flags=0 noreply []\n");
    expect("replace k 0 -1 4\na\r\nb\r\n", "replace [k] flags=0 exptime=-1 [a\r\nb]\n");
    expect("append k 0 0 1 foo\r\nx\r\n", "append [k] flags=0 [x]\n");
    expect("prepend k 0 0 1 noreply \r\nx\r\nget k\r\n",
           "prepend [k] flags=0 noreply [x]\nget [k]\n");
    expect("cas k 0 0 1 18446744073709551615\r\nx\r\n",
           "cas [k] flags=0 cas=18446744073709551615 [x]\n");
    expect("cas k 0 0 1 5 noreply\r\nx\r\n", "cas [k] flags=0 cas=5 noreply [x]\n");
    expect("set " K250 " 0 0 1\r\nx\r\n", "set [" K250 "] flags=0 [x]\n");
}

static void mc_waits_for_the_value(void **state)
{
    (void)state;
    expect("set k 0 0 3\r\nab", "...15\n");
    expect("set k 0 0 3\r\nabc", "...16\n");
    expect("set k 0 0 3\r\nabc\r", "...17\n");
    expect("set k 0 0 3", "...11\n");
}

static void mc_asks_for_the_whole_of_a_large_value_at_once(void **state)
{
    (void)state;
    struct ebb_mc_parser parser;
    struct ebb_mc_command command;
    const char *line = "set k 0 0 500000000\r\n";
    ebb_mc_parser_init(&parser, 512u << 20);
    ebb_mc_command_init(&command);
    assert_int_equal(ebb_mc_parse(&parser, line, strlen(line), &command), 0);
    assert_int_equal(parser.need_bytes, strlen(line) + 500000000 + 2);
    ebb_mc_command_release(&command);
}

static void mc_reads_the_other_verbs(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {"delete k", "delete [k]"},
        {"delete k 0", "delete [k]"},
        {"delete k noreply", "delete [k] noreply"},
        {"delete k 0 noreply", "delete [k] noreply"},
        {"incr k 5", "incr [k] delta=5"},
        {"decr k 18446744073709551615 noreply", "decr [k] delta=18446744073709551615 noreply"},
        {"incr k 5 foo", "incr [k] delta=5"},
        {"touch k 60", "touch [k] exptime=60"},
        {"touch k -1 noreply", "touch [k] exptime=-1 noreply"},
        {"touch k 1 foo", "touch [k] exptime=1"},
        {"flush_all", "flush_all "},
        {"flush_all noreply", "flush_all  noreply"},
        {"flush_all 0", "flush_all  delay"},
        {"flush_all -5", "flush_all  exptime=-5 delay"},
        {"flush_all 10 noreply", "flush_all  exptime=10 delay noreply"},
        {"flush_all 0 5", "flush_all  delay"},
        {"version", "version "},
        {"version x y", "version [x][y]"},
        {"verbosity 1", "verbosity [1]"},
        {"verbosity 1 x", "verbosity [1][x]"},
        {"verbosity 0 noreply", "verbosity [0][noreply] noreply"},
        {"stats", "stats "},
        {"stats items", "stats [items]"},
        {"stats detail on x", "stats [detail][on][x]"},
        {"stats noreply", "stats [noreply]"},
        {"quit", "quit "},
        {"quit now", "quit [now]"},
    };
    EXPECT_EACH(examples);
}

/* ---- wrong lines ---- */

static void mc_answers_error_to_what_is_no_command(void **state)
{
    (void)state;
    static const char *const lines[] = {"",         " ",       "a",      "GET k", "Set k 0 0 1",
                                        "getx k",   "foo",     "get\tk", "\t",    "s",
                                        "versions", "mgett k", "\x81",   "stat"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        expect_each(&(struct example){lines[i], "= ERROR"}, 1);
    expect("\r\n", "= ERROR\n");
}

static void mc_counts_words(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "set",
        "set k",
        "set k 0 0",
        "set k 0 0 1 noreply x",
        "add k 0 0",
        "replace k 0 0",
        "append k 0 0",
        "prepend k 0 0",
        "cas k 0 0 1",
        "cas k 0 0 1 2 noreply x",
        "delete",
        "delete a b c d",
        "incr k",
        "incr",
        "incr k 1 noreply x",
        "decr k",
        "touch k",
        "touch k 1 noreply x",
        "flush_all 1 2 3",
        "verbosity",
        "verbosity 0 1 2",
        "delete k x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x",
        "set a b c d e f g h i j k l m n o p q r s t u v w x y z"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        expect_each(&(struct example){lines[i], "= ERROR"}, 1);
}

static void mc_refuses_long_keys(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {"set " K251 " 0 0 1", BAD_FORMAT}, {"cas " K251 " 0 0 1 1", BAD_FORMAT},
        {"delete " K251, BAD_FORMAT},       {"delete " K251 " noreply", ""},
        {"incr " K251 " 1", BAD_FORMAT},    {"incr " K251 " x", BAD_FORMAT},
        {"touch " K251 " 1", BAD_FORMAT},   {"touch " K251 " 1 noreply", ""},
        {"gat 0 " K251, BAD_FORMAT},
    };
    EXPECT_EACH(examples);
}

static void mc_refuses_bad_numbers(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {"set k x 0 1", BAD_FORMAT},
        {"set k 0 x 1", BAD_FORMAT},
        {"set k 0 0 x", BAD_FORMAT},
        {"set k 0 0 -1", BAD_FORMAT},
        {"set k 0 0 2147483646", BAD_FORMAT},
        {"set k 0 0 2147483647", BAD_FORMAT},
        {"set k 0 0 99999999999999999999", BAD_FORMAT},
        {"set k -1 0 1", BAD_FORMAT},
        {"set k 18446744073709551616 0 1", BAD_FORMAT},
        {"set k 0 9223372036854775808 1", BAD_FORMAT},
        {"set k 0x5 0 1", BAD_FORMAT},
        {"set k 1.5 0 1", BAD_FORMAT},
        {"set k + 0 1", BAD_FORMAT},
        {"set k --1 0 1", BAD_FORMAT},
        {"set k \v 0 1", BAD_FORMAT},
        {"cas k 0 0 1 -1", BAD_FORMAT},
        {"cas k 0 0 1 x", BAD_FORMAT},
        {"cas k 0 0 1 noreply", ""},
        {"cas k 0 0 1 99999999999999999999", BAD_FORMAT},
        {"incr k x", BAD_DELTA},
        {"incr k -1", BAD_DELTA},
        {"decr k 99999999999999999999", BAD_DELTA},
        {"touch k x", BAD_TIME},
        {"delete k 5", BAD_DELETE},
        {"delete k 0 foo", BAD_DELETE},
        {"verbosity x", BAD_FORMAT},
        {"flush_all x", BAD_TIME},
        {"flush_all noreply 5", BAD_TIME},
    };
    EXPECT_EACH(examples);
}

static void mc_is_as_lax_as_memcached_about_numbers(void **state)
{
    (void)state;
    expect("set k 4294967297 0 1\r\nx\r\n", "set [k] flags=1 [x]\n");
    expect("set k 18446744073709551615 0 1\r\nx\r\n", "set [k] flags=4294967295 [x]\n");
    expect("set k -18446744073709551615 0 1\r\nx\r\n", "set [k] flags=1 [x]\n");
    expect("set k +5 -0 01\r\nx\r\n", "set [k] flags=5 [x]\n");
    expect("set k \t5 0 \v1\r\nx\r\n", "set [k] flags=5 [x]\n");
    expect("set k 5\tabc 7\f 1\r\r\nx\r\n", "set [k] flags=5 exptime=7 [x]\n");
    expect("set k 1 -9223372036854775808 1\r\nx\r\n",
           "set [k] flags=1 exptime=-9223372036854775808 [x]\n");
}

static void mc_keeps_silent_about_errors_after_noreply(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {"set k 0 0 bad noreply", ""},    {"incr k x noreply", ""},    {"touch k x noreply", ""},
        {"verbosity noreply", ""},        {"flush_all x noreply", ""}, {"delete k 5 noreply", ""},
        {"delete k noreply noreply", ""},
    };
    EXPECT_EACH(examples);
    expect("set k 0 0 3 noreply\r\nabcdefgh\r\nget k\r\n", "= ERROR\nget [k]\n");
}

static void mc_ends_a_line_at_a_nul(void **state)
{
    (void)state;
    expect_bytes("get a\0b\r\nget k\r\n", 16, "get [a]\nget [k]\n");
    expect_bytes("\0get a\r\n", 8, "= ERROR\n");
    expect_bytes("set k 0 0 3\0 1\r\na\0b\r\n", 21, "set [k] flags=0 [a");
}

/* ---- values that are refused ---- */

static void mc_refuses_a_value_without_its_line_end(void **state)
{
    (void)state;
    expect("set k 0 0 3\r\nabcdefgh\r\nget k\r\n",
           "= CLIENT_ERROR bad data chunk\n= ERROR\nget [k]\n");
    expect("set k 0 0 3\r\nab\r\nget k\r\n", "= CLIENT_ERROR bad data chunk\n= ERROR\n");
    expect("set k 0 0 1\r\nx\n\r\n", "= CLIENT_ERROR bad data chunk\n= ERROR\n");
}

static char *with_value(const char *line, size_t value_bytes, const char *rest, size_t *len)
{
    char *input = malloc(strlen(line) + value_bytes + strlen(rest) + 1);
    assert_non_null(input);
    char *at = stpcpy(input, line);
    memset(at, '\n', value_bytes); /* each would be a command, were it not skipped */
    strcpy(at + value_bytes, rest);
    *len = strlen(line) + value_bytes + strlen(rest);
    return input;
}

static void mc_skips_a_value_that_is_too_large(void **state)
{
    (void)state;
    size_t len;
    char *input = with_value("set k 0 0 1048577\r\n", 1048577, "\r\nget k\r\n", &len);
    expect_bytes(input, len,
                 "too large: set k\n= SERVER_ERROR object too large for cache\nget [k]\n");
    free(input);
    input = with_value("add k 0 0 1048577 noreply\r\n", 1048577, "xyget k\r\n", &len);
    expect_bytes(input, len, "too large: add k\nget [k]\n");
    free(input);
    expect("set k 0 0 2147483645\r\nget k\r\n",
           "too large: set k\n= SERVER_ERROR object too large for cache\n");
}

/* ---- limits ---- */

static void expect_long(const char *head, const char *repeated, size_t times, const char *tail,
                        const char *expected)
{
    struct ebb_buf input;
    ebb_buf_init(&input, 64u << 20);
    assert_true(ebb_buf_printf(&input, "%s", head));
    for (size_t i = 0; i < times; i++)
        assert_true(ebb_buf_printf(&input, "%s", repeated));
    assert_true(ebb_buf_printf(&input, "%s", tail));
    expect_bytes(ebb_buf_data(&input), ebb_buf_len(&input), expected);
    ebb_buf_release(&input);
}

#define TOO_LONG "! CLIENT_ERROR line too long\n"

static void mc_limits_lines(void **state)
{
    (void)state;
    expect_long("", "x", 16384, "", "...16384\n");
    expect_long("", "x", 16384, "\n", "= ERROR\n");
    expect_long("", "x", 16385, "", TOO_LONG);
    expect_long("", "x", 16385, "\nget k\n", TOO_LONG);
    expect_long("set ", "x", 3000, " 0 0 1\r\n", BAD_FORMAT "\n");
    expect_long("get ", "x", 17000, "\r\n", BAD_FORMAT "\n");
    expect_long("  gats 1", " xx", 17000, "", "...51008\n");
    expect_long("", " ", 101, "get k\r\n", "get [k]\n");
    expect_long("", " ", 16385, "get k\r\n", TOO_LONG);
    expect_long("incr", " k", 17000, "\r\n", TOO_LONG);
}

static void mc_reads_a_get_with_all_the_keys_it_may_have(void **state)
{
    (void)state;
    struct ebb_buf input;
    struct ebb_mc_parser parser;
    struct ebb_mc_command command;
    ebb_buf_init(&input, 64u << 20);
    ebb_mc_parser_init(&parser, 1024);
    ebb_mc_command_init(&command);
    ebb_buf_printf(&input, "get");
    for (unsigned i = 0; i < EBB_MC_KEYS_MAX; i++)
        ebb_buf_printf(&input, " %0240u", i);
    size_t keys_end = ebb_buf_len(&input);
    ebb_buf_printf(&input, "\r\n");

    /* 8 MB in pieces: what was looked through is not looked through again */
    for (size_t had = 65536; had < ebb_buf_len(&input); had += 65536) {
        assert_int_equal(ebb_mc_parse(&parser, ebb_buf_data(&input), had, &command), 0);
        assert_int_equal(parser.scanned_bytes, had);
    }
    assert_int_equal(ebb_mc_parse(&parser, ebb_buf_data(&input), ebb_buf_len(&input), &command),
                     ebb_buf_len(&input));
    assert_null(command.error);
    assert_int_equal(command.keys.count, EBB_MC_KEYS_MAX);
    assert_int_equal(command.keys.at[EBB_MC_KEYS_MAX - 1].len, 240);

    input.end = input.start + keys_end;
    ebb_buf_printf(&input, " one-more\r\n");
    assert_int_equal(ebb_mc_parse(&parser, ebb_buf_data(&input), ebb_buf_len(&input), &command),
                     ebb_buf_len(&input));
    assert_string_equal(command.error, "SERVER_ERROR too many keys");
    ebb_mc_command_release(&command);
    ebb_buf_release(&input);
}

static void mc_refuses_the_binary_protocol(void **state)
{
    (void)state;
    expect("get k\r\n\x80\r\n", "get [k]\n= ERROR\n");
    static const char request[25] = "\x80\x0b\0\0\0\0\0\0\0\0\0\0"
                                    "OPAQ";
    struct ebb_mc_parser parser;
    struct ebb_mc_command command;
    ebb_mc_parser_init(&parser, 1024);
    ebb_mc_command_init(&command);
    for (size_t had = 1; had < 24; had++) {
        assert_int_equal(ebb_mc_parse(&parser, request, had, &command), 0);
        assert_int_equal(parser.need_bytes, 24);
    }
    assert_int_equal(ebb_mc_parse(&parser, request, 24, &command), EBB_PROTO_EBAD);
    assert_true(parser.is_binary);
    struct ebb_buf out;
    ebb_buf_init(&out, 1000);
    ebb_mc_write_binary_error(&out, &parser.binary, parser.error);
    static const char reply[] = "\x81\x0b\0\0\0\0\0\x83\0\0\0\x1d"
                                "OPAQ"
                                "\0\0\0\0\0\0\0\0"
                                "binary protocol not supported";
    assert_int_equal(ebb_buf_len(&out), sizeof(reply) - 1);
    assert_memory_equal(ebb_buf_data(&out), reply, sizeof(reply) - 1);
    ebb_buf_release(&out);
    ebb_mc_command_release(&command);
}

/* ---- replies ---- */

static void mc_writes_replies(void **state)
{
    (void)state;
    struct ebb_buf out;
    ebb_buf_init(&out, 1000);
    const uint64_t cas = UINT64_MAX;
    ebb_mc_write_value(&out, (struct ebb_slice){"key", 3}, 0, (struct ebb_slice){NULL, 0}, NULL);
    ebb_mc_write_value(&out, (struct ebb_slice){"k", 1}, UINT32_MAX,
                       (struct ebb_slice){"a\r\nb", 4}, &cas);
    ebb_mc_write_line(&out, "END");
    ebb_mc_write_number(&out, UINT64_MAX);
    ebb_mc_write_number(&out, 0);
    ebb_mc_write_stat(&out, "pid", "%d", 1234);
    assert_false(out.failed);
    assert_true(ebb_buf_add(&out, "", 1));
    assert_string_equal(ebb_buf_data(&out),
                        "VALUE key 0 0\r\n\r\n"
                        "VALUE k 4294967295 4 18446744073709551615\r\na\r\nb\r\n"
                        "END\r\n18446744073709551615\r\n0\r\nSTAT pid 1234\r\n");
    ebb_buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mc_reads_gets),
        cmocka_unit_test(mc_reads_storage),
        cmocka_unit_test(mc_waits_for_the_value),
        cmocka_unit_test(mc_asks_for_the_whole_of_a_large_value_at_once),
        cmocka_unit_test(mc_reads_the_other_verbs),
        cmocka_unit_test(mc_answers_error_to_what_is_no_command),
        cmocka_unit_test(mc_counts_words),
        cmocka_unit_test(mc_refuses_long_keys),
        cmocka_unit_test(mc_refuses_bad_numbers),
        cmocka_unit_test(mc_is_as_lax_as_memcached_about_numbers),
        cmocka_unit_test(mc_keeps_silent_about_errors_after_noreply),
        cmocka_unit_test(mc_ends_a_line_at_a_nul),
        cmocka_unit_test(mc_refuses_a_value_without_its_line_end),
        cmocka_unit_test(mc_skips_a_value_that_is_too_large),
        cmocka_unit_test(mc_limits_lines),
        cmocka_unit_test(mc_reads_a_get_with_all_the_keys_it_may_have),
        cmocka_unit_test(mc_refuses_the_binary_protocol),
        cmocka_unit_test(mc_writes_replies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
