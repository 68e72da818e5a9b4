/* SPDX-License-Identifier: MIT */
/* memory.c: see memory.h. Called by loop.c; the arithmetic is limit.c's, the ladder pressure.c's.
 */
#include "memory.h"

#include <unistd.h>

#include "clock.h"
#include "options.h"
#include "store/store.h"

#define MIB     (1024.0 * 1024)
#define LOOK_NS 5000000u /* upkeep may come each millisecond */

static const struct {
    enum use_order order;
    bool is_volatile;
} policies[POLICY_COUNT] = {
    [POLICY_NOEVICTION] = {USE_NONE, false},       [POLICY_ALLKEYS_S3FIFO] = {USE_S3, false},
    [POLICY_ALLKEYS_LRU] = {USE_LRU, false},       [POLICY_ALLKEYS_LFU] = {USE_LFU, false},
    [POLICY_ALLKEYS_RANDOM] = {USE_RANDOM, false}, [POLICY_VOLATILE_S3FIFO] = {USE_S3, true},
    [POLICY_VOLATILE_LRU] = {USE_LRU, true},       [POLICY_VOLATILE_LFU] = {USE_LFU, true},
    [POLICY_VOLATILE_RANDOM] = {USE_RANDOM, true}, [POLICY_VOLATILE_TTL] = {USE_TTL, true},
};

void memory_find(struct cgroup *cgroup, struct options *options, const char *root, const char *proc)
{
    cgroup_find(cgroup, root, proc);
    __atomic_store_n(&options->auto_maxmemory, (int64_t)cgroup_auto(cgroup), __ATOMIC_RELAXED);
}

int memory_init(struct memory *memory, struct service *service, struct log *log)
{
    *memory = (struct memory){.service = service, .log = log};
    memory_find(&memory->cgroup, service->options, "/sys/fs/cgroup", "/proc");
    if (uv_mutex_init(&memory->mutex) < 0)
        return -1;
    memory->resident_fd = limit_open_resident();
    return 0;
}

void memory_release(struct memory *memory)
{
    if (memory->resident_fd >= 0)
        close(memory->resident_fd);
    uv_mutex_destroy(&memory->mutex);
}

/* ---- the limit ---- */

static void publish(uint64_t *field, uint64_t value)
{
    __atomic_store_n(field, value, __ATOMIC_RELAXED);
}

static uint64_t zero_if_none(size_t bytes)
{
    return bytes == SIZE_MAX ? 0 : bytes;
}

static void tell(struct memory *memory)
{
    const struct limit_plan *plan = &memory->plan;
    struct memory_limits *limits = &memory->service->limits;
    int64_t policy = options_number(&memory->service->options->maxmemory_policy);
    struct store_limit limit = {
        .pool_bytes = plan->pool_bytes,
        .ahead_bytes = plan->ahead_bytes,
        .compact_bytes = plan->compact_bytes,
        .order = policies[policy].order,
        .is_volatile = policies[policy].is_volatile,
        .is_pressed = counter_read(&limits->pressure_level) > 0,
    };
    store_set_limit(memory->service->store, &limit);
    publish(&limits->limit_bytes, zero_if_none(plan->limit_bytes));
    publish(&limits->start_bytes,
            policy == POLICY_NOEVICTION ? 0 : zero_if_none(plan->start_bytes));
    publish(&limits->clients_max_bytes, zero_if_none(plan->clients_bytes));
}

static void warn_if_too_small(struct memory *memory, int64_t limit)
{
    bool is_too_small = limit > 0 && memory->plan.pool_bytes == 0;
    if (is_too_small && memory->warned_limit != limit)
        log_write(memory->log, LOG_WARNING,
                  "maxmemory %.1f MiB leaves nothing for keys: the process itself takes %.1f MiB, "
                  "and %.1f MiB are set aside for clients (maxmemory-clients)",
                  (double)limit / MIB, (double)memory->plan.others_bytes / MIB,
                  (double)memory->plan.clients_bytes / MIB);
    memory->warned_limit = is_too_small ? limit : 0;
}

void memory_look(struct memory *memory)
{
    struct service *service = memory->service;
    size_t untouched, pool = store_pool_bytes(service->store, &untouched);
    int64_t limit = options_maxmemory(service->options);
    uv_mutex_lock(&memory->mutex);
    struct limit_view view = {
        .limit_bytes = (size_t)limit,
        .lowered = pressure_lowers((unsigned)counter_read(&service->limits.pressure_level)),
        .clients = options_number(&service->options->maxmemory_clients),
        .client_bytes = counter_read(&service->limits.client_bytes),
        .resident_bytes = limit > 0 ? limit_read_resident(memory->resident_fd) : 0,
        .pool_bytes = pool - (untouched < pool ? untouched : pool),
    };
    memory->plan = limit_make_plan(&view, memory->has_plan && limit > 0 ? &memory->plan : NULL);
    memory->has_plan = limit > 0;
    tell(memory);
    warn_if_too_small(memory, limit);
    uv_mutex_unlock(&memory->mutex);
}

void memory_tick(struct memory *memory)
{
    uint64_t now_ns = clock_monotonic_ns();
    if (now_ns - memory->looked_ns < LOOK_NS)
        return;
    memory->looked_ns = now_ns;
    memory_look(memory);
}

/* ---- pressure ---- */

void memory_second(struct memory *memory)
{
    struct cgroup_pressure now;
    struct pressure *pressure = &memory->pressure;
    unsigned before = pressure->level;
    cgroup_read_pressure(&memory->cgroup, &now);
    unsigned level = pressure_look(pressure, &now, (int64_t)(clock_monotonic_ns() / 1000000));
    publish(&memory->service->limits.pressure_level, level);
    publish(&memory->service->limits.pressure_stalls_us, pressure->stalls_us);
    if (before == 0 && level > 0)
        log_write(memory->log, LOG_WARNING,
                  "the system is short of memory: compacting and trimming all that can be, and "
                  "lowering the limit by %u %% a second, at most by %u %%, while it lasts",
                  PRESSURE_STEP_PERCENT, pressure_lowers(PRESSURE_LEVEL_MAX));
    else if (before > 0 && level == 0)
        log_write(memory->log, LOG_NOTICE, "the shortage of memory is over");
}
