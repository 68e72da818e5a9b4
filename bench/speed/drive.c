/* SPDX-License-Identifier: MIT */
/* drive.c: see drive.h. One epoll loop a thread; the time is read once a batch. */
#include "drive.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../proc.h"
#include "../workload.h"

#define IN_BYTES    (256u * 1024)
#define CARRY_BYTES 24u          /* a head that has not come in whole; heads are no longer */
#define DROP_BYTES  (32u * 1024) /* from there on the kernel throws a value away */
#define DROP_MOST   (1u << 20)
#define EVENTS_MAX  256
#define BUSY        0.95 /* of a processor: no time left */
#define IDLE        0.8  /* much of its time somebody else had the processor, or nobody */
#define PATIENCE_MS 60000

struct connection {
    int fd;
    bool is_waiting; /* for the socket to take the rest of the batch */
    uint32_t batch;  /* in the load */
    size_t sent_bytes;
    uint64_t begin_ns;
    uint32_t command; /* of the batch: the one whose reply comes next */
    unsigned piece;   /* of that reply */
    unsigned times;   /* the piece is still expected so many times */
    size_t skip_bytes;
    unsigned carry_bytes;
    char carry[CARRY_BYTES];
};

/* What the server spends while the first thread counts. */
struct watch {
    pid_t pid;
    double cpu_seconds;
    struct events events;
    struct events_count counted;
};

struct thread {
    pthread_t id;
    struct watch *watch; /* NULL: another thread's business */
    const struct load *load;
    const struct drive_options *options;
    struct connection *connections;
    unsigned count;
    int epoll;
    uint64_t begin_ns, end_ns; /* what is in between is counted */
    uint64_t goal;             /* operations; 0: end_ns tells when it is over */
    bool is_counting, is_over;
    double cpu_seconds; /* when counting began; then: while counting */
    unsigned waiting;   /* connections with a batch under way */
    struct drive_result result;
    char *in; /* CARRY_BYTES, then IN_BYTES */
};

/* ---- connections ---- */

