/* SPDX-License-Identifier: MIT */
/* mc_meta.c: memcached's meta commands: what they share, and those that ask: mg, mn, me.
 *
 * A reply's flags follow the order of the request's, and some of them (T, N, R, t) see what those
 * before them did: memcached answers in one pass, and so do we, but for changes to the store. These
 * come after the reply, which is written from the item's own bytes.
 */
#include "mc_meta.h"

#include "handler.h"
#include "mc_count.h"
#include "mc_detail.h"

/* ---- keys and other flags that come back as they are ---- */

bool mc_key_is_text(const char *key, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)key[i] <= ' ' || key[i] == '\x7f')
            return false;
    return true;
}

bool mc_key_is_binary(const struct ebb_mc_command *command, unsigned marks, struct ebb_slice key)
{
    return (marks & STORE_BINARY_KEY) != 0 ||
           (has(command, 'b') && !mc_key_is_text(key.data, key.len));
}

bool meta_write_echo(struct ebb_buf *out, const struct ebb_mc_command *command,
                     const struct ebb_slice *flag, bool is_binary)
{
    if (flag->data[0] == 'O')
        ebb_mc_write_flag(out, flag->data, flag->len);
    else if (flag->data[0] == 'k')
        ebb_mc_write_flag_key(out, command->keys.at[0], is_binary);
    else
        return false;
    return true;
}

void meta_answer_code(struct cmd_context *context, const struct ebb_mc_command *command,
                      const char *code)
{
    struct ebb_buf *out = context->reply.out;

    ebb_mc_write_code(out, code);
    for (uint32_t i = 1; i < command->keys.count; i++)
        meta_write_echo(out, command, &command->keys.at[i], has(command, 'b'));
    ebb_mc_write_end(out, NULL);
}

uint64_t meta_unique_of(struct cmd_context *context, const struct store_key *key)
{
    uint64_t unique = store_cas_unique(context->store, key);
    return unique != 0 ? unique : store_cas_unused(context->store, key);
}

/* ---- times ---- */

/* Seconds until then, a part of one counting as one. */
static int64_t seconds_until(const struct cmd_context *context, int64_t time_ms)
{
    int64_t left_ms = time_ms - context->store->now_ms;
    return left_ms > 0 ? (left_ms - 1) / 1000 + 1 : left_ms / 1000;
}

void meta_write_ttl(const struct pass *pass)
{
    struct ebb_buf *out = pass->context->reply.out;

    if (pass->value.expire_ms == 0) {
        ebb_mc_write_flag(out, "t-1", 3);
        return;
    }
    int64_t left = seconds_until(pass->context, pass->value.expire_ms);
    ebb_mc_write_flag_number(out, 't', left > 0 ? (uint64_t)left : 0);
}

static uint64_t seconds_since(const struct cmd_context *context, uint32_t access_s)
{
    int64_t now_s = context->store->now_ms / 1000;
    return access_s == 0 || access_s > now_s ? 0 : (uint64_t)(now_s - access_s);
}

int64_t meta_created_expire_ms(const struct pass *pass)
{
    const struct ebb_mc_command *command = pass->command;
    int64_t exptime = 0;

    for (uint32_t i = 1; i < command->keys.count; i++) {
        char letter = command->keys.at[i].data[0];
        if (letter == 'N' || letter == 'T')
            exptime = letter == 'N' ? command->vivify_exptime : command->exptime;
    }
    return mc_expire_ms(pass->context, exptime);
}

/* ---- mg ---- */

/* A first miss with N leaves an empty item and makes this client the one to fill it. */
static void vivify(struct pass *pass)
{
    struct store_session *store = pass->context->store;
    unsigned marks = STORE_WON | (has(pass->command, 'u') ? 0 : STORE_FETCHED);
    struct store_value empty = {.data = "", .expire_ms = meta_created_expire_ms(pass)};
    struct store_value old;

    if (store_peek(store, &pass->key, &old))
        return;
    if (store_set_marked(store, &pass->key, &empty, marks, pass->command->new_cas) != STORE_OK)
        return; /* a miss, then */
    pass->is_created = true;
    pass->value = (struct store_value){.data = ""};
}

/* Whether there is, or now is, a value. */
static bool find(struct pass *pass)
{
    struct store_session *store = pass->context->store;

    if (has(pass->command, 'N'))
        vivify(pass);
    if (has(pass->command, 'c')) /* before the value is looked at: it may move it */
        pass->unique = pass->is_created ? meta_unique_of(pass->context, &pass->key)
                                        : store_cas_unique(store, &pass->key);
    if (pass->is_created) {
        mc_count_read(pass->context, &pass->key, NULL, has(pass->command, 'T'));
        mc_detail_note_read(pass->context->service, &pass->key, false);
        return true;
    }
    bool is_hit = has(pass->command, 'u') ? store_peek(store, &pass->key, &pass->value)
                                          : store_get(store, &pass->key, &pass->value);
    mc_count_read(pass->context, &pass->key, is_hit ? &pass->value : NULL, has(pass->command, 'T'));
    mc_detail_note_read(pass->context->service, &pass->key, is_hit);
    return is_hit;
}

static bool is_due_for_recache(const struct pass *pass)
{
    int64_t recache_ms = mc_expire_ms(pass->context, pass->command->recache_exptime);
    return !(pass->value.marks & STORE_WON) && !pass->is_created && pass->value.expire_ms != 0 &&
           seconds_until(pass->context, pass->value.expire_ms) <
               seconds_until(pass->context, recache_ms);
}

