/* SPDX-License-Identifier: MIT */
/* mc_meta.h: what memcached's meta commands share: mc_meta.c has mg, mn, me and the common parts,
 * mc_meta_write.c those that change a value.
 */
#ifndef EBB_MC_META_H
#define EBB_MC_META_H

#include "mc_verbs.h"

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

static inline bool has(const struct ebb_mc_command *command, char letter)
{
    return ebb_mc_has(command, letter);
}

/* O and k, which every reply has. true: it was one of them. */
bool meta_write_echo(struct ebb_buf *out, const struct ebb_mc_command *command,
                     const struct ebb_slice *flag, bool is_binary);
/* A code with nothing but what came with the request. */
void meta_answer_code(struct cmd_context *context, const struct ebb_mc_command *command,
                      const char *code);
/* t: seconds to live. */
void meta_write_ttl(const struct pass *pass);
/* When a key that the command makes is to go: N and T both say, and the last has it. */
int64_t meta_created_expire_ms(const struct pass *pass);
/* The unique number of what has just been stored, even of what was stored to be gone at once. */
uint64_t meta_unique_of(struct cmd_context *context, const struct store_key *key);

#endif
