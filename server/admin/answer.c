/* SPDX-License-Identifier: MIT */
/* answer.c: responses with the headers that all of them carry. Called by admin.c. */
#include "answer.h"

#include <stdio.h>
#include <string.h>

#include "gzip.h"

#define HEADERS_BYTES    768u
#define GZIP_LEAST_BYTES 1024u /* less fits into one packet as it is */

/* The page takes everything from where it came from, and nothing from anywhere else. */
#define SAFE_HEADERS                                                                               \
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "           \
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "                    \
    "frame-ancestors 'none'\r\n"                                                                   \
    "X-Content-Type-Options: nosniff\r\n"                                                          \
    "Referrer-Policy: no-referrer\r\n"                                                             \
    "Cache-Control: no-store\r\n"

static void respond(const struct ebb_http_request *request, int status, const char *content_type,
                    const char *headers, bool is_gzip, struct ebb_slice body, struct ebb_buf *out)
{
    char all[HEADERS_BYTES];
    snprintf(all, sizeof all, "%s%s%s", is_gzip ? "Content-Encoding: gzip\r\n" : "", headers,
             SAFE_HEADERS);
    struct ebb_http_response response = {
        .status = status,
        .content_type = content_type,
        .extra_headers = all,
        .body = body,
    };
    ebb_http_write(out, request, &response);
}

void answer_text(const struct ebb_http_request *request, int status, const char *text,
                 const char *headers, struct ebb_buf *out)
{
    respond(request, status, "text/plain; charset=utf-8", headers, false,
            (struct ebb_slice){text, strlen(text)}, out);
}

static struct ebb_slice content(const struct ebb_buf *buf)
{
    return (struct ebb_slice){ebb_buf_data(buf), ebb_buf_len(buf)};
}

/* A client that could have it smaller gets it whole when there is no memory to make it so. */
void answer_body(const struct ebb_http_request *request, int status, const char *content_type,
                 const char *headers, struct ebb_buf *body, struct ebb_buf *out)
{
    struct ebb_buf small;
    ebb_buf_init(&small, body->max_bytes);
    bool is_gzip = !body->failed && ebb_buf_len(body) >= GZIP_LEAST_BYTES &&
                   gzip_is_accepted(request->accept_encoding) &&
                   gzip_add(&small, ebb_buf_data(body), ebb_buf_len(body));
    if (body->failed)
        answer_text(request, 503, "no memory for the answer\n", "", out);
    else
        respond(request, status, content_type, headers, is_gzip, content(is_gzip ? &small : body),
                out);
    ebb_buf_release(&small);
    ebb_buf_release(body);
}

void answer_asset(const struct ebb_http_request *request, const struct asset *asset,
                  struct ebb_buf *out)
{
    bool is_gzip = gzip_is_accepted(request->accept_encoding);
    respond(request, 200, asset->content_type, "Vary: Accept-Encoding\r\n", is_gzip,
            is_gzip ? asset->gzip : asset->plain, out);
}
