/* SPDX-License-Identifier: MIT */
/* load.c: see load.h. */
#include "load.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../workload.h"

#define POOL_BYTES      (64u * 1024 * 1024) /* of requests; then they come again */
#define COMMANDS_LEAST  (64u * 1024)
#define COMMANDS_A_KEY  4u
#define COMMAND_BYTES   128u /* room for a command's words beside its keys and value */
#define FILL_BATCH      256u
#define VALUE_FILL_BYTE 'x'

static const struct sizes key_lengths = {LOAD_KEY_BYTES, LOAD_KEY_BYTES};

/* ---- popularity ---- */

/* Zipf's law without a table (Gray et al., SIGMOD'94, as in YCSB). */
struct popularity {
    struct prng prng;
    uint64_t keys;
    double exponent, alpha, eta, sum, second;
};

static struct popularity popularity_of(const struct load_options *options)
{
    struct popularity popularity = {
        .prng = prng_seeded(options->seed), .keys = options->keys, .exponent = options->zipf};
    double n = (double)options->keys, exponent = options->zipf;
    if (exponent <= 0 || options->keys < 3)
        return popularity;
    for (double rank = n; rank >= 1; rank--)
        popularity.sum += pow(rank, -exponent);
    popularity.second = 1 + pow(0.5, exponent);
    popularity.alpha = 1 / (1 - exponent);
    popularity.eta = (1 - pow(2 / n, 1 - exponent)) / (1 - popularity.second / popularity.sum);
    return popularity;
}

static uint64_t pick_rank(struct popularity *popularity)
{
    double u = (double)(prng_next(&popularity->prng) >> 11) / 9007199254740992.0;
    double scaled = u * popularity->sum;
    if (scaled < 1)
        return 0;
    if (scaled < popularity->second)
        return 1;
    double share = pow(popularity->eta * u - popularity->eta + 1, popularity->alpha);
    uint64_t rank = (uint64_t)((double)popularity->keys * share);
    return rank < popularity->keys ? rank : popularity->keys - 1;
}

/* The popular ones lie among the others. */
static uint64_t pick_key(struct popularity *popularity)
{
    if (popularity->sum <= 0)
        return prng_below(&popularity->prng, popularity->keys);
    struct prng scatter = prng_seeded(pick_rank(popularity));
    return prng_below(&scatter, popularity->keys);
}

/* ---- one command: returns the end of what was written ---- */

static char *put_text(char *at, const char *text)
{
    size_t length = strlen(text);
    memcpy(at, text, length);
    return at + length;
}

static char *put_key(char *at, struct popularity *popularity)
{
    return at + key_write(at, pick_key(popularity), key_lengths);
}

static char *put_value(char *at, size_t bytes)
{
    memset(at, VALUE_FILL_BYTE, bytes);
    return put_text(at + bytes, "\r\n");
}

static char *put_set(char *at, const struct load_options *options, struct popularity *popularity)
{
    size_t bytes = options->value_bytes;
    switch (options->protocol) {
    case LOAD_RESP:
        at = put_text(at, "*3\r\n$3\r\nSET\r\n$20\r\n");
        at = put_key(at, popularity);
        at += sprintf(at, "\r\n$%zu\r\n", bytes);
        break;
    case LOAD_TEXT:
        at = put_key(put_text(at, "set "), popularity);
        at += sprintf(at, " 0 0 %zu\r\n", bytes);
        break;
    case LOAD_META:
        at = put_key(put_text(at, "ms "), popularity);
        at += sprintf(at, " %zu\r\n", bytes);
        break;
    }
    return put_value(at, bytes);
}

static char *put_resp_get(char *at, unsigned keys, struct popularity *popularity)
{
    if (keys == 1)
        at = put_text(at, "*2\r\n$3\r\nGET\r\n");
    else
        at += sprintf(at, "*%u\r\n$4\r\nMGET\r\n", keys + 1);
    for (unsigned k = 0; k < keys; k++)
        at = put_text(put_key(put_text(at, "$20\r\n"), popularity), "\r\n");
    return at;
}

