/* SPDX-License-Identifier: MIT */
/* bed.c: see bed.h. Ebb's upkeep is called between operations as a program with a timer would call
 * it: a slice, then a pause 19 times as long; nothing to do, a pause of 10 ms; while the program
 * rests, a pause 3 times as long.
 */
#include "bed.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "proc.h"

#define SLICE_NS      100000u
#define TRIM_BYTES    (512u * 1024) /* at once */
#define TRIM_NS       200000u
#define PAUSE_BUSY    19u
#define PAUSE_RESTING 3u
#define PAUSE_DONE_NS 10000000u
#define TICK_MASK     63u /* the clock is read once in so many operations */

/* ---- life ---- */

static void *map(size_t bytes)
{
    void *start = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (start == MAP_FAILED)
        die("no memory for a table of %zu bytes", bytes);
    return start;
}

static void moved(void *context, ebb_ref from, ebb_ref to, void *data)
{
    struct bed *bed = context;
    uint64_t number;
    memcpy(&number, data, sizeof number);
    if (number >= bed->capacity || bed->handles[number].ref != from)
        die("object %llu was moved, but it was not there", (unsigned long long)number);
    bed->handles[number].ref = to;
}

static void about_to_move(void *context, ebb_ref ref, void *data)
{
    struct bed *bed = context;
    uint64_t number;
    (void)ref;
    memcpy(&number, data, sizeof number);
    __builtin_prefetch(&bed->handles[number], 1);
}

static void open_heap(struct bed *bed)
{
    struct ebb_owner owner = {.context = bed, .moved = moved, .about_to_move = about_to_move};
    if (ebb_pool_create(&bed->pool, NULL) != 0 ||
        ebb_heap_create(&bed->heap, bed->pool, &owner) != 0)
        die("no heap");
    bed->base = ebb_pool_base(bed->pool);
}

void bed_open(struct bed *bed, enum bed_kind kind, size_t capacity, uint64_t seed)
{
    *bed = (struct bed){.kind = kind, .prng = prng_seeded(seed), .capacity = capacity};
    bed->table =
        (struct table){.entries = map(capacity * sizeof(struct entry)), .capacity = capacity};
    bed->handles = map(capacity * sizeof *bed->handles);
    bed->spare = map(capacity * sizeof *bed->spare);
    while (bed->spare_count < capacity) {
        bed->spare[bed->spare_count] = (uint32_t)(capacity - 1 - bed->spare_count);
        bed->spare_count++;
    }
    if (kind != BED_MALLOC)
        open_heap(bed);
    bed->base_rss_bytes = proc_rss(getpid());
}

void bed_close(struct bed *bed)
{
    while (bed->table.count > 0)
        bed_drop(bed, bed->table.count - 1);
    if (bed->kind != BED_MALLOC) {
        ebb_heap_destroy(bed->heap);
        ebb_pool_destroy(bed->pool);
    }
    munmap(bed->table.entries, bed->capacity * sizeof(struct entry));
    munmap(bed->handles, bed->capacity * sizeof *bed->handles);
    munmap(bed->spare, bed->capacity * sizeof *bed->spare);
    *bed = (struct bed){0};
}

/* ---- upkeep ---- */

/* true: more is due. */
static bool trim(struct bed *bed, uint64_t deadline_ns)
{
    while (ebb_pool_trim(bed->pool, TRIM_BYTES, false) >= TRIM_BYTES)
        if (clock_ns() >= deadline_ns)
            return true;
    return false;
}

static void upkeep(struct bed *bed, unsigned pause)
{
    uint64_t begin = clock_ns();
    bool more = ebb_compact(bed->heap, EBB_URGE_CALM, SLICE_NS, NULL) == EBB_COMPACT_MORE;
    if (bed->kind != BED_EBB_KEEP)
        more = trim(bed, clock_ns() + TRIM_NS) || more;
    uint64_t now = clock_ns(), spent = now - begin;
    if (spent > bed->slice_ns)
        bed->slice_ns = spent;
    bed->upkeep_ns = now + (more ? spent * pause : PAUSE_DONE_NS);
}

