/* SPDX-License-Identifier: MIT */
/* twin.h: a heap and its stupid twin: an array that remembers what each object must hold.
 *
 * The twin owns the heap's objects. Contents follow from a seed and are compared byte by byte;
 * every move is checked while both copies are there; twin_check() holds the heap's totals and
 * validators against the array. It works for cmocka and for the fuzzer alike, so a violation
 * aborts.
 */
#ifndef EBB_TESTS_TWIN_H
#define EBB_TESTS_TWIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../alloc/internal.h"

#define TWIN_REQUIRE(condition)                                                                    \
    do {                                                                                           \
        if (!(condition))                                                                          \
            twin_failed(#condition, __FILE__, __LINE__);                                           \
    } while (0)
void twin_failed(const char *condition, const char *file, int line) __attribute__((noreturn));

struct twin_object {
    ebb_ref ref;  /* 0: none */
    size_t bytes; /* as asked for */
    uint64_t seed;
    uint64_t due;   /* 0: none */
    unsigned pins;  /* held on this object */
    bool is_freed;  /* while pinned: it must keep its bytes until the last pin goes */
    bool is_virgin; /* never written: its contents are not compared, its pages not touched */
};

struct twin {
    struct ebb_pool *pool;
    struct ebb_heap *heap;
    char *base;
    struct twin_object *objects;
    size_t capacity;
    uint32_t *owner_of; /* by granule: the object's number plus one */
    size_t owner_bytes;
    size_t live, live_bytes, pins; /* not counting freed ones; bytes as asked for */
    uint64_t moves, announced;
    bool is_sharing;
    uint64_t next_seed;
    size_t visited; /* by twin_each and twin_due_visit */
};

/* A heap in the pool with room for so many objects, none at first. */
void twin_init(struct twin *twin, struct ebb_pool *pool, size_t capacity);
/* The same, and the heap is told the bytes of objects: they may be guests of longer classes. */
void twin_init_sharing(struct twin *twin, struct ebb_pool *pool, size_t capacity);
/* Frees the objects (none may be pinned) and the heap. */
void twin_release(struct twin *twin);

static inline bool twin_has(const struct twin *twin, size_t n)
{
    return twin->objects[n].ref != 0 && !twin->objects[n].is_freed;
}

bool twin_alloc(struct twin *twin, size_t n, size_t bytes); /* false: no memory, nothing changed */
/* Like it, but the object is not written: large objects that shall cost no time. */
bool twin_alloc_virgin(struct twin *twin, size_t n, size_t bytes);
void twin_free(struct twin *twin, size_t n);
int twin_resize(struct twin *twin, size_t n, size_t bytes); /* as ebb_resize */
void twin_rewrite(struct twin *twin, size_t n);             /* new contents in place */
void twin_pin(struct twin *twin, size_t n);
void twin_unpin(struct twin *twin, size_t n);
void twin_due_note(struct twin *twin, size_t n, uint64_t due);
/* Visits all that is due; each object that is gets freed or, if keep_ms, due that much later. */
void twin_due_visit(struct twin *twin, uint64_t now, uint64_t keep_ms);
/* Walks the heap with ebb_heap_each: every object once; frees one in `free_each` (0: none). */
void twin_each(struct twin *twin, size_t free_each);
void twin_reset(struct twin *twin);
/* ebb_compact until it is done; at most `slices`. Returns the slices used. */
size_t twin_compact(struct twin *twin, enum ebb_urge urge, uint64_t max_ns, size_t slices);

void twin_verify(const struct twin *twin, size_t n); /* contents */
void twin_verify_all(const struct twin *twin);
/* Validators of heap and pool, and the heap's totals against the array's. */
void twin_check(const struct twin *twin);

#endif
