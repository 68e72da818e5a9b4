/* SPDX-License-Identifier: MIT */
/* main.c: the program: options in, exit code out. 0 is an orderly end, 1 a failure of the system, 2
 * a mistake in the settings; each failure says why in one line on standard error.
 */
#include <stdio.h>

#include "options.h"
#include "server.h"
#include "service.h"

extern char **environ;

_Static_assert(SERVER_ERROR_BYTES <= OPTIONS_ERROR_BYTES, "one buffer serves both");

static int serve(struct options *options, char *error)
{
    struct server *server;
    enum server_result result = server_create(&server, options, error);
    if (result != SERVER_OK)
        return (int)result;
    result = server_run(server, error);
    server_destroy(server);
    return (int)result;
}

int main(int argc, char **argv)
{
    struct options options;
    char error[OPTIONS_ERROR_BYTES] = "";
    int status = 0;
    switch (options_load(&options, argc, argv, environ, error)) {
    case OPTIONS_HELP:
        options_help(stdout);
        break;
    case OPTIONS_VERSION:
        printf("ebb %s\n", EBB_VERSION);
        break;
    case OPTIONS_BAD:
        status = SERVER_BAD_SETUP;
        break;
    case OPTIONS_RUN:
        status = serve(&options, error);
        break;
    }
    if (status != 0)
        fprintf(stderr, "ebb: %s\n", error);
    options_release(&options);
    return status;
}
