/* SPDX-License-Identifier: MIT */
/* class.c: which slot size serves an object, and how long its spans may be. Pure.
 *
 * Slot sizes grow by 4 bytes up to 128, then by 32 steps a doubling up to 64 KiB: rounding costs at
 * most 3.1 % and 1.6 % on average. A size is thus (32 + i) * 2^j, and a run of (32 + i) pages, or
 * of its odd part, has no tail: the longer rungs of each class are chosen to end on one.
 */
#include <stddef.h>

#include "internal.h"

#define LINEAR_CLASSES 32u /* 4, 8 .. 128 */
#define LINEAR_BYTES   128u
#define STEP_CLASSES   32u /* to a doubling, above */

unsigned class_of(size_t bytes)
{
    if (bytes <= LINEAR_BYTES)
        return (unsigned)((bytes - 1) / EBB_GRANULE_BYTES);
    unsigned last = (unsigned)bytes - 1;
    unsigned exponent = 31u - (unsigned)__builtin_clz(last); /* >= 7 */
    unsigned step = (last >> (exponent - 5)) - STEP_CLASSES;
    return LINEAR_CLASSES + (exponent - 7) * STEP_CLASSES + step;
}

size_t class_bytes(unsigned class_index)
{
    if (class_index < LINEAR_CLASSES)
        return (class_index + 1) * (size_t)EBB_GRANULE_BYTES;
    unsigned above = class_index - LINEAR_CLASSES;
    return (size_t)(STEP_CLASSES + 1 + above % STEP_CLASSES) << (2 + above / STEP_CLASSES);
}

static unsigned slots_in(size_t slot_bytes, unsigned pages)
{
    size_t slots = (size_t)pages * EBB_PAGE_BYTES / slot_bytes;
    return (unsigned)(slots < SPAN_SLOTS_MAX ? slots : SPAN_SLOTS_MAX);
}

/* Bytes at the end of a run that no slot uses. */
static size_t tail_bytes(size_t slot_bytes, unsigned pages)
{
    return (size_t)pages * EBB_PAGE_BYTES - slots_in(slot_bytes, pages) * slot_bytes;
}

/* The length in [least, 2 * least) that loses the smallest share to its tail; 0 if each loses more
 * than an eighth. */
static unsigned best_pages(size_t slot_bytes, unsigned least)
{
    unsigned best = 0;
    size_t best_tail = 0;
    for (unsigned pages = least; pages < 2 * least && pages <= SPAN_PAGES_MAX; pages++) {
        if (slots_in(slot_bytes, pages) == 0)
            continue;
        size_t tail = tail_bytes(slot_bytes, pages);
        if (tail * 8 > (size_t)pages * EBB_PAGE_BYTES)
            continue;
        if (best == 0 || tail * best < best_tail * pages) {
            best = pages;
            best_tail = tail;
        }
    }
    return best;
}

/* Whether a longer span is worth having: it loses no larger share than the shorter one does, or
 * next to nothing. Where the limit on slots bites it would be longer without holding more. */
static bool is_worth_having(size_t slot_bytes, unsigned pages, unsigned shorter)
{
    size_t tail = tail_bytes(slot_bytes, pages);
    return tail * shorter <= tail_bytes(slot_bytes, shorter) * pages ||
           tail * 64 <= (size_t)pages * EBB_PAGE_BYTES;
}

/* When every length wastes more than an eighth (slots of one granule, and shrunken constants), the
 * shortest that holds a slot. */
static unsigned fallback_pages(size_t slot_bytes)
{
    unsigned pages = (unsigned)((slot_bytes + EBB_PAGE_BYTES - 1) / EBB_PAGE_BYTES);
    return pages;
}

void class_table_init(struct class_table *table)
{
    for (unsigned c = 0; c < EBB_CLASS_COUNT; c++) {
        size_t slot_bytes = class_bytes(c);
        table->slot_bytes[c] = (uint32_t)slot_bytes;
        table->magic[c] = (uint32_t)(((UINT64_C(1) << 32) + slot_bytes - 1) / slot_bytes);
        unsigned count = 0;
        for (unsigned least = 1; least <= SPAN_PAGES_MAX / 2 && count < RUNG_COUNT; least *= 2) {
            unsigned pages = best_pages(slot_bytes, least);
            if (pages == 0)
                continue;
            if (count == 0 || is_worth_having(slot_bytes, pages, table->rung_pages[c][count - 1]))
                table->rung_pages[c][count++] = (uint8_t)pages;
        }
        if (count == 0)
            table->rung_pages[c][count++] = (uint8_t)fallback_pages(slot_bytes);
        table->rung_count[c] = (uint8_t)count;
    }
}

unsigned class_slots(const struct class_table *table, unsigned class_index, unsigned pages)
{
    return slots_in(table->slot_bytes[class_index], pages);
}

/* What a class of so many bytes would lose less to tails in spans of the next rung. */
static size_t tails_saved(const struct class_table *table, unsigned class_index, unsigned rung,
                          size_t live_bytes)
{
    const uint8_t *pages = table->rung_pages[class_index];
    size_t slot_bytes = table->slot_bytes[class_index];
    size_t span = (size_t)pages[rung] * EBB_PAGE_BYTES;
    size_t next = (size_t)pages[rung + 1] * EBB_PAGE_BYTES;
    size_t now = live_bytes * tail_bytes(slot_bytes, pages[rung]) / span;
    size_t then = live_bytes * tail_bytes(slot_bytes, pages[rung + 1]) / next;
    return now > then ? now - then : 0;
}

unsigned class_rung(const struct class_table *table, unsigned class_index, unsigned rung,
                    size_t live_bytes)
{
    const uint8_t *pages = table->rung_pages[class_index];
    unsigned top = table->rung_count[class_index] - 1u;
    if (rung > top)
        rung = top;
    for (; rung < top; rung++) {
        size_t next = (size_t)pages[rung + 1] * EBB_PAGE_BYTES;
        if (live_bytes < next * 32 && tails_saved(table, class_index, rung, live_bytes) < next)
            break;
    }
    for (; rung > 0; rung--) {
        size_t span = (size_t)pages[rung] * EBB_PAGE_BYTES;
        if (live_bytes >= span * 8 ||
            tails_saved(table, class_index, rung - 1, live_bytes) >= span / 2)
            break;
    }
    return rung;
}
