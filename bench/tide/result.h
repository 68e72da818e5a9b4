/* SPDX-License-Identifier: MIT */
/* result.h: a run as files: JSON, which README.md describes, and its samples as CSV. */
#ifndef EBB_TIDE_RESULT_H
#define EBB_TIDE_RESULT_H

#include <jansson.h>
#include <stdio.h>
#include <time.h>

#include "engine.h"
#include "host.h"

struct run_facts {
    const char *scenario_name, *scenario_text, *label;
    double scale, time_scale;
    const struct host *host;
    const char *command; /* that started it, without secrets; NULL */
    time_t started;
};

/* The run as README.md describes it, for json_decref(). NULL: no memory. */
json_t *result_make(const struct engine *engine, const struct run_facts *facts);
/* 0, or -1 with errno: what stood there before is left. */
int result_write_json(const json_t *result, const char *path);
int result_write_csv(const struct engine *engine, const char *path);
/* The verdict of each phase, as `tide compare` prints it. */
int result_print(json_t *result, FILE *file);

#endif
