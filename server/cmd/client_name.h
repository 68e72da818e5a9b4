/* SPDX-License-Identifier: MIT */
/* client_name.h: the texts that a client gives about itself: its name, its library and version.
 */
#ifndef EBB_CLIENT_NAME_H
#define EBB_CLIENT_NAME_H

#include "cmd.h"

#define CLIENT_TEXT_MAX_BYTES 4096u /* of each: they are kept, and counted as nobody's memory */

/* Whether the text may be kept: printable ASCII without spaces, so that CLIENT LIST stays
 * parseable. Answers the error, with `what` it is, when not. */
bool client_name_fits(struct cmd_context *context, struct ebb_slice what, struct ebb_slice text);
#define CLIENT_NAMES ((struct ebb_slice){"Client names", 12})
/* Keeps a copy of the text in *field (malloc); an empty one, or no memory, leaves none. */
void client_name_set(struct cmd_context *context, char **field, struct ebb_slice text);

#endif
