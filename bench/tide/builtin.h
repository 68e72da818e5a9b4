/* SPDX-License-Identifier: MIT */
/* builtin.h: the scenarios that are part of the program. */
#ifndef EBB_TIDE_BUILTIN_H
#define EBB_TIDE_BUILTIN_H

#include <stddef.h>

struct builtin {
    const char *name, *text;
};

extern const struct builtin builtins[];
extern const size_t builtin_count;

/* The text of that scenario, NULL if there is none. */
const char *builtin_text(const char *name);

#endif
