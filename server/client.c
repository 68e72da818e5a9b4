/* SPDX-License-Identifier: MIT */
/* client.c: the texts that a client has given about itself. Commands set them, the connection
 * releases them when it goes.
 */
#include "service.h"

#include <stdlib.h>

void client_release(struct client *client)
{
    free(client->name);
    free(client->library_name);
    free(client->library_version);
    free(client->dump);
    client->dump = NULL;
    client->name = client->library_name = client->library_version = NULL;
}
