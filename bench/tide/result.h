/* SPDX-License-Identifier: MIT */
/* result.h: a run as files: JSON, which README.md describes, and its samples as CSV. */
#ifndef EBB_TIDE_RESULT_H
#define EBB_TIDE_RESULT_H

#include <stdio.h>
#include <sys/types.h>
#include <time.h>

#include "engine.h"

struct run_facts {
    const char *scenario_name, *scenario_text, *address, *command, *label, *server_name;
    char server_version[64];
    pid_t pid;
    time_t started;
};

/* 0, or -1 with errno: what stands in the file then is not complete. */
int result_write_json(const struct engine *engine, const struct run_facts *facts, const char *path);
int result_write_csv(const struct engine *engine, const char *path);
/* The verdict of each phase, as `tide compare` prints it. */
void result_print(const struct engine *engine, const struct run_facts *facts, FILE *file);

#endif
