/* SPDX-License-Identifier: MIT */
/* options.c: the table of settings and the value of each: reading, printing, changing one. Where
 * the values come from at start is options_load.c; writing them back is options_rewrite.c. Called
 * by main at start and by CONFIG GET and CONFIG SET, which hold the service's options lock.
 */
#include "options.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../proto/ebb_proto.h"

static const char *const policy_words[] = {"noeviction",
                                           "allkeys-s3fifo",
                                           "allkeys-lru",
                                           "allkeys-lfu",
                                           "allkeys-random",
                                           "volatile-s3fifo",
                                           "volatile-lru",
                                           "volatile-lfu",
                                           "volatile-random",
                                           "volatile-ttl",
                                           NULL};
static const char *const auto_words[] = {"auto", NULL};
static const char *const log_words[] = {"debug", "verbose", "notice", "warning", NULL};
static const char *const yes_no_words[] = {"no", "yes", NULL};

_Static_assert(sizeof(policy_words) / sizeof(*policy_words) == POLICY_COUNT + 1, "a word each");
_Static_assert(sizeof(log_words) / sizeof(*log_words) == LOG_LEVEL_COUNT + 1, "a word each");

/* clang-format off */
static const struct option_info table[] = {
#define OPTION_INT(field, name, def, min, max, runtime, help) \
    {name, OPTION_INT, def, min, max, NULL, runtime, help, false},
#define OPTION_OCTAL(field, name, def, min, max, runtime, help) \
    {name, OPTION_OCTAL, def, min, max, NULL, runtime, help, false},
#define OPTION_SIZE(field, name, def, min, max, runtime, help) \
    {name, OPTION_SIZE, def, min, max, NULL, runtime, help, false},
#define OPTION_AUTOSIZE(field, name, def, min, max, runtime, help) \
    {name, OPTION_SIZE, def, min, max, auto_words, runtime, help, false},
#define OPTION_SHARE(field, name, def, min, max, runtime, help) \
    {name, OPTION_SHARE, def, min, max, NULL, runtime, help, false},
#define OPTION_DURATION(field, name, def, min, max, runtime, help) \
    {name, OPTION_DURATION, def, min, max, NULL, runtime, help, false},
#define OPTION_TEXT(field, name, def, runtime, help) \
    {name, OPTION_TEXT, def, 0, 0, NULL, runtime, help, false},
#define OPTION_SECRET(field, name, def, runtime, help) \
    {name, OPTION_TEXT, def, 0, 0, NULL, runtime, help, true},
#define OPTION_LIST(field, name, def, runtime, help) \
    {name, OPTION_LIST, def, 0, 0, NULL, runtime, help, false},
#define OPTION_ENUM(field, name, def, words, runtime, help) \
    {name, OPTION_ENUM, def, 0, 0, words, runtime, help, false},
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
};

static const size_t offsets[] = {
#define OPTION_INT(field, ...)      offsetof(struct options, field),
#define OPTION_OCTAL(field, ...)    offsetof(struct options, field),
#define OPTION_SIZE(field, ...)     offsetof(struct options, field),
#define OPTION_AUTOSIZE(field, ...) offsetof(struct options, field),
#define OPTION_SHARE(field, ...)    offsetof(struct options, field),
#define OPTION_DURATION(field, ...) offsetof(struct options, field),
#define OPTION_TEXT(field, ...)     offsetof(struct options, field),
#define OPTION_SECRET(field, ...)   offsetof(struct options, field),
#define OPTION_LIST(field, ...)     offsetof(struct options, field),
#define OPTION_ENUM(field, ...)     offsetof(struct options, field),
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
};
/* clang-format on */

static int64_t *number_of(const struct options *options, size_t index)
{
    return (int64_t *)((char *)options + offsets[index]);
}

static char **text_of(const struct options *options, size_t index)
{
    return (char **)((char *)options + offsets[index]);
}

