/* SPDX-License-Identifier: MIT */
/* host.c: see host.h. */
#include "host.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "../process.h"
#include "address.h"
#include "refuse.h"
#include "spawn.h"

#define READY_SECONDS 30
#define READY_STEP_MS 10
#define ANSWER_BYTES  65536

static bool is_resp(const struct host *host)
{
    return host->peer.protocol == PROTOCOL_RESP;
}

/* ---- where it is ---- */

static int find_address(struct host *host)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    char name[ADDRESS_HOST_SIZE], port[ADDRESS_PORT_SIZE] = "";
    if (!address_split(host->address, strlen(host->address), name, port) || port[0] == '\0')
        return refuse("--server is HOST:PORT, not %s", host->address);
    int status = getaddrinfo(name, port, &hints, &host->addresses);
    if (status != 0)
        return refuse("%s: %s", host->address, gai_strerror(status));
    host->peer.address = address_choose(host->addresses);
    return 0;
}

/* Whether it has something to say: that it wants a password, say, is said when it is asked what it
 * is; not that it is still reading its data. */
static bool is_ready(const struct host *host)
{
    char answer[256];
    ssize_t status = peer_ask(&host->peer, is_resp(host) ? "PING\r\n" : "version\r\n",
                              is_resp(host) ? "+PONG\r\n" : "VERSION", answer, sizeof answer);
    return status > 0 || (status == PEER_REFUSED && strstr(answer, "LOADING") == NULL);
}

static int await_server(struct host *host)
{
    uint64_t end = clock_ns() + UINT64_C(1000000000) * READY_SECONDS;
    do {
        if (waitpid(host->child, NULL, WNOHANG) == host->child) {
            spawn_end(host->child); /* what it left behind */
            host->child = 0;
            return refuse(
                "the server ended at once (one that stays in the foreground is needed): %s",
                host->command);
        }
        if (is_ready(host))
            return 0;
        sleep_ms(READY_STEP_MS);
    } while (clock_ns() < end);
    return refuse("the server has not answered in %s for %d seconds, on %s: %s",
                  protocol_name(host->peer.protocol), READY_SECONDS, host->address, host->command);
}

static int start_server(struct host *host)
{
    uint16_t port = spawn_free_port();
    if (strstr(host->command, "%p") == NULL)
        return refuse("the command has no %%p, where the port goes: %s", host->command);
    if (port == 0)
        return refuse("no free port");
    snprintf(host->address, sizeof host->address, "127.0.0.1:%u", port);
    if (find_address(host) < 0)
        return -1;
    pid_t child = spawn_start(host->command, port);
    if (child < 0)
        return refuse("can't start %s: %s", host->command, strerror(errno));
    host->child = child;
    return await_server(host);
}

/* ---- what it is ---- */

static void read_text(const char *answer, const char *name, char text[], size_t size)
{
    const char *found = strstr(answer, name);
    if (found != NULL)
        snprintf(text, size, "%.*s", (int)strcspn(found + strlen(name), "\r\n"),
                 found + strlen(name));
}

/* Others have the version of the Redis or memcached they are like beside their own. */
static void read_name(struct host *host, const char *answer)
{
    static const struct {
        const char *name, *version;
    } others[] = {{"ebb", "ebb_version:"},
                  {"valkey", "valkey_version:"},
                  {"dragonfly", "dragonfly_version:"}};
    char *version = host->version;
    size_t size = sizeof host->version;
    host->name = is_resp(host) ? "redis" : "memcached";
    read_text(answer, is_resp(host) ? "redis_version:" : "STAT version ", version, size);
    if (!is_resp(host) && strstr(answer, "STAT ebb_version ") != NULL) {
        host->name = "ebb";
        read_text(answer, "STAT ebb_version ", version, size);
    }
    for (size_t i = 0; is_resp(host) && i < sizeof others / sizeof others[0]; i++)
        if (strstr(answer, others[i].version) != NULL) {
            host->name = others[i].name;
            read_text(answer, others[i].version, version, size);
        }
}

