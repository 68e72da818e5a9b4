/* SPDX-License-Identifier: MIT */
/* mc_auth.h: logging in on the memcached port.
 */
#ifndef EBB_MC_AUTH_H
#define EBB_MC_AUTH_H

#include "cmd.h"

/* What a client that has not logged in may send as a value. */
#define MC_AUTH_TOKEN_MAX_BYTES 1024u

/* Whether memcached clients must log in: there is an auth-file or a requirepass. */
bool mc_auth_is_needed(struct service *service);
/* Runs a command of a client that has yet to log in: its login, version and quit; anything else is
 * refused. */
void mc_auth_run(struct cmd_context *context, const struct ebb_mc_command *command);
/* 0; or a negative errno: the file can't be read, is over 64 KiB, or names nobody (EINVAL). */
int mc_auth_check_file(const char *path);

#endif
