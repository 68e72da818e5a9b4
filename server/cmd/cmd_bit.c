/* SPDX-License-Identifier: MIT */
/* cmd_bit.c: values as arrays of bits: SETBIT GETBIT BITCOUNT BITPOS BITOP. Bit 0 is the highest
 * of the first byte. BITFIELD is in cmd_bitfield.c.
 *
 * Handlers of commands.def; called by dispatch.c. A bit is set where the value lies; only a value
 * that has to grow is copied.
 */
#include "bit.h"

#include <stdlib.h>
#include <string.h>

#include "../options.h"

bool arg_bit_offset(struct cmd_context *context, uint32_t index, int64_t unit, uint64_t *offset)
{
    struct ebb_slice arg = context->args[index];
    int64_t max = options_number(&context->service->options->proto_max_bulk_len);
    bool is_in_units = unit > 0 && arg.len > 0 && arg.data[0] == '#';
    int64_t number;

    bool fits = ebb_parse_i64(arg.data + is_in_units, arg.len - is_in_units, &number) &&
                !__builtin_mul_overflow(number, is_in_units ? unit : 1, &number) && number >= 0 &&
                number >> 3 < max;
    if (!fits)
        ebb_reply_error(&context->reply, "ERR bit offset is not an integer or out of range");
    else
        *offset = (uint64_t)number;
    return fits;
}

unsigned char *bit_writable(struct cmd_context *context, const struct store_key *key, size_t len)
{
    struct store_value value = {0};
    char *bytes = NULL;

    store_peek(context->store, key, &value);
    size_t more = len > value.len ? len - value.len : 0;
    char *zeros = more > 0 ? calloc(1, more) : NULL;
    int rc = more > 0 && zeros == NULL ? STORE_ENOMEM : STORE_OK;
    if (more > 0 && rc == STORE_OK)
        rc = store_join(context->store, key, value.data, value.len, zeros, more);
    free(zeros);
    if (rc == STORE_OK)
        rc = store_edit(context->store, key, &bytes);
    if (rc != STORE_OK)
        reply_store_error(context, rc);
    return (unsigned char *)bytes;
}

/* ---- SETBIT and GETBIT ---- */

void cmd_setbit(struct cmd_context *context)
{
    uint64_t offset;
    int64_t bit;

    if (!arg_bit_offset(context, 2, 0, &offset))
        return;
    if (!ebb_parse_i64(context->args[3].data, context->args[3].len, &bit) || (bit & ~1) != 0) {
        ebb_reply_error(&context->reply, "ERR bit is not an integer or out of range");
        return;
    }
    struct store_key key = enter_key(context, 1);
    unsigned char *bytes = bit_writable(context, &key, (size_t)(offset >> 3) + 1);
    if (bytes == NULL)
        return;
    unsigned char *byte = &bytes[offset >> 3];
    unsigned shift = 7 - (offset & 7);
    unsigned old = *byte >> shift & 1;
    if (old != (unsigned)bit) {
        *byte ^= (unsigned char)(1u << shift);
        store_edited(context->store, &key);
    }
    ebb_reply_int(&context->reply, old);
}

void cmd_getbit(struct cmd_context *context)
{
    struct store_value value;
    uint64_t offset;
    int bit = 0;

    if (!arg_bit_offset(context, 2, 0, &offset))
        return;
    struct store_key key = enter_key(context, 1);
    if (read_key(context, &key, &value) && offset >> 3 < value.len)
        bit = (unsigned char)value.data[offset >> 3] >> (7 - (offset & 7)) & 1;
    ebb_reply_int(&context->reply, bit);
}

/* ---- ranges ---- */

/* Bits of a value, both ends included; empty if first > last. */
struct bit_range {
    int64_t first, last;
};

/* The words [start [end [BYTE|BIT]]] from args[from] on. */
struct range_words {
    int64_t start, end;
    bool has_end, in_bits;
};

static bool parse_unit(struct cmd_context *context, uint32_t index, bool *in_bits)
{
    if (index >= context->count)
        return true;
    *in_bits = arg_is(context->args[index], "bit");
    if (*in_bits || arg_is(context->args[index], "byte"))
        return true;
    ebb_reply_error(&context->reply, ERROR_SYNTAX);
    return false;
}

/* Counts from the end when negative; what lies before the start is the start. */
static int64_t from_start(int64_t place, int64_t len)
{
    if (place < 0)
        place += len;
    return place < 0 ? 0 : place;
}

