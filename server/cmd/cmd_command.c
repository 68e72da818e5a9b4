/* SPDX-License-Identifier: MIT */
/* cmd_command.c: COMMAND: what the rows of commands.def say about themselves.
 *
 * Handlers of commands.def; called by dispatch.c. Tips are not kept, so their arrays are empty;
 * what DOCS says of arguments is in arguments.c.
 */
#include "handler.h"

#include <string.h>

#include "arguments.h"
#include "glob.h"
#include "key_access.h"

struct flag_word {
    unsigned flag;
    const char *word;
};

/* In the order in which Redis lists them. */
static const struct flag_word flag_words[] = {
    {COMMAND_WRITE, "write"},       {COMMAND_READ, "readonly"},
    {COMMAND_DENYOOM, "denyoom"},   {COMMAND_ADMIN, "admin"},
    {COMMAND_NOSCRIPT, "noscript"}, {COMMAND_LOADING, "loading"},
    {COMMAND_STALE, "stale"},       {COMMAND_SKIP_SLOWLOG, "skip_slowlog"},
    {COMMAND_FAST, "fast"},         {COMMAND_NO_AUTH, "no_auth"},
    {COMMAND_NO_MULTI, "no_multi"}, {COMMAND_ALLOW_BUSY, "allow_busy"},
};
#define FLAG_WORD_COUNT (sizeof(flag_words) / sizeof(flag_words[0]))

/* Redis's categories of commands; also in its order. */
enum category {
    CATEGORY_KEYSPACE = 1 << 0,
    CATEGORY_READ = 1 << 1,
    CATEGORY_WRITE = 1 << 2,
    CATEGORY_STRING = 1 << 3,
    CATEGORY_BITMAP = 1 << 4,
    CATEGORY_ADMIN = 1 << 5,
    CATEGORY_FAST = 1 << 6,
    CATEGORY_SLOW = 1 << 7,
    CATEGORY_DANGEROUS = 1 << 8,
    CATEGORY_CONNECTION = 1 << 9,
    CATEGORY_TRANSACTION = 1 << 10,
    CATEGORY_SCRIPTING = 1 << 11,
};
static const struct flag_word category_words[] = {
    {CATEGORY_KEYSPACE, "@keyspace"},
    {CATEGORY_READ, "@read"},
    {CATEGORY_WRITE, "@write"},
    {CATEGORY_STRING, "@string"},
    {CATEGORY_BITMAP, "@bitmap"},
    {CATEGORY_ADMIN, "@admin"},
    {CATEGORY_FAST, "@fast"},
    {CATEGORY_SLOW, "@slow"},
    {CATEGORY_DANGEROUS, "@dangerous"},
    {CATEGORY_CONNECTION, "@connection"},
    {CATEGORY_TRANSACTION, "@transaction"},
    {CATEGORY_SCRIPTING, "@scripting"},
};
#define CATEGORY_WORD_COUNT (sizeof(category_words) / sizeof(category_words[0]))

static bool is_in_group(const struct command *command, const char *group)
{
    return !(command->flags & COMMAND_CONTAINER) && strcmp(command->group, group) == 0;
}

static unsigned categories_of(const struct command *command)
{
    unsigned flags = command->flags, categories = 0;

    if (flags & COMMAND_IN_KEYSPACE || is_in_group(command, "generic"))
        categories |= CATEGORY_KEYSPACE;
    if (flags & COMMAND_IN_CONNECTION || is_in_group(command, "connection"))
        categories |= CATEGORY_CONNECTION;
    if (is_in_group(command, "string"))
        categories |= CATEGORY_STRING;
    if (is_in_group(command, "bitmap"))
        categories |= CATEGORY_BITMAP;
    if (is_in_group(command, "transactions"))
        categories |= CATEGORY_TRANSACTION;
    if (is_in_group(command, "scripting"))
        categories |= CATEGORY_SCRIPTING;
    if (flags & COMMAND_READ)
        categories |= CATEGORY_READ;
    if (flags & COMMAND_WRITE)
        categories |= CATEGORY_WRITE;
    if (flags & COMMAND_ADMIN)
        categories |= CATEGORY_ADMIN | CATEGORY_DANGEROUS;
    if (flags & COMMAND_DANGEROUS)
        categories |= CATEGORY_DANGEROUS;
    return categories | (flags & COMMAND_FAST ? CATEGORY_FAST : CATEGORY_SLOW);
}

