/* SPDX-License-Identifier: MIT */
/* admin.c: routes. Called by net/ on the main thread, which is not a worker: a scrape delays no
 * client, and a busy worker delays no scrape.
 */
#include "admin.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../options.h"
#include "../service.h"
#include "../store/store.h"
#include "answer.h"
#include "api.h"
#include "classes.h"
#include "compat.h"
#include "exposition.h"
#include "history.h"
#include "metrics.h"
#include "sample.h"

#define BODY_MAX_BYTES ((size_t)16 << 20)
#define WORK_STEPS     4u /* of a purge, between two looks at the loop: some 0.4 ms */

struct admin {
    struct service *service;
    struct sampler sampler;
    struct classes classes;
    struct history history;
    pthread_mutex_t facts_mutex;
    struct memory_facts facts; /* guarded by facts_mutex */
    struct store_purge purge;  /* that somebody has asked for */
    uint64_t scrapes, scrape_ns;
    size_t body_bytes; /* of the last scrape: the next needs as much */
};

/* A request on its way to its answer. */
struct exchange {
    struct admin *admin;
    const struct ebb_http_request *request;
    struct ebb_buf *out;
};

static void gather(struct admin *admin, struct metrics *metrics)
{
    sampler_refresh(&admin->sampler);
    metrics_gather(metrics, admin->service, &admin->sampler, &admin->classes);
    metrics->scrapes = admin->scrapes;
    metrics->scrape_ns = admin->scrape_ns;
}

/* ---- metrics and health ---- */

static void scrape(struct exchange *exchange,
                   void (*write)(struct metrics *metrics, enum exposition_format format,
                                 struct ebb_buf *out))
{
    struct admin *admin = exchange->admin;
    uint64_t start_ns = monotonic_ns();
    enum exposition_format format = exposition_choose(exchange->request->accept);
    struct metrics metrics;
    struct ebb_buf body;
    admin->scrapes++;
    classes_refresh(&admin->classes, admin->service->store);
    gather(admin, &metrics);
    ebb_buf_init(&body, BODY_MAX_BYTES);
    ebb_buf_reserve(&body, admin->body_bytes + admin->body_bytes / 8);
    write(&metrics, format, &body);
    admin->body_bytes = ebb_buf_len(&body);
    answer_body(exchange->request, 200, exposition_content_type(format),
                "Vary: Accept, Accept-Encoding\r\n", &body, exchange->out);
    admin->scrape_ns = monotonic_ns() - start_ns;
}

static void get_metrics(struct exchange *exchange)
{
    scrape(exchange, metrics_write);
}

static void get_redis_metrics(struct exchange *exchange)
{
    scrape(exchange, compat_write_redis);
}

static void get_memcached_metrics(struct exchange *exchange)
{
    scrape(exchange, compat_write_memcached);
}

/* Answered by the loop that also accepts connections: to be heard is to be well. */
static void get_health(struct exchange *exchange)
{
    answer_text(exchange->request, 200, "ok\n", "", exchange->out);
}

/* The store and the workers are there before the HTTP port is, and it closes first: whoever can ask
 * finds the server ready, as long as the kernel tells it what it is. */
static void get_ready(struct exchange *exchange)
{
    struct sampler *sampler = &exchange->admin->sampler;
    sampler_refresh(sampler);
    bool is_ready = sampler->last.taken_ns != 0;
    answer_text(exchange->request, is_ready ? 200 : 503, is_ready ? "ready\n" : "no sample yet\n",
                "", exchange->out);
}

/* ---- JSON ---- */

static void answer_json(struct exchange *exchange, int status, struct ebb_buf *body)
{
    answer_body(exchange->request, status, ANSWER_JSON, "Vary: Accept-Encoding\r\n", body,
                exchange->out);
}

static void answer_error(struct exchange *exchange, int status, const char *text)
{
    struct ebb_buf body;
    ebb_buf_init(&body, BODY_MAX_BYTES);
    api_error(text, &body);
    answer_json(exchange, status, &body);
}

