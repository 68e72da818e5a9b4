/* SPDX-License-Identifier: MIT */
/* builtin.c: see builtin.h. The texts are files of scenarios/, embedded by builtin_data.S. */
#include "builtin.h"

#include <string.h>

#define SCENARIO(symbol, name, file) extern const char tide_scenario_##symbol[];
#include "builtin.def"
#undef SCENARIO

const struct builtin builtins[] = {
#define SCENARIO(symbol, name, file) {name, tide_scenario_##symbol},
#include "builtin.def"
#undef SCENARIO
};
const size_t builtin_count = sizeof builtins / sizeof builtins[0];

const char *builtin_text(const char *name)
{
    for (size_t i = 0; i < builtin_count; i++)
        if (strcmp(builtins[i].name, name) == 0)
            return builtins[i].text;
    return NULL;
}