/* ---- walking the rows ---- */

static const struct command *const commands_end = commands + COMMAND_COUNT;

static bool is_sub(const struct command *command)
{
    return command->flags & COMMAND_SUB;
}

static size_t count_commands(void)
{
    size_t count = 0;

    for (const struct command *command = commands; command < commands_end; command++)
        count += !is_sub(command);
    return count;
}

/* Subcommands stand right below their container. */
static size_t count_subs(const struct command *container)
{
    const struct command *sub = container + 1;

    if (is_sub(container))
        return 0;
    while (sub < commands_end && is_sub(sub))
        sub++;
    return (size_t)(sub - container - 1);
}

/* ---- COMMAND and COMMAND INFO ---- */

static void reply_words(struct ebb_reply *reply, const struct flag_word *words, size_t word_count,
                        unsigned set)
{
    size_t count = 0;

    for (size_t i = 0; i < word_count; i++)
        count += (set & words[i].flag) != 0;
    ebb_reply_set(reply, count);
    for (size_t i = 0; i < word_count; i++) {
        if (set & words[i].flag)
            ebb_reply_simple(reply, words[i].word);
    }
}

static void reply_access(struct ebb_reply *reply, unsigned access)
{
    static const struct flag_word words[] = {
        {KEY_RO, "RO"},         {KEY_RW, "RW"},         {KEY_OW, "OW"},
        {KEY_RM, "RM"},         {KEY_ACCESS, "access"}, {KEY_UPDATE, "update"},
        {KEY_INSERT, "insert"}, {KEY_DELETE, "delete"}, {KEY_VARIABLE, "variable_flags"},
    };

    reply_words(reply, words, sizeof(words) / sizeof(words[0]), access);
}

/* Keys from `first` to the one that is `last` behind it, or before the end of the line. */
static void reply_key_spec(struct ebb_reply *reply, unsigned access, int first, int last, int step)
{
    ebb_reply_map(reply, 3);
    ebb_reply_text(reply, "flags");
    reply_access(reply, access);
    ebb_reply_text(reply, "begin_search");
    ebb_reply_map(reply, 2);
    ebb_reply_text(reply, "type");
    ebb_reply_text(reply, "index");
    ebb_reply_text(reply, "spec");
    ebb_reply_map(reply, 1);
    ebb_reply_text(reply, "index");
    ebb_reply_int(reply, first);
    ebb_reply_text(reply, "find_keys");
    ebb_reply_map(reply, 2);
    ebb_reply_text(reply, "type");
    ebb_reply_text(reply, "range");
    ebb_reply_text(reply, "spec");
    ebb_reply_map(reply, 3);
    ebb_reply_text(reply, "lastkey");
    ebb_reply_int(reply, last);
    ebb_reply_text(reply, "keystep");
    ebb_reply_int(reply, step);
    ebb_reply_text(reply, "limit");
    ebb_reply_int(reply, 0);
}

/* Where the keys stand, in the newer of Redis's two ways of saying it. A first key that is used in
 * another way than those behind it has a place of its own. */
static void reply_key_specs(struct ebb_reply *reply, const struct command *command)
{
    struct key_accesses accesses = key_accesses_of(command);
    bool is_split = accesses.first != accesses.others;
    int first = command->first_key, step = command->key_step;
    int second = is_split ? first + step : first;
    int last = command->last_key < 0 ? command->last_key : command->last_key - second;

    if (first == 0) {
        ebb_reply_set(reply, 0);
        return;
    }
    ebb_reply_set(reply, is_split ? 2 : 1);
    if (is_split)
        reply_key_spec(reply, accesses.first, first, 0, step);
    reply_key_spec(reply, accesses.others, second, last, step);
}