static struct bit_range range_in(const struct range_words *words, size_t value_len)
{
    int64_t len = (int64_t)value_len * (words->in_bits ? 8 : 1);
    int64_t start = from_start(words->start, len), end = from_start(words->end, len);

    if (end >= len)
        end = len - 1;
    if (start > end)
        return (struct bit_range){1, 0};
    if (words->in_bits)
        return (struct bit_range){start, end};
    return (struct bit_range){start * 8, end * 8 + 7};
}

/* The byte with only the bits of it that are in the range. */
static unsigned byte_in(const unsigned char *bytes, int64_t at, const struct bit_range *range)
{
    unsigned byte = bytes[at];

    if (at == range->first >> 3)
        byte &= 0xffu >> (range->first & 7);
    if (at == range->last >> 3)
        byte &= 0xff00u >> ((range->last & 7) + 1);
    return byte & 0xff;
}

static uint64_t word_at(const unsigned char *bytes)
{
    uint64_t word;

    memcpy(&word, bytes, sizeof(word));
    return word;
}

/* ---- BITCOUNT ---- */

static int64_t count_bits(const unsigned char *bytes, const struct bit_range *range)
{
    int64_t at = range->first >> 3, last = range->last >> 3, count = 0;

    if (range->first > range->last)
        return 0;
    count = __builtin_popcount(byte_in(bytes, at++, range));
    for (; at + 8 <= last; at += 8)
        count += __builtin_popcountll(word_at(bytes + at));
    for (; at <= last; at++)
        count += __builtin_popcount(byte_in(bytes, at, range));
    return count;
}

static bool is_backwards(const struct range_words *words)
{
    return words->start < 0 && words->end < 0 && words->start > words->end;
}

/* Reads the words, or answers what is wrong with them. A range that ends before it starts is looked
 * at no further, as in Redis. */
static bool parse_bitcount_range(struct cmd_context *context, struct range_words *words)
{
    *words = (struct range_words){.start = 0, .end = -1};
    if (context->count == 3 || context->count > 5) {
        ebb_reply_error(&context->reply, ERROR_SYNTAX);
        return false;
    }
    return context->count == 2 ||
           (arg_int(context, 2, &words->start) && arg_int(context, 3, &words->end) &&
            (is_backwards(words) || parse_unit(context, 4, &words->in_bits)));
}

/* A key that is not there has no bits, whatever the range. */
void cmd_bitcount(struct cmd_context *context)
{
    struct range_words words;
    struct store_value value;
    int64_t count = 0;

    struct store_key key = enter_key(context, 1);
    if (read_key(context, &key, &value)) {
        if (!parse_bitcount_range(context, &words))
            return;
        struct bit_range range = range_in(&words, value.len);
        if (!is_backwards(&words))
            count = count_bits((const unsigned char *)value.data, &range);
    }
    ebb_reply_int(&context->reply, count);
}

/* ---- BITPOS ---- */

/* The first such bit in the range, or -1. */
static int64_t find_bit(const unsigned char *bytes, const struct bit_range *range, unsigned bit)
{
    unsigned flip = bit ? 0 : 0xff;
    int64_t at = range->first >> 3, last = range->last >> 3;

    while (at <= last) {
        while (at > range->first >> 3 && at + 8 <= last &&
               word_at(bytes + at) == (bit ? 0 : UINT64_MAX))
            at += 8;
        for (int64_t place = at * 8; place < at * 8 + 8; place++) {
            if (place >= range->first && place <= range->last &&
                ((bytes[at] ^ flip) >> (7 - (place & 7)) & 1))
                return place;
        }
        at++;
    }
    return -1;
}

static bool parse_bitpos(struct cmd_context *context, unsigned *bit)
{
    int64_t number;

    if (!arg_int(context, 2, &number))
        return false;
    *bit = (unsigned)number & 1;
    if ((number & ~1) == 0)
        return true;
    ebb_reply_error(&context->reply, "ERR The bit argument must be 1 or 0.");
    return false;
}

/* Answers errors in the order of Redis: those of the range come after a look at the key. */
static bool parse_bitpos_range(struct cmd_context *context, struct range_words *words)
{
    *words = (struct range_words){.start = 0, .end = -1, .has_end = context->count > 4};
    if (context->count > 6) {
        ebb_reply_error(&context->reply, ERROR_SYNTAX);
        return false;
    }
    if (context->count > 3 && !arg_int(context, 3, &words->start))
        return false;
    return parse_unit(context, 5, &words->in_bits) &&
           (!words->has_end || arg_int(context, 4, &words->end));
}

