/* SPDX-License-Identifier: MIT */
/* test_cmd.c: RESP commands against a store. The answers are those of redis-server 7.0.15.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "../server/clock.h"
#include "../server/cmd/command_slots.h"
#include "support/cmd_talk.h"
#include "support/rng.h"

static bool contains(const char *text, const char *part)
{
    if (strstr(text, part) != NULL)
        return true;
    print_message("no '%s' in: %s\n", part, text);
    return false;
}

/* ---- the table and dispatch ---- */

static const unsigned taken_slots[] = {
#define SLOT(index, id) index,
#include "../server/cmd/command_slots.def"
#undef SLOT
};

static bool is_taken(unsigned slot)
{
    for (size_t i = 0; i < sizeof(taken_slots) / sizeof(taken_slots[0]); i++) {
        if (taken_slots[i] == slot)
            return true;
    }
    return false;
}

static const char *const ids[COMMAND_COUNT] = {
#define COMMAND(id, ...) #id,
#include "../server/cmd/commands.def"
#undef COMMAND
};

static void command_finds_every_row_by_its_name(void **state)
{
    (void)state;
    assert_int_equal(sizeof(taken_slots) / sizeof(taken_slots[0]), COMMAND_COUNT);
    for (unsigned i = 0; i < COMMAND_COUNT; i++) {
        const struct command *command = &commands[i];
        uint64_t words[COMMAND_NAME_WORDS];
        memcpy(words, command->name, sizeof(words));
        unsigned slot = command_slot(words, command->name_len);
        assert_int_equal(strlen(command->name), command->name_len);
        while (is_taken(slot))
            slot = (slot + 1) % COMMAND_SLOT_COUNT;
        if (command_find(command->name, command->name_len) != command)
            fail_msg("command_slots.def lacks a line: SLOT(%u, %s)", slot, ids[i]);
    }
}

static void command_names_are_read_in_any_case(void **state)
{
    (void)state;
    assert_ptr_equal(command_find("gEt", 3), &commands[COMMAND_GET]);
    assert_ptr_equal(command_find("CLIENT|ID", 9), &commands[COMMAND_CLIENT_ID]);
    assert_ptr_equal(command_find_sub(&commands[COMMAND_CLIENT], "Id", 2),
                     &commands[COMMAND_CLIENT_ID]);
    assert_null(command_find("", 0));
    assert_null(command_find("get ", 4));
    assert_null(command_find("ge", 2));
    assert_null(command_find("get\0", 4));
    assert_null(command_find("client\\id", 9));
    assert_null(command_find_sub(&commands[COMMAND_CLIENT], "", 0));
    char long_name[5000];
    memset(long_name, 'a', sizeof(long_name));
    assert_null(command_find(long_name, sizeof(long_name)));
    assert_null(command_find_sub(&commands[COMMAND_CLIENT], long_name, sizeof(long_name)));
}

static void commands_have_sound_rows(void **state)
{
    (void)state;
    const struct command *container = NULL;
    for (unsigned i = 0; i < COMMAND_COUNT; i++) {
        const struct command *command = &commands[i];
        assert_true(command->arity != 0 && command->summary[0] != '\0');
        if (command->flags & COMMAND_CONTAINER)
            container = command;
        assert_int_equal((command->flags & COMMAND_SUB) != 0, strchr(command->name, '|') != NULL);
        if (command->flags & COMMAND_SUB) {
            assert_non_null(container);
            assert_memory_equal(command->name, container->name, container->name_len);
        }
        if (command->first_key > 0)
            assert_true(command->key_step > 0);
    }
}

static void dispatch_refuses_what_is_no_command(void **state)
{
    struct world *world = *state;
    TALK({"foo", "-ERR unknown command 'foo', with args beginning with: \r\n"},
         {"FOO Bar baz", "-ERR unknown command 'FOO', with args beginning with: 'Bar' 'baz' \r\n"},
         {"\"a\\r\\nb\" \"c\\nd\"",
          "-ERR unknown command 'a  b', with args beginning with: 'c d' \r\n"},
         {"client|id", "-ERR unknown command 'client|id', with args beginning with: \r\n"},
         {"client foo", "-ERR unknown subcommand 'foo'. Try CLIENT HELP.\r\n"},
         {"Config foo bar", "-ERR unknown subcommand 'foo'. Try CONFIG HELP.\r\n"},
         {"COMMAND foo", "-ERR unknown subcommand 'foo'. Try COMMAND HELP.\r\n"});
    assert_int_equal(world->counters.resp_unknown, 7);
    assert_int_equal(world->counters.resp_error_kinds[ERROR_KIND_ERR], 7);
    assert_null(world->context.command);
    assert_int_equal(world->client.last_command, COMMAND_COUNT);
}

static void dispatch_quotes_128_bytes_of_arguments_at_most(void **state)
{
    char line[1024], answer[1024], words[5][51];
    for (int i = 0; i < 5; i++) {
        memset(words[i], 'a' + i, 50);
        words[i][50] = '\0';
    }
    snprintf(line, sizeof(line), "x %s %s %s %s", words[0], words[1], words[2], words[3]);
    snprintf(answer, sizeof(answer),
             "-ERR unknown command 'x', with args beginning with: '%s' '%s' '%.22s' \r\n", words[0],
             words[1], words[2]);
    assert_string_equal(world_resp(*state, line), answer);
}

static void dispatch_checks_the_number_of_words(void **state)
{
    struct world *world = *state;
    TALK({"GET", "-ERR wrong number of arguments for 'get' command\r\n"},
         {"GET a b", "-ERR wrong number of arguments for 'get' command\r\n"},
         {"SET a", "-ERR wrong number of arguments for 'set' command\r\n"},
         {"CLIENT", "-ERR wrong number of arguments for 'client' command\r\n"},
         {"CLIENT SETNAME", "-ERR wrong number of arguments for 'client|setname' command\r\n"},
         {"MSET a 1 b", "-ERR wrong number of arguments for 'mset' command\r\n"},
         {"PING a b", "-ERR wrong number of arguments for 'ping' command\r\n"});
    assert_int_equal(world->counters.resp_rejected[COMMAND_GET], 2);
    assert_int_equal(world->counters.resp_commands[COMMAND_GET], 0);
    assert_int_equal(world->counters.resp_errors[COMMAND_GET], 2);
    assert_int_equal(world->counters.resp_commands[COMMAND_MSET], 1);
    assert_int_equal(world->counters.resp_errors[COMMAND_MSET], 1);
    assert_int_equal(world->counters.resp_rejected[COMMAND_MSET], 0);
}

static void dispatch_drops_who_speaks_http(void **state)
{
    struct world *world = *state;
    RESP("POST / HTTP/1.1", "");
    assert_true(world->client.close_after_reply);
    world->client.close_after_reply = false;
    RESP("Host: localhost", "");
    assert_true(world->client.close_after_reply);
}

static void dispatch_obeys_client_reply(void **state)
{
    struct world *world = *state;
    TALK({"CLIENT REPLY SKIP", ""}, {"PING", ""}, {"PING", "+PONG\r\n"});
    TALK({"CLIENT REPLY SKIP", ""}, {"nosuch", ""}, {"PING", "+PONG\r\n"});
    TALK({"CLIENT REPLY SKIP", ""}, {"CLIENT REPLY SKIP", ""}, {"PING", ""}, {"PING", "+PONG\r\n"});
    TALK({"CLIENT REPLY OFF", ""}, {"SET a 1", ""}, {"CLIENT REPLY SKIP", ""}, {"GET", ""},
         {"CLIENT REPLY ON", OK}, {"GET a", "$1\r\n1\r\n"});
    TALK({"CLIENT REPLY SKIP", ""}, {"CLIENT REPLY ON", OK}, {"PING", "+PONG\r\n"});
    TALK({"CLIENT REPLY OFF", ""}, {"RESET", "+RESET\r\n"}, {"PING", "+PONG\r\n"});
    RESP("CLIENT REPLY maybe", SYNTAX);
    assert_int_equal(world->counters.resp_unknown, 1);
}

static void dispatch_keeps_what_is_in_the_reply_already(void **state)
{
    struct world *world = *state;
    struct ebb_slice words[] = {{"CLIENT", 6}, {"REPLY", 5}, {"OFF", 3}};
    struct ebb_args args = {.at = words, .count = 3};
    ebb_buf_clear(&world->out);
    ebb_buf_add(&world->out, "earlier", 7);
    cmd_run_resp(&world->context, &args);
    args.count = 1;
    cmd_run_resp(&world->context, &args);
    assert_int_equal(ebb_buf_len(&world->out), 7);
}

/* ---- connection ---- */

