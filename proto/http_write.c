/* SPDX-License-Identifier: MIT */
/* http_write.c: HTTP/1.1 responses.
 *
 * A response has its length in front, so that connections can go on. Called by the pages.
 */
#include "ebb_proto.h"

#include <string.h>

const char *ebb_http_status_text(int status)
{
    static const struct {
        int status;
        const char *text;
    } texts[] = {
        {200, "OK"},
        {202, "Accepted"},
        {204, "No Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (texts[i].status == status)
            return texts[i].text;
    return "Unknown";
}

void ebb_http_write(struct ebb_buf *out, const struct ebb_http_request *request,
                    const struct ebb_http_response *response)
{
    /* These two never have a body, and a length would be that of a body which is not sent. */
    bool may_have_body = response->status != 204 && response->status != 304;
    ebb_buf_printf(out, "HTTP/1.1 %d %s\r\n", response->status,
                   ebb_http_status_text(response->status));
    if (may_have_body && response->content_type)
        ebb_buf_printf(out, "Content-Type: %s\r\n", response->content_type);
    if (may_have_body)
        ebb_buf_printf(out, "Content-Length: %zu\r\n", response->body.len);
    if (response->extra_headers)
        ebb_buf_add(out, response->extra_headers, strlen(response->extra_headers));
    /* Said either way: HTTP/1.0 clients that asked for keep-alive wait to hear it. */
    ebb_buf_printf(out, "Connection: %s\r\n\r\n", request->keep_alive ? "keep-alive" : "close");
    if (may_have_body && request->method != EBB_HTTP_HEAD)
        ebb_buf_add(out, response->body.data, response->body.len);
}
