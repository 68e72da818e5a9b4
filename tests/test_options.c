/* SPDX-License-Identifier: MIT */
/* test_options.c: settings from the command line, the environment and a file, how they are printed
 * and written back, and the words in which a mistake is named.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "../server/options.h"

#define ARGS_MAX 16

struct fixture {
    char path[64]; /* of a config file that goes with the test */
    struct options options;
    char error[OPTIONS_ERROR_BYTES];
    bool is_loaded;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    strcpy(fixture->path, "/tmp/ebb-options-XXXXXX");
    int fd = mkstemp(fixture->path);
    if (fd < 0)
        return -1;
    close(fd);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    if (fixture->is_loaded)
        options_release(&fixture->options);
    unlink(fixture->path);
    free(fixture);
    return 0;
}

static void write_file(struct fixture *fixture, const char *text)
{
    FILE *file = fopen(fixture->path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void read_file(struct fixture *fixture, char *text, size_t size)
{
    FILE *file = fopen(fixture->path, "r");
    assert_non_null(file);
    text[fread(text, 1, size - 1, file)] = '\0';
    fclose(file);
}

/* Loads from a command line and an environment, both written as words separated by '|'. */
static enum options_result load(struct fixture *fixture, const char *line, const char *environment)
{
    char line_text[512], environment_text[512];
    char *argv[ARGS_MAX + 2] = {(char *)"ebb"}, *env[ARGS_MAX + 1] = {NULL};
    int argc = 1, count = 0;
    snprintf(line_text, sizeof(line_text), "%s", line);
    snprintf(environment_text, sizeof(environment_text), "%s", environment);
    for (char *word = strtok(line_text, "|"); word; word = strtok(NULL, "|"))
        argv[argc++] = word;
    for (char *word = strtok(environment_text, "|"); word; word = strtok(NULL, "|"))
        env[count++] = word;
    if (fixture->is_loaded)
        options_release(&fixture->options);
    fixture->is_loaded = true;
    fixture->error[0] = '\0';
    return options_load(&fixture->options, argc, argv, env, fixture->error);
}

static enum options_result load_with_file(struct fixture *fixture, const char *text,
                                          const char *line, const char *environment)
{
    char whole_line[512];
    write_file(fixture, text);
    snprintf(whole_line, sizeof(whole_line), "--config|%s|%s", fixture->path, line);
    return load(fixture, whole_line, environment);
}

static void assert_refused(struct fixture *fixture, const char *line, const char *environment,
                           const char *expected)
{
    assert_int_equal(load(fixture, line, environment), OPTIONS_BAD);
    assert_string_equal(fixture->error, expected);
}

/* ---- sources ---- */

static void options_start_with_their_defaults(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(load(fixture, "", ""), OPTIONS_RUN);
    assert_int_equal(fixture->options.port, 6379);
    assert_int_equal(fixture->options.client_output_limit, 1 << 30);
    assert_int_equal(fixture->options.loglevel, LOG_NOTICE);
    assert_string_equal(fixture->options.bind, "127.0.0.1");
    assert_string_equal(fixture->options.config_file, "");
}

static void permissions_are_octal(void **state)
{
    struct fixture *fixture = *state;
    char text[32];
    assert_int_equal(load(fixture, "--unixsocketperm|755", ""), OPTIONS_RUN);
    assert_int_equal(fixture->options.unixsocketperm, 0755);
    size_t index = (size_t)options_find("unixsocketperm", strlen("unixsocketperm"));
    options_format(&fixture->options, index, text, sizeof(text));
    assert_string_equal(text, "755");
    assert_refused(fixture, "--unixsocketperm|789", "",
                   "option unixsocketperm: '789' is not a number in octal");
    assert_refused(fixture, "--unixsocketperm|1000", "",
                   "option unixsocketperm: 1000 is not between 0 and 777");
    assert_refused(fixture, "--unixsocketperm|7777777777777777777777", "",
                   "option unixsocketperm: '7777777777777777777777' is not a number in octal");
}

static void the_command_line_takes_both_forms(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(load(fixture, "--port|7000|--maxmemory=512mb|--Loglevel=DEBUG", ""),
                     OPTIONS_RUN);
    assert_int_equal(fixture->options.port, 7000);
    assert_int_equal(fixture->options.maxmemory, 512 << 20);
    assert_int_equal(fixture->options.loglevel, LOG_DEBUG);
}

static void a_value_may_be_empty_or_hold_an_equals_sign(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(load(fixture, "--logfile=|--requirepass=a=b", ""), OPTIONS_RUN);
    assert_string_equal(fixture->options.logfile, "");
    assert_string_equal(fixture->options.requirepass, "a=b");
}

static void later_sources_win(void **state)
{
    struct fixture *fixture = *state;
    const char *text = "port 1\nmemcached-port 1\nhttp-port 1\n";
    assert_int_equal(load_with_file(fixture, text, "--http-port|3",
                                    "EBB_MEMCACHED_PORT=2|EBB_HTTP_PORT=2|HOME=/root"),
                     OPTIONS_RUN);
    assert_int_equal(fixture->options.port, 1);
    assert_int_equal(fixture->options.memcached_port, 2);
    assert_int_equal(fixture->options.http_port, 3);
}

static void the_environment_may_name_the_file_and_the_command_line_another(void **state)
{
    struct fixture *fixture = *state;
    char line[128], environment[128];
    write_file(fixture, "port 1\n");
    snprintf(environment, sizeof(environment), "EBB_CONFIG=%s", fixture->path);
    assert_int_equal(load(fixture, "", environment), OPTIONS_RUN);
    assert_int_equal(fixture->options.port, 1);
    snprintf(line, sizeof(line), "--config=%s", fixture->path);
    assert_int_equal(load(fixture, line, "EBB_CONFIG=/nowhere/at/all"), OPTIONS_RUN);
    assert_string_equal(fixture->options.config_file, fixture->path);
}

static void lists_grow_within_a_source_and_start_anew_in_the_next(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(load_with_file(fixture, "bind 10.0.0.1 10.0.0.2\nbind 10.0.0.3\n", "", ""),
                     OPTIONS_RUN);
    assert_string_equal(fixture->options.bind, "10.0.0.1 10.0.0.2 10.0.0.3");
    assert_int_equal(load_with_file(fixture, "bind 10.0.0.1\n",
                                    "--bind|127.0.0.1,::1|--port|1|--bind|10.0.0.9|10.0.0.8", ""),
                     OPTIONS_RUN);
    assert_string_equal(fixture->options.bind, "127.0.0.1 ::1 10.0.0.9 10.0.0.8");
}

static void explain_alone_means_yes(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(load(fixture, "--explain|--port|1", ""), OPTIONS_RUN);
    assert_int_equal(fixture->options.explain, 1);
    assert_int_equal(load(fixture, "--explain|no", ""), OPTIONS_RUN);
    assert_int_equal(fixture->options.explain, 0);
}

static void help_and_version_are_seen_wherever_they_stand(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(load(fixture, "--port|1|--help", ""), OPTIONS_HELP);
    assert_int_equal(load(fixture, "--version", "EBB_PORT=x"), OPTIONS_VERSION);
}

static void variables_about_a_service_of_our_name_are_not_ours(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(load(fixture, "",
                          "EBB_PORT=tcp://10.0.0.1:6379|EBB_SERVICE_HOST=10.0.0.1|"
                          "EBB_PORT_6379_TCP_ADDR=10.0.0.1|EBB_SERVICE_PORT=6379"),
                     OPTIONS_RUN);
    assert_int_equal(fixture->options.port, 6379);
}

/* ---- the file ---- */

static void the_file_has_comments_blank_lines_and_quotes(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(load_with_file(fixture,
                                    "# a comment\n\n  # another\r\nPORT 1\r\n"
                                    "requirepass \"a b\\\"\\x41\\n#\"\n"
                                    "  unixsocket 'it\\'s'\n\tlogfile \"\"",
                                    "", ""),
                     OPTIONS_RUN);
    assert_int_equal(fixture->options.port, 1);
    assert_string_equal(fixture->options.requirepass, "a b\"A\n#");
    assert_string_equal(fixture->options.unixsocket, "it's");
    assert_string_equal(fixture->options.logfile, "");
}

static void a_mistake_in_the_file_names_file_and_line(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *text, *complaint;
    } cases[] = {
        {"port 1\nnosuch 1\n", ":2: unknown option 'nosuch'"},
        {"port\n", ":1: option port needs a value"},
        {"port 1 2\n", ":1: option port takes one value"},
        {"\n\nport x\n", ":3: option port: 'x' is not a whole number"},
        {"requirepass \"a\n", ":1: quotes that do not match, or too many words"},
        {"requirepass \"a\"b\n", ":1: quotes that do not match, or too many words"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char expected[OPTIONS_ERROR_BYTES];
        assert_int_equal(load_with_file(fixture, cases[i].text, "", ""), OPTIONS_BAD);
        snprintf(expected, sizeof(expected), "%s%s", fixture->path, cases[i].complaint);
        assert_string_equal(fixture->error, expected);
    }
}

static void a_nul_byte_in_the_file_is_a_mistake(void **state)
{
    struct fixture *fixture = *state;
    FILE *file = fopen(fixture->path, "w");
    assert_non_null(file);
    static const char text[] = "port 70\nport 71\0 01\n";
    assert_int_equal(fwrite(text, 1, sizeof text - 1, file), sizeof text - 1);
    fclose(file);
    char option[80], wanted[100];
    snprintf(option, sizeof option, "--config=%s", fixture->path);
    snprintf(wanted, sizeof wanted, "%s:2: a NUL byte", fixture->path);
    assert_refused(fixture, option, "", wanted);
}

static void split_keeps_empty_words_and_counts(void **state)
{
    (void)state;
    char line[] = "a \"\" 'b c'  d\t";
    char *words[4];
    assert_int_equal(options_split(line, words, 4), 4);
    assert_string_equal(words[0], "a");
    assert_string_equal(words[1], "");
    assert_string_equal(words[2], "b c");
    assert_string_equal(words[3], "d");
    char again[] = "a b c";
    assert_int_equal(options_split(again, words, 2), -1);
    char blank[] = " \r\n";
    assert_int_equal(options_split(blank, words, 4), 0);
}

/* ---- mistakes ---- */

static void unknown_options_name_themselves(void **state)
{
    struct fixture *fixture = *state;
    assert_refused(fixture, "--nosuch|1", "", "unknown option --nosuch");
    assert_refused(fixture, "--nosuch=1", "", "unknown option --nosuch");
    assert_refused(fixture, "", "EBB_NO_SUCH=1", "unknown option EBB_NO_SUCH in the environment");
    assert_refused(fixture, "redis.conf", "", "unexpected argument 'redis.conf'");
    assert_refused(fixture, "--port|1|2", "", "unexpected argument '2'");
    assert_refused(fixture, "-port|1", "", "unexpected argument '-port'");
    assert_refused(fixture, "--", "", "unknown option --");
}

static void ill_formed_values_name_their_option(void **state)
{
    struct fixture *fixture = *state;
    assert_refused(fixture, "--port", "", "option --port needs a value");
    assert_refused(fixture, "--port|--explain", "", "option --port needs a value");
    assert_refused(fixture, "--config", "", "option --config needs a value");
    assert_refused(fixture, "--port=", "", "option port: '' is not a whole number");
    assert_refused(fixture, "--port=12x", "", "option port: '12x' is not a whole number");
    assert_refused(fixture, "--port=65536", "", "option port: 65536 is not between 0 and 65535");
    assert_refused(fixture, "--port=-1", "", "option port: -1 is not between 0 and 65535");
    assert_refused(fixture, "--maxmemory=1xb", "",
                   "option maxmemory: '1xb' is not a size such as 1048576, 64mb or 2gb");
    assert_refused(fixture, "", "EBB_TIMEOUT=soon",
                   "option timeout: 'soon' is not a time such as 30, 30s, 5m or 1h");
    assert_refused(fixture, "--loglevel=loud", "",
                   "option loglevel: 'loud' is not debug, verbose, notice or warning");
    assert_refused(fixture, "--config=/nowhere/at/all", "",
                   "config file /nowhere/at/all: No such file or directory");
    assert_refused(fixture, "--config=/tmp", "", "config file /tmp: Is a directory");
    assert_refused(fixture, "--bind=1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17", "",
                   "option bind: more than 16 values");
}

static void a_refused_value_changes_nothing(void **state)
{
    struct fixture *fixture = *state;
    load(fixture, "--port|7", "");
    int port = options_find("port", 4);
    assert_int_equal(options_set(&fixture->options, (size_t)port, "99999", fixture->error),
                     OPTIONS_ERANGE);
    assert_int_equal(fixture->options.port, 7);
}

/* ---- units ---- */

static void sizes_have_the_units_of_redis(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t bytes;
    } good[] = {{"0", 0},
                {"100", 100},
                {"7b", 7},
                {"1k", 1000},
                {"1kb", 1024},
                {"1m", 1000000},
                {"512MB", 536870912},
                {"1g", 1000000000},
                {"2Gb", 2147483648},
                {"1tb", 1099511627776},
                {"9223372036854775807", INT64_MAX}};
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        int64_t bytes = -1;
        assert_true(options_parse_size(good[i].text, &bytes));
        assert_int_equal(bytes, good[i].bytes);
    }
    static const char *const bad[] = {
        "", "mb", "-1", "+1", " 1", "1 mb", "1mbx", "1.5gb", "9223372036854775808", "9000000tb"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        int64_t bytes;
        assert_false(options_parse_size(bad[i], &bytes));
    }
}

