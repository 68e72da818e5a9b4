/* SPDX-License-Identifier: MIT */
/* address.c: see address.h. */
#include "address.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

bool address_split(const char *text, size_t length, char host[ADDRESS_HOST_SIZE],
                   char port[ADDRESS_PORT_SIZE])
{
    bool is_bracketed = length > 0 && text[0] == '[';
    const char *begin = text + is_bracketed, *all = text + length;
    const char *end = is_bracketed ? memchr(text, ']', length) : memrchr(text, ':', length);
    if (end == NULL && is_bracketed)
        return false;
    if (end == NULL)
        end = all;
    const char *rest = end + is_bracketed;
    if (end == begin || end - begin >= ADDRESS_HOST_SIZE || (rest < all && *rest != ':') ||
        all - rest > ADDRESS_PORT_SIZE)
        return false;
    snprintf(host, ADDRESS_HOST_SIZE, "%.*s", (int)(end - begin), begin);
    if (rest < all)
        snprintf(port, ADDRESS_PORT_SIZE, "%.*s", (int)(all - rest - 1), rest + 1);
    return true;
}

int address_connect(const struct addrinfo *to)
{
    struct timeval patience = {.tv_sec = ADDRESS_PATIENCE_SECONDS};
    int on = 1, descriptor = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
        return -1;
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(descriptor, to->ai_addr, to->ai_addrlen) == 0)
        return descriptor;
    int cause = errno == EINPROGRESS ? ETIMEDOUT : errno; /* so a connect says that has a limit */
    close(descriptor);
    errno = cause;
    return -1;
}

const struct addrinfo *address_choose(const struct addrinfo *list)
{
    if (list->ai_next == NULL)
        return list;
    for (const struct addrinfo *at = list; at != NULL; at = at->ai_next) {
        int descriptor = address_connect(at);
        if (descriptor < 0)
            continue;
        close(descriptor);
        return at;
    }
    return list;
}