static bool has_token(struct admin *admin)
{
    struct service *service = admin->service;
    service->options_lock(service->server);
    bool has = service->options->admin_token[0] != '\0';
    service->options_unlock(service->server);
    return has;
}

static void get_memory(struct exchange *exchange)
{
    struct admin *admin = exchange->admin;
    struct metrics metrics;
    struct memory_facts facts;
    struct ebb_buf body;
    gather(admin, &metrics);
    sample_facts(&admin->sampler.last, service_limit_bytes(admin->service), &facts);
    ebb_buf_init(&body, BODY_MAX_BYTES);
    api_memory(&metrics, &facts, has_token(admin), &body);
    answer_json(exchange, 200, &body);
}

static void get_classes(struct exchange *exchange)
{
    struct admin *admin = exchange->admin;
    struct ebb_buf body;
    classes_refresh(&admin->classes, admin->service->store);
    ebb_buf_init(&body, BODY_MAX_BYTES);
    api_classes(admin->service->store, &admin->classes, &body);
    answer_json(exchange, 200, &body);
}

static void get_history(struct exchange *exchange)
{
    struct api_range range;
    struct ebb_buf body;
    if (!api_history_range(exchange->request->query, &range)) {
        answer_error(exchange, 400, "seconds and step are numbers from 1 to 3600");
        return;
    }
    ebb_buf_init(&body, BODY_MAX_BYTES);
    api_history(&exchange->admin->history, &range, &body);
    answer_json(exchange, 200, &body);
}

static void get_heapmap(struct exchange *exchange)
{
    struct api_range range;
    struct ebb_buf body;
    if (!api_heapmap_range(exchange->request->query, &range)) {
        answer_error(exchange, 400, "first is the number of an arena, count is 1 to 1024");
        return;
    }
    ebb_buf_init(&body, BODY_MAX_BYTES);
    api_heapmap(exchange->admin->service->store, &range, &body);
    answer_json(exchange, 200, &body);
}

/* ---- actions ---- */

/* Takes as long for a wrong byte at the start as for one at the end. */
static bool is_token(struct ebb_slice given, const char *right)
{
    size_t right_len = strlen(right);
    size_t difference = given.len ^ right_len;
    for (size_t i = 0; i < given.len; i++)
        difference |= (size_t)(given.data[i] ^ right[right_len == 0 ? 0 : i % right_len]);
    return difference == 0 && right_len > 0;
}

static bool may_act(struct exchange *exchange)
{
    static const char scheme[] = "Bearer ";
    struct service *service = exchange->admin->service;
    struct ebb_slice given = exchange->request->authorization;
    size_t scheme_len = strlen(scheme);
    if (given.len < scheme_len || strncasecmp(given.data, scheme, scheme_len) != 0)
        return false;
    given.data += scheme_len;
    given.len -= scheme_len;
    service->options_lock(service->server);
    bool may = is_token(given, service->options->admin_token);
    service->options_unlock(service->server);
    return may;
}

/* The work is done in steps by admin_work(); the answer does not wait for it. A purge that is asked
 * for while one runs begins anew. */
static void start_purge(struct exchange *exchange, bool trims, const char *name)
{
    struct ebb_buf body;
    if (!may_act(exchange)) {
        answer_error(exchange, 403,
                     has_token(exchange->admin)
                         ? "this needs the admin token: Authorization: Bearer TOKEN"
                         : "actions are off: no admin-token is set");
        return;
    }
    store_purge_begin(&exchange->admin->purge, trims);
    ebb_buf_init(&body, BODY_MAX_BYTES);
    api_started(name, &body);
    answer_json(exchange, 202, &body);
}

static void post_purge(struct exchange *exchange)
{
    start_purge(exchange, true, "purge");
}

static void post_compact(struct exchange *exchange)
{
    start_purge(exchange, false, "compact");
}

/* ---- routing ---- */

