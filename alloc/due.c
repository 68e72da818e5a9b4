/* SPDX-License-Identifier: MIT */
/* due.c: which span wants a visit first: a binary heap (Williams 1964), linked through the span
 * descriptors as libuv links its timers, so that it needs no memory of its own.
 *
 *          1
 *       /     \            every row is full but the last, which fills from the left;
 *      2       3           the nth node's children are the (2n)th and the (2n + 1)th,
 *     / \     /            so the bits of n below its highest are the way there:
 *    4   5   6             5 is 101, left and right
 *
 * No call takes more than some steps for each row, and a million spans have 20. A pairing heap does
 * less on average, but puts work off: spans with one TTL come in ascending order, and the first to
 * go pays for all of them at once.
 */
#include "internal.h"

static struct span *at(const struct ebb_heap *heap, span_id id)
{
    return pool_span(heap->pool, id);
}

/* ---- the shape ---- */

/* n: from 1 to due_count */
static span_id nth(const struct ebb_heap *heap, uint32_t n)
{
    span_id id = heap->due_root;
    for (int bit = 31 - __builtin_clz(n); bit-- > 0;)
        id = at(heap, id)->due_child[n >> bit & 1];
    return id;
}

static unsigned side_of(const struct ebb_heap *heap, span_id parent, span_id child)
{
    return at(heap, parent)->due_child[1] == child;
}

/* Puts `to` where `from` is, below that parent or (0) at the root. */
static void replace(struct ebb_heap *heap, span_id parent, span_id from, span_id to)
{
    if (parent == 0)
        heap->due_root = to;
    else
        at(heap, parent)->due_child[side_of(heap, parent, from)] = to;
}

static void tell_children(struct ebb_heap *heap, span_id id)
{
    for (unsigned side = 0; side < 2; side++) {
        span_id child = at(heap, id)->due_child[side];
        if (child != 0)
            at(heap, child)->due_parent = id;
    }
}

void due_rename(struct ebb_heap *heap, span_id from, span_id to)
{
    const struct span *span = at(heap, to);
    if (span->due == UINT64_MAX)
        return;
    replace(heap, span->due_parent, from, to);
    tell_children(heap, to);
}

static void append(struct ebb_heap *heap, span_id id)
{
    uint32_t n = ++heap->due_count;
    struct span *span = at(heap, id);
    span->due_child[0] = span->due_child[1] = 0;
    span->due_parent = n == 1 ? 0 : nth(heap, n / 2);
    if (n == 1)
        heap->due_root = id;
    else
        at(heap, span->due_parent)->due_child[n % 2] = id;
}

/* Puts the last node in its place. Returns that one, 0: it was the last itself. */
static span_id extract(struct ebb_heap *heap, span_id id)
{
    span_id last = nth(heap, heap->due_count--);
    replace(heap, at(heap, last)->due_parent, last, 0);
    if (last == id)
        return 0;
    const struct span *span = at(heap, id);
    at(heap, last)->due_parent = span->due_parent;
    for (unsigned side = 0; side < 2; side++)
        at(heap, last)->due_child[side] = span->due_child[side];
    due_rename(heap, id, last);
    return last;
}

/* Changes places with its parent. */
static void step_up(struct ebb_heap *heap, span_id id)
{
    struct span *span = at(heap, id);
    span_id above = span->due_parent;
    struct span *parent = at(heap, above);
    unsigned side = side_of(heap, above, id);
    span_id sibling = parent->due_child[!side];
    replace(heap, parent->due_parent, above, id);
    span->due_parent = parent->due_parent;
    for (unsigned s = 0; s < 2; s++)
        parent->due_child[s] = span->due_child[s];
    span->due_child[side] = above;
    span->due_child[!side] = sibling;
    tell_children(heap, above);
    tell_children(heap, id);
}

/* ---- the order ---- */

static bool is_before(const struct ebb_heap *heap, span_id a, span_id b)
{
    return at(heap, a)->due < at(heap, b)->due;
}

/* 0: it has none. */
static span_id first_child(const struct ebb_heap *heap, span_id id)
{
    const span_id *child = at(heap, id)->due_child;
    return child[1] != 0 && is_before(heap, child[1], child[0]) ? child[1] : child[0];
}

/* To where its due time belongs, up or down. */
static void settle(struct ebb_heap *heap, span_id id)
{
    const struct span *span = at(heap, id);
    while (span->due_parent != 0 && is_before(heap, id, span->due_parent))
        step_up(heap, id);
    for (span_id child = first_child(heap, id); child != 0 && is_before(heap, child, id);
         child = first_child(heap, id))
        step_up(heap, child);
}

void due_set(struct ebb_heap *heap, span_id id, uint64_t due)
{
    struct span *span = at(heap, id);
    uint64_t before = span->due;
    if (due == before)
        return;
    span->due = due;
    if (before == UINT64_MAX)
        append(heap, id);
    else if (due == UINT64_MAX)
        id = extract(heap, id);
    if (id != 0)
        settle(heap, id);
}
