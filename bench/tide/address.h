/* SPDX-License-Identifier: MIT */
/* address.h: HOST:PORT as people write it, and connections. */
#ifndef EBB_TIDE_ADDRESS_H
#define EBB_TIDE_ADDRESS_H

#include <netdb.h>
#include <stdbool.h>
#include <stddef.h>

#define ADDRESS_HOST_SIZE        256 /* with the zero */
#define ADDRESS_PORT_SIZE        8
#define ADDRESS_PATIENCE_SECONDS 5 /* for a connection, and for each answer on it */

/* Takes HOST, HOST:PORT or [HOST]:PORT apart, of `length` bytes; `port` stays as it is if there is
 * none. false: it is none of these. */
bool address_split(const char *text, size_t length, char host[ADDRESS_HOST_SIZE],
                   char port[ADDRESS_PORT_SIZE]);
/* A blocking connection that gives up after the patience above. The descriptor, or -1 with errno.
 */
int address_connect(const struct addrinfo *to);
/* The first of a name's addresses that takes a connection: localhost, say, has one of each family,
 * and many a server listens on one of them. The first of all if none does. */
const struct addrinfo *address_choose(const struct addrinfo *list);

#endif
