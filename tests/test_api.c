/* SPDX-License-Identifier: MIT */
/* test_api.c: what HTTP answers besides metrics: JSON over a real store, files of the page, gzip,
 * policies, and who may act.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>
#include <zlib.h>

#include "../server/admin/admin.h"
#include "../server/admin/assets.h"
#include "../server/admin/gzip.h"
#include "../server/options.h"
#include "../server/store/store.h"

#define MIB ((size_t)1 << 20)

struct fixture {
    struct options options;
    struct counters counters;
    struct service service;
    struct store_session session;
    struct admin *admin;
    unsigned locks;
};

static void sum_counters(void *server, struct counters *sum)
{
    memset(sum, 0, sizeof *sum);
    counters_sum(sum, &((struct fixture *)server)->counters);
}

static void lock(void *server)
{
    assert_int_equal(((struct fixture *)server)->locks++ % 2, 0);
}

static void unlock(void *server)
{
    assert_int_equal(((struct fixture *)server)->locks++ % 2, 1);
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    struct store_config config = {.shard_count = 2, .database_count = 16};
    if (store_create(&fixture->service.store, &config) != STORE_OK)
        return -1;
    options_init(&fixture->options);
    fixture->service.options = &fixture->options;
    fixture->service.start_ms = 1700000000250;
    fixture->service.server = fixture;
    fixture->service.counters = fixture->service.counters_total = sum_counters;
    fixture->service.options_lock = lock;
    fixture->service.options_unlock = unlock;
    store_session_init(&fixture->session, fixture->service.store);
    *state = fixture;
    return admin_create(&fixture->admin, &fixture->service);
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    admin_destroy(fixture->admin);
    store_destroy(fixture->service.store);
    options_release(&fixture->options);
    free(fixture);
    return 0;
}

/* ---- asking ---- */

static struct ebb_slice slice_of(const char *text)
{
    return (struct ebb_slice){text, strlen(text)};
}

/* A response, taken apart; release it. */
struct answer {
    struct ebb_buf out;
    int status;
    char *head;
    const char *body;
    size_t body_len;
};

static struct answer ask(struct fixture *fixture, struct ebb_http_request request)
{
    struct answer answer = {.status = 0};
    request.keep_alive = true;
    ebb_buf_init(&answer.out, 64 * MIB);
    admin_respond(fixture->admin, &request, &answer.out);
    assert_false(answer.out.failed);
    const char *text = ebb_buf_data(&answer.out);
    const char *end = memmem(text, ebb_buf_len(&answer.out), "\r\n\r\n", 4);
    assert_non_null(end);
    answer.head = strndup(text, (size_t)(end + 2 - text));
    answer.body = end + 4;
    answer.body_len = ebb_buf_len(&answer.out) - (size_t)(answer.body - text);
    assert_int_equal(sscanf(text, "HTTP/1.1 %d ", &answer.status), 1);
    return answer;
}

static void release(struct answer *answer)
{
    free(answer->head);
    ebb_buf_release(&answer->out);
}

static struct answer get(struct fixture *fixture, const char *path, const char *query)
{
    return ask(fixture, (struct ebb_http_request){.method = EBB_HTTP_GET,
                                                  .path = slice_of(path),
                                                  .query = slice_of(query)});
}

static json_t *get_json(struct fixture *fixture, const char *path, const char *query)
{
    struct answer answer = get(fixture, path, query);
    json_error_t error;
    json_t *tree = json_loadb(answer.body, answer.body_len, 0, &error);
    if (answer.status != 200 || tree == NULL)
        print_error("%s: %d %s\n", path, answer.status, error.text);
    assert_int_equal(answer.status, 200);
    assert_non_null(tree);
    assert_non_null(strstr(answer.head, "\r\nContent-Type: application/json; charset=utf-8\r\n"));
    release(&answer);
    return tree;
}

static int post(struct fixture *fixture, const char *path, const char *authorization)
{
    struct answer answer =
        ask(fixture, (struct ebb_http_request){.method = EBB_HTTP_POST,
                                               .path = slice_of(path),
                                               .authorization = slice_of(authorization)});
    int status = answer.status;
    json_error_t error;
    json_t *tree = json_loadb(answer.body, answer.body_len, 0, &error);
    assert_non_null(tree);
    json_decref(tree);
    release(&answer);
    return status;
}

static int64_t number(const json_t *tree, const char *name)
{
    const json_t *value = json_object_get(tree, name);
    assert_true(json_is_integer(value));
    return json_integer_value(value);
}

