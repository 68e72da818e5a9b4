/* SPDX-License-Identifier: MIT */
/* cmd_database.c: between databases: COPY, MOVE, SWAPDB; and SELECT's way of reading a number.
 *
 * Handlers of commands.def; called by dispatch.c.
 */
#include "handler.h"

#include <string.h>

#include "../options.h"

#define ERROR_SAME  "ERR source and destination objects are the same"
#define ERROR_RANGE "ERR DB index is out of range"

static bool is_database(const struct cmd_context *context, int64_t number)
{
    return number >= 0 && number < options_number(&context->service->options->databases);
}

bool arg_database(struct cmd_context *context, uint32_t index, unsigned *database)
{
    int64_t number;

    if (!arg_int(context, index, &number))
        return false;
    if (number < INT32_MIN || number > INT32_MAX) {
        ebb_reply_errorf(&context->reply, "ERR value is out of range, value must between %d and %d",
                         INT32_MIN, INT32_MAX);
        return false;
    }
    if (!is_database(context, number)) {
        ebb_reply_error(&context->reply, ERROR_RANGE);
        return false;
    }
    *database = (unsigned)number;
    return true;
}

/* ---- COPY and MOVE ---- */

struct place {
    unsigned database;
    struct ebb_slice name;
};

static bool is_same_place(const struct place *a, const struct place *b)
{
    return a->database == b->database && a->name.len == b->name.len &&
           memcmp(a->name.data, b->name.data, a->name.len) == 0;
}

/* The keys of both places, their shards entered. */
static void enter_places(struct cmd_context *context, const struct place places[2],
                         struct store_key keys[2])
{
    struct store_session *store = context->store;

    do {
        for (int i = 0; i < 2; i++)
            keys[i] = store_key(store->store, places[i].database, places[i].name.data,
                                places[i].name.len);
        store_enter_keys(store, keys, 2);
    } while (store_is_renumbered(store, places[0].database, &keys[0]) ||
             store_is_renumbered(store, places[1].database, &keys[1]));
}

/* Sets the second key to what the first one holds. false: answered why not. */
static bool copy_value(struct cmd_context *context, const struct store_key keys[2],
                       bool may_replace)
{
    struct store_value value, old;

    if (!store_peek(context->store, &keys[0], &value) ||
        (!may_replace && store_peek(context->store, &keys[1], &old))) {
        ebb_reply_int(&context->reply, 0);
        return false;
    }
    int rc = store_set(context->store, &keys[1], &value);
    if (rc != STORE_OK)
        reply_store_error(context, rc);
    return rc == STORE_OK;
}

static bool parse_copy(struct cmd_context *context, unsigned *database, bool *may_replace)
{
    *may_replace = false;
    for (uint32_t i = 3; i < context->count; i++) {
        if (arg_is(context->args[i], "replace")) {
            *may_replace = true;
        } else if (arg_is(context->args[i], "db") && i + 1 < context->count) {
            if (!arg_database(context, ++i, database))
                return false;
        } else {
            ebb_reply_error(&context->reply, ERROR_SYNTAX);
            return false;
        }
    }
    return true;
}

void cmd_copy(struct cmd_context *context)
{
    unsigned here = (unsigned)context->client->database;
    struct place places[2] = {{here, context->args[1]}, {here, context->args[2]}};
    struct store_key keys[2];
    bool may_replace;

    if (!parse_copy(context, &places[1].database, &may_replace))
        return;
    if (is_same_place(&places[0], &places[1])) {
        ebb_reply_error(&context->reply, ERROR_SAME);
        return;
    }
    enter_places(context, places, keys);
    if (copy_value(context, keys, may_replace))
        ebb_reply_int(&context->reply, 1);
}

void cmd_move(struct cmd_context *context)
{
    unsigned here = (unsigned)context->client->database;
    struct place places[2] = {{here, context->args[1]}, {here, context->args[1]}};
    struct store_key keys[2];

    if (!arg_database(context, 2, &places[1].database))
        return;
    if (is_same_place(&places[0], &places[1])) {
        ebb_reply_error(&context->reply, ERROR_SAME);
        return;
    }
    enter_places(context, places, keys);
    if (!copy_value(context, keys, false))
        return;
    store_delete(context->store, &keys[0]);
    ebb_reply_int(&context->reply, 1);
}

/* ---- SWAPDB ---- */

static bool parse_index(struct cmd_context *context, uint32_t index, const char *error,
                        int64_t *number)
{
    struct ebb_slice arg = context->args[index];

    if (ebb_parse_i64(arg.data, arg.len, number) && *number >= INT32_MIN && *number <= INT32_MAX)
        return true;
    ebb_reply_error(&context->reply, error);
    return false;
}

void cmd_swapdb(struct cmd_context *context)
{
    int64_t a, b;

    if (!parse_index(context, 1, "ERR invalid first DB index", &a) ||
        !parse_index(context, 2, "ERR invalid second DB index", &b))
        return;
    if (!is_database(context, a) || !is_database(context, b)) {
        ebb_reply_error(&context->reply, ERROR_RANGE);
        return;
    }
    store_swap(context->store, (unsigned)a, (unsigned)b);
    reply_ok(context);
}
