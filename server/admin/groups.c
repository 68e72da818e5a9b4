/* SPDX-License-Identifier: MIT */
/* groups.c: adds classes up. One metric after the other does so anew, which costs less than one of
 * its series.
 */
#include "groups.h"

#include <string.h>

static size_t group_bytes(unsigned group)
{
    if (group < GROUPS_SMALL)
        return 16u * (group + 1u);
    unsigned step = group - GROUPS_SMALL;
    return (size_t)(5u + step % 4u) << (5u + step / 4u);
}

static void add_class(struct ebb_class_stats *to, const struct ebb_class_stats *from)
{
    to->spans_full += from->spans_full;
    to->spans_partial += from->spans_partial;
    to->spans_empty += from->spans_empty;
    to->slots_used += from->slots_used;
    to->slots_free += from->slots_free;
    to->allocations += from->allocations;
    to->frees += from->frees;
}

void groups_add_up(const struct classes *classes, struct ebb_class_stats groups[GROUPS_COUNT])
{
    memset(groups, 0, GROUPS_COUNT * sizeof *groups);
    for (unsigned g = 0; g + 1 < GROUPS_COUNT; g++)
        groups[g].slot_bytes = group_bytes(g);
    unsigned group = 0;
    for (unsigned i = 0; i < classes->count; i++) { /* by slot size, large ones last */
        size_t bytes = classes->at[i].slot_bytes;
        while (group + 1 < GROUPS_COUNT && (bytes == 0 || groups[group].slot_bytes < bytes))
            group++;
        add_class(&groups[group], &classes->at[i]);
    }
}
