/* SPDX-License-Identifier: MIT */
/* test_tide_metrics.c: which figures of a page of metrics are the server's, addresses of pages, and
 * the thread that asks for figures again and again. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "../bench/metrics_text.h"
#include "../bench/process.h"
#include "../bench/tide/address.h"
#include "../bench/tide/gauge.h"
#include "../bench/tide/metrics.h"

static void number_is_that_of_a_whole_name(void **state)
{
    (void)state;
    static const char page[] = "# TYPE some gauge\n"
                               "# some 1\n"
                               "something 2\n"
                               "not_some 3\n"
                               "some{part=\"a b\",other=\"}\"} 4\n"
                               "some{part=\"c\"} 5\n"
                               "large 1.5e+09 1700000000\n"
                               "none \n"
                               "last 7";
    assert_true(metrics_number(page, "some") == 4);
    assert_true(metrics_number(page, "something") == 2);
    assert_true(metrics_number(page, "large") == 1.5e9);
    assert_true(metrics_number(page, "last") == 7);
    assert_true(isnan(metrics_number(page, "thing")));
    assert_true(isnan(metrics_number(page, "none")));
    assert_true(isnan(metrics_number("", "some")));
}

static void names_are_the_servers_not_the_exporters(void **state)
{
    (void)state;
    static const struct {
        const char *page, *resident, *cpu[2];
    } pages[] = {
        {"process_resident_memory_bytes 1\nprocess_cpu_seconds_total 2\n",
         "process_resident_memory_bytes",
         {"process_cpu_seconds_total"}},
        {"process_resident_memory_bytes 1\n", "process_resident_memory_bytes", {NULL}},
        {"process_resident_memory_bytes 1\nredis_up 1\nredis_memory_used_rss_bytes 3\n"
         "redis_cpu_sys_seconds_total 1\nredis_cpu_user_seconds_total 2\n",
         "redis_memory_used_rss_bytes",
         {"redis_cpu_user_seconds_total", "redis_cpu_sys_seconds_total"}},
        {"memcached_up 1\nprocess_resident_memory_bytes 1\n"
         "memcached_process_resident_memory_bytes 3\n"
         "memcached_process_user_cpu_seconds_total 4\n",
         "memcached_process_resident_memory_bytes",
         {"memcached_process_user_cpu_seconds_total"}},
        {"memcached_up 1\nprocess_resident_memory_bytes 1\n", NULL, {NULL}},
        {"redis_up 0\nprocess_resident_memory_bytes 1\n", NULL, {NULL}},
        {"up 1\n", NULL, {NULL}},
    };
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        struct metrics metrics = {.url = "page"};
        char error[200] = "";
        int status = metrics_choose_names(&metrics, pages[i].page, error, sizeof error);
        assert_int_equal(status, pages[i].resident == NULL ? -1 : 0);
        assert_int_equal(error[0] != '\0', status < 0);
        if (status < 0)
            continue;
        assert_string_equal(metrics.resident_name, pages[i].resident);
        for (size_t c = 0; c < 2; c++) {
            assert_int_equal(metrics.cpu_names[c] == NULL, pages[i].cpu[c] == NULL);
            if (pages[i].cpu[c] != NULL)
                assert_string_equal(metrics.cpu_names[c], pages[i].cpu[c]);
        }
    }
}

static void address_is_taken_apart(void **state)
{
    (void)state;
    static const struct {
        const char *url, *begin; /* of the request; NULL: refused */
    } urls[] = {
        {"http://127.0.0.1", "GET /metrics HTTP/1.0\r\nHost: 127.0.0.1\r\n"},
        {"http://127.0.0.1:9121/", "GET / HTTP/1.0\r\nHost: 127.0.0.1:9121\r\n"},
        {"http://[::1]:9121/a?b=c", "GET /a?b=c HTTP/1.0\r\nHost: [::1]:9121\r\n"},
        {"https://127.0.0.1/", NULL},
        {"127.0.0.1:9121", NULL},
        {"http://", NULL},
        {"http://:80/", NULL},
        {"http://[::1/", NULL},
        {"http://127.0.0.1:123456789/", NULL},
        {"http://127.0.0.1/a\r\nb", NULL},
    };
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        struct metrics metrics;
        char error[200] = "";
        int status = metrics_open(&metrics, urls[i].url, error, sizeof error);
        if (status != (urls[i].begin == NULL ? -1 : 0))
            fail_msg("%s: %d %s", urls[i].url, status, error);
        assert_int_equal(error[0] != '\0', status < 0);
        if (status == 0)
            assert_memory_equal(metrics.request, urls[i].begin, strlen(urls[i].begin));
        metrics_release(&metrics);
    }
}

