/* SPDX-License-Identifier: MIT */
/* mc_count.h: memcached's own counts of hits and misses, in all and by size class.
 */
#ifndef EBB_MC_COUNT_H
#define EBB_MC_COUNT_H

#include "cmd.h"

/* `hit` is the value that was found, NULL for a miss; its key is `key`. */
void mc_count_read(struct cmd_context *context, const struct store_key *key,
                   const struct store_value *hit, bool is_touch);
void mc_count_sum(struct cmd_context *context, const struct store_key *key,
                  const struct store_value *hit, bool is_decr);
/* `old` is what the key had, NULL: nothing; `is_same` says whether with the number of the command.
 */
void mc_count_cas(struct cmd_context *context, const struct store_key *key,
                  const struct store_value *old, bool is_same);
/* After store_delete(), or before a value is emptied: the bytes of its item, 0 for a miss. */
void mc_count_delete(struct cmd_context *context, size_t item_bytes);
/* After a store_set() or store_join() that has been done. */
void mc_count_stored(struct cmd_context *context);

#endif
