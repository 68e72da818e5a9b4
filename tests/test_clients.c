/* SPDX-License-Identifier: MIT */
/* test_clients.c: commands about connections and about commands: CLIENT LIST and KILL, SLOWLOG,
 * COMMAND GETKEYS, MEMORY. The answers are those of redis-server 7.0.15.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "support/cmd_talk.h"

static size_t count_lines(const char *text)
{
    size_t count = 0;

    for (; *text != '\0'; text++)
        count += *text == '\n';
    return count;
}

static void clients_are_listed_and_killed(void **state)
{
    struct world *world = *state;
    struct client others[3];

    for (unsigned i = 0; i < 3; i++) {
        others[i] = (struct client){.id = 10 + i, .resp_version = 2};
        clients_add(&world->clients, &others[i]);
    }
    assert_int_equal(count_lines(world_resp(world, "CLIENT LIST")), 4 + 2);
    assert_int_equal(count_lines(world_resp(world, "CLIENT LIST ID 11 7 99")), 2 + 2);
    TALK({"CLIENT KILL ID 11", ":1\r\n"}, {"CLIENT KILL ID 11", ":0\r\n"},
         {"CLIENT KILL ID 0", "-ERR client-id should be greater than 0\r\n"},
         {"CLIENT KILL ID", "-ERR No such client\r\n"},
         {"CLIENT KILL 1.2.3.4:5", "-ERR No such client\r\n"}, {"CLIENT KILL ID 7", ":0\r\n"},
         {"CLIENT KILL TYPE pubsub", ":0\r\n"}, {"CLIENT KILL FOO bar", SYNTAX},
         {"CLIENT KILL ID 10 ADDR 127.0.0.1:1", ":0\r\n"},
         {"CLIENT KILL USER nobody", "-ERR No such user 'nobody'\r\n"});
    assert_true(!others[0].is_killed && others[1].is_killed && !others[2].is_killed);
    clients_remove(&world->clients, &others[0]);
    TALK({"CLIENT KILL LADDR 127.0.0.1:6379", ":1\r\n"});
    assert_false(world->client.close_after_reply);
    TALK({"CLIENT KILL ID 7 SKIPME no", ":1\r\n"});
    assert_true(world->client.close_after_reply && others[2].is_killed);
    clients_remove(&world->clients, &others[2]);
    clients_remove(&world->clients, &others[1]);
    clients_remove(&world->clients, &others[1]); /* once more does nothing */
    assert_ptr_equal(world->clients.first, &world->client);
}

static void slow_commands_are_kept_without_passwords(void **state)
{
    struct world *world = *state;
    struct command_clock clock = {.slower_than_us = 0};

    world->context.clock = &clock;
    world->options.slowlog_max_len = 5;
    free(world->options.requirepass);
    world->options.requirepass = strdup("secret");
    TALK({"PING", "+PONG\r\n"}, {"AUTH secret", OK},
         {"HELLO 2 AUTH default wrong",
          "-WRONGPASS invalid username-password pair or user is disabled.\r\n"});
    RESP("CONFIG SET requirepass \"\"", OK);
    RESP("CONFIG SET timeout 7 Admin-Token secret", OK);
    clock.slower_than_us = -1;
    RESP("SLOWLOG LEN", ":5\r\n");
    const char *answer = world_resp(world, "SLOWLOG GET");
    assert_null(strstr(answer, "secret"));
    assert_null(strstr(answer, "wrong"));
    assert_non_null(strstr(answer, "*2\r\n$4\r\nAUTH\r\n$10\r\n(redacted)\r\n"));
    assert_non_null(strstr(answer, "$11\r\nrequirepass\r\n$10\r\n(redacted)\r\n"));
    assert_non_null(strstr(answer, "$7\r\ntimeout\r\n$10\r\n(redacted)\r\n"));
    TALK({"SLOWLOG GET 0", "*0\r\n"}, {"SLOWLOG RESET", OK}, {"SLOWLOG LEN", ":0\r\n"},
         {"SLOWLOG GET x", "-ERR count should be greater than or equal to -1\r\n"});
}

static void long_commands_are_kept_in_short(void **state)
{
    struct world *world = *state;
    struct command_clock clock = {.slower_than_us = 0};
    struct ebb_slice words[51];

    words[0] = (struct ebb_slice){"EXISTS", 6};
    for (size_t i = 1; i < 51; i++)
        words[i] = (struct ebb_slice){"key", 3};
    world->context.clock = &clock;
    world_resp_words(world, words, 51);
    world->context.clock = NULL;
    const char *answer = world_resp(world, "SLOWLOG GET 1");
    assert_non_null(strstr(answer, "*32\r\n$6\r\nEXISTS\r\n"));
    assert_non_null(strstr(answer, "$23\r\n... (20 more arguments)\r\n"));
}

