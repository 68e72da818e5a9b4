/* SPDX-License-Identifier: MIT */
/* cmd_bitfield.c: BITFIELD and BITFIELD_RO: integers of any width up to 64 bits inside a value.
 *
 * Handlers of commands.def; called by dispatch.c. The operations are read twice: first all of them
 * are checked and the value's least length is found, then they run in order.
 */
#include "bit.h"

#include <string.h>

enum field_op { FIELD_GET, FIELD_SET, FIELD_INCRBY, FIELD_OVERFLOW, FIELD_OP_COUNT };
enum overflow { OVERFLOW_WRAP, OVERFLOW_SAT, OVERFLOW_FAIL, OVERFLOW_COUNT };

/* One operation; an OVERFLOW changes how the later ones are run, and is none itself. */
struct field {
    enum field_op op;
    enum overflow overflow;
    bool is_signed;
    unsigned bits;
    uint64_t offset;
    int64_t number; /* of SET and INCRBY */
};

static const struct {
    const char *word;
    uint32_t words; /* with its arguments */
} ops[FIELD_OP_COUNT] = {{"get", 3}, {"set", 4}, {"incrby", 4}, {"overflow", 2}};

/* ---- reading the operations ---- */

static bool parse_overflow(struct cmd_context *context, uint32_t index, enum overflow *overflow)
{
    static const char *const words[OVERFLOW_COUNT] = {"wrap", "sat", "fail"};

    *overflow = OVERFLOW_WRAP;
    while (*overflow < OVERFLOW_COUNT && !arg_is(context->args[index], words[*overflow]))
        (*overflow)++;
    if (*overflow < OVERFLOW_COUNT)
        return true;
    ebb_reply_error(&context->reply, "ERR Invalid OVERFLOW type specified");
    return false;
}

static bool parse_type(struct cmd_context *context, uint32_t index, struct field *field)
{
    struct ebb_slice arg = context->args[index];
    int64_t bits = 0;

    field->is_signed = arg.len > 0 && arg.data[0] == 'i';
    bool is_type = field->is_signed || (arg.len > 0 && arg.data[0] == 'u');
    if (!is_type || !ebb_parse_i64(arg.data + 1, arg.len - 1, &bits) || bits < 1 ||
        bits > (field->is_signed ? 64 : 63)) {
        ebb_reply_error(&context->reply,
                        "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is "
                        "not supported but i64 is.");
        return false;
    }
    field->bits = (unsigned)bits;
    return true;
}

/* Reads the operation at args[*at] and goes behind it. *field is the one before. */
static bool parse_field(struct cmd_context *context, uint32_t *at, struct field *field)
{
    enum field_op op = FIELD_GET;
    uint32_t i = *at;

    while (op < FIELD_OP_COUNT && !arg_is(context->args[i], ops[op].word))
        op++;
    if (op == FIELD_OP_COUNT || context->count - i < ops[op].words) {
        ebb_reply_error(&context->reply, ERROR_SYNTAX);
        return false;
    }
    field->op = op;
    *at += ops[op].words;
    if (op == FIELD_OVERFLOW)
        return parse_overflow(context, i + 1, &field->overflow);
    return parse_type(context, i + 1, field) &&
           arg_bit_offset(context, i + 2, (int64_t)field->bits, &field->offset) &&
           (op == FIELD_GET || arg_int(context, i + 3, &field->number));
}

struct plan {
    uint32_t count;      /* operations that answer */
    size_t writable_len; /* 0: nothing is written */
};

static bool plan_fields(struct cmd_context *context, struct plan *plan)
{
    struct field field = {0};
    uint64_t end = 0;

    *plan = (struct plan){0};
    for (uint32_t at = 2; at < context->count;) {
        if (!parse_field(context, &at, &field))
            return false;
        plan->count += field.op != FIELD_OVERFLOW;
        if ((field.op == FIELD_SET || field.op == FIELD_INCRBY) && field.offset + field.bits > end)
            end = field.offset + field.bits;
    }
    plan->writable_len = (size_t)((end + 7) / 8);
    return true;
}

/* ---- the integers ---- */

