/* SPDX-License-Identifier: MIT */
/* test_exposition.c: the two formats of metrics, the choice between them, and the strict reader
 * that the other tests rely on: it has to refuse what is wrong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../server/admin/exposition.h"
#include "support/expo.h"
#include "support/rng.h"

#define TEXT EXPOSITION_TEXT
#define OPEN EXPOSITION_OPENMETRICS

/* ---- choosing ---- */

static void exposition_choose_follows_accept(void **state)
{
    (void)state;
    static const struct {
        const char *accept;
        enum exposition_format format;
    } rows[] = {
        {"", TEXT},
        {"*/*", TEXT},
        {"text/plain", TEXT},
        {"text/html,application/xhtml+xml,*/*;q=0.8", TEXT},
        {"application/openmetrics-text", OPEN},
        {"application/openmetrics-text; version=1.0.0", OPEN},
        {"APPLICATION/OpenMetrics-Text;Version=\"1.0.0\"", OPEN},
        {"application/openmetrics-text;version=1.0.0;q=0", TEXT},
        {"application/openmetrics-text;version=0.0.1", TEXT},
        {"application/openmetrics-text;version=2.0.0,text/plain;q=0.1", TEXT},
        {"application/openmetrics-text;q=0.4,text/plain;q=0.5", TEXT},
        {"text/plain;q=0.5 , application/openmetrics-text;q=0.5", OPEN},
        {"application/openmetrics-texts", TEXT},
        {"application/openmetrics-text;q=x", TEXT},
        {",,;;q=1,", TEXT},
        /* Prometheus 2.42 and 3.x */
        {"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;"
         "q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
         OPEN},
        {"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
         "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;"
         "escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
         OPEN},
        {"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;q=0.7,"
         "text/plain;version=0.0.4;q=0.5",
         TEXT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ebb_slice accept = {rows[i].accept, strlen(rows[i].accept)};
        if (exposition_choose(accept) != rows[i].format)
            print_error("wrong for: %s\n", rows[i].accept);
        assert_int_equal(exposition_choose(accept), rows[i].format);
    }
    assert_int_equal(exposition_choose((struct ebb_slice){NULL, 0}), TEXT);
}

/* ---- writing ---- */

static void write_all(struct ebb_buf *out, enum exposition_format format)
{
    static const double bounds[] = {0.000025, 0.25, 1};
    static const uint64_t counts[] = {1, 0, 2, 4};
    struct histogram histogram = {bounds, 3, counts, 12.5};
    struct exposition to = {.out = out, .format = format};
    ebb_buf_init(out, 65536);
    exposition_begin(&to, METRIC_INFO, "x_build_info", "What it is.");
    exposition_u64(&to, "version=\"1\"", 1);
    exposition_begin(&to, METRIC_GAUGE, "x_memory_bytes", "Memory.");
    exposition_u64(&to, "part=\"a\"", UINT64_MAX);
    exposition_double(&to, "part=\"b\"", -1);
    exposition_begin(&to, METRIC_COUNTER, "x_busy_seconds_total", "Time.");
    exposition_double(&to, "", 0.1);
    exposition_begin(&to, METRIC_HISTOGRAM, "x_wait_seconds", "Waits.");
    exposition_histogram(&to, "", &histogram);
    exposition_histogram(&to, "family=\"read\"", &histogram);
    exposition_end(&to);
    ebb_buf_add(out, "", 1);
}

static void exposition_writes_prometheus_text(void **state)
{
    (void)state;
    struct ebb_buf out;
    write_all(&out, TEXT);
    assert_string_equal(ebb_buf_data(&out),
                        "# HELP x_build_info What it is.\n"
                        "# TYPE x_build_info gauge\n"
                        "x_build_info{version=\"1\"} 1\n"
                        "# HELP x_memory_bytes Memory.\n"
                        "# TYPE x_memory_bytes gauge\n"
                        "x_memory_bytes{part=\"a\"} 18446744073709551615\n"
                        "x_memory_bytes{part=\"b\"} -1\n"
                        "# HELP x_busy_seconds_total Time.\n"
                        "# TYPE x_busy_seconds_total counter\n"
                        "x_busy_seconds_total 0.1\n"
                        "# HELP x_wait_seconds Waits.\n"
                        "# TYPE x_wait_seconds histogram\n"
                        "x_wait_seconds_bucket{le=\"2.5e-05\"} 1\n"
                        "x_wait_seconds_bucket{le=\"0.25\"} 1\n"
                        "x_wait_seconds_bucket{le=\"1.0\"} 3\n"
                        "x_wait_seconds_bucket{le=\"+Inf\"} 7\n"
                        "x_wait_seconds_sum 12.5\n"
                        "x_wait_seconds_count 7\n"
                        "x_wait_seconds_bucket{family=\"read\",le=\"2.5e-05\"} 1\n"
                        "x_wait_seconds_bucket{family=\"read\",le=\"0.25\"} 1\n"
                        "x_wait_seconds_bucket{family=\"read\",le=\"1.0\"} 3\n"
                        "x_wait_seconds_bucket{family=\"read\",le=\"+Inf\"} 7\n"
                        "x_wait_seconds_sum{family=\"read\"} 12.5\n"
                        "x_wait_seconds_count{family=\"read\"} 7\n");
    ebb_buf_release(&out);
}

static void exposition_writes_openmetrics(void **state)
{
    (void)state;
    struct ebb_buf out;
    write_all(&out, OPEN);
    const char *text = ebb_buf_data(&out);
    assert_non_null(strstr(text, "# TYPE x_build info\n# HELP x_build What it is.\n"
                                 "x_build_info{version=\"1\"} 1\n"
                                 "# TYPE x_memory_bytes gauge\n# UNIT x_memory_bytes bytes\n"
                                 "# HELP x_memory_bytes Memory.\n"));
    assert_non_null(strstr(text, "# TYPE x_busy_seconds counter\n# UNIT x_busy_seconds seconds\n"
                                 "# HELP x_busy_seconds Time.\nx_busy_seconds_total 0.1\n"));
    assert_string_equal(text + strlen(text) - 6, "# EOF\n");
    ebb_buf_release(&out);
}

static void exposition_formats_numbers_shortest(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } rows[] = {
        {0, "0"},
        {1, "1"},
        {0.1, "0.1"},
        {-2.5, "-2.5"},
        {1e-6, "1e-06"},
        {1e21, "1e+21"},
        {123456789, "123456789"},
        {1.0 / 3, "0.3333333333333333"},
        {INFINITY, "+Inf"},
        {-INFINITY, "-Inf"},
        {1700000000.25, "1700000000.25"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[EXPOSITION_NUMBER_BYTES];
        size_t len = exposition_format_double(text, rows[i].value);
        assert_string_equal(text, rows[i].text);
        assert_int_equal(len, strlen(text));
    }
}

/* What printf would write with as few digits as read back, but whole numbers without exponent. */
static void exposition_formats_what_is_counted_as_printf_would(void **state)
{
    (void)state;
    struct rng rng = rng_start("exposition");
    for (unsigned i = 0; i < 200000; i++) {
        uint64_t count = rng_next(&rng) >> (rng_next(&rng) % 64);
        double value = (double)count / (i % 2 == 0 ? 1e9 : 1e3);
        char text[EXPOSITION_NUMBER_BYTES], wanted[EXPOSITION_NUMBER_BYTES];
        int digits = 6;
        do
            snprintf(wanted, sizeof wanted, "%.*g", digits, value);
        while (strtod(wanted, NULL) != value && ++digits < 18);
        size_t len = exposition_format_double(text, value);
        assert_int_equal(len, strlen(text));
        assert_true(strtod(text, NULL) == value);
        if (value != floor(value))
            assert_string_equal(text, wanted);
    }
}

static void exposition_label_escapes_and_cuts(void **state)
{
    (void)state;
    char labels[32] = "";
    exposition_label(labels, sizeof labels, "a", "x\"y\\z\n");
    assert_string_equal(labels, "a=\"x\\\"y\\\\z\\n\"");
    exposition_label(labels, sizeof labels, "b", "0123456789abcdef");
    assert_string_equal(labels, "a=\"x\\\"y\\\\z\\n\",b=\"0123456789ab\"");
    char full[8] = "a=\"12\"";
    exposition_label(full, sizeof full, "b", "3");
    assert_string_equal(full, "a=\"12\""); /* no room for it: left out */
}

/* ---- the reader ---- */

#define GAUGE     "# HELP a b\n# TYPE a gauge\n"
#define COUNTER   "# TYPE a counter\n# HELP a b\n"
#define HISTOGRAM "# TYPE a histogram\n# HELP a b\n"

static bool is_read(const char *text, bool is_openmetrics)
{
    struct expo expo;
    bool is_good = expo_parse(&expo, text, strlen(text), is_openmetrics);
    expo_release(&expo);
    return is_good;
}

static void expo_takes_what_is_right(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct ebb_buf out;
        struct expo expo;
        write_all(&out, i == 0 ? TEXT : OPEN);
        bool is_good = expo_parse(&expo, ebb_buf_data(&out), ebb_buf_len(&out) - 1, i == 1);
        if (!is_good)
            print_error("%s\n", expo.error);
        assert_true(is_good);
        assert_int_equal(expo.count, 16);
        assert_true(expo_value(&expo, "x_wait_seconds_count", "family=\"read\"") == 7);
        assert_true(isnan(expo_value(&expo, "x_wait_seconds_count", "family=\"write\"")));
        assert_true(expo_sum(&expo, "x_wait_seconds_sum") == 25);
        expo_release(&expo);
        ebb_buf_release(&out);
    }
}

