/* SPDX-License-Identifier: MIT */
/* groups.h: the size classes in few enough groups to be metrics that are there from the start:
 * slots up to 128 bytes in steps of 16, then four groups to a doubling, and large objects.
 * /api/classes has each class on its own. Pure.
 */
#ifndef EBB_GROUPS_H
#define EBB_GROUPS_H

#include "classes.h"

#define GROUPS_SMALL 8u
#define GROUPS_COUNT (GROUPS_SMALL + 9u * 4u + 1u)

/* slot_bytes of each is the largest of the group, 0 for large objects, which are the last. */
void groups_add_up(const struct classes *classes, struct ebb_class_stats groups[GROUPS_COUNT]);

#endif
