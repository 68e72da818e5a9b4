/* SPDX-License-Identifier: MIT */
/* test_resp.c: RESP requests and replies. What is expected was asked of a real Redis 7.0. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include <math.h>

#include "support/feed.h"
#include "support/rng.h"

#define PROTOCOL_ERROR "! ERR Protocol error: "

/* ---- requests ---- */

static void expect_with(const struct ebb_resp_parser *settings, const char *input, size_t len,
                        const char *expected)
{
    struct feed_resp resp;
    struct ebb_buf log;
    struct feed_target target = feed_resp_target(&resp);
    if (settings)
        resp.settings = *settings;
    ebb_buf_init(&log, 1u << 20);
    assert_true(feed_all_ways(&target, input, len, &log));
    assert_true(ebb_buf_add(&log, "", 1)); /* a NUL for the comparison */
    assert_string_equal(ebb_buf_data(&log), expected);
    ebb_buf_release(&log);
    feed_resp_release(&resp);
}

static void expect(const char *input, const char *expected)
{
    expect_with(NULL, input, strlen(input), expected);
}

static void resp_reads_a_command(void **state)
{
    (void)state;
    expect("*3\r\n$3\r\nSET\r\n$3\r\nfoo\r\n$5\r\nhello\r\n", "[SET][foo][hello]\n");
    expect("*1\r\n$0\r\n\r\n", "[]\n");
    expect("*2\r\n$1\r\na\r\n$12\r\n*1\r\n$4\r\nPING\r\n", "[a][*1\r\n$4\r\nPING]\n");
}

static void resp_reads_one_command_after_the_other(void **state)
{
    (void)state;
    expect("*1\r\n$4\r\nPING\r\nGET k\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n\r\n*1\r\n$4\r\nPI",
           "[PING]\n[GET][k]\n[GET][k]\n\n...10\n");
}

static void resp_waits_for_the_line_end(void **state)
{
    (void)state;
    expect("*", "...1\n");
    expect("*1\r", "...3\n");
    expect("*1\r\nx", "...5\n");
    expect("*1\r\n$4\r", "...7\n");
    expect("*1\r\n$4\r\nPING", "...12\n");
    expect("*1\r\n$4\r\nPING\r", "...13\n");
    expect("PING\r", "...5\n");
}

static void resp_takes_counts_below_one_as_nothing_to_do(void **state)
{
    (void)state;
    expect("*0\r\n*-1\r\n*-99999999999\r\nPING\r\n", "\n\n\n[PING]\n");
}

static void resp_is_as_lax_as_redis_about_line_ends(void **state)
{
    (void)state;
    expect("*1\rx$4\rxPINGxx*1\r\n$4\r\nPING\r\n", "[PING]\n[PING]\n");
}

static void resp_refuses_bad_counts(void **state)
{
    (void)state;
    static const char *const inputs[] = {
        "*\r\n",   "*x\r\n",       "*01\r\n",          "*+1\r\n",
        "*-0\r\n", "* 1\r\n",      "*1 \r\n",          "*1\n$4\nPING\n\r\n",
        "*1x\r\n", "*1048577\r\n", "*99999999999\r\n", "*99999999999999999999999\r\n"};
    for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++)
        expect(inputs[i], PROTOCOL_ERROR "invalid multibulk length\n");
    expect("*1048576\r\n", "...10\n");
}

static void resp_refuses_bad_bulk_lengths(void **state)
{
    (void)state;
    static const char *const inputs[] = {
        "$\r\n", "$-1\r\n", "$x\r\n", "$04\r\n", "$536870913\r\n", "$+4\r\n", "$9999999999999\r\n"};
    for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++) {
        char input[64];
        snprintf(input, sizeof(input), "*2\r\n$1\r\na\r\n%s", inputs[i]);
        expect(input, PROTOCOL_ERROR "invalid bulk length\n");
    }
    expect("*1\r\n$536870912\r\nx", "...17\n");
}

static void resp_says_what_it_got_in_place_of_a_bulk(void **state)
{
    (void)state;
    expect("*1\r\nx\r\n", PROTOCOL_ERROR "expected '$', got 'x'\n");
    expect("*3\r\n$3\r\nSET\r\nfoo\r\n", PROTOCOL_ERROR "expected '$', got 'f'\n");
    expect("*1\r\n\xff\r\n", PROTOCOL_ERROR "expected '$', got '\xff'\n");
    expect("*1\r\n4\r\n", PROTOCOL_ERROR "expected '$', got '4'\n");
    expect("*1\r\n\r\n", PROTOCOL_ERROR "expected '$', got '\r'\n"); /* blanked by the writer */
}