static void fill(struct fixture *fixture, size_t count, size_t bytes)
{
    char name[32], *data = malloc(bytes);
    memset(data, 'v', bytes);
    for (size_t i = 0; i < count; i++) {
        int len = snprintf(name, sizeof name, "key:%08zu", i);
        struct store_key key = store_key(fixture->service.store, 0, name, (size_t)len);
        struct store_value value = {.data = data, .len = bytes};
        store_enter(&fixture->session, &key);
        assert_int_equal(store_set(&fixture->session, &key, &value), STORE_OK);
        store_leave(&fixture->session);
    }
    free(data);
}

static void drop(struct fixture *fixture, size_t count, size_t keep)
{
    char name[32];
    for (size_t i = 0; i < count; i++) {
        int len = snprintf(name, sizeof name, "key:%08zu", i);
        struct store_key key = store_key(fixture->service.store, 0, name, (size_t)len);
        store_enter(&fixture->session, &key);
        if (i % keep != 0)
            store_delete(&fixture->session, &key);
        store_leave(&fixture->session);
    }
}

/* ---- memory ---- */

static void api_memory_adds_up(void **state)
{
    struct fixture *fixture = *state;
    fill(fixture, 1000, 2000);
    fixture->options.maxmemory = 130000000;
    fixture->service.limits.limit_bytes = 123456789; /* pressure lowers it */
    fixture->counters.connections[PROTOCOL_RESP] = 4;
    admin_sample(fixture->admin, false);
    json_t *tree = get_json(fixture, "/api/memory", "");
    json_t *parts = json_object_get(tree, "parts"), *part;
    size_t i;
    int64_t sum = 0, live = -1;
    json_array_foreach(parts, i, part)
    {
        sum += number(part, "bytes");
        assert_true(json_string_length(json_object_get(part, "help")) > 0);
        if (strcmp(json_string_value(json_object_get(part, "part")), "live") == 0)
            live = number(part, "bytes");
    }
    assert_int_equal(sum, number(tree, "resident_bytes"));
    assert_int_equal(number(tree, "live_bytes"), 1000 * (12 + 2000));
    assert_int_equal(live, 1000 * (12 + 2000));
    assert_int_equal(number(tree, "items"), 1000);
    assert_int_equal(number(tree, "clients"), 4);
    assert_int_equal(number(tree, "limit_bytes"), 123456789);
    assert_true(number(json_object_get(tree, "peaks"), "live_bytes") >= live);
    assert_true(json_array_size(json_object_get(tree, "verdict")) >= 2);
    assert_true(json_is_false(json_object_get(tree, "has_actions")));
    json_decref(tree);
    fixture->options.maxmemory = 0;
    fixture->service.limits.limit_bytes = 0;
    tree = get_json(fixture, "/api/memory", "");
    assert_true(json_is_null(json_object_get(tree, "limit_bytes")));
    json_decref(tree);
}

static void api_facts_are_those_of_the_last_sample(void **state)
{
    struct fixture *fixture = *state;
    struct memory_facts facts;
    admin_facts(fixture->admin, &facts);
    assert_true(facts.time_seconds == 0);
    fill(fixture, 10, 100);
    admin_sample(fixture->admin, false);
    admin_facts(fixture->admin, &facts);
    assert_int_equal(facts.live_bytes, 10 * 112);
    size_t sum = 0;
    for (unsigned i = 0; i < facts.part_count; i++)
        sum += facts.parts[i].bytes;
    assert_int_equal(sum, facts.resident_bytes);
}

/* ---- classes and map ---- */

static void api_classes_count_every_slot_and_span(void **state)
{
    struct fixture *fixture = *state;
    fill(fixture, 5000, 100);
    fill(fixture, 3, 300000);
    json_t *tree = get_json(fixture, "/api/classes", "");
    json_t *classes = json_object_get(tree, "classes"), *one;
    size_t i, d;
    int64_t used = 0, large = 0;
    json_array_foreach(classes, i, one)
    {
        json_t *deciles = json_object_get(one, "spans_by_fullness"), *spans;
        int64_t sum = 0;
        assert_int_equal(json_array_size(deciles), 10);
        json_array_foreach(deciles, d, spans) sum += json_integer_value(spans);
        assert_true(sum > 0);
        used += number(one, "slots_used");
        assert_true(number(one, "allocations") - number(one, "frees") >= number(one, "slots_used"));
        if (json_is_null(json_object_get(one, "slot_bytes")))
            large = number(one, "slots_used");
    }
    assert_int_equal(used, 5000);
    assert_int_equal(large, 3);
    json_decref(tree);
}

