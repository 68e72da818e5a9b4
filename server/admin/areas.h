/* SPDX-License-Identifier: MIT */
/* areas.h: what the anonymous memory outside the value store is: libc's, stacks, or the program's.
 *
 * The kernel's own word, page by page (/proc/self/pagemap) for each mapping of /proc/self/maps: no
 * guess from what malloc says it holds, which knows nothing of pages never touched or trimmed. The
 * range of the values is left out, so the cost does not grow with what users store. process.c
 * calls.
 */
#ifndef EBB_AREAS_H
#define EBB_AREAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum area_kind {
    AREA_LIBC,    /* malloc's heaps and mappings, and every other anonymous mapping */
    AREA_STACK,   /* of any thread */
    AREA_PROGRAM, /* data, bss and relocated pages of the program and its libraries */
    AREA_NONE,    /* no anonymous memory of ours */
    AREA_KIND_COUNT
};

/* One line of /proc/self/maps. */
struct area {
    uintptr_t start, end;
    bool is_accessible; /* not ---p */
    bool is_writable;
    bool is_private;
    bool is_file;
    char name[16]; /* "[heap]", "[stack]" and the like, or "" */
};
/* False for a line that is none. Pure. */
bool area_parse(const char *line, struct area *area);
/* Pure but for `before`, the kind of the area in front, when that touches this one. */
enum area_kind area_kind_of(const struct area *area, const struct area *before,
                            enum area_kind before_kind);

struct areas;
int areas_create(struct areas **areas);
void areas_destroy(struct areas *areas);
/* Leaves out what lies in [start, start + bytes): the value store accounts for itself. */
void areas_exclude(struct areas *areas, const void *start, size_t bytes);
/* Resident anonymous bytes by kind. 0; 1 when there was too much to look at all of it; -1 when
 * /proc can't be read. thread_count as the kernel gives it: stacks are looked for anew when it
 * changes. */
int areas_read(struct areas *areas, size_t thread_count, size_t bytes[AREA_KIND_COUNT]);

#endif
