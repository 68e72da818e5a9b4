/* SPDX-License-Identifier: MIT */
/* server.h: the whole server: store, workers, listeners, pages and the main loop that ties them.
 * Several may live in one process; there is no global state but what libuv keeps for signals.
 */
#ifndef EBB_SERVER_H
#define EBB_SERVER_H

#include "options.h"

#define SERVER_ERROR_BYTES 256

enum server_result {
    SERVER_OK = 0,
    SERVER_FAILED = 1,    /* the system refused something: a port in use, no memory */
    SERVER_BAD_SETUP = 2, /* the options make no sense together */
};

struct server;

/* Listens and gets everything ready, but serves nothing yet. The options must outlive the server.
 * On failure there is no server and `error` says in one line why. */
enum server_result server_create(struct server **server, struct options *options, char *error);
/* Serves until SIGTERM, SIGINT or a command ends it. */
enum server_result server_run(struct server *server, char *error);
/* Closes every connection, ends every thread, frees everything. */
void server_destroy(struct server *server);

#endif
