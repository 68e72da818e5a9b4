/* SPDX-License-Identifier: MIT */
/* test_http.c: HTTP requests and responses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "support/feed.h"

/* ---- requests ---- */

static void expect(const char *input, const char *expected)
{
    struct feed_target target = feed_http_target();
    struct ebb_buf log;
    ebb_buf_init(&log, 1u << 20);
    assert_true(feed_all_ways(&target, input, strlen(input), &log));
    assert_true(ebb_buf_add(&log, "", 1)); /* a NUL for the comparison */
    assert_string_equal(ebb_buf_data(&log), expected);
    ebb_buf_release(&log);
}

static void http_reads_what_clients_send(void **state)
{
    (void)state;
    expect(
        "GET / HTTP/1.1\r\nHost: 127.0.0.1:7379\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n",
        "GET [/] accept=[*/*] keep\n");
    expect(
        "GET /metrics HTTP/1.1\r\nHost: h\r\nUser-Agent: Prometheus/2.42.0\r\n"
        "Accept: application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5 \t\r\n"
        "Accept-Encoding: gzip\r\nX-Prometheus-Scrape-Timeout-Seconds: 10\r\n\r\n",
        "GET [/metrics] "
        "accept=[application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5] "
        "encoding=[gzip] keep\n");
    expect("HEAD /healthz HTTP/1.0\r\nauthorization: Basic eDp5\r\n\r\n",
           "HEAD [/healthz] auth=[Basic eDp5] close\n");
    expect("GET / HTTP/1.1\r\nACCEPT:\r\nAccept-Language: de\r\nAcceptt: x\r\n\r\n",
           "GET [/] accept=[] keep\n");
    expect("GET / HTTP/1.1\r\nAccept: a\r\nAccept: b\r\n\r\n", "GET [/] accept=[a] keep\n");
}

static void http_names_the_method(void **state)
{
    (void)state;
    expect("POST /x HTTP/1.1\r\n\r\n", "POST [/x] keep\n");
    expect("PUT /x HTTP/1.1\r\n\r\n", "OTHER [/x] keep\n");
    expect("DELETE /x HTTP/1.1\r\n\r\n", "OTHER [/x] keep\n");
    expect("OPTIONS * HTTP/1.1\r\n\r\n", "OTHER [*] keep\n");
    expect("CONNECT host:80 HTTP/1.1\r\n\r\n", "OTHER [host:80] close\n");
}

static void http_splits_the_url(void **state)
{
    (void)state;
    expect("GET /a/b%20c?x=1&y=?2 HTTP/1.1\r\n\r\n", "GET [/a/b%20c] query=[x=1&y=?2] keep\n");
    expect("GET /a? HTTP/1.1\r\n\r\n", "GET [/a] query=[] keep\n");
    expect("GET /a?b#c HTTP/1.1\r\n\r\n", "GET [/a] query=[b] keep\n");
    expect("GET /a#c?d HTTP/1.1\r\n\r\n", "GET [/a] keep\n");
    expect("GET http://host:1/a?b HTTP/1.1\r\n\r\n", "GET [/a] query=[b] keep\n");
    expect("GET http://host HTTP/1.1\r\n\r\n", "GET [/] keep\n");
    expect("GET http://host?b HTTP/1.1\r\n\r\n", "GET [/] query=[b] keep\n");
    expect("GET /to/http://host HTTP/1.1\r\n\r\n", "GET [/to/http://host] keep\n");
}