static void durations_are_seconds_rounded_up(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t seconds;
    } good[] = {{"0", 0},      {"7", 7},     {"5s", 5},     {"2m", 120},  {"1h", 3600},
                {"1d", 86400}, {"500ms", 1}, {"1000ms", 1}, {"1001ms", 2}};
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        int64_t seconds = -1;
        assert_true(options_parse_duration(good[i].text, &seconds));
        assert_int_equal(seconds, good[i].seconds);
    }
    int64_t seconds;
    assert_false(options_parse_duration("1w", &seconds));
    assert_false(options_parse_duration("-1s", &seconds));
    assert_false(options_parse_duration("9223372036854775807h", &seconds));
}

/* ---- printing and writing back ---- */

static void every_row_reads_its_own_printed_value_back(void **state)
{
    struct fixture *fixture = *state;
    load(fixture, "--maxmemory|3gb|--bind|a,b|--timeout|2m|--explain", "");
    struct options copy;
    options_init(&copy);
    for (size_t i = 0; i < options_count(); i++) {
        char value[256], again[256];
        options_format(&fixture->options, i, value, sizeof(value));
        assert_int_equal(options_set(&copy, i, value, fixture->error), 0);
        options_format(&copy, i, again, sizeof(again));
        assert_string_equal(value, again);
    }
    assert_int_equal(copy.maxmemory, (int64_t)3 << 30);
    assert_int_equal(copy.timeout, 120);
    assert_string_equal(copy.bind, "a b");
    options_release(&copy);
}

