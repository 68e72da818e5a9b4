/* SPDX-License-Identifier: MIT */
/* cmd_config.c: CONFIG: the settings of server/options.h, seen and changed while the server runs.
 *
 * Handlers of commands.def; called by dispatch.c. A setting is changed under the options lock, and
 * the server is told afterwards.
 */
#include "handler.h"

#include <stdlib.h>
#include <string.h>

#include "../options.h"
#include "glob.h"

#define CONFIG_VALUE_MAX_BYTES 4096

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
    char value[CONFIG_VALUE_MAX_BYTES];

    if (entry >= options_count()) {
        ebb_reply_text(&context->reply, facts[entry - options_count()].value);
        return;
    }
    lock(context);
    size_t len = options_format(context->service->options, entry, value, sizeof(value));
    unlock(context);
    ebb_reply_bulk(&context->reply, value, len < sizeof(value) ? len : sizeof(value) - 1);
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

static void reply_set_failed(struct cmd_context *context, uint32_t index, const char *why)
{
    struct ebb_slice name = context->args[index];

    ebb_reply_errorf(&context->reply,
                     "ERR CONFIG SET failed (possibly related to argument '%.*s') - %s",
                     arg_print_len(name, 128), name.data, why);
}

/* The message without the "option NAME: " in front. */
static const char *reason_of(const char *error)
{
    const char *colon = strstr(error, ": ");
    return strncmp(error, "option ", 7) == 0 && colon != NULL ? colon + 2 : error;
}

static int set_from_arg(struct options *options, struct ebb_slice name, struct ebb_slice value,
                        char *error)
{
    char *text = strndup(value.data, value.len);

    if (text == NULL) {
        strcpy(error, "out of memory");
        return -1;
    }
    int rc = options_set(options, (size_t)options_find(name.data, name.len), text, error);
    free(text);
    return rc;
}

static bool is_repeated(struct cmd_context *context, uint32_t index)
{
    struct ebb_slice name = context->args[index];

    for (uint32_t i = 2; i < index; i += 2) {
        if (options_find(context->args[i].data, context->args[i].len) ==
            options_find(name.data, name.len))
            return true;
    }
    return false;
}

/* Whether every name may be set; answers the error when not. */
static bool check_names(struct cmd_context *context)
{
    for (uint32_t i = 2; i < context->count; i += 2) {
        struct ebb_slice name = context->args[i];
        int option = options_find(name.data, name.len);
        if (option < 0) {
            ebb_reply_errorf(&context->reply,
                             "ERR Unknown option or number of arguments for CONFIG SET - '%.*s'",
                             arg_print_len(name, 128), name.data);
            return false;
        }
        if (!options_info((size_t)option)->at_runtime) {
            reply_set_failed(context, i, "can't set immutable config");
            return false;
        }
        if (is_repeated(context, i)) {
            reply_set_failed(context, i, "duplicate parameter");
            return false;
        }
    }
    return true;
}

/* Sets every pair in `options`; answers the error of the first that is wrong. */
static bool set_pairs(struct cmd_context *context, struct options *options)
{
    char error[OPTIONS_ERROR_BYTES];

    for (uint32_t i = 2; i < context->count; i += 2) {
        if (set_from_arg(options, context->args[i], context->args[i + 1], error) < 0) {
            reply_set_failed(context, i, reason_of(error));
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
        struct ebb_slice name = context->args[i];
        size_t option = (size_t)options_find(name.data, name.len);
        if (!service->option_possible(service->server, wanted, option, error)) {
            reply_set_failed(context, i, error);
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
        struct ebb_slice name = context->args[i];
        service->option_changed(service->server, (size_t)options_find(name.data, name.len));
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