static char *put_text_get(char *at, unsigned keys, struct popularity *popularity)
{
    at = put_text(at, "get");
    for (unsigned k = 0; k < keys; k++)
        at = put_key(put_text(at, " "), popularity);
    return put_text(at, "\r\n");
}

/* Many at a time as its documentation has it: quiet ones, each telling its key, then a mn. */
static char *put_meta_get(char *at, unsigned keys, struct popularity *popularity)
{
    if (keys == 1)
        return put_text(put_key(put_text(at, "mg "), popularity), " v\r\n");
    for (unsigned k = 0; k < keys; k++)
        at = put_text(put_key(put_text(at, "mg "), popularity), " k q v\r\n");
    return put_text(at, "mn\r\n");
}

static char *put_get(char *at, const struct load_options *options, struct popularity *popularity)
{
    switch (options->protocol) {
    case LOAD_RESP:
        return put_resp_get(at, options->multiget, popularity);
    case LOAD_TEXT:
        return put_text_get(at, options->multiget, popularity);
    case LOAD_META:
        return put_meta_get(at, options->multiget, popularity);
    }
    return at;
}

/* ---- replies ---- */

static void set_piece(struct load_piece *piece, const char *head, size_t bytes)
{
    piece->head_length = strlen(head);
    memcpy(piece->head, head, piece->head_length);
    piece->bytes = bytes;
}

static void set_line(struct load_piece *piece, const char *line)
{
    set_piece(piece, line, strlen(line));
}

static void shape_resp(struct load_reply *get, size_t value_bytes, unsigned keys)
{
    char head[24];
    size_t length = (size_t)snprintf(head, sizeof head, "$%zu\r\n", value_bytes);
    set_piece(&get->pieces[1], head, length + value_bytes + 2);
    get->times[1] = keys;
    if (keys > 1) {
        snprintf(head, sizeof head, "*%u\r\n", keys);
        set_line(&get->pieces[0], head);
        get->times[0] = 1;
    }
}

static void shape_text(struct load_reply *get, size_t value_bytes, unsigned keys)
{
    char tail[24];
    size_t length = (size_t)snprintf(tail, sizeof tail, " 0 %zu\r\n", value_bytes);
    set_piece(&get->pieces[0], "VALUE key:", 6 + LOAD_KEY_BYTES + length + value_bytes + 2);
    get->times[0] = keys;
    set_line(&get->pieces[1], "END\r\n");
    get->times[1] = 1;
}

static void shape_meta(struct load_reply *get, size_t value_bytes, unsigned keys)
{
    char head[24];
    bool is_multi = keys > 1;
    size_t length =
        (size_t)snprintf(head, sizeof head, "VA %zu%s", value_bytes, is_multi ? " k" : "\r\n");
    if (is_multi)
        length += LOAD_KEY_BYTES + 2;
    set_piece(&get->pieces[0], head, length + value_bytes + 2);
    get->times[0] = keys;
    set_line(&get->pieces[1], "MN\r\n");
    get->times[1] = is_multi;
}

static void shape_replies(struct load *load)
{
    static const char *const stored[] = {
        [LOAD_RESP] = "+OK\r\n", [LOAD_TEXT] = "STORED\r\n", [LOAD_META] = "HD\r\n"};
    const struct load_options *options = &load->options;
    struct load_reply *get = &load->replies[0], *set = &load->replies[1];
    *get = (struct load_reply){.keys = options->multiget};
    *set = (struct load_reply){.keys = 1, .times = {1, 0}};
    set_line(&set->pieces[0], stored[options->protocol]);
    if (options->protocol == LOAD_RESP)
        shape_resp(get, options->value_bytes, options->multiget);
    else if (options->protocol == LOAD_TEXT)
        shape_text(get, options->value_bytes, options->multiget);
    else
        shape_meta(get, options->value_bytes, options->multiget);
}