void cmd_bitpos(struct cmd_context *context)
{
    struct range_words words;
    struct store_value value;
    unsigned bit;

    if (!parse_bitpos(context, &bit))
        return;
    struct store_key key = enter_key(context, 1);
    if (!read_key(context, &key, &value)) { /* as good as zeros without an end */
        ebb_reply_int(&context->reply, bit ? -1 : 0);
        return;
    }
    if (!parse_bitpos_range(context, &words))
        return;
    struct bit_range range = range_in(&words, value.len);
    int64_t place = -1;
    if (range.first <= range.last) {
        place = find_bit((const unsigned char *)value.data, &range, bit);
        /* Without an end to the range, zeros follow the value. */
        if (place < 0 && !bit && !words.has_end)
            place = (int64_t)value.len * 8;
    }
    ebb_reply_int(&context->reply, place);
}

/* ---- BITOP ---- */

enum bit_op { BIT_AND, BIT_OR, BIT_XOR, BIT_NOT, BIT_OP_COUNT };

static enum bit_op parse_op(struct ebb_slice word)
{
    static const char *const words[BIT_OP_COUNT] = {"and", "or", "xor", "not"};
    enum bit_op op = BIT_AND;

    while (op < BIT_OP_COUNT && !arg_is(word, words[op]))
        op++;
    return op;
}

static inline uint64_t combine(enum bit_op op, uint64_t a, uint64_t b)
{
    return op == BIT_AND ? a & b : op == BIT_OR ? a | b : op == BIT_XOR ? a ^ b : ~b;
}

/* Takes the value into the result, which is as long or longer; what is missing counts as zeros. */
static void apply(enum bit_op op, unsigned char *result, size_t len,
                  const struct store_value *value)
{
    const unsigned char *bytes = (const unsigned char *)value->data;
    size_t at = 0;

    for (; at + 8 <= value->len; at += 8) {
        uint64_t word = combine(op, word_at(result + at), word_at(bytes + at));
        memcpy(result + at, &word, sizeof(word));
    }
    for (; at < value->len; at++)
        result[at] = (unsigned char)combine(op, result[at], bytes[at]);
    if (op == BIT_AND)
        memset(result + at, 0, len - at);
}

/* Calls of one chunk after the other keep all shards: the sources are of one moment. */
static size_t longest_source(struct cmd_context *context)
{
    struct store_key keys[KEYS_CHUNK];
    struct store_value value;
    size_t longest = 0;
    uint32_t count;

    for (uint32_t at = 2; at < context->count; at += count) {
        count = enter_keys(context, at, 1, KEYS_ATOMIC, keys);
        for (uint32_t i = at == 2; i < count; i++) { /* the first is where the result goes */
            if (read_key(context, &keys[i], &value) && value.len > longest)
                longest = value.len;
        }
    }
    return longest;
}

static void combine_sources(struct cmd_context *context, enum bit_op op, unsigned char *result,
                            size_t len)
{
    struct store_key keys[KEYS_CHUNK];
    uint32_t count;

    for (uint32_t at = 2; at < context->count; at += count) {
        count = enter_keys(context, at, 1, KEYS_ATOMIC, keys);
        for (uint32_t i = at == 2; i < count; i++) {
            struct store_value value = {.data = ""};
            store_peek(context->store, &keys[i], &value);
            bool is_first = at + i == 3;
            apply(is_first && op != BIT_NOT ? BIT_OR : op, result, len, &value);
        }
    }
}

static void set_result(struct cmd_context *context, const unsigned char *result, size_t len)
{
    struct store_key key = enter_key(context, 2);
    struct store_value value = {.data = (const char *)result, .len = len};
    int rc = STORE_OK;

    if (len > 0)
        rc = store_set(context->store, &key, &value);
    else
        store_delete(context->store, &key);
    if (rc == STORE_OK)
        ebb_reply_int(&context->reply, (int64_t)len);
    else
        reply_store_error(context, rc);
}

void cmd_bitop(struct cmd_context *context)
{
    enum bit_op op = parse_op(context->args[1]);

    if (op == BIT_OP_COUNT) {
        ebb_reply_error(&context->reply, ERROR_SYNTAX);
        return;
    }
    if (op == BIT_NOT && context->count != 4) {
        ebb_reply_error(&context->reply, "ERR BITOP NOT must be called with a single source key.");
        return;
    }
    size_t len = longest_source(context);
    unsigned char *result = calloc(1, len + 1);
    if (result == NULL) {
        ebb_reply_error(&context->reply, ERROR_MEMORY);
        return;
    }
    combine_sources(context, op, result, len);
    set_result(context, result, len);
    free(result);
}
