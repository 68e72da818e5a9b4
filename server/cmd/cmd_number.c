/* SPDX-License-Identifier: MIT */
/* cmd_number.c: values that are numbers: INCR, DECR, INCRBY, DECRBY, INCRBYFLOAT.
 *
 * Handlers of commands.def; called by dispatch.c. A number is kept as its decimal text.
 */
#include "handler.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool set_text(struct cmd_context *context, const struct store_key *key,
                     const struct store_value *old, const char *text, size_t len)
{
    int rc =
        store_set(context->store, key,
                  &(struct store_value){
                      .data = text, .len = len, .expire_ms = STORE_KEEP_TTL, .flags = old->flags});
    if (rc != STORE_OK)
        reply_store_error(context, rc);
    return rc == STORE_OK;
}

static void add_to_key(struct cmd_context *context, int64_t delta)
{
    struct store_key key = enter_key(context, 1);
    struct store_value old = {0};
    char text[EBB_NUM_TEXT_BYTES];
    int64_t number = 0;

    if (store_peek(context->store, &key, &old) && !ebb_parse_i64(old.data, old.len, &number)) {
        ebb_reply_error(&context->reply, ERROR_INTEGER);
        return;
    }
    if (__builtin_add_overflow(number, delta, &number)) {
        ebb_reply_error(&context->reply, "ERR increment or decrement would overflow");
        return;
    }
    if (set_text(context, &key, &old, text, ebb_format_i64(text, number)))
        ebb_reply_int(&context->reply, number);
}

void cmd_incr(struct cmd_context *context)
{
    add_to_key(context, 1);
}

void cmd_decr(struct cmd_context *context)
{
    add_to_key(context, -1);
}

void cmd_incrby(struct cmd_context *context)
{
    int64_t delta;

    if (arg_int(context, 2, &delta))
        add_to_key(context, delta);
}

void cmd_decrby(struct cmd_context *context)
{
    int64_t delta;

    if (!arg_int(context, 2, &delta))
        return;
    if (delta == INT64_MIN)
        ebb_reply_error(&context->reply, "ERR decrement would overflow");
    else
        add_to_key(context, -delta);
}

/* ---- with a fraction: Redis's rules, on C's long double ---- */

/* Longest number in fixed notation: LDBL_MAX has 4933 digits before the point. */
#define FLOAT_TEXT_BYTES (5 * 1024)

static bool parse_float(const char *text, size_t len, long double *value)
{
    char copy[FLOAT_TEXT_BYTES];
    char *end;

    if (len == 0 || len >= sizeof(copy))
        return false;
    memcpy(copy, text, len);
    copy[len] = '\0';
    errno = 0;
    *value = strtold(copy, &end);
    if (isspace((unsigned char)copy[0]) || (size_t)(end - copy) != len || isnan(*value))
        return false;
    return errno != ERANGE || (!isinf(*value) && fpclassify(*value) != FP_ZERO);
}

/* 17 digits after the point, less the zeros at the end. */
static size_t format_float(char *text, size_t size, long double value)
{
    size_t len = (size_t)snprintf(text, size, "%.17Lf", value);

    while (text[len - 1] == '0')
        len--;
    if (text[len - 1] == '.')
        len--;
    if (len == 2 && text[0] == '-' && text[1] == '0') {
        text[0] = '0';
        len = 1;
    }
    return len;
}

void cmd_incrbyfloat(struct cmd_context *context)
{
    struct store_key key = enter_key(context, 1);
    struct ebb_slice arg = context->args[2];
    struct store_value old = {0};
    char text[FLOAT_TEXT_BYTES];
    long double number = 0, delta;

    bool found = store_peek(context->store, &key, &old);
    if ((found && !parse_float(old.data, old.len, &number)) ||
        !parse_float(arg.data, arg.len, &delta)) {
        ebb_reply_error(&context->reply, "ERR value is not a valid float");
        return;
    }
    number += delta;
    if (isnan(number) || isinf(number)) {
        ebb_reply_error(&context->reply, "ERR increment would produce NaN or Infinity");
        return;
    }
    size_t len = format_float(text, sizeof(text), number);
    if (set_text(context, &key, &old, text, len))
        ebb_reply_bulk(&context->reply, text, len);
}
