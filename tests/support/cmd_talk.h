/* SPDX-License-Identifier: MIT */
/* cmd_talk.h: tests that are a list of command lines and their answers. The program includes
 * cmocka.h first; its test functions get a world by setup() and teardown().
 */
#ifndef EBB_TESTS_CMD_TALK_H
#define EBB_TESTS_CMD_TALK_H

#include <stdlib.h>
#include <string.h>

#include "cmd_world.h"

static inline int setup(void **state)
{
    struct world *world = malloc(sizeof(*world));
    world_init_with(world, 4, 0);
    *state = world;
    return 0;
}

static inline int teardown(void **state)
{
    world_release(*state);
    free(*state);
    return 0;
}

/* Each row is a command line and its answer. */
struct talk {
    const char *line, *answer;
};

static inline void hold_talk(struct world *world, const struct talk *talk, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *answer = world_resp(world, talk[i].line);
        if (strcmp(answer, talk[i].answer) != 0)
            fail_msg("%s\n  expected %s\n  answered %s", talk[i].line, talk[i].answer, answer);
    }
}

#define TALK(...)                                                                                  \
    do {                                                                                           \
        static const struct talk talk[] = {__VA_ARGS__};                                           \
        hold_talk(*state, talk, sizeof(talk) / sizeof(talk[0]));                                   \
    } while (0)
#define RESP(line, answer) TALK({line, answer})

#define OK         "+OK\r\n"
#define NIL        "$-1\r\n"
#define SYNTAX     "-ERR syntax error\r\n"
#define NO_INTEGER "-ERR value is not an integer or out of range\r\n"
#define TOO_LONG   "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n"

#endif