static void reply_info_of(struct ebb_reply *reply, const struct command *command)
{
    size_t subs = count_subs(command);

    ebb_reply_array(reply, 10);
    ebb_reply_text(reply, command->name);
    ebb_reply_int(reply, command->arity);
    reply_words(reply, flag_words, FLAG_WORD_COUNT, command->flags);
    ebb_reply_int(reply, command->first_key);
    ebb_reply_int(reply, command->last_key);
    ebb_reply_int(reply, command->key_step);
    reply_words(reply, category_words, CATEGORY_WORD_COUNT, categories_of(command));
    ebb_reply_set(reply, 0); /* tips */
    reply_key_specs(reply, command);
    if (subs == 0)
        ebb_reply_set(reply, 0);
    else
        ebb_reply_array(reply, subs);
    for (size_t i = 1; i <= subs; i++)
        reply_info_of(reply, command + i);
}

void cmd_command(struct cmd_context *context)
{
    ebb_reply_array(&context->reply, count_commands());
    for (const struct command *command = commands; command < commands_end; command++) {
        if (!is_sub(command))
            reply_info_of(&context->reply, command);
    }
}

void cmd_command_info(struct cmd_context *context)
{
    if (context->count == 2) {
        cmd_command(context);
        return;
    }
    ebb_reply_array(&context->reply, context->count - 2);
    for (uint32_t i = 2; i < context->count; i++) {
        const struct command *command = command_find(context->args[i].data, context->args[i].len);
        if (command == NULL)
            ebb_reply_null(&context->reply);
        else
            reply_info_of(&context->reply, command);
    }
}

void cmd_command_count(struct cmd_context *context)
{
    ebb_reply_int(&context->reply, (int64_t)count_commands());
}

/* ---- COMMAND DOCS ---- */

static void reply_docs_of(struct ebb_reply *reply, const struct command *command)
{
    size_t subs = count_subs(command);
    bool has_arguments = arguments_are_known(command);

    ebb_reply_text(reply, command->name);
    ebb_reply_map(reply, 4u + has_arguments + (subs > 0));
    ebb_reply_text(reply, "summary");
    ebb_reply_text(reply, command->summary);
    ebb_reply_text(reply, "since");
    ebb_reply_text(reply, command->since);
    ebb_reply_text(reply, "group");
    ebb_reply_text(reply, command->group);
    ebb_reply_text(reply, "complexity");
    ebb_reply_text(reply, command->complexity);
    if (has_arguments) {
        ebb_reply_text(reply, "arguments");
        arguments_reply(reply, command);
    }
    if (subs == 0)
        return;
    ebb_reply_text(reply, "subcommands");
    ebb_reply_map(reply, subs);
    for (size_t i = 1; i <= subs; i++)
        reply_docs_of(reply, command + i);
}

void cmd_command_docs(struct cmd_context *context)
{
    struct ebb_reply *reply = &context->reply;
    size_t known = 0;

    if (context->count == 2) {
        ebb_reply_map(reply, count_commands());
        for (const struct command *command = commands; command < commands_end; command++) {
            if (!is_sub(command))
                reply_docs_of(reply, command);
        }
        return;
    }
    for (uint32_t i = 2; i < context->count; i++)
        known += command_find(context->args[i].data, context->args[i].len) != NULL;
    ebb_reply_map(reply, known);
    for (uint32_t i = 2; i < context->count; i++) {
        const struct command *command = command_find(context->args[i].data, context->args[i].len);
        if (command != NULL)
            reply_docs_of(reply, command);
    }
}

/* ---- COMMAND LIST ---- */

enum list_filter { FILTER_NONE, FILTER_MODULE, FILTER_CATEGORY, FILTER_PATTERN };

static bool passes(const struct command *command, enum list_filter filter, struct ebb_slice word)
{
    unsigned categories = categories_of(command);

    switch (filter) {
    case FILTER_NONE:
        return true;
    case FILTER_PATTERN:
        return glob_matches(word.data, word.len, command->name, command->name_len, true);
    case FILTER_CATEGORY:
        for (size_t i = 0; i < CATEGORY_WORD_COUNT; i++) {
            if (categories & category_words[i].flag && arg_is(word, category_words[i].word + 1))
                return true;
        }
        return false;
    default:
        return false; /* no command comes from a module */
    }
}

