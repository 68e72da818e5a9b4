/* SPDX-License-Identifier: MIT */
/* libc_heap.c: settings for glibc's malloc, and when to have it trimmed. Called by server.c on the
 * main thread. With another libc there is nothing to set and nothing to do.
 */
#include "libc_heap.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

#define TRIM_PAUSE_SECONDS 10
#define TRIM_BUSY_BYTES    (1024u * 1024) /* free in the heap that is worth it under load */

void libc_heap_init(struct libc_heap *heap)
{
    *heap = (struct libc_heap){.trimmed_activity = UINT64_MAX};
#ifdef __GLIBC__
    /* One arena: workers rarely come here, and each further arena would keep pages of its own.
     * Setting a threshold also stops glibc from raising it by itself, so that every large buffer
     * is a mapping that goes when it is freed. */
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_MMAP_THRESHOLD, 128 * 1024);
    mallopt(M_TRIM_THRESHOLD, 256 * 1024);
    mallopt(M_TOP_PAD, 16 * 1024);
#endif
}

#ifdef __GLIBC__
static int is_worth_trimming(const struct libc_heap *heap, uint64_t activity)
{
    if (heap->seconds < TRIM_PAUSE_SECONDS || activity == heap->trimmed_activity)
        return 0;
    return activity == heap->activity || mallinfo2().fordblks >= TRIM_BUSY_BYTES;
}
#endif

void libc_heap_tick(struct libc_heap *heap, uint64_t activity)
{
    heap->seconds++;
#ifdef __GLIBC__
    if (is_worth_trimming(heap, activity)) {
        malloc_trim(0);
        heap->seconds = 0;
        heap->trimmed_activity = activity;
    }
#endif
    heap->activity = activity;
}
