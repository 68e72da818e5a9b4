/* SPDX-License-Identifier: MIT */
/* test_splices.c: long values that go out from where they lie: in their places among the replies,
 * with the bytes they had when they were asked for, whatever the batch does to their keys next.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "../server/net/held.h"
#include "support/cmd_talk.h"
#include "support/rng.h"

#define LONG_BYTES  (20u * 1024)
#define KEYS        6u
#define WORDS_MAX   12u
#define VALUE_BYTES (100u * 1024)

static struct ebb_slice word(const char *text)
{
    return (struct ebb_slice){text, strlen(text)};
}

/* LONG_BYTES of the letter, for as long as the program runs. */
static struct ebb_slice long_of(char letter)
{
    static char values[26][LONG_BYTES];
    char *value = values[letter - 'a'];
    memset(value, letter, LONG_BYTES);
    return (struct ebb_slice){value, LONG_BYTES};
}

static void set_long(struct world *world, const char *key, char letter)
{
    struct ebb_slice words[] = {word("SET"), word(key), long_of(letter)};
    assert_string_equal(world_resp_words(world, words, 3), OK);
}

/* Adds a command to the batch: words without quotes. */
static void add(struct world *world, const char *line)
{
    struct ebb_slice words[WORDS_MAX];
    uint32_t count = 0;
    for (const char *at = line; *at != '\0'; count++) {
        size_t len = strcspn(at, " ");
        words[count] = (struct ebb_slice){at, len};
        at += len + (at[len] == ' ');
    }
    world_batch(world, words, count);
}

static size_t pinned_spans(const struct world *world)
{
    struct store_stats stats;
    store_stats(world->store, &stats);
    return stats.item_heap.pinned_spans;
}

/* The pieces of an answer that is expected, put together. */
struct expected {
    char text[64 * LONG_BYTES];
    size_t len;
};

static void expect(struct expected *expected, struct ebb_slice piece)
{
    assert_true(expected->len + piece.len < sizeof(expected->text));
    memcpy(expected->text + expected->len, piece.data, piece.len);
    expected->len += piece.len;
}

static void expect_bulk(struct expected *expected, char letter)
{
    expect(expected, word("$20480\r\n"));
    expect(expected, long_of(letter));
    expect(expected, word("\r\n"));
}

static void is_answered(struct world *world, struct expected *expected)
{
    store_leave(&world->session);
    assert_true(pinned_spans(world) > 0);
    const char *answer = world_flush(world);
    assert_int_equal(world_answer_len(world), expected->len);
    assert_memory_equal(answer, expected->text, expected->len);
    assert_int_equal(pinned_spans(world), 0);
    free(expected);
}

static struct expected *nothing_yet(void)
{
    return calloc(1, sizeof(struct expected));
}

static void long_values_stand_in_their_places(void **state)
{
    struct world *world = *state;
    struct expected *expected = nothing_yet();
    set_long(world, "a", 'a');
    set_long(world, "b", 'b');
    world_resp(world, "SET short 1");
    add(world, "PING");
    add(world, "GET a");
    add(world, "GET short");
    add(world, "MGET b none short a");
    add(world, "GETRANGE a 10 -11");
    add(world, "PING");
    expect(expected, word("+PONG\r\n"));
    expect_bulk(expected, 'a');
    expect(expected, word("$1\r\n1\r\n*4\r\n"));
    expect_bulk(expected, 'b');
    expect(expected, word("$-1\r\n$1\r\n1\r\n"));
    expect_bulk(expected, 'a');
    expect(expected, word("$20460\r\n"));
    expect(expected, (struct ebb_slice){long_of('a').data, LONG_BYTES - 20});
    expect(expected, word("\r\n+PONG\r\n"));
#ifndef EBB_HARD /* there the fourth finds no room */
    assert_int_equal(world->splices.count, 4);
    assert_true(ebb_buf_len(&world->out) < 200);
#endif
    is_answered(world, expected);
}

static void what_comes_later_changes_nothing(void **state)
{
    static const char *const changes[] = {
        "DEL a",          "SET a short",    "APPEND a x",   "SETRANGE a 100 x", "SETBIT a 7 1",
        "EXPIRE a 100",   "EXPIRE a -1",    "FLUSHALL",     "FLUSHDB",          "GETDEL a",
        "GETEX a EX 100", "RENAME a other", "COPY a other", "SWAPDB 0 1",       "BITOP NOT a a",
        "SETEX a 10 x",   "MOVE a 1",       "GETSET a x",   "PERSIST a",        "MEMORY PURGE",
    };
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        struct world *world = *state;
        struct expected *expected = nothing_yet();
        set_long(world, "a", 'a');
        set_long(world, "neighbour", 'n');
        add(world, "GET a");
        size_t before = ebb_buf_len(&world->out);
        add(world, "CLIENT REPLY SKIP");
        add(world, changes[i]);
        world_upkeep(world);
        assert_int_equal(ebb_buf_len(&world->out), before);
        expect_bulk(expected, 'a');
        is_answered(world, expected);
        world_resp(world, "FLUSHALL");
        assert_int_equal(store_check(world->store), 0);
    }
}

