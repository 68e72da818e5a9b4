/* SPDX-License-Identifier: MIT */
/* lane.c: see lane.h. */
#include "lane.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define IN_BYTES_LEAST (64u * 1024)
#define HEAD_BYTES     160 /* of a command, without key and value */
#define LINE_BYTES_MAX 8192

/* ---- life ---- */

int lane_open(struct lane *lane, const struct peer *peer, unsigned depth, struct sizes key_lengths,
              char error[], size_t error_size)
{
    *lane = (struct lane){.descriptor = peer_connect(peer, error, error_size),
                          .protocol = peer->protocol,
                          .depth = depth < LANE_DEPTH_MAX ? depth : LANE_DEPTH_MAX,
                          .key_lengths = key_lengths};
    if (lane->descriptor < 0)
        return -1;
    if (fcntl(lane->descriptor, F_SETFL, O_NONBLOCK) == 0)
        return 0;
    snprintf(error, error_size, "%s", strerror(errno));
    lane_close(lane);
    return -1;
}

void lane_close(struct lane *lane)
{
    if (lane->descriptor >= 0)
        close(lane->descriptor);
    free(lane->out);
    free(lane->in);
    *lane = (struct lane){.descriptor = -1};
}

/* ---- commands ---- */

static bool reserve(struct lane *lane, size_t bytes)
{
    if (lane->out_sent == lane->out_length)
        lane->out_sent = lane->out_length = 0;
    if (lane->out_length + bytes <= lane->out_capacity)
        return true;
    size_t capacity = 2 * (lane->out_length + bytes);
    char *out = realloc(lane->out, capacity);
    if (out == NULL)
        return false;
    lane->out = out;
    lane->out_capacity = capacity;
    return true;
}

static char *put(char *at, const char *text, size_t length)
{
    memcpy(at, text, length);
    return at + length;
}

#define PUT(at, literal) put(at, literal, sizeof(literal) - 1)

static char *put_number(char *at, uint64_t number)
{
    char digits[20];
    size_t first = sizeof digits;
    do
        digits[--first] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    return put(at, digits + first, sizeof digits - first);
}

static char *put_key(char *at, const struct lane *lane, const struct item *item)
{
    if (lane->protocol != PROTOCOL_RESP)
        return at + key_write(at, item->id, lane->key_lengths);
    size_t length = key_write(at + strlen("$nn\r\n"), item->id, lane->key_lengths);
    *at++ = '$'; /* KEY_MAX_BYTES and the least there may be have two digits */
    *at++ = (char)('0' + length / 10);
    *at++ = (char)('0' + length % 10);
    at = PUT(at, "\r\n") + length;
    return PUT(at, "\r\n");
}

static void await(struct lane *lane, const struct item *item, enum verb verb, const char *end)
{
    lane->out_length = (size_t)(end - lane->out);
    unsigned last = lane->first + lane->pending++;
    lane->asked[last < lane->depth ? last : last - lane->depth] = (struct asked){*item, verb};
}

static char *put_ttl(char *at, uint64_t ttl_ms)
{
    char digits[20];
    size_t length = (size_t)(put_number(digits, ttl_ms) - digits);
    at = PUT(at, "$2\r\nPX\r\n$");
    at = put_number(at, length);
    at = PUT(at, "\r\n");
    at = put(at, digits, length);
    return PUT(at, "\r\n");
}

bool lane_set(struct lane *lane, const struct item *item, uint64_t ttl_ms)
{
    if (!reserve(lane, HEAD_BYTES + KEY_MAX_BYTES + item->bytes))
        return false;
    char *at = lane->out + lane->out_length;
    if (lane->protocol == PROTOCOL_RESP) {
        at = ttl_ms > 0 ? PUT(at, "*5\r\n$3\r\nSET\r\n") : PUT(at, "*3\r\n$3\r\nSET\r\n");
        at = put_key(at, lane, item);
        at = PUT(at, "$");
    } else if (lane->protocol == PROTOCOL_MEMCACHED) {
        at = PUT(at, "set ");
        at = put_key(at, lane, item);
        at = PUT(at, " 0 ");
        at = put_number(at, ttl_ms / 1000);
        at = PUT(at, " ");
    } else {
        at = PUT(at, "ms ");
        at = put_key(at, lane, item);
        at = PUT(at, " ");
    }
    at = put_number(at, item->bytes);
    if (lane->protocol == PROTOCOL_META && ttl_ms > 0) {
        at = PUT(at, " T");
        at = put_number(at, ttl_ms / 1000);
    }
    at = PUT(at, "\r\n");
    value_write(at, item->bytes, item->id, item->version);
    at = PUT(at + item->bytes, "\r\n");
    if (lane->protocol == PROTOCOL_RESP && ttl_ms > 0)
        at = put_ttl(at, ttl_ms);
    await(lane, item, VERB_SET, at);
    return true;
}

