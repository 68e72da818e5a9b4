/* SPDX-License-Identifier: MIT */
/* overruns.h: tells people of clients that are closed for a limit of their own, or for want of
 * memory. A worker tells of one a second at most; of the others it says how many they were.
 */
#ifndef EBB_NET_OVERRUNS_H
#define EBB_NET_OVERRUNS_H

#include <stdint.h>

struct connection;

/* Part of its worker. All zero at the start. */
struct overruns {
    int64_t told_ms; /* when the last line was written */
    uint64_t untold; /* clients closed since then */
};

/* To be called before the connection closes; `setting` is the limit's name. */
void overruns_tell(struct connection *connection, const char *setting, int64_t limit_bytes);
/* The same for a client whose replies no memory could be got for. */
void overruns_tell_memory(struct connection *connection);

#endif
