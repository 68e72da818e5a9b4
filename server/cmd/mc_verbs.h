/* SPDX-License-Identifier: MIT */
/* mc_verbs.h: what the handlers of memcached's verbs share: mc.c runs the classic ones, mc_number.c
 * incr and decr, mc_meta.c and mc_meta_write.c the meta commands, mc_tools.c those that tools send.
 */
#ifndef EBB_MC_VERBS_H
#define EBB_MC_VERBS_H

#include "cmd.h"

/* Answers the line, unless the command said noreply. */
void mc_answer(struct cmd_context *context, const struct ebb_mc_command *command, const char *line);
/* The same, counted as an error. */
void mc_answer_error(struct cmd_context *context, const struct ebb_mc_command *command,
                     const char *line);
/* Counts a value that could not be stored; returns memcached's line for it. */
const char *mc_store_error(struct cmd_context *context, int error);

/* The command's key, its shard entered. */
struct store_key mc_enter_key(struct cmd_context *context, const struct ebb_mc_command *command);
/* An exptime as unix ms; 0: never. Seconds below zero are a time long gone. */
int64_t mc_expire_ms(struct cmd_context *context, int64_t exptime);

/* Joins `more` to the end or the front of the key's value; `old` is what store_peek() has just said
 * of it. A store call's error; STORE_ETOOBIG also where the whole is above proto-max-bulk-len. */
int mc_join(struct cmd_context *context, const struct store_key *key, const struct store_value *old,
            struct ebb_slice more, bool is_append);

/* mc_number.c */

enum mc_sum { MC_SUM_OK, MC_SUM_NO_NUMBER, MC_SUM_NO_MEMORY };
/* Whether memcached would look for a number in it at all. */
bool mc_may_be_number(const struct store_value *value);
/* Adds to the key's value or takes from it; `old` is what store_peek() has just said of it. */
enum mc_sum mc_add(struct cmd_context *context, const struct store_key *key,
                   const struct store_value *old, bool is_decr, uint64_t delta, uint64_t *number);
#define MC_NO_NUMBER        "CLIENT_ERROR cannot increment or decrement non-numeric value"
#define MC_NO_NUMBER_MEMORY "SERVER_ERROR out of memory"

void mc_run_number(struct cmd_context *context, const struct ebb_mc_command *command);

/* mc_meta.c, mc_meta_write.c */

/* The key as a meta command spells it: in base64 when it was stored so, or when it has bytes that a
 * line can't hold and the client has shown with flag b that it knows of this. */
bool mc_key_is_binary(const struct ebb_mc_command *command, unsigned marks, struct ebb_slice key);
bool mc_key_is_text(const char *key, size_t len);

void mc_run_get(struct cmd_context *context, const struct ebb_mc_command *command);
void mc_run_set(struct cmd_context *context, const struct ebb_mc_command *command);
void mc_run_delete(struct cmd_context *context, const struct ebb_mc_command *command);
void mc_run_arithmetic(struct cmd_context *context, const struct ebb_mc_command *command);
void mc_run_noop(struct cmd_context *context, const struct ebb_mc_command *command);
void mc_run_debug(struct cmd_context *context, const struct ebb_mc_command *command);

/* mc_stats.c */

void mc_run_stats(struct cmd_context *context, const struct ebb_mc_command *command);

/* mc_tools.c */

void mc_run_memlimit(struct cmd_context *context, const struct ebb_mc_command *command);
void mc_run_crawler(struct cmd_context *context, const struct ebb_mc_command *command);
void mc_run_slabs(struct cmd_context *context, const struct ebb_mc_command *command);
void mc_run_lru(struct cmd_context *context, const struct ebb_mc_command *command);
void mc_run_shutdown(struct cmd_context *context, const struct ebb_mc_command *command);
void mc_run_watch(struct cmd_context *context, const struct ebb_mc_command *command);

#endif
