/* SPDX-License-Identifier: MIT */
/* limited.c: the scene limit: W1..W8 one after another on a server that may not hold a quarter of
 * what is written, by many clients at once, beside some that read large values slowly. What RSS
 * comes to, and what a client feels that sends a GET each millisecond (probe.h).
 *
 * The clients share one processor, the server has another one: otherwise a wait would be as much
 * for the processor as for the server.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "cores.h"
#include "probe.h"
#include "scenes.h"

#define WRITERS         45u
#define WRITER_BATCH    16u
#define READERS         5u
#define LARGE_BYTES     (1u << 20)
#define LARGE_VALUES    4u
#define RECEIVE_BYTES   4096 /* of a slow reader's socket */
#define TAKE_BYTES      (64u * 1024)
#define TAKE_EACH_MS    20
#define READER_QUIET_US 500000 /* then it has had all that it asked for, and asks again */
#define MEMCACHED_LARGE "2m"
#define KEY_LENGTHS     ((struct sizes){16, 20})

/* ---- those who write ---- */

struct writer {
    pthread_t thread;
    struct wire wire;
    struct prng prng;
    struct sizes sizes;
    uint64_t id;         /* of its next item; those of writer n are n, n + WRITERS, ... */
    uint64_t first_id;   /* of the present workload */
    uint64_t left_bytes; /* to be written in this phase */
    unsigned percent;    /* of what it has written in this workload, to be deleted */
    uint64_t refused;
    char value[WORKLOAD_VALUE_MAX];
};

static void on_reply(void *context, unsigned number, const struct wire_reply *reply)
{
    struct writer *writer = context;
    (void)number;
    if (reply->status != WIRE_ERROR)
        return;
    if (writer->refused++ == 0)
        fprintf(stderr, "bench: refused: %.*s\n", (int)(reply->length < 80 ? reply->length : 80),
                reply->data);
}

static void settle(struct writer *writer)
{
    wire_exchange(&writer->wire, on_reply, writer);
}

static void *write_share(void *context)
{
    struct writer *writer = context;
    char key[KEY_MAX_BYTES];
    for (uint64_t written = 0; written < writer->left_bytes; writer->id += WRITERS) {
        uint32_t bytes = sizes_pick(writer->sizes, &writer->prng);
        size_t length = key_write(key, writer->id, KEY_LENGTHS);
        value_write(writer->value, bytes, writer->id, 0);
        wire_set(&writer->wire, key, length, writer->value, bytes);
        written += length + bytes;
        if (wire_is_full(&writer->wire))
            settle(writer);
    }
    settle(writer);
    return NULL;
}

/* Most of them have been evicted before. */
static void *delete_share(void *context)
{
    struct writer *writer = context;
    char key[KEY_MAX_BYTES];
    for (uint64_t id = writer->first_id; id < writer->id; id += WRITERS) {
        if (prng_below(&writer->prng, 100) >= writer->percent)
            continue;
        wire_delete(&writer->wire, key, key_write(key, id, KEY_LENGTHS));
        if (wire_is_full(&writer->wire))
            settle(writer);
    }
    settle(writer);
    return NULL;
}

static void run_writers(struct writer *writers, void *(*run)(void *writer))
{
    for (unsigned w = 0; w < WRITERS; w++)
        if (pthread_create(&writers[w].thread, NULL, run, &writers[w]) != 0)
            die("no thread");
    for (unsigned w = 0; w < WRITERS; w++)
        pthread_join(writers[w].thread, NULL);
}

static void write_all(struct writer *writers, struct sizes sizes, uint64_t bytes)
{
    for (unsigned w = 0; w < WRITERS; w++) {
        writers[w].sizes = sizes;
        writers[w].left_bytes = bytes / WRITERS;
    }
    run_writers(writers, write_share);
}

static void delete_some(struct writer *writers, unsigned percent)
{
    for (unsigned w = 0; w < WRITERS; w++)
        writers[w].percent = percent;
    run_writers(writers, delete_share);
}

/* ---- those who read slowly ---- */

struct reader {
    pthread_t thread;
    const struct proc *proc;
    uint64_t taken_bytes, closed; /* how often the server has had enough of it */
    bool is_stopping;             /* atomic */
};