static void a_value_is_overwritten_between_two_looks(void **state)
{
    struct world *world = *state;
    struct expected *expected = nothing_yet();
    set_long(world, "a", 'a');
    add(world, "GET a");
    struct ebb_slice words[] = {word("SET"), word("a"), long_of('b')};
    world_batch(world, words, 3);
    add(world, "GET a");
    expect_bulk(expected, 'a');
    expect(expected, word(OK));
    expect_bulk(expected, 'b');
    is_answered(world, expected);
}

static void a_reply_taken_back_takes_its_values_along(void **state)
{
    struct world *world = *state;
    struct expected *expected = nothing_yet();
    set_long(world, "a", 'a');
    set_long(world, "b", 'b');
    add(world, "GET a");
    add(world, "CLIENT REPLY SKIP");
    add(world, "GET b");
    add(world, "CLIENT REPLY OFF");
    add(world, "MGET a b");
    add(world, "CLIENT REPLY ON");
    add(world, "GET b");
    expect_bulk(expected, 'a');
    expect(expected, word(OK));
    expect_bulk(expected, 'b');
    is_answered(world, expected);
}

static void a_transaction_sends_long_values(void **state)
{
    struct world *world = *state;
    struct expected *expected = nothing_yet();
    set_long(world, "a", 'a');
    add(world, "MULTI");
    add(world, "GET a");
    add(world, "APPEND a x");
    add(world, "GETDEL a");
    add(world, "EXEC");
    expect(expected, word(OK "+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n"));
    expect_bulk(expected, 'a');
    expect(expected, word(":20481\r\n$20481\r\n"));
    expect(expected, long_of('a'));
    expect(expected, word("x\r\n"));
    is_answered(world, expected);
}

/* The old value is written before the new one finds no memory. */
static void an_error_takes_the_old_value_back(void **state)
{
    (void)state;
    struct world world;
    size_t bytes = 300u << 20;
    char *large = calloc(1, bytes);         /* nobody comes to read it */
    world_init_with(&world, 1, 256u << 20); /* the least there is */
    set_long(&world, "a", 'a');
    struct ebb_slice words[] = {word("GETSET"), word("a"), {large, bytes}};
    world_batch(&world, words, 3);
    assert_string_equal(world_flush(&world),
                        "-OOM command not allowed when used memory > 'maxmemory'.\r\n");
    assert_int_equal(pinned_spans(&world), 0);
    world_release(&world);
    free(large);
}

static void more_values_than_there_is_room_for_are_copied(void **state)
{
    struct world *world = *state;
    set_long(world, "a", 'a');
    size_t count = SPLICES_MAX + 10;
    for (size_t i = 0; i < count; i++)
        add(world, "GET a");
    assert_int_equal(world->splices.count, SPLICES_MAX);
    assert_int_equal(world->counters.spliced_values, SPLICES_MAX);
    assert_int_equal(world->counters.unspliced_values, 10);
    const char *answer = world_flush(world);
    assert_int_equal(world_answer_len(world), count * (LONG_BYTES + 10));
    for (size_t i = 0; i < count; i++)
        assert_memory_equal(answer + i * (LONG_BYTES + 10) + 8, long_of('a').data, LONG_BYTES);
}

/* A transaction that reads and deletes again and again would else pin any amount. */
static void long_values_count_for_the_maximum_of_the_replies(void **state)
{
    struct world *world = *state;
    set_long(world, "a", 'a');
    size_t max_bytes = world->out.max_bytes;
    world->out.max_bytes = LONG_BYTES + 1000;
    add(world, "GET a");
    assert_false(world->out.failed);
    add(world, "GETDEL a");
    assert_true(world->out.failed);
    assert_int_equal(world->splices.count, 1);
    assert_int_equal(world->splices.bytes, LONG_BYTES);
    ebb_buf_clear(&world->out); /* as net/ does when it has closed the client */
    splices_release(&world->splices, &world->session);
    world->out.max_bytes = max_bytes;
    assert_string_equal(world_resp(world, "GET a"), NIL);
    assert_int_equal(pinned_spans(world), 0);
}