/* ---- all of them ---- */

static size_t reply_bytes(const struct load_reply *reply)
{
    return reply->pieces[0].bytes * reply->times[0] + reply->pieces[1].bytes * reply->times[1];
}

/* Writes the next batch if there is room for it. */
static bool compose_batch(struct load *load, size_t *used, struct popularity *popularity,
                          struct prng *prng)
{
    const struct load_options *options = &load->options;
    size_t get_most = COMMAND_BYTES + (LOAD_KEY_BYTES + 32) * options->multiget;
    size_t set_most = COMMAND_BYTES + LOAD_KEY_BYTES + options->value_bytes;
    struct load_batch *batch = &load->batches[load->batch_count];
    *batch = (struct load_batch){.offset = *used,
                                 .first = (uint32_t)(load->batch_count * options->depth)};
    uint64_t gets = (uint64_t)(options->get_share * 0x1p32);
    char *at = load->bytes + *used;
    for (unsigned i = 0; i < options->depth; i++) {
        bool is_set = prng_next(prng) >> 32 >= gets;
        if ((size_t)(at - load->bytes) + (is_set ? set_most : get_most) > POOL_BYTES)
            return false;
        at = is_set ? put_set(at, options, popularity) : put_get(at, options, popularity);
        load->is_set[batch->first + i] = is_set;
        batch->operations += load->replies[is_set].keys;
        batch->reply_bytes += reply_bytes(&load->replies[is_set]);
    }
    *used = (size_t)(at - load->bytes);
    batch->length = *used - batch->offset;
    return true;
}

void load_compose(struct load *load, const struct load_options *options)
{
    *load = (struct load){.options = *options};
    struct popularity popularity = popularity_of(options);
    struct prng prng = prng_seeded(options->seed + 1);
    uint64_t commands = options->keys * COMMANDS_A_KEY / options->multiget;
    if (commands < COMMANDS_LEAST)
        commands = COMMANDS_LEAST;
    if (commands > POOL_BYTES / LOAD_KEY_BYTES)
        commands = POOL_BYTES / LOAD_KEY_BYTES;
    size_t batches = (size_t)commands / options->depth + 1, used = 0;
    load->bytes = must_realloc(NULL, POOL_BYTES);
    load->is_set = must_realloc(NULL, batches * options->depth * sizeof *load->is_set);
    load->batches = must_realloc(NULL, batches * sizeof *load->batches);
    shape_replies(load);
    while (load->batch_count < batches && compose_batch(load, &used, &popularity, &prng))
        load->batch_count++;
    if (load->batch_count == 0)
        die("a batch of %u commands of %zu bytes is more than %u MiB", options->depth,
            options->value_bytes, POOL_BYTES >> 20);
}

void load_release(struct load *load)
{
    free(load->bytes);
    free(load->is_set);
    free(load->batches);
    *load = (struct load){0};
}

/* ---- filling ---- */

static void on_stored(void *context, unsigned number, const struct wire_reply *reply)
{
    (void)context;
    (void)number;
    if (reply->status != WIRE_DONE)
        die("a set is refused: %.*s", (int)(reply->length < 80 ? reply->length : 80), reply->data);
}

void load_fill(enum wire_protocol protocol, uint16_t port, uint64_t keys, size_t value_bytes)
{
    struct wire wire;
    char key[KEY_MAX_BYTES], *value = must_realloc(NULL, value_bytes + 1);
    memset(value, VALUE_FILL_BYTE, value_bytes);
    if (!wire_open(&wire, protocol, port, FILL_BATCH))
        die("no connection to port %u", port);
    for (uint64_t id = 0; id < keys; id++) {
        size_t length = key_write(key, id, key_lengths);
        wire_set(&wire, key, length, value, value_bytes);
        if (wire_is_full(&wire))
            wire_exchange(&wire, on_stored, NULL);
    }
    wire_exchange(&wire, on_stored, NULL);
    wire_close(&wire);
    free(value);
}