static void resp_limits_those_who_gave_no_password(void **state)
{
    (void)state;
    struct ebb_resp_parser guest = {.unauthenticated = true};
    const char *eleven = "*11\r\n", *ten = "*10\r\n", *long_bulk = "*1\r\n$16385\r\n",
               *bulk = "*1\r\n$16384\r\n", *bad = "*99999999999\r\n";
    expect_with(&guest, eleven, strlen(eleven),
                PROTOCOL_ERROR "unauthenticated multibulk length\n");
    expect_with(&guest, ten, strlen(ten), "...5\n");
    expect_with(&guest, long_bulk, strlen(long_bulk),
                PROTOCOL_ERROR "unauthenticated bulk length\n");
    expect_with(&guest, bulk, strlen(bulk), "...12\n");
    expect_with(&guest, bad, strlen(bad), PROTOCOL_ERROR "invalid multibulk length\n");
}

static void resp_takes_the_callers_bulk_limit(void **state)
{
    (void)state;
    struct ebb_resp_parser small = {.bulk_max_bytes = 3};
    const char *four = "*1\r\n$4\r\nPING\r\n", *three = "*1\r\n$3\r\nGET\r\n";
    expect_with(&small, four, strlen(four), PROTOCOL_ERROR "invalid bulk length\n");
    expect_with(&small, three, strlen(three), "[GET]\n");
}

/* `count` bytes of 'x' between two texts. */
static void expect_long(const char *head, size_t count, const char *tail, const char *expected)
{
    size_t head_len = strlen(head), tail_len = strlen(tail);
    char *input = malloc(head_len + count + tail_len);
    assert_non_null(input);
    memcpy(input, head, head_len);
    memset(input + head_len, 'x', count);
    memcpy(input + head_len + count, tail, tail_len);
    expect_with(NULL, input, head_len + count + tail_len, expected);
    free(input);
}

static void resp_limits_lines(void **state)
{
    (void)state;
    expect_long("", 65536, "", "...65536\n");
    expect_long("", 65537, "", PROTOCOL_ERROR "too big inline request\n");
    expect_long("", 65537, "\r\n", PROTOCOL_ERROR "too big inline request\n");
    expect_long("*", 65535, "", "...65536\n");
    expect_long("*", 65536, "\r\n", PROTOCOL_ERROR "too big mbulk count string\n");
    expect_long("*1\r\n$", 65535, "", "...65540\n");
    expect_long("*1\r\n$", 65536, "\r\n", PROTOCOL_ERROR "too big bulk count string\n");
}

static void resp_reads_inline_commands(void **state)
{
    (void)state;
    expect("PING\r\n", "[PING]\n");
    expect("PING\n", "[PING]\n");
    expect("  SET\tkey   value \r\n", "[SET][key][value]\n");
    expect("\r\n\n  \r\nPING\r\n", "\n\n\n[PING]\n");
    expect("ECHO \ta\r b\r\n", "[ECHO][a][b]\n");
    expect("ECHO \v\fa\vb\f\r\n", "[ECHO][a\vb\f]\n");
    expect("$4\r\nPING\r\n", "[$4]\n[PING]\n");
}

static void resp_unescapes_inline_words(void **state)
{
    (void)state;
    expect("ECHO \"\\x41\\n\\t\\q\\\"x\"\r\n", "[ECHO][A\n\tq\"x]\n");
    expect("ECHO \"\\r\\b\\a\\\\\\xfF\"\r\n", "[ECHO][\r\b\a\\\xff]\n");
    expect("ECHO 'a\\'b\\n'\r\n", "[ECHO][a'b\\n]\n");
    expect("ECHO fo\"o b\" c\r\n", "[ECHO][foo b][c]\n");
    expect("ECHO a\\x41\r\n", "[ECHO][a\\x41]\n");
    expect("ECHO \"\\x4\"\r\n", "[ECHO][x4]\n");
    expect("ECHO \"\\xg1\"\r\n", "[ECHO][xg1]\n");
    expect("ECHO \"\" '' x\r\n", "[ECHO][][][x]\n");
    expect("ECHO \"a\"\v\r\n", "[ECHO][a]\n");
    expect("ECHO \"it's\" '\"'\r\n", "[ECHO][it's][\"]\n");
}

