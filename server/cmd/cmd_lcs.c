/* SPDX-License-Identifier: MIT */
/* cmd_lcs.c: LCS: the longest bytes that two values have in common, in order, with gaps.
 *
 * Handler of commands.def; called by dispatch.c. The values are copied and all shards left before
 * the work, which grows with the product of their lengths; what would be too much of it is refused
 * before they are copied. Of its table two rows of lengths are kept, and of the rest one bit a
 * cell: which way the longest goes.
 */
#include "handler.h"

#include <stdlib.h>
#include <string.h>

#include "../options.h"

struct lcs_options {
    bool wants_len, wants_ranges, wants_range_len;
    int64_t least_len; /* of ranges shown */
};

struct lcs {
    struct lcs_options options;
    struct ebb_buf a, b;      /* copies of the values */
    uint32_t *row, *last_row; /* lengths for the beginnings of b */
    unsigned char *goes_up;   /* (len a + 1) x (len b + 1) bits; NULL: not needed */
    uint32_t common;
};

static bool parse_lcs(struct cmd_context *context, struct lcs_options *options)
{
    *options = (struct lcs_options){0};
    for (uint32_t i = 3; i < context->count; i++) {
        struct ebb_slice word = context->args[i];
        if (arg_is(word, "idx")) {
            options->wants_ranges = true;
        } else if (arg_is(word, "len")) {
            options->wants_len = true;
        } else if (arg_is(word, "withmatchlen")) {
            options->wants_range_len = true;
        } else if (arg_is(word, "minmatchlen") && i + 1 < context->count) {
            if (!arg_int(context, ++i, &options->least_len))
                return false;
        } else {
            ebb_reply_error(&context->reply, ERROR_SYNTAX);
            return false;
        }
    }
    if (!options->wants_ranges || !options->wants_len)
        return true;
    ebb_reply_error(&context->reply,
                    "ERR If you want both the length and indexes, please just use IDX.");
    return false;
}

/* ---- memory ---- */

/* Redis bounds its table of 32-bit lengths; ours takes a thirty-second of that, but what is refused
 * there is refused here. */
static bool is_too_much(struct cmd_context *context, const struct store_key *keys)
{
    uint64_t max = (uint64_t)options_number(&context->service->options->proto_max_bulk_len);
    uint64_t cells = 1;
    struct store_value value;

    for (int i = 0; i < 2; i++)
        cells *= store_peek(context->store, &keys[i], &value) ? value.len + 1 : 1;
    return cells * sizeof(uint32_t) > max;
}

/* Both values, unless their table would be too large. Answers the error when it returns false. */
static bool copy_values(struct cmd_context *context, struct lcs *lcs)
{
    struct ebb_buf *copies[2] = {&lcs->a, &lcs->b};
    struct store_key keys[KEYS_CHUNK];
    struct store_value value;
    bool has_memory = true;

    lcs->a.max_bytes = lcs->b.max_bytes = SIZE_MAX / 2;
    uint32_t count = context->count;
    context->count = 3; /* the keys, for enter_keys() */
    enter_keys(context, 1, 1, KEYS_ATOMIC, keys);
    context->count = count;
    bool is_refused = is_too_much(context, keys);
    for (int i = 0; i < 2; i++) {
        if (read_key(context, &keys[i], &value) && value.len > 0 && !is_refused)
            has_memory = ebb_buf_add(copies[i], value.data, value.len) && has_memory;
    }
    store_leave(context->store);
    if (is_refused)
        ebb_reply_error(&context->reply, "ERR Insufficient memory, transient memory for LCS "
                                         "exceeds proto-max-bulk-len");
    else if (!has_memory)
        ebb_reply_error(&context->reply, ERROR_MEMORY);
    return !is_refused && has_memory;
}

static bool make_table(struct cmd_context *context, struct lcs *lcs)
{
    uint64_t columns = ebb_buf_len(&lcs->b) + 1, cells = (ebb_buf_len(&lcs->a) + 1) * columns;

    lcs->row = calloc(columns, sizeof(uint32_t));
    lcs->last_row = calloc(columns, sizeof(uint32_t));
    if (!lcs->options.wants_len)
        lcs->goes_up = calloc(1, cells / 8 + 1);
    if (lcs->row != NULL && lcs->last_row != NULL &&
        (lcs->goes_up != NULL || lcs->options.wants_len))
        return true;
    ebb_reply_error(&context->reply,
                    "ERR Insufficient memory, failed allocating transient memory for LCS");
    return false;
}

static void lcs_release(struct lcs *lcs)
{
    ebb_buf_release(&lcs->a);
    ebb_buf_release(&lcs->b);
    free(lcs->row);
    free(lcs->last_row);
    free(lcs->goes_up);
}

/* ---- the table ---- */

