/* SPDX-License-Identifier: MIT */
/* load.h: requests composed before the clock runs, in batches, and the shape of their replies.
 *
 * All keys are 20 bytes and all values are as long as each other, so the length of a reply follows
 * from its command and its first bytes can be held against what they must be. That is all the
 * driver has to do for a reply.
 */
#ifndef EBB_BENCH_LOAD_H
#define EBB_BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../wire.h"

enum load_protocol { LOAD_RESP, LOAD_TEXT, LOAD_META };

struct load_options {
    enum load_protocol protocol;
    size_t value_bytes;
    uint64_t keys;     /* how many there are: ids 0 .. keys - 1 */
    unsigned depth;    /* commands in a batch */
    unsigned multiget; /* keys in a get; 1: a plain one */
    double get_share;  /* of the commands; the others are sets */
    double zipf;       /* exponent of the keys' popularity, below 1; 0: all the same */
    uint64_t seed;
};

/* Part of a reply: so many bytes that begin with `head`. */
struct load_piece {
    char head[24];
    size_t head_length;
    size_t bytes; /* of all, with head and line end */
};

/* The reply of a command: pieces[0] so many times, then pieces[1] so many times. */
struct load_reply {
    struct load_piece pieces[2];
    unsigned times[2];
    unsigned keys; /* operations that the command counts for */
};

struct load_batch {
    size_t offset, length; /* in bytes[] */
    uint32_t first;        /* of its commands, in is_set[] */
    uint32_t operations;   /* keys */
    size_t reply_bytes;
};

struct load {
    struct load_options options;
    char *bytes;
    bool *is_set; /* each command of each batch */
    struct load_batch *batches;
    size_t batch_count;
    struct load_reply replies[2]; /* of a get, of a set */
};

#define LOAD_KEY_BYTES 20u

/* What all keys and values come to is options->keys times this. */
static inline uint64_t load_item_bytes(const struct load_options *options)
{
    return LOAD_KEY_BYTES + options->value_bytes;
}

void load_compose(struct load *load, const struct load_options *options);
void load_release(struct load *load);
/* Stores all keys at the server. */
void load_fill(enum wire_protocol protocol, uint16_t port, uint64_t keys, size_t value_bytes);

#endif