static void api_heapmap_shows_each_arena_once(void **state)
{
    struct fixture *fixture = *state;
    fill(fixture, 10000, 1000);
    struct store_stats stats;
    store_stats(fixture->service.store, &stats);
    int64_t pages = (int64_t)((stats.item_heap.resident_bytes + stats.index_heap.resident_bytes +
                               stats.pool.idle_bytes) /
                              4096);
    int64_t resident = 0, last = -1, asked = 0;
    for (json_t *next = json_integer(0); json_is_integer(next); asked++) {
        char query[64];
        snprintf(query, sizeof query, "first=%lld&count=3", (long long)json_integer_value(next));
        json_t *tree = get_json(fixture, "/api/heapmap", query), *arena;
        size_t i;
        json_array_foreach(json_object_get(tree, "arenas"), i, arena)
        {
            assert_true(number(arena, "arena") > last);
            last = number(arena, "arena");
            resident += number(arena, "resident_pages");
            assert_int_equal(json_string_length(json_object_get(arena, "pages")), 512);
            assert_int_equal(json_string_length(json_object_get(arena, "classes")), 512);
            assert_int_equal(
                strspn(json_string_value(json_object_get(arena, "pages")), ".-_+0123456789"), 512);
        }
        json_decref(next);
        next = json_incref(json_object_get(tree, "next"));
        if (json_is_null(next))
            json_decref(next);
        json_decref(tree);
    }
    assert_int_equal(resident, pages);
    assert_true(asked > 1);
}

static void api_answers_bad_queries_with_400(void **state)
{
    static const struct {
        const char *path, *query;
    } rows[] = {
        {"/api/history", "seconds=x"}, {"/api/heapmap", "count=0"}, {"/api/heapmap", "first=-1"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct answer answer = get(*state, rows[i].path, rows[i].query);
        assert_int_equal(answer.status, 400);
        assert_int_equal(strncmp(answer.body, "{\"error\":\"", 10), 0);
        release(&answer);
    }
}

/* ---- the page's files ---- */

static void page_files_are_whole_and_guarded(void **state)
{
    struct asset asset;
    size_t count = 0;
    for (; asset_at(count, &asset); count++) {
        struct answer answer = get(*state, asset.path, "");
        assert_int_equal(answer.status, 200);
        assert_int_equal(answer.body_len, asset.plain.len);
        assert_true(asset.plain.len > 50);
        assert_non_null(strstr(answer.head, "\r\nContent-Security-Policy: default-src 'none'; "
                                            "script-src 'self'; style-src 'self'; "));
        assert_null(strstr(answer.head, "unsafe"));
        assert_non_null(strstr(answer.head, "\r\nX-Content-Type-Options: nosniff\r\n"));
        release(&answer);
    }
    assert_true(count >= 7);
    struct answer answer = get(*state, "/", "");
    assert_null(memmem(answer.body, answer.body_len, "style=", 6)); /* would be refused */
    assert_null(memmem(answer.body, answer.body_len, "onclick", 7));
    assert_null(memmem(answer.body, answer.body_len, "http://", 7));
    assert_null(memmem(answer.body, answer.body_len, "https://", 8));
    release(&answer);
}

/* ---- gzip ---- */

static char *unzipped(const char *data, size_t len, size_t most, size_t *out_len)
{
    z_stream stream;
    char *text = malloc(most);
    memset(&stream, 0, sizeof stream);
    assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
    stream.next_in = (Bytef *)(uintptr_t)data;
    stream.avail_in = (uInt)len;
    stream.next_out = (Bytef *)text;
    stream.avail_out = (uInt)most;
    assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
    *out_len = stream.total_out;
    inflateEnd(&stream);
    return text;
}

static void gzip_is_sent_to_those_who_accept_it(void **state)
{
    static const char *const paths[] = {"/", "/dygraph.js", "/metrics", "/api/memory"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct answer plain = get(*state, paths[i], "");
        struct answer small =
            ask(*state, (struct ebb_http_request){.method = EBB_HTTP_GET,
                                                  .path = slice_of(paths[i]),
                                                  .accept_encoding = slice_of("gzip, deflate")});
        assert_null(strstr(plain.head, "Content-Encoding"));
        assert_non_null(strstr(small.head, "\r\nContent-Encoding: gzip\r\n"));
        assert_non_null(strstr(small.head, "Accept-Encoding\r\n"));
        assert_true(small.body_len < plain.body_len / 2);
        size_t len;
        char *text = unzipped(small.body, small.body_len, 4 * MIB, &len);
        assert_true(len > plain.body_len / 10 * 9 && len < plain.body_len / 9 * 10);
        free(text);
        release(&plain);
        release(&small);
    }
}

static void gzip_gives_back_what_it_was_given(void **state)
{
    (void)state;
    for (size_t len = 0; len < 300000; len = len * 3 + 1) {
        char *text = malloc(len + 1);
        struct ebb_buf out;
        for (size_t i = 0; i < len; i++)
            text[i] = (char)(i * i / 7 + i / 100);
        ebb_buf_init(&out, MIB);
        assert_true(gzip_add(&out, text, len));
        size_t back_len;
        char *back = unzipped(ebb_buf_data(&out), ebb_buf_len(&out), len + 1, &back_len);
        assert_int_equal(back_len, len);
        assert_memory_equal(back, text, len);
        free(back);
        free(text);
        ebb_buf_release(&out);
    }
}

static void gzip_is_known_from_the_header(void **state)
{
    (void)state;
    static const char *const yes[] = {"gzip",        "GZIP",           "deflate, gzip;q=0.5",
                                      "*",           "x-gzip",         "identity, *;q=0.1",
                                      "*;q=0, gzip", "br , gzip ; q=1"};
    static const char *const no[] = {"",      "identity",    "br",      "gzip;q=0", "gzip; q=0.000",
                                     "*;q=0", "*, gzip;q=0", "gzipped", ",,;"};
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++)
        assert_true(gzip_is_accepted(slice_of(yes[i])));
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
        assert_false(gzip_is_accepted(slice_of(no[i])));
}