static void fill_row(struct lcs *lcs, uint32_t i)
{
    uint32_t columns = (uint32_t)ebb_buf_len(&lcs->b) + 1;
    const char *b = ebb_buf_data(&lcs->b);
    char byte = ebb_buf_data(&lcs->a)[i - 1];

    for (uint32_t j = 1; j < columns; j++) {
        uint32_t up = lcs->last_row[j], left = lcs->row[j - 1];
        uint64_t cell = (uint64_t)i * columns + j;
        lcs->row[j] = byte == b[j - 1] ? lcs->last_row[j - 1] + 1 : up > left ? up : left;
        if (lcs->goes_up != NULL && up > left)
            lcs->goes_up[cell >> 3] |= (unsigned char)(1u << (cell & 7));
    }
}

static void fill_table(struct lcs *lcs)
{
    for (uint32_t i = 1; i <= ebb_buf_len(&lcs->a); i++) {
        fill_row(lcs, i);
        uint32_t *row = lcs->row;
        lcs->row = lcs->last_row;
        lcs->last_row = row;
    }
    lcs->common = lcs->last_row[ebb_buf_len(&lcs->b)];
}

/* ---- the way back ---- */

/* Bytes in common without a gap: a_end - len + 1 .. a_end of one value, likewise of the other. */
struct match {
    uint32_t a_end, b_end, len;
};

static void reply_match(struct ebb_reply *reply, const struct match *match,
                        const struct lcs_options *options)
{
    ebb_reply_array(reply, options->wants_range_len ? 3 : 2);
    ebb_reply_array(reply, 2);
    ebb_reply_int(reply, match->a_end - match->len + 1);
    ebb_reply_int(reply, match->a_end);
    ebb_reply_array(reply, 2);
    ebb_reply_int(reply, match->b_end - match->len + 1);
    ebb_reply_int(reply, match->b_end);
    if (options->wants_range_len)
        ebb_reply_int(reply, match->len);
}

/* Goes back through the table from its end, writing the common bytes and the matches. Returns how
 * many matches were long enough. */
static size_t go_back(const struct lcs *lcs, char *common, struct ebb_reply *matches)
{
    const char *a = ebb_buf_data(&lcs->a), *b = ebb_buf_data(&lcs->b);
    uint32_t i = (uint32_t)ebb_buf_len(&lcs->a), j = (uint32_t)ebb_buf_len(&lcs->b);
    uint32_t left = lcs->common, columns = j + 1;
    struct match match = {0};
    size_t count = 0;

    while (i > 0 && j > 0) {
        bool is_common = a[i - 1] == b[j - 1];
        if (is_common) {
            if (match.len++ == 0)
                match = (struct match){i - 1, j - 1, 1};
            common[--left] = a[i - 1];
            i--;
            j--;
        } else {
            uint64_t cell = (uint64_t)i * columns + j;
            bool is_up = lcs->goes_up[cell >> 3] >> (cell & 7) & 1;
            i -= is_up;
            j -= !is_up;
        }
        if (match.len > 0 && (!is_common || i == 0 || j == 0)) {
            if (match.len >= lcs->options.least_len) {
                reply_match(matches, &match, &lcs->options);
                count++;
            }
            match.len = 0;
        }
    }
    return count;
}

static void reply_way(struct cmd_context *context, const struct lcs *lcs)
{
    struct ebb_reply *reply = &context->reply;
    struct ebb_buf text;
    struct ebb_reply matches = {.out = &text, .version = reply->version};
    char *common = malloc((size_t)lcs->common + 1);

    if (common == NULL) {
        ebb_reply_error(reply, ERROR_MEMORY);
        return;
    }
    ebb_buf_init(&text, reply->out->max_bytes);
    size_t count = go_back(lcs, common, &matches);
    if (lcs->options.wants_ranges) {
        ebb_reply_map(reply, 2);
        ebb_reply_text(reply, "matches");
        ebb_reply_array(reply, count);
        ebb_reply_raw(reply, ebb_buf_data(&text), ebb_buf_len(&text));
        ebb_reply_text(reply, "len");
        ebb_reply_int(reply, lcs->common);
        reply->out->failed |= text.failed;
    } else {
        ebb_reply_bulk(reply, common, lcs->common);
    }
    ebb_buf_release(&text);
    free(common);
}

void cmd_lcs(struct cmd_context *context)
{
    struct lcs lcs = {0};

    if (!parse_lcs(context, &lcs.options))
        return;
    if (copy_values(context, &lcs) && make_table(context, &lcs)) {
        fill_table(&lcs);
        if (lcs.options.wants_len)
            ebb_reply_int(&context->reply, lcs.common);
        else
            reply_way(context, &lcs);
    }
    lcs_release(&lcs);
}
