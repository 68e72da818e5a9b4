/* SPDX-License-Identifier: MIT */
/* handler.h: what the handlers of commands share: their prototypes, arguments and keys, and the
 * error texts that more than one of them answers.
 */
#ifndef EBB_HANDLER_H
#define EBB_HANDLER_H

#include "cmd.h"

#define COMMAND(id, name, function, ...) void function(struct cmd_context *context);
#include "commands.def"
#undef COMMAND

#define ERROR_SYNTAX   "ERR syntax error"
#define ERROR_INTEGER  "ERR value is not an integer or out of range"
#define ERROR_TOO_LONG "ERR string exceeds maximum allowed size (proto-max-bulk-len)"
#define ERROR_MEMORY   "OOM command not allowed when used memory > 'maxmemory'."

static inline void reply_ok(struct cmd_context *context)
{
    ebb_reply_raw(&context->reply, "+OK\r\n", 5);
}

/* ---- arguments ---- */

/* Whether the argument is the word (given in lower case), in any case. */
bool arg_is(struct ebb_slice arg, const char *lower);
/* Reads an integer argument, or answers that it is none and returns false. */
bool arg_int(struct cmd_context *context, uint32_t index, int64_t *value);
/* Reads the number of a database, or answers that it is none. */
bool arg_database(struct cmd_context *context, uint32_t index, unsigned *database);
/* Length for "%.*s" of a client's bytes in an error, cut at `max` and at a NUL as C would. */
int arg_print_len(struct ebb_slice arg, size_t max);
void reply_wrong_arity(struct cmd_context *context, const char *name);
/* The same of a subcommand, args[1], as it came; the container in capitals. */
void reply_wrong_subcommand(struct cmd_context *context, const char *container);
/* The error of a store call: STORE_ENOMEM or STORE_ETOOBIG. */
void reply_store_error(struct cmd_context *context, int error);
/* Takes back what was written since the content of the reply was `len` long. */
void reply_rewind(struct cmd_context *context, size_t len);
/* One line of text each, in an array: what HELP of a container answers. */
void reply_help(struct cmd_context *context, const char *container, const char *const *lines,
                size_t count);

/* Pins the value, of which `len` bytes are about to be sent, if that is better than copying them:
 * then reply_splice() must follow. */
bool reply_pin(struct cmd_context *context, const struct store_key *key,
               const struct store_value *value, size_t len);
static inline bool reply_may_splice(struct cmd_context *context, const struct store_key *key,
                                    const struct store_value *value, size_t len)
{
    return __builtin_expect(len >= SPLICE_MIN_BYTES, 0) && reply_pin(context, key, value, len);
}
/* Bytes of the value and a line end. */
void reply_splice(struct cmd_context *context, struct ebb_slice bytes);

void reply_long_bytes_of(struct cmd_context *context, const struct store_key *key,
                         const struct store_value *value, struct ebb_slice bytes);
/* A bulk of some or all bytes of a value that has just been read, or of none at all. */
static inline void reply_bytes_of(struct cmd_context *context, const struct store_key *key,
                                  const struct store_value *value, struct ebb_slice bytes)
{
    if (__builtin_expect(bytes.len >= SPLICE_MIN_BYTES, 0))
        reply_long_bytes_of(context, key, value, bytes);
    else
        ebb_reply_bulk(&context->reply, bytes.data, bytes.len);
}

static inline void reply_value(struct cmd_context *context, const struct store_key *key,
                               const struct store_value *value)
{
    reply_bytes_of(context, key, value, (struct ebb_slice){value->data, value->len});
}

/* Between two parts of a long reply that need not be of one moment: sends what there is of it, if
 * it is much. true: the client takes no more now. Then the command stops; it is run again when the
 * client reads on, and goes on with that word (client->resume_at). So no reply is longer in memory
 * than what may be unsent, however many keys it has. Leaves all shards. */
bool reply_stops(struct cmd_context *context, uint32_t at);

/* ---- keys ---- */

/* Whether a key that is to live until then (0: for ever) has no more time. */
static inline bool is_over(const struct cmd_context *context, int64_t expire_ms)
{
    return expire_ms != 0 && expire_ms <= context->store->now_ms;
}

/* That name as a key, its shard entered; named ahead with its batch, if it is the first one. */
static inline struct store_key enter_name(struct cmd_context *context, unsigned database,
                                          struct ebb_slice name)
{
    const struct store_key *named = context->named;
    if (named != NULL && named->data == name.data) {
        store_enter(context->store, named);
        if (!store_is_renumbered(context->store, database, named))
            return *named;
    }
    return store_enter_name(context->store, database, name.data, name.len);
}

/* The key in argument `index`, its shard entered. */
static inline struct store_key enter_key(struct cmd_context *context, uint32_t index)
{
    return enter_name(context, (unsigned)context->client->database, context->args[index]);
}

/* A read that the statistics count as hit or miss. What asks about a key and not for its value is
 * no use of it, in Redis neither: store_look(). */
static inline bool read_key(struct cmd_context *context, const struct store_key *key,
                            struct store_value *value)
{
    if (context->client->no_touch)
        return store_look(context->store, key, value);
    return store_get(context->store, key, value);
}

#define KEYS_CHUNK 64u

enum keys_order {
    KEYS_CHUNKED, /* each chunk is of one moment, the whole need not be */
    KEYS_ATOMIC,  /* all shards of all keys stay entered from the first chunk on */
};

/* Names, prefetches and enters the next at most KEYS_CHUNK keys of a command whose keys stand in
 * every step-th argument up to the last. Returns how many; the next chunk starts step times as many
 * arguments later. */
uint32_t enter_keys(struct cmd_context *context, uint32_t from, uint32_t step,
                    enum keys_order order, struct store_key *keys);

/* ---- logging in (auth.c) ---- */

/* Whether the client may run commands: it logged in, or there is no password. */
bool auth_passed(struct cmd_context *context);
bool auth_has_password(struct cmd_context *context);
bool auth_is_same(struct ebb_slice given, struct ebb_slice right); /* in constant time */
/* Logs the client in if user and password are right; counts it if not. */
bool auth_try(struct cmd_context *context, struct ebb_slice user, struct ebb_slice password);

#endif
