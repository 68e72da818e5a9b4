/* SPDX-License-Identifier: MIT */
/* test_tide_report.c: run files, right and wrong; thinning; the table; the page around them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "../bench/tide/report.h"
#include "../bench/tide/run_file.h"
#include "../bench/tide/table.h"
#include "../bench/tide/thin.h"
#include "../bench/tide/verdicts.h"

#define RUN(label, version, row)                                                                   \
    "{\"format\": \"tide-run\", \"format_version\": " version ",\n"                                \
    "\"scenario\": {\"name\": \"w3\"}, \"server\": {\"name\": \"s\", \"label\": \"" label "\"},\n" \
    "\"phases\": [{\"name\": \"fill\", \"start_seconds\": 0, \"end_seconds\": 2,"                  \
    " \"resident_over_live\": 1.25, \"follow_seconds\": null, \"wrong\": 3}],\n"                   \
    "\"samples\": {\"columns\": [\"seconds\", \"new\", \"resident_bytes\"], \"rows\": [" row       \
    "]}}\n"

/* A file with this text, which the caller unlinks. */
static void write_file(char path[], const char *text)
{
    strcpy(path, "/tmp/ebb-tide-XXXXXX");
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    assert_int_equal(write(descriptor, text, strlen(text)), strlen(text));
    close(descriptor);
}

static void assert_refused(const char *text, const char *words)
{
    char path[32], error[256];
    struct run_file run;
    write_file(path, text);
    assert_int_equal(run_file_read(&run, path, error, sizeof error), -1);
    unlink(path);
    assert_true(strncmp(error, path, strlen(path)) == 0);
    if (strstr(error, words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", error, words);
}

static void run_file_holds_what_is_there_and_knows_what_is_not(void **state)
{
    (void)state;
    char path[32], error[256];
    struct run_file run;
    write_file(path, RUN("x", "1", "[0.5, 7, 100], [1, 8, null]"));
    assert_int_equal(run_file_read(&run, path, error, sizeof error), 0);
    unlink(path);
    assert_int_equal(run.samples.count, 2);
    assert_true(run.samples.columns[SAMPLE_RESIDENT][0] == 100);
    assert_true(isnan(run.samples.columns[SAMPLE_RESIDENT][1]));
    assert_true(isnan(run.samples.columns[SAMPLE_LIVE][0]));
    assert_int_equal(run_file_phase_count(&run), 1);
    assert_string_equal(run_file_phase_name(&run, 0), "fill");
    assert_true(run_file_phase_number(&run, 0, "resident_over_live") == 1.25);
    assert_true(isnan(run_file_phase_number(&run, 0, "follow_seconds")));
    assert_true(isnan(run_file_phase_number(&run, 0, "cpu_seconds")));
    assert_string_equal(run_file_text(&run, "server", "command"), "");
    assert_true(run_file_is_completed(&run));
    run_file_release(&run);
}

static void run_file_says_what_is_wrong_and_where(void **state)
{
    (void)state;
    char error[256];
    struct run_file run;
    assert_refused("{\"format\":\n  tide}", "line 2, column");
    assert_refused("", "line 1");
    assert_refused("[]", "not a run of tide");
    assert_refused(RUN("x", "2", ""), "format_version 2: this tide reads 1");
    assert_refused(RUN("x", "1", "[1, 2]"), "samples.rows[0] should be an array of 3 values");
    assert_refused(RUN("x", "1", "[2, 0, 0], [1, 0, 0]"), "samples.rows[1]: time goes back");
    assert_refused(RUN("x", "1", "[null, 0, 0]"), "samples.rows[0] has no time");
    assert_refused(RUN("x", "1", "[1, 0, \"many\"]"), "resident_bytes should be a number or null");
    assert_refused("{\"format\": \"tide-run\", \"format_version\": 1, \"scenario\": {}}",
                   "server is missing");
    assert_int_equal(run_file_read(&run, "/nowhere/run.json", error, sizeof error), -1);
    assert_string_equal(error, "/nowhere/run.json: No such file or directory");
}

static void thin_keeps_every_peak_and_both_ends(void **state)
{
    (void)state;
    enum { COUNT = 10000, PIXELS = 100 };
    static double values[SAMPLE_COLUMN_COUNT][COUNT];
    static size_t rows[COUNT];
    struct samples samples = {.count = COUNT};
    for (int c = 0; c < SAMPLE_COLUMN_COUNT; c++) {
        samples.columns[c] = values[c];
        for (int i = 0; i < COUNT; i++)
            values[c][i] = c == SAMPLE_SECONDS ? i : c == SAMPLE_CHARGED ? NAN : i % 7;
    }
    values[SAMPLE_RESIDENT][5003] = 1e6;
    values[SAMPLE_STALL][7777] = -1e6;
    size_t kept = thin(&samples, PIXELS, rows);
    assert_in_range(kept, 2 * PIXELS, 10 * PIXELS);
    bool has_peak = false, has_low = false;
    for (size_t i = 0; i < kept; i++) {
        assert_true(i == 0 || rows[i] > rows[i - 1]);
        has_peak |= rows[i] == 5003;
        has_low |= rows[i] == 7777;
    }
    assert_true(has_peak && has_low && rows[0] == 0 && rows[kept - 1] == COUNT - 1);
    samples.count = 2 * PIXELS;
    assert_int_equal(thin(&samples, PIXELS, rows), 2 * PIXELS);
    samples.count = 0;
    assert_int_equal(thin(&samples, PIXELS, rows), 0);
}

static void table_aligns_characters_and_disarms_controls(void **state)
{
    (void)state;
    struct table table;
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    table_init(&table, 2, 1);
    static const char *const cells[] = {"name", "n", "\033[2J\xff", "10", "h\xc3\xb6he", "5"};
    for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++)
        table_add(&table, cells[i]);
    table_print(&table, file);
    fclose(file);
    assert_string_equal(text, "name    n\n?[2J?  10\nh\xc3\xb6he    5\n");
    free(text);
    table_release(&table);
}

static void verdicts_show_each_phase_of_each_run(void **state)
{
    (void)state;
    char path[32], error[256], *text = NULL;
    size_t size = 0;
    struct run_file run;
    write_file(path, RUN("ebb", "1", ""));
    assert_int_equal(run_file_read(&run, path, error, sizeof error), 0);
    unlink(path);
    FILE *file = open_memstream(&text, &size);
    verdicts_print(&run, 1, file);
    fclose(file);
    assert_non_null(strstr(text, "fill  ebb"));
    assert_non_null(strstr(text, "1.25 "));
    free(text);
    run_file_release(&run);
}

/* A run of a server called "s 7", from a file of that name. */
static void take_run(struct run_file *run, const char *scenario, const char *path)
{
    char text[512], error[256] = "";
    snprintf(
        text, sizeof text,
        "{\"format\": \"tide-run\", \"format_version\": 1, \"scenario\": {%s},"
        " \"server\": {\"name\": \"s\", \"version\": \"7\", \"protocol\": \"s\"}, \"phases\":"
        " [{\"name\": \"fill\", \"start_seconds\": 0, \"end_seconds\": 2, \"live_off\": 0.0257}],"
        " \"samples\": {\"columns\": [\"seconds\"], \"rows\": []}}",
        scenario);
    json_t *root = json_loads(text, 0, NULL);
    assert_non_null(root);
    if (run_file_take(run, root, path, error, sizeof error) < 0)
        fail_msg("%s", error);
    json_decref(root);
}

static void verdicts_compare_like_with_like(void **state)
{
    (void)state;
    struct run_file runs[3];
    char *text = NULL;
    size_t size = 0;
    take_run(&runs[0], "\"name\": \"w3\", \"scale\": 1", "a/one.json");
    take_run(&runs[1], "\"name\": \"w3\"", "two.json");
    take_run(&runs[2], "\"name\": \"w3\", \"scale\": 0.1, \"time_scale\": 2", "two.json");
    FILE *file = open_memstream(&text, &size);
    verdicts_print(runs, 3, file);
    fclose(file);
    static const char *const wanted[] = {"w3    server", "fill  s 7 (one.json) ",
                                         "fill  s 7 (two.json) ", "w3, scale 0.1, times 2  server",
                                         "fill                    s 7  "};
    const char *at = text;
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        if ((at = strstr(at, wanted[i])) == NULL)
            fail_msg("no \"%s\" there in\n%s", wanted[i], text);
    assert_non_null(strstr(text, " 2.57 \n"));
    assert_null(strchr(text, '*'));
    free(text);
    for (size_t i = 0; i < 3; i++)
        run_file_release(&runs[i]);
}

static char *slurp(const char *path)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_true(getdelim(&text, &size, '\0', file) > 0);
    fclose(file);
    return text;
}

