/* SPDX-License-Identifier: MIT */
/* arguments.c: what follows a command's name, for COMMAND DOCS: clients show it as hints.
 *
 * Each row of arguments.def is one line of text in the notation that is explained there. Nothing is
 * kept of it: an argument is read again for each reply.
 */
#include "arguments.h"

#include <ctype.h>
#include <string.h>

#define TOKEN_MAX_BYTES 32u

static const char *const rows[COMMAND_COUNT] = {
#define ARGUMENTS(id, text) [COMMAND_##id] = text,
#include "arguments.def"
#undef ARGUMENTS
};

/* Words without a byte are those that there are not. */
struct argument {
    struct ebb_slice token, name, type, since;
    const char *parts; /* in brackets; NULL: it has none */
    bool is_optional, is_multiple, repeats_token;
};

/* ---- reading ---- */

static struct ebb_slice read_word(const char **at)
{
    struct ebb_slice word = {*at, strcspn(*at, " |(){}#@*+=")};

    *at += word.len;
    return word;
}

static struct ebb_slice of_text(const char *text)
{
    return (struct ebb_slice){text, strlen(text)};
}

/* The end of what the bracket at `at` opens. */
static const char *skip_parts(const char *at)
{
    unsigned depth = 0;

    do {
        depth += *at == '(' || *at == '{';
        depth -= *at == ')' || *at == '}';
        at++;
    } while (depth > 0);
    return at;
}

/* TOKEN, name, TOKEN=name; and what kind of thing that is. */
static const char *read_name(const char *at, struct argument *argument)
{
    argument->name = read_word(&at);
    argument->type = of_text("string");
    if (isupper((unsigned char)argument->name.data[0])) {
        argument->token = argument->name;
        argument->type = of_text("pure-token");
    }
    if (*at == '=') {
        at++;
        argument->name = read_word(&at);
        argument->type = of_text("string");
    }
    if (*at == '#') {
        at++;
        argument->type = read_word(&at);
    } else if (*at == '(' || *at == '{') {
        argument->type = of_text(*at == '(' ? "oneof" : "block");
        argument->parts = at + 1;
        at = skip_parts(at);
    }
    return at;
}

/* Returns the place behind the argument. */
static const char *read_argument(const char *at, struct argument *argument)
{
    *argument = (struct argument){.is_optional = *at == '?'};
    at = read_name(at + argument->is_optional, argument);
    if (*at == '@') {
        at++;
        argument->since = read_word(&at);
    }
    argument->is_multiple = *at == '*' || *at == '+';
    argument->repeats_token = *at == '+';
    return at + argument->is_multiple;
}

/* Where the one behind it begins; NULL: it was the last of the line or of its bracket. */
static const char *next_argument(const char *end)
{
    return *end == ' ' || *end == '|' ? end + 1 : NULL;
}

/* ---- replying ---- */

static void reply_word(struct ebb_reply *reply, const char *field, struct ebb_slice word)
{
    if (word.len == 0)
        return;
    ebb_reply_text(reply, field);
    ebb_reply_bulk(reply, word.data, word.len);
}

/* A token that stands alone has its own name, in small letters. */
static void reply_name(struct ebb_reply *reply, const char *field, const struct argument *argument)
{
    char name[TOKEN_MAX_BYTES];
    size_t len = argument->name.len < sizeof(name) ? argument->name.len : sizeof(name);

    if (argument->name.data != argument->token.data) {
        reply_word(reply, field, argument->name);
        return;
    }
    for (size_t i = 0; i < len; i++)
        name[i] = (char)tolower((unsigned char)argument->name.data[i]);
    reply_word(reply, field, (struct ebb_slice){name, len});
}

/* "key" is of the first specification of COMMAND INFO, "key1" of the second. */
static bool is_key(const struct argument *argument)
{
    return argument->type.len >= 3 && memcmp(argument->type.data, "key", 3) == 0;
}

static void reply_type(struct ebb_reply *reply, const struct argument *argument)
{
    struct ebb_slice type = argument->type;

    reply_word(reply, "type", is_key(argument) ? (struct ebb_slice){type.data, 3} : type);
    if (argument->parts == NULL)
        reply_name(reply, "display_text", argument);
    if (is_key(argument)) {
        ebb_reply_text(reply, "key_spec_index");
        ebb_reply_int(reply, type.len > 3 ? type.data[3] - '0' : 0);
    }
}

static void reply_flags(struct ebb_reply *reply, const struct argument *argument)
{
    size_t count = (size_t)argument->is_optional + argument->is_multiple + argument->repeats_token;

    if (count == 0)
        return;
    ebb_reply_text(reply, "flags");
    ebb_reply_set(reply, count);
    if (argument->is_optional)
        ebb_reply_simple(reply, "optional");
    if (argument->is_multiple)
        ebb_reply_simple(reply, "multiple");
    if (argument->repeats_token)
        ebb_reply_simple(reply, "multiple_token");
}

static size_t count_fields(const struct argument *argument)
{
    bool has_flags = argument->is_optional || argument->is_multiple;

    return 3u + is_key(argument) + (argument->token.len > 0) + (argument->since.len > 0) +
           has_flags; /* name, type, and what it is shown as or made of */
}

static void reply_all(struct ebb_reply *reply, const char *first);

static void reply_argument(struct ebb_reply *reply, const struct argument *argument)
{
    ebb_reply_map(reply, count_fields(argument));
    reply_name(reply, "name", argument);
    reply_type(reply, argument);
    reply_word(reply, "token", argument->token);
    reply_word(reply, "since", argument->since);
    reply_flags(reply, argument);
    if (argument->parts != NULL) {
        ebb_reply_text(reply, "arguments");
        reply_all(reply, argument->parts);
    }
}

/* From there to the end of the line or of the bracket. */
static void reply_all(struct ebb_reply *reply, const char *first)
{
    struct argument argument;
    size_t count = 0;

    for (const char *at = first; at != NULL; count++)
        at = next_argument(read_argument(at, &argument));
    ebb_reply_array(reply, count);
    for (const char *at = first; at != NULL;) {
        at = next_argument(read_argument(at, &argument));
        reply_argument(reply, &argument);
    }
}

bool arguments_are_known(const struct command *command)
{
    return rows[command->id] != NULL;
}

void arguments_reply(struct ebb_reply *reply, const struct command *command)
{
    reply_all(reply, rows[command->id]);
}