static int dial_slowly(uint16_t port)
{
    struct timeval quiet = {.tv_usec = READER_QUIET_US};
    int fd = wire_dial(port, RECEIVE_BYTES);
    if (fd < 0)
        die("no connection to port %u", port);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &quiet, sizeof quiet);
    return fd;
}

static bool is_stopping(const struct reader *reader)
{
    return __atomic_load_n(&reader->is_stopping, __ATOMIC_RELAXED);
}

static bool ask(const struct reader *reader, int fd)
{
    char text[LARGE_VALUES * 32];
    size_t length = 0;
    for (unsigned n = 0; n < LARGE_VALUES; n++)
        length += (size_t)snprintf(text + length, sizeof text - length, "%s large:%u\r\n",
                                   reader->proc->protocol == WIRE_RESP ? "GET" : "get", n);
    return send(fd, text, length, MSG_NOSIGNAL) == (ssize_t)length;
}

/* Until there is no more for a while. false: the server has closed the connection. */
static bool take(struct reader *reader, int fd)
{
    static _Thread_local char bytes[TAKE_BYTES];
    while (!is_stopping(reader)) {
        ssize_t got = recv(fd, bytes, sizeof bytes, 0);
        if (got <= 0)
            return got < 0 && errno == EAGAIN;
        reader->taken_bytes += (uint64_t)got;
        sleep_ms(TAKE_EACH_MS);
    }
    return true;
}

static void *read_slowly(void *context)
{
    struct reader *reader = context;
    while (!is_stopping(reader)) {
        int fd = dial_slowly(reader->proc->port);
        while (!is_stopping(reader) && ask(reader, fd) && take(reader, fd))
            ;
        reader->closed += !is_stopping(reader);
        close(fd);
    }
    return NULL;
}

/* ---- the scene ---- */

struct limited {
    const struct plan *plan;
    struct report *report;
    struct proc proc;
    struct sampler sampler;
    struct writer *writers;
    struct reader readers[READERS];
};

static const struct {
    const char *name;
    const char *extra[5];
} limits[] = {
    {"ebb", {"--maxmemory", NULL}},
    {"redis", {"--maxmemory-policy", "allkeys-lru", "--maxmemory", NULL}},
    {"memcached", {"-I", MEMCACHED_LARGE, "-m", NULL}},
};

static void set_large_values(struct limited *limited)
{
    static char value[LARGE_BYTES];
    struct writer *writer = &limited->writers[0];
    for (unsigned n = 0; n < LARGE_VALUES; n++) {
        char key[16];
        size_t length = (size_t)snprintf(key, sizeof key, "large:%u", n);
        wire_set(&writer->wire, key, length, value, sizeof value);
        settle(writer);
    }
}

static void run_phases(struct limited *limited, const struct workload *workload)
{
    const struct plan *plan = limited->plan;
    uint64_t bytes = (uint64_t)((double)plan->live_bytes * plan->written);
    for (unsigned w = 0; w < WRITERS; w++)
        limited->writers[w].first_id = limited->writers[w].id;
    set_large_values(limited);
    write_all(limited->writers, workload->before, bytes);
    if (workload->delete_percent > 0)
        delete_some(limited->writers, workload->delete_percent);
    if (workload->after.most > 0)
        write_all(limited->writers, workload->after, bytes);
}

/* Ebb's counts, before with a minus and after with a plus. */
struct counts {
    double evicted, early;
};

static void count(const struct limited *limited, struct counts *counts, double sign)
{
    char *metrics = proc_metrics(&limited->proc);
    if (metrics == NULL)
        return;
    counts->evicted += sign * proc_metric(metrics, "ebb_evictions_total{reason=\"limit\"}");
    counts->early += sign * proc_metric(metrics, "ebb_evicted_while_compactable_total");
    free(metrics);
}

static uint64_t total_refused(const struct limited *limited)
{
    uint64_t refused = 0;
    for (unsigned w = 0; w < WRITERS; w++)
        refused += limited->writers[w].refused;
    return refused;
}

