/* SPDX-License-Identifier: MIT */
/* cmd_config.c: CONFIG: the settings of server/options.h, seen and changed while the server runs.
 *
 * Handlers of commands.def; called by dispatch.c. A setting is changed under the options lock, and
 * the server is told afterwards.
 */
#include "handler.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../options.h"
#include "glob.h"

/* Settings of Redis that clients look for, whose value here cannot be another. */
static const struct {
    const char *name, *value;
} facts[] = {
    {"save", ""},
    {"appendonly", "no"},
};
#define FACT_COUNT (sizeof(facts) / sizeof(facts[0]))

/* ---- CONFIG GET ---- */

static void lock(struct cmd_context *context)
{
    context->service->options_lock(context->service->server);
}

static void unlock(struct cmd_context *context)
{
    context->service->options_unlock(context->service->server);
}

static size_t entry_count(void)
{
    return options_count() + FACT_COUNT;
}

static const char *entry_name(size_t entry)
{
    return entry < options_count() ? options_info(entry)->name
                                   : facts[entry - options_count()].name;
}

/* An option's own number, or that of a fact, which come behind them; -1: neither. */
static int find_entry(struct ebb_slice name)
{
    for (size_t i = 0; i < FACT_COUNT; i++) {
        if (arg_is(name, facts[i].name))
            return (int)(options_count() + i);
    }
    return options_find(name.data, name.len);
}

static struct ebb_slice name_of(int entry)
{
    const char *name = entry_name((size_t)entry);
    return (struct ebb_slice){name, strlen(name)};
}

static bool is_fact(int entry)
{
    return entry >= (int)options_count();
}

/* The first argument that matches the name, NULL: none. */
static const struct ebb_slice *find_match(struct cmd_context *context, const char *name)
{
    for (uint32_t i = 2; i < context->count; i++) {
        const struct ebb_slice *pattern = &context->args[i];
        if (glob_matches(pattern->data, pattern->len, name, strlen(name), true))
            return pattern;
    }
    return NULL;
}

static void reply_entry_value(struct cmd_context *context, size_t entry)
{
    char value[OPTIONS_TEXT_MAX_BYTES + 1];

    if (entry >= options_count()) {
        ebb_reply_text(&context->reply, facts[entry - options_count()].value);
        return;
    }
    lock(context);
    size_t len = options_format(context->service->options, entry, value, sizeof(value));
    unlock(context);
    ebb_reply_bulk(&context->reply, value, len);
}

void cmd_config_get(struct cmd_context *context)
{
    size_t count = 0;

    for (size_t entry = 0; entry < entry_count(); entry++)
        count += find_match(context, entry_name(entry)) != NULL;
    ebb_reply_map(&context->reply, count);
    for (size_t entry = 0; entry < entry_count(); entry++) {
        const struct ebb_slice *match = find_match(context, entry_name(entry));
        if (match == NULL)
            continue;
        /* A name that was asked for as such comes back in the case it was asked in. */
        if (glob_is_plain(match->data, match->len))
            ebb_reply_bulk(&context->reply, match->data, match->len);
        else
            ebb_reply_text(&context->reply, entry_name(entry));
        reply_entry_value(context, entry);
    }
}

/* ---- CONFIG SET ---- */

/* Redis names a value's setting as the table has it, and what is wrong with a name as it came. */
static void reply_set_failed(struct cmd_context *context, struct ebb_slice name, const char *why)
{
    ebb_reply_errorf(&context->reply,
                     "ERR CONFIG SET failed (possibly related to argument '%.*s') - %s",
                     arg_print_len(name, 128), name.data, why);
}

/* What is wrong with a value that options_set() refuses, as Redis says it. */

static void say_words(char *why, const char *const *words)
{
    size_t len = 0;

    if (strcmp(words[0], "no") == 0) {
        snprintf(why, OPTIONS_ERROR_BYTES, "argument must be 'yes' or 'no'");
        return;
    }
    for (size_t i = 0; words[i] != NULL && len < OPTIONS_ERROR_BYTES; i++)
        len += (size_t)snprintf(why + len, OPTIONS_ERROR_BYTES - len, "%s%s",
                                i == 0 ? "argument(s) must be one of the following: " : ", ",
                                words[i]);
}

static void say_range(char *why, const struct option_info *info)
{
    snprintf(why, OPTIONS_ERROR_BYTES, "argument must be between %lld and %lld inclusive",
             (long long)info->min, (long long)info->max);
}

static bool is_number(struct ebb_slice value)
{
    int64_t number;
    return ebb_parse_i64(value.data, value.len, &number);
}

static bool has_nul(struct ebb_slice value)
{
    return value.len > 0 && memchr(value.data, '\0', value.len) != NULL;
}

static bool is_share_above_all(struct ebb_slice value)
{
    int64_t number;
    return value.len > 1 && value.data[value.len - 1] == '%' &&
           ebb_parse_i64(value.data, value.len - 1, &number) && number > 100;
}

static void say_form(char *why, const struct option_info *info, struct ebb_slice value)
{
    switch (info->type) {
    case OPTION_SIZE:
        snprintf(why, OPTIONS_ERROR_BYTES, "argument must be a memory value");
        break;
    case OPTION_SHARE:
        snprintf(why, OPTIONS_ERROR_BYTES,
                 is_share_above_all(value) ? "percentage argument must be less or equal to 100"
                                           : "argument must be a memory or percent value");
        break;
    case OPTION_ENUM:
        say_words(why, info->words);
        break;
    case OPTION_INT:
    case OPTION_DURATION:
        if (is_number(value))
            say_range(why, info);
        else
            snprintf(why, OPTIONS_ERROR_BYTES, "argument couldn't be parsed into an integer");
        break;
    default:
        snprintf(why, OPTIONS_ERROR_BYTES,
                 has_nul(value) ? "argument must not have a NUL byte" : "out of memory");
    }
}

