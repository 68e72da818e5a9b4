/* SPDX-License-Identifier: MIT */
/* arguments.c: see arguments.h. */
#include "arguments.h"

#include <stdlib.h>
#include <string.h>

#include "workload.h"

double argument_number(const char *text, const char *option, double least, double most)
{
    char *end;
    double number = strtod(text, &end);
    if (end == text || *end != '\0' || !(number >= least && number <= most))
        die("--%s: %s is not a number from %g to %g", option, text, least, most);
    return number;
}

uint64_t argument_size(const char *text, const char *option)
{
    char *end;
    double number = strtod(text, &end);
    static const char *const units[] = {"", "kb", "mb", "gb"};
    for (size_t u = 0; u < sizeof units / sizeof units[0]; u++)
        if (end != text && number >= 0 && strcmp(end, units[u]) == 0)
            return (uint64_t)(number * (double)(UINT64_C(1) << (10 * u)));
    die("--%s: %s is not a size such as 64mb", option, text);
}
