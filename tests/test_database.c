/* SPDX-License-Identifier: MIT */
/* test_database.c: COPY, MOVE, SWAPDB, and SET with IFEQ and IFNE. The answers are those of
 * redis-server 7.0.15; of IFEQ and IFNE, what Redis 8.4 documents.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "support/cmd_talk.h"

#define SAME  "-ERR source and destination objects are the same\r\n"
#define RANGE "-ERR DB index is out of range\r\n"

static void copies_keep_value_and_time(void **state)
{
    TALK({"SET a text EX 100", OK}, {"COPY a b", ":1\r\n"}, {"GET b", "$4\r\ntext\r\n"},
         {"TTL b", ":100\r\n"}, {"COPY a b", ":0\r\n"}, {"SET b x", OK},
         {"COPY a b REPLACE", ":1\r\n"}, {"GET b", "$4\r\ntext\r\n"},
         {"COPY none b REPLACE", ":0\r\n"}, {"COPY a a", SAME}, {"COPY a a DB 0", SAME},
         {"COPY a a DB 3", ":1\r\n"}, {"COPY a a DB 16", RANGE}, {"COPY a b DB", SYNTAX},
         {"COPY a b c", SYNTAX}, {"SELECT 3", OK}, {"GET a", "$4\r\ntext\r\n"});
}

static void keys_move_to_a_database_without_them(void **state)
{
    TALK({"SET a 1", OK}, {"MOVE a 0", SAME}, {"MOVE a 1", ":1\r\n"}, {"EXISTS a", ":0\r\n"},
         {"MOVE a 1", ":0\r\n"}, {"SET a 2", OK}, {"MOVE a 1", ":0\r\n"}, {"GET a", "$1\r\n2\r\n"},
         {"MOVE a 16", RANGE}, {"MOVE a x", NO_INTEGER}, {"SELECT 1", OK},
         {"GET a", "$1\r\n1\r\n"});
}

static void swapped_databases_change_numbers_only(void **state)
{
    struct world *world = *state;

    TALK({"MSET a 0 b 0", OK}, {"SELECT 1", OK}, {"SET a 1 EX 100", OK}, {"SWAPDB 0 1", OK},
         {"GET a", "$1\r\n0\r\n"}, {"DBSIZE", ":2\r\n"}, {"SELECT 0", OK}, {"GET a", "$1\r\n1\r\n"},
         {"DBSIZE", ":1\r\n"}, {"TTL a", ":100\r\n"}, {"KEYS *", "*1\r\n$1\r\na\r\n"},
         {"RANDOMKEY", "$1\r\na\r\n"}, {"SCAN 0", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\na\r\n"},
         {"SWAPDB 0 0", OK}, {"SWAPDB 0 16", RANGE},
         {"SWAPDB x 1", "-ERR invalid first DB index\r\n"},
         {"SWAPDB 1 x", "-ERR invalid second DB index\r\n"});
    /* memcached's keys are those of the database with number 0. */
    assert_string_equal(world_mc(world, "get a\r\n"), "VALUE a 0 1\r\n1\r\nEND\r\n");
    TALK({"FLUSHDB", OK}, {"DBSIZE", ":0\r\n"}, {"SELECT 1", OK}, {"DBSIZE", ":2\r\n"},
         {"SWAPDB 1 0", OK}, {"DBSIZE", ":0\r\n"});
}

static void keys_expire_in_swapped_databases(void **state)
{
    struct world *world = *state;

    TALK({"SET a 1 PX 50", OK}, {"SWAPDB 0 1", OK});
    world->session.now_ms += 1000;
    world_upkeep(world);
    TALK({"SELECT 1", OK}, {"DBSIZE", ":0\r\n"});
}

/* What SWAPDB means to a key watched in database 0. */
static const struct {
    const char *before, *then;
    bool fails;
} swaps[] = {
    {"PING", "SWAPDB 0 1", false},          {"SET w 1", "SWAPDB 0 1", true},
    {"SET w 1", "SWAPDB 1 2", false},       {"COPY x w DB 1", "SWAPDB 0 1", true},
    {"COPY x v DB 1", "SWAPDB 1 0", false},
};

static void swapdb_is_seen_by_watches(void **state)
{
    struct world *world = *state;

    for (size_t i = 0; i < sizeof(swaps) / sizeof(swaps[0]); i++) {
        TALK({"FLUSHALL", OK}, {"SET x 1", OK});
        world_resp(world, swaps[i].before);
        RESP("WATCH w", OK);
        world_resp(world, swaps[i].then);
        RESP("MULTI", OK);
        const char *answer = world_resp(world, "EXEC");
        if (strcmp(answer, swaps[i].fails ? "*-1\r\n" : "*0\r\n") != 0)
            fail_msg("%s, then %s: %s", swaps[i].before, swaps[i].then, answer);
    }
    /* A watch stays with the number. */
    TALK({"FLUSHALL", OK}, {"WATCH w", OK}, {"SWAPDB 0 1", OK}, {"SELECT 1", OK}, {"SET w 1", OK},
         {"MULTI", OK}, {"EXEC", "*0\r\n"}, {"FLUSHALL", OK}, {"SELECT 0", OK}, {"WATCH w", OK},
         {"SWAPDB 0 1", OK}, {"SET w 1", OK}, {"MULTI", OK}, {"EXEC", "*-1\r\n"});
}

static void set_compares_first(void **state)
{
    TALK({"SET k a IFEQ a", NIL}, {"EXISTS k", ":0\r\n"}, {"SET k a IFNE a", OK},
         {"SET k b IFEQ x", NIL}, {"SET k b IFEQ a", OK}, {"GET k", "$1\r\nb\r\n"},
         {"SET k c IFNE b", NIL}, {"SET k c IFNE x", OK}, {"SET k d GET IFEQ x", "$1\r\nc\r\n"},
         {"SET k d IFEQ c GET EX 100", "$1\r\nc\r\n"}, {"TTL k", ":100\r\n"},
         {"SET k e IFEQ d KEEPTTL", OK}, {"TTL k", ":100\r\n"}, {"SET k f IFEQ", SYNTAX},
         {"SET k f NX IFEQ e", SYNTAX}, {"SET k f IFEQ e XX", SYNTAX},
         {"SET k f IFEQ e IFNE x", SYNTAX}, {"SET k f IFEQ e IFEQ e", SYNTAX},
         {"SET k \"\" IFEQ e", OK}, {"SET k x IFEQ \"\"", OK}, {"GETEX k IFEQ x", SYNTAX});
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(copies_keep_value_and_time),
        TEST(keys_move_to_a_database_without_them),
        TEST(swapped_databases_change_numbers_only),
        TEST(keys_expire_in_swapped_databases),
        TEST(swapdb_is_seen_by_watches),
        TEST(set_compares_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
