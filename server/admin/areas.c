/* SPDX-License-Identifier: MIT */
/* areas.c: mappings, the stacks among them, and their resident pages. About 0.1 ms for a server
 * with a dozen threads; main thread only.
 */
#include "areas.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LINES_BYTES    8192u
#define STACKS_MAX     256u
#define PAGES_PER_READ 1024u
/* Larger mappings are reservations (sanitizers make some of many TiB), not memory. */
#define AREA_MAX_BYTES ((size_t)4 << 30)
/* A sample looks at no more pages than these: 128 MiB, less than a millisecond. */
#define PAGES_PER_SAMPLE_MAX 32768u

struct stack {
    long thread;
    uintptr_t pointer; /* somewhere in the stack */
};

struct areas {
    int maps_fd, pagemap_fd; /* pagemap_fd < 0: forbidden here, mincore() must do */
    size_t page_bytes;
    uintptr_t excluded_start, excluded_end;
    struct stack stacks[STACKS_MAX];
    size_t stack_count;
    size_t pages_left; /* of this sample's budget */
    bool is_partial;   /* it was not enough */
    struct area before;
    enum area_kind before_kind;
    size_t *bytes; /* of the caller, during a read */
};

/* ---- one line ---- */

/* 7f2c1a000000-7f2c1a021000 rw-p 00000000 08:01 1234   /usr/lib/libc.so.6 */
bool area_parse(const char *line, struct area *area)
{
    char mode[5] = "", path[16] = "";
    unsigned long start, end, inode;
    if (sscanf(line, "%lx-%lx %4s %*s %*s %lu %15s", &start, &end, mode, &inode, path) < 4)
        return false;
    *area = (struct area){
        .start = start,
        .end = end,
        .is_accessible = strncmp(mode, "---", 3) != 0,
        .is_writable = mode[1] == 'w',
        .is_private = mode[3] == 'p',
        .is_file = inode != 0 || path[0] == '/',
    };
    if (path[0] == '[')
        memcpy(area->name, path, sizeof area->name);
    return true;
}

enum area_kind area_kind_of(const struct area *area, const struct area *before,
                            enum area_kind before_kind)
{
    if (!area->is_accessible || !area->is_private)
        return AREA_NONE;
    if (area->is_file)
        return AREA_PROGRAM;
    if (strcmp(area->name, "[stack]") == 0)
        return AREA_STACK;
    if (strcmp(area->name, "[heap]") == 0 || strncmp(area->name, "[anon:", 6) == 0)
        return AREA_LIBC;
    if (area->name[0] != '\0')
        return AREA_NONE; /* [vdso] and its like are no memory of ours */
    /* A bss is the anonymous end of a writable file mapping. */
    if (before_kind == AREA_PROGRAM && before->is_file && before->is_writable &&
        area->is_writable && area->start == before->end)
        return AREA_PROGRAM;
    return AREA_LIBC;
}

/* ---- stacks ---- */

/* The stack pointer of a thread that sleeps in the kernel: "nr arguments sp pc". 0 when it runs. */
static uintptr_t stack_pointer_of(long thread)
{
    char path[64], text[256];
    snprintf(path, sizeof path, "/proc/self/task/%ld/syscall", thread);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t len = read(fd, text, sizeof text - 1);
    close(fd);
    if (len <= 0)
        return 0;
    text[len] = '\0';
    char *program_counter = strrchr(text, ' ');
    if (program_counter == NULL)
        return 0; /* "running" */
    *program_counter = '\0';
    char *pointer = strrchr(text, ' ');
    return pointer == NULL ? 0 : strtoul(pointer + 1, NULL, 16);
}

static uintptr_t known_stack(const struct stack *stacks, size_t count, long thread)
{
    for (size_t i = 0; i < count; i++)
        if (stacks[i].thread == thread)
            return stacks[i].pointer;
    return 0;
}

/* A mapping is a stack when a thread's stack pointer is in it: true whatever libc puts around its
 * stacks. Threads that run just now are found by a later sample. */
static void find_stacks(struct areas *areas)
{
    DIR *tasks = opendir("/proc/self/task");
    if (tasks == NULL)
        return;
    struct stack found[STACKS_MAX] = {{0, 0}};
    size_t count = 0;
    struct dirent *task;
    while ((task = readdir(tasks)) != NULL && count < STACKS_MAX) {
        long thread = strtol(task->d_name, NULL, 10);
        if (thread == 0)
            continue;
        uintptr_t pointer = known_stack(areas->stacks, areas->stack_count, thread);
        if (pointer == 0)
            pointer = stack_pointer_of(thread);
        if (pointer != 0)
            found[count++] = (struct stack){thread, pointer};
    }
    closedir(tasks);
    memcpy(areas->stacks, found, count * sizeof found[0]);
    areas->stack_count = count;
}

static bool holds_stack(const struct areas *areas, const struct area *area)
{
    for (size_t i = 0; i < areas->stack_count; i++)
        if (areas->stacks[i].pointer >= area->start && areas->stacks[i].pointer < area->end)
            return true;
    return false;
}

/* ---- pages ---- */

/* The bits of an entry of pagemap that everybody may see. Reading memory that was never written
 * maps the one page of zeros, which the kernel does not count as resident and which is never ours
 * alone; a page of ours is, as we do not fork. */