bool options_is_auto(const struct options *options, size_t index)
{
    return table[index].type == OPTION_SIZE && table[index].words != NULL &&
           options_number(number_of(options, index)) == OPTION_AUTO;
}

static bool is_text(size_t index)
{
    return table[index].type == OPTION_TEXT || table[index].type == OPTION_LIST;
}

size_t options_count(void)
{
    return sizeof(table) / sizeof(*table);
}

const struct option_info *options_info(size_t index)
{
    return &table[index];
}

int options_find(const char *name, size_t len)
{
    for (size_t i = 0; i < options_count(); i++)
        if (strlen(table[i].name) == len && strncasecmp(table[i].name, name, len) == 0)
            return (int)i;
    return -1;
}

/* ---- numbers with units ---- */

struct unit {
    const char *name;
    int64_t times;
};

static const struct unit size_units[] = {{"", 1},
                                         {"b", 1},
                                         {"k", 1000},
                                         {"kb", 1 << 10},
                                         {"m", 1000000},
                                         {"mb", 1 << 20},
                                         {"g", 1000000000},
                                         {"gb", 1 << 30},
                                         {"t", 1000000000000},
                                         {"tb", (int64_t)1 << 40},
                                         {NULL, 0}};

static const struct unit duration_units_ms[] = {
    {"", 1000},         {"ms", 1},           {"s", 1000}, {"m", 60 * 1000},
    {"h", 3600 * 1000}, {"d", 86400 * 1000}, {NULL, 0}};

static bool parse_with_unit(const char *text, const struct unit *units, int64_t *value)
{
    if (!isdigit((unsigned char)text[0]))
        return false;
    int64_t number = 0;
    for (; isdigit((unsigned char)*text); text++)
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, *text - '0', &number))
            return false;
    for (; units->name; units++)
        if (strcasecmp(units->name, text) == 0)
            return !__builtin_mul_overflow(number, units->times, value);
    return false;
}

bool options_parse_size(const char *text, int64_t *bytes)
{
    return parse_with_unit(text, size_units, bytes);
}

bool options_parse_duration(const char *text, int64_t *seconds)
{
    int64_t ms;
    if (!parse_with_unit(text, duration_units_ms, &ms))
        return false;
    *seconds = ms / 1000 + (ms % 1000 != 0);
    return true;
}

/* ---- changing a value ---- */

/* "64mb", or "5%" as -5. */
static bool parse_share(const char *text, int64_t *number)
{
    size_t len = strlen(text);
    if (len == 0 || text[len - 1] != '%')
        return options_parse_size(text, number);
    bool is_right = ebb_parse_i64(text, len - 1, number) && *number >= 0 && *number <= 100;
    *number = -*number;
    return is_right;
}

static bool parse_octal(const char *text, int64_t *number)
{
    size_t digits = strspn(text, "01234567");
    if (digits == 0 || digits > 20 || text[digits] != '\0')
        return false;
    *number = (int64_t)strtoull(text, NULL, 8);
    return true;
}

static bool parse_number(const struct option_info *info, const char *value, int64_t *number)
{
    switch (info->type) {
    case OPTION_INT:
        return ebb_parse_i64(value, strlen(value), number);
    case OPTION_OCTAL:
        return parse_octal(value, number);
    case OPTION_SIZE:
        return options_parse_size(value, number);
    case OPTION_SHARE:
        return parse_share(value, number);
    case OPTION_DURATION:
        return options_parse_duration(value, number);
    default:
        return false;
    }
}

