/* SPDX-License-Identifier: MIT */
/* listener.c: binding, listening and accepting with plain sockets; libuv only says when somebody is
 * at the door, so that an accepted descriptor can go to the loop of any thread.
 */
#include "listener.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define BACKLOG     511
#define ACCEPT_MAX  64u /* in one turn of the loop, so that its other work is not held up */
#define RETRY_MS    100u
#define KEEPALIVE_S 300 /* a peer that has vanished is noticed after about twice this */

/* ---- addresses ---- */

static int look_up(const char *host, int port, int flags, struct addrinfo **found)
{
    char service[8];
    snprintf(service, sizeof(service), "%d", port);
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV | flags};
    return getaddrinfo(host, service, &hints, found);
}

int listener_resolve(const char *word, int port, struct listener_address *addresses, int max,
                     char *error)
{
    const char *host = word[0] == '-' ? word + 1 : word;
    if (strcmp(host, "*") == 0)
        host = "0.0.0.0";
    else if (strcmp(host, "::*") == 0)
        host = "::";
    struct addrinfo *found;
    /* Numbers first: asking the name service costs memory that stays. */
    int result = look_up(host, port, AI_NUMERICHOST, &found);
    if (result == EAI_NONAME)
        result = look_up(host, port, 0, &found);
    if (result != 0) {
        snprintf(error, LISTENER_ERROR_BYTES, "can't listen on '%.64s' (bind): %s", host,
                 gai_strerror(result));
        return result == EAI_MEMORY || result == EAI_SYSTEM ? -1 : LISTENER_BAD_SETTING;
    }
    int count = 0;
    for (struct addrinfo *at = found; at && count < max; at = at->ai_next) {
        if (at->ai_family != AF_INET && at->ai_family != AF_INET6)
            continue;
        addresses[count] = (struct listener_address){.len = at->ai_addrlen};
        memcpy(&addresses[count].address, at->ai_addr, at->ai_addrlen);
        count++;
    }
    freeaddrinfo(found);
    return count;
}

int listener_unix_address(const char *path, struct listener_address *address, char *error)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&address->address;
    if (strlen(path) >= sizeof(un->sun_path)) {
        snprintf(error, LISTENER_ERROR_BYTES,
                 "can't listen on %.120s: the path of a unixsocket has %zu bytes at most", path,
                 sizeof(un->sun_path) - 1);
        return LISTENER_BAD_SETTING;
    }
    memset(address, 0, sizeof(*address));
    un->sun_family = AF_UNIX;
    strcpy(un->sun_path, path);
    address->len = sizeof(*un);
    return 0;
}

static void name_listener(struct listener *listener, const struct listener_address *address)
{
    char host[INET6_ADDRSTRLEN] = "?", port[8] = "?";
    if (listener->is_unix) {
        snprintf(listener->name, sizeof(listener->name), "%s",
                 ((const struct sockaddr_un *)&address->address)->sun_path);
        return;
    }
    getnameinfo((const struct sockaddr *)&address->address, address->len, host, sizeof(host), port,
                sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV);
    bool is_v6 = address->address.ss_family == AF_INET6;
    snprintf(listener->name, sizeof(listener->name), is_v6 ? "[%s]:%s" : "%s:%s", host, port);
    listener->is_open_to_all = strncmp(host, "127.", 4) != 0 && strcmp(host, "::1") != 0;
}

/* ---- accepting ---- */

static void on_ready(uv_poll_t *poll, int status, int events);

static void on_retry(uv_timer_t *retry)
{
    struct listener *listener = retry->data;
    uv_poll_start(&listener->poll, UV_READABLE, on_ready);
}

/* Without descriptors or memory the socket stays ready: looking away for a moment instead of trying
 * again and again. Clients wait in the backlog meanwhile. */
static void pause_accepting(struct listener *listener, int error)
{
    if (!listener->is_short)
        log_write(listener->log, LOG_WARNING, "can't accept on %s: %s", listener->name,
                  strerror(error));
    listener->is_short = true;
    uv_poll_stop(&listener->poll);
    uv_timer_start(&listener->retry, on_retry, RETRY_MS, 0);
}

static bool is_shortage(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static void set_up_client(int fd)
{
    int on = 1, idle_s = KEEPALIVE_S, interval_s = KEEPALIVE_S / 3, probes = 3;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof(interval_s));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct listener *listener = poll->data;
    (void)status;
    (void)events;
    for (unsigned i = 0; i < ACCEPT_MAX; i++) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (is_shortage(errno))
                pause_accepting(listener, errno);
            if (errno == ECONNABORTED || errno == EINTR)
                continue;
            return;
        }
        listener->is_short = false;
        if (!listener->is_unix)
            set_up_client(fd);
        listener->on_accept(listener->context, listener, fd);
    }
}

/* ---- opening and closing ---- */

/* A socket file that nobody listens on is left over from a server that was killed. One whose
 * backlog is full is in use: there is no waiting for its turn. */
static void remove_stale(const struct listener_address *address)
{
    const char *path = ((const struct sockaddr_un *)&address->address)->sun_path;
    struct stat what;
    if (stat(path, &what) != 0 || !S_ISSOCK(what.st_mode))
        return;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    if (connect(fd, (const struct sockaddr *)&address->address, address->len) < 0 &&
        errno == ECONNREFUSED)
        unlink(path);
    close(fd);
}

/* 0 or a negative errno. */
static int bind_and_listen(struct listener *listener, const struct listener_address *address)
{
    int on = 1, family = address->address.ss_family;
    listener->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener->fd < 0)
        return -errno;
    if (family == AF_UNIX)
        remove_stale(address);
    else
        setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (family == AF_INET6)
        setsockopt(listener->fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    if (bind(listener->fd, (const struct sockaddr *)&address->address, address->len) < 0)
        return -errno;
    /* Before anybody can connect. */
    bool is_closed = address->mode != 0 && chmod(listener->name, address->mode) < 0;
    if (is_closed || listen(listener->fd, BACKLOG) < 0) {
        int error = errno;
        if (family == AF_UNIX)
            unlink(listener->name);
        return -error;
    }
    return 0;
}

int listener_open(struct listener *listener, uv_loop_t *loop,
                  const struct listener_address *address, char *error)
{
    listener->is_unix = address->address.ss_family == AF_UNIX;
    listener->poll.data = listener->retry.data = listener;
    name_listener(listener, address);
    int result = bind_and_listen(listener, address);
    if (result == 0)
        result = uv_poll_init(loop, &listener->poll, listener->fd);
    if (result < 0) {
        if (listener->fd >= 0)
            close(listener->fd);
        snprintf(error, LISTENER_ERROR_BYTES, "can't listen on %s: %s", listener->name,
                 strerror(-result));
        bool is_missing = result == -EADDRNOTAVAIL || result == -EAFNOSUPPORT;
        return is_missing ? 1 : -1;
    }
    uv_timer_init(loop, &listener->retry);
    uv_poll_start(&listener->poll, UV_READABLE, on_ready);
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct listener *listener = handle->data;
    close(listener->fd);
}

void listener_close(struct listener *listener)
{
    if (listener->is_unix)
        unlink(listener->name);
    uv_close((uv_handle_t *)&listener->retry, NULL);
    uv_close((uv_handle_t *)&listener->poll, on_closed);
}
