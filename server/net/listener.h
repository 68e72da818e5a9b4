/* SPDX-License-Identifier: MIT */
/* listener.h: a socket that clients connect to. Lives on the main loop; what becomes of an accepted
 * socket is its owner's business.
 */
#ifndef EBB_NET_LISTENER_H
#define EBB_NET_LISTENER_H

#include <sys/un.h>
#include <uv.h>

#include "../counters.h"
#include "../log.h"

#define LISTENER_ERROR_BYTES 256
#define LISTENER_NAME_BYTES  128
#define LISTENER_BAD_SETTING (-2) /* result: what was asked for is no address */

struct listener {
    uv_poll_t poll;
    uv_timer_t retry; /* after running out of descriptors */
    int fd;
    enum protocol protocol;
    char name[LISTENER_NAME_BYTES]; /* "127.0.0.1:6379" or a path, for people */
    bool is_unix;
    bool is_short;       /* of descriptors: said once, until one is to be had again */
    bool is_open_to_all; /* reachable from other machines */
    struct log *log;
    void (*on_accept)(void *context, struct listener *listener, int fd);
    void *context;
};

struct listener_address {
    struct sockaddr_storage address;
    socklen_t len;
    mode_t mode; /* permissions of a unix socket's file; 0: as the umask has it */
};
/* What a word of the option bind means, in numbers: an address, a host name, "*" for every IPv4
 * address, "::*" for every IPv6 address; a "-" in front makes an address that this machine lacks no
 * error. Returns how many, or -1 or LISTENER_BAD_SETTING with a message. */
int listener_resolve(const char *word, int port, struct listener_address *addresses, int max,
                     char *error);
/* The address of a unix socket. */
int listener_unix_address(const char *path, struct listener_address *address, char *error);

/* Opens a socket that listens; `protocol`, `log`, `on_accept` and `context` are set before. 0; 1
 * when this machine does not have the address; -1 with a message. */
int listener_open(struct listener *listener, uv_loop_t *loop,
                  const struct listener_address *address, char *error);
/* Stops listening; the struct stays until the loop's next turn. */
void listener_close(struct listener *listener);

#endif
