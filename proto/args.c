/* SPDX-License-Identifier: MIT */
/* args.c: the array of arguments that a parser fills.
 *
 * The array is the caller's and serves one command after the other, so that parsing allocates
 * nothing once it has grown to the size of the commands that come. Called by resp.c and mc.c.
 */
#include "ebb_proto.h"

#include <stdlib.h>

#define ARGS_FIRST 8u

void ebb_args_init(struct ebb_args *args)
{
    *args = (struct ebb_args){0};
}

void ebb_args_release(struct ebb_args *args)
{
    free(args->at);
    ebb_args_init(args);
}

bool ebb_args_grow(struct ebb_args *args)
{
    uint32_t capacity = args->capacity ? args->capacity * 2 : ARGS_FIRST;
    struct ebb_slice *at = realloc(args->at, capacity * sizeof(*at));
    if (!at)
        return false;
    args->at = at;
    args->capacity = capacity;
    return true;
}
