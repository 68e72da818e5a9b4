/* SPDX-License-Identifier: MIT */
/* refuse.c: see refuse.h. */
#include "refuse.h"

#include <stdarg.h>
#include <stdio.h>

int refuse(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("tide: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    return -1;
}
