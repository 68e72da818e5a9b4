/* SPDX-License-Identifier: MIT */
/* admin.c: routes. Called by net/ on the main thread, which is not a worker: a scrape delays no
 * client, and a busy worker delays no scrape.
 */
#include "admin.h"

#include <stdlib.h>
#include <string.h>

#include "../service.h"
#include "classes.h"
#include "exposition.h"
#include "metrics.h"
#include "page.h"
#include "sample.h"

#define BODY_MAX_BYTES    ((size_t)4 << 20)
#define HEADERS_MAX_BYTES 512u

#define TEXT_TYPE       "text/plain; charset=utf-8"
#define COMMON_HEADERS  "X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n"
#define METRICS_HEADERS "Vary: Accept\r\n" COMMON_HEADERS
#define ALLOW_HEADERS   "Allow: GET, HEAD\r\n" COMMON_HEADERS

struct admin {
    struct service *service;
    struct sampler sampler;
    struct classes classes;
    uint64_t scrapes, scrape_ns;
    size_t body_bytes; /* of the last scrape: the next needs as much */
};

/* ---- answers ---- */

static void respond_text(const struct ebb_http_request *request, int status, const char *text,
                         const char *headers, struct ebb_buf *out)
{
    struct ebb_http_response response = {
        .status = status,
        .content_type = TEXT_TYPE,
        .extra_headers = headers,
        .body = {text, strlen(text)},
    };
    ebb_http_write(out, request, &response);
}

/* Sends the body, unless there was no memory for it, and frees it. */
static void respond_body(const struct ebb_http_request *request, const char *content_type,
                         const char *headers, struct ebb_buf *body, struct ebb_buf *out)
{
    struct ebb_http_response response = {
        .status = 200,
        .content_type = content_type,
        .extra_headers = headers,
        .body = {ebb_buf_data(body), ebb_buf_len(body)},
    };
    if (body->failed)
        respond_text(request, 503, "no memory for the answer\n", COMMON_HEADERS, out);
    else
        ebb_http_write(out, request, &response);
    ebb_buf_release(body);
}

static void gather(struct admin *admin, struct metrics *metrics)
{
    sampler_refresh(&admin->sampler);
    metrics_gather(metrics, admin->service, &admin->sampler, &admin->classes);
    metrics->scrapes = admin->scrapes;
    metrics->scrape_ns = admin->scrape_ns;
}

/* ---- routes ---- */

static void get_metrics(struct admin *admin, const struct ebb_http_request *request,
                        struct ebb_buf *out)
{
    uint64_t start_ns = monotonic_ns();
    enum exposition_format format = exposition_choose(request->accept);
    struct metrics metrics;
    struct ebb_buf body;
    admin->scrapes++;
    classes_refresh(&admin->classes, admin->service->store);
    gather(admin, &metrics);
    ebb_buf_init(&body, BODY_MAX_BYTES);
    ebb_buf_reserve(&body, admin->body_bytes + admin->body_bytes / 8);
    metrics_write(&metrics, format, &body);
    admin->body_bytes = ebb_buf_len(&body);
    respond_body(request, exposition_content_type(format), METRICS_HEADERS, &body, out);
    admin->scrape_ns = monotonic_ns() - start_ns;
}

static void get_page(struct admin *admin, const struct ebb_http_request *request,
                     struct ebb_buf *out)
{
    char nonce[PAGE_NONCE_BYTES], headers[HEADERS_MAX_BYTES];
    struct metrics metrics;
    struct ebb_buf body;
    if (!page_nonce(nonce)) {
        respond_text(request, 503, "no random bytes yet\n", COMMON_HEADERS, out);
        return;
    }
    gather(admin, &metrics);
    page_headers(nonce, headers, sizeof headers);
    ebb_buf_init(&body, BODY_MAX_BYTES);
    page_write(&metrics, nonce, &body);
    respond_body(request, "text/html; charset=utf-8", headers, &body, out);
}

/* Answered by the loop that also accepts connections: to be heard is to be well. */
static void get_health(struct admin *admin, const struct ebb_http_request *request,
                       struct ebb_buf *out)
{
    (void)admin;
    respond_text(request, 200, "ok\n", COMMON_HEADERS, out);
}

/* The store and the workers are there before the HTTP port is, and it closes first: whoever can ask
 * finds the server ready, as long as the kernel tells it what it is. */
static void get_ready(struct admin *admin, const struct ebb_http_request *request,
                      struct ebb_buf *out)
{
    sampler_refresh(&admin->sampler);
    bool is_ready = admin->sampler.last.taken_ns != 0;
    respond_text(request, is_ready ? 200 : 503, is_ready ? "ready\n" : "no sample yet\n",
                 COMMON_HEADERS, out);
}

static const struct route {
    const char *path;
    void (*get)(struct admin *admin, const struct ebb_http_request *request, struct ebb_buf *out);
} routes[] = {
    {"/", get_page},
    {"/metrics", get_metrics},
    {"/healthz", get_health},
    {"/readyz", get_ready},
};

static const struct route *find_route(struct ebb_slice path)
{
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++)
        if (path.len == strlen(routes[i].path) && memcmp(path.data, routes[i].path, path.len) == 0)
            return &routes[i];
    return NULL;
}

/* ---- public ---- */

void admin_respond(struct admin *admin, const struct ebb_http_request *request, struct ebb_buf *out)
{
    const struct route *route = find_route(request->path);
    if (route == NULL)
        respond_text(request, 404, "not found\n", COMMON_HEADERS, out);
    else if (request->method != EBB_HTTP_GET && request->method != EBB_HTTP_HEAD)
        respond_text(request, 405, "only GET and HEAD\n", ALLOW_HEADERS, out);
    else
        route->get(admin, request, out);
}

void admin_sample(struct admin *admin)
{
    sampler_take(&admin->sampler);
}

int admin_create(struct admin **out, struct service *service)
{
    struct admin *admin = calloc(1, sizeof *admin);
    if (admin == NULL)
        return -1;
    admin->service = service;
    classes_init(&admin->classes);
    if (sampler_init(&admin->sampler, service) != 0) {
        free(admin);
        return -1;
    }
    *out = admin;
    return 0;
}

void admin_destroy(struct admin *admin)
{
    if (admin == NULL)
        return;
    sampler_release(&admin->sampler);
    classes_release(&admin->classes);
    free(admin);
}
