/* SPDX-License-Identifier: MIT */
/* libc_heap.h: keeps libc's own heap small. Values do not live there, but connections, buffers and
 * libraries do, and what they free should go back to the kernel as well.
 */
#ifndef EBB_LIBC_HEAP_H
#define EBB_LIBC_HEAP_H

#include <stddef.h>
#include <stdint.h>

struct libc_heap {
    uint64_t activity;         /* at the last tick */
    uint64_t trimmed_activity; /* when it was last trimmed */
    unsigned seconds;          /* since then */
    size_t free_bytes;         /* in the heap at the last look, 0 after a trim */
};

/* Before the first thread starts. */
void libc_heap_init(struct libc_heap *heap);
/* Once a second. `activity` is any number that changes when the server does something. */
void libc_heap_tick(struct libc_heap *heap, uint64_t activity);

#endif
