/* SPDX-License-Identifier: MIT */
/* options_load.c: where settings come from at start: defaults, then the config file, the EBB_*
 * environment, and the command line, each over the one before. A list that is given several times
 * within one of them grows; given in the next of them it starts anew. Called once, by main.
 */
#include "options.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LINE_WORDS_MAX (OPTIONS_BIND_MAX + 1)
#define ENV_PREFIX     "EBB_"

/* One source of settings: remembers which rows it has given already. */
struct source {
    struct options *options;
    uint64_t given; /* one bit a row */
    char *error;
};

static int give(struct source *source, int index, const char *value)
{
    bool is_first = !(source->given >> index & 1);
    source->given |= (uint64_t)1 << index;
    return is_first ? options_set(source->options, (size_t)index, value, source->error)
                    : options_add(source->options, (size_t)index, value, source->error);
}

static int fail(char *error, const char *format, const char *what)
{
    snprintf(error, OPTIONS_ERROR_BYTES, format, what);
    return -1;
}

/* ---- config file ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that the escape after a backslash stands for; moves *at behind it. */
static char read_escape(const char **at)
{
    const char *text = *at;
    if (text[0] == 'x' && hex_digit(text[1]) >= 0 && hex_digit(text[2]) >= 0) {
        *at = text + 3;
        return (char)(hex_digit(text[1]) * 16 + hex_digit(text[2]));
    }
    static const char names[] = "nrtba", bytes[] = "\n\r\t\b\a";
    const char *name = strchr(names, text[0]);
    *at = text + 1;
    return name && text[0] ? bytes[name - names] : text[0];
}

/* Copies a quoted word to *to without its quotes. Returns what follows, or NULL when the closing
 * quote is missing or something sticks to it. */
static const char *read_quoted(const char *at, char **to)
{
    char quote = *at++;
    while (*at != quote) {
        if (*at == '\0')
            return NULL;
        if (*at == '\\' && at[1] != '\0' && (quote == '"' || at[1] == '\'')) {
            at++;
            *(*to)++ = quote == '"' ? read_escape(&at) : *at++;
        } else {
            *(*to)++ = *at++;
        }
    }
    at++;
    return *at == '\0' || isspace((unsigned char)*at) ? at : NULL;
}

int options_split(char *line, char **words, int max)
{
    const char *at = line;
    char *to = line;
    int count = 0;
    for (;;) {
        while (isspace((unsigned char)*at))
            at++;
        if (*at == '\0')
            return count;
        if (count == max)
            return -1;
        words[count++] = to;
        while (*at != '\0' && !isspace((unsigned char)*at)) {
            if (*at != '"' && *at != '\'') {
                *to++ = *at++;
                continue;
            }
            at = read_quoted(at, &to);
            if (!at)
                return -1;
        }
        /* The end mark of this word may fall on the blank that ends it in the line. */
        if (*at != '\0')
            at++;
        *to++ = '\0';
    }
}

static int give_line(struct source *source, char **words, int count)
{
    int index = options_find(words[0], strlen(words[0]));
    if (index < 0)
        return fail(source->error, "unknown option '%.64s'", words[0]);
    bool is_list = options_info((size_t)index)->type == OPTION_LIST;
    if (count < 2)
        return fail(source->error, "option %s needs a value", options_info((size_t)index)->name);
    if (count > 2 && !is_list)
        return fail(source->error, "option %s takes one value", options_info((size_t)index)->name);
    for (int i = 1; i < count; i++)
        if (give(source, index, words[i]) < 0)
            return -1;
    return 0;
}

static int read_lines(struct source *source, FILE *file, const char *path)
{
    char *line = NULL, *words[LINE_WORDS_MAX], inner[OPTIONS_ERROR_BYTES];
    size_t size = 0;
    unsigned number = 0;
    int result = 0;
    char *error = source->error;
    source->error = inner;
    ssize_t len;
    while (result == 0 && (len = getline(&line, &size, file)) >= 0) {
        number++;
        if (strlen(line) != (size_t)len) {
            snprintf(error, OPTIONS_ERROR_BYTES, "%.100s:%u: a NUL byte", path, number);
            result = -1;
            break;
        }
        if (line[strspn(line, " \t\r\n")] == '#')
            continue;
        int count = options_split(line, words, LINE_WORDS_MAX);
        if (count < 0)
            result = fail(inner, "%s", "quotes that do not match, or too many words");
        else if (count > 0)
            result = give_line(source, words, count);
        if (result < 0)
            snprintf(error, OPTIONS_ERROR_BYTES, "%.100s:%u: %.140s", path, number, inner);
    }
    if (ferror(file)) {
        snprintf(error, OPTIONS_ERROR_BYTES, "config file %.150s: %s", path, strerror(errno));
        result = -1;
    }
    source->error = error;
    free(line);
    return result;
}

static int load_file(struct options *options, const char *path, char *error)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        snprintf(error, OPTIONS_ERROR_BYTES, "config file %.150s: %s", path, strerror(errno));
        return -1;
    }
    struct source source = {.options = options, .error = error};
    int result = read_lines(&source, file, path);
    fclose(file);
    char *absolute = realpath(path, NULL);
    if (absolute) {
        free(options->config_file);
        options->config_file = absolute;
    }
    return result;
}

/* ---- environment ---- */

/* Kubernetes and Docker describe a service called "ebb" to every container beside it, in variables
 * such as EBB_PORT=tcp://10.0.0.1:6379 and EBB_SERVICE_HOST. They are not meant for us. */
static bool is_service_link(const char *name, const char *value)
{
    return strncmp(name, "EBB_SERVICE_", 12) == 0 || strncmp(name, "EBB_PORT_", 9) == 0 ||
           strncmp(value, "tcp://", 6) == 0 || strncmp(value, "udp://", 6) == 0;
}