static void connection_says_hello(void **state)
{
    struct world *world = *state;
    static const char pairs[] =
        "$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n" EBB_REDIS_VERSION
        "\r\n$5\r\nproto\r\n:%d\r\n$2\r\nid\r\n:7\r\n"
        "$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"
        "$7\r\nmodules\r\n*0\r\n";
    char two[400], three[400];
    strcpy(two, "*14\r\n");
    snprintf(two + 5, sizeof(two) - 5, pairs, 2);
    strcpy(three, "%7\r\n");
    snprintf(three + 4, sizeof(three) - 4, pairs, 3);
    assert_string_equal(world_resp(world, "HELLO"), two);
    assert_string_equal(world_resp(world, "HELLO 3 SETNAME me"), three);
    TALK({"GET nope", "_\r\n"}, {"CLIENT GETNAME", "$2\r\nme\r\n"});
    assert_string_equal(world_resp(world, "HELLO"), three);
    assert_string_equal(world_resp(world, "HELLO 2"), two);
    TALK(
        {"GET nope", NIL}, {"HELLO 4", "-NOPROTO unsupported protocol version\r\n"},
        {"HELLO x", "-ERR Protocol version is not an integer or out of range\r\n"},
        {"HELLO 3 FOO", "-ERR Syntax error in HELLO option 'FOO'\r\n"},
        {"HELLO 3 AUTH a", "-ERR Syntax error in HELLO option 'AUTH'\r\n"},
        {"HELLO 3 AUTH a b", "-WRONGPASS invalid username-password pair or user is disabled.\r\n"});
    assert_int_equal(world->client.resp_version, 2);
}

static void connection_wants_the_password(void **state)
{
    struct world *world = *state;
    RESP("CONFIG SET requirepass secret", OK);
    RESP("PING", "+PONG\r\n"); /* who was in stays in */
    TALK({"RESET", "+RESET\r\n"}, {"PING", "-NOAUTH Authentication required.\r\n"},
         {"GET", "-ERR wrong number of arguments for 'get' command\r\n"},
         {"HELLO 3",
          "-NOAUTH HELLO must be called with the client already authenticated, otherwise "
          "the HELLO AUTH <user> <pass> option can be used to authenticate the client "
          "and select the RESP protocol version at the same time\r\n"},
         {"AUTH secre", "-WRONGPASS invalid username-password pair or user is disabled.\r\n"},
         {"AUTH secrets", "-WRONGPASS invalid username-password pair or user is disabled.\r\n"},
         {"AUTH \"\"", "-WRONGPASS invalid username-password pair or user is disabled.\r\n"},
         {"AUTH Default secret",
          "-WRONGPASS invalid username-password pair or user is disabled.\r\n"},
         {"AUTH a b c", SYNTAX}, {"PING", "-NOAUTH Authentication required.\r\n"},
         {"AUTH secret", OK}, {"PING", "+PONG\r\n"});
    assert_int_equal(world->counters.auth_failures, 4);
    assert_int_equal(world->counters.resp_error_kinds[ERROR_KIND_WRONGPASS], 4);
    assert_int_equal(world->counters.resp_error_kinds[ERROR_KIND_NOAUTH], 3);
    TALK({"RESET", "+RESET\r\n"}, {"AUTH default secret", OK}, {"CONFIG SET requirepass \"\"", OK},
         {"RESET", "+RESET\r\n"}, {"PING", "+PONG\r\n"}, {"AUTH default anything", OK},
         {"AUTH x", "-ERR AUTH <password> called without any password configured for the default "
                    "user. Are you sure your configuration is correct?\r\n"});
}

static void connection_has_a_database(void **state)
{
    TALK({"SET a 0", OK}, {"SELECT 1", OK}, {"GET a", NIL}, {"SET a 1", OK}, {"SELECT 0", OK},
         {"GET a", "$1\r\n0\r\n"}, {"SELECT 15", OK}, {"DBSIZE", ":0\r\n"},
         {"SELECT 16", "-ERR DB index is out of range\r\n"},
         {"SELECT -1", "-ERR DB index is out of range\r\n"}, {"SELECT x", NO_INTEGER},
         {"SELECT 99999999999",
          "-ERR value is out of range, value must between -2147483648 and 2147483647\r\n"},
         {"RESET", "+RESET\r\n"}, {"GET a", "$1\r\n0\r\n"}, {"FLUSHDB", OK}, {"GET a", NIL},
         {"SELECT 1", OK}, {"GET a", "$1\r\n1\r\n"}, {"FLUSHALL SYNC", OK}, {"GET a", NIL},
         {"FLUSHALL now", SYNTAX}, {"FLUSHDB ASYNC", OK});
}

static void client_texts_are_no_longer_than_is_good(void **state)
{
    struct world *world = *state;
    static char text[4097];
    struct ebb_slice long_text = {text, sizeof(text)};
    struct ebb_slice setname[3] = {{"CLIENT", 6}, {"SETNAME", 7}, long_text},
                     setinfo[4] = {{"CLIENT", 6}, {"SETINFO", 7}, {"lib-name", 8}, long_text},
                     hello[4] = {{"HELLO", 5}, {"2", 1}, {"SETNAME", 7}, long_text};
    memset(text, 'x', sizeof(text));
    assert_string_equal(world_resp_words(world, setname, 3),
                        "-ERR Client names cannot be longer than 4096 bytes\r\n");
    assert_string_equal(world_resp_words(world, setinfo, 4),
                        "-ERR lib-name cannot be longer than 4096 bytes\r\n");
    assert_string_equal(world_resp_words(world, hello, 4),
                        "-ERR Client names cannot be longer than 4096 bytes\r\n");
    RESP("CLIENT GETNAME", NIL);
    assert_null(world->client.library_name);
    setname[2].len = setinfo[3].len = 4096;
    assert_string_equal(world_resp_words(world, setname, 3), OK);
    assert_string_equal(world_resp_words(world, setinfo, 4), OK);
    assert_int_equal(strlen(world->client.name), 4096);
    assert_int_equal(strlen(world->client.library_name), 4096);
}

static void connection_knows_its_client(void **state)
{
    struct world *world = *state;
    TALK({"CLIENT ID", ":7\r\n"}, {"CLIENT GETNAME", NIL}, {"CLIENT SETNAME me", OK},
         {"CLIENT GETNAME", "$2\r\nme\r\n"},
         {"CLIENT SETNAME \"a b\"",
          "-ERR Client names cannot contain spaces, newlines or special characters.\r\n"},
         {"CLIENT SETINFO LIB-NAME redis-py", OK}, {"CLIENT SETINFO lib-ver 5.0", OK},
         {"CLIENT SETINFO lib-ver \"5 0\"",
          "-ERR lib-ver cannot contain spaces, newlines or special characters.\r\n"},
         {"CLIENT SETINFO foo bar", "-ERR Unrecognized option 'foo'\r\n"},
         {"CLIENT NO-EVICT on", OK}, {"CLIENT NO-EVICT x", SYNTAX},
         {"CLIENT LIST ID 8", "$0\r\n\r\n"}, {"CLIENT LIST TYPE pubsub", "$0\r\n\r\n"},
         {"CLIENT LIST TYPE foo", "-ERR Unknown client type 'foo'\r\n"},
         {"CLIENT LIST ID x", "-ERR Invalid client ID\r\n"}, {"CLIENT LIST foo", SYNTAX});
    static const char description[] =
        "id=7 addr=127.0.0.1:50000 laddr=127.0.0.1:6379 name=me age=2 idle=0 flags=N db=0 sub=0 "
        "psub=0 ssub=0 multi=-1 qbuf=0 qbuf-free=0 argv-mem=0 multi-mem=0 obl=0 oll=0 omem=0 "
        "tot-mem=%zu events=r cmd=client|%s user=default redir=-1 resp=2 lib-name=redis-py "
        "lib-ver=5.0\n\r\n";
    char line[500];
    snprintf(line, sizeof(line), description, sizeof(struct client), "info");
    assert_true(contains(world_resp(world, "CLIENT INFO"), line));
    snprintf(line, sizeof(line), description, sizeof(struct client), "list");
    assert_true(contains(world_resp(world, "CLIENT LIST ID 3 7"), line));
    TALK({"CLIENT SETNAME \"\"", OK}, {"CLIENT GETNAME", NIL});
}

static void connection_quits(void **state)
{
    struct world *world = *state;
    RESP("ECHO \"a b\"", "$3\r\na b\r\n");
    assert_false(world->client.close_after_reply);
    RESP("QUIT now", OK);
    assert_true(world->client.close_after_reply);
}

static bool is_used(struct world *world, const char *name)
{
    struct store_value value;
    struct store_key key = store_key(world->store, 0, name, strlen(name));
    store_enter(&world->session, &key);
    assert_true(store_peek(&world->session, &key, &value));
    store_leave(&world->session);
    return value.marks & STORE_FETCHED;
}

