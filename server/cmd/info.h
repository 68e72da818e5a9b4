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

/* What INFO memory is made of, for MEMORY. The session must have left. */
struct info_memory {
    size_t keys;
    size_t live_bytes, used_bytes, used_peak_bytes; /* keys and values; with all overhead */
    size_t allocated_bytes, active_bytes, heap_resident_bytes, idle_bytes, metadata_bytes;
    size_t resident_bytes; /* of the process */
    size_t connection_bytes, spans;
    uint64_t moved_bytes, moved_objects;
};
void info_memory(struct cmd_context *context, struct info_memory *memory);

#endif