/* 0, or -1 with the reason in `why`. */
static int set_from_arg(struct options *options, size_t option, struct ebb_slice value, char *why)
{
    char error[OPTIONS_ERROR_BYTES];
    char *text = has_nul(value) ? NULL : strndup(value.data, value.len);
    int rc = text == NULL ? OPTIONS_EFORM : options_set(options, option, text, error);

    free(text);
    if (rc == OPTIONS_ERANGE)
        say_range(why, options_info(option));
    else if (rc == OPTIONS_ELONG)
        snprintf(why, OPTIONS_ERROR_BYTES, "argument must have at most %d bytes",
                 OPTIONS_TEXT_MAX_BYTES);
    else if (rc < 0)
        say_form(why, options_info(option), value);
    return rc < 0 ? -1 : 0;
}

static bool is_repeated(struct cmd_context *context, uint32_t index)
{
    for (uint32_t i = 2; i < index; i += 2) {
        if (find_entry(context->args[i]) == find_entry(context->args[index]))
            return true;
    }
    return false;
}

/* A fact may be set to what it is. */
static bool may_set(int entry, struct ebb_slice value)
{
    if (!is_fact(entry))
        return options_info((size_t)entry)->at_runtime;
    const char *its = facts[entry - (int)options_count()].value;
    return value.len == strlen(its) && memcmp(value.data, its, value.len) == 0;
}

/* Whether every name may be set; answers the error when not. */
static bool check_names(struct cmd_context *context)
{
    for (uint32_t i = 2; i < context->count; i += 2) {
        struct ebb_slice name = context->args[i];
        int entry = find_entry(name);
        if (entry < 0) {
            ebb_reply_errorf(&context->reply,
                             "ERR Unknown option or number of arguments for CONFIG SET - '%.*s'",
                             arg_print_len(name, 128), name.data);
            return false;
        }
        if (!may_set(entry, context->args[i + 1])) {
            reply_set_failed(context, name, "can't set immutable config");
            return false;
        }
        if (is_repeated(context, i)) {
            reply_set_failed(context, name, "duplicate parameter");
            return false;
        }
    }
    return true;
}

/* Sets every pair in `options`; answers the error of the first that is wrong. */
static bool set_pairs(struct cmd_context *context, struct options *options)
{
    char why[OPTIONS_ERROR_BYTES];

    for (uint32_t i = 2; i < context->count; i += 2) {
        int entry = find_entry(context->args[i]);
        if (!is_fact(entry) &&
            set_from_arg(options, (size_t)entry, context->args[i + 1], why) < 0) {
            reply_set_failed(context, name_of(entry), why);
            return false;
        }
    }
    return true;
}

static bool are_possible(struct cmd_context *context, const struct options *wanted)
{
    const struct service *service = context->service;
    char error[OPTIONS_ERROR_BYTES];

    for (uint32_t i = 2; i < context->count; i += 2) {
        int entry = find_entry(context->args[i]);
        if (!is_fact(entry) &&
            !service->option_possible(service->server, wanted, (size_t)entry, error)) {
            reply_set_failed(context, name_of(entry), error);
            return false;
        }
    }
    return true;
}

/* The pairs are tried on a copy first, so that a wrong one leaves all settings as they were. */
static bool check_pairs(struct cmd_context *context)
{
    struct options trial;

    options_init(&trial);
    bool is_right = set_pairs(context, &trial) && are_possible(context, &trial);
    options_release(&trial);
    return is_right;
}

void cmd_config_set(struct cmd_context *context)
{
    struct service *service = context->service;

    if (context->count % 2 != 0) {
        ebb_reply_error(&context->reply, ERROR_SYNTAX);
        return;
    }
    if (!check_names(context) || !check_pairs(context))
        return;
    lock(context);
    bool is_set = set_pairs(context, service->options);
    unlock(context);
    for (uint32_t i = 2; i < context->count; i += 2) {
        int entry = find_entry(context->args[i]);
        if (!is_fact(entry))
            service->option_changed(service->server, (size_t)entry);
    }
    if (is_set)
        reply_ok(context);
}

/* ---- the others ---- */

void cmd_config_resetstat(struct cmd_context *context)
{
    store_leave(context->store); /* the sums look at every shard */
    context->service->counters_reset(context->service->server);
    reply_ok(context);
}

void cmd_config_rewrite(struct cmd_context *context)
{
    struct service *service = context->service;
    char error[OPTIONS_ERROR_BYTES];

    if (service->config_file[0] == '\0') {
        ebb_reply_error(&context->reply, "ERR The server is running without a config file");
        return;
    }
    lock(context);
    int rc = options_rewrite(service->options, error);
    unlock(context);
    if (rc == 0)
        reply_ok(context);
    else
        ebb_reply_errorf(&context->reply, "ERR Rewriting config file: %s", error);
}

void cmd_config_help(struct cmd_context *context)
{
    static const char *const lines[] = {
        "GET <pattern>",
        "    Answers the settings whose names match the glob-like <pattern>.",
        "SET <directive> <value>",
        "    Changes settings: all of the given ones, or none.",
        "RESETSTAT",
        "    Lets the counters of INFO start from zero again.",
        "REWRITE",
        "    Writes the settings to the config file.",
    };
    reply_help(context, "CONFIG", lines, sizeof(lines) / sizeof(lines[0]));
}