static int set_number(int64_t *field, const struct option_info *info, const char *value,
                      char *error)
{
    static const char *const what[] = {
        [OPTION_INT] = "a whole number",
        [OPTION_OCTAL] = "a number in octal",
        [OPTION_SIZE] = "a size such as 1048576, 64mb or 2gb",
        [OPTION_SHARE] = "a size such as 64mb or a share such as 5%",
        [OPTION_DURATION] = "a time such as 30, 30s, 5m or 1h",
    };
    int64_t number;
    if (info->words && strcasecmp(value, info->words[0]) == 0) {
        __atomic_store_n(field, OPTION_AUTO, __ATOMIC_RELAXED);
        return 0;
    }
    if (!parse_number(info, value, &number)) {
        snprintf(error, OPTIONS_ERROR_BYTES, "option %s: '%.64s' is not %s", info->name, value,
                 what[info->type]);
        return OPTIONS_EFORM;
    }
    bool is_percentage = info->type == OPTION_SHARE && number < 0;
    if (!is_percentage && (number < info->min || number > info->max)) {
        bool is_octal = info->type == OPTION_OCTAL;
        const char *format = is_octal ? "option %s: %.64s is not between %llo and %llo"
                                      : "option %s: %.64s is not between %lld and %lld";
        snprintf(error, OPTIONS_ERROR_BYTES, format, info->name, value, (long long)info->min,
                 (long long)info->max);
        return OPTIONS_ERANGE;
    }
    __atomic_store_n(field, number, __ATOMIC_RELAXED);
    return 0;
}

/* "a, b or c" */
static void join_words(const char *const *words, char *text, size_t size)
{
    size_t len = 0;
    text[0] = '\0';
    for (size_t i = 0; words[i] && len < size; i++) {
        const char *gap = i == 0 ? "" : words[i + 1] ? ", " : " or ";
        len += (size_t)snprintf(text + len, size - len, "%s%s", gap, words[i]);
    }
}

static int set_word(int64_t *field, const struct option_info *info, const char *value, char *error)
{
    for (int64_t i = 0; info->words[i]; i++) {
        if (strcasecmp(info->words[i], value) == 0) {
            __atomic_store_n(field, i, __ATOMIC_RELAXED);
            return 0;
        }
    }
    char words[256];
    join_words(info->words, words, sizeof(words));
    snprintf(error, OPTIONS_ERROR_BYTES, "option %s: '%.64s' is not %.160s", info->name, value,
             words);
    return OPTIONS_EFORM;
}

/* Takes the text over. */
static int replace_text(char **field, char *text, const struct option_info *info, char *error)
{
    if (!text) {
        snprintf(error, OPTIONS_ERROR_BYTES, "option %s: out of memory", info->name);
        return OPTIONS_EFORM;
    }
    if (strlen(text) > OPTIONS_TEXT_MAX_BYTES) {
        free(text);
        snprintf(error, OPTIONS_ERROR_BYTES, "option %s: more than %d bytes", info->name,
                 OPTIONS_TEXT_MAX_BYTES);
        return OPTIONS_ELONG;
    }
    free(*field);
    *field = text;
    return 0;
}

/* Adds the words of `value` to a list whose words are separated by one space. */
static int add_words(char **field, const struct option_info *info, const char *value, char *error)
{
    size_t old_len = strlen(*field);
    char *list = malloc(old_len + strlen(value) + 2);
    if (!list)
        return replace_text(field, NULL, info, error);
    memcpy(list, *field, old_len);
    size_t len = old_len;
    for (const char *word = value; *(word += strspn(word, " ,\t")) != '\0';) {
        size_t word_len = strcspn(word, " ,\t");
        if (len > 0)
            list[len++] = ' ';
        memcpy(list + len, word, word_len);
        len += word_len;
        word += word_len;
    }
    list[len] = '\0';
    size_t words = len > 0;
    for (size_t i = 0; i < len; i++)
        words += list[i] == ' ';
    if (words > OPTIONS_BIND_MAX) {
        free(list);
        snprintf(error, OPTIONS_ERROR_BYTES, "option %s: more than %d values", info->name,
                 OPTIONS_BIND_MAX);
        return OPTIONS_EFORM;
    }
    return replace_text(field, list, info, error);
}

static int set_words(char **field, const struct option_info *info, const char *value, char *error)
{
    char *list = strdup("");
    if (!list)
        return replace_text(field, NULL, info, error);
    int result = add_words(&list, info, value, error);
    if (result < 0) {
        free(list);
        return result;
    }
    return replace_text(field, list, info, error);
}