static void report_lets_no_text_out_of_its_block(void **state)
{
    (void)state;
    char path[32], html[40], error[256] = "";
    write_file(path, RUN("</script><b>&\\u0007", "1", "[1, 2, 3]"));
    snprintf(html, sizeof html, "%s.html", path);
    assert_int_equal(report_write(html, (char *[]){path}, 1, error, sizeof error), 0);
    char *text = slurp(html);
    assert_null(strstr(text, "</script><b>"));
    assert_non_null(strstr(text, "\\u003c/script\\u003e\\u003cb\\u003e\\u0026\\u0007"));
    assert_non_null(strstr(text, "\"resident_bytes\":[3]"));
    assert_non_null(strstr(text, "\"live_bytes\":[null]"));
    free(text);
    unlink(html);
    unlink(path);
}

static void report_leaves_the_old_page_when_it_fails(void **state)
{
    (void)state;
    char path[32], html[32], error[256] = "";
    write_file(path, RUN("x", "1", "[1, 2, 3]"));
    write_file(html, "old");
    char nowhere[] = "/nowhere/run.json", *const runs[] = {path, nowhere};
    assert_int_equal(report_write(html, runs, 2, error, sizeof error), -1);
    assert_string_equal(error, "/nowhere/run.json: No such file or directory");
    char *text = slurp(html);
    assert_string_equal(text, "old");
    free(text);
    assert_int_equal(report_write("/dev/full", runs, 1, error, sizeof error), -1);
    assert_string_equal(error, "/dev/full: No space left on device");
    unlink(html);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run_file_holds_what_is_there_and_knows_what_is_not),
        cmocka_unit_test(run_file_says_what_is_wrong_and_where),
        cmocka_unit_test(thin_keeps_every_peak_and_both_ends),
        cmocka_unit_test(table_aligns_characters_and_disarms_controls),
        cmocka_unit_test(verdicts_show_each_phase_of_each_run),
        cmocka_unit_test(verdicts_compare_like_with_like),
        cmocka_unit_test(report_lets_no_text_out_of_its_block),
        cmocka_unit_test(report_leaves_the_old_page_when_it_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
