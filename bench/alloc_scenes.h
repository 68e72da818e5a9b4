/* SPDX-License-Identifier: MIT */
/* alloc_scenes.h: what `alloc` does with one allocator; each adds its figures to the report. */
#ifndef EBB_BENCH_ALLOC_SCENES_H
#define EBB_BENCH_ALLOC_SCENES_H

#include <stddef.h>
#include <stdint.h>

#include "bed.h"
#include "report.h"

struct alloc_plan {
    enum bed_kind kind;
    uint64_t live_bytes;
    double written; /* times live_bytes, in each writing phase */
    size_t chunk;   /* bytes, of the first four scenes */
    double period;  /* of square */
    uint64_t seed;
};

void alloc_workload(const struct alloc_plan *plan, struct report *report,
                    const struct workload *workload);
/* The five scenes by number, then the square wave. */
void alloc_all_freed(const struct alloc_plan *plan, struct report *report);
void alloc_whoops(const struct alloc_plan *plan, struct report *report);
void alloc_one_in_the_middle(const struct alloc_plan *plan, struct report *report);
void alloc_library(const struct alloc_plan *plan, struct report *report);
void alloc_long_job(const struct alloc_plan *plan, struct report *report);
void alloc_square(const struct alloc_plan *plan, struct report *report);

#endif