static void memcached_sends_long_values(void **state)
{
    struct world *world = *state;
    struct expected *expected = nothing_yet();
    set_long(world, "a", 'a');
    set_long(world, "b", 'b');
    const char *answer = world_mc(world, "get a none b\r\nmg a s v\r\nmg none q\r\ngat 100 a\r\n"
                                         "mg b v T0 q k\r\ndelete b\r\nmn\r\n");
    expect(expected, word("VALUE a 0 20480\r\n"));
    expect(expected, long_of('a'));
    expect(expected, word("\r\nVALUE b 0 20480\r\n"));
    expect(expected, long_of('b'));
    expect(expected, word("\r\nEND\r\nVA 20480 s20480\r\n"));
    expect(expected, long_of('a'));
    expect(expected, word("\r\nVALUE a 0 20480\r\n"));
    expect(expected, long_of('a'));
    expect(expected, word("\r\nEND\r\nVA 20480 kb\r\n"));
    expect(expected, long_of('b'));
    expect(expected, word("\r\nDELETED\r\nMN\r\n"));
    assert_int_equal(world_answer_len(world), expected->len);
    assert_memory_equal(answer, expected->text, expected->len);
    assert_int_equal(world->counters.spliced_values, SPLICES_MAX < 5 ? SPLICES_MAX : 5);
    assert_int_equal(pinned_spans(world), 0);
    free(expected);
}

/* However little a socket takes at a time, all of it comes in order. */
static void an_outgoing_can_be_sent_in_any_pieces(void **state)
{
    (void)state;
    struct splices splices = {.count = 2, .bytes = 7};
    struct outgoing outgoing;
    struct ebb_buf out, copy;
    ebb_buf_init(&out, 100);
    ebb_buf_init(&copy, 100);
    ebb_buf_add(&out, "-xabcd", 6);
    ebb_buf_consume(&out, 2);
    splices.list[0] = (struct splice){.at = 1, .data = "1234", .len = 4};
    splices.list[1] = (struct splice){.at = 3, .data = "567", .len = 3};
    for (size_t split = 0; split <= 11; split++) {
        outgoing_init(&outgoing, &out, &splices);
        assert_int_equal(outgoing.bytes, 11);
        outgoing_consume(&outgoing, split / 2);
        outgoing_consume(&outgoing, split - split / 2);
        ebb_buf_clear(&copy);
        assert_true(outgoing_copy(&outgoing, &copy));
        assert_int_equal(ebb_buf_len(&copy), 11 - split);
        assert_memory_equal(ebb_buf_data(&copy), &"a1234bc567d"[split], 11 - split);
    }
    ebb_buf_release(&copy);
    ebb_buf_init(&copy, 5);
    outgoing_init(&outgoing, &out, &splices);
    assert_false(outgoing_copy(&outgoing, &copy));
    ebb_buf_release(&copy);
    ebb_buf_release(&out);
}

/* Of what is left of long values the pins are taken over; all else is copied. */
static void the_rest_of_a_long_value_is_held(void **state)
{
    struct world *world = *state;
    struct held *held;
    struct outgoing outgoing;
    struct ebb_buf copy;
    size_t len = 3 * HELD_VALUE_BYTES;
    char *value = calloc(1, len);
    memset(value, 'v', len);
    for (unsigned k = 0; k < 2; k++) {
        struct ebb_slice words[] = {word("SET"), word(k == 0 ? "a" : "b"), {value, len}};
        assert_string_equal(world_resp_words(world, words, 3), OK);
    }
    add(world, "GET a");
    add(world, "GET b");
    store_leave(&world->session);
    struct splices *splices = &world->splices;
    outgoing_init(&outgoing, &world->out, splices);
    outgoing_consume(&outgoing, len - 10); /* nearly all of the first */
    size_t left = outgoing.bytes;
    assert_int_equal(held_bytes(&outgoing, splices), len);
    ebb_buf_init(&copy, 100);
    held = held_take(&outgoing, splices, &copy);
    assert_non_null(held);
    assert_int_equal(held->pin_count, 1);
    assert_int_equal(ebb_buf_len(&copy), left - len);
    size_t sum = 0;
    for (unsigned i = 0; i < held->count; i++)
        sum += held->pieces[i].len;
    assert_int_equal(sum, left);
    splices_release(splices, &world->session);
    assert_int_equal(pinned_spans(world), 1);
    assert_int_equal(held_lost_bytes(held, &world->session), 0);
    assert_string_equal(world_resp(world, "DEL b"), ":1\r\n");
    store_leave(&world->session);
    assert_true(held_lost_bytes(held, &world->session) >= len);
    assert_int_equal(held->pieces[held->count - 2].base[len - 1], 'v');
    held_release(held, &world->session);
    assert_int_equal(pinned_spans(world), 0);
    ebb_buf_clear(&world->out);
    ebb_buf_release(&copy);
    free(value);
}

/* ---- two servers, one that copies everything ---- */

struct random_line {
    struct ebb_slice words[WORDS_MAX];
    uint32_t count;
    char numbers[2][16], key[2][2];
};

static char random_value[VALUE_BYTES];

