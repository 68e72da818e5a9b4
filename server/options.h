/* SPDX-License-Identifier: MIT */
/* options.h: the settings. One row of options.def is one setting with one name: on the command
 * line, in the config file, in the environment, in CONFIG GET/SET and in the documentation.
 */
#ifndef EBB_OPTIONS_H
#define EBB_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define OPTIONS_BIND_MAX    16
#define OPTIONS_ERROR_BYTES 256

enum eviction_policy { POLICY_NOEVICTION, POLICY_ALLKEYS, POLICY_VOLATILE, POLICY_COUNT };
enum log_level { LOG_DEBUG, LOG_VERBOSE, LOG_NOTICE, LOG_WARNING, LOG_LEVEL_COUNT };

enum option_type {
    OPTION_INT,
    OPTION_SIZE,
    OPTION_DURATION,
    OPTION_TEXT,
    OPTION_LIST,
    OPTION_ENUM
};

struct option_info {
    const char *name;
    enum option_type type;
    const char *default_text;
    int64_t min, max;         /* of numbers, sizes (bytes) and durations (seconds) */
    const char *const *words; /* of enums, NULL-terminated */
    bool at_runtime;          /* CONFIG SET may change it */
    const char *help;
};

/* One field per row of options.def, in its order. Text is owned by the struct. Numbers may be
 * changed by CONFIG SET while workers read them. */
struct options {
#define OPTION_INT(field, name, def, min, max, runtime, help)      int64_t field;
#define OPTION_SIZE(field, name, def, min, max, runtime, help)     int64_t field;
#define OPTION_DURATION(field, name, def, min, max, runtime, help) int64_t field;
#define OPTION_TEXT(field, name, def, runtime, help)               char *field;
#define OPTION_LIST(field, name, def, runtime, help)               char *field;
#define OPTION_ENUM(field, name, def, words, runtime, help)        int64_t field;
#include "options.def"
#undef OPTION_INT
#undef OPTION_SIZE
#undef OPTION_DURATION
#undef OPTION_TEXT
#undef OPTION_LIST
#undef OPTION_ENUM
    char *config_file; /* absolute path of the file read at start, "" for none */
};

/* A number that CONFIG SET may be changing at this moment. */
static inline int64_t options_number(const int64_t *field)
{
    return __atomic_load_n(field, __ATOMIC_RELAXED);
}

size_t options_count(void);
const struct option_info *options_info(size_t index);
/* The row of that name (any case), or -1. */
int options_find(const char *name, size_t len);

void options_init(struct options *options); /* defaults */
void options_release(struct options *options);
/* The value as CONFIG GET shows it (sizes in bytes, durations in seconds). Returns its length. */
size_t options_format(const struct options *options, size_t index, char *text, size_t size);
/* 0, or -1 with a message that names the option in `error` (OPTIONS_ERROR_BYTES). */
int options_set(struct options *options, size_t index, const char *value, char *error);
/* The same, but a list keeps what it has and gets more. */
int options_add(struct options *options, size_t index, const char *value, char *error);

enum options_result { OPTIONS_RUN, OPTIONS_HELP, OPTIONS_VERSION, OPTIONS_BAD };
/* Defaults, then the file of --config (or EBB_CONFIG), then EBB_* of the environment, then the
 * command line: the later wins. OPTIONS_BAD comes with a message in `error`. */
enum options_result options_load(struct options *options, int argc, char **argv, char **environment,
                                 char *error);
void options_help(FILE *to);
/* Writes every setting that differs from its default to the config file it came from (CONFIG
 * REWRITE). 0, or -1 with a message. */
int options_rewrite(const struct options *options, char *error);

/* Cuts a line of a config file into words, in place, by the quoting rules of redis.conf. Returns
 * how many, or -1 when the quotes don't match or there are more than `max`. */
int options_split(char *line, char **words, int max);

/* "512mb", "2gb", "1g" (10^9), "100" -> bytes, as Redis reads them. */
bool options_parse_size(const char *text, int64_t *bytes);
/* "5s", "2m", "1h", "500ms" (rounded up), "7" (seconds) -> seconds. */
bool options_parse_duration(const char *text, int64_t *seconds);

#endif