static bool put_short(struct lane *lane, const struct item *item, enum verb verb)
{
    static const char *const heads[PROTOCOL_COUNT][2] = {
        {"*2\r\n$3\r\nGET\r\n", "*2\r\n$3\r\nDEL\r\n"}, {"get ", "delete "}, {"mg ", "md "}};
    const char *head = heads[lane->protocol][verb == VERB_DELETE];
    if (!reserve(lane, HEAD_BYTES + KEY_MAX_BYTES))
        return false;
    char *at = put(lane->out + lane->out_length, head, strlen(head));
    at = put_key(at, lane, item);
    if (lane->protocol == PROTOCOL_META && verb == VERB_GET)
        at = PUT(at, " v");
    if (lane->protocol != PROTOCOL_RESP)
        at = PUT(at, "\r\n");
    await(lane, item, verb, at);
    return true;
}

bool lane_get(struct lane *lane, const struct item *item)
{
    return put_short(lane, item, VERB_GET);
}

bool lane_delete(struct lane *lane, const struct item *item)
{
    return put_short(lane, item, VERB_DELETE);
}

/* ---- replies: each returns the bytes taken, 0 if more must come, -1 if it is none ---- */

static bool begins_with(const char *data, size_t length, const char *text)
{
    return length >= strlen(text) && memcmp(data, text, strlen(text)) == 0;
}

static bool read_length(const char *data, const char *end, size_t *length)
{
    *length = 0;
    if (data == end)
        return false;
    for (; data < end; data++) {
        if (*data < '0' || *data > '9' || *length > SIZE_MAX / 20)
            return false;
        *length = *length * 10 + (size_t)(*data - '0');
    }
    return true;
}

static ssize_t take_value(const char *data, size_t have, size_t line, size_t bytes,
                          const char *tail, struct reply *reply)
{
    size_t tail_length = strlen(tail);
    if (bytes > UINT32_MAX)
        return -1;
    if (have < line + bytes + tail_length)
        return 0;
    if (memcmp(data + line + bytes, tail, tail_length) != 0)
        return -1;
    *reply = (struct reply){REPLY_VALUE, data + line, bytes};
    return (ssize_t)(line + bytes + tail_length);
}

static ssize_t parse_resp(const char *data, size_t have, size_t line, struct reply *reply)
{
    size_t number;
    const char *end = data + line - 2;
    if (data[0] == '+') {
        reply->status = REPLY_DONE;
    } else if (data[0] == '$' && line == 5 && data[1] == '-') {
        reply->status = REPLY_MISSING;
    } else if (data[0] == '$') {
        if (!read_length(data + 1, end, &number))
            return -1;
        return take_value(data, have, line, number, "\r\n", reply);
    } else if (data[0] == ':') {
        if (!read_length(data + 1, end, &number))
            return -1;
        reply->status = number == 0 ? REPLY_MISSING : REPLY_DONE;
    } else if (data[0] != '-') {
        return -1;
    }
    return (ssize_t)line;
}

static ssize_t parse_memcached(const char *data, size_t have, size_t line, struct reply *reply)
{
    size_t number;
    if (begins_with(data, line, "VALUE ")) {
        const char *end = data + line - 2, *last = memrchr(data, ' ', line);
        if (!read_length(last + 1, end, &number))
            return -1;
        return take_value(data, have, line, number, "\r\nEND\r\n", reply);
    }
    if (begins_with(data, line, "STORED\r") || begins_with(data, line, "DELETED\r"))
        reply->status = REPLY_DONE;
    else if (begins_with(data, line, "END\r") || begins_with(data, line, "NOT_FOUND\r"))
        reply->status = REPLY_MISSING;
    else if (!begins_with(data, line, "ERROR") && !begins_with(data, line, "SERVER_ERROR") &&
             !begins_with(data, line, "CLIENT_ERROR"))
        return -1;
    return (ssize_t)line;
}

