/* SPDX-License-Identifier: MIT */
/* mc_meta_write.c: memcached's meta commands that change a value: ms, md and ma.
 *
 * What they share with mg, and the reason for the pass over the flags, is in mc_meta.c.
 */
#include <string.h>

#include "handler.h"
#include "mc_count.h"
#include "mc_meta.h"

/* ---- ms ---- */

/* A store that came to an end: its code. "" says that the error has been answered. */
static const char *store_value_of(struct cmd_context *context, const struct ebb_mc_command *command,
                                  const struct store_key *key, int64_t expire_ms, unsigned marks)
{
    struct store_value value = {.data = command->value.data,
                                .len = command->value.len,
                                .expire_ms = expire_ms,
                                .flags = command->flags};
    marks |= has(command, 'b') ? STORE_BINARY_KEY : 0;
    int rc = store_set_marked(context->store, key, &value, marks, command->new_cas);

    if (rc == STORE_OK) {
        mc_count_stored(context);
        return "HD";
    }
    /* Nobody shall read what was to be replaced. */
    store_delete(context->store, key);
    mc_answer_error(context, command, mc_store_error(context, rc));
    return "";
}

static const char *store_if_same(struct cmd_context *context, const struct ebb_mc_command *command,
                                 const struct store_key *key)
{
    int64_t expire_ms = mc_expire_ms(context, command->exptime);
    struct store_value old;

    if (!store_peek(context->store, key, &old)) {
        mc_count_cas(context, key, NULL, false);
        return "NF";
    }
    if (store_cas_matches(context->store, key, command->cas)) {
        mc_count_cas(context, key, &old, true);
        return store_value_of(context, command, key, expire_ms, 0);
    }
    /* With I a value that is too late may still be better than none: it is stale from the start. */
    if (has(command, 'I') && command->cas < store_cas_unique(context->store, key)) {
        mc_count_cas(context, key, &old, true);
        return store_value_of(context, command, key, old.expire_ms,
                              STORE_STALE | (old.marks & STORE_WON));
    }
    mc_count_cas(context, key, &old, false);
    return "EX";
}

static const char *join(struct cmd_context *context, const struct ebb_mc_command *command,
                        const struct store_key *key, size_t *len)
{
    struct ebb_slice more = command->value;
    struct store_value old;

    if (!store_peek(context->store, key, &old))
        return !has(command, 'N')
                   ? "NS"
                   : store_value_of(context, command, key,
                                    mc_expire_ms(context, command->vivify_exptime), 0);
    if (has(command, 'C') && !store_cas_matches(context->store, key, command->cas))
        return "EX";
    if (mc_join(context, key, &old, more, command->mode == 'A') != STORE_OK)
        return "NS"; /* memcached says no more than this */
    mc_count_stored(context);
    *len = old.len + more.len;
    if (has(command, 'E'))
        store_set_cas(context->store, key, command->new_cas);
    return "HD";
}

static const char *run_mode(struct cmd_context *context, const struct ebb_mc_command *command,
                            const struct store_key *key, size_t *len)
{
    int64_t expire_ms = mc_expire_ms(context, command->exptime);
    struct store_value old;

    switch (command->mode) {
    case 'A':
    case 'P':
        return join(context, command, key, len);
    case 'E':
        if (store_peek(context->store, key, &old))
            return "NS";
        return store_value_of(context, command, key, expire_ms, 0);
    case 'R':
        if (!has(command, 'C') && !store_peek(context->store, key, &old))
            return "NS";
        break;
    }
    if (has(command, 'C'))
        return store_if_same(context, command, key);
    return store_value_of(context, command, key, expire_ms, 0);
}

void mc_run_set(struct cmd_context *context, const struct ebb_mc_command *command)
{
    struct ebb_buf *out = context->reply.out;
    struct store_key key = mc_enter_key(context, command);
    size_t len = command->value.len;
    const char *code = run_mode(context, command, &key, &len);
    bool is_stored = code[0] == 'H';

    if (code[0] == '\0' || (is_stored && has(command, 'q')))
        return;
    uint64_t unique = is_stored && has(command, 'c') ? store_cas_unique(context->store, &key) : 0;
    ebb_mc_write_code(out, code);
    for (uint32_t i = 1; i < command->keys.count; i++) {
        const struct ebb_slice *flag = &command->keys.at[i];
        if (flag->data[0] == 'c')
            ebb_mc_write_flag_number(out, 'c', unique);
        else if (flag->data[0] == 's')
            ebb_mc_write_flag_number(out, 's', len);
        else
            meta_write_echo(out, command, flag, has(command, 'b'));
    }
    ebb_mc_write_end(out, NULL);
}

/* ---- md ---- */

/* With x the value goes, and an empty one without flags takes its place. */
static int empty_out(struct cmd_context *context, const struct ebb_mc_command *command,
                     const struct store_key *key, const struct store_value *old)
{
    struct store_value empty = {
        .data = "", .expire_ms = mc_expire_ms(context, command->exptime), .flags = command->flags};
    return store_set_marked(context->store, key, &empty, old->marks & STORE_BINARY_KEY,
                            has(command, 'E') ? command->new_cas : old->cas);
}

/* With I the value stays, for those who would rather have an old one, until the next to ask has
 * made it anew. */