int options_set(struct options *options, size_t index, const char *value, char *error)
{
    const struct option_info *info = &table[index];
    switch (info->type) {
    case OPTION_TEXT:
        return replace_text(text_of(options, index), strdup(value), info, error);
    case OPTION_LIST:
        return set_words(text_of(options, index), info, value, error);
    case OPTION_ENUM:
        return set_word(number_of(options, index), info, value, error);
    default:
        return set_number(number_of(options, index), info, value, error);
    }
}

int options_add(struct options *options, size_t index, const char *value, char *error)
{
    if (table[index].type != OPTION_LIST)
        return options_set(options, index, value, error);
    return add_words(text_of(options, index), &table[index], value, error);
}

/* ---- the whole struct ---- */

void options_init(struct options *options)
{
    char error[OPTIONS_ERROR_BYTES];
    memset(options, 0, sizeof(*options));
    options->config_file = strdup("");
    bool is_ok = options->config_file != NULL;
    for (size_t i = 0; i < options_count(); i++)
        is_ok = options_set(options, i, table[i].default_text, error) == 0 && is_ok;
    /* A default is wrong only in a build that no test has seen, or without a byte of memory. */
    if (!is_ok)
        abort();
}

void options_release(struct options *options)
{
    for (size_t i = 0; i < options_count(); i++)
        if (is_text(i))
            free(*text_of(options, i));
    free(options->config_file);
    memset(options, 0, sizeof(*options));
}

static int format_number(const struct options *options, size_t index, char *text, size_t size)
{
    long long number = options_number(number_of(options, index));
    if (options_is_auto(options, index)) /* clients want a number */
        number = options_maxmemory(options);
    if (table[index].type == OPTION_OCTAL)
        return snprintf(text, size, "%llo", (unsigned long long)number);
    if (number < 0)
        return snprintf(text, size, "%lld%%", -number);
    return snprintf(text, size, "%lld", number);
}

size_t options_format(const struct options *options, size_t index, char *text, size_t size)
{
    int len;
    if (is_text(index))
        len = snprintf(text, size, "%s", *text_of(options, index));
    else if (table[index].type == OPTION_ENUM)
        len = snprintf(text, size, "%s",
                       table[index].words[options_number(number_of(options, index))]);
    else
        len = format_number(options, index, text, size);
    if (len < 0 || size == 0)
        return 0;
    return (size_t)len < size ? (size_t)len : size - 1;
}

static const char *placeholder(const struct option_info *info)
{
    static const char *const names[] = {
        [OPTION_INT] = "NUMBER",         [OPTION_OCTAL] = "OCTAL",   [OPTION_SIZE] = "SIZE",
        [OPTION_SHARE] = "SIZE|PERCENT", [OPTION_DURATION] = "TIME", [OPTION_TEXT] = "TEXT",
        [OPTION_LIST] = "LIST",          [OPTION_ENUM] = "WORD"};
    return names[info->type];
}

void options_help(FILE *to)
{
    fprintf(to, "Usage: ebb [--config FILE] [--NAME VALUE]...\n\n"
                "A cache server for Redis and memcached clients that gives memory back.\n\n"
                "The same names serve as lines `name value` of the config file and, in capitals "
                "with\nunderscores, as environment: EBB_HTTP_PORT. The command line wins over the "
                "environment,\nthe environment over the file.\n\n");
    for (size_t i = 0; i < options_count(); i++) {
        const struct option_info *info = &table[i];
        char words[256] = "";
        if (info->type == OPTION_ENUM)
            join_words(info->words, words, sizeof(words));
        fprintf(to, "  --%s %s\n        %s%s%s", info->name, placeholder(info), info->help,
                words[0] ? ": " : "", words);
        fprintf(to, info->default_text[0] ? " (default %s)\n" : "\n", info->default_text);
    }
    fprintf(to, "  --config FILE\n        read settings from this file\n"
                "  -h, --help, --version\n        print this, or the version, and end\n");
}
