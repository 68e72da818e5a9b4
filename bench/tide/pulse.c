/* SPDX-License-Identifier: MIT */
/* pulse.c: see pulse.h. */
#include "pulse.h"

#include <math.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../process.h"

#define PERIOD_NS 1000000u

static void note(struct pulse *pulse, uint64_t ns)
{
    pthread_mutex_lock(&pulse->mutex);
    histogram_add(&pulse->delays, ns, 1);
    if (ns > pulse->longest_ns)
        pulse->longest_ns = ns;
    pthread_mutex_unlock(&pulse->mutex);
}

/* ---- the thread ---- */

static bool ask(const struct pulse *pulse)
{
    static const char *const questions[PROTOCOL_COUNT] = {"*2\r\n$3\r\nGET\r\n$5\r\npulse\r\n",
                                                          "get pulse\r\n", "mg pulse v\r\n"};
    const char *question = questions[pulse->protocol];
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

static void sleep_until(uint64_t ns)
{
    struct timespec until = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

static void *oversleep(void *context)
{
    struct pulse *pulse = context;
    while (!__atomic_load_n(&pulse->is_stopping, __ATOMIC_RELAXED)) {
        uint64_t due = clock_ns() + PERIOD_NS;
        sleep_until(due);
        uint64_t late = clock_ns() - due;
        if (late > __atomic_load_n(&pulse->overslept_ns, __ATOMIC_RELAXED))
            __atomic_store_n(&pulse->overslept_ns, late, __ATOMIC_RELAXED);
    }
    return NULL;
}

static void *run(void *context)
{
    struct pulse *pulse = context;
    uint64_t due = clock_ns();
    while (!__atomic_load_n(&pulse->is_stopping, __ATOMIC_RELAXED)) {
        due += PERIOD_NS;
        sleep_until(due);
        __atomic_store_n(&pulse->due_ns, due, __ATOMIC_RELAXED);
        if (!ask(pulse))
            break;
        note(pulse, clock_ns() - due);
        __atomic_store_n(&pulse->due_ns, 0, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&pulse->due_ns, 0, __ATOMIC_RELAXED);
    return NULL;
}

int pulse_start(struct pulse *pulse, const struct addrinfo *address, enum protocol protocol)
{
    *pulse = (struct pulse){.protocol = protocol, .mutex = PTHREAD_MUTEX_INITIALIZER};
    pulse->descriptor = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (pulse->descriptor < 0)
        return -1;
    if (connect(pulse->descriptor, address->ai_addr, address->ai_addrlen) != 0 ||
        pthread_create(&pulse->thread, NULL, run, pulse) != 0) {
        close(pulse->descriptor);
        return -1;
    }
    pulse->is_running = true;
    if (pthread_create(&pulse->sleeper, NULL, oversleep, pulse) == 0)
        return 0;
    pulse->sleeper = pulse->thread; /* pulse_stop waits for one */
    pulse_stop(pulse);
    return -1;
}

void pulse_stop(struct pulse *pulse)
{
    if (!pulse->is_running)
        return;
    __atomic_store_n(&pulse->is_stopping, true, __ATOMIC_RELAXED);
    shutdown(pulse->descriptor, SHUT_RDWR);
    pthread_join(pulse->thread, NULL);
    if (!pthread_equal(pulse->sleeper, pulse->thread))
        pthread_join(pulse->sleeper, NULL);
    close(pulse->descriptor);
    pulse->is_running = false;
}

/* ---- figures ---- */

double pulse_longest(struct pulse *pulse)
{
    uint64_t due = __atomic_load_n(&pulse->due_ns, __ATOMIC_RELAXED), now = clock_ns();
    pthread_mutex_lock(&pulse->mutex);
    uint64_t longest = pulse->longest_ns;
    pulse->longest_ns = 0;
    pthread_mutex_unlock(&pulse->mutex);
    if (due != 0 && now > due && now - due > longest)
        longest = now - due;
    return (double)longest / 1e9;
}

struct pulse_result pulse_take(struct pulse *pulse)
{
    pthread_mutex_lock(&pulse->mutex);
    uint64_t overslept = __atomic_exchange_n(&pulse->overslept_ns, 0, __ATOMIC_RELAXED);
    struct pulse_result result = {NAN, NAN, (double)overslept / 1e9};
    if (pulse->delays.count > 0) {
        result.p999_seconds = (double)histogram_quantile(&pulse->delays, 0.999) / 1e9;
        result.max_seconds = (double)pulse->delays.longest_ns / 1e9;
    }
    pulse->delays = (struct histogram){0};
    pthread_mutex_unlock(&pulse->mutex);
    return result;
}
