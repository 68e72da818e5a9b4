/* SPDX-License-Identifier: MIT */
/* due.c: which span wants a visit first: a pairing heap threaded through the span descriptors, so
 * that it needs no memory of its own (Fredman, Sedgewick, Sleator, Tarjan 1986).
 *
 * A node's children form a list by due_next; due_prev is the left neighbour, for the first child
 * the parent, for the root 0.
 */
#include "internal.h"

static struct span *at(const struct ebb_heap *heap, span_id id)
{
    return pool_span(heap->pool, id);
}

/* Joins two trees; either may be 0. */
static span_id meld(struct ebb_heap *heap, span_id a, span_id b)
{
    if (a == 0 || b == 0)
        return a == 0 ? b : a;
    if (at(heap, b)->due < at(heap, a)->due) {
        span_id swap = a;
        a = b;
        b = swap;
    }
    struct span *parent = at(heap, a), *child = at(heap, b);
    child->due_next = parent->due_child;
    if (child->due_next != 0)
        at(heap, child->due_next)->due_prev = b;
    child->due_prev = a;
    parent->due_child = b;
    return a;
}

/* Joins a list of trees in pairs from the left, then the pairs from the right. */
static span_id meld_list(struct ebb_heap *heap, span_id first)
{
    span_id pairs = 0; /* a stack by due_next */
    while (first != 0) {
        span_id second = at(heap, first)->due_next;
        span_id rest = second != 0 ? at(heap, second)->due_next : 0;
        at(heap, first)->due_next = at(heap, first)->due_prev = 0;
        if (second != 0)
            at(heap, second)->due_next = at(heap, second)->due_prev = 0;
        span_id pair = meld(heap, first, second);
        at(heap, pair)->due_next = pairs;
        pairs = pair;
        first = rest;
    }
    span_id root = 0;
    while (pairs != 0) {
        span_id next = at(heap, pairs)->due_next;
        at(heap, pairs)->due_next = 0;
        root = meld(heap, root, pairs);
        pairs = next;
    }
    return root;
}

static void cut(struct ebb_heap *heap, span_id id)
{
    struct span *span = at(heap, id);
    if (heap->due_root == id) {
        heap->due_root = 0;
    } else {
        struct span *left = at(heap, span->due_prev);
        if (left->due_child == id)
            left->due_child = span->due_next;
        else
            left->due_next = span->due_next;
        if (span->due_next != 0)
            at(heap, span->due_next)->due_prev = span->due_prev;
    }
    span->due_next = span->due_prev = 0;
}

void due_rename(struct ebb_heap *heap, span_id from, span_id to)
{
    const struct span *span = at(heap, to);
    if (span->due == UINT64_MAX)
        return;
    if (span->due_child != 0)
        at(heap, span->due_child)->due_prev = to;
    if (span->due_next != 0)
        at(heap, span->due_next)->due_prev = to;
    if (heap->due_root == from)
        heap->due_root = to;
    else if (at(heap, span->due_prev)->due_child == from)
        at(heap, span->due_prev)->due_child = to;
    else
        at(heap, span->due_prev)->due_next = to;
}

void due_set(struct ebb_heap *heap, span_id id, uint64_t due)
{
    struct span *span = at(heap, id);
    if (span->due == due)
        return;
    if (span->due != UINT64_MAX) {
        cut(heap, id);
        if (due > span->due || due == UINT64_MAX) { /* its children may come before it now */
            span_id children = span->due_child;
            span->due_child = 0;
            heap->due_root = meld(heap, heap->due_root, meld_list(heap, children));
        }
    }
    span->due = due;
    if (due != UINT64_MAX)
        heap->due_root = meld(heap, heap->due_root, id);
}
