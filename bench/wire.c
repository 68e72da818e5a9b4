/* SPDX-License-Identifier: MIT */
/* wire.c: see wire.h. Sending and receiving go on at the same time, so that a batch may be larger
 * than what the two ends of a socket hold.
 */
#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "workload.h"

#define IN_BYTES_LEAST (64u * 1024)
#define ASK_BYTES_MAX  (4u * 1024 * 1024)
#define ASK_MS         5000

/* ---- the socket ---- */

int wire_dial(uint16_t port, int receive_bytes)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    if (fd < 0)
        die("socket: %s", strerror(errno));
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (receive_bytes > 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        return -1;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

bool wire_open(struct wire *wire, enum wire_protocol protocol, uint16_t port, unsigned batch)
{
    int fd = wire_dial(port, 0);
    if (fd < 0)
        return false;
    *wire = (struct wire){.fd = fd, .protocol = protocol, .batch = batch};
    if (batch == 0 || batch > WIRE_BATCH_MAX)
        wire->batch = WIRE_BATCH_MAX;
    return true;
}

void wire_close(struct wire *wire)
{
    close(wire->fd);
    free(wire->out);
    free(wire->in);
    *wire = (struct wire){.fd = -1};
}

/* ---- commands ---- */

static char *room(struct wire *wire, size_t bytes)
{
    if (wire->out_length + bytes > wire->out_capacity) {
        wire->out_capacity = 2 * (wire->out_length + bytes);
        wire->out = must_realloc(wire->out, wire->out_capacity);
    }
    return wire->out + wire->out_length;
}

static void put(struct wire *wire, const void *data, size_t length)
{
    memcpy(room(wire, length), data, length);
    wire->out_length += length;
}

static void put_text(struct wire *wire, const char *text)
{
    put(wire, text, strlen(text));
}

static void put_bulk(struct wire *wire, const void *data, size_t length)
{
    char head[32];
    put(wire, head, (size_t)snprintf(head, sizeof head, "$%zu\r\n", length));
    put(wire, data, length);
    put(wire, "\r\n", 2);
}

static void count_command(struct wire *wire, enum wire_command command)
{
    if (wire->count == WIRE_BATCH_MAX)
        die("a batch of more than %d commands", WIRE_BATCH_MAX);
    wire->commands[wire->count++] = (unsigned char)command;
}

void wire_set(struct wire *wire, const char *key, size_t key_length, const void *value,
              size_t length)
{
    char head[48];
    count_command(wire, WIRE_SET);
    if (wire->protocol == WIRE_RESP) {
        put_text(wire, "*3\r\n$3\r\nSET\r\n");
        put_bulk(wire, key, key_length);
        put_bulk(wire, value, length);
        return;
    }
    put_text(wire, "set ");
    put(wire, key, key_length);
    put(wire, head, (size_t)snprintf(head, sizeof head, " 0 0 %zu\r\n", length));
    put(wire, value, length);
    put(wire, "\r\n", 2);
}

void wire_set_until(struct wire *wire, const char *key, size_t key_length, const void *value,
                    size_t length, uint64_t unix_ms)
{
    char text[80];
    count_command(wire, WIRE_SET);
    if (wire->protocol == WIRE_RESP) {
        put_text(wire, "*5\r\n$3\r\nSET\r\n");
        put_bulk(wire, key, key_length);
        put_bulk(wire, value, length);
        put_text(wire, "$4\r\nPXAT\r\n");
        put_bulk(wire, text, (size_t)snprintf(text, sizeof text, "%" PRIu64, unix_ms));
        return;
    }
    put_text(wire, "set ");
    put(wire, key, key_length);
    put(wire, text,
        (size_t)snprintf(text, sizeof text, " 0 %" PRIu64 " %zu\r\n", unix_ms / 1000, length));
    put(wire, value, length);
    put(wire, "\r\n", 2);
}

static void put_short(struct wire *wire, const char *resp, const char *memcached, const char *key,
                      size_t key_length)
{
    if (wire->protocol == WIRE_RESP) {
        put_text(wire, resp);
        put_bulk(wire, key, key_length);
        return;
    }
    put_text(wire, memcached);
    put(wire, key, key_length);
    put(wire, "\r\n", 2);
}

void wire_get(struct wire *wire, const char *key, size_t key_length, size_t length)
{
    count_command(wire, WIRE_GET);
    put_short(wire, "*2\r\n$3\r\nGET\r\n", "get ", key, key_length);
    wire->wanted_bytes += length;
}

void wire_delete(struct wire *wire, const char *key, size_t key_length)
{
    count_command(wire, WIRE_DELETE);
    put_short(wire, "*2\r\n$3\r\nDEL\r\n", "delete ", key, key_length);
}

void wire_line(struct wire *wire, const char *line)
{
    count_command(wire, WIRE_SET);
    put_text(wire, line);
}

/* ---- replies: each returns the bytes it took, 0 if there must be more ---- */

static size_t line_length(const char *data, size_t length) /* with its end; 0: no end yet */
{
    const char *end = memchr(data, '\n', length);
    return end == NULL ? 0 : (size_t)(end + 1 - data);
}

static bool begins_with(const char *data, size_t length, const char *text)
{
    return length >= strlen(text) && memcmp(data, text, strlen(text)) == 0;
}

static size_t parse_resp(const char *data, size_t length, struct wire_reply *reply)
{
    size_t line = line_length(data, length);
    if (line == 0)
        return 0;
    *reply = (struct wire_reply){WIRE_ERROR, data, line >= 2 ? line - 2 : 0};
    if (data[0] == '+') {
        reply->status = WIRE_DONE;
    } else if (data[0] == ':') {
        reply->status = data[1] == '0' ? WIRE_MISSING : WIRE_DONE;
    } else if (data[0] == '$' && data[1] == '-') {
        reply->status = WIRE_MISSING;
    } else if (data[0] == '$') {
        size_t bytes = strtoul(data + 1, NULL, 10);
        if (length < line + bytes + 2)
            return 0;
        *reply = (struct wire_reply){WIRE_VALUE, data + line, bytes};
        return line + bytes + 2;
    }
    return line;
}

/* VALUE <key> <flags> <bytes>\r\n<data>\r\nEND\r\n */
static size_t parse_value(const char *data, size_t length, size_t line, struct wire_reply *reply)
{
    unsigned long bytes;
    if (sscanf(data, "VALUE %*s %*u %lu", &bytes) != 1)
        die("not a memcached reply: %.60s", data);
    size_t all = line + bytes + 2 + strlen("END\r\n");
    if (length < all)
        return 0;
    *reply = (struct wire_reply){WIRE_VALUE, data + line, bytes};
    return all;
}

static size_t parse_memcached(const char *data, size_t length, struct wire_reply *reply)
{
    size_t line = line_length(data, length);
    if (line == 0)
        return 0;
    if (begins_with(data, line, "VALUE "))
        return parse_value(data, length, line, reply);
    *reply = (struct wire_reply){WIRE_ERROR, data, line >= 2 ? line - 2 : 0};
    if (begins_with(data, line, "STORED") || begins_with(data, line, "DELETED"))
        reply->status = WIRE_DONE;
    else if (begins_with(data, line, "END") || begins_with(data, line, "NOT_FOUND"))
        reply->status = WIRE_MISSING;
    return line;
}

/* A reply that fits no such question is an error too, so that the counts can be relied upon. */
static void check_kind(enum wire_command command, struct wire_reply *reply)
{
    if ((command == WIRE_GET && reply->status == WIRE_DONE) ||
        (command == WIRE_SET && reply->status == WIRE_MISSING) ||
        (command != WIRE_GET && reply->status == WIRE_VALUE))
        reply->status = WIRE_ERROR;
}

/* ---- the exchange ---- */

static void receive(struct wire *wire)
{
    if (wire->in_capacity - wire->in_length < IN_BYTES_LEAST) {
        wire->in_capacity = 2 * wire->in_capacity + 2 * IN_BYTES_LEAST;
        wire->in = must_realloc(wire->in, wire->in_capacity + 1);
    }
    ssize_t got = recv(wire->fd, wire->in + wire->in_length, wire->in_capacity - wire->in_length,
                       MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
        die("the server went away: %s", got == 0 ? "connection closed" : strerror(errno));
    wire->in_length += got > 0 ? (size_t)got : 0;
    wire->in[wire->in_length] = '\0'; /* for the text functions */
}

static size_t transmit(struct wire *wire, size_t sent)
{
    ssize_t put_now =
        send(wire->fd, wire->out + sent, wire->out_length - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (put_now < 0 && errno != EAGAIN && errno != EINTR)
        die("the server went away: %s", strerror(errno));
    return sent + (put_now > 0 ? (size_t)put_now : 0);
}

/* Hands over the replies that are complete; returns the bytes they took. */
static size_t hand_over(struct wire *wire, unsigned *number,
                        void (*on_reply)(void *, unsigned, const struct wire_reply *),
                        void *context)
{
    size_t at = 0;
    while (*number < wire->count) {
        struct wire_reply reply;
        size_t left = wire->in_length - at;
        size_t took = wire->protocol == WIRE_RESP ? parse_resp(wire->in + at, left, &reply)
                                                  : parse_memcached(wire->in + at, left, &reply);
        if (took == 0)
            break;
        check_kind(wire->commands[*number], &reply);
        on_reply(context, (*number)++, &reply);
        at += took;
    }
    return at;
}

void wire_exchange(struct wire *wire,
                   void (*on_reply)(void *context, unsigned number, const struct wire_reply *reply),
                   void *context)
{
    size_t sent = 0;
    unsigned number = 0;
    while (number < wire->count) {
        short events = (short)(POLLIN | (sent < wire->out_length ? POLLOUT : 0));
        struct pollfd ready = {.fd = wire->fd, .events = events};
        int found = poll(&ready, 1, WIRE_PATIENCE_MS);
        if (found == 0)
            die("no reply within %d s", WIRE_PATIENCE_MS / 1000);
        if (ready.revents & POLLOUT)
            sent = transmit(wire, sent);
        if (ready.revents & ~POLLOUT) {
            receive(wire);
            size_t took = hand_over(wire, &number, on_reply, context);
            memmove(wire->in, wire->in + took, wire->in_length - took);
            wire->in_length -= took;
        }
    }
    wire->count = 0;
    wire->out_length = wire->wanted_bytes = 0;
}

/* ---- asking ---- */

char *wire_ask(uint16_t port, const char *question, const char *end)
{
    int fd = wire_dial(port, 0);
    if (fd < 0)
        return NULL;
    size_t length = 0, capacity = 64 * 1024;
    char *answer = must_realloc(NULL, capacity + 1);
    bool is_done = send(fd, question, strlen(question), MSG_NOSIGNAL) < 0;
    while (!is_done && length < ASK_BYTES_MAX) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        if (poll(&ready, 1, ASK_MS) <= 0)
            break;
        if (length == capacity)
            answer = must_realloc(answer, (capacity *= 2) + 1);
        ssize_t got = recv(fd, answer + length, capacity - length, 0);
        if (got <= 0)
            break;
        length += (size_t)got;
        answer[length] = '\0';
        is_done = end != NULL && strstr(answer, end) != NULL;
    }
    close(fd);
    if (length > 0)
        return answer;
    free(answer);
    return NULL;
}
