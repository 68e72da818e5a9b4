/* SPDX-License-Identifier: MIT */
/* listeners.h: all the sockets that the options ask for. Owned by the server, used on the main
 * thread.
 */
#ifndef EBB_NET_LISTENERS_H
#define EBB_NET_LISTENERS_H

#include "../options.h"
#include "listener.h"

#define LISTENERS_MAX 64u

struct listeners {
    struct listener *at[LISTENERS_MAX];
    unsigned count;
    uv_loop_t *loop;
    struct log *log;
    void (*on_accept)(void *context, struct listener *listener, int fd);
    void *context;
};

/* Opens every port on every address of bind, and the unix socket; loop, log, on_accept and context
 * are set before. 0, or -1 or LISTENER_BAD_SETTING with a message; then none is open. No listener
 * at all is no error here. */
int listeners_open(struct listeners *listeners, const struct options *options, char *error);
/* Logs one line for each. */
void listeners_announce(const struct listeners *listeners, const struct options *options);
void listeners_close(struct listeners *listeners);
/* After the loop has run to its end. */
void listeners_release(struct listeners *listeners);

#endif
