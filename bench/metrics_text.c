/* SPDX-License-Identifier: MIT */
/* metrics_text.c: see metrics_text.h. */
#include "metrics_text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

double metrics_number(const char *page, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = page; (at = strstr(at, name)) != NULL; at += length) {
        const char *value = at + length;
        char *end;
        if (at != page && at[-1] != '\n')
            continue;
        if (*value == '{') { /* a label may have any character, what is behind them none of these */
            const char *last = memrchr(value, '}', strcspn(value, "\n"));
            value = last != NULL ? last + 1 : "";
        } else if (*value != ' ')
            continue;
        double number = strtod(value, &end);
        return end == value ? NAN : number;
    }
    return NAN;
}