static ssize_t parse_meta(const char *data, size_t have, size_t line, struct reply *reply)
{
    size_t number;
    if (begins_with(data, line, "VA ")) {
        if (!read_length(data + 3, data + line - 2, &number))
            return -1;
        return take_value(data, have, line, number, "\r\n", reply);
    }
    if (begins_with(data, line, "HD\r"))
        reply->status = REPLY_DONE;
    else if (begins_with(data, line, "EN\r") || begins_with(data, line, "NF\r"))
        reply->status = REPLY_MISSING;
    else
        return parse_memcached(data, have, line, reply);
    return (ssize_t)line;
}

static bool fits(enum verb verb, enum reply_status status)
{
    return status == REPLY_REFUSED || (verb == VERB_GET && status != REPLY_DONE) ||
           (verb == VERB_SET && status == REPLY_DONE) ||
           (verb == VERB_DELETE && (status == REPLY_DONE || status == REPLY_MISSING));
}

static ssize_t parse(const struct lane *lane, const char *data, size_t have, struct reply *reply)
{
    const char *newline = memchr(data, '\n', have);
    if (newline == NULL)
        return have > LINE_BYTES_MAX ? -1 : 0;
    size_t line = (size_t)(newline + 1 - data);
    if (line < 3 || newline[-1] != '\r')
        return -1;
    *reply = (struct reply){REPLY_REFUSED, data, line - 2};
    if (lane->protocol == PROTOCOL_RESP)
        return parse_resp(data, have, line, reply);
    return lane->protocol == PROTOCOL_META ? parse_meta(data, have, line, reply)
                                           : parse_memcached(data, have, line, reply);
}

static bool take_replies(struct lane *lane, lane_on_reply on_reply, void *context)
{
    size_t at = 0;
    while (at < lane->in_length) {
        struct reply reply;
        ssize_t took = parse(lane, lane->in + at, lane->in_length - at, &reply);
        if (took == 0)
            break;
        const struct asked *asked = &lane->asked[lane->first];
        if (took < 0 || lane->pending == 0 || !fits(asked->verb, reply.status)) {
            lane->error = "the server's reply is none of the protocol, or to another question";
            return false;
        }
        lane->first = lane->first + 1 < lane->depth ? lane->first + 1 : 0;
        lane->pending--;
        on_reply(context, asked, &reply);
        at += (size_t)took;
    }
    lane->in_length -= at;
    memmove(lane->in, lane->in + at, lane->in_length);
    return true;
}

/* ---- the socket ---- */

bool lane_send(struct lane *lane)
{
    while (lane_has_unsent(lane)) {
        ssize_t sent = send(lane->descriptor, lane->out + lane->out_sent,
                            lane->out_length - lane->out_sent, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno == EAGAIN)
            return true;
        if (sent < 0) {
            lane->error = strerror(errno);
            return false;
        }
        lane->out_sent += (size_t)sent;
    }
    return true;
}

bool lane_receive(struct lane *lane, lane_on_reply on_reply, void *context)
{
    if (lane->in_capacity - lane->in_length < IN_BYTES_LEAST) {
        size_t capacity = 2 * lane->in_capacity + 2 * IN_BYTES_LEAST;
        char *in = realloc(lane->in, capacity);
        if (in == NULL) {
            lane->error = "out of memory";
            return false;
        }
        lane->in = in;
        lane->in_capacity = capacity;
    }
    ssize_t got =
        recv(lane->descriptor, lane->in + lane->in_length, lane->in_capacity - lane->in_length, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (got <= 0) {
        lane->error = got == 0 ? "the server closed it" : strerror(errno);
        return false;
    }
    lane->in_length += (size_t)got;
    return take_replies(lane, on_reply, context);
}
