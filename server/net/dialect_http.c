/* SPDX-License-Identifier: MIT */
/* dialect_http.c: requests for the admin pages, on the main thread's worker. A request is small and
 * is parsed anew when more of it has come.
 */
#include "dialect.h"

#include <string.h>

#include "../admin/admin.h"
#include "line.h"
#include "unsent.h"

/* Answers what is not a request that can be answered, and closes. */
static void refuse(struct connection *connection, int status)
{
    struct ebb_buf *out = &connection_worker(connection)->out;
    const char *text = ebb_http_status_text(status);
    const struct ebb_http_request request = {.method = EBB_HTTP_GET, .keep_alive = false};
    const struct ebb_http_response response = {
        .status = status,
        .content_type = "text/plain; charset=utf-8",
        .body = {.data = text, .len = strlen(text)},
    };
    ebb_http_write(out, &request, &response);
    connection_end(connection, CLOSE_ERROR);
}

static void answer(struct connection *connection, const struct ebb_http_request *request)
{
    struct worker *worker = connection_worker(connection);
    counter_add(&worker->counters.http_requests, 1);
    admin_respond(worker->config.admin, request, &worker->out);
    connection->client.commands++;
    if (!request->keep_alive)
        connection_end(connection, CLOSE_CLIENT);
    if (worker_has_much(worker))
        unsent_flush(connection);
}

static size_t run(struct connection *connection, char *bytes, size_t len)
{
    size_t done = 0;
    while (done < len && connection_is_open(connection)) {
        if (line_is_over(connection_worker(connection))) {
            line_join(connection);
            break;
        }
        struct ebb_http_request request;
        int status = 400;
        ssize_t used = ebb_http_parse(bytes + done, len - done, &request, &status);
        if (used < 0)
            refuse(connection, status);
        if (used <= 0)
            break;
        done += (size_t)used;
        answer(connection, &request);
    }
    return done;
}

static void refuse_long(struct ebb_buf *out)
{
    (void)out; /* the parser refuses a request long before any query limit */
}

const struct dialect dialect_http = {
    .name = "HTTP",
    .too_many = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\n"
                "Content-Length: 24\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"
                "too many connections...\n",
    .run = run,
    .refuse_long = refuse_long,
};
