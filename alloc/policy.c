/* SPDX-License-Identifier: MIT */
/* policy.c: whether to compact, and why. Pure: statistics in, a reason out; compact.c does it.
 *
 * Waste is what evacuation could free: whole spans' worth of free slots, class by class. It is held
 * in a band of the bytes in slots, so that a heap in steady state, which refills the slots it
 * frees, is left alone and copies nothing. A load that shifts from some sizes to others makes waste
 * as long as it does: what has been compacted just now is compacted again the sooner.
 */
#include "internal.h"

/* Of the bytes in slots: above this much waste compaction works. */
static const unsigned band_divisors[] = {
    [COMPACT_CALM] = 32,
    [COMPACT_SETTLING] = 48,
    [COMPACT_ACTIVE] = 80,
};

enum ebb_reason policy_compact(const struct compact_view *view)
{
    if (view->reclaimable_bytes == 0)
        return EBB_REASON_NONE;
    if (view->urge == EBB_URGE_MANUAL)
        return EBB_REASON_MANUAL;
    /* Memory is short: every span counts, whatever it costs. */
    if (view->urge == EBB_URGE_PRESSURE)
        return EBB_REASON_PRESSURE;
    /* Less than this nobody will miss, and a small heap has no steady state to disturb. */
    if (view->reclaimable_bytes < view->small_bytes)
        return EBB_REASON_SMALL;
    if (view->reclaimable_bytes <= view->slot_bytes / band_divisors[view->phase])
        return EBB_REASON_PACKED;
    return EBB_REASON_WASTE;
}

size_t policy_reclaimable(const struct class_table *table, unsigned class_index,
                          const struct heap_class *class)
{
    if (class->spans == 0 || class_index == CLASS_LARGE)
        return 0;
    uint64_t free_slots = class->slots - class->used;
    uint64_t whole_spans = free_slots * class->spans / class->slots;
    if (whole_spans > 0)
        return whole_spans * (class->pages / class->spans) * EBB_PAGE_BYTES;
    /* No whole span's worth; but a class that shrank may do with one shorter span. */
    if (class->spans > 1)
        return 0;
    size_t live_bytes = class->used * table->slot_bytes[class_index];
    unsigned rung = class_rung(table, class_index, class->rung, live_bytes);
    unsigned pages = table->rung_pages[class_index][rung];
    if (pages >= class->pages || class_slots(table, class_index, pages) < class->used)
        return 0;
    return (class->pages - pages) * EBB_PAGE_BYTES;
}

const char *ebb_reason_text(enum ebb_reason reason)
{
    static const char *const texts[EBB_REASON_COUNT] = {
        [EBB_REASON_NONE] = "none",         [EBB_REASON_SMALL] = "small",
        [EBB_REASON_PACKED] = "packed",     [EBB_REASON_WASTE] = "waste",
        [EBB_REASON_PRESSURE] = "pressure", [EBB_REASON_MANUAL] = "manual",
    };
    return (unsigned)reason < EBB_REASON_COUNT ? texts[reason] : "unknown";
}
