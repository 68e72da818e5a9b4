/* SPDX-License-Identifier: MIT */
/* chart.c: see chart.h. */
#include "chart.h"

#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define CHART_FIRST_POINT_SECONDS 0.05
#define CHART_LINE_SECONDS        10.0
#define CHART_COLUMNS_MIN         24
#define CHART_COLUMNS_MAX         200
#define CHART_COLUMNS_UNKNOWN     80
#define MIB                       (1024.0 * 1024.0)

static bool is_locale_utf8(void)
{
    locale_t locale = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
    if (locale == (locale_t)0)
        return false;
    bool is_utf8 = strcmp(nl_langinfo_l(CODESET, locale), "UTF-8") == 0;
    freelocale(locale);
    return is_utf8;
}

void chart_init(struct chart *chart, FILE *file, bool is_terminal)
{
    const char *kind = getenv("TERM");
    *chart = (struct chart){.file = file, .point_seconds = CHART_FIRST_POINT_SECONDS};
    chart->is_terminal = is_terminal && kind != NULL && strcmp(kind, "dumb") != 0;
    chart->is_utf8 = is_locale_utf8();
    chart->line_seconds = -CHART_LINE_SECONDS;
}

/* ---- points ---- */

static double higher(double a, double b)
{
    return a > b ? a : b;
}

static void halve(struct chart *chart)
{
    for (size_t i = 0; i < CHART_POINTS / 2; i++) {
        chart->resident[i] = higher(chart->resident[2 * i], chart->resident[2 * i + 1]);
        chart->live[i] = higher(chart->live[2 * i], chart->live[2 * i + 1]);
    }
    chart->count = (chart->count + 1) / 2;
    chart->point_seconds *= 2;
    for (size_t i = chart->count; i < CHART_POINTS; i++)
        chart->resident[i] = chart->live[i] = 0;
}

void chart_add(struct chart *chart, double seconds, double resident, double live)
{
    while (seconds / chart->point_seconds >= CHART_POINTS)
        halve(chart);
    size_t at = seconds > 0 ? (size_t)(seconds / chart->point_seconds) : 0;
    bool is_new = chart->count <= at;
    while (chart->count <= at) { /* a stretch without samples is as it was before */
        chart->resident[chart->count] = chart->last_resident;
        chart->live[chart->count++] = chart->last_live;
    }
    chart->resident[at] = is_new ? resident : higher(chart->resident[at], resident);
    chart->live[at] = is_new ? live : higher(chart->live[at], live);
    chart->seconds = seconds;
    chart->last_resident = resident;
    chart->last_live = live;
}

/* ---- the picture ---- */

static void print_left(FILE *to, double seconds_left)
{
    if (seconds_left < 0)
        return;
    if (seconds_left < 90)
        fprintf(to, "  %.0f s left", seconds_left);
    else
        fprintf(to, "  %.0f min left", seconds_left / 60);
}

static void print_bar(const struct chart *chart, int columns, double share_done, FILE *to)
{
    int width = columns < 60 ? 8 : 24, done = (int)(share_done * width);
    fputc('[', to);
    for (int i = 0; i < width; i++)
        fputs(i >= done ? " " : chart->is_utf8 ? "\u2588" : "#", to);
    fprintf(to, "] %3.0f %%", share_done * 100);
}

/* The highest of the points that a column of the picture stands for. */
static double highest(const struct chart *chart, const double points[], int column, int columns)
{
    size_t from = chart->count * (size_t)column / (size_t)columns;
    size_t to = chart->count * (size_t)(column + 1) / (size_t)columns;
    double most = from < chart->count ? points[from] : 0;
    for (size_t i = from; i < to; i++)
        most = higher(most, points[i]);
    return most;
}

static const char *cell(const struct chart *chart, int resident_row, int live_row, int row)
{
    if (row == resident_row)
        return chart->is_utf8 ? "\u2501" : "-";
    if (row < live_row)
        return chart->is_utf8 ? "\u2592" : ":";
    return " ";
}

void chart_compose(const struct chart *chart, int columns, double share_done, double seconds_left,
                   const char *phase, FILE *to)
{
    int width = (columns < CHART_COLUMNS_MAX ? columns : CHART_COLUMNS_MAX) - 1;
    double most = 1;
    share_done = share_done < 0 ? 0 : share_done > 1 ? 1 : share_done;
    for (size_t i = 0; i < chart->count; i++)
        most = higher(most, higher(chart->resident[i], chart->live[i]));
    print_bar(chart, columns, share_done, to);
    if (columns >= 60) {
        fprintf(to, " %.12s", phase);
        print_left(to, seconds_left);
    }
    fputc('\n', to);
    for (int row = CHART_ROWS - 1; row >= 0; row--) {
        for (int column = 0; column < width; column++) {
            double resident = highest(chart, chart->resident, column, width);
            double live = highest(chart, chart->live, column, width);
            fputs(cell(chart, (int)(resident / most * (CHART_ROWS - 1)),
                       (int)(live / most * (CHART_ROWS - 1) + 0.5), row),
                  to);
        }
        fputc('\n', to);
    }
    if (columns >= 60)
        fprintf(to, "%s resident %.1f MiB  %s live %.1f MiB\n", chart->is_utf8 ? "\u2501" : "-",
                chart->last_resident / MIB, chart->is_utf8 ? "\u2592" : ":",
                chart->last_live / MIB);
    else
        fprintf(to, "%.0f / %.0f MiB\n", chart->last_resident / MIB, chart->last_live / MIB);
}

/* ---- drawing ---- */

static int terminal_columns(FILE *file)
{
    struct winsize size;
    if (ioctl(fileno(file), TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
        return CHART_COLUMNS_UNKNOWN;
    return size.ws_col < CHART_COLUMNS_MIN ? CHART_COLUMNS_MIN : size.ws_col;
}

static void print_line(struct chart *chart, double share_done, double seconds_left,
                       const char *phase)
{
    if (strncmp(chart->line_phase, phase, sizeof chart->line_phase - 1) == 0 &&
        chart->seconds - chart->line_seconds < CHART_LINE_SECONDS)
        return;
    snprintf(chart->line_phase, sizeof chart->line_phase, "%s", phase);
    chart->line_seconds = chart->seconds;
    fprintf(chart->file, "%8.1f s  %3.0f %%  %-12s resident %.1f MiB  live %.1f MiB",
            chart->seconds, share_done * 100, phase, chart->last_resident / MIB,
            chart->last_live / MIB);
    print_left(chart->file, seconds_left);
    fputc('\n', chart->file);
}

void chart_draw(struct chart *chart, double share_done, double seconds_left, const char *phase)
{
    if (!chart->is_terminal) {
        print_line(chart, share_done, seconds_left, phase);
        fflush(chart->file);
        return;
    }
    int columns = terminal_columns(chart->file);
    if (chart->drawn_rows == 0)
        fputs("\033[?25l", chart->file);
    else /* in a window made narrower, each of its lines has become several */
        fprintf(chart->file, "\033[%dA\r\033[J",
                chart->drawn_rows * ((chart->drawn_columns + columns - 1) / columns));
    chart_compose(chart, columns, share_done, seconds_left, phase, chart->file);
    chart->drawn_rows = CHART_ROWS + 2;
    chart->drawn_columns = columns < CHART_COLUMNS_MAX ? columns : CHART_COLUMNS_MAX;
    fflush(chart->file);
}

void chart_end(struct chart *chart)
{
    if (chart->drawn_rows > 0)
        fputs("\033[?25h", chart->file);
    chart->drawn_rows = 0;
    fflush(chart->file);
}