static void resp_refuses_unbalanced_quotes(void **state)
{
    (void)state;
    static const char *const inputs[] = {
        "PING \"a\r\n",     "PING 'a'b\r\n",  "PING \"a\"b\r\n",   "PING \"a\\\r\n",
        "PING \"a\\\"\r\n", "PING 'a\\'\r\n", "ECHO \"\"\"\"\r\n", "'\r\n"};
    for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++)
        expect(inputs[i], PROTOCOL_ERROR "unbalanced quotes in request\n");
}

static void resp_asks_for_the_whole_of_a_large_bulk_at_once(void **state)
{
    (void)state;
    struct ebb_resp_parser parser;
    struct ebb_args args;
    char head[] = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\n";
    ebb_resp_parser_init(&parser);
    ebb_args_init(&args);
    assert_int_equal(ebb_resp_parse(&parser, head, strlen(head), &args), 0);
    assert_int_equal(parser.need_bytes, strlen(head) + 536870912u + 2);
    ebb_args_release(&args);
}

/* A million arguments in pieces of 64 KiB, and all bytes that were parsed are then made useless: so
 * the time is linear in the length. */
static void resp_parses_nothing_twice(void **state)
{
    (void)state;
    const size_t count = EBB_RESP_ARGS_MAX, arg_bytes = 14; /* "$8\r\n%08x\r\n" */
    size_t len = 10 + count * arg_bytes;
    char *bytes = malloc(len + 1);
    assert_non_null(bytes);
    size_t at = (size_t)sprintf(bytes, "*%zu\r\n", count);
    for (size_t i = 0; i < count; i++)
        at += (size_t)sprintf(bytes + at, "$8\r\n%08zx\r\n", i);
    assert_int_equal(at, len);

    struct ebb_resp_parser parser;
    struct ebb_args args;
    ebb_resp_parser_init(&parser);
    ebb_args_init(&args);
    ssize_t used = 0;
    for (size_t had = 65536; had < len; had += 65536) {
        used = ebb_resp_parse(&parser, bytes, had, &args);
        assert_int_equal(used, 0);
        assert_true(had - parser.offset <= arg_bytes);
        memset(bytes, '!', parser.offset < 64 ? parser.offset : 64); /* the count line and more */
        memset(bytes + parser.offset - arg_bytes, '!', arg_bytes);
    }
    used = ebb_resp_parse(&parser, bytes, len, &args);
    assert_int_equal(used, len);
    assert_int_equal(args.count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(args.at[i].len, 8);
        assert_ptr_equal(args.at[i].data, bytes + 10 + i * arg_bytes + 4);
    }
    ebb_args_release(&args);
    free(bytes);
}

/* A command of random arguments, lengths near every bound of what is plain, perhaps spoiled. */
static size_t random_command(struct rng *rng, char *bytes)
{
    static const size_t lens[] = {0, 1, 9, 10, 99, 100, 999, 1000, 9999, 10000};
    size_t count = 1 + rng_below(rng, 11);
    size_t at = (size_t)sprintf(bytes, "*%zu\r\n", count);
    for (size_t i = 0; i < count; i++) {
        size_t len = lens[rng_below(rng, rng_below(rng, 8) ? 4 : 10)];
        at += (size_t)sprintf(bytes + at, "$%zu\r\n", len);
        memset(bytes + at, 'x', len);
        at += len;
        at += (size_t)sprintf(bytes + at, "\r\n");
    }
    if (rng_below(rng, 2))
        bytes[rng_below(rng, at < 64 ? at : 64)] = "0$*\r-9:x"[rng_below(rng, 8)];
    return at;
}

/* What is complete is read in one go, what is not with a note of where it stands: both read the
 * same. */
static void resp_reads_whole_commands_as_it_reads_pieces(void **state)
{
    (void)state;
    struct rng rng = rng_start("whole commands");
    struct ebb_args whole_args, args;
    char *bytes = malloc(131072);
    unsigned commands = 0;
    assert_non_null(bytes);
    ebb_args_init(&whole_args);
    ebb_args_init(&args);
    for (int round = 0; round < SCALED(20000); round++) {
        struct ebb_resp_parser whole, parser;
        size_t len = random_command(&rng, bytes), first = 1 + rng_below(&rng, len < 40 ? len : 40);
        ebb_resp_parser_init(&whole);
        ebb_resp_parser_init(&parser);
        ssize_t one = ebb_resp_parse(&whole, bytes, len, &whole_args);
        ssize_t two = ebb_resp_parse(&parser, bytes, first, &args);
        if (two == 0 && first < len)
            two = ebb_resp_parse(&parser, bytes, len, &args);
        assert_int_equal(one, two);
        assert_int_equal(one == 0 ? whole.need_bytes : 0, one == 0 ? parser.need_bytes : 0);
        if (one <= 0)
            continue;
        assert_int_equal(whole_args.count, args.count);
        assert_memory_equal(whole_args.at, args.at, args.count * sizeof(*args.at));
        commands++;
    }
    assert_true(commands > SCALED(10000));
    ebb_args_release(&whole_args);
    ebb_args_release(&args);
    free(bytes);
}