static const struct route {
    const char *path;
    bool is_post;
    void (*answer)(struct exchange *exchange);
} routes[] = {
    {"/metrics", false, get_metrics},
    {"/metrics/redis", false, get_redis_metrics},
    {"/metrics/memcached", false, get_memcached_metrics},
    {"/healthz", false, get_health},
    {"/readyz", false, get_ready},
    {"/api/memory", false, get_memory},
    {"/api/classes", false, get_classes},
    {"/api/history", false, get_history},
    {"/api/heapmap", false, get_heapmap},
    {"/api/purge", true, post_purge},
    {"/api/compact", true, post_compact},
};

static const struct route *find_route(struct ebb_slice path)
{
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++)
        if (path.len == strlen(routes[i].path) && memcmp(path.data, routes[i].path, path.len) == 0)
            return &routes[i];
    return NULL;
}

static bool is_read(const struct ebb_http_request *request)
{
    return request->method == EBB_HTTP_GET || request->method == EBB_HTTP_HEAD;
}

static void refuse_method(struct exchange *exchange, bool wants_post)
{
    if (wants_post)
        answer_text(exchange->request, 405, "only POST\n", "Allow: POST\r\n", exchange->out);
    else
        answer_text(exchange->request, 405, "only GET and HEAD\n", "Allow: GET, HEAD\r\n",
                    exchange->out);
}

void admin_respond(struct admin *admin, const struct ebb_http_request *request, struct ebb_buf *out)
{
    struct exchange exchange = {admin, request, out};
    const struct route *route = find_route(request->path);
    struct asset asset;
    bool is_asset = route == NULL && asset_find(request->path, &asset);
    if (route == NULL && !is_asset)
        answer_text(request, 404, "not found\n", "", out);
    else if (is_asset && is_read(request))
        answer_asset(request, &asset, out);
    else if (!is_asset && (route->is_post ? request->method == EBB_HTTP_POST : is_read(request)))
        route->answer(&exchange);
    else
        refuse_method(&exchange, !is_asset && route->is_post);
}

/* ---- the clock's calls ---- */

void admin_sample(struct admin *admin, bool is_quiet)
{
    struct memory_facts facts;
    size_t limit_bytes = service_limit_bytes(admin->service);
    admin->sampler.history_bytes = history_bytes(&admin->history);
    if (!is_quiet || !sampler_repeat(&admin->sampler)) {
        sampler_look_around(&admin->sampler);
        sampler_take(&admin->sampler);
    }
    history_add(&admin->history, &admin->sampler.last, (double)limit_bytes);
    sample_facts(&admin->sampler.last, limit_bytes, &facts);
    pthread_mutex_lock(&admin->facts_mutex);
    admin->facts = facts;
    pthread_mutex_unlock(&admin->facts_mutex);
}

void admin_facts(struct admin *admin, struct memory_facts *facts)
{
    pthread_mutex_lock(&admin->facts_mutex);
    *facts = admin->facts;
    pthread_mutex_unlock(&admin->facts_mutex);
}

bool admin_work(struct admin *admin)
{
    struct store_session session;
    if (!admin->purge.is_active)
        return false;
    store_session_init(&session, admin->service->store);
    for (unsigned i = 0; i < WORK_STEPS; i++)
        if (!store_purge_step(&session, &admin->purge))
            return false;
    return true;
}

/* ---- life ---- */

int admin_create(struct admin **out, struct service *service)
{
    struct admin *admin = calloc(1, sizeof *admin);
    if (admin == NULL)
        return -1;
    admin->service = service;
    pthread_mutex_init(&admin->facts_mutex, NULL);
    classes_init(&admin->classes);
    if (history_init(&admin->history) != 0 || sampler_init(&admin->sampler, service) != 0) {
        admin_destroy(admin);
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
    history_release(&admin->history);
    classes_release(&admin->classes);
    pthread_mutex_destroy(&admin->facts_mutex);
    free(admin);
}
