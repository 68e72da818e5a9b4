/* SPDX-License-Identifier: MIT */
/* compare.c: see compare.h. */
#include "compare.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "report.h"
#include "run_file.h"
#include "verdicts.h"

#define ERROR_SIZE   512
#define EXIT_REFUSED 2

static const char help[] =
    "tide compare [--report FILE.html] RUN.json ...\n"
    "\n"
    "Shows runs that `tide run --json` has written beside each other, scenario by scenario: a "
    "table\n"
    "here, or with --report a page for a browser that has the curves as well.\n"
    "\n"
    "  -r, --report FILE   write the page to FILE\n"
    "  -h, --help          this\n";

static int print_table(char *const paths[], int count)
{
    char error[ERROR_SIZE];
    struct run_file *runs = calloc((size_t)count, sizeof *runs);
    int read = 0, status = runs == NULL ? EXIT_REFUSED : 0;
    while (status == 0 && read < count) {
        if (run_file_read(&runs[read], paths[read], error, sizeof error) < 0) {
            fprintf(stderr, "tide: %s\n", error);
            status = EXIT_REFUSED;
        } else {
            read++;
        }
    }
    if (status == 0)
        verdicts_print(runs, (size_t)count, stdout);
    while (read > 0)
        run_file_release(&runs[--read]);
    free(runs);
    if (fflush(stdout) != 0) {
        perror("tide: standard output");
        status = EXIT_REFUSED;
    }
    return status;
}

static int print_report(const char *html_path, char *const paths[], int count)
{
    char error[ERROR_SIZE];
    if (report_write(html_path, paths, count, error, sizeof error) == 0) {
        fprintf(stderr, "tide: %s, for a browser\n", html_path);
        return 0;
    }
    fprintf(stderr, "tide: %s\n", error);
    return EXIT_REFUSED;
}

int compare_main(int argc, char **argv)
{
    static const struct option options[] = {{"report", required_argument, NULL, 'r'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    const char *html_path = NULL;
    int letter;
    optind = 1;
    while ((letter = getopt_long(argc, argv, "r:h", options, NULL)) != -1) {
        if (letter == 'h')
            return fputs(help, stdout) < 0 ? EXIT_REFUSED : 0;
        if (letter != 'r')
            return EXIT_REFUSED;
        html_path = optarg;
    }
    if (optind == argc) {
        fputs("tide: compare needs a run's file; tide compare --help says more\n", stderr);
        return EXIT_REFUSED;
    }
    return html_path == NULL ? print_table(argv + optind, argc - optind)
                             : print_report(html_path, argv + optind, argc - optind);
}
