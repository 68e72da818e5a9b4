/* SPDX-License-Identifier: MIT */
/* http.c: HTTP/1.x requests, read by llhttp.
 *
 * A request of a scrape or of a browser fits in one read, so nothing is kept between calls: an
 * incomplete one is read anew with the next bytes, and a request can't be longer than
 * EBB_HTTP_HEAD_MAX_BYTES with its body. Bodies are skipped: no page wants one. Called by whoever
 * reads from HTTP clients.
 */
#include "ebb_proto.h"

#include <llhttp.h>
#include <string.h>
#include <strings.h>

#define STOP (-1) /* from a callback: the request is refused */

/* What one call knows while llhttp runs. */
struct reading {
    struct ebb_http_request *request;
    struct ebb_slice url, field, value;
    bool url_is_done, head_is_done, is_done;
};

/* Adds a piece to a span. False when it does not continue what is there: a folded header line. */
static bool extend(struct ebb_slice *span, const char *at, size_t len)
{
    if (!span->data)
        *span = (struct ebb_slice){at, 0};
    if (span->data + span->len != at)
        return false;
    span->len += len;
    return true;
}

static int on_url(llhttp_t *parser, const char *at, size_t len)
{
    struct reading *reading = parser->data;
    return extend(&reading->url, at, len) ? 0 : STOP;
}

static int on_url_complete(llhttp_t *parser)
{
    struct reading *reading = parser->data;
    reading->url_is_done = true;
    return 0;
}

static int on_header_field(llhttp_t *parser, const char *at, size_t len)
{
    struct reading *reading = parser->data;
    return extend(&reading->field, at, len) ? 0 : STOP;
}

static int on_header_field_complete(llhttp_t *parser)
{
    struct reading *reading = parser->data;
    const struct ebb_slice *field = &reading->field;
    /* A blank before the colon lets two readers of one request see different headers. */
    return field->len > 0 && field->data[field->len - 1] == ' ' ? STOP : 0;
}

static int on_header_value(llhttp_t *parser, const char *at, size_t len)
{
    struct reading *reading = parser->data;
    return extend(&reading->value, at, len) ? 0 : STOP;
}

static struct ebb_slice *find_header(struct ebb_http_request *request,
                                     const struct ebb_slice *field)
{
    const struct {
        const char *name;
        struct ebb_slice *value;
    } wanted[] = {
        {"accept", &request->accept},
        {"accept-encoding", &request->accept_encoding},
        {"authorization", &request->authorization},
    };
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
        if (field->len == strlen(wanted[i].name) &&
            strncasecmp(field->data, wanted[i].name, field->len) == 0)
            return wanted[i].value;
    return NULL;
}

static int on_header_value_complete(llhttp_t *parser)
{
    struct reading *reading = parser->data;
    struct ebb_slice *value = &reading->value;
    struct ebb_slice *header = find_header(reading->request, &reading->field);
    while (value->len > 0 &&
           (value->data[value->len - 1] == ' ' || value->data[value->len - 1] == '\t'))
        value->len--;
    /* The first of several counts, and what trails a body counts for nothing. */
    if (header && !header->data && !reading->head_is_done)
        *header = *value;
    reading->field = reading->value = (struct ebb_slice){0};
    return 0;
}

static int on_headers_complete(llhttp_t *parser)
{
    struct reading *reading = parser->data;
    /* After a CONNECT the bytes would be another protocol's. Other upgrades are declined by going
     * on in HTTP. */
    reading->request->keep_alive =
        parser->method != HTTP_CONNECT && llhttp_should_keep_alive(parser);
    reading->head_is_done = true;
    return 0;
}

static int on_message_complete(llhttp_t *parser)
{
    struct reading *reading = parser->data;
    reading->is_done = true;
    return HPE_PAUSED; /* what follows is the next request */
}

static const llhttp_settings_t callbacks = {
    .on_url = on_url,
    .on_url_complete = on_url_complete,
    .on_header_field = on_header_field,
    .on_header_field_complete = on_header_field_complete,
    .on_header_value = on_header_value,
    .on_header_value_complete = on_header_value_complete,
    .on_headers_complete = on_headers_complete,
    .on_message_complete = on_message_complete,
};

static enum ebb_http_method method_of(const llhttp_t *parser)
{
    switch (parser->method) {
    case HTTP_GET:
        return EBB_HTTP_GET;
    case HTTP_HEAD:
        return EBB_HTTP_HEAD;
    case HTTP_POST:
        return EBB_HTTP_POST;
    default:
        return EBB_HTTP_OTHER;
    }
}

/* Path and query of "/path?query#fragment" or "scheme://host/path?query". */
static void split_url(struct ebb_slice url, struct ebb_http_request *request)
{
    const char *at = url.data, *end = at + url.len;
    const char *fragment = memchr(at, '#', url.len);
    if (fragment)
        end = fragment;
    const char *host = *at == '/' ? NULL : memmem(at, (size_t)(end - at), "://", 3);
    if (host)
        for (at = host + 3; at < end && *at != '/' && *at != '?';)
            at++;
    const char *query = memchr(at, '?', (size_t)(end - at));
    const char *path_end = query ? query : end;
    request->path = (struct ebb_slice){at, (size_t)(path_end - at)};
    if (request->path.len == 0)
        request->path = (struct ebb_slice){"/", 1};
    if (query)
        request->query = (struct ebb_slice){query + 1, (size_t)(end - query - 1)};
}

/* What to answer to a request that is longer than it may be. */
static int status_of_excess(const struct reading *reading)
{
    if (!reading->url_is_done)
        return 414;
    return reading->head_is_done ? 413 : 431;
}

static int status_of_error(const llhttp_t *parser, llhttp_errno_t error)
{
    if (error == HPE_PAUSED_H2_UPGRADE)
        return 505;
    return error == HPE_INVALID_VERSION && parser->http_major > 1 ? 505 : 400;
}

static ssize_t refuse(struct ebb_http_request *request, int *status, int why)
{
    *request = (struct ebb_http_request){.method = EBB_HTTP_OTHER, .keep_alive = false};
    *status = why;
    return why == 400 || why == 505 ? EBB_PROTO_EBAD : EBB_PROTO_ELIMIT;
}

ssize_t ebb_http_parse(const char *bytes, size_t len, struct ebb_http_request *request, int *status)
{
    *request = (struct ebb_http_request){.method = EBB_HTTP_OTHER};
    if (len == 0)
        return 0;
    if (len > EBB_HTTP_HEAD_MAX_BYTES)
        len = EBB_HTTP_HEAD_MAX_BYTES; /* the rest can only be later requests */

    struct reading reading = {.request = request};
    llhttp_t parser;
    llhttp_init(&parser, HTTP_REQUEST, &callbacks);
    parser.data = &reading;
    llhttp_errno_t error = llhttp_execute(&parser, bytes, len);

    if (reading.is_done) {
        if (parser.http_major != 1)
            return refuse(request, status, 505);
        request->method = method_of(&parser);
        split_url(reading.url, request);
        return llhttp_get_error_pos(&parser) - bytes;
    }
    if (error != HPE_OK)
        return refuse(request, status, status_of_error(&parser, error));
    /* Not for chunks: while the length of one is being read the number is not yet what it will be.
     */
    bool has_length = reading.head_is_done && !(parser.flags & F_CHUNKED);
    uint64_t body_bytes_left = has_length ? parser.content_length : 0;
    if (len == EBB_HTTP_HEAD_MAX_BYTES || body_bytes_left > EBB_HTTP_HEAD_MAX_BYTES - len)
        return refuse(request, status, status_of_excess(&reading));
    return 0;
}
