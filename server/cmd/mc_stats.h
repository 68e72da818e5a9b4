/* SPDX-License-Identifier: MIT */
/* mc_stats.h: what memcached's `stats` answers.
 */
#ifndef EBB_MC_STATS_H
#define EBB_MC_STATS_H

#include "cmd.h"

/* Answers `stats` with the words behind it. false, with nothing written: there are no such
 * statistics. Wants no shard entered. */
bool mc_stats_print(struct cmd_context *context, const struct ebb_args *words);

#endif
