/* SPDX-License-Identifier: MIT */
/* command_id.h: one number for each row of commands.def: COMMAND_GET, COMMAND_SET, ...; and one for
 * each kind of error reply.
 */
#ifndef EBB_COMMAND_ID_H
#define EBB_COMMAND_ID_H

enum command_id {
#define COMMAND(id, ...) COMMAND_##id,
#include "commands.def"
#undef COMMAND
    COMMAND_COUNT
};

enum error_kind {
#define ERROR_KIND(word) ERROR_KIND_##word,
#include "error_kinds.def"
#undef ERROR_KIND
    ERROR_KIND_COUNT
};

#endif
