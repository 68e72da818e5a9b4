/* SPDX-License-Identifier: MIT */
/* words.c: the allocator alone: a million short texts, of which one in a hundred stays.
 *
 *     cc words.c $(pkg-config --cflags --libs ebb_alloc) && ./a.out
 *
 * Each text begins with the number of the entry that holds its ref: so the owner finds that entry
 * when the text moves. A malloc would keep nearly all of its memory here: in every page one stays.
 */
#include <ebb_alloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXTS   1000000u
#define KEPT_IN 100u /* one in so many */

static ebb_ref refs[TEXTS]; /* the only reference to each text */

/* The owner's part: the text that was at `from` is at `to` now, and at `data` its bytes. */
static void moved(void *context, ebb_ref from, ebb_ref to, void *data)
{
    uint32_t number;
    memcpy(&number, data, sizeof number);
    if (refs[number] != from)
        abort();
    refs[number] = to;
    ++*(size_t *)context;
}

static void say(const char *when, struct ebb_pool *pool, const struct ebb_heap *heap)
{
    struct ebb_heap_stats in_spans;
    struct ebb_pool_stats beside;
    ebb_heap_stats(heap, &in_spans);
    ebb_pool_stats(pool, &beside);
    printf("%-10s %7zu texts in %6zu KiB\n", when, in_spans.objects,
           (in_spans.resident_bytes + beside.idle_bytes) / 1024);
}

int main(void)
{
    size_t moves = 0;
    struct ebb_owner owner = {.context = &moves, .moved = moved};
    struct ebb_pool *pool;
    struct ebb_heap *heap;
    if (ebb_pool_create(&pool, NULL) != 0 || ebb_heap_create(&heap, pool, &owner) != 0)
        return EXIT_FAILURE;
    for (uint32_t n = 0; n < TEXTS; n++) {
        if ((refs[n] = ebb_alloc(heap, 100)) == 0)
            return EXIT_FAILURE;
        memcpy(ebb_at(ebb_pool_base(pool), refs[n]), &n, sizeof n);
    }
    say("full:", pool, heap);
    for (uint32_t n = 0; n < TEXTS; n++)
        if (n % KEPT_IN != 0)
            ebb_free(heap, refs[n]);
    say("thinned:", pool, heap);
    while (ebb_compact(heap, EBB_URGE_MANUAL, 100000, NULL) == EBB_COMPACT_MORE)
        ; /* slices of 100 us: a server does something else in between */
    while (ebb_pool_trim(pool, 1 << 20, true) >= 1 << 20)
        ;
    say("compacted:", pool, heap);
    printf("%zu texts were moved\n", moves);
    ebb_heap_destroy(heap);
    ebb_pool_destroy(pool);
    return EXIT_SUCCESS;
}