static void connection_may_read_without_touching(void **state)
{
    struct world *world = *state;
    struct store_stats before, after;
    TALK({"SET a 1", OK}, {"CLIENT NO-TOUCH on", OK});
    store_stats(world->store, &before);
    TALK({"GET a", "$1\r\n1\r\n"}, {"GET b", NIL});
    store_stats(world->store, &after);
    assert_int_equal(after.lookups, before.lookups + 2);
    assert_int_equal(after.hits, before.hits + 1);
    assert_false(is_used(world, "a"));
    RESP("TOUCH a", ":1\r\n");
    assert_true(is_used(world, "a"));
    TALK({"SET a 1", OK}, {"CLIENT NO-TOUCH off", OK}, {"GET a", "$1\r\n1\r\n"});
    assert_true(is_used(world, "a"));
}

static void questions_about_a_key_are_no_use_of_it(void **state)
{
    struct world *world = *state;
    struct store_stats before, after;
    RESP("SET a 1", OK);
    store_stats(world->store, &before);
    TALK({"EXISTS a", ":1\r\n"}, {"TYPE a", "+string\r\n"}, {"TTL a", ":-1\r\n"},
         {"OBJECT ENCODING a", "$3\r\nint\r\n"}, {"OBJECT IDLETIME a", ":0\r\n"},
         {"EXISTS b", ":0\r\n"});
    store_stats(world->store, &after);
    assert_int_equal(after.lookups, before.lookups + 6); /* as Redis counts them */
    assert_int_equal(after.hits, before.hits + 5);
    assert_false(is_used(world, "a"));
}

/* ---- strings ---- */

static void set_obeys_its_conditions(void **state)
{
    TALK({"SET a 1", OK}, {"SET a 2 NX", NIL}, {"GET a", "$1\r\n1\r\n"}, {"SET a 2 xx", OK},
         {"SET b 1 XX", NIL}, {"EXISTS b", ":0\r\n"}, {"SET b 1 nx", OK},
         {"SET a 3 GET", "$1\r\n2\r\n"}, {"SET c 1 GET", NIL}, {"GET c", "$1\r\n1\r\n"},
         {"SET a 4 NX GET", "$1\r\n3\r\n"}, {"GET a", "$1\r\n3\r\n"}, {"SET d 1 XX GET", NIL},
         {"EXISTS d", ":0\r\n"}, {"SET a 1 NX XX", SYNTAX}, {"SET a 1 FOO", SYNTAX},
         {"SET a 1 PERSIST", SYNTAX}, {"SETNX a 9", ":0\r\n"}, {"SETNX e 9", ":1\r\n"},
         {"GETSET e 8", "$1\r\n9\r\n"}, {"GETSET f 8", NIL}, {"GETDEL e", "$1\r\n8\r\n"},
         {"GETDEL e", NIL});
}

static void set_obeys_its_times(void **state)
{
    struct world *world = *state;
    TALK({"SET a 1 EX 10", OK}, {"PTTL a", ":10000\r\n"}, {"SET a 1 PX 1500", OK},
         {"PTTL a", ":1500\r\n"}, {"TTL a", ":2\r\n"}, {"SET a 1 KEEPTTL", OK},
         {"PTTL a", ":1500\r\n"}, {"SET a 1", OK}, {"TTL a", ":-1\r\n"},
         {"SET a 1 EXAT 1700000100", OK}, {"EXPIRETIME a", ":1700000100\r\n"},
         {"SET a 1 PXAT 1700000100500", OK}, {"PEXPIRETIME a", ":1700000100500\r\n"},
         {"EXPIRETIME a", ":1700000101\r\n"}, {"SET a 1 PXAT 1", OK}, {"EXISTS a", ":0\r\n"},
         {"SET a 1 EX 10 EX 20", OK}, {"TTL a", ":20\r\n"}, {"SET a 1 EX 10 PX 10", SYNTAX},
         {"SET a 1 EX", SYNTAX}, {"SET a 1 KEEPTTL EX 1", SYNTAX}, {"SET a 1 EX x", NO_INTEGER},
         {"SET a 1 EX 0", "-ERR invalid expire time in 'set' command\r\n"},
         {"SET a 1 PX -5", "-ERR invalid expire time in 'set' command\r\n"},
         {"SET a 1 EX 9223372036854775807", "-ERR invalid expire time in 'set' command\r\n"},
         {"SET a 1 PX 9223372036854775807", "-ERR invalid expire time in 'set' command\r\n"},
         {"SETEX a 0 1", "-ERR invalid expire time in 'setex' command\r\n"},
         {"PSETEX a -1 1", "-ERR invalid expire time in 'psetex' command\r\n"}, {"SETEX a 5 v", OK},
         {"PTTL a", ":5000\r\n"}, {"PSETEX a 5 v", OK}, {"PTTL a", ":5\r\n"});
    world->session.now_ms += 4;
    RESP("GET a", "$1\r\nv\r\n");
    world->session.now_ms += 1;
    TALK({"GET a", NIL}, {"TTL a", ":-2\r\n"});
}

static void getex_changes_the_time(void **state)
{
    TALK({"GETEX a", NIL}, {"GETEX a EX 0", NIL}, {"SET a v", OK}, {"GETEX a", "$1\r\nv\r\n"},
         {"TTL a", ":-1\r\n"}, {"GETEX a EX 10", "$1\r\nv\r\n"}, {"TTL a", ":10\r\n"},
         {"GETEX a", "$1\r\nv\r\n"}, {"TTL a", ":10\r\n"}, {"GETEX a PERSIST", "$1\r\nv\r\n"},
         {"TTL a", ":-1\r\n"}, {"GETEX a EX 0", "-ERR invalid expire time in 'getex' command\r\n"},
         {"GETEX a KEEPTTL", SYNTAX}, {"GETEX a NX", SYNTAX}, {"GETEX a EX 10 PERSIST", SYNTAX},
         {"GETEX a PX 5", "$1\r\nv\r\n"}, {"PTTL a", ":5\r\n"}, {"GETEX a EXAT 1", "$1\r\nv\r\n"},
         {"EXISTS a", ":0\r\n"});
}

static void strings_of_any_bytes_are_kept(void **state)
{
    struct world *world = *state;
    char bytes[300];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)i;
    struct ebb_slice set[] = {{"SET", 3}, {bytes, 256}, {bytes, sizeof(bytes)}};
    struct ebb_slice get[] = {{"GET", 3}, {bytes, 256}};
    assert_string_equal(world_resp_words(world, set, 3), OK);
    const char *answer = world_resp_words(world, get, 2);
    assert_int_equal(world_answer_len(world), 6 + sizeof(bytes) + 2);
    assert_memory_equal(answer + 6, bytes, sizeof(bytes));
    struct ebb_slice empty[] = {{"SET", 3}, {"", 0}, {"", 0}};
    assert_string_equal(world_resp_words(world, empty, 3), OK);
    TALK({"GET \"\"", "$0\r\n\r\n"}, {"KEYS x*", "*0\r\n"}, {"STRLEN \"\"", ":0\r\n"});
}

static void several_keys_are_read_and_set(void **state)
{
    TALK({"MSET a 1 b 2 a 3", OK},
         {"MGET a b c a", "*4\r\n$1\r\n3\r\n$1\r\n2\r\n$-1\r\n$1\r\n3\r\n"},
         {"MSETNX c 1 a 2", ":0\r\n"}, {"EXISTS c", ":0\r\n"}, {"MSETNX c 1 d 2", ":1\r\n"},
         {"EXISTS a b c d e a", ":5\r\n"}, {"TOUCH a e", ":1\r\n"}, {"DEL a e a b", ":2\r\n"},
         {"UNLINK c d", ":2\r\n"}, {"DBSIZE", ":0\r\n"});
}

/* More than one chunk of keys, over several shards. */
static void hundreds_of_keys_are_one_command(void **state)
{
    enum { KEYS = 1000 };
    struct world *world = *state;
    static char texts[KEYS][8];
    struct ebb_slice words[2 * KEYS + 1];
    for (int i = 0; i < KEYS; i++) {
        int len = snprintf(texts[i], sizeof(texts[i]), "k%d", i);
        words[1 + 2 * i] = words[2 + 2 * i] = (struct ebb_slice){texts[i], (size_t)len};
    }
    words[0] = (struct ebb_slice){"MSET", 4};
    assert_string_equal(world_resp_words(world, words, 2 * KEYS + 1), OK);
    RESP("DBSIZE", ":1000\r\n");
    words[0] = (struct ebb_slice){"MSETNX", 6};
    assert_string_equal(world_resp_words(world, words, 2 * KEYS + 1), ":0\r\n");
    for (int i = 0; i < KEYS; i++)
        words[1 + i] = (struct ebb_slice){texts[i], strlen(texts[i])};
    words[0] = (struct ebb_slice){"MGET", 4};
    const char *answer = world_resp_words(world, words, KEYS + 1);
    assert_memory_equal(answer, "*1000\r\n", 7);
    answer += 7;
    for (int i = 0; i < KEYS; i++) {
        char expected[32];
        int len =
            snprintf(expected, sizeof(expected), "$%zu\r\n%s\r\n", strlen(texts[i]), texts[i]);
        assert_memory_equal(answer, expected, (size_t)len);
        answer += len;
    }
    words[0] = (struct ebb_slice){"EXISTS", 6};
    assert_string_equal(world_resp_words(world, words, KEYS + 1), ":1000\r\n");
    words[0] = (struct ebb_slice){"DEL", 3};
    assert_string_equal(world_resp_words(world, words, KEYS + 1), ":1000\r\n");
    RESP("DBSIZE", ":0\r\n");
}

