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

#define OPTIONS_BIND_MAX       16
#define OPTIONS_TEXT_MAX_BYTES 4095 /* of a text, or of a list with its spaces */
#define OPTIONS_ERROR_BYTES    256

enum eviction_policy {
    POLICY_NOEVICTION,
    POLICY_ALLKEYS_S3FIFO,
    POLICY_ALLKEYS_LRU,
    POLICY_ALLKEYS_LFU,
    POLICY_ALLKEYS_RANDOM,
    POLICY_VOLATILE_S3FIFO,
    POLICY_VOLATILE_LRU,
    POLICY_VOLATILE_LFU,
    POLICY_VOLATILE_RANDOM,
    POLICY_VOLATILE_TTL,
    POLICY_COUNT
};
enum log_level { LOG_DEBUG, LOG_VERBOSE, LOG_NOTICE, LOG_WARNING, LOG_LEVEL_COUNT };

enum option_type {
    OPTION_INT,
    OPTION_OCTAL, /* permissions of a file */
    OPTION_SIZE,
    OPTION_SHARE, /* a size, or a percentage, which is kept as its negative */
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
    const char *const *words; /* of enums, NULL-terminated; of a size, the one for OPTION_AUTO */
    bool at_runtime;          /* CONFIG SET may change it */
    const char *help;
    bool is_secret; /* SLOWLOG does not show it */
};

/* One field per row of options.def, in its order. Text is owned by the struct. Numbers may be
 * changed by CONFIG SET while workers read them. */
struct options {
#define OPTION_INT(field, name, def, min, max, runtime, help)      int64_t field;
#define OPTION_OCTAL(field, name, def, min, max, runtime, help)    int64_t field;
#define OPTION_SIZE(field, name, def, min, max, runtime, help)     int64_t field;
#define OPTION_AUTOSIZE(field, name, def, min, max, runtime, help) int64_t field;
#define OPTION_SHARE(field, name, def, min, max, runtime, help)    int64_t field;
#define OPTION_DURATION(field, name, def, min, max, runtime, help) int64_t field;
#define OPTION_TEXT(field, name, def, runtime, help)               char *field;
#define OPTION_SECRET(field, name, def, runtime, help)             char *field;
#define OPTION_LIST(field, name, def, runtime, help)               char *field;
#define OPTION_ENUM(field, name, def, words, runtime, help)        int64_t field;
#include "options.def"
#undef OPTION_INT
#undef OPTION_OCTAL
#undef OPTION_SIZE
#undef OPTION_AUTOSIZE
#undef OPTION_SHARE
#undef OPTION_DURATION
#undef OPTION_TEXT
#undef OPTION_SECRET
#undef OPTION_LIST
#undef OPTION_ENUM
    int64_t auto_maxmemory; /* bytes that OPTION_AUTO stands for; set at the start */
    char *config_file;      /* absolute path of the file read at start, "" for none */
};

#define OPTION_AUTO (-1) /* of a size: "auto" */

/* A number that CONFIG SET may be changing at this moment. */
static inline int64_t options_number(const int64_t *field)
{
    return __atomic_load_n(field, __ATOMIC_RELAXED);
}

/* The limit of resident memory in bytes, 0 for none. */
static inline int64_t options_maxmemory(const struct options *options)
{
    int64_t bytes = options_number(&options->maxmemory);
    return bytes == OPTION_AUTO ? options_number(&options->auto_maxmemory) : bytes;
}

size_t options_count(void);
const struct option_info *options_info(size_t index);
/* The row of that name (any case), or -1. */
int options_find(const char *name, size_t len);

void options_init(struct options *options); /* defaults */
void options_release(struct options *options);
/* The value as CONFIG GET shows it (sizes in bytes, durations in seconds). Returns its length. */
size_t options_format(const struct options *options, size_t index, char *text, size_t size);
/* Whether the setting is a size left to the server: options_format() then shows what it came to. */
bool options_is_auto(const struct options *options, size_t index);
#define OPTIONS_EFORM  (-1) /* no value of that type, or no memory */
#define OPTIONS_ERANGE (-2) /* a number that is too small or too large */
#define OPTIONS_ELONG  (-3) /* a text of more than OPTIONS_TEXT_MAX_BYTES */
/* 0, or one of these with a message that names the option in `error` (OPTIONS_ERROR_BYTES). */
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
