/* SPDX-License-Identifier: MIT */
/* libc_heap.c: settings for glibc's malloc, and when to have it trimmed. Called by server.c on the
 * main thread. With another libc there is nothing to set and nothing to do.
 */
#include "libc_heap.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

#define TRIM_PAUSE_SECONDS 10
#define TRIM_BUSY_BYTES    (1024u * 1024)     /* free in the heap that is worth it under load */
#define TRIM_SOON_SECONDS  2                  /* the pause when there is more than: */
#define TRIM_SOON_BYTES    (3u * 1024 * 1024) /* what is left is to be little within seconds */

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
/* Much that was free a second ago and still is will not be wanted in the next: many clients have
 * left. What is less can wait. */
static int is_worth_trimming(struct libc_heap *heap, uint64_t activity)
{
    if (heap->seconds < TRIM_SOON_SECONDS || activity == heap->trimmed_activity)
        return 0;
    size_t free_bytes = mallinfo2().fordblks, before = heap->free_bytes;
    heap->free_bytes = free_bytes;
    if (heap->seconds < TRIM_PAUSE_SECONDS)
        return free_bytes >= TRIM_SOON_BYTES && before >= free_bytes - free_bytes / 8 &&
               free_bytes >= before - before / 8;
    return activity == heap->activity || free_bytes >= TRIM_BUSY_BYTES;
}
#endif

void libc_heap_tick(struct libc_heap *heap, uint64_t activity)
{
    heap->seconds++;
#ifdef __GLIBC__
    if (is_worth_trimming(heap, activity)) {
        malloc_trim(0);
        heap->seconds = 0;
        heap->free_bytes = 0;
        heap->trimmed_activity = activity;
    }
#endif
    heap->activity = activity;
}