static void numbers_count_up_and_down(void **state)
{
    TALK({"INCR n", ":1\r\n"}, {"INCRBY n 41", ":42\r\n"}, {"DECR n", ":41\r\n"},
         {"DECRBY n 50", ":-9\r\n"}, {"GET n", "$2\r\n-9\r\n"}, {"SET n 1 EX 100", OK},
         {"INCR n", ":2\r\n"}, {"TTL n", ":100\r\n"}, {"SET n abc", OK}, {"INCR n", NO_INTEGER},
         {"SET n \" 1\"", OK}, {"INCR n", NO_INTEGER}, {"SET n 01", OK}, {"INCR n", NO_INTEGER},
         {"SET n 9223372036854775807", OK},
         {"INCR n", "-ERR increment or decrement would overflow\r\n"}, {"INCRBY n x", NO_INTEGER},
         {"DECRBY n -9223372036854775808", "-ERR decrement would overflow\r\n"},
         {"DECRBY n 9223372036854775807", ":0\r\n"}, {"SET n -9223372036854775808", OK},
         {"DECR n", "-ERR increment or decrement would overflow\r\n"});
}

static void numbers_may_have_fractions(void **state)
{
    TALK({"INCRBYFLOAT f 10.5", "$4\r\n10.5\r\n"}, {"INCRBYFLOAT f 0.1", "$4\r\n10.6\r\n"},
         {"INCRBYFLOAT f -10.6", "$1\r\n0\r\n"}, {"SET f 5.0e3", OK},
         {"INCRBYFLOAT f 2.0e2", "$4\r\n5200\r\n"}, {"INCRBYFLOAT f -5200.25", "$5\r\n-0.25\r\n"},
         {"INCRBYFLOAT f x", "-ERR value is not a valid float\r\n"},
         {"INCRBYFLOAT f \"\"", "-ERR value is not a valid float\r\n"},
         {"INCRBYFLOAT f \"1 \"", "-ERR value is not a valid float\r\n"},
         {"INCRBYFLOAT f nan", "-ERR value is not a valid float\r\n"},
         {"INCRBYFLOAT f inf", "-ERR increment would produce NaN or Infinity\r\n"},
         {"SET f abc", OK}, {"INCRBYFLOAT f 1", "-ERR value is not a valid float\r\n"},
         {"SET f 1 EX 50", OK}, {"INCRBYFLOAT f 1", "$1\r\n2\r\n"}, {"TTL f", ":50\r\n"});
}

static void ranges_are_read(void **state)
{
    TALK({"SET s Hello", OK}, {"GETRANGE s 0 -1", "$5\r\nHello\r\n"},
         {"GETRANGE s 1 3", "$3\r\nell\r\n"}, {"SUBSTR s -3 -2", "$2\r\nll\r\n"},
         {"GETRANGE s -100 100", "$5\r\nHello\r\n"}, {"GETRANGE s 5 9", "$0\r\n\r\n"},
         {"GETRANGE s 3 1", "$0\r\n\r\n"}, {"GETRANGE s -1 -3", "$0\r\n\r\n"},
         {"GETRANGE s -100 -50", "$1\r\nH\r\n"}, {"GETRANGE nope 0 -1", "$0\r\n\r\n"},
         {"GETRANGE s -9223372036854775808 9223372036854775807", "$5\r\nHello\r\n"},
         {"GETRANGE s x 1", NO_INTEGER}, {"STRLEN s", ":5\r\n"}, {"STRLEN nope", ":0\r\n"});
}

static void ranges_are_written(void **state)
{
    struct world *world = *state;
    TALK({"SETRANGE s 0 \"\"", ":0\r\n"}, {"EXISTS s", ":0\r\n"}, {"SETRANGE s 2 abc", ":5\r\n"});
    assert_memory_equal(world_resp(world, "GET s"), "$5\r\n\0\0abc\r\n", 11);
    TALK({"SETRANGE s 0 xy", ":5\r\n"}, {"GET s", "$5\r\nxyabc\r\n"},
         {"SETRANGE s 4 CDE", ":7\r\n"}, {"GET s", "$7\r\nxyabCDE\r\n"},
         {"SETRANGE s 9 z", ":10\r\n"}, {"EXPIRE s 10", ":1\r\n"}, {"SETRANGE s 1 Y", ":10\r\n"},
         {"TTL s", ":10\r\n"}, {"SETRANGE s 3 \"\"", ":10\r\n"},
         {"SETRANGE s -1 x", "-ERR offset is out of range\r\n"}, {"SETRANGE s x x", NO_INTEGER},
         {"SETRANGE s 536870911 xx", TOO_LONG}, {"SETRANGE s 9223372036854775807 x", TOO_LONG},
         {"STRLEN s", ":10\r\n"});
}

static void values_grow_at_their_end(void **state)
{
    TALK({"APPEND a x", ":1\r\n"}, {"APPEND a yz", ":3\r\n"}, {"GET a", "$3\r\nxyz\r\n"},
         {"EXPIRE a 9", ":1\r\n"}, {"APPEND a 1", ":4\r\n"}, {"TTL a", ":9\r\n"},
         {"APPEND b \"\"", ":0\r\n"}, {"EXISTS b", ":1\r\n"},
         {"CONFIG SET proto-max-bulk-len 1048576", OK}, {"SETRANGE a 1048575 x", ":1048576\r\n"},
         {"APPEND a x", TOO_LONG}, {"STRLEN a", ":1048576\r\n"});
}

/* ---- keys and times ---- */

static void expire_obeys_its_conditions(void **state)
{
    TALK({"EXPIRE a 10", ":0\r\n"}, {"SET a 1", OK}, {"EXPIRE a 10 XX", ":0\r\n"},
         {"EXPIRE a 10 GT", ":0\r\n"}, {"EXPIRE a 100 LT", ":1\r\n"}, {"EXPIRE a 50 NX", ":0\r\n"},
         {"EXPIRE a 50 GT", ":0\r\n"}, {"EXPIRE a 200 GT", ":1\r\n"}, {"EXPIRE a 300 LT", ":0\r\n"},
         {"EXPIRE a 100 XX LT", ":1\r\n"}, {"TTL a", ":100\r\n"}, {"PERSIST a", ":1\r\n"},
         {"PERSIST a", ":0\r\n"}, {"PERSIST nope", ":0\r\n"}, {"EXPIRE a 10 NX", ":1\r\n"},
         {"EXPIRE a 1 NX GT",
          "-ERR NX and XX, GT or LT options at the same time are not compatible\r\n"},
         {"EXPIRE a 1 GT LT", "-ERR GT and LT options at the same time are not compatible\r\n"},
         {"EXPIRE a 1 FOO", "-ERR Unsupported option FOO\r\n"}, {"EXPIRE a x", NO_INTEGER},
         {"EXPIRE a 9223372036854775807", "-ERR invalid expire time in 'expire' command\r\n"},
         {"PEXPIRE a 9223372036854775807", "-ERR invalid expire time in 'pexpire' command\r\n"});
}

static void expire_knows_all_units(void **state)
{
    struct world *world = *state;
    TALK({"SET a 1", OK}, {"TTL a", ":-1\r\n"}, {"EXPIRETIME a", ":-1\r\n"},
         {"EXPIRE a 10", ":1\r\n"}, {"PTTL a", ":10000\r\n"}, {"PEXPIRE a 10499", ":1\r\n"},
         {"TTL a", ":10\r\n"}, {"EXPIREAT a 1700000010", ":1\r\n"},
         {"PEXPIRETIME a", ":1700000010000\r\n"}, {"PEXPIREAT a 1700000001123", ":1\r\n"},
         {"PTTL a", ":1000\r\n"}, {"PTTL nope", ":-2\r\n"}, {"PEXPIRETIME nope", ":-2\r\n"});
    world->session.now_ms += 999;
    RESP("PTTL a", ":1\r\n");
    world->session.now_ms += 1;
    TALK({"PTTL a", ":-2\r\n"}, {"SET a 1", OK}, {"EXPIRE a 0", ":1\r\n"}, {"EXISTS a", ":0\r\n"},
         {"SET a 1", OK}, {"EXPIREAT a 0", ":1\r\n"}, {"EXISTS a", ":0\r\n"}, {"SET a 1", OK},
         {"PEXPIRE a -9223372036854775808", ":1\r\n"}, {"EXISTS a", ":0\r\n"});
}