static int dial(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        die("port %u: %s", port, strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static void watch(struct thread *thread, struct connection *connection, int operation)
{
    struct epoll_event event = {.events = EPOLLIN | (connection->is_waiting ? EPOLLOUT : 0u),
                                .data.ptr = connection};
    if (epoll_ctl(thread->epoll, operation, connection->fd, &event) != 0)
        die("epoll: %s", strerror(errno));
}

/* ---- sending ---- */

static void transmit(struct thread *thread, struct connection *connection)
{
    const struct load_batch *batch = &thread->load->batches[connection->batch];
    ssize_t sent =
        send(connection->fd, thread->load->bytes + batch->offset + connection->sent_bytes,
             batch->length - connection->sent_bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN)
        die("the server went away: %s", strerror(errno));
    connection->sent_bytes += sent > 0 ? (size_t)sent : 0;
    bool is_waiting = connection->sent_bytes < batch->length;
    if (is_waiting == connection->is_waiting)
        return;
    connection->is_waiting = is_waiting;
    watch(thread, connection, EPOLL_CTL_MOD);
}

static const struct load_reply *reply_of(const struct load *load,
                                         const struct connection *connection)
{
    const struct load_batch *batch = &load->batches[connection->batch];
    return &load->replies[load->is_set[batch->first + connection->command]];
}

/* Goes to the next piece that is expected; false: the batch is answered. */
static bool expect_next(const struct load *load, struct connection *connection)
{
    while (connection->times == 0) {
        if (++connection->piece == 2) {
            connection->piece = 0;
            if (++connection->command == load->options.depth)
                return false;
        }
        connection->times = reply_of(load, connection)->times[connection->piece];
    }
    return true;
}

static void send_batch(struct thread *thread, struct connection *connection, uint64_t now_ns)
{
    const struct load *load = thread->load;
    connection->batch = (uint32_t)((connection->batch + 1) % load->batch_count);
    connection->sent_bytes = connection->command = connection->piece = 0;
    connection->times = reply_of(load, connection)->times[0];
    expect_next(load, connection);
    connection->begin_ns = now_ns;
    transmit(thread, connection);
}

/* ---- counting ---- */

static double thread_cpu_seconds(void)
{
    struct timespec cpu;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
    return (double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9;
}

static void begin_counting(struct thread *thread, uint64_t now_ns)
{
    struct watch *watch = thread->watch;
    if (watch != NULL) {
        events_open(&watch->events, watch->pid);
        watch->cpu_seconds = proc_usage(watch->pid).cpu_seconds;
        now_ns = clock_ns();
    }
    thread->is_counting = true;
    thread->begin_ns = now_ns;
    thread->cpu_seconds = thread_cpu_seconds();
    thread->result = (struct drive_result){0};
}

static void end_counting(struct thread *thread, uint64_t now_ns)
{
    struct watch *watch = thread->watch;
    thread->is_over = true;
    thread->cpu_seconds = thread_cpu_seconds() - thread->cpu_seconds;
    thread->result.seconds = (double)(now_ns - thread->begin_ns) / 1e9;
    if (watch == NULL)
        return;
    watch->cpu_seconds = proc_usage(watch->pid).cpu_seconds - watch->cpu_seconds;
    watch->counted = events_close(&watch->events);
}

static void look_at_the_clock(struct thread *thread, uint64_t now_ns)
{
    if (!thread->is_counting && now_ns >= thread->begin_ns)
        begin_counting(thread, now_ns);
    else if (thread->is_counting && (thread->goal > 0 ? thread->result.operations >= thread->goal
                                                      : now_ns >= thread->end_ns))
        end_counting(thread, now_ns);
}

static void end_batch(struct thread *thread, struct connection *connection)
{
    const struct load_batch *batch = &thread->load->batches[connection->batch];
    struct drive_result *result = &thread->result;
    uint64_t now_ns = clock_ns();
    if (!thread->is_over) {
        histogram_add(&result->latency, now_ns - connection->begin_ns, batch->operations);
        result->operations += batch->operations;
        result->commands += thread->load->options.depth;
        result->sent_bytes += batch->length;
        result->received_bytes += batch->reply_bytes;
        look_at_the_clock(thread, now_ns);
    }
    if (thread->is_over)
        thread->waiting--;
    else
        send_batch(thread, connection, now_ns);
}

/* ---- replies ---- */

/* What a server says in the place of values that it does not have. */
struct absence {
    const char *text;
    unsigned piece; /* the one that is a value */
    bool ends_all;  /* no more values come; the text is the next piece. Else it is for one value */
};

static struct absence absence_of(const struct load_options *options)
{
    if (options->protocol == LOAD_RESP)
        return (struct absence){"$-1\r\n", 1, false};
    if (options->protocol == LOAD_TEXT)
        return (struct absence){"END\r\n", 0, true};
    if (options->multiget > 1)
        return (struct absence){"MN\r\n", 0, true};
    return (struct absence){"EN\r\n", 0, false};
}

/* Not the piece that was expected: a key that is not there is counted, all else ends the program.
 * Returns the bytes it took; as many are expected as before if more must come first. */
static size_t take_other(struct thread *thread, struct connection *connection, const char *at,
                         size_t length)
{
    struct absence absence = absence_of(&thread->load->options);
    size_t text_length = strlen(absence.text);
    bool is_value = reply_of(thread->load, connection) == &thread->load->replies[0] &&
                    connection->piece == absence.piece;
    size_t compare = length < text_length ? length : text_length;
    if (!is_value || memcmp(at, absence.text, compare) != 0)
        die("not the reply that was expected: %.*s", (int)(length < 80 ? length : 80), at);
    if (length < text_length)
        return 0;
    unsigned absent = absence.ends_all ? connection->times : 1;
    thread->result.misses += absent;
    connection->times -= absent;
    return absence.ends_all ? 0 : text_length;
}

/* Counts what has come in. Returns the bytes that are not enough for a head. */
static size_t take(struct thread *thread, struct connection *connection, const char *at,
                   size_t length)
{
    const struct load *load = thread->load;
    for (;;) {
        size_t skip = connection->skip_bytes < length ? connection->skip_bytes : length;
        connection->skip_bytes -= skip;
        at += skip;
        length -= skip;
        if (connection->skip_bytes > 0)
            return 0;
        if (!expect_next(load, connection)) {
            if (length > 0)
                die("a reply too many: %.*s", (int)(length < 80 ? length : 80), at);
            end_batch(thread, connection);
            return 0;
        }
        const struct load_piece *piece = &reply_of(load, connection)->pieces[connection->piece];
        size_t compare = piece->head_length < length ? piece->head_length : length;
        if (memcmp(at, piece->head, compare) != 0) {
            unsigned times = connection->times;
            size_t took = take_other(thread, connection, at, length);
            if (times == connection->times)
                return length;
            at += took;
            length -= took;
        } else if (compare < piece->head_length) {
            return length;
        } else {
            connection->times--;
            connection->skip_bytes = piece->bytes;
        }
    }
}

/* The middle of a long value is not copied to us. */
static bool drop(struct connection *connection)
{
    if (connection->skip_bytes < DROP_BYTES)
        return false;
    size_t most = connection->skip_bytes < DROP_MOST ? connection->skip_bytes : DROP_MOST;
    ssize_t got = recv(connection->fd, NULL, most, MSG_DONTWAIT | MSG_TRUNC);
    if (got <= 0 && !(got < 0 && errno == EAGAIN))
        die("the server went away: %s", got == 0 ? "connection closed" : strerror(errno));
    connection->skip_bytes -= got > 0 ? (size_t)got : 0;
    return true;
}

static void receive(struct thread *thread, struct connection *connection)
{
    if (drop(connection)) {
        if (connection->skip_bytes == 0)
            take(thread, connection, thread->in, 0);
        return;
    }
    char *in = thread->in + CARRY_BYTES, *begin = in - connection->carry_bytes;
    ssize_t got = recv(connection->fd, in, IN_BYTES, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0)
        die("the server went away: %s", got == 0 ? "connection closed" : strerror(errno));
    memcpy(begin, connection->carry, connection->carry_bytes);
    size_t length = (size_t)(in + got - begin);
    size_t rest = take(thread, connection, begin, length);
    memcpy(connection->carry, begin + length - rest, rest);
    connection->carry_bytes = (unsigned)rest;
}

/* ---- a thread ---- */

static void *run(void *context)
{
    struct thread *thread = context;
    struct epoll_event events[EVENTS_MAX];
    if (thread->options->cpus != NULL)
        sched_setaffinity(0, sizeof *thread->options->cpus, thread->options->cpus);
    for (unsigned c = 0; c < thread->count; c++)
        send_batch(thread, &thread->connections[c], clock_ns());
    thread->waiting = thread->count;
    while (thread->waiting > 0) {
        int found = epoll_wait(thread->epoll, events, EVENTS_MAX, PATIENCE_MS);
        if (found == 0)
            die("no reply within %d s", PATIENCE_MS / 1000);
        for (int e = 0; e < found; e++) {
            struct connection *connection = events[e].data.ptr;
            if (events[e].events & EPOLLOUT)
                transmit(thread, connection);
            if (events[e].events & ~(uint32_t)EPOLLOUT)
                receive(thread, connection);
        }
    }
    return NULL;
}

static void open_thread(struct thread *thread, unsigned first, unsigned all)
{
    const struct load *load = thread->load;
    thread->epoll = epoll_create1(EPOLL_CLOEXEC);
    thread->in = must_realloc(NULL, CARRY_BYTES + IN_BYTES);
    thread->connections = must_realloc(NULL, thread->count * sizeof *thread->connections);
    for (unsigned c = 0; c < thread->count; c++) {
        struct connection *connection = &thread->connections[c];
        size_t start = (size_t)(first + c) * load->batch_count / all;
        *connection =
            (struct connection){.fd = dial(thread->options->port), .batch = (uint32_t)start};
        watch(thread, connection, EPOLL_CTL_ADD);
    }
}

static void close_thread(struct thread *thread)
{
    for (unsigned c = 0; c < thread->count; c++)
        close(thread->connections[c].fd);
    close(thread->epoll);
    free(thread->connections);
    free(thread->in);
}

/* ---- all of them ---- */

static void add_up(struct drive_result *result, const struct thread *thread)
{
    const struct drive_result *part = &thread->result;
    result->operations += part->operations;
    result->commands += part->commands;
    result->misses += part->misses;
    result->sent_bytes += part->sent_bytes;
    result->received_bytes += part->received_bytes;
    result->driver_cpu_seconds += thread->cpu_seconds;
    if (part->seconds > result->seconds)
        result->seconds = part->seconds;
    histogram_merge(&result->latency, &part->latency);
}

static void start(struct thread *threads, unsigned count, const struct load *load,
                  const struct drive_options *options, struct watch *watch)
{
    unsigned first = 0;
    for (unsigned t = 0; t < count; t++) {
        unsigned share = options->connections / count + (t < options->connections % count);
        threads[t] = (struct thread){.load = load, .options = options, .count = share};
        open_thread(&threads[t], first, options->connections);
        first += share;
    }
    uint64_t begin_ns = clock_ns() + (uint64_t)(options->warm_seconds * 1e9);
    for (unsigned t = 0; t < count; t++) {
        threads[t].begin_ns = begin_ns;
        threads[t].end_ns = begin_ns + (uint64_t)(options->seconds * 1e9);
        threads[t].watch = t == 0 && options->server != 0 ? watch : NULL;
        threads[t].goal = options->seconds > 0 ? 0 : options->operations / count + 1;
        if (pthread_create(&threads[t].id, NULL, run, &threads[t]) != 0)
            die("no thread");
    }
}

void drive(const struct load *load, const struct drive_options *options,
           struct drive_result *result)
{
    unsigned count = options->threads > 0 ? options->threads : 1;
    count = count < options->connections ? count : options->connections;
    struct thread *threads = must_realloc(NULL, count * sizeof *threads);
    struct watch watch = {.pid = options->server};
    *result = (struct drive_result){.driver_threads = count};
    start(threads, count, load, options, &watch);
    for (unsigned t = 0; t < count; t++) {
        pthread_join(threads[t].id, NULL);
        add_up(result, &threads[t]);
        close_thread(&threads[t]);
    }
    result->server_cpu_seconds = watch.cpu_seconds;
    result->server_events = watch.counted;
    free(threads);
}

bool drive_is_limit(const struct drive_result *result)
{
    return drive_driver_busy(result) > BUSY && drive_server_busy(result) < BUSY;
}

bool drive_was_disturbed(const struct drive_result *result)
{
    return drive_driver_busy(result) < IDLE && drive_server_busy(result) < IDLE;
}
