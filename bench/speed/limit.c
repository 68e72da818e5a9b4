/* SPDX-License-Identifier: MIT */
/* limit.c: what one libuv loop could do: frames RESP and memcached commands and answers each read
 * with a constant of the wanted length. Nothing is stored, nothing is looked up, nothing is
 * counted.
 *
 *   limit --port 7000 --value-bytes 100
 *
 * It does what a server on libuv can't leave out, and that in the cheapest way there is: one read,
 * one uv_try_write for all commands of it, long values from where they lie. A client that does not
 * read is not read from.
 */
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "../workload.h"
#include "framing.h"

#define IN_BYTES     (256u * 1024) /* FRAME_HEAD_MAX_BYTES of them for what is left of before */
#define TEXT_BYTES   (64u * 1024)  /* copied answers before they are sent */
#define PIECES_MAX   256u
#define PIECE_BYTES  (16u * 1024) /* values from there on are sent without copying */
#define VALUE_MAX    (512u * 1024 * 1024)
#define LISTEN_QUEUE 4096

struct limit {
    uv_loop_t loop;
    size_t value_bytes;
    char *resp_value;   /* "$LENGTH\r\n", the value and its line end */
    size_t resp_length; /* of all that */
    const char *data;   /* in it: the value and its line end */
    char length_text[24];
    size_t length_text_bytes;
    char in[IN_BYTES];
    char text[TEXT_BYTES]; /* answers of the present read that have not been sent */
    size_t text_length;
    uv_buf_t pieces[PIECES_MAX]; /* the same in their order; in `text`, or `resp_value` */
    unsigned piece_count;
};

struct connection {
    uv_tcp_t tcp;
    struct limit *limit;
    size_t skip_bytes; /* of a value, still to come */
    struct frame due;  /* is answered after them */
    char *rest;        /* the beginning of a command */
    size_t rest_bytes;
    unsigned parcels; /* under way */
    bool is_closing;
};

struct parcel {
    uv_write_t request;
    struct connection *connection;
    char *text;
};

/* ---- sending ---- */

static void on_room(uv_handle_t *handle, size_t wanted, uv_buf_t *room);
static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *room);

static void on_closed(uv_handle_t *handle)
{
    struct connection *connection = handle->data;
    free(connection->rest);
    free(connection);
}

static void hang_up(struct connection *connection)
{
    if (!connection->is_closing)
        uv_close((uv_handle_t *)&connection->tcp, on_closed);
    connection->is_closing = true;
}

static void on_sent(uv_write_t *request, int error)
{
    struct parcel *parcel = (struct parcel *)request;
    struct connection *connection = parcel->connection;
    free(parcel->text);
    free(parcel);
    if (--connection->parcels > 0 || connection->is_closing)
        return;
    if (error < 0)
        hang_up(connection);
    else
        uv_read_start((uv_stream_t *)&connection->tcp, on_room, on_read);
}

static bool is_copied(const struct limit *limit, const char *base)
{
    return base >= limit->text && base < limit->text + TEXT_BYTES;
}

/* What the socket did not take: the copied answers move, the constant stays where it is. */
static void send_later(struct connection *connection, uv_buf_t *pieces, unsigned count)
{
    struct limit *limit = connection->limit;
    struct parcel *parcel = must_realloc(NULL, sizeof *parcel);
    *parcel = (struct parcel){.connection = connection, .text = must_realloc(NULL, TEXT_BYTES)};
    memcpy(parcel->text, limit->text, limit->text_length);
    for (unsigned p = 0; p < count; p++)
        if (is_copied(limit, pieces[p].base))
            pieces[p].base = parcel->text + (pieces[p].base - limit->text);
    connection->parcels++;
    uv_read_stop((uv_stream_t *)&connection->tcp);
    if (uv_write(&parcel->request, (uv_stream_t *)&connection->tcp, pieces, count, on_sent) == 0)
        return;
    connection->parcels--;
    free(parcel->text);
    free(parcel);
    hang_up(connection);
}

static void flush(struct connection *connection)
{
    struct limit *limit = connection->limit;
    uv_buf_t *pieces = limit->pieces;
    unsigned count = limit->piece_count;
    if (count > 0 && !connection->is_closing) {
        int sent = connection->parcels > 0
                       ? UV_EAGAIN
                       : uv_try_write((uv_stream_t *)&connection->tcp, pieces, count);
        size_t bytes = sent > 0 ? (size_t)sent : 0;
        for (; count > 0 && bytes >= pieces->len; pieces++, count--)
            bytes -= pieces->len;
        if (sent < 0 && sent != UV_EAGAIN) {
            hang_up(connection);
        } else if (count > 0) {
            pieces->base += bytes;
            pieces->len -= bytes;
            send_later(connection, pieces, count);
        }
    }
    limit->piece_count = 0;
    limit->text_length = 0;
}

