/* SPDX-License-Identifier: MIT */
/* mc_words.h: what the readers of memcached's lines share: words, numbers, keys. For mc.c and
 * mc_meta.c only.
 */
#ifndef EBB_PROTO_MC_WORDS_H
#define EBB_PROTO_MC_WORDS_H

#include <string.h>

#include "ebb_proto.h"

#define MC_BAD_FORMAT "CLIENT_ERROR bad command line format"
#define MC_WORDS_MAX  24u /* of a line that is no get, with the verb */

struct words {
    struct ebb_slice at[MC_WORDS_MAX]; /* the verb first */
    unsigned count;
    size_t skip_bytes; /* set by a reader that refuses a line with a value: the value's */
};

static inline bool is_word(const struct ebb_slice *word, const char *text, size_t len)
{
    return word->len == len && memcmp(word->data, text, len) == 0;
}

/* A number as strtoul() reads it, in a word: blanks, a sign, digits, then the end or a blank and
 * anything. memcached reads all its numbers so. */
bool mc_read_u64(const struct ebb_slice *word, uint64_t *value);
bool mc_read_i64(const struct ebb_slice *word, int64_t *value);

/* The readers below answer NULL or the error to give. This one is for no memory: */
extern const char *const mc_out_of_memory;

/* Adds a key to the command. */
const char *mc_read_key(struct ebb_mc_command *command, const struct ebb_slice *word);

/* mc_meta.c: the words of a meta command. */
const char *mc_read_meta(struct ebb_mc_command *command, struct words *words);
const char *mc_read_meta_set(struct ebb_mc_command *command, struct words *words);
const char *mc_read_meta_debug(struct ebb_mc_command *command, struct words *words);

#endif
