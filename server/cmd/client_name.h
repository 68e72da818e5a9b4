/* SPDX-License-Identifier: MIT */
/* client_name.h: the texts that a client gives about itself: its name, its library and version.
 */
#ifndef EBB_CLIENT_NAME_H
#define EBB_CLIENT_NAME_H

#include "cmd.h"

#define ERROR_CLIENT_NAME "ERR Client names cannot contain spaces, newlines or special characters."

/* Printable ASCII without spaces, so that CLIENT LIST stays parseable. */
bool client_name_is_valid(struct ebb_slice text);
/* Keeps a copy of the text in *field (malloc); an empty one, or no memory, leaves none. */
void client_name_set(struct cmd_context *context, char **field, struct ebb_slice text);

#endif