/* ---- answers ---- */

static void add_piece(struct connection *connection, const char *base, size_t length)
{
    struct limit *limit = connection->limit;
    if (limit->piece_count == PIECES_MAX)
        flush(connection);
    limit->pieces[limit->piece_count++] = uv_buf_init((char *)base, (unsigned)length);
}

/* Short: at most PIECE_BYTES and a little. */
static void copy(struct connection *connection, const char *bytes, size_t length)
{
    struct limit *limit = connection->limit;
    if (limit->text_length + length > TEXT_BYTES || limit->piece_count == PIECES_MAX)
        flush(connection);
    char *at = limit->text + limit->text_length;
    memcpy(at, bytes, length);
    limit->text_length += length;
    uv_buf_t *last = limit->piece_count > 0 ? &limit->pieces[limit->piece_count - 1] : NULL;
    if (last != NULL && last->base + last->len == at)
        last->len += length;
    else
        add_piece(connection, at, length);
}

#define COPY_TEXT(connection, text) copy(connection, text, sizeof(text) - 1)

static void add(struct connection *connection, const char *bytes, size_t length)
{
    if (length < PIECE_BYTES)
        copy(connection, bytes, length);
    else
        add_piece(connection, bytes, length);
}

static void answer_mget(struct connection *connection, unsigned keys)
{
    const struct limit *limit = connection->limit;
    char head[24];
    copy(connection, head, (size_t)snprintf(head, sizeof head, "*%u\r\n", keys));
    for (unsigned k = 0; k < keys; k++)
        add(connection, limit->resp_value, limit->resp_length);
}

static void answer_get(struct connection *connection, const struct frame *frame)
{
    const struct limit *limit = connection->limit;
    for (const char *key = frame->words; key < frame->words_end;) {
        const char *end = memchr(key, ' ', (size_t)(frame->words_end - key));
        end = end == NULL ? frame->words_end : end;
        COPY_TEXT(connection, "VALUE ");
        copy(connection, key, (size_t)(end - key));
        COPY_TEXT(connection, " 0 ");
        copy(connection, limit->length_text, limit->length_text_bytes);
        add(connection, limit->data, limit->value_bytes + 2);
        key = end + 1;
    }
    COPY_TEXT(connection, "END\r\n");
}

/* Of the flags only k has an answer. */
static void answer_meta_get(struct connection *connection, const struct frame *frame)
{
    const struct limit *limit = connection->limit;
    const char *key_end = memchr(frame->words, ' ', (size_t)(frame->words_end - frame->words));
    bool wants_key = false;
    for (const char *at = key_end; at != NULL && at < frame->words_end; at++)
        wants_key = wants_key || (at[0] == ' ' && at[1] == 'k');
    COPY_TEXT(connection, "VA ");
    copy(connection, limit->length_text, limit->length_text_bytes - (wants_key ? 2 : 0));
    if (wants_key) {
        COPY_TEXT(connection, " k");
        copy(connection, frame->words, (size_t)(key_end - frame->words));
        COPY_TEXT(connection, "\r\n");
    }
    add(connection, limit->data, limit->value_bytes + 2);
}

static void answer(struct connection *connection, const struct frame *frame)
{
    const struct limit *limit = connection->limit;
    switch (frame->kind) {
    case FRAME_RESP_GET:
        add(connection, limit->resp_value, limit->resp_length);
        break;
    case FRAME_RESP_MGET:
        answer_mget(connection, frame->keys);
        break;
    case FRAME_RESP_PING:
        COPY_TEXT(connection, "+PONG\r\n");
        break;
    case FRAME_RESP_OTHER:
        COPY_TEXT(connection, "+OK\r\n");
        break;
    case FRAME_TEXT_GET:
        answer_get(connection, frame);
        break;
    case FRAME_TEXT_SET:
        COPY_TEXT(connection, "STORED\r\n");
        break;
    case FRAME_META_GET:
        answer_meta_get(connection, frame);
        break;
    case FRAME_META_SET:
        COPY_TEXT(connection, "HD\r\n");
        break;
    case FRAME_META_NOOP:
        COPY_TEXT(connection, "MN\r\n");
        break;
    case FRAME_VERSION:
        COPY_TEXT(connection, "VERSION limit\r\n");
        break;
    case FRAME_UNKNOWN:
        COPY_TEXT(connection, "ERROR\r\n");
        break;
    }
}

/* ---- receiving ---- */

static void on_room(uv_handle_t *handle, size_t wanted, uv_buf_t *room)
{
    struct connection *connection = handle->data;
    struct limit *limit = connection->limit;
    (void)wanted;
    if (connection->rest_bytes > 0)
        memcpy(limit->in, connection->rest, connection->rest_bytes);
    *room = uv_buf_init(limit->in + connection->rest_bytes,
                        (unsigned)(IN_BYTES - connection->rest_bytes));
}

