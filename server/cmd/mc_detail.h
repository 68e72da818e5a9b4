/* SPDX-License-Identifier: MIT */
/* mc_detail.h: memcached's `stats detail`: commands counted by the prefix of their keys, up to the
 * first colon, while a client has turned that on.
 *
 * One table for the server, behind a mutex: it costs the commands of the memcached port a little
 * while it is on and one look at a flag while it is off.
 */
#ifndef EBB_MC_DETAIL_H
#define EBB_MC_DETAIL_H

#include "cmd.h"

struct mc_detail;
struct mc_detail *mc_detail_create(void); /* NULL: no memory. It is off. */
void mc_detail_destroy(struct mc_detail *detail);

bool mc_detail_is_on(const struct service *service);

/* Count a command, while it is on: a key that was looked up, a command that sets or deletes one. */
void mc_detail_note_read(struct service *service, const struct store_key *key, bool is_hit);
void mc_detail_note_write(struct service *service, const struct ebb_mc_command *command);
/* Forgets what was counted; it stays on or off. */
void mc_detail_reset(struct service *service);

/* stats detail on|off|dump */
void mc_run_detail(struct cmd_context *context, const struct ebb_mc_command *command);

#endif