static void format_cuts_what_does_not_fit(void **state)
{
    struct fixture *fixture = *state;
    char value[4];
    load(fixture, "--requirepass|secret", "");
    size_t row = (size_t)options_find("REQUIREPASS", 11);
    assert_int_equal(options_format(&fixture->options, row, value, sizeof(value)), 3);
    assert_string_equal(value, "sec");
}

static void rewrite_keeps_comments_and_reads_back(void **state)
{
    struct fixture *fixture = *state;
    char text[512];
    load_with_file(fixture, "# mine\nport 1\n\nbind a\nbind b\n",
                   "--requirepass|a \"b\\|--timeout|9", "");
    chmod(fixture->path, 0600);
    assert_int_equal(options_rewrite(&fixture->options, fixture->error), 0);
    read_file(fixture, text, sizeof(text));
    assert_string_equal(text, "# mine\nport 1\n\nbind a b\ntimeout 9\n"
                              "requirepass \"a \\\"b\\\\\"\n");
    struct stat info;
    assert_int_equal(stat(fixture->path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);

    char line[128];
    snprintf(line, sizeof(line), "--config|%s", fixture->path);
    assert_int_equal(load(fixture, line, ""), OPTIONS_RUN);
    assert_string_equal(fixture->options.requirepass, "a \"b\\");
    assert_int_equal(fixture->options.timeout, 9);
}

/* A file that can't be opened, and one that can't be read: both are there, whatever is in them. */
static void rewrite_replaces_no_file_that_it_has_not_read(void **state)
{
    struct fixture *fixture = *state;
    const char *const targets[] = {fixture->path, "/tmp"};
    const int errors[] = {ELOOP, EISDIR};
    struct stat info;

    for (size_t i = 0; i < 2; i++) {
        load_with_file(fixture, "# mine\n", "--timeout|9", "");
        unlink(fixture->path);
        assert_int_equal(symlink(targets[i], fixture->path), 0);
        assert_int_equal(options_rewrite(&fixture->options, fixture->error), -1);
        assert_string_equal(fixture->error, strerror(errors[i]));
        assert_int_equal(lstat(fixture->path, &info), 0);
        assert_true(S_ISLNK(info.st_mode));
        unlink(fixture->path);
    }
    /* One that is gone is written anew. */
    assert_int_equal(options_rewrite(&fixture->options, fixture->error), 0);
    assert_int_equal(stat(fixture->path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
}

/* What could not be read back whole is refused: a cut password is another one. */
static void texts_have_a_longest(void **state)
{
    struct fixture *fixture = *state;
    char text[OPTIONS_TEXT_MAX_BYTES + 2], value[sizeof(text)], line[128];
    size_t row = (size_t)options_find("requirepass", 11), list = (size_t)options_find("bind", 4);

    load_with_file(fixture, "", "", "");
    memset(text, '\x01', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(options_set(&fixture->options, row, text, fixture->error), OPTIONS_ELONG);
    assert_string_equal(fixture->error, "option requirepass: more than 4095 bytes");
    assert_int_equal(options_set(&fixture->options, list, text, fixture->error), OPTIONS_ELONG);
    assert_string_equal(fixture->error, "option bind: more than 4095 bytes");
    assert_string_equal(fixture->options.requirepass, "");
    assert_string_equal(fixture->options.bind, "127.0.0.1");

    text[OPTIONS_TEXT_MAX_BYTES] = '\0';
    assert_int_equal(options_set(&fixture->options, row, text, fixture->error), 0);
    assert_int_equal(options_format(&fixture->options, row, value, sizeof(value)), 4095);
    assert_int_equal(options_rewrite(&fixture->options, fixture->error), 0);
    snprintf(line, sizeof(line), "--config|%s", fixture->path);
    assert_int_equal(load(fixture, line, ""), OPTIONS_RUN);
    assert_string_equal(fixture->options.requirepass, text);
}

static void rewrite_without_a_file_says_so(void **state)
{
    struct fixture *fixture = *state;
    load(fixture, "", "");
    assert_int_equal(options_rewrite(&fixture->options, fixture->error), -1);
    assert_string_equal(fixture->error, "The server is running without a config file");
}

static void help_names_every_option(void **state)
{
    (void)state;
    char *text = NULL, name[64];
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    options_help(to);
    fclose(to);
    for (size_t i = 0; i < options_count(); i++) {
        snprintf(name, sizeof(name), "  --%s ", options_info(i)->name);
        assert_non_null(strstr(text, name));
    }
    free(text);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(options_start_with_their_defaults),
        CASE(permissions_are_octal),
        CASE(the_command_line_takes_both_forms),
        CASE(a_value_may_be_empty_or_hold_an_equals_sign),
        CASE(later_sources_win),
        CASE(the_environment_may_name_the_file_and_the_command_line_another),
        CASE(lists_grow_within_a_source_and_start_anew_in_the_next),
        CASE(explain_alone_means_yes),
        CASE(help_and_version_are_seen_wherever_they_stand),
        CASE(variables_about_a_service_of_our_name_are_not_ours),
        CASE(the_file_has_comments_blank_lines_and_quotes),
        CASE(a_mistake_in_the_file_names_file_and_line),
        CASE(a_nul_byte_in_the_file_is_a_mistake),
        CASE(split_keeps_empty_words_and_counts),
        CASE(unknown_options_name_themselves),
        CASE(ill_formed_values_name_their_option),
        CASE(a_refused_value_changes_nothing),
        CASE(sizes_have_the_units_of_redis),
        CASE(durations_are_seconds_rounded_up),
        CASE(every_row_reads_its_own_printed_value_back),
        CASE(format_cuts_what_does_not_fit),
        CASE(rewrite_keeps_comments_and_reads_back),
        CASE(rewrite_replaces_no_file_that_it_has_not_read),
        CASE(texts_have_a_longest),
        CASE(rewrite_without_a_file_says_so),
        CASE(help_names_every_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
