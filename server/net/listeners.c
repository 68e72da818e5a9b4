/* SPDX-License-Identifier: MIT */
/* listeners.c: from the options bind, port, memcached-port, http-port and unixsocket to listening
 * sockets, and the lines that tell people where they are.
 */
#include "listeners.h"

#include <stdlib.h>
#include <string.h>

#include "../service.h"
#include "dialect.h"

#define ADDRESSES_MAX 8 /* of one name */
#define WORD_BYTES    256

static int open_one(struct listeners *listeners, enum protocol protocol,
                    const struct listener_address *address, char *error)
{
    if (listeners->count == LISTENERS_MAX) {
        snprintf(error, LISTENER_ERROR_BYTES, "more than %u addresses to listen on", LISTENERS_MAX);
        return LISTENER_BAD_SETTING;
    }
    struct listener *listener = calloc(1, sizeof(*listener));
    if (!listener) {
        snprintf(error, LISTENER_ERROR_BYTES, "no memory for a listener");
        return -1;
    }
    listener->protocol = protocol;
    listener->log = listeners->log;
    listener->on_accept = listeners->on_accept;
    listener->context = listeners->context;
    int result = listener_open(listener, listeners->loop, address, error);
    if (result != 0) {
        free(listener);
        return result;
    }
    listeners->at[listeners->count++] = listener;
    return 0;
}

/* All addresses of one word of bind. A name may stand for some that this machine does not have. */
static int open_word(struct listeners *listeners, enum protocol protocol, const char *word,
                     int port, char *error)
{
    struct listener_address addresses[ADDRESSES_MAX];
    int count = listener_resolve(word, port, addresses, ADDRESSES_MAX, error);
    int opened = 0;
    if (count < 0)
        return count;
    for (int i = 0; i < count; i++) {
        int result = open_one(listeners, protocol, &addresses[i], error);
        if (result < 0)
            return result;
        opened += result == 0;
    }
    return opened > 0 || word[0] == '-' ? 0 : -1;
}

static int open_port(struct listeners *listeners, enum protocol protocol,
                     const struct options *options, int64_t port, char *error)
{
    const char *at = options->bind;
    while (port > 0 && *at) {
        char word[WORD_BYTES];
        size_t len = strcspn(at, " ");
        snprintf(word, sizeof(word), "%.*s", (int)len, at);
        int result = open_word(listeners, protocol, word, (int)port, error);
        if (result < 0)
            return result;
        at += len + (at[len] == ' ');
    }
    return 0;
}

static int open_path(struct listeners *listeners, const struct options *options, char *error)
{
    const char *path = options->unixsocket;
    struct listener_address address;
    if (path[0] == '\0')
        return 0;
    int result = listener_unix_address(path, &address, error);
    if (result == 0) {
        address.mode = (mode_t)options->unixsocketperm;
        result = open_one(listeners, PROTOCOL_RESP, &address, error);
    }
    return result > 0 ? -1 : result;
}

int listeners_open(struct listeners *listeners, const struct options *options, char *error)
{
    int result = open_port(listeners, PROTOCOL_RESP, options, options->port, error);
    if (result == 0)
        result = open_path(listeners, options, error);
    if (result == 0)
        result = open_port(listeners, PROTOCOL_MEMCACHED, options, options->memcached_port, error);
    if (result == 0)
        result = open_port(listeners, PROTOCOL_HTTP, options, options->http_port, error);
    if (result != 0)
        listeners_close(listeners);
    return result;
}

void listeners_announce(const struct listeners *listeners, const struct options *options)
{
    bool is_open_to_all = false;
    for (unsigned i = 0; i < listeners->count; i++) {
        const struct listener *listener = listeners->at[i];
        log_write(listeners->log, LOG_NOTICE, "Ebb %s: %s on %s", EBB_VERSION,
                  dialect_of(listener->protocol)->name, listener->name);
        is_open_to_all |= listener->is_open_to_all && listener->protocol != PROTOCOL_HTTP;
    }
    if (is_open_to_all && options->requirepass[0] == '\0')
        log_write(listeners->log, LOG_WARNING,
                  "other machines can connect and no password is set: see bind and requirepass");
}

void listeners_close(struct listeners *listeners)
{
    for (unsigned i = 0; i < listeners->count; i++)
        listener_close(listeners->at[i]);
}

void listeners_release(struct listeners *listeners)
{
    while (listeners->count > 0)
        free(listeners->at[--listeners->count]);
}