static void rename_takes_value_and_time_along(void **state)
{
    TALK({"RENAME a b", "-ERR no such key\r\n"}, {"SET a v EX 10", OK}, {"SET b w", OK},
         {"RENAME a b", OK}, {"GET b", "$1\r\nv\r\n"}, {"TTL b", ":10\r\n"}, {"EXISTS a", ":0\r\n"},
         {"RENAME b b", OK}, {"RENAMENX b b", ":0\r\n"}, {"SET c 1", OK},
         {"RENAMENX b c", ":0\r\n"}, {"RENAMENX b d", ":1\r\n"}, {"GET d", "$1\r\nv\r\n"},
         {"TTL d", ":10\r\n"}, {"RENAMENX nope d", "-ERR no such key\r\n"}, {"RENAME c d", OK},
         {"TTL d", ":-1\r\n"}, {"DBSIZE", ":1\r\n"});
}

static void object_and_type_describe_values(void **state)
{
    TALK({"TYPE a", "+none\r\n"}, {"OBJECT ENCODING a", NIL}, {"SET a 123", OK},
         {"TYPE a", "+string\r\n"}, {"OBJECT ENCODING a", "$3\r\nint\r\n"},
         {"SET a 9223372036854775808", OK}, {"OBJECT ENCODING a", "$6\r\nembstr\r\n"},
         {"SET a 01234567890123456789012345678901234567890123", OK},
         {"OBJECT ENCODING a", "$6\r\nembstr\r\n"}, {"APPEND a x", ":45\r\n"},
         {"OBJECT ENCODING a", "$3\r\nraw\r\n"}, {"OBJECT REFCOUNT a", ":1\r\n"},
         {"OBJECT REFCOUNT b", NIL}, {"OBJECT FREQ b", NIL}, {"OBJECT IDLETIME b", NIL});
}

#define ADJUST                                                                                     \
    " Please note that when switching between policies at runtime LRU and LFU data will take "     \
    "some time to adjust.\r\n"

static void object_tells_of_use_what_the_policy_keeps(void **state)
{
    struct world *world = *state;
    char line[64];
    for (int policy = 0; policy < POLICY_COUNT; policy++) {
        bool is_lfu = policy == POLICY_ALLKEYS_LFU || policy == POLICY_VOLATILE_LFU;
        struct store_limit limit = {.pool_bytes = SIZE_MAX,
                                    .compact_bytes = SIZE_MAX,
                                    .order = is_lfu ? USE_LFU : USE_NONE};
        world->options.maxmemory_policy = policy;
        store_set_limit(world->store, &limit);
        snprintf(line, sizeof(line), "SET a%d 1", policy);
        assert_string_equal(world_resp(world, line), OK);
        snprintf(line, sizeof(line), "GET a%d", policy);
        world_resp(world, line);
        snprintf(line, sizeof(line), "OBJECT FREQ a%d", policy);
        assert_string_equal(world_resp(world, line),
                            is_lfu ? ":3\r\n"
                                   : "-ERR An LFU maxmemory policy is not selected, access "
                                     "frequency not tracked." ADJUST);
        snprintf(line, sizeof(line), "OBJECT IDLETIME a%d", policy);
        assert_string_equal(world_resp(world, line),
                            is_lfu ? "-ERR An LFU maxmemory policy is selected, idle time not "
                                     "tracked." ADJUST
                                   : ":0\r\n");
    }
}

static void idle_time_is_kept_from_the_first_question_on(void **state)
{
    struct world *world = *state;
    TALK({"SET a 1", OK}, {"OBJECT IDLETIME a", ":0\r\n"});
    world->session.now_ms += 7000;
    TALK({"OBJECT IDLETIME a", ":7\r\n"}, {"EXISTS a", ":1\r\n"}, {"OBJECT IDLETIME a", ":7\r\n"},
         {"GET a", "$1\r\n1\r\n"}, {"OBJECT IDLETIME a", ":0\r\n"});
    world->session.now_ms += 3000;
    TALK({"OBJECT IDLETIME a", ":3\r\n"}, {"SET a 2", OK}, {"OBJECT IDLETIME a", ":0\r\n"});
}

static void memory_tells_what_a_key_costs(void **state)
{
    struct world *world = *state;
    char line[32];
    for (int i = 0; i < 400; i++) { /* so that a key's share of the index is small */
        snprintf(line, sizeof(line), "SET k%d v", i);
        world_resp(world, line);
    }
    TALK({"MEMORY USAGE a", NIL}, {"MEMORY USAGE a SAMPLES", SYNTAX},
         {"MEMORY USAGE a SAMPLES -1", SYNTAX}, {"MEMORY USAGE a SAMPLES x", NO_INTEGER},
         {"SETRANGE a 999 x", ":1000\r\n"}, {"MEMORY PURGE", OK}, {"STRLEN a", ":1000\r\n"});
    int bytes = atoi(world_resp(world, "MEMORY USAGE a SAMPLES 5") + 1);
    assert_in_range(bytes, 1001, 1150);
}

/* ---- the whole keyspace ---- */

static void keys_match_patterns(void **state)
{
    TALK({"KEYS *", "*0\r\n"}, {"RANDOMKEY", NIL}, {"MSET one 1", OK},
         {"RANDOMKEY", "$3\r\none\r\n"}, {"KEYS *", "*1\r\n$3\r\none\r\n"},
         {"KEYS [nop]ne", "*1\r\n$3\r\none\r\n"}, {"KEYS O*", "*0\r\n"}, {"SELECT 3", OK},
         {"KEYS *", "*0\r\n"}, {"RANDOMKEY", NIL});
}

static void scan_reads_its_words(void **state)
{
    TALK({"SCAN x", "-ERR invalid cursor\r\n"},
         {"SCAN 18446744073709551616", "-ERR invalid cursor\r\n"}, {"SCAN 0 COUNT 0", SYNTAX},
         {"SCAN 0 COUNT x", NO_INTEGER}, {"SCAN 0 MATCH", SYNTAX}, {"SCAN 0 FOO 1", SYNTAX},
         {"SCAN 0", "*2\r\n$1\r\n0\r\n*0\r\n"}, {"SET foo 1", OK},
         {"SCAN 0 MATCH f* COUNT 100", "*2\r\n$1\r\n0\r\n*1\r\n$3\r\nfoo\r\n"},
         {"SCAN 0 MATCH b* COUNT 100", "*2\r\n$1\r\n0\r\n*0\r\n"},
         {"SCAN 0 TYPE String COUNT 100", "*2\r\n$1\r\n0\r\n*1\r\n$3\r\nfoo\r\n"},
         {"SCAN 0 TYPE hash COUNT 100", "*2\r\n$1\r\n0\r\n*0\r\n"}, {"SELECT 1", OK},
         {"SCAN 0 COUNT 100", "*2\r\n$1\r\n0\r\n*0\r\n"});
}

/* Reads the keys "k<number>" of an array and marks them. Returns how many. */
static size_t mark_keys(const char *array, unsigned char *seen, size_t count)
{
    size_t len = (size_t)atoi(array + 1);
    for (size_t i = 0; i < len; i++) {
        array = strstr(array, "\r\n") + 2;
        array = strstr(array, "\r\n") + 2;
        assert_int_equal(array[0], 'k');
        size_t number = (size_t)atoi(array + 1);
        assert_true(number < count);
        if (seen[number] < UINT8_MAX)
            seen[number]++;
    }
    return len;
}

static void walks_give_every_key(void **state)
{
    enum { KEYS = 5000 };
    struct world *world = *state;
    struct rng rng = rng_start("scan");
    unsigned char seen[KEYS] = {0};
    char line[64], cursor[32] = "0";
    for (int i = 0; i < KEYS; i++) {
        snprintf(line, sizeof(line), "SET k%d v", i);
        world_resp(world, line);
    }
    assert_int_equal(mark_keys(world_resp(world, "KEYS k*"), seen, KEYS), KEYS);
    for (int i = 0; i < KEYS; i++)
        assert_int_equal(seen[i], 1);

    memset(seen, 0, sizeof(seen));
    int calls = 0;
    do {
        /* Others come and go meanwhile. */
        snprintf(line, sizeof(line), "SET x%d v", (int)rng_below(&rng, 20000));
        for (int i = 0; i < 5; i++)
            world_resp(world, line);
        snprintf(line, sizeof(line), "SCAN %s MATCH k* COUNT %d", cursor,
                 1 + (int)rng_below(&rng, 100));
        const char *answer = world_resp(world, line);
        assert_int_equal(sscanf(answer, "*2\r\n$%*d\r\n%31[0-9]\r\n", cursor), 1);
        mark_keys(strstr(strstr(answer, "$") + 1, "*"), seen, KEYS);
        assert_true(++calls < 20000);
    } while (strcmp(cursor, "0") != 0);
    assert_true(calls > 50);
    for (int i = 0; i < KEYS; i++)
        assert_true(seen[i] >= 1);
}