static void run_workload(struct limited *limited, const struct workload *workload)
{
    struct report *report = limited->report;
    struct probe probe;
    struct counts counts = {0};
    uint64_t refused = total_refused(limited), begin = clock_ns();
    report->phase = workload->name;
    count(limited, &counts, -1);
    sampler_reset(&limited->sampler);
    probe_start_beside(&probe, limited->proc.protocol, limited->proc.port);
    run_phases(limited, workload);
    struct probe_result felt = probe_stop(&probe);
    double seconds = (double)(clock_ns() - begin) / 1e9;
    report_add_bound(report, "high_bytes", (double)sampler_high(&limited->sampler),
                     (double)limited->plan->live_bytes);
    count(limited, &counts, 1);
    report_add(report, "seconds", seconds);
    report_add(report, "p50_ms", felt.p50_ms);
    report_add(report, "p999_ms", felt.p999_ms);
    report_add_bound(report, "longest_ms", felt.longest_ms, 5);
    report_add_bound(report, "refused", (double)(total_refused(limited) - refused), 0);
    if (limited->proc.http_port == 0)
        return;
    report_add(report, "evicted", counts.evicted);
    report_add_bound(report, "early", counts.early, 0);
}

static void open_clients(struct limited *limited)
{
    limited->writers = must_realloc(NULL, WRITERS * sizeof *limited->writers);
    for (unsigned w = 0; w < WRITERS; w++) {
        limited->writers[w] =
            (struct writer){.id = w, .prng = prng_seeded(limited->plan->seed + w)};
        if (!wire_open(&limited->writers[w].wire, limited->proc.protocol, limited->proc.port,
                       WRITER_BATCH))
            die("no connection to port %u", limited->proc.port);
    }
    set_large_values(limited);
    for (unsigned r = 0; r < READERS; r++) {
        limited->readers[r] = (struct reader){.proc = &limited->proc};
        if (pthread_create(&limited->readers[r].thread, NULL, read_slowly, &limited->readers[r]) !=
            0)
            die("no thread");
    }
}

static void close_clients(struct limited *limited)
{
    uint64_t taken = 0, closed = 0;
    for (unsigned r = 0; r < READERS; r++)
        __atomic_store_n(&limited->readers[r].is_stopping, true, __ATOMIC_RELAXED);
    for (unsigned r = 0; r < READERS; r++) {
        pthread_join(limited->readers[r].thread, NULL);
        taken += limited->readers[r].taken_bytes;
        closed += limited->readers[r].closed;
    }
    for (unsigned w = 0; w < WRITERS; w++)
        wire_close(&limited->writers[w].wire);
    free(limited->writers);
    limited->report->phase = "readers";
    report_add(limited->report, "taken_bytes", (double)taken);
    report_add(limited->report, "closed", (double)closed);
}

static void start(struct limited *limited, const char *extra[], const struct cores *cores)
{
    static char number[24];
    unsigned count = 0;
    bool is_memcached = strcmp(limited->proc.name, "memcached") == 0;
    uint64_t limit = limited->plan->live_bytes;
    snprintf(number, sizeof number, "%llu",
             (unsigned long long)(is_memcached ? limit >> 20 : limit));
    for (size_t n = 0; n < sizeof limits / sizeof limits[0]; n++)
        for (unsigned e = 0; strcmp(limits[n].name, limited->proc.name) == 0 && limits[n].extra[e];
             e++)
            extra[count++] = limits[n].extra[e];
    if (count > 0) /* one that runs has its limit already */
        extra[count++] = number;
    extra[count] = NULL;
    limited->proc.extra = extra;
    limited->proc.cpus = &cores->server;
    proc_start(&limited->proc, limit);
    sampler_start(&limited->sampler, limited->proc.pid);
}

bool scene_limit(const struct plan *plan, struct report *report, const struct proc *proc)
{
    struct limited limited = {.plan = plan, .report = report, .proc = *proc};
    const char *extra[6];
    struct cores cores;
    cpu_set_t before;
    cores_choose(&cores);
    sched_getaffinity(0, sizeof before, &before);
    sched_setaffinity(0, sizeof cores.driver, &cores.driver);
    start(&limited, extra, &cores);
    report->topic = "limit";
    report->row = proc->label;
    report->is_bound = limited.proc.http_port != 0;
    open_clients(&limited);
    for (size_t w = 0; w < WORKLOAD_COUNT; w++)
        if (plan->workload_mask >> w & 1)
            run_workload(&limited, &workloads[w]);
    uint64_t refused = total_refused(&limited);
    close_clients(&limited);
    sampler_stop(&limited.sampler);
    proc_stop(&limited.proc);
    sched_setaffinity(0, sizeof before, &before);
    return !report->is_bound || refused == 0; /* others may refuse what they have no room for */
}