#define PAGE_PRESENT (UINT64_C(1) << 63)
#define PAGE_OF_FILE (UINT64_C(1) << 61) /* or shared memory */
#define PAGE_ALONE   (UINT64_C(1) << 56) /* mapped nowhere else */

static ssize_t count_in_pagemap(const struct areas *areas, uintptr_t start, size_t count)
{
    uint64_t entries[PAGES_PER_READ];
    off_t offset = (off_t)(start / areas->page_bytes * sizeof entries[0]);
    ssize_t len = pread(areas->pagemap_fd, entries, count * sizeof entries[0], offset);
    if (len < 0)
        return -1;
    ssize_t present = 0;
    for (size_t i = 0; i < (size_t)len / sizeof entries[0]; i++)
        present += (entries[i] & (PAGE_PRESENT | PAGE_OF_FILE | PAGE_ALONE)) ==
                   (PAGE_PRESENT | PAGE_ALONE);
    return present;
}

static ssize_t count_by_mincore(const struct areas *areas, uintptr_t start, size_t count)
{
    unsigned char in_core[PAGES_PER_READ];
    ssize_t present = 0;
    if (mincore((void *)start, count * areas->page_bytes, in_core) != 0)
        return 0; /* unmapped since its line was read */
    for (size_t i = 0; i < count; i++)
        present += in_core[i] & 1;
    return present;
}

static size_t resident_bytes(struct areas *areas, const struct area *area)
{
    size_t pages = (area->end - area->start) / areas->page_bytes, present = 0;
    for (size_t at = 0; at < pages;) {
        size_t count = pages - at < PAGES_PER_READ ? pages - at : PAGES_PER_READ;
        uintptr_t start = area->start + at * areas->page_bytes;
        if (count > areas->pages_left) {
            areas->is_partial = true;
            break;
        }
        areas->pages_left -= count;
        at += count;
        ssize_t here = areas->pagemap_fd < 0 ? -1 : count_in_pagemap(areas, start, count);
        if (here < 0 && !area->is_file) /* of a file, mincore would count the page cache */
            here = count_by_mincore(areas, start, count);
        present += here > 0 ? (size_t)here : 0;
    }
    return present * areas->page_bytes;
}

/* ---- all of them ---- */

static void add_line(struct areas *areas, const char *line)
{
    struct area area;
    if (!area_parse(line, &area))
        return;
    enum area_kind kind = area_kind_of(&area, &areas->before, areas->before_kind);
    if (area.start >= areas->excluded_start && area.start < areas->excluded_end)
        kind = AREA_NONE;
    if (kind == AREA_LIBC && holds_stack(areas, &area))
        kind = AREA_STACK;
    areas->before = area;
    areas->before_kind = kind;
    if (kind != AREA_NONE && area.end - area.start > AREA_MAX_BYTES)
        areas->is_partial = true;
    else if (kind != AREA_NONE)
        areas->bytes[kind] += resident_bytes(areas, &area);
}

/* Handles the whole lines of `text` and returns how many bytes they are. */
static size_t add_lines(struct areas *areas, char *text, size_t len)
{
    size_t used = 0;
    char *end;
    while ((end = memchr(text + used, '\n', len - used)) != NULL) {
        *end = '\0';
        add_line(areas, text + used);
        used = (size_t)(end - text) + 1;
    }
    return used;
}

int areas_read(struct areas *areas, size_t thread_count, size_t bytes[AREA_KIND_COUNT])
{
    if (thread_count != areas->stack_count)
        find_stacks(areas);
    memset(bytes, 0, AREA_KIND_COUNT * sizeof bytes[0]);
    areas->bytes = bytes;
    areas->pages_left = PAGES_PER_SAMPLE_MAX;
    areas->is_partial = false;
    areas->before = (struct area){.start = 0};
    areas->before_kind = AREA_NONE;
    char text[LINES_BYTES];
    size_t len = 0;
    off_t offset = 0;
    ssize_t got;
    while ((got = pread(areas->maps_fd, text + len, sizeof text - len, offset)) > 0) {
        offset += got;
        len += (size_t)got;
        size_t used = add_lines(areas, text, len);
        if (used == 0 && len == sizeof text)
            return -1; /* no path is as long as that */
        memmove(text, text + used, len - used);
        len -= used;
    }
    return got < 0 ? -1 : areas->is_partial;
}

int areas_create(struct areas **out)
{
    struct areas *areas = calloc(1, sizeof *areas);
    if (areas == NULL)
        return -1;
    areas->page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    areas->maps_fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    areas->pagemap_fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    if (areas->maps_fd < 0) {
        areas_destroy(areas);
        return -1;
    }
    *out = areas;
    return 0;
}

void areas_destroy(struct areas *areas)
{
    if (areas == NULL)
        return;
    if (areas->maps_fd >= 0)
        close(areas->maps_fd);
    if (areas->pagemap_fd >= 0)
        close(areas->pagemap_fd);
    free(areas);
}

void areas_exclude(struct areas *areas, const void *start, size_t bytes)
{
    areas->excluded_start = (uintptr_t)start;
    areas->excluded_end = (uintptr_t)start + bytes;
}