static void scan_can_take_all_at_once(void **state)
{
    enum { KEYS = 3000 };
    struct world *world = *state;
    unsigned char seen[KEYS] = {0};
    char line[64];
    for (int i = 0; i < KEYS; i++) {
        snprintf(line, sizeof(line), "SET k%d v", i);
        world_resp(world, line);
    }
    const char *answer = world_resp(world, "SCAN 0 COUNT 1000000");
    assert_memory_equal(answer, "*2\r\n$1\r\n0\r\n*3000\r\n", 18);
    assert_int_equal(mark_keys(answer + 11, seen, KEYS), KEYS);
}

/* ---- the server ---- */

static void config_answers_globs(void **state)
{
    TALK({"CONFIG GET nosuch", "*0\r\n"},
         {"CONFIG GET maxmemory", "*2\r\n$9\r\nmaxmemory\r\n$1\r\n0\r\n"},
         {"CONFIG GET MaxMemory maxm*ry", "*2\r\n$9\r\nMaxMemory\r\n$1\r\n0\r\n"},
         {"CONFIG GET max*y timeout",
          "*6\r\n$9\r\nmaxmemory\r\n$1\r\n0\r\n$16\r\nmaxmemory-policy\r\n$14\r\nallkeys-s3fifo\r\n"
          "$7\r\ntimeout\r\n$1\r\n0\r\n"},
         {"CONFIG GET save", "*2\r\n$4\r\nsave\r\n$0\r\n\r\n"},
         {"CONFIG GET appendonly", "*2\r\n$10\r\nappendonly\r\n$2\r\nno\r\n"});
    char all[64];
    snprintf(all, sizeof(all), "*%zu\r\n", 2 * (options_count() + 2));
    assert_memory_equal(world_resp(*state, "CONFIG GET *"), all, strlen(all));
}

static void config_changes_all_or_nothing(void **state)
{
    struct world *world = *state;
    RESP("CONFIG SET maxmemory 100mb timeout 7", OK);
    assert_int_equal(world->options_changed, 2);
    TALK({"CONFIG GET maxmemory", "*2\r\n$9\r\nmaxmemory\r\n$9\r\n104857600\r\n"},
         {"CONFIG GET timeout", "*2\r\n$7\r\ntimeout\r\n$1\r\n7\r\n"},
         {"CONFIG SET maxmemory 5 foo 1",
          "-ERR Unknown option or number of arguments for CONFIG SET - 'foo'\r\n"},
         {"CONFIG SET maxmemory 5 port 1",
          "-ERR CONFIG SET failed (possibly related to argument 'port') - can't set immutable "
          "config\r\n"},
         {"CONFIG SET maxmemory 5 MAXMEMORY 6",
          "-ERR CONFIG SET failed (possibly related to argument 'MAXMEMORY') - duplicate "
          "parameter\r\n"},
         {"CONFIG SET maxmemory 5 timeout", SYNTAX});
    assert_true(contains(world_resp(world, "CONFIG SET maxmemory 5 timeout never"),
                         "-ERR CONFIG SET failed (possibly related to argument 'timeout') - "));
    RESP("CONFIG GET maxmemory", "*2\r\n$9\r\nmaxmemory\r\n$9\r\n104857600\r\n");
    assert_int_equal(world->options_changed, 2);
    /* What cannot be another may be set to what it is. */
    TALK(
        {"CONFIG SET appendonly no", OK},
        {"CONFIG SET appendonly yes",
         "-ERR CONFIG SET failed (possibly related to argument 'appendonly') - can't set immutable "
         "config\r\n"});
    assert_int_equal(world->options_changed, 2);
    TALK({"CONFIG REWRITE", "-ERR The server is running without a config file\r\n"},
         {"CONFIG RESETSTAT", OK});
    assert_int_equal(world->resets, 1);
    world->impossible = "maxclients";
    RESP("CONFIG SET timeout 9 maxclients 5",
         "-ERR CONFIG SET failed (possibly related to argument 'maxclients') - not here\r\n");
    assert_int_equal(world->options.timeout, 7);
    assert_int_equal(world->options.maxclients, 10000);
}

/* A text is taken as it came or not at all. */
static void config_cuts_no_text(void **state)
{
    struct world *world = *state;
    char text[OPTIONS_TEXT_MAX_BYTES + 1];
    struct ebb_slice set[] = {{"CONFIG", 6}, {"SET", 3}, {"admin-token", 11}, {text, sizeof(text)}};

    memset(text, 'a', sizeof(text));
    assert_string_equal(world_resp_words(world, set, 4),
                        "-ERR CONFIG SET failed (possibly related to argument 'admin-token') - "
                        "argument must have at most 4095 bytes\r\n");
    assert_string_equal(world->options.admin_token, "");
    set[3].len = OPTIONS_TEXT_MAX_BYTES;
    assert_string_equal(world_resp_words(world, set, 4), OK);
    assert_int_equal(strlen(world->options.admin_token), OPTIONS_TEXT_MAX_BYTES);
    assert_non_null(strstr(world_resp(world, "CONFIG GET admin-token"), "\r\n$4095\r\naaa"));

    text[5] = '\0';
    assert_string_equal(world_resp_words(world, set, 4),
                        "-ERR CONFIG SET failed (possibly related to argument 'admin-token') - "
                        "argument must not have a NUL byte\r\n");
    assert_int_equal(strlen(world->options.admin_token), OPTIONS_TEXT_MAX_BYTES);
    set[2] = (struct ebb_slice){"timeout", 7};
    set[3] = (struct ebb_slice){"12\0003", 4};
    assert_string_equal(world_resp_words(world, set, 4),
                        "-ERR CONFIG SET failed (possibly related to argument 'timeout') - "
                        "argument couldn't be parsed into an integer\r\n");
    assert_int_equal(world->options.timeout, 0);
}

static void info_has_what_clients_and_exporters_read(void **state)
{
    static const char *const fields[] = {
        "# Server\r\nredis_version:" EBB_REDIS_VERSION "\r\n",
        "\r\nebb_version:" EBB_VERSION "\r\n",
        "\r\nredis_mode:standalone\r\n",
        "\r\nos:Linux ",
        "\r\narch_bits:64\r\n",
        "\r\nprocess_id:",
        "\r\nrun_id:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n",
        "\r\ntcp_port:6379\r\n",
        "\r\nuptime_in_seconds:",
        "\r\nuptime_in_days:",
        "\r\nexecutable:/usr/bin/ebb\r\n",
        "\r\nconfig_file:\r\n",
        "\r\n\r\n# Clients\r\nconnected_clients:",
        "\r\nmaxclients:10000\r\n",
        "\r\n\r\n# Memory\r\nused_memory:",
        "\r\nused_memory_human:",
        "\r\nused_memory_rss:",
        "\r\nused_memory_peak:",
        "\r\nmaxmemory:0\r\n",
        "\r\nmaxmemory_human:0B\r\n",
        "\r\nmaxmemory_policy:allkeys-s3fifo\r\n",
        "\r\nmem_fragmentation_ratio:",
        "\r\nmem_allocator:ebb\r\n",
        "\r\n\r\n# Persistence\r\nloading:0\r\n",
        "\r\nrdb_bgsave_in_progress:0\r\n",
        "\r\naof_enabled:0\r\n",
        "\r\n\r\n# Stats\r\ntotal_connections_received:",
        "\r\ntotal_commands_processed:",
        "\r\ntotal_net_input_bytes:",
        "\r\ntotal_net_output_bytes:",
        "\r\nrejected_connections:0\r\n",
        "\r\nexpired_keys:",
        "\r\nevicted_keys:0\r\n",
        "\r\nkeyspace_hits:1\r\n",
        "\r\nkeyspace_misses:2\r\n",
        "\r\n\r\n# Replication\r\nrole:master\r\nconnected_slaves:0\r\n",
        "\r\n\r\n# CPU\r\nused_cpu_sys:",
        "\r\nused_cpu_user:",
        "\r\n\r\n# Errorstats\r\nerrorstat_ERR:count=2\r\n",
        "\r\n\r\n# Cluster\r\ncluster_enabled:0\r\n",
        "\r\n\r\n# Keyspace\r\ndb0:keys=2,expires=1,avg_ttl=0\r\n"
        "db5:keys=1,expires=0,avg_ttl=0\r\n\r\n",
    };
    struct world *world = *state;
    TALK({"SET a 1", OK}, {"SET b 1 EX 10", OK}, {"SELECT 5", OK}, {"SET c 1", OK},
         {"GET c", "$1\r\n1\r\n"}, {"GET d", NIL}, {"GET d", NIL},
         {"GET", "-ERR wrong number of arguments for 'get' command\r\n"},
         {"x", "-ERR unknown command 'x', with args beginning with: \r\n"});
    char *info = strdup(world_resp(world, "INFO"));
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        assert_true(contains(info, fields[i]));
    assert_null(strstr(info, "# Commandstats"));
    free(info);
    info = strdup(world_resp(world, "INFO all"));
    assert_true(contains(info, "\r\n\r\n# Commandstats\r\n"));
    assert_true(contains(info, "\r\ncmdstat_get:calls=3,usec=0,usec_per_call=0.00,"
                               "rejected_calls=1,failed_calls=0\r\n"));
    free(info);
}

