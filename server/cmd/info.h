/* SPDX-License-Identifier: MIT */
/* info.h: the text of INFO.
 */
#ifndef EBB_INFO_H
#define EBB_INFO_H

#include "cmd.h"

/* Writes the named sections, in the table's order; none named stands for "default". Wants no shard
 * entered. */
void info_print(struct cmd_context *context, const struct ebb_slice *names, uint32_t count,
                struct ebb_buf *out);

#endif
