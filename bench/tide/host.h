/* SPDX-License-Identifier: MIT */
/* host.h: the server of a run: found or started, asked what it is, and whose memory is read.
 */
#ifndef EBB_TIDE_HOST_H
#define EBB_TIDE_HOST_H

#include <netdb.h>
#include <sys/types.h>

#include "peer.h"
#include "source.h"

struct host {
    /* given, all of it the caller's; one of the first two, the rest may be missing */
    const char *server, *command; /* HOST:PORT; what starts one, with %p for its port */
    const char *metrics;          /* a URL */
    pid_t pid;                    /* whose memory is read; 0: who that is, is found out */
    struct peer peer;             /* its address is found */
    /* found */
    struct addrinfo *addresses;
    char address[280];
    pid_t child; /* what the command started, if it still runs; 0 */
    pid_t own;   /* the id that the server gives of itself; 0 */
    const char *name;
    char version[64];
    struct source source;
};

/* 0, or -1 when it has said why; host_close in both cases. Says where memory is read from. */
int host_open(struct host *host);
/* Ends a server that was started. */
void host_close(struct host *host);

#endif