static void info_answers_sections(void **state)
{
    TALK({"INFO nosuch", "$0\r\n\r\n"},
         {"INFO Cluster", "$30\r\n# Cluster\r\ncluster_enabled:0\r\n\r\n"},
         {"INFO keyspace CLUSTER cluster nosuch",
          "$44\r\n# Cluster\r\ncluster_enabled:0\r\n\r\n# Keyspace\r\n\r\n"},
         {"INFO errorstats", "$14\r\n# Errorstats\r\n\r\n"});
}

static size_t figure(const char *info, const char *name)
{
    char line[64];
    snprintf(line, sizeof(line), "\r\n%s:", name);
    const char *at = strstr(info, line);
    assert_non_null(at);
    return strtoull(at + strlen(line), NULL, 10);
}

static void info_memory_follows_the_data(void **state)
{
    struct world *world = *state;
    char *empty = strdup(world_resp(world, "INFO memory"));
    RESP("SETRANGE a 9999999 x", ":10000000\r\n");
    char *full = strdup(world_resp(world, "INFO memory"));
    RESP("DEL a", ":1\r\n");
    char *after = strdup(world_resp(world, "INFO memory"));
    assert_int_equal(figure(full, "used_memory_dataset"), 10000001);
    assert_in_range(figure(full, "used_memory"), 10000001, 10200000);
    assert_true(figure(empty, "used_memory") < 200000);
    assert_true(figure(after, "used_memory") < 200000);
    assert_int_equal(figure(after, "used_memory_dataset"), 0);
    assert_true(figure(full, "used_memory_rss") > 10000000);
    assert_int_equal(figure(full, "used_memory"),
                     figure(full, "used_memory_dataset") + figure(full, "used_memory_overhead"));
    free(empty);
    free(full);
    free(after);
}

static void command_describes_the_rows(void **state)
{
    struct world *world = *state;
    size_t count = 0;
    for (unsigned i = 0; i < COMMAND_COUNT; i++)
        count += !(commands[i].flags & COMMAND_SUB);
    char number[32];
    snprintf(number, sizeof(number), ":%zu\r\n", count);
    assert_string_equal(world_resp(world, "COMMAND COUNT"), number);
    number[0] = '*';
    assert_memory_equal(world_resp(world, "COMMAND"), number, strlen(number));
    TALK({"COMMAND INFO get nosuch",
          "*2\r\n*10\r\n$3\r\nget\r\n:2\r\n*2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n*3\r\n+@"
          "read"
          "\r\n+@string\r\n+@fast\r\n*0\r\n*1\r\n*6\r\n$5\r\nflags\r\n*2\r\n+RO\r\n+access\r\n$"
          "12\r\n"
          "begin_search\r\n*4\r\n$4\r\ntype\r\n$5\r\nindex\r\n$4\r\nspec\r\n*2\r\n$5\r\nindex\r\n:1"
          "\r\n$9\r\nfind_keys\r\n*4\r\n$4\r\ntype\r\n$5\r\nrange\r\n$4\r\nspec\r\n*6\r\n$7\r\n"
          "lastkey\r\n:0\r\n$7\r\nkeystep\r\n:1\r\n$5\r\nlimit\r\n:0\r\n*0\r\n$-1\r\n"},
         {"COMMAND INFO object|help",
          "*1\r\n*10\r\n$11\r\nobject|help\r\n:2\r\n*2\r\n+loading\r\n+stale\r\n:0\r\n:0\r\n:0\r\n"
          "*2\r\n+@keyspace\r\n+@slow\r\n*0\r\n*0\r\n*0\r\n"},
         {"COMMAND DOCS echo nosuch",
          "*2\r\n$4\r\necho\r\n*10\r\n$7\r\nsummary\r\n$25\r\nAnswers the given message\r\n$5\r\n"
          "since\r\n$5\r\n1.0.0\r\n$5\r\ngroup\r\n$10\r\nconnection\r\n$10\r\ncomplexity\r\n$4\r\n"
          "O(1)\r\n$9\r\narguments\r\n*1\r\n*6\r\n$4\r\nname\r\n$7\r\nmessage\r\n$4\r\ntype\r\n$"
          "6\r\n"
          "string\r\n$12\r\ndisplay_text\r\n$7\r\nmessage\r\n"},
         {"COMMAND LIST FILTERBY pattern client|i*",
          "*2\r\n$9\r\nclient|id\r\n$11\r\nclient|info\r\n"},
         {"COMMAND LIST FILTERBY module m", "*0\r\n"},
         {"COMMAND LIST FILTERBY aclcat nosuch", "*0\r\n"}, {"COMMAND LIST FILTERBY x", SYNTAX},
         {"COMMAND LIST x", SYNTAX});
    assert_true(contains(world_resp(world, "COMMAND LIST FILTERBY aclcat DANGEROUS"),
                         "\r\n$8\r\nflushall\r\n"));
    assert_true(contains(world_resp(world, "COMMAND DOCS"), "\r\n$11\r\nsubcommands\r\n"));
}

static void help_is_an_array_of_lines(void **state)
{
    static const char *const containers[] = {"CLIENT", "COMMAND", "CONFIG", "MEMORY", "OBJECT"};
    for (size_t i = 0; i < 5; i++) {
        char line[64];
        snprintf(line, sizeof(line), "%s HELP", containers[i]);
        const char *answer = world_resp(*state, line);
        int count = atoi(answer + 1), lines = -1;
        for (const char *at = answer; (at = strstr(at, "\r\n")) != NULL; at += 2)
            lines++;
        assert_int_equal(count, lines);
        assert_true(contains(answer, "<subcommand> [<arg> [value] [opt] ...]. Subcommands are:"));
    }
}

/* ---- patterns that take long ---- */

#define LONG_KEY_BYTES 14000u

struct bystander {
    struct store *store;
    uint64_t worst_ns;
    int stop; /* atomically */
};

/* Wants one of the store's shards after the other, and sees how long it waits for one. */
static void *stand_by(void *context)
{
    struct bystander *bystander = context;
    struct store_session session;
    char name[8];

    store_session_init(&session, bystander->store);
    for (unsigned i = 0; !__atomic_load_n(&bystander->stop, __ATOMIC_RELAXED); i++) {
        int len = snprintf(name, sizeof(name), "%u", i % 64);
        uint64_t begin_ns = clock_monotonic_ns();
        struct store_key key = store_key(bystander->store, 0, name, (size_t)len);
        store_enter(&session, &key);
        store_leave(&session);
        uint64_t took_ns = clock_monotonic_ns() - begin_ns;
        bystander->worst_ns = took_ns > bystander->worst_ns ? took_ns : bystander->worst_ns;
        usleep(100);
    }
    return NULL;
}

