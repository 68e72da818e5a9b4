/* SPDX-License-Identifier: MIT */
/* key_access.h: what commands do with their keys, in the words of Redis's key specifications.
 */
#ifndef EBB_KEY_ACCESS_H
#define EBB_KEY_ACCESS_H

#include "cmd.h"

/* In the order in which COMMAND INFO shows them. */
enum key_access {
    KEY_RO = 1 << 0,     /* reads the value */
    KEY_RW = 1 << 1,     /* changes it */
    KEY_OW = 1 << 2,     /* sets it, whatever it was */
    KEY_RM = 1 << 3,     /* deletes it */
    KEY_ACCESS = 1 << 4, /* its bytes come back to the client, or to another key */
    KEY_UPDATE = 1 << 5,
    KEY_INSERT = 1 << 6,
    KEY_DELETE = 1 << 7,
    KEY_VARIABLE = 1 << 8, /* it depends on the other words */
};

struct key_accesses {
    unsigned first, others; /* enum key_access, of the first key and of the others */
};
struct key_accesses key_accesses_of(const struct command *command);
/* The same for a command line, which leaves nothing variable. */
struct key_accesses key_accesses_in(const struct command *command, const struct ebb_slice *args,
                                    uint32_t count);

#endif
