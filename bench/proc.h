/* SPDX-License-Identifier: MIT */
/* proc.h: a server as a process: starting it on free ports of 127.0.0.1, what the kernel says of
 * it, its figures, ending it.
 *
 * A server that is running already ("HOST:PORT" on this machine) is asked for its process id; it is
 * neither started nor ended, and should be empty.
 */
#ifndef EBB_BENCH_PROC_H
#define EBB_BENCH_PROC_H

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "process.h"
#include "wire.h"

struct proc {
    const char *name;         /* as given: ebb, redis, memcached, limit, 127.0.0.1:6379 */
    const char *label;        /* in tables */
    const char *binary;       /* NULL: the name's usual one */
    const char *const *extra; /* more arguments, up to a NULL; may be NULL */
    const cpu_set_t *cpus;    /* where it runs; NULL: anywhere */
    size_t value_bytes;       /* of limit's answers */
    enum wire_protocol protocol;
    uint16_t port;           /* that speaks the protocol */
    uint16_t memcached_port; /* of a server that speaks both, 0: it does not */
    uint16_t http_port;      /* of Ebb's /metrics, 0: it has none */
    pid_t pid;
    bool is_ours;
};

/* Whether the program that the name stands for is there. */
bool proc_is_installed(const struct proc *proc);
/* Starts the server (or finds the one that runs) and waits until it answers. live_bytes is what it
 * will have to hold: memcached is given a limit that it will not reach. */
void proc_start(struct proc *proc, uint64_t live_bytes);
void proc_stop(struct proc *proc);

/* ---- what the kernel says (usage.c) ---- */

struct proc_usage {
    double cpu_seconds;
    uint64_t faults;
};

/* As process.h has it; they end the program when the process is gone. */
uint64_t proc_rss(pid_t pid); /* exact */
uint64_t proc_rss_quick(pid_t pid);
struct proc_usage proc_usage(pid_t pid);

/* ---- highest RSS, sampled each SAMPLE_MS by a thread ---- */

#define SAMPLE_MS 10

struct sampler {
    pthread_t thread;
    pid_t pid;
    uint64_t high, low; /* atomic */
    bool is_stopping;   /* atomic */
};

void sampler_start(struct sampler *sampler, pid_t pid);
void sampler_reset(struct sampler *sampler);
uint64_t sampler_high(struct sampler *sampler);
uint64_t sampler_low(struct sampler *sampler);
void sampler_stop(struct sampler *sampler);

/* ---- Ebb's own figures ---- */

/* A text of /metrics, NULL for a server that has none. The caller frees it. */
char *proc_metrics(const struct proc *proc);
/* The sample with that name (and labels); 0 when the text is NULL or has none. */
double proc_metric(const char *metrics, const char *name);

#endif
