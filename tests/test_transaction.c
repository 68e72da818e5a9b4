/* SPDX-License-Identifier: MIT */
/* test_transaction.c: MULTI, EXEC, WATCH and their kin. The answers are those of redis-server
 * 7.0.15.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "support/cmd_talk.h"

#define QUEUED    "+QUEUED\r\n"
#define EMPTY     "*0\r\n"
#define ABORTED   "*-1\r\n"
#define EXECABORT "-EXECABORT Transaction discarded because of previous errors.\r\n"

/* A second connection to the same store, for one command line. */
static void other(struct world *world, const char *line)
{
    struct client second = {.id = 8, .resp_version = 2, .authenticated = true};
    struct client *first = world->context.client;

    world->context.client = &second;
    world_resp(world, line);
    cmd_client_gone(&second, &world->session, &world->counters);
    world->context.client = first;
}

static void commands_wait_for_exec(void **state)
{
    TALK({"MULTI", OK}, {"SET a 1", QUEUED}, {"INCR a", QUEUED}, {"GET a", QUEUED},
         {"EXEC", "*3\r\n+OK\r\n:2\r\n$1\r\n2\r\n"}, {"GET a", "$1\r\n2\r\n"}, {"MULTI", OK},
         {"EXEC", EMPTY});
}

static void queued_bytes_are_the_clients_own(void **state)
{
    struct world *world = *state;
    char text[] = "binary\0\r\n";
    struct ebb_slice words[] = {{"SET", 3}, {"k", 1}, {text, sizeof(text)}};

    world_resp(world, "MULTI");
    assert_string_equal(world_resp_words(world, words, 3), QUEUED);
    memset(text, 'x', sizeof(text));
    RESP("STRLEN k", QUEUED);
    RESP("GETRANGE k 0 5", QUEUED);
    RESP("EXEC", "*3\r\n+OK\r\n:10\r\n$6\r\nbinary\r\n");
}

static void discard_forgets_the_queue(void **state)
{
    TALK({"MULTI", OK}, {"SET a 1", QUEUED}, {"DISCARD", OK}, {"GET a", NIL},
         {"DISCARD", "-ERR DISCARD without MULTI\r\n"}, {"EXEC", "-ERR EXEC without MULTI\r\n"});
}

static void refused_commands_spoil_the_transaction(void **state)
{
    TALK({"MULTI", OK}, {"SET a", "-ERR wrong number of arguments for 'set' command\r\n"},
         {"SET a 1", QUEUED}, {"EXEC", EXECABORT}, {"GET a", NIL}, {"MULTI", OK},
         {"NOSUCH", "-ERR unknown command 'NOSUCH', with args beginning with: \r\n"},
         {"EXEC", EXECABORT}, {"MULTI", OK},
         {"SHUTDOWN", "-ERR Command not allowed inside a transaction\r\n"}, {"EXEC", EXECABORT},
         {"MULTI", OK},
         {"EXEC x", "-EXECABORT Transaction discarded because of: wrong number of arguments for "
                    "'exec' command\r\n"},
         {"EXEC", "-ERR EXEC without MULTI\r\n"});
}

static void misplaced_words_do_not_spoil_it(void **state)
{
    TALK({"MULTI", OK}, {"MULTI", "-ERR MULTI calls can not be nested\r\n"},
         {"WATCH a", "-ERR WATCH inside MULTI is not allowed\r\n"}, {"UNWATCH", QUEUED},
         {"EXEC", "*1\r\n+OK\r\n"});
}

static void errors_while_running_stop_nothing(void **state)
{
    TALK({"SET a x", OK}, {"MULTI", OK}, {"INCR a", QUEUED}, {"SET b 1", QUEUED},
         {"EXEC", "*2\r\n" NO_INTEGER "+OK\r\n"}, {"GET b", "$1\r\n1\r\n"});
}

static void select_counts_for_what_follows(void **state)
{
    TALK({"MULTI", OK}, {"SELECT 3", QUEUED}, {"SET a three", QUEUED}, {"SELECT 0", QUEUED},
         {"GET a", QUEUED}, {"DBSIZE", QUEUED}, {"KEYS *", QUEUED}, {"FLUSHALL", QUEUED},
         {"RANDOMKEY", QUEUED},
         {"EXEC", "*8\r\n+OK\r\n+OK\r\n+OK\r\n$-1\r\n:0\r\n*0\r\n+OK\r\n$-1\r\n"});
}

static void reset_ends_a_transaction(void **state)
{
    struct world *world = *state;
    TALK({"WATCH a", OK}, {"MULTI", OK}, {"SET a 1", QUEUED}, {"RESET", "+RESET\r\n"},
         {"EXEC", "-ERR EXEC without MULTI\r\n"}, {"GET a", NIL});
    assert_int_equal(world->counters.input_bytes, 0);
}