static int refuse_answer(const struct host *host, const char *answer)
{
    const char *protocol = protocol_name(host->peer.protocol);
    bool is_guest = strstr(answer, "NOAUTH") != NULL || strstr(answer, "unauthenticated") != NULL;
    if (is_guest && host->peer.password == NULL)
        return refuse("%s wants a password, --pass or TIDE_AUTH in the environment: %s",
                      host->address, answer);
    if (is_guest || strstr(answer, "login") != NULL)
        return refuse("%s: %s", host->address, answer);
    return refuse("%s: nobody there who speaks %s: %s", host->address, protocol, answer);
}

/* What it is, and whether it is empty. */
static int ask_server(struct host *host)
{
    static char answer[ANSWER_BYTES];
    if (peer_stats(&host->peer, answer, sizeof answer) < 0)
        return refuse_answer(host, answer);
    read_name(host, answer);
    double own = answer_number(answer, is_resp(host) ? "process_id:" : "STAT pid ");
    host->own = own >= 1 && own < INT_MAX ? (pid_t)own : 0;
    double items = peer_items(&host->peer);
    if (items > 0 && host->command != NULL)
        return refuse("the server begins with %.0f items, from a file of before; tide needs an "
                      "empty one (redis-server takes --save \"\"): %s",
                      items, host->command);
    if (items > 0)
        return refuse("%s holds %.0f items; tide needs an empty server (%s deletes them)",
                      host->address, items, is_resp(host) ? "FLUSHALL" : "flush_all");
    return 0;
}

/* ---- whose memory ---- */

static uint16_t port_of(const struct addrinfo *address)
{
    const void *socket_address = address->ai_addr;
    in_port_t port = address->ai_family == AF_INET6
                         ? ((const struct sockaddr_in6 *)socket_address)->sin6_port
                         : ((const struct sockaddr_in *)socket_address)->sin_port;
    return ntohs(port);
}

/* Whether a process is the server: on this machine it listens there. Of another user's process only
 * the name is seen. */
static bool is_server(const struct host *host, pid_t pid)
{
    char name[64];
    if (pid <= 0)
        return false;
    enum process_listens listens = process_listens(pid, port_of(host->peer.address));
    return listens == LISTENS_YES ||
           (listens == LISTENS_UNKNOWN && process_read(pid, "comm", name, sizeof name) &&
            strstr(name, host->name) != NULL);
}

/* The command may have started the server through others that still run: its own word goes first.
 */
static int choose_pid(struct host *host)
{
    pid_t found = is_server(host, host->own)     ? host->own
                  : is_server(host, host->child) ? host->child
                                                 : 0;
    if (host->metrics != NULL)
        return 0;
    if (host->pid != 0 && found != 0 && host->pid != found)
        return refuse("--pid %d is not the server on %s: that is %d", (int)host->pid, host->address,
                      (int)found);
    if (host->pid == 0)
        host->pid = found;
    return 0;
}

static int choose_source(struct host *host)
{
    char text[400];
    int status;
    if (choose_pid(host) < 0)
        return -1;
    if (host->metrics != NULL)
        status = source_of_metrics(&host->source, host->metrics, text, sizeof text);
    else if (host->pid != 0)
        status = source_of_process(&host->source, host->pid, text, sizeof text);
    else if (is_resp(host))
        status = source_of_info(&host->source, &host->peer, text, sizeof text);
    else
        return refuse("%s: it does not run here as a process that can be read, and memcached does "
                      "not say its resident memory; give --pid, or --metrics",
                      host->address);
    if (status < 0)
        return refuse("%s", text);
    source_text(&host->source, text, sizeof text);
    fprintf(stderr, "tide: memory from %s\n", text);
    return 0;
}

/* ---- life ---- */

int host_open(struct host *host)
{
    if (host->server != NULL)
        snprintf(host->address, sizeof host->address, "%s", host->server);
    return (host->command != NULL ? start_server(host) : find_address(host)) < 0 ||
                   ask_server(host) < 0 || choose_source(host) < 0
               ? -1
               : 0;
}

void host_close(struct host *host)
{
    source_release(&host->source);
    if (host->child > 0)
        spawn_end(host->child);
    if (host->addresses != NULL)
        freeaddrinfo(host->addresses);
}