static size_t random_len(struct rng *rng)
{
    switch (rng_below(rng, 4)) {
    case 0:
        return rng_below(rng, 100);
    case 1:
        return rng_between(rng, SPLICE_MIN_BYTES - 3, SPLICE_MIN_BYTES + 3);
    default:
        return rng_between(rng, 10000, VALUE_BYTES - 26);
    }
}

/* One word of a template: k is a key, v a value, n an offset, anything else itself. */
static struct ebb_slice random_word(struct rng *rng, struct random_line *line, const char *at,
                                    size_t len, unsigned *keys, unsigned *numbers)
{
    if (len == 1 && at[0] == 'k') {
        char *key = line->key[*keys];
        key[0] = (char)('a' + (int)rng_below(rng, KEYS));
        (*keys)++;
        return (struct ebb_slice){key, 1};
    }
    if (len == 1 && at[0] == 'v')
        return (struct ebb_slice){random_value + rng_below(rng, 26), random_len(rng)};
    if (len == 1 && at[0] == 'n') {
        char *number = line->numbers[(*numbers)++];
        snprintf(number, sizeof(line->numbers[0]), "%u", (unsigned)rng_below(rng, 40000));
        return word(number);
    }
    return (struct ebb_slice){at, len};
}

static void make_line(struct rng *rng, struct random_line *line)
{
    static const char *const templates[] = {
        "SET k v",         "SET k v",
        "SET k v",         "SET k v GET",
        "SET k v NX GET",  "GET k",
        "GET k",           "GET k",
        "GET k",           "MGET k k",
        "GETDEL k",        "GETEX k EX 100",
        "GETEX k PERSIST", "GETSET k v",
        "DEL k",           "APPEND k v",
        "APPEND k x",      "SETRANGE k n x",
        "GETRANGE k n n",  "SETBIT k n 1",
        "EXPIRE k 100",    "RENAME k k",
        "COPY k k",        "BITOP XOR k k",
        "GETRANGE k 0 -1", "CLIENT REPLY SKIP",
        "MULTI",           "EXEC",
        "STRLEN k",        "PING",
        "INCR k",          "SET k v KEEPTTL",
        "FLUSHDB",         "GETEX k EXAT 1",
        "DISCARD",
    };
    unsigned keys = 0, numbers = 0;
    const char *at = templates[rng_below(rng, sizeof(templates) / sizeof(templates[0]))];
    for (line->count = 0; *at != '\0'; line->count++) {
        size_t len = strcspn(at, " ");
        line->words[line->count] = random_word(rng, line, at, len, &keys, &numbers);
        at += len + (at[len] == ' ');
    }
}

static void the_bytes_are_those_of_a_server_that_copies(void **state)
{
    (void)state;
    struct world *world = malloc(sizeof(*world)), *copying = malloc(sizeof(*copying));
    struct rng rng = rng_start("splices");
    world_init_with(world, 4, 0);
    world_init_with(copying, 4, 0);
    copying->context.splices = NULL;
    for (size_t i = 0; i < VALUE_BYTES; i++)
        random_value[i] = (char)rng_next(&rng);
    for (unsigned round = 0; round < SCALED(8000); round++) {
        for (size_t left = rng_between(&rng, 1, 12); left > 0; left--) {
            struct random_line line;
            make_line(&rng, &line);
            world_batch(world, line.words, line.count);
            world_batch(copying, line.words, line.count);
            if (rng_once_in(&rng, 4)) { /* whatever moves, moves now */
                store_leave(&world->session);
                world_upkeep(world);
            }
        }
        const char *wanted = world_flush(copying), *answer = world_flush(world);
        assert_int_equal(world_answer_len(world), world_answer_len(copying));
        assert_memory_equal(answer, wanted, world_answer_len(world));
        if (round % 500 == 0)
            assert_int_equal(store_check(world->store), 0);
    }
    assert_true(world->counters.spliced_values > SCALED(2000));
    assert_int_equal(copying->counters.spliced_values, 0);
    world_release(world);
    world_release(copying);
    free(world);
    free(copying);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(long_values_stand_in_their_places),
        TEST(what_comes_later_changes_nothing),
        TEST(a_value_is_overwritten_between_two_looks),
        TEST(a_reply_taken_back_takes_its_values_along),
        TEST(a_transaction_sends_long_values),
        cmocka_unit_test(an_error_takes_the_old_value_back),
        TEST(more_values_than_there_is_room_for_are_copied),
        TEST(long_values_count_for_the_maximum_of_the_replies),
        TEST(memcached_sends_long_values),
        cmocka_unit_test(an_outgoing_can_be_sent_in_any_pieces),
        TEST(the_rest_of_a_long_value_is_held),
        cmocka_unit_test(the_bytes_are_those_of_a_server_that_copies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
