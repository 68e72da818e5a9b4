/* SPDX-License-Identifier: MIT */
/* mc_dump.h: memcached's `lru_crawler metadump` and `mgdump`, and the older `stats cachedump`: a
 * line for every key of database 0.
 *
 * A dump is written in pieces of a few hundred keys, so that it holds no shard for long and no more
 * of it is in memory than the client takes; between them other clients are served. It gives what is
 * there from its first piece to its last, as SCAN does. Owned by the client from `lru_crawler` on.
 */
#ifndef EBB_MC_DUMP_H
#define EBB_MC_DUMP_H

#include "cmd.h"

enum mc_dump_form {
    MC_DUMP_META, /* key=a exp=-1 la=1700000000 cas=0 fetch=no cls=3 size=42 */
    MC_DUMP_GET,  /* mg a */
    MC_DUMP_ITEM, /* ITEM a [5 b; 0 s] */
};

struct mc_dump;

/* What the class ids of a dump mean: "all" and "hash" are every class, else "1,2,7". Starts a dump
 * for the client, or answers why not. */
void mc_dump_begin(struct cmd_context *context, const struct ebb_mc_command *command,
                   enum mc_dump_form form, struct ebb_slice classes);
/* stats cachedump CLASS LIMIT; a limit of 0 is none. */
void mc_dump_begin_items(struct cmd_context *context, const struct ebb_mc_command *command);

#endif
