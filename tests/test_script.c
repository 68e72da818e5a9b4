/* SPDX-License-Identifier: MIT */
/* test_script.c: SHA-1, and the scripts that EVAL knows. The answers are those of redis-server
 * 7.0.15, which was asked with the published texts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "support/cmd_talk.h"

static const char *sha1_of(const char *text, size_t len, size_t piece)
{
    static char hex[SHA1_TEXT_BYTES + 1];
    unsigned char digest[SHA1_BYTES];
    struct sha1 sha1;

    sha1_init(&sha1);
    for (size_t at = 0; at < len; at += piece)
        sha1_add(&sha1, text + at, len - at < piece ? len - at : piece);
    sha1_end(&sha1, digest);
    sha1_text(digest, hex);
    return hex;
}

/* The examples of FIPS 180. */
static void sha1_is_that_of_the_standard(void **state)
{
    (void)state;
    assert_string_equal(sha1_of("", 0, 1), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    assert_string_equal(sha1_of("abc", 3, 3), "a9993e364706816aba3e25717850c26c9cd0d89d");
    const char *two = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    assert_string_equal(sha1_of(two, 56, 56), "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
    char *million = malloc(1000000);
    memset(million, 'a', 1000000);
    assert_string_equal(sha1_of(million, 1000000, 1000000),
                        "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
    assert_string_equal(sha1_of(million, 1000000, 7), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
    for (size_t len = 0; len < 200; len++) { /* all ways to end a block */
        char whole[SHA1_TEXT_BYTES + 1];
        snprintf(whole, sizeof(whole), "%s", sha1_of(million, len, 200));
        assert_string_equal(sha1_of(million, len, 1), whole);
    }
    free(million);
}

#define RELEASE                                                                                    \
    "\"if redis.call('get',KEYS[1])==ARGV[1] then return redis.call('del',KEYS[1]) else return 0 " \
    "end\""

static void locks_are_released_by_their_owner(void **state)
{
    TALK({"SET lock mine", OK}, {"EVAL " RELEASE " 1 lock other", ":0\r\n"},
         {"EXISTS lock", ":1\r\n"}, {"EVAL " RELEASE " 1 lock mine", ":1\r\n"},
         {"EXISTS lock", ":0\r\n"}, {"EVAL " RELEASE " 1 lock mine", ":0\r\n"});
}

/* However it is written down, a script is the same. */
static void spellings_do_not_matter(void **state)
{
    static const char *const spellings[] = {
        "if redis.call(\\\"GET\\\", KEYS[1]) == ARGV[1] then\\n  return redis.call(\\\"DEL\\\", "
        "KEYS[1])\\nelse\\n  return 0\\nend\\n",
        "\\n\\tif redis.call('get' , KEYS[1]) == ARGV[1]\\n\\tthen return redis.call('del', "
        "KEYS[1]) "
        "-- mine\\n\\telse return 0 end",
    };
    struct world *world = *state;
    char line[512];

    for (size_t i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++) {
        RESP("SET lock mine", OK);
        snprintf(line, sizeof(line), "EVAL \"%s\" 1 lock mine", spellings[i]);
        assert_string_equal(world_resp(world, line), ":1\r\n");
    }
    /* But what means something else is something else. */
    RESP("SET lock mine", OK);
    const char *answer = world_resp(
        world, "EVAL \"if redis.call('get',KEYS[1])==ARGV[1] then return redis.call('del',KEYS[1]) "
               "else return 1 end\" 1 lock mine");
    assert_memory_equal(answer, "-ERR This server runs no Lua", 28);
    RESP("EXISTS lock", ":1\r\n");
}

static void published_scripts_run_by_sha1(void **state)
{
    struct world *world = *state;
    /* redis-py's Lock: extend by so much, or anew; reacquire; release. */
    TALK({"SET lock mine PX 10000", OK},
         {"EVALSHA a4e8783852e6b949f9ef3a97212805108459a890 1 lock mine 5000 0", ":1\r\n"},
         {"PTTL lock", ":15000\r\n"},
         {"EVALSHA a4e8783852e6b949f9ef3a97212805108459a890 1 lock mine 5000 1", ":1\r\n"},
         {"PTTL lock", ":5000\r\n"},
         {"EVALSHA 1CAC51482ACF5858DA00F6D685D68F886CD6B6B2 1 lock mine 7000", ":1\r\n"},
         {"PTTL lock", ":7000\r\n"},
         {"EVALSHA c3f8721cbb97f72bc19e972846bd7aaf91901658 1 lock other", ":0\r\n"},
         {"EVALSHA c3f8721cbb97f72bc19e972846bd7aaf91901658 1 lock mine", ":1\r\n"});
    /* Laravel: add, refresh. */
    TALK({"EVALSHA a08c9c69b7c07ae2485190873b90d128a23e502d 1 k v 100", OK}, {"TTL k", ":100\r\n"},
         {"EVALSHA a08c9c69b7c07ae2485190873b90d128a23e502d 1 k w 100", NIL},
         {"EVALSHA d5f94f1848f0c54fff99d99dbc4d54184a157c02 1 k v 50", ":1\r\n"},
         {"TTL k", ":50\r\n"},
         {"EVALSHA d5f94f1848f0c54fff99d99dbc4d54184a157c02 1 k v 0", ":1\r\n"},
         {"TTL k", ":-1\r\n"});
    /* django-redis: incr. */
    TALK({"EVALSHA f4a7da3e5d8ea3b46642af08427151cae0190400 1 n 5", NIL}, {"SET n 1", OK},
         {"EVALSHA f4a7da3e5d8ea3b46642af08427151cae0190400 1 n 5", ":6\r\n"}, {"SET n x", OK},
         {"EVALSHA f4a7da3e5d8ea3b46642af08427151cae0190400 1 n 5", NO_INTEGER});
    /* node-redlock: acquire, extend, release of several. */
    TALK({"EVALSHA 96da70f7716f27d278a5218544df37fd8b0a5e4c 2 a b mine 9000", ":2\r\n"},
         {"EVALSHA 96da70f7716f27d278a5218544df37fd8b0a5e4c 2 c b mine 9000", ":0\r\n"},
         {"EXISTS c", ":0\r\n"},
         {"EVALSHA aed6f382e410db8ba7926d4e5e9aab410bf2a78a 2 a b mine 99000", ":2\r\n"},
         {"PTTL b", ":99000\r\n"}, {"SET b other", OK},
         {"EVALSHA e4612211c9f8f51c257e26e056b0a654b3187242 2 a b mine", ":1\r\n"});
    assert_int_equal(world->counters.resp_errors[COMMAND_EVALSHA], 1);
}

static void loaded_spellings_are_remembered(void **state)
{
    TALK({"EVALSHA ffffffffffffffffffffffffffffffffffffffff 0",
          "-NOSCRIPT No matching script. Please use EVAL.\r\n"},
         {"SCRIPT LOAD " RELEASE, "$40\r\nb998f9dfb154cdbea8cda65ad5177aadf0e945a2\r\n"},
         {"SCRIPT EXISTS b998f9dfb154cdbea8cda65ad5177aadf0e945a2", "*1\r\n:1\r\n"},
         {"SET lock mine", OK},
         {"EVALSHA b998f9dfb154cdbea8cda65ad5177aadf0e945a2 1 lock mine", ":1\r\n"},
         {"SCRIPT FLUSH", OK},
         {"SCRIPT EXISTS b998f9dfb154cdbea8cda65ad5177aadf0e945a2", "*1\r\n:0\r\n"});
}

/* The rows of the cache that are empty are zeros, too. */
static void forty_zeros_are_no_script(void **state)
{
    struct world *world = *state;
    static const char zeros[SHA1_TEXT_BYTES];
    const struct ebb_slice run[] = {
        {"EVALSHA", 7}, {zeros, sizeof(zeros)}, {"1", 1}, {"lock", 4}, {"mine", 4}};
    const struct ebb_slice exists[] = {{"SCRIPT", 6}, {"EXISTS", 6}, {zeros, sizeof(zeros)}};

    for (int loaded = 0; loaded < 2; loaded++) {
        RESP("SET lock mine", OK);
        assert_string_equal(world_resp_words(world, run, 5),
                            "-NOSCRIPT No matching script. Please use EVAL.\r\n");
        assert_string_equal(world_resp_words(world, exists, 3), "*1\r\n:0\r\n");
        RESP("GET lock", "$4\r\nmine\r\n");
        world_resp(world, "SCRIPT LOAD " RELEASE);
    }
}

static void evals_words_are_checked(void **state)
{
    TALK({"EVAL x", "-ERR wrong number of arguments for 'eval' command\r\n"},
         {"EVAL x y z", NO_INTEGER}, {"EVAL x -1", "-ERR Number of keys can't be negative\r\n"},
         {"EVAL x 1", "-ERR Number of keys can't be greater than number of args\r\n"},
         {"SCRIPT EXISTS x c3f8721cbb97f72bc19e972846bd7aaf91901658", "*2\r\n:0\r\n:1\r\n"},
         {"SCRIPT FLUSH", OK},
         {"SCRIPT FLUSH now", "-ERR SCRIPT FLUSH only support SYNC|ASYNC option\r\n"},
         {"FUNCTION FLUSH", OK}, {"SCRIPT KILL", "-NOTBUSY No scripts in execution right now.\r\n"},
         {"EVALSHA 1cac51482acf5858da00f6d685d68f886cd6b6b2 1 lock",
          "-ERR Lua redis lib command arguments must be strings or integers\r\n"});
}

static void scripts_run_in_transactions(void **state)
{
    TALK({"SET lock mine", OK}, {"MULTI", OK}, {"EVAL " RELEASE " 1 lock mine", "+QUEUED\r\n"},
         {"EXISTS lock", "+QUEUED\r\n"}, {"EXEC", "*2\r\n:1\r\n:0\r\n"});
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(sha1_is_that_of_the_standard),    TEST(locks_are_released_by_their_owner),
        TEST(spellings_do_not_matter),         TEST(published_scripts_run_by_sha1),
        TEST(loaded_spellings_are_remembered), TEST(forty_zeros_are_no_script),
        TEST(evals_words_are_checked),         TEST(scripts_run_in_transactions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