/* A few bytes to write, and thousands of keys that go for them. */
static void a_write_that_makes_room_is_timed(void **state)
{
    struct world *world = *state;
    struct command_clock clock = {.slower_than_us = 1000, .last_ns = 1}; /* a look long ago */
    struct store_limit limit = {
        .pool_bytes = SIZE_MAX, .ahead_bytes = 0, .compact_bytes = SIZE_MAX, .order = USE_RANDOM};
    size_t untouched;

    for (unsigned i = 0; i < 40000; i++) {
        char line[64];
        snprintf(line, sizeof(line), "SETRANGE key:%u 200 x", i);
        world_resp(world, line);
    }
    store_leave(&world->session);
    limit.pool_bytes = store_pool_bytes(world->store, &untouched);
    store_set_limit(world->store, &limit);
    world->context.clock = &clock;
    RESP("SETRANGE long 4000000 x", ":4000001\r\n");
    assert_true(store_count(world->store, 0) < 40000);
    RESP("GET key", NIL); /* what comes after it is not */
    world->context.clock = NULL;
    RESP("SLOWLOG LEN", ":1\r\n");
    assert_non_null(strstr(world_resp(world, "SLOWLOG GET 1"), "$8\r\nSETRANGE\r\n$4\r\nlong"));
    assert_in_range(world->slowlog.newest->took_us, 1000, 60000000);
}

static void keys_of_commands_are_named(void **state)
{
    TALK({"COMMAND GETKEYS MSET a 1 b 2", "*2\r\n$1\r\na\r\n$1\r\nb\r\n"},
         {"COMMAND GETKEYS EVAL x 2 a b c", "*2\r\n$1\r\na\r\n$1\r\nb\r\n"},
         {"COMMAND GETKEYS OBJECT ENCODING a", "*1\r\n$1\r\na\r\n"},
         {"COMMAND GETKEYS CONFIG GET x", "-ERR The command has no key arguments\r\n"},
         {"COMMAND GETKEYS GET a b", "-ERR Invalid number of arguments specified for command\r\n"},
         {"COMMAND GETKEYS NOSUCH a", "-ERR Invalid command specified\r\n"},
         {"COMMAND GETKEYS EVAL x 0", "*0\r\n"}, {"COMMAND GETKEYS EVAL x 1", "*0\r\n"},
         {"COMMAND GETKEYSANDFLAGS GET a", "*1\r\n*2\r\n$1\r\na\r\n*2\r\n+RO\r\n+access\r\n"});
}

static void memory_is_told_in_figures_and_words(void **state)
{
    struct world *world = *state;

    RESP("SET k v", OK);
    const char *answer = world_resp(world, "MEMORY STATS");
    assert_non_null(strstr(answer, "$10\r\nkeys.count\r\n:1\r\n"));
    assert_non_null(strstr(answer, "$13\r\ndataset.bytes\r\n:2\r\n"));
    assert_non_null(strstr(world_resp(world, "MEMORY DOCTOR"), "Nothing is known yet"));
    world->facts = (struct memory_facts){.time_seconds = 1,
                                         .resident_bytes = 100 << 20,
                                         .live_bytes = 60 << 20,
                                         .idle_bytes = 30 << 20,
                                         .keep_bytes = 30 << 20};
    struct ebb_buf words;
    ebb_buf_init(&words, 4096);
    facts_verdict(&world->facts, &words);
    assert_true(ebb_buf_add(&words, "", 1));
    answer = world_resp(world, "MEMORY DOCTOR");
    assert_non_null(strstr(answer, "30.0 MiB are free and kept"));
    assert_non_null(strstr(answer, ebb_buf_data(&words))); /* the page's words, all of them */
    ebb_buf_release(&words);
    assert_non_null(strstr(world_resp(world, "MEMORY MALLOC-STATS"), "allocated "));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(clients_are_listed_and_killed),       TEST(slow_commands_are_kept_without_passwords),
        TEST(long_commands_are_kept_in_short),     TEST(keys_of_commands_are_named),
        TEST(a_write_that_makes_room_is_timed),    TEST(keys_of_commands_are_named),
        TEST(memory_is_told_in_figures_and_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