/* Every third question has no answer. */
static bool count_up(void *context, struct reading *reading)
{
    unsigned *asked = context;
    *reading = (struct reading){.resident = ++*asked};
    return *asked % 3 != 0;
}

static void gauge_reads_anew_when_that_is_asked(void **state)
{
    (void)state;
    struct gauge gauge;
    struct reading first, second;
    unsigned asked = 0;
    assert_int_equal(gauge_start(&gauge, count_up, &asked, 10000), 0);
    assert_true(gauge_read(&gauge, true, &first));
    assert_true(gauge_read(&gauge, true, &second));
    assert_true(second.resident > first.resident);
    assert_true(gauge_read(&gauge, false, &first));
    assert_true(first.resident >= second.resident);
    gauge_stop(&gauge);
    gauge_stop(&gauge);
}

/* The first question has an answer, the others have none. */
static bool answer_once(void *context, struct reading *reading)
{
    *reading = (struct reading){.resident = 1};
    return ++*(unsigned *)context == 1;
}

static void gauge_does_not_pass_off_what_is_old(void **state)
{
    (void)state;
    struct gauge gauge;
    struct reading reading;
    unsigned asked = 0;
    assert_int_equal(gauge_start(&gauge, answer_once, &asked, 300), 0);
    while (gauge_read(&gauge, false, &reading) == false)
        sleep_ms(1);
    assert_true(reading.resident == 1);
    assert_false(gauge_read(&gauge, true, &reading));
    while (gauge_read(&gauge, false, &reading)) /* it was told so for 300 ms at most */
        sleep_ms(1);
    gauge_stop(&gauge);
}

static void host_and_port_are_taken_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host, *port; /* no host: refused */
    } texts[] = {
        {"localhost:6379", "localhost", "6379"},
        {"10.0.0.1", "10.0.0.1", "-"},
        {"[::1]:6379", "::1", "6379"},
        {"[::1]", "::1", "-"},
        {"::1:6379", "::1", "6379"},
        {"host:", "host", ""},
        {"", NULL, NULL},
        {":6379", NULL, NULL},
        {"[]:6379", NULL, NULL},
        {"[::1:6379", NULL, NULL},
        {"[::1]6379", NULL, NULL},
        {"host:12345678", NULL, NULL},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char host[ADDRESS_HOST_SIZE], port[ADDRESS_PORT_SIZE] = "-";
        bool is_one = address_split(texts[i].text, strlen(texts[i].text), host, port);
        if (is_one != (texts[i].host != NULL))
            fail_msg("%s: %d", texts[i].text, is_one);
        if (!is_one)
            continue;
        assert_string_equal(host, texts[i].host);
        assert_string_equal(port, texts[i].port);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(number_is_that_of_a_whole_name),
        cmocka_unit_test(names_are_the_servers_not_the_exporters),
        cmocka_unit_test(address_is_taken_apart),
        cmocka_unit_test(gauge_reads_anew_when_that_is_asked),
        cmocka_unit_test(gauge_does_not_pass_off_what_is_old),
        cmocka_unit_test(host_and_port_are_taken_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