static void hello_changes_the_protocol_inside(void **state)
{
    TALK({"MULTI", OK}, {"GET a", QUEUED}, {"HELLO 4", QUEUED},
         {"EXEC", "*2\r\n$-1\r\n-NOPROTO unsupported protocol version\r\n"});
}

/* What others do to a watched key, and whether EXEC fails for it. */
static const struct {
    const char *before, *meanwhile;
    bool fails;
} changes[] = {
    {"SET w 1", "SET w 1", true},
    {"SET w 1", "GET w", false},
    {"SET w 1", "DEL w", true},
    {"DEL w", "DEL w", false},
    {"DEL w", "SET w 1", true},
    {"SET w 1", "APPEND w \"\"", true},
    {"SET w 1", "EXPIRE w 100", true},
    {"SET w 1", "EXPIRE w 100 XX", false},
    {"SET w 1 EX 100", "PERSIST w", true},
    {"SET w 1", "PERSIST w", false},
    {"SET w 1", "GETEX w", false},
    {"SET w 1", "GETEX w EX 100", true},
    {"SET w 1", "RENAME w v", true},
    {"SET v 1", "RENAME v w", true},
    {"SET w 1", "SETNX w 2", false},
    {"SET w 1", "MSET v 1 w 2", true},
    {"SET w 1", "INCR v", false},
    {"SET w 1", "FLUSHALL", true},
    {"SET w 1", "FLUSHDB", true},
    {"DEL w", "FLUSHALL", false},
    {"SET v 1", "FLUSHALL", false},
    {"SET w 1", "SETRANGE w 0 \"\"", false},
};

static void watched_keys_decide_over_exec(void **state)
{
    struct world *world = *state;

    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        other(world, "FLUSHALL");
        other(world, changes[i].before);
        world_resp(world, "WATCH w");
        other(world, changes[i].meanwhile);
        world_resp(world, "MULTI");
        const char *answer = world_resp(world, "EXEC");
        if (strcmp(answer, changes[i].fails ? ABORTED : EMPTY) != 0)
            fail_msg("%s, then %s: %s", changes[i].before, changes[i].meanwhile, answer);
    }
}

static void watches_are_of_a_database(void **state)
{
    struct world *world = *state;

    RESP("WATCH w", OK);
    TALK({"SELECT 1", OK}, {"SET w 1", OK}, {"MULTI", OK}, {"EXEC", EMPTY}, {"SET v 1", OK},
         {"WATCH w", OK}, {"SELECT 0", OK});
    other(world, "FLUSHDB");
    TALK({"MULTI", OK}, {"EXEC", EMPTY}, {"SELECT 1", OK}, {"WATCH w", OK}, {"SELECT 0", OK});
    other(world, "FLUSHALL");
    TALK({"MULTI", OK}, {"EXEC", ABORTED});
}

static void expired_keys_abort(void **state)
{
    struct world *world = *state;

    TALK({"SET w 1 PX 50", OK}, {"WATCH w", OK});
    world->session.now_ms += 49;
    TALK({"MULTI", OK}, {"EXEC", EMPTY}, {"WATCH w", OK});
    world->session.now_ms += 1;
    TALK({"MULTI", OK}, {"EXEC", ABORTED}, {"SET w 1 PX 50", OK}, {"WATCH w", OK});
    world->session.now_ms += 1000;
    world_upkeep(world);
    TALK({"MULTI", OK}, {"EXEC", ABORTED}, {"SET w 1 PX 50", OK});
    world->session.now_ms += 50; /* gone, though not yet removed, when it is watched */
    TALK({"WATCH w", OK}, {"DEL w", ":0\r\n"}, {"MULTI", OK}, {"EXEC", EMPTY});
}

static void memcached_writes_are_seen(void **state)
{
    TALK({"SET w 1", OK}, {"WATCH w", OK});
    world_mc(*state, "incr w 1\r\n");
    TALK({"MULTI", OK}, {"EXEC", ABORTED}, {"WATCH w", OK});
    world_mc(*state, "gets w\r\n");
    TALK({"MULTI", OK}, {"EXEC", EMPTY});
}

static void unwatch_and_exec_forget_the_keys(void **state)
{
    struct world *world = *state;

    TALK({"WATCH a b a", OK}, {"UNWATCH", OK}, {"SET a 1", OK}, {"MULTI", OK}, {"EXEC", EMPTY},
         {"WATCH a", OK}, {"MULTI", OK}, {"EXEC", EMPTY}, {"SET a 2", OK}, {"MULTI", OK},
         {"EXEC", EMPTY}, {"WATCH a", OK}, {"SET a 3", OK}, {"MULTI", OK}, {"DISCARD", OK},
         {"MULTI", OK}, {"EXEC", EMPTY});
    assert_int_equal(world->counters.input_bytes, 0);
}

