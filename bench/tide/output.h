/* SPDX-License-Identifier: MIT */
/* output.h: a file that is whole or not there: written beside its place, and put there at the end,
 * so that a full disk leaves what was there before. A device or a pipe is written to as it is.
 */
#ifndef EBB_TIDE_OUTPUT_H
#define EBB_TIDE_OUTPUT_H

#include <stdbool.h>
#include <stdio.h>

struct output {
    FILE *file;
    const char *path; /* the caller's */
    char *part;       /* beside it; NULL: none */
};

/* 0, or -1 with errno and nothing to close. */
int output_open(struct output *output, const char *path);
/* Puts it in its place, or throws it away if what was written is not all. 0, or -1 with errno. */
int output_close(struct output *output, bool is_all);
/* Whether it could be written now: 0, or -1 with errno. Leaves what is there. */
int output_try(const char *path);

#endif
