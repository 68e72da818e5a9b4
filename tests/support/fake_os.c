/* SPDX-License-Identifier: MIT */
/* fake_os.c: see fake_os.h. Contents and residence are the kernel's (mmap, mincore); the clock,
 * the counters and the failures are ours. One thread only. */
#include "fake_os.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* A test double that is itself wrong must not look like a failure of what it tests. */
static void require(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "fake_os: %s\n", what);
    abort();
}

static bool is_to_fail(struct fake_os *fake, enum fake_call call)
{
    size_t number = ++fake->calls[call];
    size_t from = fake->fail_from[call];
    return from != 0 && number >= from && number - from < fake->fail_count[call];
}

static bool counts_and_fails(struct fake_os *fake, enum fake_call call)
{
    bool this_kind = is_to_fail(fake, call), any_kind = is_to_fail(fake, FAKE_ANY);
    fake->failed += this_kind || any_kind;
    return this_kind || any_kind;
}

static bool is_inside(const struct fake_os *fake, const void *start, size_t bytes)
{
    const char *at = start;
    for (unsigned r = 0; r < FAKE_RANGES_MAX; r++) {
        const struct fake_range *range = &fake->ranges[r];
        if (range->start != NULL && at >= range->start && at + bytes <= range->start + range->bytes)
            return true;
    }
    return false;
}

static bool is_whole_pages(const void *start, size_t bytes)
{
    return (uintptr_t)start % EBB_PAGE_BYTES == 0 && bytes % EBB_PAGE_BYTES == 0 && bytes > 0;
}

static void *fake_reserve(void *context, size_t bytes)
{
    struct fake_os *fake = context;
    require(bytes > 0 && bytes % EBB_PAGE_BYTES == 0, "reserve of part of a page");
    if (counts_and_fails(fake, FAKE_RESERVE))
        return NULL;
    for (unsigned r = 0; r < FAKE_RANGES_MAX; r++) {
        if (fake->ranges[r].start != NULL)
            continue;
        void *start =
            mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (start == MAP_FAILED)
            return NULL;
        madvise(start, bytes, MADV_NOHUGEPAGE);
        fake->ranges[r] = (struct fake_range){start, bytes};
        return start;
    }
    require(false, "too many ranges");
    return NULL;
}

static void fake_unreserve(void *context, void *start, size_t bytes)
{
    struct fake_os *fake = context;
    for (unsigned r = 0; r < FAKE_RANGES_MAX; r++) {
        if (fake->ranges[r].start != start)
            continue;
        require(fake->ranges[r].bytes == bytes, "unreserve of another size than reserved");
        munmap(start, bytes);
        fake->ranges[r] = (struct fake_range){NULL, 0};
        return;
    }
    require(false, "unreserve of what is not reserved");
}

static int fake_commit(void *context, void *start, size_t bytes)
{
    struct fake_os *fake = context;
    require(is_whole_pages(start, bytes), "commit of part of a page");
    require(is_inside(fake, start, bytes), "commit outside every range");
    if (counts_and_fails(fake, FAKE_COMMIT))
        return -1;
    require(mprotect(start, bytes, PROT_READ | PROT_WRITE) == 0, "mprotect failed");
    fake->committed_bytes += bytes;
    return 0;
}

static int fake_discard(void *context, void *start, size_t bytes)
{
    struct fake_os *fake = context;
    require(is_whole_pages(start, bytes), "discard of part of a page");
    require(is_inside(fake, start, bytes), "discard outside every range");
    if (counts_and_fails(fake, FAKE_DISCARD))
        return -1;
    require(madvise(start, bytes, MADV_DONTNEED) == 0, "madvise failed");
    fake->discarded_bytes += bytes;
    return 0;
}

static int fake_relocate(void *context, void *from, void *to, size_t bytes)
{
    struct fake_os *fake = context;
    require(is_whole_pages(from, bytes) && is_whole_pages(to, bytes),
            "relocation of part of a page");
    require(is_inside(fake, from, bytes) && is_inside(fake, to, bytes),
            "relocation outside every range");
    require((char *)from + bytes <= (char *)to || (char *)to + bytes <= (char *)from,
            "relocation onto itself");
    if (counts_and_fails(fake, FAKE_RELOCATE))
        return -1;
    int flags = MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP;
    require(mremap(from, bytes, bytes, flags, to) == to, "mremap failed");
    fake->relocated_bytes += bytes;
    return 0;
}

static uint64_t fake_now_ns(void *context)
{
    struct fake_os *fake = context;
    fake->clock_reads++;
    fake->now_ns += fake->tick_ns;
    return fake->now_ns;
}

void fake_os_init(struct fake_os *fake)
{
    *fake = (struct fake_os){
        .os =
            {
                .context = fake,
                .reserve = fake_reserve,
                .unreserve = fake_unreserve,
                .commit = fake_commit,
                .discard = fake_discard,
                .relocate = fake_relocate,
                .now_ns = fake_now_ns,
            },
        .now_ns = UINT64_C(1000000000000), /* a system that has been up for a while */
    };
}

bool fake_os_is_clean(const struct fake_os *fake)
{
    for (unsigned r = 0; r < FAKE_RANGES_MAX; r++)
        if (fake->ranges[r].start != NULL)
            return false;
    return true;
}

void fake_os_fail(struct fake_os *fake, enum fake_call call, size_t nth, size_t count)
{
    fake->fail_from[call] = fake->calls[call] + nth;
    fake->fail_count[call] = count;
}

void fake_os_fail_never(struct fake_os *fake)
{
    memset(fake->fail_from, 0, sizeof fake->fail_from);
}

void fake_os_turn(struct fake_os *fake, uint64_t ms)
{
    fake->now_ns += ms * 1000000;
}

size_t fake_os_resident_bytes(const struct fake_os *fake, const void *start, size_t bytes)
{
    unsigned char present[4096];
    size_t pages = 0;
    require(is_whole_pages(start, bytes), "residence of part of a page");
    require(is_inside(fake, start, bytes), "residence outside every range");
    while (bytes > 0) {
        size_t now = sizeof present * EBB_PAGE_BYTES;
        now = bytes < now ? bytes : now;
        require(mincore((void *)(uintptr_t)start, now, present) == 0, "mincore failed");
        for (size_t p = 0; p < now / EBB_PAGE_BYTES; p++)
            pages += present[p] & 1;
        start = (const char *)start + now;
        bytes -= now;
    }
    return pages * EBB_PAGE_BYTES;
}
