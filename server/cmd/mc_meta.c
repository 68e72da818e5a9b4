/* SPDX-License-Identifier: MIT */
/* mc_meta.c: memcached's meta commands.
 *
 * A reply's flags follow the order of the request's, and some of them (T, N, R, t) see what those
 * before them did: memcached answers in one pass, and so do we, but for changes to the store. These
 * come after the reply, which is written from the item's own bytes.
 */
#include "mc_verbs.h"

#include <string.h>

#include "handler.h"
#include "mc_detail.h"

/* What the pass over the flags of mg and ma knows and finds out. */
struct pass {
    struct cmd_context *context;
    const struct ebb_mc_command *command;
    struct store_key key;
    struct store_value value;
    uint64_t unique;
    bool is_created; /* by this command */
    bool has_won;    /* this client is the one to make the value anew */
};

static bool has(const struct ebb_mc_command *command, char letter)
{
    return ebb_mc_has(command, letter);
}

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

/* O and k, which every reply has. true: it was one of them. */
static bool write_echo(struct ebb_buf *out, const struct ebb_mc_command *command,
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

/* A code with nothing but what came with the request. */
static void answer_code(struct cmd_context *context, const struct ebb_mc_command *command,
                        const char *code)
{
    struct ebb_buf *out = context->reply.out;

    ebb_mc_write_code(out, code);
    for (uint32_t i = 1; i < command->keys.count; i++)
        write_echo(out, command, &command->keys.at[i], has(command, 'b'));
    ebb_mc_write_end(out, NULL);
}

/* The unique number of what has just been stored, even of what was stored to be gone at once. */
static uint64_t unique_of(struct cmd_context *context, const struct store_key *key)
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

static void write_ttl(const struct pass *pass)
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

/* When a key that the command makes is to go: N and T both say, and the last has it. */
static int64_t created_expire_ms(const struct pass *pass)
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
    struct store_value empty = {.data = "", .expire_ms = created_expire_ms(pass)};
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
        pass->unique = pass->is_created ? unique_of(pass->context, &pass->key)
                                        : store_cas_unique(store, &pass->key);
    if (pass->is_created) {
        mc_count_read(pass->context->counters, has(pass->command, 'T'), false);
        mc_detail_note_read(pass->context->service, &pass->key, false);
        return true;
    }
    bool is_hit = has(pass->command, 'u') ? store_peek(store, &pass->key, &pass->value)
                                          : store_get(store, &pass->key, &pass->value);
    mc_count_read(pass->context->counters, has(pass->command, 'T'), is_hit);
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
        write_ttl(pass);
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
            answer_code(context, command, "EN");
        return;
    }
    bool is_binary = mc_key_is_binary(command, pass.value.marks, command->keys.at[0]);
    if (has(command, 'v'))
        ebb_mc_write_value_code(out, pass.value.len);
    else
        ebb_mc_write_code(out, "HD");
    for (uint32_t i = 1; i < command->keys.count; i++) {
        const struct ebb_slice *flag = &command->keys.at[i];
        if (!write_echo(out, command, flag, is_binary))
            pass_flag_of_get(&pass, flag);
    }
    write_marks(&pass);
    write_value(&pass);
    settle(&pass);
}

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

    if (rc == STORE_OK)
        return "HD";
    /* Nobody shall read what was to be replaced. */
    store_delete(context->store, key);
    mc_answer_error(context, command, mc_store_error(context, rc));
    return "";
}

static const char *store_if_same(struct cmd_context *context, const struct ebb_mc_command *command,
                                 const struct store_key *key)
{
    struct counters *counters = context->counters;
    int64_t expire_ms = mc_expire_ms(context, command->exptime);
    struct store_value old;

    if (!store_peek(context->store, key, &old)) {
        counter_add(&counters->mc_cas_misses, 1);
        return "NF";
    }
    if (store_cas_matches(context->store, key, command->cas)) {
        counter_add(&counters->mc_cas_hits, 1);
        return store_value_of(context, command, key, expire_ms, 0);
    }
    /* With I a value that is too late may still be better than none: it is stale from the start. */
    if (has(command, 'I') && command->cas < store_cas_unique(context->store, key)) {
        counter_add(&counters->mc_cas_hits, 1);
        return store_value_of(context, command, key, old.expire_ms,
                              STORE_STALE | (old.marks & STORE_WON));
    }
    counter_add(&counters->mc_cas_badval, 1);
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
    int rc = command->mode == 'A'
                 ? store_join(context->store, key, old.data, old.len, more.data, more.len)
                 : store_join(context->store, key, more.data, more.len, old.data, old.len);
    if (rc != STORE_OK)
        return "NS"; /* memcached says no more than this */
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
            write_echo(out, command, flag, has(command, 'b'));
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
        mc_count_delete(context->counters, is_hit);
    if (!is_hit) {
        answer_code(context, command, is_there ? "EX" : "NF");
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
        answer_code(context, command, "HD");
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
                                .expire_ms = created_expire_ms(pass)};

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
        mc_count_sum(context->counters, is_decr(command), false);
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
        write_ttl(pass);
        break;
    case 'T':
        pass->value.expire_ms = mc_expire_ms(pass->context, pass->command->exptime);
        break;
    case 'N':
        if (pass->is_created)
            pass->value.expire_ms = mc_expire_ms(pass->context, pass->command->vivify_exptime);
        break;
    default:
        write_echo(pass->context->reply.out, pass->command, flag, has(pass->command, 'b'));
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
        answer_code(context, command, code);
        return;
    }
    if (has(command, 'c'))
        pass.unique = unique_of(context, &pass.key);
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