/* Runs the command, which answers that; whoever wants a shard meanwhile gets it before its end. */
static void hold_with_bystander(struct world *world, const struct ebb_slice *words, uint32_t count,
                                const char *answer)
{
    struct bystander bystander = {.store = world->store};
    pthread_t thread;

    pthread_create(&thread, NULL, stand_by, &bystander);
    uint64_t begin_ns = clock_monotonic_ns();
    assert_string_equal(world_resp_words(world, words, count), answer);
    uint64_t took_ns = clock_monotonic_ns() - begin_ns;
    __atomic_store_n(&bystander.stop, 1, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    print_message("%s: %.3f s, somebody waited %.3f s\n", words[0].data, (double)took_ns / 1e9,
                  (double)bystander.worst_ns / 1e9);
    assert_true(bystander.worst_ns < took_ns / 2);
}

static void long_keys_are_matched_with_no_shard_locked(void **state)
{
    struct world *world = *state;
    char *key = malloc(LONG_KEY_BYTES), *pattern = malloc(LONG_KEY_BYTES / 2);
    struct ebb_slice set[] = {{"SET", 3}, {key, LONG_KEY_BYTES}, {"v", 1}};
    struct ebb_slice long_pattern = {pattern, LONG_KEY_BYTES / 2};
    const struct ebb_slice keys[] = {{"KEYS", 4}, long_pattern};
    const struct ebb_slice scan[] = {{"SCAN", 4},  {"0", 1},     {"MATCH", 5},
                                     long_pattern, {"COUNT", 5}, {"100000", 6}};
    static const char head[] = "*1\r\n$14000\r\naaa", scan_head[] = "*2\r\n$1\r\n0\r\n*1\r\n$14000";

    memset(key, 'a', LONG_KEY_BYTES);
    memset(pattern, 'a', LONG_KEY_BYTES / 2);
    pattern[0] = '*';
    pattern[LONG_KEY_BYTES / 2 - 1] = 'b';
    assert_string_equal(world_resp_words(world, set, 3), OK);
    RESP("SET short 1", OK);
    hold_with_bystander(world, keys, 2, "*0\r\n");
    hold_with_bystander(world, scan, 6, "*2\r\n$1\r\n0\r\n*0\r\n");

    key[LONG_KEY_BYTES - 1] = 'b';
    assert_string_equal(world_resp_words(world, set, 3), OK);
    assert_memory_equal(world_resp_words(world, keys, 2), head, sizeof(head) - 1);
    assert_int_equal(world_answer_len(world), 4 + 8 + LONG_KEY_BYTES + 2);
    assert_memory_equal(world_resp_words(world, scan, 6), scan_head, sizeof(scan_head) - 1);
    free(key);
    free(pattern);
}

static void nobody_sleeps_when_the_server_ends(void **state)
{
    struct world *world = *state;

    RESP("DEBUG SLEEP 0.001", OK);
    world->service.ends = 1;
    uint64_t begin_ns = clock_monotonic_ns();
    RESP("DEBUG SLEEP 30", OK);
    assert_in_range(clock_monotonic_ns() - begin_ns, 0, UINT64_C(20000000000));
}

static void shutdown_asks_the_server(void **state)
{
    struct world *world = *state;
    TALK({"SHUTDOWN foo", SYNTAX}, {"SHUTDOWN SAVE NOSAVE", SYNTAX},
         {"SHUTDOWN ABORT", "-ERR No shutdown in progress.\r\n"}, {"SHUTDOWN ABORT NOW", SYNTAX},
         {"SHUTDOWN SAVE", "-ERR Errors trying to SHUTDOWN. Check logs.\r\n"});
    assert_int_equal(world->shutdowns, 0);
    RESP("SHUTDOWN NOSAVE NOW", "");
    assert_int_equal(world->shutdowns, 1);
}

static void time_is_now(void **state)
{
    long long seconds;
    int microseconds;
    const char *answer = world_resp(*state, "TIME");
    assert_int_equal(sscanf(answer, "*2\r\n$10\r\n%lld\r\n$%*d\r\n%d\r\n", &seconds, &microseconds),
                     2);
    assert_true(seconds > 1700000000);
    assert_in_range(microseconds, 0, 999999);
}

static const char out_of_memory[] = "-OOM command not allowed when used memory > 'maxmemory'.\r\n";

/* Sets keys of so many bytes until there is no memory for another. Returns how many. */
static int fill(struct world *world, int bytes)
{
    char line[64];
    for (int i = 0; i < 5000; i++) {
        snprintf(line, sizeof(line), "SETRANGE key%d:%d %d x", bytes, i, bytes - 1);
        if (strcmp(world_resp(world, line), out_of_memory) == 0)
            return i;
    }
    fail_msg("there is no end of memory");
    return 0;
}

/* A reply that was begun is taken back when there is no memory for the rest of the command. */
static void commands_say_when_memory_is_out(void **state)
{
    (void)state;
    struct world world;
    char *value = malloc(60000);
    memset(value, 'v', 60000);
    world_init_with(&world, 1, 256u << 20); /* the least there is */
    world_resp(&world, "SET small 1");
    assert_in_range(fill(&world, 16000000), 10, 16);
    fill(&world, 1000000);
    fill(&world, 60000);
    uint64_t before = world.counters.resp_error_kinds[ERROR_KIND_OOM];
    struct ebb_slice set[] = {{"SET", 3}, {"big", 3}, {value, 60000}};
    assert_string_equal(world_resp_words(&world, set, 3), out_of_memory);
    struct ebb_slice getset[] = {{"GETSET", 6}, {"small", 5}, {value, 60000}};
    assert_string_equal(world_resp_words(&world, getset, 3), out_of_memory);
    struct ebb_slice set_get[] = {{"SET", 3}, {"small", 5}, {value, 60000}, {"GET", 3}};
    assert_string_equal(world_resp_words(&world, set_get, 4), out_of_memory);
    struct ebb_slice append[] = {{"APPEND", 6}, {"small", 5}, {value, 60000}};
    assert_string_equal(world_resp_words(&world, append, 3), out_of_memory);
    struct ebb_slice mset[] = {{"MSET", 4}, {"small2", 6}, {"1", 1}, {"b", 1}, {value, 60000}};
    assert_string_equal(world_resp_words(&world, mset, 5), out_of_memory);
    assert_string_equal(world_resp(&world, "GET small"), "$1\r\n1\r\n");
    assert_int_equal(world.counters.resp_error_kinds[ERROR_KIND_OOM], before + 5);
    world_release(&world);
    free(value);
}

#ifdef EBB_HARD
#define MOVES_COUNT false /* they are allocations as well, and everything moves all the time */
#else
#define MOVES_COUNT true
#endif

static uint64_t allocations(struct world *world)
{
    struct store_stats stats;
    store_leave(&world->session);
    store_stats(world->store, &stats);
    return stats.item_heap.allocations;
}

/* A new slot for each thirty-second more, or for what a large object can't have behind its end. */
static void values_grow_where_they_are(void **state)
{
    struct world *world = *state;
    world_resp(world, "SETRANGE small 99 x");
    world_resp(world, "SETRANGE large 99999 x");
    uint64_t before = allocations(world);
    for (unsigned i = 0; i < 400; i++) {
        world_resp(world, "APPEND small 0123456789");
        world_resp(world, "APPEND large 0123456789012345678901234567890123456789");
    }
    assert_true(allocations(world) < before + 400 || !MOVES_COUNT);
    TALK({"STRLEN small", ":4100\r\n"},
         {"GETRANGE small 4080 -1", "$20\r\n01234567890123456789\r\n"},
         {"GETRANGE small 99 103", "$5\r\nx0123\r\n"}, {"STRLEN large", ":116000\r\n"},
         {"SETRANGE large 115998 abcd", ":116002\r\n"},
         {"GETRANGE large 115995 -1", "$7\r\n567abcd\r\n"});
    before = allocations(world);
    TALK({"SET bits x", OK}, {"SETBIT bits 17 1", ":0\r\n"}, {"STRLEN bits", ":3\r\n"},
         {"GETRANGE bits 0 0", "$1\r\nx\r\n"}, {"GETBIT bits 17", ":1\r\n"});
    assert_true(allocations(world) == before + 1 || !MOVES_COUNT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(command_finds_every_row_by_its_name),
        cmocka_unit_test(command_names_are_read_in_any_case),
        cmocka_unit_test(commands_have_sound_rows),
        TEST(dispatch_refuses_what_is_no_command),
        TEST(dispatch_quotes_128_bytes_of_arguments_at_most),
        TEST(dispatch_checks_the_number_of_words),
        TEST(dispatch_drops_who_speaks_http),
        TEST(dispatch_obeys_client_reply),
        TEST(dispatch_keeps_what_is_in_the_reply_already),
        TEST(connection_says_hello),
        TEST(connection_wants_the_password),
        TEST(connection_has_a_database),
        TEST(connection_knows_its_client),
        TEST(client_texts_are_no_longer_than_is_good),
        TEST(connection_quits),
        TEST(connection_may_read_without_touching),
        TEST(questions_about_a_key_are_no_use_of_it),
        TEST(set_obeys_its_conditions),
        TEST(set_obeys_its_times),
        TEST(getex_changes_the_time),
        TEST(strings_of_any_bytes_are_kept),
        TEST(several_keys_are_read_and_set),
        TEST(hundreds_of_keys_are_one_command),
        TEST(numbers_count_up_and_down),
        TEST(numbers_may_have_fractions),
        TEST(ranges_are_read),
        TEST(ranges_are_written),
        TEST(values_grow_at_their_end),
        TEST(expire_obeys_its_conditions),
        TEST(expire_knows_all_units),
        TEST(rename_takes_value_and_time_along),
        TEST(object_and_type_describe_values),
        TEST(object_tells_of_use_what_the_policy_keeps),
        TEST(idle_time_is_kept_from_the_first_question_on),
        TEST(memory_tells_what_a_key_costs),
        TEST(keys_match_patterns),
        TEST(scan_reads_its_words),
        TEST(walks_give_every_key),
        TEST(scan_can_take_all_at_once),
        TEST(config_answers_globs),
        TEST(config_changes_all_or_nothing),
        TEST(config_cuts_no_text),
        TEST(info_has_what_clients_and_exporters_read),
        TEST(info_answers_sections),
        TEST(info_memory_follows_the_data),
        TEST(command_describes_the_rows),
        TEST(help_is_an_array_of_lines),
        TEST(long_keys_are_matched_with_no_shard_locked),
        TEST(nobody_sleeps_when_the_server_ends),
        TEST(shutdown_asks_the_server),
        TEST(time_is_now),
        TEST(values_grow_where_they_are),
        cmocka_unit_test(commands_say_when_memory_is_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