static void http_keeps_the_connection_as_the_version_says(void **state)
{
    (void)state;
    expect("GET / HTTP/1.1\r\nConnection: close\r\n\r\n", "GET [/] close\n");
    expect("GET / HTTP/1.0\r\n\r\n", "GET [/] close\n");
    expect("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "GET [/] keep\n");
    expect("GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nGET /b HTTP/1.1\r\n\r\n",
           "GET [/] keep\nGET [/b] keep\n");
}

static void http_reads_one_request_after_the_other(void **state)
{
    (void)state;
    expect(
        "GET /1 HTTP/1.1\r\n\r\nHEAD /2 HTTP/1.1\r\nHost: h\r\n\r\n\r\nGET /3 HTTP/1.1\r\n\r\nGE",
        "GET [/1] keep\nHEAD [/2] keep\nGET [/3] keep\n...2\n");
}

static void http_waits_for_the_end_of_the_head(void **state)
{
    (void)state;
    expect("G", "...1\n");
    expect("GET / HTTP/1.1\r\n", "...16\n");
    expect("GET / HTTP/1.1\r\n\r", "...17\n");
    expect("GET / HTTP/1.1\r\nHost: h\r\n", "...25\n");
}

static void http_skips_bodies(void **state)
{
    (void)state;
    expect("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nGET /GET /2 HTTP/1.1\r\n\r\n",
           "POST [/] keep\nGET [/2] keep\n");
    expect("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
           "3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nAccept: trailer\r\n\r\nGET /2 HTTP/1.1\r\n\r\n",
           "POST [/] keep\nGET [/2] keep\n");
    expect("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nabcd", "...42\n");
}

static void http_refuses_what_is_not_http(void **state)
{
    (void)state;
    static const char *const inputs[] = {
        "*1\r\n$4\r\nPING\r\n",
        "PING\r\n",
        "get k\r\n",
        "\x16\x03\x01\x02",
        "HTTP/1.1 200 OK\r\n\r\n",
        "FOO / HTTP/1.1\r\n\r\n",
        "GET / HTTP/x\r\n\r\n",
        "GET / XTTP/1.1\r\n\r\n",
        "GET /\001 HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\rA: b\r\n\r\n",
        "GET / HTTP/1.1\r\nno colon\r\n\r\n",
        "GET / HTTP/1.1\r\nName : x\r\n\r\n",
        "GET / HTTP/1.1\r\nAccept: a\r\n folded\r\n\r\n",
        "GET / HTTP/1.1\r\nA: \001\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffx\r\n",
    };
    for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++)
        expect(inputs[i], "! 400\n");
}

