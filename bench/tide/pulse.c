/* SPDX-License-Identifier: MIT */
/* pulse.c: see pulse.h. */
#include "pulse.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
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

/* Questions are asked when they are due, whether or not those before them are answered: a probe
 * that waited would fall behind for good as soon as an answer takes as long as the time between
 * two. */
struct questions {
    const char *text;
    size_t length;
    uint64_t first_ns;        /* when the first is due; the n-th n periods later */
    uint64_t asked, answered; /* so many */
    size_t sent;              /* bytes of the question that comes next */
};

static uint64_t due_of(const struct questions *questions, uint64_t number)
{
    return questions->first_ns + number * PERIOD_NS;
}

/* Sends what is due, as far as the socket takes it. */
static bool ask(const struct pulse *pulse, struct questions *questions)
{
    while (due_of(questions, questions->asked) <= clock_ns()) {
        ssize_t sent = send(pulse->descriptor, questions->text + questions->sent,
                            questions->length - questions->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0)
            return errno == EAGAIN || errno == EINTR;
        questions->sent += (size_t)sent;
        if (questions->sent < questions->length)
            return true;
        questions->sent = 0;
        questions->asked++;
    }
    return true;
}

/* An answer is a line: nobody has written the key. */
static bool hear(struct pulse *pulse, struct questions *questions)
{
    char answers[4096];
    ssize_t got = recv(pulse->descriptor, answers, sizeof answers, MSG_DONTWAIT);
    uint64_t now = clock_ns();
    if (got <= 0)
        return got < 0 && (errno == EAGAIN || errno == EINTR);
    for (ssize_t i = 0; i < got; i++)
        if (answers[i] == '\n' && questions->answered < questions->asked)
            note(pulse, now - due_of(questions, questions->answered++));
    __atomic_store_n(&pulse->due_ns, due_of(questions, questions->answered), __ATOMIC_RELAXED);
    return true;
}

/* Until an answer comes or a question is due; what could not be sent is tried again then. */
static void wait_for_either(const struct pulse *pulse, const struct questions *questions)
{
    struct pollfd poll = {.fd = pulse->descriptor, .events = POLLIN};
    uint64_t due = due_of(questions, questions->asked), now = clock_ns();
    uint64_t pause = due > now ? due - now : PERIOD_NS;
    ppoll(&poll, 1, &(struct timespec){.tv_nsec = (long)pause}, NULL);
}

static void *run(void *context)
{
    static const char *const texts[PROTOCOL_COUNT] = {"*2\r\n$3\r\nGET\r\n$5\r\npulse\r\n",
                                                      "get pulse\r\n", "mg pulse v\r\n"};
    struct pulse *pulse = context;
    const char *text = texts[pulse->protocol];
    struct questions questions = {
        .text = text, .length = strlen(text), .first_ns = clock_ns() + PERIOD_NS};
    __atomic_store_n(&pulse->due_ns, questions.first_ns, __ATOMIC_RELAXED);
    while (!__atomic_load_n(&pulse->is_stopping, __ATOMIC_RELAXED)) {
        wait_for_either(pulse, &questions);
        if (!hear(pulse, &questions) || !ask(pulse, &questions)) {
            __atomic_store_n(&pulse->is_lost, true, __ATOMIC_RELAXED);
            break;
        }
    }
    __atomic_store_n(&pulse->due_ns, 0, __ATOMIC_RELAXED);
    return NULL;
}

int pulse_start(struct pulse *pulse, const struct peer *peer, char error[], size_t error_size)
{
    *pulse = (struct pulse){.protocol = peer->protocol, .mutex = PTHREAD_MUTEX_INITIALIZER};
    pulse->descriptor = peer_connect(peer, error, error_size);
    if (pulse->descriptor < 0)
        return -1;
    snprintf(error, error_size, "no thread for the probe");
    if (pthread_create(&pulse->thread, NULL, run, pulse) != 0) {
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

bool pulse_is_lost(const struct pulse *pulse)
{
    return __atomic_load_n(&pulse->is_lost, __ATOMIC_RELAXED);
}

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