static void pass_flag_of_get(struct pass *pass, const struct ebb_slice *flag)
{
    struct ebb_buf *out = pass->context->reply.out;
    struct store_value *value = &pass->value;

    switch (flag->data[0]) {
    case 'T':
        value->expire_ms = mc_expire_ms(pass->context, pass->command->exptime);
        break;
    case 'N':
        if (pass->is_created)
            value->expire_ms = mc_expire_ms(pass->context, pass->command->vivify_exptime);
        pass->has_won = pass->has_won || pass->is_created;
        break;
    case 'R':
        pass->has_won = pass->has_won || is_due_for_recache(pass);
        break;
    case 's':
        ebb_mc_write_flag_number(out, 's', value->len);
        break;
    case 't':
        meta_write_ttl(pass);
        break;
    case 'c':
        ebb_mc_write_flag_number(out, 'c', pass->unique);
        break;
    case 'f':
        ebb_mc_write_flag_number(out, 'f', value->flags);
        break;
    case 'h':
        ebb_mc_write_flag_number(out, 'h', (value->marks & STORE_FETCHED) != 0);
        break;
    case 'l':
        ebb_mc_write_flag_number(out, 'l', seconds_since(pass->context, value->access_s));
        break;
    }
}

/* W, X, Z. Nobody is told both that it has won and that another has. */
static void write_marks(struct pass *pass)
{
    struct ebb_buf *out = pass->context->reply.out;
    unsigned marks = pass->value.marks;

    if (marks & STORE_WON)
        ebb_mc_write_flag(out, "Z", 1);
    if (marks & STORE_STALE) {
        ebb_mc_write_flag(out, "X", 1);
        pass->has_won = pass->has_won || !(marks & STORE_WON);
    }
    if (pass->has_won)
        ebb_mc_write_flag(out, "W", 1);
}

/* What the request changes of the item, now that its bytes have been written out. */
static void settle(const struct pass *pass)
{
    struct store_session *store = pass->context->store;

    if (pass->has_won && !pass->is_created)
        store_mark(store, &pass->key, STORE_WON, 0);
    if (has(pass->command, 'l'))
        store_keep_access(store, &pass->key);
    if (has(pass->command, 'T') && !pass->is_created)
        store_set_expire(store, &pass->key, pass->value.expire_ms);
}

/* Whether the item is there after that. */
static bool settles_alive(const struct pass *pass)
{
    return !has(pass->command, 'T') || !is_over(pass->context, pass->value.expire_ms);
}

/* Ends the line, and sends the value if it is wanted. */
static void write_value(const struct pass *pass)
{
    struct ebb_slice data = {pass->value.data, pass->value.len};
    struct ebb_buf *out = pass->context->reply.out;
    bool wants_value = has(pass->command, 'v');

    if (!wants_value || !reply_may_splice(pass->context, &pass->key, &pass->value, data.len)) {
        ebb_mc_write_end(out, wants_value ? &data : NULL);
        return;
    }
    ebb_mc_write_end(out, NULL);
    reply_splice(pass->context, data);
}

void mc_run_get(struct cmd_context *context, const struct ebb_mc_command *command)
{
    struct ebb_buf *out = context->reply.out;
    struct pass pass = {context, command, .key = mc_enter_key(context, command)};

    if (!find(&pass)) {
        if (!has(command, 'q'))
            meta_answer_code(context, command, "EN");
        return;
    }
    bool is_binary = mc_key_is_binary(command, pass.value.marks, command->keys.at[0]);
    if (has(command, 'v'))
        ebb_mc_write_value_code(out, pass.value.len);
    else
        ebb_mc_write_code(out, "HD");
    for (uint32_t i = 1; i < command->keys.count; i++) {
        const struct ebb_slice *flag = &command->keys.at[i];
        if (!meta_write_echo(out, command, flag, is_binary))
            pass_flag_of_get(&pass, flag);
    }
    write_marks(&pass);
    /* A long value that is on its way out could not be settled in place. */
    bool is_first = has(command, 'v') && pass.value.len >= SPLICE_MIN_BYTES && settles_alive(&pass);
    if (is_first) {
        settle(&pass);
        store_peek(context->store, &pass.key, &pass.value);
    }
    write_value(&pass);
    if (!is_first)
        settle(&pass);
}

/* ---- mn, me ---- */

void mc_run_noop(struct cmd_context *context, const struct ebb_mc_command *command)
{
    mc_answer(context, command, "MN");
}

void mc_run_debug(struct cmd_context *context, const struct ebb_mc_command *command)
{
    struct store_key key = mc_enter_key(context, command);
    struct ebb_slice name = command->keys.at[0];
    struct ebb_buf *out = context->reply.out;
    char text[EBB_BASE64_BYTES(EBB_MC_KEY_MAX_BYTES)];
    struct store_value value;

    if (!store_peek(context->store, &key, &value)) {
        mc_answer(context, command, "EN");
        return;
    }
    if (mc_key_is_binary(command, value.marks, name)) {
        name.len = ebb_base64_encode(text, name.data, name.len);
        name.data = text;
    }
    size_t bytes = key.len + value.len + value.header_bytes;
    ebb_mc_write_code(out, "ME");
    ebb_mc_write_flag(out, name.data, name.len);
    /* The time left is negative there, too. */
    ebb_buf_printf(out, " exp=%lld la=%llu cas=%llu fetch=%s cls=%u size=%zu\r\n",
                   value.expire_ms == 0 ? -1 : (long long)-seconds_until(context, value.expire_ms),
                   (unsigned long long)seconds_since(context, value.access_s),
                   (unsigned long long)value.cas, value.marks & STORE_FETCHED ? "yes" : "no",
                   store_class_of(bytes) + 1, bytes);
}
