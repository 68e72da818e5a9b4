/* SPDX-License-Identifier: MIT */
/* classes.c: reads class by class from the store. Main thread only. */
#include "classes.h"

#include <stdlib.h>
#include <string.h>

#include "sample.h"

#define CHEAP_NS     500000u /* fits into a scrape whenever it comes */
#define COST_FACTOR  1000u
#define GROW_CLASSES 16u

void classes_init(struct classes *classes)
{
    memset(classes, 0, sizeof *classes);
}

void classes_release(struct classes *classes)
{
    free(classes->at);
    classes_init(classes);
}

static bool grow(struct classes *classes)
{
    unsigned capacity = classes->capacity + GROW_CLASSES;
    struct ebb_class_stats *more = realloc(classes->at, capacity * sizeof *more);
    if (more == NULL)
        return false;
    classes->at = more;
    classes->capacity = capacity;
    return true;
}

void classes_refresh(struct classes *classes, struct store *store)
{
    uint64_t now_ns = monotonic_ns(), begin_ns = thread_cpu_ns();
    uint64_t pause_ns = classes->cost_ns <= CHEAP_NS ? 0 : classes->cost_ns * COST_FACTOR;
    if (now_ns - classes->read_ns < pause_ns)
        return;
    unsigned count = 0;
    for (unsigned i = 0; i <= EBB_CLASS_COUNT; i++) {
        struct ebb_class_stats one;
        store_class_stats(store, i, &one);
        if (one.allocations == 0)
            continue;
        if (count == classes->capacity && !grow(classes))
            return;
        classes->index[count] = (uint16_t)i;
        classes->at[count++] = one;
    }
    classes->count = count;
    classes->read_ns = now_ns;
    classes->cost_ns = thread_cpu_ns() - begin_ns;
}
