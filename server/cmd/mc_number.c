/* SPDX-License-Identifier: MIT */
/* mc_number.c: memcached's incr and decr, and the sums of its meta command ma.
 *
 * Numbers are read as memcached reads them and are unsigned: up around 2^64, down to 0 at most.
 */
#include "mc_verbs.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "mc_count.h"

#define MC_NUMBER_MAX_BYTES (512u * 1024) /* memcached adds to no value that it keeps in chunks */

/* What ends a number: white space, as strtoull()'s callers in memcached have it, or a NUL, which
 * ends their string. */
static bool ends_counter(char c)
{
    return c == '\0' || isspace((unsigned char)c);
}

/* As strtoull() reads it, which memcached uses: a sign and white space in front are fine, and so is
 * anything behind the first byte that ends it. */
static bool parse_counter(const char *text, size_t len, uint64_t *number)
{
    const char *end = text + len;
    bool is_negative = false;
    uint64_t value = 0;

    while (text < end && isspace((unsigned char)*text))
        text++;
    if (text < end && (*text == '-' || *text == '+'))
        is_negative = *text++ == '-';
    const char *digits = text;
    for (; text < end && isdigit((unsigned char)*text); text++) {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
            return false;
    }
    if (text == digits || (text < end && !ends_counter(*text)))
        return false;
    *number = is_negative ? -value : value;
    return !is_negative || *number <= INT64_MAX;
}

bool mc_may_be_number(const struct store_value *value)
{
    return value->len > 0 && value->len <= MC_NUMBER_MAX_BYTES;
}

/* A number that got shorter is filled up with spaces to the length the value had. One that fits is
 * written over the old one by memcached, which leaves the marks; another is a value set anew. */
static int set_counter(struct cmd_context *context, const struct store_key *key,
                       const struct store_value *old, uint64_t number)
{
    char text[EBB_NUM_TEXT_BYTES];
    size_t number_len = ebb_format_u64(text, number);
    bool fits = number_len <= old->len;
    size_t len = fits ? old->len : number_len;
    char *bytes = len > sizeof(text) ? malloc(len) : text;

    if (bytes == NULL)
        return STORE_ENOMEM;
    memmove(bytes, text, number_len);
    memset(bytes + number_len, ' ', len - number_len);
    struct store_value value = {
        .data = bytes, .len = len, .expire_ms = STORE_KEEP_TTL, .flags = old->flags};
    int rc = store_set_marked(context->store, key, &value, fits ? old->marks : 0, 0);
    if (bytes != text)
        free(bytes);
    return rc;
}

enum mc_sum mc_add(struct cmd_context *context, const struct store_key *key,
                   const struct store_value *old, bool is_decr, uint64_t delta, uint64_t *number)
{
    if (!mc_may_be_number(old) || !parse_counter(old->data, old->len, number))
        return MC_SUM_NO_NUMBER;
    if (is_decr)
        *number = delta > *number ? 0 : *number - delta;
    else
        *number += delta; /* around at 2^64 */
    mc_count_sum(context, key, old, is_decr);
    return set_counter(context, key, old, *number) == STORE_OK ? MC_SUM_OK : MC_SUM_NO_MEMORY;
}

void mc_run_number(struct cmd_context *context, const struct ebb_mc_command *command)
{
    bool is_decr = command->verb == EBB_MC_DECR;
    struct store_key key = mc_enter_key(context, command);
    struct store_value old;
    uint64_t number = 0;

    if (!store_peek(context->store, &key, &old)) {
        mc_count_sum(context, &key, NULL, is_decr);
        mc_answer(context, command, "NOT_FOUND");
        return;
    }
    switch (mc_add(context, &key, &old, is_decr, command->delta, &number)) {
    case MC_SUM_OK:
        if (!command->noreply)
            ebb_mc_write_number(context->reply.out, number);
        break;
    case MC_SUM_NO_NUMBER:
        mc_answer_error(context, command, MC_NO_NUMBER);
        break;
    case MC_SUM_NO_MEMORY:
        mc_answer_error(context, command, MC_NO_NUMBER_MEMORY);
        break;
    }
}