static void watches_outlive_compaction(void **state)
{
    struct world *world = *state;
    char line[64];

    for (unsigned i = 0; i < 5000; i++) {
        snprintf(line, sizeof(line), "SET key:%u %u", i, i);
        world_resp(world, line);
    }
    RESP("WATCH key:4999 key:17", OK);
    for (unsigned i = 0; i < 4990; i++) {
        snprintf(line, sizeof(line), "DEL key:%u", i == 17 ? 0 : i);
        other(world, line);
    }
    store_purge(&world->session);
    TALK({"MULTI", OK}, {"EXEC", EMPTY}, {"WATCH key:4999 key:17", OK});
    store_purge(&world->session);
    other(world, "SET key:17 new");
    TALK({"MULTI", OK}, {"EXEC", ABORTED});
}

static void many_watches_are_found_and_freed(void **state)
{
    struct world *world = *state;
    char line[64];

    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 1000; i++) {
            snprintf(line, sizeof(line), "WATCH key:%u", i);
            world_resp(world, line);
        }
        assert_true(world->counters.input_bytes > 1000 * sizeof(struct store_watch));
        other(world, "SET key:1000 x");
        if (round == 1)
            other(world, "SET key:500 x");
        TALK({"MULTI", OK});
        assert_string_equal(world_resp(world, "EXEC"), round == 1 ? ABORTED : EMPTY);
        assert_int_equal(world->counters.input_bytes, 0);
    }
}

static void the_queue_is_bounded(void **state)
{
    struct world *world = *state;
    struct ebb_slice words[] = {{"SET", 3}, {"k", 1}, {NULL, 700 * 1024}};
    char *value = calloc(1, words[2].len);

    words[2].data = value;
    world->options.client_query_buffer_limit = 1 << 20;
    RESP("MULTI", OK);
    assert_string_equal(world_resp_words(world, words, 3), QUEUED);
    assert_string_equal(world_resp_words(world, words, 3),
                        "-ERR Protocol error: transaction over client-query-buffer-limit\r\n");
    assert_true(world->client.close_after_reply);
    assert_int_equal(world->client.close_reason, CLOSE_BUFFER_LIMIT);
    free(value);
}

static void long_commands_run_inside(void **state)
{
    struct world *world = *state;
    struct ebb_slice words[1 + 2 * 200];
    char names[200][8];

    words[0] = (struct ebb_slice){"MSET", 4};
    for (size_t i = 0; i < 200; i++) {
        snprintf(names[i], sizeof(names[i]), "k%zu", i);
        words[1 + 2 * i] = words[2 + 2 * i] = (struct ebb_slice){names[i], strlen(names[i])};
    }
    RESP("MULTI", OK);
    assert_string_equal(world_resp_words(world, words, 1 + 2 * 200), QUEUED);
    TALK({"INFO memory x", QUEUED}, {"DISCARD", OK}, {"MULTI", OK});
    assert_string_equal(world_resp_words(world, words, 1 + 2 * 200), QUEUED);
    TALK({"DBSIZE", QUEUED}, {"MEMORY PURGE", QUEUED}, {"GET k199", QUEUED},
         {"EXEC", "*4\r\n+OK\r\n:200\r\n+OK\r\n$4\r\nk199\r\n"});
    assert_int_equal(world->counters.resp_commands[COMMAND_MSET], 1);
}

/* All of its keys would stay locked. */
static void nobody_sleeps_inside(void **state)
{
    TALK({"MULTI", OK}, {"SET a 1", QUEUED}, {"DEBUG SLEEP 0.001", QUEUED},
         {"DEBUG SET-ACTIVE-TRIM 1", QUEUED},
         {"EXEC", "*3\r\n+OK\r\n-ERR DEBUG SLEEP is not allowed inside a transaction\r\n+OK\r\n"});
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(commands_wait_for_exec),
        TEST(queued_bytes_are_the_clients_own),
        TEST(discard_forgets_the_queue),
        TEST(refused_commands_spoil_the_transaction),
        TEST(misplaced_words_do_not_spoil_it),
        TEST(errors_while_running_stop_nothing),
        TEST(select_counts_for_what_follows),
        TEST(reset_ends_a_transaction),
        TEST(hello_changes_the_protocol_inside),
        TEST(watched_keys_decide_over_exec),
        TEST(watches_are_of_a_database),
        TEST(expired_keys_abort),
        TEST(memcached_writes_are_seen),
        TEST(unwatch_and_exec_forget_the_keys),
        TEST(watches_outlive_compaction),
        TEST(many_watches_are_found_and_freed),
        TEST(the_queue_is_bounded),
        TEST(long_commands_run_inside),
        TEST(nobody_sleeps_inside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
