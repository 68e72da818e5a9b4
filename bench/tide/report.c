/* SPDX-License-Identifier: MIT */
/* report.c: see report.h. The page is made at build time (page/, page.sh): here its two halves are
 * written with the runs between them, as a block of JSON that the page's script reads. */
#include "report.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "run_file.h"
#include "thin.h"

#define REPORT_PIXELS_MAX 2560 /* the widest screen that shows every peak at first sight */

extern const char report_head[], report_head_end[], report_tail[], report_tail_end[];

/* ---- the block of JSON ---- */

/* These three mean nothing to JSON outside a text, and inside one they can be written so. Without
 * them no text can end the block or begin a tag. */
static int write_inert(const char *bytes, size_t length, void *data)
{
    FILE *file = data;
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] == '<' || bytes[i] == '>' || bytes[i] == '&')
            fprintf(file, "\\u%04x", (unsigned)bytes[i]);
        else
            fputc(bytes[i], file);
    }
    return ferror(file) ? -1 : 0;
}

static int write_json(FILE *file, const json_t *value)
{
    return json_dump_callback(value, write_inert, file,
                              JSON_COMPACT | JSON_ENSURE_ASCII | JSON_ENCODE_ANY);
}

static void write_column(FILE *file, const struct samples *samples, enum sample_column column,
                         const size_t rows[], size_t count)
{
    fprintf(file, "\"%s\":[", sample_column_name(column));
    for (size_t i = 0; i < count; i++) {
        double value = samples->columns[column][rows[i]];
        if (isnan(value))
            fprintf(file, "%snull", i == 0 ? "" : ",");
        else
            fprintf(file, "%s%.15g", i == 0 ? "" : ",", value);
    }
    fputc(']', file);
}

static int write_samples(FILE *file, const struct samples *samples)
{
    size_t *rows = malloc((samples->count + 1) * sizeof *rows);
    if (rows == NULL)
        return -1;
    size_t count = thin(samples, REPORT_PIXELS_MAX, rows);
    fputc('{', file);
    for (int c = 0; c < SAMPLE_COLUMN_COUNT; c++) {
        fputs(c == 0 ? "" : ",", file);
        write_column(file, samples, c, rows, count);
    }
    fputc('}', file);
    free(rows);
    return 0;
}

static int write_run(FILE *file, const char *path, char error[], size_t error_size)
{
    struct run_file run;
    char title[256], scenario[256];
    if (run_file_read(&run, path, error, error_size) < 0)
        return -1;
    run_file_title(&run, title, sizeof title);
    run_file_scenario(&run, scenario, sizeof scenario);
    json_t *texts =
        json_pack("{s:s, s:s, s:s}", "file", path, "title", title, "scenario", scenario);
    /* A path or a text that was cut need not be UTF-8. */
    if (texts == NULL)
        texts = json_pack("{s:s, s:s, s:s}", "file", "?", "title",
                          run_file_text(&run, "server", "name"), "scenario",
                          run_file_text(&run, "scenario", "name"));
    fputs("{\"run\":", file);
    int status = write_json(file, run.root);
    fputs(",\"texts\":", file);
    if (status == 0)
        status = write_json(file, texts);
    fputs(",\"samples\":", file);
    if (status == 0)
        status = write_samples(file, &run.samples);
    fputc('}', file);
    if (status < 0 && !ferror(file))
        snprintf(error, error_size, "%s: no memory", path);
    json_decref(texts);
    run_file_release(&run);
    return status;
}

static int write_page(FILE *file, char *const run_paths[], int count, char error[],
                      size_t error_size)
{
    fwrite(report_head, 1, (size_t)(report_head_end - report_head), file);
    fputc('[', file);
    /* Looked at here, and after each run: reading the next one would forget why. */
    if (ferror(file))
        return -1;
    for (int i = 0; i < count; i++) {
        fputs(i == 0 ? "" : ",\n", file);
        if (write_run(file, run_paths[i], error, error_size) < 0 || ferror(file))
            return -1;
    }
    fputc(']', file);
    fwrite(report_tail, 1, (size_t)(report_tail_end - report_tail), file);
    return fflush(file) == 0 ? 0 : -1;
}

/* ---- the file ---- */

int report_write(const char *html_path, char *const run_paths[], int count, char error[],
                 size_t error_size)
{
    struct output output;
    int status = output_open(&output, html_path);
    error[0] = '\0';
    if (status == 0) {
        errno = 0;
        bool is_all = write_page(output.file, run_paths, count, error, error_size) == 0;
        status = output_close(&output, is_all);
    }
    if (status < 0 && error[0] == '\0')
        snprintf(error, error_size, "%s: %s", html_path, strerror(errno == 0 ? EIO : errno));
    return status;
}