static void expo_refuses_bad_text(void **state)
{
    (void)state;
    assert_true(is_read(GAUGE "a 1\n", false));
    static const char *const bad[] = {
        "a 1\n",
        GAUGE "a 1",
        GAUGE "\na 1\n",
        GAUGE "a 1\na 2\n",
        GAUGE "b 1\n",
        GAUGE "a one\n",
        GAUGE "a{} 1\n",
        GAUGE "a{x=\"1\",} 1\n",
        GAUGE "a{x=\"1\",x=\"2\"} 1\n",
        GAUGE "a{x=\"\\d\"} 1\n",
        GAUGE "a{x=1} 1\n",
        GAUGE "a 1\n# EOF\n",
        GAUGE "a 1\n" GAUGE "a{x=\"1\"} 1\n",
        "# TYPE a gauge\na 1\n",
        "# HELP a b\na 1\n",
        "# HELP a b\n# TYPE a counter\na 1\n",
        "# HELP a_total b\n# TYPE a_total gauge\na_total 1\n",
        "# HELP a_total b\n# TYPE a_total counter\na_total -1\n",
        "# HELP a b\n# TYPE a info\na 1\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (is_read(bad[i], false))
            print_error("taken: %s\n", bad[i]);
        assert_false(is_read(bad[i], false));
    }
}