static void keep_rest(struct connection *connection, const char *bytes, size_t length)
{
    if (length > 0) {
        connection->rest = must_realloc(connection->rest, length);
        memcpy(connection->rest, bytes, length);
    }
    connection->rest_bytes = length;
}

/* Passes over what is left of a value. Returns the bytes it took. */
static size_t skip(struct connection *connection, size_t length)
{
    size_t took = connection->skip_bytes < length ? connection->skip_bytes : length;
    connection->skip_bytes -= took;
    if (took > 0 && connection->skip_bytes == 0)
        answer(connection, &connection->due);
    return took;
}

static void run(struct connection *connection, const char *bytes, size_t length)
{
    size_t at = skip(connection, length);
    while (at < length && !connection->is_closing) {
        struct frame frame = {.kind = FRAME_UNKNOWN};
        ssize_t took = frame_next(bytes + at, length - at, &frame);
        if (took < 0)
            hang_up(connection);
        if (took <= 0)
            break;
        if ((size_t)took > length - at) {
            connection->skip_bytes = (size_t)took - (length - at);
            connection->due = frame;
            at = length;
            break;
        }
        answer(connection, &frame);
        at += (size_t)took;
    }
    keep_rest(connection, bytes + at, length - at);
    flush(connection);
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *room)
{
    struct connection *connection = stream->data;
    if (length < 0) {
        hang_up(connection);
        return;
    }
    const char *bytes = connection->limit->in;
    if (length > 0)
        run(connection, bytes, (size_t)(room->base - bytes) + (size_t)length);
}

static void on_connection(uv_stream_t *listener, int error)
{
    if (error < 0)
        return;
    struct connection *connection = must_realloc(NULL, sizeof *connection);
    *connection = (struct connection){.limit = listener->data};
    uv_tcp_init(listener->loop, &connection->tcp);
    connection->tcp.data = connection;
    if (uv_accept(listener, (uv_stream_t *)&connection->tcp) < 0) {
        hang_up(connection);
        return;
    }
    uv_tcp_nodelay(&connection->tcp, 1);
    uv_read_start((uv_stream_t *)&connection->tcp, on_room, on_read);
}

/* ---- starting ---- */

static void compose(struct limit *limit)
{
    size_t bytes = limit->value_bytes;
    limit->resp_value = must_realloc(NULL, bytes + 32);
    size_t head = (size_t)snprintf(limit->resp_value, 32, "$%zu\r\n", bytes);
    memset(limit->resp_value + head, 'v', bytes);
    memcpy(limit->resp_value + head + bytes, "\r\n", 2);
    limit->resp_length = head + bytes + 2;
    limit->data = limit->resp_value + head;
    memcpy(limit->length_text, limit->resp_value + 1, head - 1);
    limit->length_text_bytes = head - 1;
}

static void on_signal(uv_signal_t *signal, int number)
{
    (void)number;
    uv_stop(signal->loop);
}

static void serve(struct limit *limit, unsigned port)
{
    uv_tcp_t listener;
    uv_signal_t ends[2];
    struct sockaddr_in address;
    uv_loop_init(&limit->loop);
    uv_tcp_init(&limit->loop, &listener);
    listener.data = limit;
    uv_ip4_addr("127.0.0.1", (int)port, &address);
    int error = uv_tcp_bind(&listener, (struct sockaddr *)&address, 0);
    if (error == 0)
        error = uv_listen((uv_stream_t *)&listener, LISTEN_QUEUE, on_connection);
    if (error < 0)
        die("limit: port %u: %s", port, uv_strerror(error));
    for (size_t s = 0; s < 2; s++) {
        uv_signal_init(&limit->loop, &ends[s]);
        uv_signal_start(&ends[s], on_signal, s == 0 ? SIGTERM : SIGINT);
    }
    uv_run(&limit->loop, UV_RUN_DEFAULT);
}

int main(int argc, char **argv)
{
    static struct limit limit = {.value_bytes = 100};
    static const struct option rows[] = {{"port", required_argument, NULL, 'p'},
                                         {"value-bytes", required_argument, NULL, 'v'},
                                         {NULL, 0, NULL, 0}};
    unsigned long port = 7000;
    for (int option; (option = getopt_long(argc, argv, "", rows, NULL)) != -1;) {
        if (option == 'p')
            port = strtoul(optarg, NULL, 10);
        else if (option == 'v')
            limit.value_bytes = strtoul(optarg, NULL, 10);
        else
            exit(2);
    }
    if (port == 0 || port > 65535 || limit.value_bytes > VALUE_MAX)
        die("limit: --port 1 to 65535, --value-bytes up to %u", VALUE_MAX);
    compose(&limit);
    serve(&limit, (unsigned)port);
    return 0;
}