static int find_variable(const char *name, size_t len)
{
    char dashed[64];
    if (len >= sizeof(dashed))
        return -1;
    for (size_t i = 0; i < len; i++)
        dashed[i] = name[i] == '_' ? '-' : name[i];
    return options_find(dashed, len);
}

static int load_environment(struct options *options, char **environment, char *error)
{
    struct source source = {.options = options, .error = error};
    for (char **variable = environment; *variable; variable++) {
        const char *equals = strchr(*variable, '=');
        if (!equals || strncmp(*variable, ENV_PREFIX, strlen(ENV_PREFIX)) != 0 ||
            strncmp(*variable, "EBB_CONFIG=", 11) == 0 || is_service_link(*variable, equals + 1))
            continue;
        const char *name = *variable + strlen(ENV_PREFIX);
        int index = find_variable(name, (size_t)(equals - name));
        if (index < 0) {
            snprintf(error, OPTIONS_ERROR_BYTES, "unknown option %.*s in the environment",
                     (int)(equals - *variable), *variable);
            return -1;
        }
        if (give(&source, index, equals + 1) < 0)
            return -1;
    }
    return 0;
}

static const char *find_in_environment(char **environment, const char *prefix)
{
    for (; *environment; environment++)
        if (strncmp(*environment, prefix, strlen(prefix)) == 0)
            return *environment + strlen(prefix);
    return NULL;
}

/* ---- command line ---- */

/* Walks the arguments as pairs of name and value. */
struct walk {
    char **next, **end;
    char *error;
    const char *name; /* of the present pair, without the dashes; not ended by NUL */
    size_t name_len;
    const char *value;
    int index; /* of the row; -1: config, help or version */
};

static bool is_name(const char *argument)
{
    return strncmp(argument, "--", 2) == 0;
}

static bool walk_names(const struct walk *walk, const char *name)
{
    return walk->name_len == strlen(name) && strncasecmp(walk->name, name, walk->name_len) == 0;
}

/* The value of an option that stands without "=": the next argument; `--explain` alone is yes. */
static int take_value(struct walk *walk)
{
    if (walk->next < walk->end && !is_name(*walk->next)) {
        walk->value = *walk->next++;
        return 1;
    }
    const struct option_info *info = walk->index < 0 ? NULL : options_info((size_t)walk->index);
    if (info && info->type == OPTION_ENUM && strcmp(info->words[1], "yes") == 0) {
        walk->value = "yes";
        return 1;
    }
    snprintf(walk->error, OPTIONS_ERROR_BYTES, "option --%.*s needs a value", (int)walk->name_len,
             walk->name);
    return -1;
}

/* 1 with the next pair, 0 at the end, -1 with a message. */
static int walk_next(struct walk *walk)
{
    if (walk->next == walk->end)
        return 0;
    const char *argument = *walk->next++;
    if (strcmp(argument, "-h") == 0)
        argument = "--help";
    if (!is_name(argument)) {
        bool is_more = walk->index >= 0 && walk->value &&
                       options_info((size_t)walk->index)->type == OPTION_LIST;
        walk->value = argument;
        return is_more ? 1 : fail(walk->error, "unexpected argument '%.64s'", argument);
    }
    walk->name = argument + 2;
    walk->name_len = strcspn(walk->name, "=");
    walk->index = options_find(walk->name, walk->name_len);
    walk->value = NULL;
    if (walk->index < 0 && (walk_names(walk, "help") || walk_names(walk, "version")))
        return 1;
    if (walk->index < 0 && !walk_names(walk, "config")) {
        snprintf(walk->error, OPTIONS_ERROR_BYTES, "unknown option --%.*s",
                 walk->name_len > 64 ? 64 : (int)walk->name_len, walk->name);
        return -1;
    }
    if (walk->name[walk->name_len] != '=')
        return take_value(walk);
    walk->value = walk->name + walk->name_len + 1;
    return 1;
}

static struct walk walk_begin(int argc, char **argv, char *error)
{
    return (struct walk){
        .next = argv + (argc > 0), .end = argv + argc, .error = error, .index = -1};
}

/* The first look at the command line: what must be known before anything is loaded. */
static enum options_result scan_arguments(int argc, char **argv, const char **config, char *error)
{
    struct walk walk = walk_begin(argc, argv, error);
    int more;
    while ((more = walk_next(&walk)) > 0) {
        if (walk.index >= 0)
            continue;
        if (walk_names(&walk, "help"))
            return OPTIONS_HELP;
        if (walk_names(&walk, "version"))
            return OPTIONS_VERSION;
        *config = walk.value;
    }
    return more < 0 ? OPTIONS_BAD : OPTIONS_RUN;
}

static int load_arguments(struct options *options, int argc, char **argv, char *error)
{
    struct source source = {.options = options, .error = error};
    struct walk walk = walk_begin(argc, argv, error);
    int more;
    while ((more = walk_next(&walk)) > 0)
        if (walk.index >= 0 && give(&source, walk.index, walk.value) < 0)
            return -1;
    return more;
}

enum options_result options_load(struct options *options, int argc, char **argv, char **environment,
                                 char *error)
{
    options_init(options);
    const char *config = find_in_environment(environment, "EBB_CONFIG=");
    enum options_result result = scan_arguments(argc, argv, &config, error);
    if (result != OPTIONS_RUN)
        return result;
    if (config && config[0] && load_file(options, config, error) < 0)
        return OPTIONS_BAD;
    if (load_environment(options, environment, error) < 0)
        return OPTIONS_BAD;
    return load_arguments(options, argc, argv, error) < 0 ? OPTIONS_BAD : OPTIONS_RUN;
}
