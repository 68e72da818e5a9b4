/* SPDX-License-Identifier: MIT */
/* set_options.h: the words after SET key value and GETEX key: conditions and times.
 */
#ifndef EBB_SET_OPTIONS_H
#define EBB_SET_OPTIONS_H

#include "cmd.h"

enum set_flag {
    SET_NX = 1 << 0,
    SET_XX = 1 << 1,
    SET_GET = 1 << 2,
    SET_KEEPTTL = 1 << 3,
    SET_PERSIST = 1 << 4,
    SET_EX = 1 << 5,
    SET_PX = 1 << 6,
    SET_EXAT = 1 << 7,
    SET_PXAT = 1 << 8,
    SET_IFEQ = 1 << 9,  /* Valkey 8.1, Redis 8.4: the key is there with that value */
    SET_IFNE = 1 << 10, /* Redis 8.4: it is not */
};

#define SET_VALUES     (SET_IFEQ | SET_IFNE)
#define SET_CONDITIONS (SET_NX | SET_XX | SET_VALUES)

enum set_options_kind { SET_OPTIONS_SET = 1, SET_OPTIONS_GETEX = 2 };

struct set_options {
    unsigned flags;
    uint32_t time_arg;  /* the argument with the time, 0: none */
    uint32_t value_arg; /* the argument with the value to compare, 0: none */
    int64_t expire_ms;  /* after set_options_expire(): unix time, 0: none */
};

/* Reads the words from args[from] on. Answers a syntax error and returns false when they are wrong;
 * the time is not looked at yet. */
bool set_options_parse(struct cmd_context *context, uint32_t from, enum set_options_kind kind,
                       struct set_options *options);
/* Reads the time. Answers the error and returns false when it is none, not above zero, or too far
 * away. */
bool set_options_expire(struct cmd_context *context, struct set_options *options);

#endif