static void tick(struct bed *bed)
{
    if ((++bed->operations & TICK_MASK) == 0 && bed->kind != BED_MALLOC &&
        clock_ns() >= bed->upkeep_ns)
        upkeep(bed, PAUSE_BUSY);
}

void bed_rest(struct bed *bed, uint64_t ms)
{
    if (bed->kind == BED_MALLOC) {
        sleep_ms(ms);
        return;
    }
    for (uint64_t end = clock_ns() + ms * 1000000; clock_ns() < end;) {
        upkeep(bed, PAUSE_RESTING);
        uint64_t until = bed->upkeep_ns < end ? bed->upkeep_ns : end, now = clock_ns();
        struct timespec pause = {.tv_nsec = until > now ? (long)(until - now) : 0};
        nanosleep(&pause, NULL);
    }
}

/* ---- objects ---- */

static void *object_at(const struct bed *bed, uint64_t number)
{
    return bed->kind == BED_MALLOC ? bed->handles[number].pointer
                                   : ebb_at(bed->base, bed->handles[number].ref);
}

void bed_add(struct bed *bed, uint32_t bytes)
{
    if (bed->spare_count == 0 || bytes < BED_OBJECT_LEAST)
        die("no room for an object of %u bytes", bytes);
    uint32_t number = bed->spare[--bed->spare_count];
    union bed_handle *handle = &bed->handles[number];
    if (bed->kind == BED_MALLOC)
        handle->pointer = malloc(bytes);
    else
        handle->ref = ebb_alloc(bed->heap, bytes);
    if (handle->ref == 0)
        die("the allocator has no memory for %u bytes", bytes);
    struct entry entry = {number, bytes, bed->next_version++};
    value_write(object_at(bed, number), bytes, number, entry.version);
    table_add(&bed->table, entry);
    bed->live_bytes += bytes;
    tick(bed);
}

void bed_drop(struct bed *bed, size_t at)
{
    struct entry entry = table_remove(&bed->table, at);
    if (bed->kind == BED_MALLOC)
        free(bed->handles[entry.id].pointer);
    else
        ebb_free(bed->heap, bed->handles[entry.id].ref);
    bed->spare[bed->spare_count++] = (uint32_t)entry.id;
    bed->live_bytes -= entry.bytes;
    tick(bed);
}

void bed_write(struct bed *bed, struct sizes sizes, uint64_t live_bytes, uint64_t bytes)
{
    for (uint64_t written = 0; written < bytes;) {
        uint32_t next = sizes_pick(sizes, &bed->prng);
        while (bed->live_bytes + next > live_bytes && bed->table.count > 0)
            bed_drop(bed, table_pick(&bed->table, &bed->prng));
        bed_add(bed, next);
        written += next;
    }
}

void bed_thin(struct bed *bed, size_t left)
{
    while (bed->table.count > left)
        bed_drop(bed, table_pick(&bed->table, &bed->prng));
}

void bed_verify(const struct bed *bed)
{
    for (size_t i = 0; i < bed->table.count; i++) {
        const struct entry *entry = &bed->table.entries[i];
        if (!value_is_right(object_at(bed, entry->id), entry->bytes, entry->id, entry->version))
            die("object %llu of %u bytes is not what was written", (unsigned long long)entry->id,
                entry->bytes);
    }
}

/* ---- figures ---- */

double bed_resident(const struct bed *bed)
{
    return (double)proc_rss(getpid()) - (double)bed->base_rss_bytes;
}

struct bed_cost bed_cost(void)
{
    struct rusage usage;
    struct timespec cpu;
    getrusage(RUSAGE_SELF, &usage);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    return (struct bed_cost){(double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9,
                             (double)(usage.ru_minflt + usage.ru_majflt)};
}
