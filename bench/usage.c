/* SPDX-License-Identifier: MIT */
/* usage.c: what the kernel says of a server, for those who can't go on without; the second half of
 * proc.h.
 */
#include "proc.h"
#include "workload.h"

static uint64_t must_have_rss(pid_t pid, bool is_exact)
{
    uint64_t bytes;
    if (!process_rss(pid, is_exact, &bytes))
        die("process %d is gone", (int)pid);
    return bytes;
}

uint64_t proc_rss(pid_t pid)
{
    return must_have_rss(pid, true);
}

uint64_t proc_rss_quick(pid_t pid)
{
    return must_have_rss(pid, false);
}

struct proc_usage proc_usage(pid_t pid)
{
    struct proc_usage usage;
    if (!process_cpu(pid, &usage.cpu_seconds) || !process_faults(pid, &usage.faults))
        die("process %d is gone", (int)pid);
    return usage;
}

/* ---- the sampler ---- */

static void sample(struct sampler *sampler)
{
    uint64_t rss = proc_rss_quick(sampler->pid);
    if (rss > __atomic_load_n(&sampler->high, __ATOMIC_RELAXED))
        __atomic_store_n(&sampler->high, rss, __ATOMIC_RELAXED);
    if (rss < __atomic_load_n(&sampler->low, __ATOMIC_RELAXED))
        __atomic_store_n(&sampler->low, rss, __ATOMIC_RELAXED);
}

static void *run_sampler(void *context)
{
    struct sampler *sampler = context;
    while (!__atomic_load_n(&sampler->is_stopping, __ATOMIC_RELAXED)) {
        sample(sampler);
        sleep_ms(SAMPLE_MS);
    }
    return NULL;
}

void sampler_reset(struct sampler *sampler)
{
    __atomic_store_n(&sampler->high, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&sampler->low, UINT64_MAX, __ATOMIC_RELAXED);
}

void sampler_start(struct sampler *sampler, pid_t pid)
{
    *sampler = (struct sampler){.pid = pid};
    sampler_reset(sampler);
    if (pthread_create(&sampler->thread, NULL, run_sampler, sampler) != 0)
        die("no thread");
}

uint64_t sampler_high(struct sampler *sampler)
{
    sample(sampler);
    return __atomic_load_n(&sampler->high, __ATOMIC_RELAXED);
}

uint64_t sampler_low(struct sampler *sampler)
{
    sample(sampler);
    return __atomic_load_n(&sampler->low, __ATOMIC_RELAXED);
}

void sampler_stop(struct sampler *sampler)
{
    __atomic_store_n(&sampler->is_stopping, true, __ATOMIC_RELAXED);
    pthread_join(sampler->thread, NULL);
}
