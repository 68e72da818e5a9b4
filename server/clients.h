/* SPDX-License-Identifier: MIT */
/* clients.h: all clients of the Redis and the memcached protocol, over all workers: what CLIENT
 * LIST and KILL see of the former, and `stats conns` of the latter.
 *
 * A client belongs to its worker's thread. Others look at it with the list locked, which keeps it
 * from going away: at its numbers, which are written and read by client_note() and client_look(),
 * and at its texts, which change with the list locked only. The lock is held for moments, and
 * whoever holds it waits for nothing else.
 */
#ifndef EBB_CLIENTS_H
#define EBB_CLIENTS_H

#include <pthread.h>

#include "service.h"

struct clients {
    pthread_mutex_t mutex;
    struct client *first; /* a ring, the longest connected first; NULL: none */
};
void clients_init(struct clients *clients);
void clients_release(struct clients *clients);
void clients_add(struct clients *clients, struct client *client);
/* Before its socket closes: who sees it in the list may ask for its address. One that is not in it
 * is left alone. */
void clients_remove(struct clients *clients, struct client *client);

/* Whether a client of that number is connected. Locks the list for a moment. */
bool clients_has(struct clients *clients, uint64_t id);

static inline void clients_lock(struct clients *clients)
{
    pthread_mutex_lock(&clients->mutex);
}

static inline void clients_unlock(struct clients *clients)
{
    pthread_mutex_unlock(&clients->mutex);
}

/* The next one of the list, which is locked; NULL: that was the last. */
static inline struct client *clients_after(const struct clients *clients,
                                           const struct client *client)
{
    return client->next == clients->first ? NULL : client->next;
}

/* A number of a client, written by its own thread and read by any. */
#define client_note(field, value) __atomic_store_n(&(field), value, __ATOMIC_RELAXED)
#define client_look(field)        __atomic_load_n(&(field), __ATOMIC_RELAXED)

#endif
