/* SPDX-License-Identifier: MIT */
/* watch.h: who wants to know of changes to which keys of a shard. For the files of store/ only.
 *
 * Keys are known by their 64-bit hash alone, so a watch neither holds a key nor cares where its
 * item lies. Two keys with one hash would at worst abort a transaction for nothing.
 *
 * All functions want the shard's lock held. While nobody watches, a change costs one branch.
 */
#ifndef EBB_STORE_WATCH_H
#define EBB_STORE_WATCH_H

#include "store.h"

#define WATCHES_FEW 8u

struct watches {
    struct store_watch *few[WATCHES_FEW];
    struct store_watch **many;  /* malloc; NULL: the few are enough */
    size_t bucket_count, count; /* of the many, a power of two */
};

void watches_add(struct watches *watches, struct store_watch *watch);
void watches_remove(struct watches *watches, struct store_watch *watch);
bool watches_has(struct watches *watches, const struct store_key *key, const void *owner);
/* The key with that hash has been set, changed or deleted. */
void watches_note(struct watches *watches, uint64_t hash);
/* Every key of the database, or of all, has been deleted. */
void watches_note_flush(struct watches *watches, unsigned database);
/* Takes all watches of the database out and returns them as a list by `next`. */
struct store_watch *watches_take(struct watches *watches, unsigned database);

#endif