static void resp_goes_on_after_a_command_of_another_size(void **state)
{
    (void)state;
    struct ebb_resp_parser parser;
    struct ebb_args args;
    char many[] =
        "*12\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n$1\r\ne\r\n$1\r\nf\r\n$1\r\ng\r\n"
        "$1\r\nh\r\n$1\r\ni\r\n$1\r\nj\r\n$1\r\nk\r\n$1\r\nl\r\n";
    char one[] = "*1\r\n$4\r\nPING\r\n";
    ebb_resp_parser_init(&parser);
    ebb_args_init(&args);
    assert_int_equal(ebb_resp_parse(&parser, many, strlen(many), &args), strlen(many));
    assert_int_equal(args.count, 12);
    assert_memory_equal(args.at[11].data, "l", 1);
    assert_int_equal(ebb_resp_parse(&parser, one, strlen(one), &args), strlen(one));
    assert_int_equal(args.count, 1);
    ebb_args_release(&args);
}

/* parse, write as bulks, and have the same bytes again */
static void resp_writes_what_it_read(void **state)
{
    (void)state;
    char bytes[] = "*4\r\n$3\r\nSET\r\n$0\r\n\r\n$5\r\na\r\nb \r\n$10\r\n0123456789\r\n";
    struct ebb_resp_parser parser;
    struct ebb_args args;
    struct ebb_buf out;
    ebb_resp_parser_init(&parser);
    ebb_args_init(&args);
    ebb_buf_init(&out, 1000);
    assert_int_equal(ebb_resp_parse(&parser, bytes, sizeof(bytes) - 1, &args), sizeof(bytes) - 1);
    struct ebb_reply reply = {&out, 2};
    ebb_reply_array(&reply, args.count);
    for (uint32_t i = 0; i < args.count; i++)
        ebb_reply_bulk(&reply, args.at[i].data, args.at[i].len);
    assert_int_equal(ebb_buf_len(&out), sizeof(bytes) - 1);
    assert_memory_equal(ebb_buf_data(&out), bytes, sizeof(bytes) - 1);
    ebb_buf_release(&out);
    ebb_args_release(&args);
}

/* ---- replies ---- */

static void write_every_kind(struct ebb_reply *reply)
{
    ebb_reply_simple(reply, "OK");
    ebb_reply_error(reply, "ERR a\r\nb");
    ebb_reply_errorf(reply, "ERR got '%s' %d", "x\ny", 5);
    ebb_reply_int(reply, 0);
    ebb_reply_int(reply, INT64_MIN);
    ebb_reply_int(reply, INT64_MAX);
    ebb_reply_bulk(reply, "a\r\nb", 4);
    ebb_reply_bulk(reply, NULL, 0);
    ebb_reply_text(reply, "text");
    ebb_reply_bulkf(reply, "%s=%d", "n", 12345);
    ebb_reply_bulkf(reply, "%s", "");
    ebb_reply_null(reply);
    ebb_reply_null_array(reply);
    ebb_reply_array(reply, 0);
    ebb_reply_array(reply, 1234567);
    ebb_reply_map(reply, 3);
    ebb_reply_set(reply, 3);
    ebb_reply_push(reply, 3);
    ebb_reply_bool(reply, true);
    ebb_reply_bool(reply, false);
    ebb_reply_verbatim(reply, "some\ntext", 9);
    ebb_reply_raw(reply, "+RAW\r\n", 6);
}

static void write_doubles(struct ebb_reply *reply)
{
    static const double values[] = {0, 3, -1.5, 0.1, 1e20, 1e-7, INFINITY, -INFINITY, NAN, -NAN};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        ebb_reply_double(reply, values[i]);
}

static void expect_replies(void (*write)(struct ebb_reply *), int version, const char *expected)
{
    struct ebb_buf out;
    ebb_buf_init(&out, 4096);
    struct ebb_reply reply = {&out, version};
    write(&reply);
    assert_false(out.failed);
    assert_int_equal(ebb_buf_check(&out), 0);
    assert_true(ebb_buf_add(&out, "", 1));
    assert_string_equal(ebb_buf_data(&out), expected);
    ebb_buf_release(&out);
}