static void http_refuses_other_versions(void **state)
{
    (void)state;
    expect("GET / HTTP/2.0\r\n\r\n", "! 505\n");
    expect("GET / HTTP/3.0\r\n\r\n", "! 505\n");
    expect("GET /\r\n\r\n", "! 505\n");
    expect("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "! 505\n");
}

static void expect_long(const char *head, size_t count, const char *tail, const char *expected)
{
    char *input = malloc(strlen(head) + count + strlen(tail) + 1);
    assert_non_null(input);
    char *at = stpcpy(input, head);
    memset(at, 'x', count);
    strcpy(at + count, tail);
    expect(input, expected);
    free(input);
}

static void http_limits_requests(void **state)
{
    (void)state;
    expect_long("GET /", 16380, "", "! 414\n");
    expect_long("GET /", 16379, " HTTP/1.1\r\n\r\n", "! 414\n");
    expect_long("GET / HTTP/1.1\r\nX: ", 16365, "", "! 431\n");
    expect_long("GET / HTTP/1.1\r\nX: ", 16361, "\r\n\r\n", "GET [/] keep\n");
    expect_long("GET / HTTP/1.1\r\nX: ", 16362, "\r\n\r\n", "! 431\n");
    expect_long("POST / HTTP/1.1\r\nContent-Length: 16344\r\n\r\n", 16344, "", "! 413\n");
    expect_long("POST / HTTP/1.1\r\nContent-Length: 16342\r\n\r\n", 16342, "", "POST [/] keep\n");
    expect("POST / HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\n", "! 413\n");
    expect_long("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n", 16384, "",
                "! 413\n");
}

static void http_reads_a_request_in_front_of_many(void **state)
{
    (void)state;
    const char *request = "GET /0123456789 HTTP/1.1\r\n\r\n";
    struct ebb_buf input;
    struct ebb_http_request parsed;
    int status = 0;
    ebb_buf_init(&input, 1u << 20);
    for (int i = 0; i < 2000; i++) /* far more than the limit for one */
        ebb_buf_add(&input, request, strlen(request));
    while (ebb_buf_len(&input) > 0) {
        ssize_t used = ebb_http_parse(ebb_buf_data(&input), ebb_buf_len(&input), &parsed, &status);
        assert_int_equal(used, strlen(request));
        ebb_buf_consume(&input, (size_t)used);
    }
    ebb_buf_release(&input);
}

/* ---- responses ---- */

static void expect_response(const struct ebb_http_request *request,
                            const struct ebb_http_response *response, const char *expected)
{
    struct ebb_buf out;
    ebb_buf_init(&out, 4096);
    ebb_http_write(&out, request, response);
    assert_false(out.failed);
    assert_true(ebb_buf_add(&out, "", 1));
    assert_string_equal(ebb_buf_data(&out), expected);
    ebb_buf_release(&out);
}

static void http_writes_responses(void **state)
{
    (void)state;
    struct ebb_http_request get = {.method = EBB_HTTP_GET, .keep_alive = true};
    struct ebb_http_request head = {.method = EBB_HTTP_HEAD, .keep_alive = false};
    struct ebb_http_response ok = {200, "text/plain; charset=utf-8", NULL, {"hello", 5}};
    struct ebb_http_response not_allowed = {405, NULL, "Allow: GET, HEAD\r\n", {NULL, 0}};
    struct ebb_http_response unchanged = {304, "text/plain", "ETag: \"1\"\r\n", {NULL, 0}};
    struct ebb_http_response nothing = {204, "text/plain", NULL, {NULL, 0}};
    expect_response(&get, &nothing, "HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\n\r\n");
    expect_response(&get, &ok,
                    "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"
                    "Content-Length: 5\r\nConnection: keep-alive\r\n\r\nhello");
    expect_response(&head, &ok,
                    "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"
                    "Content-Length: 5\r\nConnection: close\r\n\r\n");
    expect_response(&get, &not_allowed,
                    "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n"
                    "Allow: GET, HEAD\r\nConnection: keep-alive\r\n\r\n");
    expect_response(&get, &unchanged,
                    "HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\nConnection: keep-alive\r\n\r\n");
}

static void http_closes_after_a_refused_request(void **state)
{
    (void)state;
    struct ebb_http_request request;
    struct ebb_http_response response = {0};
    assert_true(ebb_http_parse("nonsense\r\n", 10, &request, &response.status) < 0);
    expect_response(&request, &response,
                    "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}

static void http_has_a_text_for_each_status_it_gives(void **state)
{
    (void)state;
    static const int given[] = {200, 400, 401, 404, 405, 413, 414, 431, 500, 503, 505};
    for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++)
        assert_string_not_equal(ebb_http_status_text(given[i]), "Unknown");
    assert_string_equal(ebb_http_status_text(999), "Unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http_reads_what_clients_send),
        cmocka_unit_test(http_names_the_method),
        cmocka_unit_test(http_splits_the_url),
        cmocka_unit_test(http_keeps_the_connection_as_the_version_says),
        cmocka_unit_test(http_reads_one_request_after_the_other),
        cmocka_unit_test(http_waits_for_the_end_of_the_head),
        cmocka_unit_test(http_skips_bodies),
        cmocka_unit_test(http_refuses_what_is_not_http),
        cmocka_unit_test(http_refuses_other_versions),
        cmocka_unit_test(http_limits_requests),
        cmocka_unit_test(http_reads_a_request_in_front_of_many),
        cmocka_unit_test(http_writes_responses),
        cmocka_unit_test(http_closes_after_a_refused_request),
        cmocka_unit_test(http_has_a_text_for_each_status_it_gives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