static void gzip_fails_over_the_maximum(void **state)
{
    (void)state;
    struct ebb_buf out;
    char text[5000];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)(i * 2654435761u >> 7);
    ebb_buf_init(&out, 100);
    assert_false(gzip_add(&out, text, sizeof text));
    ebb_buf_release(&out);
}

/* ---- acting ---- */

static void actions_are_off_without_a_token(void **state)
{
    assert_int_equal(post(*state, "/api/purge", ""), 403);
    assert_int_equal(post(*state, "/api/purge", "Bearer "), 403);
    assert_int_equal(post(*state, "/api/compact", "Bearer x"), 403);
}

static void set_token(struct fixture *fixture, const char *token)
{
    char error[OPTIONS_ERROR_BYTES];
    size_t index = (size_t)options_find("admin-token", 11);
    assert_int_equal(options_set(&fixture->options, index, token, error), 0);
}

static void actions_want_the_token(void **state)
{
    struct fixture *fixture = *state;
    set_token(fixture, "secret");
    static const char *const bad[] = {"",
                                      "secret",
                                      "Bearer",
                                      "Bearer ",
                                      "Bearer secre",
                                      "Bearer secrets",
                                      "Bearer Secret",
                                      "Basic secret"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(post(fixture, "/api/purge", bad[i]), 403);
    assert_false(admin_work(fixture->admin));
    assert_int_equal(post(fixture, "/api/purge", "Bearer secret"), 202);
    assert_int_equal(post(fixture, "/api/compact", "bearer secret"), 202);
    json_t *tree = get_json(fixture, "/api/memory", "");
    assert_true(json_is_true(json_object_get(tree, "has_actions")));
    json_decref(tree);
    struct answer answer = get(fixture, "/api/purge", "");
    assert_int_equal(answer.status, 405);
    assert_non_null(strstr(answer.head, "\r\nAllow: POST\r\n"));
    release(&answer);
}

/* Nothing but the asked-for work runs here: no upkeep does it instead. */
static void purge_is_done_in_steps(void **state)
{
    struct fixture *fixture = *state;
    struct store_stats before, after;
    set_token(fixture, "t");
    fill(fixture, 60000, 200);
    drop(fixture, 60000, 10);
    store_stats(fixture->service.store, &before);
    assert_int_equal(post(fixture, "/api/compact", "Bearer t"), 202);
    unsigned steps = 0;
    while (admin_work(fixture->admin))
        assert_true(steps++ < 1000000);
    store_stats(fixture->service.store, &after);
#ifndef EBB_HARD /* there every store_leave() has moved everything already */
    assert_true(after.item_heap.moved_objects > before.item_heap.moved_objects);
    assert_true(after.item_heap.resident_bytes < before.item_heap.resident_bytes / 2);
#endif
    assert_int_equal(after.pool.trim_bytes, before.pool.trim_bytes);
    assert_int_equal(post(fixture, "/api/purge", "Bearer t"), 202);
    while (admin_work(fixture->admin))
        assert_true(steps++ < 1000000);
    store_stats(fixture->service.store, &after);
    assert_true(after.pool.trim_bytes > before.pool.trim_bytes);
    assert_int_equal(after.pool.idle_bytes, 0);
    assert_int_equal(store_check(fixture->service.store), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(api_memory_adds_up),
        TEST(api_facts_are_those_of_the_last_sample),
        TEST(api_classes_count_every_slot_and_span),
        TEST(api_heapmap_shows_each_arena_once),
        TEST(api_answers_bad_queries_with_400),
        TEST(page_files_are_whole_and_guarded),
        TEST(gzip_is_sent_to_those_who_accept_it),
        TEST(gzip_gives_back_what_it_was_given),
        TEST(gzip_is_known_from_the_header),
        TEST(gzip_fails_over_the_maximum),
        TEST(actions_are_off_without_a_token),
        TEST(actions_want_the_token),
        TEST(purge_is_done_in_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
