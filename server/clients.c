/* SPDX-License-Identifier: MIT */
/* clients.c: see clients.h. Connections enter and leave the list; cmd_client.c goes through it.
 */
#include "clients.h"

void clients_init(struct clients *clients)
{
    clients->first = NULL;
    pthread_mutex_init(&clients->mutex, NULL);
}

void clients_release(struct clients *clients)
{
    pthread_mutex_destroy(&clients->mutex);
}

void clients_add(struct clients *clients, struct client *client)
{
    clients_lock(clients);
    struct client *first = clients->first;
    if (first == NULL) {
        client->next = client->previous = client;
        clients->first = client;
    } else {
        client->next = first;
        client->previous = first->previous;
        first->previous->next = client;
        first->previous = client;
    }
    clients_unlock(clients);
}

static void unlink_from(struct clients *clients, struct client *client)
{
    client->previous->next = client->next;
    client->next->previous = client->previous;
    if (clients->first == client)
        clients->first = client->next == client ? NULL : client->next;
    client->next = client->previous = NULL;
}

void clients_remove(struct clients *clients, struct client *client)
{
    clients_lock(clients);
    if (client->next != NULL)
        unlink_from(clients, client);
    clients_unlock(clients);
}

bool clients_has(struct clients *clients, uint64_t id)
{
    bool is_found = false;
    clients_lock(clients);
    struct client *client = clients->first;
    while (client != NULL && !is_found) {
        is_found = client->id == id;
        client = clients_after(clients, client);
    }
    clients_unlock(clients);
    return is_found;
}