#define SAME_IN_BOTH                                                                               \
    "+OK\r\n-ERR a  b\r\n-ERR got 'x y' 5\r\n"                                                     \
    ":0\r\n:-9223372036854775808\r\n:9223372036854775807\r\n"                                      \
    "$4\r\na\r\nb\r\n$0\r\n\r\n$4\r\ntext\r\n$7\r\nn=12345\r\n$0\r\n\r\n"

static void resp_writes_every_kind_of_reply_in_version_2(void **state)
{
    (void)state;
    expect_replies(write_every_kind, 2,
                   SAME_IN_BOTH "$-1\r\n*-1\r\n*0\r\n*1234567\r\n*6\r\n*3\r\n*3\r\n:1\r\n:0\r\n"
                                "$9\r\nsome\ntext\r\n+RAW\r\n");
}

static void resp_writes_every_kind_of_reply_in_version_3(void **state)
{
    (void)state;
    expect_replies(write_every_kind, 3,
                   SAME_IN_BOTH "_\r\n_\r\n*0\r\n*1234567\r\n%3\r\n~3\r\n>3\r\n#t\r\n#f\r\n"
                                "=13\r\ntxt:some\ntext\r\n+RAW\r\n");
}

static void resp_writes_doubles_as_redis_does(void **state)
{
    (void)state;
    expect_replies(write_doubles, 2,
                   "$1\r\n0\r\n$1\r\n3\r\n$4\r\n-1.5\r\n$19\r\n0.10000000000000001\r\n"
                   "$5\r\n1e+20\r\n$22\r\n9.9999999999999995e-08\r\n$3\r\ninf\r\n$4\r\n-inf\r\n"
                   "$3\r\nnan\r\n$3\r\nnan\r\n");
    expect_replies(write_doubles, 3,
                   ",0\r\n,3\r\n,-1.5\r\n,0.10000000000000001\r\n,1e+20\r\n"
                   ",9.9999999999999995e-08\r\n,inf\r\n,-inf\r\n,nan\r\n,nan\r\n");
}

/* However small the maximum: never more than it, and failure is seen at the end. */
static void resp_replies_stop_at_the_buffers_maximum(void **state)
{
    (void)state;
    struct ebb_buf whole;
    ebb_buf_init(&whole, 4096);
    write_every_kind(&(struct ebb_reply){&whole, 3});
    for (size_t max = 0; max < ebb_buf_len(&whole); max++) {
        struct ebb_buf out;
        ebb_buf_init(&out, max);
        write_every_kind(&(struct ebb_reply){&out, 3});
        assert_true(out.failed);
        assert_true(ebb_buf_len(&out) <= max);
        assert_int_equal(ebb_buf_check(&out), 0);
        if (ebb_buf_len(&out) > 0)
            assert_memory_equal(ebb_buf_data(&out), ebb_buf_data(&whole), ebb_buf_len(&out));
        ebb_buf_release(&out);
    }
    ebb_buf_release(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resp_reads_a_command),
        cmocka_unit_test(resp_reads_one_command_after_the_other),
        cmocka_unit_test(resp_waits_for_the_line_end),
        cmocka_unit_test(resp_takes_counts_below_one_as_nothing_to_do),
        cmocka_unit_test(resp_is_as_lax_as_redis_about_line_ends),
        cmocka_unit_test(resp_refuses_bad_counts),
        cmocka_unit_test(resp_refuses_bad_bulk_lengths),
        cmocka_unit_test(resp_says_what_it_got_in_place_of_a_bulk),
        cmocka_unit_test(resp_limits_those_who_gave_no_password),
        cmocka_unit_test(resp_takes_the_callers_bulk_limit),
        cmocka_unit_test(resp_limits_lines),
        cmocka_unit_test(resp_reads_inline_commands),
        cmocka_unit_test(resp_unescapes_inline_words),
        cmocka_unit_test(resp_refuses_unbalanced_quotes),
        cmocka_unit_test(resp_asks_for_the_whole_of_a_large_bulk_at_once),
        cmocka_unit_test(resp_parses_nothing_twice),
        cmocka_unit_test(resp_reads_whole_commands_as_it_reads_pieces),
        cmocka_unit_test(resp_goes_on_after_a_command_of_another_size),
        cmocka_unit_test(resp_writes_what_it_read),
        cmocka_unit_test(resp_writes_every_kind_of_reply_in_version_2),
        cmocka_unit_test(resp_writes_every_kind_of_reply_in_version_3),
        cmocka_unit_test(resp_writes_doubles_as_redis_does),
        cmocka_unit_test(resp_replies_stop_at_the_buffers_maximum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
