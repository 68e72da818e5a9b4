/* SPDX-License-Identifier: MIT */
/* verdicts.h: the verdicts of runs as a table of text, phase by phase, those of one scenario
 * together. */
#ifndef EBB_TIDE_VERDICTS_H
#define EBB_TIDE_VERDICTS_H

#include <stdio.h>

#include "run_file.h"

/* A '*' marks the best of the runs in a phase. */
void verdicts_print(const struct run_file runs[], size_t count, FILE *file);

#endif
