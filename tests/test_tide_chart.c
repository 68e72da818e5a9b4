/* SPDX-License-Identifier: MIT */
/* test_tide_chart.c: the chart in the terminal, as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../bench/tide/chart.h"

#define MIB (1024.0 * 1024.0)

static void chart_draws_resident_above_live(void **state)
{
    (void)state;
    struct chart chart;
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    chart_init(&chart, file, false);
    chart.is_utf8 = false;
    for (int i = 0; i < 40; i++)
        chart_add(&chart, i * 0.05 + 0.001, (i < 20 ? 90 : 30) * MIB, (i < 20 ? 60 : 10) * MIB);
    chart_compose(&chart, 25, 0.5, 12, "fill", file);
    fclose(file);
    assert_string_equal(text, "[####    ]  50 %\n"
                              "------------            \n"
                              "                        \n"
                              "                        \n"
                              "                        \n"
                              "::::::::::::            \n"
                              "::::::::::::            \n"
                              "::::::::::::------------\n"
                              "::::::::::::            \n"
                              "::::::::::::            \n"
                              "::::::::::::::::::::::::\n"
                              "30 / 10 MiB\n");
    free(text);
}

static void chart_keeps_peaks_however_long_it_runs(void **state)
{
    (void)state;
    struct chart chart;
    chart_init(&chart, stdout, false);
    for (int i = 0; i < 100000; i++)
        chart_add(&chart, i * 0.05, i == 777 ? 1e9 : 1e6, 1e5);
    double most = 0;
    for (size_t i = 0; i < chart.count; i++)
        most = chart.resident[i] > most ? chart.resident[i] : most;
    assert_true(most == 1e9);
    assert_in_range(chart.count, CHART_POINTS / 4, CHART_POINTS);
}

static void chart_is_plain_lines_without_a_terminal(void **state)
{
    (void)state;
    struct chart chart;
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    chart_init(&chart, file, false);
    for (int i = 0; i <= 12; i++) {
        chart_add(&chart, i, 2 * MIB, MIB);
        chart_draw(&chart, i / 12.0, 12 - i, i < 5 ? "fill" : "delete");
    }
    chart_end(&chart);
    fclose(file);
    assert_string_equal(
        text, "     0.0 s    0 %  fill         resident 2.0 MiB  live 1.0 MiB  12 s left\n"
              "     5.0 s   42 %  delete       resident 2.0 MiB  live 1.0 MiB  7 s left\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chart_draws_resident_above_live),
        cmocka_unit_test(chart_keeps_peaks_however_long_it_runs),
        cmocka_unit_test(chart_is_plain_lines_without_a_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