static uint64_t read_bits(const unsigned char *bytes, size_t len, const struct field *field)
{
    uint64_t number = 0;

    for (uint64_t at = field->offset; at < field->offset + field->bits; at++) {
        unsigned bit = at >> 3 < len ? bytes[at >> 3] >> (7 - (at & 7)) & 1 : 0;
        number = number << 1 | bit;
    }
    return number;
}

static void write_bits(unsigned char *bytes, const struct field *field, uint64_t number)
{
    for (unsigned i = 0; i < field->bits; i++) {
        uint64_t at = field->offset + i;
        unsigned bit = number >> (field->bits - 1 - i) & 1, shift = 7 - (at & 7);
        bytes[at >> 3] = (unsigned char)((bytes[at >> 3] & ~(1u << shift)) | bit << shift);
    }
}

/* The field's lower bits as its type means them. */
static __int128 typed(const struct field *field, uint64_t number)
{
    uint64_t top = UINT64_C(1) << (field->bits - 1);
    uint64_t low = number & (top | (top - 1));

    return field->is_signed && low & top ? (__int128)low - ((__int128)top << 1) : (__int128)low;
}

static __int128 least(const struct field *field)
{
    return field->is_signed ? -((__int128)1 << (field->bits - 1)) : 0;
}

static __int128 greatest(const struct field *field)
{
    return ((__int128)1 << (field->bits - field->is_signed)) - 1;
}

/* What SET and INCRBY want to write. A number below zero is a large one to an unsigned SET. */
static __int128 wanted(const struct field *field, __int128 old)
{
    if (field->op == FIELD_INCRBY)
        return old + field->number;
    return field->is_signed ? (__int128)field->number : (__int128)(uint64_t)field->number;
}

static void run_get(struct cmd_context *context, const struct field *field,
                    const struct store_value *value)
{
    uint64_t number = read_bits((const unsigned char *)value->data, value->len, field);
    ebb_reply_int(&context->reply, (int64_t)typed(field, number));
}

/* true: the value is another now. */
static bool run_write(struct cmd_context *context, const struct field *field, unsigned char *bytes,
                      size_t len)
{
    __int128 old = typed(field, read_bits(bytes, len, field));
    __int128 number = wanted(field, old);

    if (number < least(field) || number > greatest(field)) {
        if (field->overflow == OVERFLOW_FAIL) {
            ebb_reply_null(&context->reply);
            return false;
        }
        number = field->overflow == OVERFLOW_WRAP ? typed(field, (uint64_t)number)
                 : number > greatest(field)       ? greatest(field)
                                                  : least(field);
    }
    write_bits(bytes, field, (uint64_t)number);
    ebb_reply_int(&context->reply, (int64_t)(field->op == FIELD_SET ? old : number));
    return number != old;
}

/* ---- the commands ---- */

/* All operations are right: plan_fields() has seen them. */
static void run_fields(struct cmd_context *context, const struct plan *plan)
{
    struct store_key key = enter_key(context, 1);
    struct store_value value = {.data = ""};
    unsigned char *bytes = NULL;
    struct field field = {0};
    bool is_changed = false;

    if (plan->writable_len > 0) {
        bytes = bit_writable(context, &key, plan->writable_len);
        if (bytes == NULL)
            return;
        store_peek(context->store, &key, &value);
    } else {
        read_key(context, &key, &value);
    }
    ebb_reply_array(&context->reply, plan->count);
    for (uint32_t at = 2; at < context->count;) {
        parse_field(context, &at, &field);
        if (field.op == FIELD_GET)
            run_get(context, &field, &value);
        else if (field.op != FIELD_OVERFLOW)
            is_changed |= run_write(context, &field, bytes, value.len);
    }
    if (is_changed)
        store_edited(context->store, &key);
}

void cmd_bitfield(struct cmd_context *context)
{
    struct plan plan;

    if (plan_fields(context, &plan))
        run_fields(context, &plan);
}

void cmd_bitfield_ro(struct cmd_context *context)
{
    struct plan plan;

    if (!plan_fields(context, &plan))
        return;
    if (plan.writable_len > 0)
        ebb_reply_error(&context->reply, "ERR BITFIELD_RO only supports the GET subcommand");
    else
        run_fields(context, &plan);
}
