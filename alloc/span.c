/* SPDX-License-Identifier: MIT */
/* span.c: slots inside a span. Knows the free bitmap and arithmetic, no lists and no pages. */
#include <stdio.h>

#include "bits.h"
#include "internal.h"

enum span_bucket span_bucket_of(const struct span *span)
{
    if (span->used == 0)
        return BUCKET_EMPTY;
    if (span->used == span->slots)
        return BUCKET_FULL;
    return (enum span_bucket)(span->used * (unsigned)BUCKET_EIGHTHS / span->slots);
}

unsigned span_take_slot(struct span *span)
{
    for (unsigned w = 0; w < SPAN_WORDS; w++) {
        uint64_t word = span->free_map[w];
        if (word != 0) {
            span->free_map[w] = word & (word - 1);
            span->used++;
            return w * 64 + (unsigned)__builtin_ctzll(word);
        }
    }
    EBB_ASSERT(!"a span with a free slot");
    return 0;
}

void span_give_slot(struct span *span, unsigned slot)
{
    EBB_ASSERT(span_slot_used(span, slot));
    bit_set(span->free_map, slot);
    span->used--;
}

bool span_slot_used(const struct span *span, unsigned slot)
{
    return slot < span->slots && !bit_get(span->free_map, slot);
}

unsigned span_next_used(const struct span *span, unsigned slot)
{
    return (unsigned)bits_next(span->free_map, slot, span->slots, false);
}

size_t span_slot_bytes(const struct ebb_pool *pool, const struct span *span)
{
    if (span->class_index == CLASS_LARGE)
        return (size_t)span->pages * EBB_PAGE_BYTES;
    return pool->classes.slot_bytes[span->class_index];
}

ebb_ref span_ref(const struct ebb_pool *pool, const struct span *span, unsigned slot)
{
    return (ebb_ref)span->first_page * PAGE_GRANULES +
           slot * (span_slot_bytes(pool, span) / EBB_GRANULE_BYTES);
}

unsigned span_slot_of(const struct ebb_pool *pool, const struct span *span, ebb_ref ref)
{
    uint64_t offset = (ref - (ebb_ref)span->first_page * PAGE_GRANULES) * EBB_GRANULE_BYTES;
    if (span->class_index == CLASS_LARGE) {
        EBB_ASSERT(offset == 0);
        return 0;
    }
    uint64_t slot = offset * pool->classes.magic[span->class_index] >> 32;
    EBB_ASSERT(slot * pool->classes.slot_bytes[span->class_index] == offset);
    return (unsigned)slot;
}

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "span at page %u: violated: %s\n", span->first_page, #condition);      \
            return -1;                                                                             \
        }                                                                                          \
    } while (0)

int span_check(const struct ebb_pool *pool, const struct span *span)
{
    CHECK(span->slots > 0 && span->slots <= SPAN_SLOTS_MAX);
    CHECK(bits_count(span->free_map, 0, SPAN_WORDS * 64) + span->used == span->slots);
    CHECK(bits_count(span->free_map, span->slots, SPAN_WORDS * 64) == 0);
    CHECK(span->class_index == CLASS_LARGE
              ? span->slots == 1
              : span->slots * span_slot_bytes(pool, span) <= (size_t)span->pages * EBB_PAGE_BYTES);
    CHECK(span->bucket == span_bucket_of(span) || span->bucket == BUCKET_VICTIM);
    CHECK(span->touched_pages <= span->pages);
    size_t touched = (size_t)span->touched_pages * EBB_PAGE_BYTES;
    for (unsigned s = span_next_used(span, 0); s < span->slots; s = span_next_used(span, s + 1))
        CHECK(span->class_index == CLASS_LARGE || (s + 1) * span_slot_bytes(pool, span) <= touched);
    return 0;
}