static void invalidate(struct cmd_context *context, const struct ebb_mc_command *command,
                       const struct store_key *key)
{
    store_mark(context->store, key, STORE_STALE, STORE_WON);
    store_set_cas(context->store, key, command->new_cas);
    if (has(command, 'T'))
        store_set_expire(context->store, key, mc_expire_ms(context, command->exptime));
}

void mc_run_delete(struct cmd_context *context, const struct ebb_mc_command *command)
{
    struct store_key key = mc_enter_key(context, command);
    struct store_value old;
    bool is_there = store_peek(context->store, &key, &old);
    bool is_hit =
        is_there && (!has(command, 'C') || store_cas_matches(context->store, &key, command->cas));

    if (!is_hit || !has(command, 'I'))
        mc_count_delete(context, is_hit ? key.len + old.header_bytes + old.len : 0);
    if (!is_hit) {
        meta_answer_code(context, command, is_there ? "EX" : "NF");
        return;
    }
    if (has(command, 'x') && empty_out(context, command, &key, &old) != STORE_OK) {
        mc_answer_error(context, command, "SERVER_ERROR out of memory");
        return;
    }
    if (has(command, 'I'))
        invalidate(context, command, &key);
    else if (!has(command, 'x'))
        store_delete(context->store, &key);
    if (!has(command, 'q'))
        meta_answer_code(context, command, "HD");
}

/* ---- ma ---- */

static bool is_decr(const struct ebb_mc_command *command)
{
    return command->mode == 'D' || command->mode == '-';
}

/* A first miss with N is answered with the number of J. */
static int begin_number(struct pass *pass, uint64_t *number)
{
    const struct ebb_mc_command *command = pass->command;
    char text[EBB_NUM_TEXT_BYTES];
    struct store_value value = {.data = text,
                                .len = ebb_format_u64(text, command->initial),
                                .expire_ms = meta_created_expire_ms(pass)};

    *number = command->initial;
    pass->is_created = true;
    pass->value = (struct store_value){0};
    return store_set_marked(pass->context->store, &pass->key, &value, 0, command->new_cas);
}

/* The code of the answer, or the error's line. */
static const char *run_sum(struct pass *pass, uint64_t *number)
{
    struct cmd_context *context = pass->context;
    const struct ebb_mc_command *command = pass->command;
    struct store_value *old = &pass->value;

    if (!store_peek(context->store, &pass->key, old)) {
        mc_count_sum(context, &pass->key, NULL, is_decr(command));
        if (!has(command, 'N'))
            return "NF";
        return begin_number(pass, number) == STORE_OK
                   ? "HD"
                   : "SERVER_ERROR Out of memory allocating new item";
    }
    if (!mc_may_be_number(old))
        return MC_NO_NUMBER;
    if (command->cas != 0 && !store_cas_matches(context->store, &pass->key, command->cas))
        return "EX";
    switch (mc_add(context, &pass->key, old, is_decr(command), command->delta, number)) {
    case MC_SUM_OK:
        break;
    case MC_SUM_NO_NUMBER:
        return MC_NO_NUMBER;
    case MC_SUM_NO_MEMORY:
        return MC_NO_NUMBER_MEMORY;
    }
    if (has(command, 'E'))
        store_set_cas(context->store, &pass->key, command->new_cas);
    return "HD";
}

static void pass_flag_of_sum(struct pass *pass, const struct ebb_slice *flag)
{
    switch (flag->data[0]) {
    case 'c':
        ebb_mc_write_flag_number(pass->context->reply.out, 'c', pass->unique);
        break;
    case 't':
        meta_write_ttl(pass);
        break;
    case 'T':
        pass->value.expire_ms = mc_expire_ms(pass->context, pass->command->exptime);
        break;
    case 'N':
        if (pass->is_created)
            pass->value.expire_ms = mc_expire_ms(pass->context, pass->command->vivify_exptime);
        break;
    default:
        meta_write_echo(pass->context->reply.out, pass->command, flag, has(pass->command, 'b'));
    }
}

void mc_run_arithmetic(struct cmd_context *context, const struct ebb_mc_command *command)
{
    struct ebb_buf *out = context->reply.out;
    struct pass pass = {context, command, .key = mc_enter_key(context, command)};
    uint64_t number = 0;
    const char *code = run_sum(&pass, &number);

    if (strlen(code) > 2) {
        mc_answer_error(context, command, code);
        return;
    }
    if (code[0] != 'H') {
        meta_answer_code(context, command, code);
        return;
    }
    if (has(command, 'c'))
        pass.unique = meta_unique_of(context, &pass.key);
    size_t reply_at = ebb_buf_len(out);
    char text[EBB_NUM_TEXT_BYTES];
    struct ebb_slice data = {text, ebb_format_u64(text, number)};
    if (has(command, 'v'))
        ebb_mc_write_value_code(out, data.len);
    else
        ebb_mc_write_code(out, code);
    for (uint32_t i = 1; i < command->keys.count; i++)
        pass_flag_of_sum(&pass, &command->keys.at[i]);
    ebb_mc_write_end(out, has(command, 'v') ? &data : NULL);
    if (has(command, 'T') && !pass.is_created)
        store_set_expire(context->store, &pass.key, pass.value.expire_ms);
    /* A number that this command made is told even to the quiet, as memcached does. */
    if (has(command, 'q') && !pass.is_created)
        reply_rewind(context, reply_at);
}
