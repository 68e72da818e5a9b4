/* SPDX-License-Identifier: MIT */
/* set_options.c: the words after SET key value and GETEX key, from one table.
 *
 * Called by cmd_string.c. A word may be given twice, and the later time wins, as in Redis.
 */
#include "set_options.h"

#include "handler.h"

#define SET_TIMES (SET_EX | SET_PX | SET_EXAT | SET_PXAT)

static const struct {
    const char *word;
    unsigned flag;
    unsigned kinds;    /* of enum set_options_kind */
    unsigned excludes; /* flags that may not stand before it */
} words[] = {
    {"nx", SET_NX, SET_OPTIONS_SET, SET_CONDITIONS & ~SET_NX},
    {"xx", SET_XX, SET_OPTIONS_SET, SET_CONDITIONS & ~SET_XX},
    {"ifeq", SET_IFEQ, SET_OPTIONS_SET, SET_CONDITIONS},
    {"ifne", SET_IFNE, SET_OPTIONS_SET, SET_CONDITIONS},
    {"get", SET_GET, SET_OPTIONS_SET, 0},
    {"keepttl", SET_KEEPTTL, SET_OPTIONS_SET, SET_TIMES},
    {"persist", SET_PERSIST, SET_OPTIONS_GETEX, SET_TIMES},
    {"ex", SET_EX, SET_OPTIONS_SET | SET_OPTIONS_GETEX,
     SET_KEEPTTL | SET_PERSIST | (SET_TIMES & ~SET_EX)},
    {"px", SET_PX, SET_OPTIONS_SET | SET_OPTIONS_GETEX,
     SET_KEEPTTL | SET_PERSIST | (SET_TIMES & ~SET_PX)},
    {"exat", SET_EXAT, SET_OPTIONS_SET | SET_OPTIONS_GETEX,
     SET_KEEPTTL | SET_PERSIST | (SET_TIMES & ~SET_EXAT)},
    {"pxat", SET_PXAT, SET_OPTIONS_SET | SET_OPTIONS_GETEX,
     SET_KEEPTTL | SET_PERSIST | (SET_TIMES & ~SET_PXAT)},
};

#define WORD_COUNT (sizeof(words) / sizeof(words[0]))

static size_t find_word(struct ebb_slice arg)
{
    size_t word = 0;

    while (word < WORD_COUNT && !arg_is(arg, words[word].word))
        word++;
    return word;
}

bool set_options_parse(struct cmd_context *context, uint32_t from, enum set_options_kind kind,
                       struct set_options *options)
{
    *options = (struct set_options){0};
    for (uint32_t i = from; i < context->count; i++) {
        size_t word = find_word(context->args[i]);
        bool fits = word < WORD_COUNT && words[word].kinds & kind &&
                    !(words[word].excludes & options->flags);
        if (fits && words[word].flag & (SET_TIMES | SET_VALUES)) {
            *(words[word].flag & SET_TIMES ? &options->time_arg : &options->value_arg) = ++i;
            fits = i < context->count;
        }
        if (!fits) {
            ebb_reply_error(&context->reply, ERROR_SYNTAX);
            return false;
        }
        options->flags |= words[word].flag;
    }
    return true;
}

bool set_options_expire(struct cmd_context *context, struct set_options *options)
{
    int64_t time;

    if (options->time_arg == 0)
        return true;
    if (!arg_int(context, options->time_arg, &time))
        return false;
    bool fits = time > 0;
    if (options->flags & (SET_EX | SET_EXAT))
        fits = fits && !__builtin_mul_overflow(time, 1000, &time);
    if (options->flags & (SET_EX | SET_PX))
        fits = fits && !__builtin_add_overflow(time, context->store->now_ms, &time);
    options->expire_ms = time;
    if (!fits)
        ebb_reply_errorf(&context->reply, "ERR invalid expire time in '%s' command",
                         context->command->name);
    return fits;
}
