/* SPDX-License-Identifier: MIT */
/* pulse.c: see pulse.h. */
#include "pulse.h"

#include <math.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PERIOD_NS 1000000u

uint64_t clock_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- buckets ---- */

static unsigned bucket_of(uint64_t ns)
{
    if (ns < 16)
        return (unsigned)ns;
    unsigned power = 63 - (unsigned)__builtin_clzll(ns);
    return (power - 3) * 16 + (unsigned)(ns >> (power - 4) & 15);
}

static double bucket_ns(unsigned bucket) /* its upper end */
{
    if (bucket < 16)
        return bucket;
    return ldexp(16 + bucket % 16 + 1, (int)(bucket / 16) - 1);
}

static void note(struct pulse *pulse, uint64_t ns)
{
    uint64_t longest = __atomic_load_n(&pulse->longest_ns, __ATOMIC_RELAXED);
    __atomic_fetch_add(&pulse->buckets[bucket_of(ns)], 1, __ATOMIC_RELAXED);
    while (ns > longest && !__atomic_compare_exchange_n(&pulse->longest_ns, &longest, ns, false,
                                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

/* ---- the thread ---- */

static bool ask(const struct pulse *pulse)
{
    const char *question =
        pulse->protocol == PROTOCOL_RESP ? "*2\r\n$3\r\nGET\r\n$5\r\npulse\r\n" : "get pulse\r\n";
    char answer[256];
    size_t length = 0;
    if (send(pulse->descriptor, question, strlen(question), MSG_NOSIGNAL) < 0)
        return false;
    do {
        ssize_t got = recv(pulse->descriptor, answer + length, sizeof answer - length, 0);
        if (got <= 0)
            return false;
        length += (size_t)got;
    } while (answer[length - 1] != '\n' && length < sizeof answer);
    return true;
}

static void *run(void *context)
{
    struct pulse *pulse = context;
    uint64_t due = clock_now_ns();
    while (!__atomic_load_n(&pulse->is_stopping, __ATOMIC_RELAXED)) {
        due += PERIOD_NS;
        struct timespec until = {(time_t)(due / 1000000000u), (long)(due % 1000000000u)};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
        __atomic_store_n(&pulse->due_ns, due, __ATOMIC_RELAXED);
        if (!ask(pulse))
            break;
        note(pulse, clock_now_ns() - due);
        __atomic_store_n(&pulse->due_ns, 0, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&pulse->due_ns, 0, __ATOMIC_RELAXED);
    return NULL;
}

int pulse_start(struct pulse *pulse, const struct addrinfo *address, enum protocol protocol)
{
    *pulse = (struct pulse){.protocol = protocol};
    pulse->descriptor = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (pulse->descriptor < 0)
        return -1;
    if (connect(pulse->descriptor, address->ai_addr, address->ai_addrlen) != 0 ||
        pthread_create(&pulse->thread, NULL, run, pulse) != 0) {
        close(pulse->descriptor);
        return -1;
    }
    pulse->is_running = true;
    return 0;
}

void pulse_stop(struct pulse *pulse)
{
    if (!pulse->is_running)
        return;
    __atomic_store_n(&pulse->is_stopping, true, __ATOMIC_RELAXED);
    shutdown(pulse->descriptor, SHUT_RDWR);
    pthread_join(pulse->thread, NULL);
    close(pulse->descriptor);
    pulse->is_running = false;
}

/* ---- figures ---- */

double pulse_longest(struct pulse *pulse)
{
    uint64_t longest = __atomic_exchange_n(&pulse->longest_ns, 0, __ATOMIC_RELAXED);
    uint64_t due = __atomic_load_n(&pulse->due_ns, __ATOMIC_RELAXED), now = clock_now_ns();
    if (due != 0 && now > due && now - due > longest)
        longest = now - due;
    return (double)longest / 1e9;
}

struct pulse_result pulse_take(struct pulse *pulse)
{
    uint64_t counts[PULSE_BUCKETS], total = 0, passed = 0;
    struct pulse_result result = {NAN, NAN};
    for (unsigned b = 0; b < PULSE_BUCKETS; b++)
        total += counts[b] = __atomic_exchange_n(&pulse->buckets[b], 0, __ATOMIC_RELAXED);
    for (unsigned b = 0; b < PULSE_BUCKETS && total > 0; b++) {
        passed += counts[b];
        if (counts[b] > 0)
            result.max_seconds = bucket_ns(b) / 1e9;
        if (isnan(result.p999_seconds) && (double)passed >= 0.999 * (double)total)
            result.p999_seconds = bucket_ns(b) / 1e9;
    }
    return result;
}