void cmd_command_list(struct cmd_context *context)
{
    enum list_filter filter = FILTER_NONE;
    struct ebb_slice word = {"", 0};
    size_t count = 0;

    if (context->count == 5 && arg_is(context->args[2], "filterby")) {
        struct ebb_slice kind = context->args[3];
        word = context->args[4];
        filter = arg_is(kind, "module")    ? FILTER_MODULE
                 : arg_is(kind, "aclcat")  ? FILTER_CATEGORY
                 : arg_is(kind, "pattern") ? FILTER_PATTERN
                                           : FILTER_NONE;
    }
    if (context->count != 2 && filter == FILTER_NONE) {
        ebb_reply_error(&context->reply, ERROR_SYNTAX);
        return;
    }
    for (const struct command *command = commands; command < commands_end; command++)
        count += passes(command, filter, word);
    ebb_reply_array(&context->reply, count);
    for (const struct command *command = commands; command < commands_end; command++) {
        if (passes(command, filter, word))
            ebb_reply_text(&context->reply, command->name);
    }
}

/* ---- COMMAND GETKEYS ---- */

/* Where the keys of a command line stand: every step-th word from first on. */
struct key_words {
    uint32_t first, count, step;
};

static struct key_words find_keys(const struct command *command, const struct ebb_slice *args,
                                  uint32_t count)
{
    int64_t number;

    if (command->flags & COMMAND_COUNTED_KEYS) {
        bool is_count =
            ebb_parse_i64(args[2].data, args[2].len, &number) && number >= 0 && number <= count - 3;
        return (struct key_words){3, is_count ? (uint32_t)number : 0, 1};
    }
    int last = command->last_key < 0 ? (int)count + command->last_key : command->last_key;
    int step = command->key_step;
    return (struct key_words){.first = (uint32_t)command->first_key,
                              .count = (uint32_t)((last - command->first_key) / step + 1),
                              .step = (uint32_t)step};
}

static void reply_keys(struct cmd_context *context, bool with_flags)
{
    struct ebb_reply *reply = &context->reply;
    const struct ebb_slice *args = context->args + 2;
    uint32_t count = context->count - 2;
    const struct command *command = command_resolve(args, count);

    if (command == NULL) {
        ebb_reply_error(reply, "ERR Invalid command specified");
        return;
    }
    if (command->first_key == 0 && !(command->flags & COMMAND_COUNTED_KEYS)) {
        ebb_reply_error(reply, "ERR The command has no key arguments");
        return;
    }
    if (!command_fits(command, count)) {
        ebb_reply_error(reply, "ERR Invalid number of arguments specified for command");
        return;
    }
    struct key_words keys = find_keys(command, args, count);
    struct key_accesses accesses = key_accesses_in(command, args, count);
    ebb_reply_array(reply, keys.count);
    for (uint32_t i = 0; i < keys.count; i++) {
        struct ebb_slice name = args[keys.first + i * keys.step];
        if (with_flags)
            ebb_reply_array(reply, 2);
        ebb_reply_bulk(reply, name.data, name.len);
        if (with_flags)
            reply_access(reply, i == 0 ? accesses.first : accesses.others);
    }
}

void cmd_command_getkeys(struct cmd_context *context)
{
    reply_keys(context, false);
}

void cmd_command_getkeysandflags(struct cmd_context *context)
{
    reply_keys(context, true);
}

void cmd_command_help(struct cmd_context *context)
{
    static const char *const lines[] = {
        "(no subcommand)",
        "    Describes every command.",
        "COUNT",
        "    Answers how many commands there are.",
        "LIST [FILTERBY (MODULE|ACLCAT|PATTERN) <word>]",
        "    Names the commands and subcommands.",
        "INFO [<command-name> ...]",
        "    Describes the given commands, or all.",
        "GETKEYS <full-command>",
        "    Answers the keys in a command line.",
        "GETKEYSANDFLAGS <full-command>",
        "    The same, and what the command does with them.",
        "DOCS [<command-name> ...]",
        "    Documents the given commands, or all.",
    };
    reply_help(context, "COMMAND", lines, sizeof(lines) / sizeof(lines[0]));
}
