/* SPDX-License-Identifier: MIT */
/* arguments.h: the arguments of commands as COMMAND DOCS describes them. */
#ifndef EBB_ARGUMENTS_H
#define EBB_ARGUMENTS_H

#include "cmd.h"

/* Whether there is anything to say about what follows the command's name. */
bool arguments_are_known(const struct command *command);
/* The array of them; they are known. */
void arguments_reply(struct ebb_reply *reply, const struct command *command);

#endif
