/* SPDX-License-Identifier: MIT */
/* classes.h: the size classes that have ever been used, for metrics and pages. A class stays in the
 * list for ever, so that its series do not disappear when its last object goes.
 */
#ifndef EBB_CLASSES_H
#define EBB_CLASSES_H

#include <stdbool.h>
#include <stdint.h>

#include "../store/stats.h"

struct classes {
    struct ebb_class_stats *at;          /* by slot size, the large class last */
    uint16_t index[EBB_CLASS_COUNT + 1]; /* of each, as the allocator counts them */
    unsigned count, capacity;
    uint64_t read_ns, cost_ns; /* when they were read, and what CPU time it took */
};

void classes_init(struct classes *classes);
void classes_release(struct classes *classes);
/* Reads them anew, unless that is dear and would cost more than 0.1 % of a processor. When there is
 * no memory for the list the old figures stay. */
void classes_refresh(struct classes *classes, struct store *store);

#endif
