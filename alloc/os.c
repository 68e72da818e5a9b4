/* SPDX-License-Identifier: MIT */
/* os.c: the only file that asks the system for memory, and the two builds' poison.
 *
 * The address range is kept out of transparent huge pages: with them one live page would make the
 * kernel charge 2 MiB, and give nothing back until all of it is free.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

#if defined(__SANITIZE_ADDRESS__)
#define HAS_ADDRESS_SANITIZER 1
#elif defined(__has_feature) /* clang's way of saying it */
#if __has_feature(address_sanitizer)
#define HAS_ADDRESS_SANITIZER 1
#endif
#endif

#ifdef HAS_ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
#endif

static void *system_reserve(void *context, size_t bytes)
{
    (void)context;
    void *start = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED)
        return NULL;
    /* Fails where the kernel has no huge pages: then there is nothing to keep out. */
    (void)madvise(start, bytes, MADV_NOHUGEPAGE);
    return start;
}

static void system_unreserve(void *context, void *start, size_t bytes)
{
    (void)context;
    munmap(start, bytes);
}

static int system_commit(void *context, void *start, size_t bytes)
{
    (void)context;
    return mprotect(start, bytes, PROT_READ | PROT_WRITE);
}

/* Not MADV_FREE: the kernel would go on charging the pages until it is short of memory. */
static int system_discard(void *context, void *start, size_t bytes)
{
    (void)context;
    return madvise(start, bytes, MADV_DONTNEED);
}

/* Since Linux 5.7 the old place stays mapped, and so no other thread can get it meanwhile. */
static int system_relocate(void *context, void *from, void *to, size_t bytes)
{
    (void)context;
#ifdef MREMAP_DONTUNMAP
    int flags = MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP;
    return mremap(from, bytes, bytes, flags, to) == MAP_FAILED ? -1 : 0;
#else
    (void)from, (void)to, (void)bytes;
    return -1;
#endif
}

static uint64_t system_now_ns(void *context)
{
    (void)context;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Kernels for arm64 and ppc64 may have 16 or 64 KiB. */
static size_t system_page_bytes(void *context)
{
    (void)context;
    return (size_t)sysconf(_SC_PAGESIZE);
}

const struct ebb_os ebb_os_system = {
    .reserve = system_reserve,
    .unreserve = system_unreserve,
    .commit = system_commit,
    .discard = system_discard,
    .relocate = system_relocate,
    .now_ns = system_now_ns,
    .page_bytes = system_page_bytes,
};

void ebb_assert_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "ebb: %s:%d: violated: %s\n", file, line, condition);
    abort();
}

void slot_poison(void *data, size_t bytes)
{
#ifdef EBB_HARD
    memset(data, 0xDB, bytes);
#endif
#ifdef HAS_ADDRESS_SANITIZER
    __asan_poison_memory_region(data, bytes);
#endif
    (void)data;
    (void)bytes;
}

void slot_unpoison(void *data, size_t bytes)
{
#ifdef HAS_ADDRESS_SANITIZER
    __asan_unpoison_memory_region(data, bytes);
#endif
    (void)data;
    (void)bytes;
}