static void expo_refuses_bad_openmetrics(void **state)
{
    (void)state;
    assert_true(is_read(COUNTER "a_total 1\n# EOF\n", true));
    assert_true(is_read(HISTOGRAM "a_bucket{le=\"1.0\"} 1\na_bucket{le=\"+Inf\"} 2\na_sum 3\n"
                                  "a_count 2\n# EOF\n",
                        true));
    static const char *const bad[] = {
        COUNTER "a_total 1\n",
        COUNTER "a 1\n# EOF\n",
        COUNTER "a_total 1\n# EOF\n\n",
        "# TYPE a_total counter\n# HELP a_total b\na_total 1\n# EOF\n",
        "# TYPE a_bytes gauge\n# HELP a_bytes b\na_bytes 1\n# EOF\n",
        "# TYPE a_bytes gauge\n# UNIT a_bytes seconds\n# HELP a_bytes b\na_bytes 1\n# EOF\n",
        "# TYPE a info\n# HELP a b\na_info 2\n# EOF\n",
        HISTOGRAM "a_bucket{le=\"1\"} 1\na_bucket{le=\"+Inf\"} 2\na_sum 3\na_count 2\n# EOF\n",
        HISTOGRAM "a_bucket{le=\"1.0\"} 3\na_bucket{le=\"+Inf\"} 2\na_sum 3\na_count 2\n# EOF\n",
        HISTOGRAM "a_bucket{le=\"1.0\"} 1\na_sum 3\na_count 1\n# EOF\n",
        HISTOGRAM "a_bucket{le=\"+Inf\"} 2\na_sum 3\na_count 3\n# EOF\n",
        HISTOGRAM "a_bucket{le=\"+Inf\"} 2\na_count 2\n# EOF\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (is_read(bad[i], true))
            print_error("taken: %s\n", bad[i]);
        assert_false(is_read(bad[i], true));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exposition_choose_follows_accept),
        cmocka_unit_test(exposition_writes_prometheus_text),
        cmocka_unit_test(exposition_writes_openmetrics),
        cmocka_unit_test(exposition_formats_numbers_shortest),
        cmocka_unit_test(exposition_formats_what_is_counted_as_printf_would),
        cmocka_unit_test(exposition_label_escapes_and_cuts),
        cmocka_unit_test(expo_takes_what_is_right),
        cmocka_unit_test(expo_refuses_bad_text),
        cmocka_unit_test(expo_refuses_bad_openmetrics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
