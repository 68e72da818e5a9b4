/* SPDX-License-Identifier: MIT */
/* sample.c: takes the sample and keeps peaks, windows and the follow lag. Main thread only. */
#include "sample.h"

#include <string.h>
#include <time.h>

#include "../store/store.h"

#define NS_PER_SECOND       UINT64_C(1000000000)
#define REFRESH_NS          (NS_PER_SECOND / 5)
#define REFRESH_COST_FACTOR 100u
#define AROUND_NS           (2 * NS_PER_SECOND) /* older is too old for who asks */
#define REPEAT_NS           (10 * NS_PER_SECOND)
#define LOOKS_MAX           3u
#define STILL_SHARE         256u /* so much of what is resident, 0.4 %, is no movement */

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

uint64_t monotonic_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

uint64_t thread_cpu_ns(void)
{
    return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

/* In whole milliseconds: nobody asks for more, and it is told in fewer digits. */
static double unix_seconds(void)
{
    return (double)(clock_ns(CLOCK_REALTIME) / 1000000) / 1e3;
}

bool sample_is_behind(const struct sample *sample)
{
    size_t promised =
        (sample->live_bytes + sample->store.items * FOLLOW_ITEM_BYTES) / 100 * FOLLOW_PERCENT +
        sample->parts.bytes[PART_CONNECTIONS] + FOLLOW_BASE_BYTES;
    return sample->memory.resident_bytes > promised;
}

static size_t connection_bytes(const struct counters *sum)
{
    return sum->connection_bytes + sum->input_bytes + sum->output_bytes;
}

static size_t most(size_t a, size_t b)
{
    return a > b ? a : b;
}

static struct peak peak_of(const struct peak *before, size_t bytes, double now_seconds)
{
    return bytes > before->bytes ? (struct peak){bytes, now_seconds} : *before;
}

static double rate(uint64_t count, uint64_t ns)
{
    return ns == 0 ? 0 : (double)count * 1e9 / (double)ns;
}

static void remember(struct sampler *sampler, const struct sample *before)
{
    struct sample *now = &sampler->last;
    uint64_t now_seconds = now->taken_ns / NS_PER_SECOND;
    for (size_t i = 0; i < WINDOW_COUNT; i++)
        window_add(&sampler->windows[i], now_seconds, now->memory.resident_bytes, now->live_bytes);
    size_t resident = most(now->memory.resident_peak_bytes, now->memory.resident_bytes);
    size_t live = most(now->store.live_peak_bytes, now->live_bytes);
    now->resident_peak = peak_of(&before->resident_peak, resident, now->time_seconds);
    now->live_peak = peak_of(&before->live_peak, live, now->time_seconds);
    now->evicted_per_second =
        rate(now->store.evicted - before->store.evicted, now->taken_ns - before->taken_ns);
    if (!sample_is_behind(now))
        sampler->behind_since_ns = 0;
    else if (sampler->behind_since_ns == 0)
        sampler->behind_since_ns = now->taken_ns;
    now->follow_lag_seconds = sampler->behind_since_ns == 0
                                  ? 0
                                  : (double)(now->taken_ns - sampler->behind_since_ns) / 1e9;
}

/* ---- for others ---- */

void sample_facts(const struct sample *sample, size_t limit_bytes, struct memory_facts *facts)
{
    const struct store_stats *store = &sample->store;
    const uint64_t *connections = sample->counters.connections;
    _Static_assert(PART_COUNT <= FACTS_PARTS_MAX, "there is room for every part");
    *facts = (struct memory_facts){
        .time_seconds = sample->time_seconds,
        .resident_bytes = sample->memory.resident_bytes,
        .live_bytes = sample->live_bytes,
        .limit_bytes = limit_bytes,
        .resident_peak_bytes = sample->resident_peak.bytes,
        .live_peak_bytes = sample->live_peak.bytes,
        .items = store->items,
        .clients = connections[PROTOCOL_RESP] + connections[PROTOCOL_MEMCACHED],
        .unread_bytes = sample->counters.output_bytes + store->item_heap.freed_pinned_bytes,
        .unfinished_bytes = sample->counters.input_bytes,
        .part_count = PART_COUNT,
        .skew_bytes = sample->parts.skew_bytes,
        .reclaimable_bytes =
            store->item_heap.reclaimable_bytes + store->index_heap.reclaimable_bytes,
        .pinned_bytes = store->item_heap.pinned_bytes - store->item_heap.freed_pinned_bytes,
        .idle_bytes = store->pool.idle_bytes,
        .keep_bytes = store->pool.keep_bytes,
        .window_seconds = (double)store->pool.window_ms / 1e3,
        .follow_lag_seconds = sample->follow_lag_seconds,
        .evicted_per_second = sample->evicted_per_second,
        .swap_bytes = sample->memory.swap_bytes,
        .anon_huge_bytes = sample->environment.anon_huge_bytes,
        .is_compacting = store->compaction_active != 0,
    };
    for (size_t i = 0; i < PART_COUNT; i++)
        facts->parts[i] = (struct memory_fact){
            .name = part_name(i), .help = part_help(i), .bytes = sample->parts.bytes[i]};
}

/* ---- taking ---- */

/* The kernel and the store are asked one after the other. When resident memory has moved meanwhile,
 * as under load when this thread had to wait for a processor in between, they are asked again. */
static int look(struct sampler *sampler, struct sample *now)
{
    for (unsigned tries = 0; tries < LOOKS_MAX; tries++) {
        if (process_read_memory(sampler->process, &now->memory) != 0)
            return -1;
        store_stats(sampler->service->store, &now->store);
        sampler->service->counters_total(sampler->service->server, &now->counters);
        size_t before = now->memory.resident_bytes;
        size_t after = process_resident_bytes(sampler->process);
        if ((after > before ? after - before : before - after) <= before / STILL_SHARE)
            break;
    }
    return 0;
}

/* If /proc fails the last look stays: an old truth, with its time, rather than zeros. */
void sampler_take(struct sampler *sampler)
{
    const struct sample before = sampler->last;
    uint64_t begin_ns = thread_cpu_ns();
    struct sample now = {.time_seconds = unix_seconds(), .taken_ns = monotonic_ns()};
    if (look(sampler, &now) != 0)
        return;
    now.connection_bytes = connection_bytes(&now.counters);
    now.cpu_seconds = process_cpu_seconds();
    now.environment = sampler->environment;
    now.live_bytes = now.store.key_bytes + now.store.value_bytes;
    parts_compute(&now.store, &now.memory, now.connection_bytes, sampler->history_bytes,
                  &now.parts);
    now.duration_ns = thread_cpu_ns() - begin_ns;
    sampler->last = now;
    sampler->looked_ns = now.taken_ns;
    remember(sampler, &before);
}

bool sampler_repeat(struct sampler *sampler)
{
    const struct sample before = sampler->last;
    uint64_t now_ns = monotonic_ns();
    if (now_ns - sampler->looked_ns >= REPEAT_NS)
        return false;
    sampler->last.time_seconds = unix_seconds();
    sampler->last.taken_ns = now_ns;
    sampler->last.cpu_seconds = process_cpu_seconds();
    remember(sampler, &before);
    return true;
}

void sampler_look_around(struct sampler *sampler)
{
    sampler->looked_around_ns = monotonic_ns();
    environment_read(sampler->files, sampler->looked_around_ns, &sampler->environment);
}

void sampler_refresh(struct sampler *sampler)
{
    uint64_t now_ns = monotonic_ns(), age_ns = now_ns - sampler->looked_ns;
    uint64_t dear_ns = sampler->last.duration_ns * REFRESH_COST_FACTOR;
    if (age_ns < (dear_ns > REFRESH_NS ? dear_ns : REFRESH_NS))
        return;
    if (now_ns - sampler->looked_around_ns >= AROUND_NS)
        sampler_look_around(sampler);
    sampler_take(sampler);
}

struct window_step sampler_window(const struct sampler *sampler, size_t window)
{
    return window_read(&sampler->windows[window], sampler->last.taken_ns / NS_PER_SECOND);
}

int sampler_init(struct sampler *sampler, struct service *service)
{
    static const unsigned seconds[WINDOW_COUNT] = {60, 600, 3600};
    memset(sampler, 0, sizeof *sampler);
    sampler->service = service;
    if (process_create(&sampler->process) != 0 || environment_create(&sampler->files, "") != 0)
        return -1;
    sampler_look_around(sampler);
    for (size_t i = 0; i < WINDOW_COUNT; i++)
        window_init(&sampler->windows[i], seconds[i]);
    struct store_stats stats;
    store_stats(service->store, &stats);
    process_exclude(sampler->process, stats.range_start, stats.pool.reserved_bytes);
    sampler_take(sampler);
    return 0;
}

void sampler_release(struct sampler *sampler)
{
    process_destroy(sampler->process);
    environment_destroy(sampler->files);
    sampler->process = NULL;
    sampler->files = NULL;
}
