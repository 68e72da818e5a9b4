/* SPDX-License-Identifier: MIT */
/* peer.c: see peer.h. */
#include "peer.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "address.h"

#define ANSWER_BYTES     65536
#define LOGIN_SIZE       (2 * PEER_SECRET_MAX + 256)
#define LINE_SIZE        256
#define MEMCACHED_BESIDE 59 /* header 48, CAS 8, the key's zero, the value's line end */

const char *protocol_name(enum protocol protocol)
{
    static const char *const names[] = {"resp", "memcached", "meta"};
    return names[protocol];
}

/* ---- logging in ---- */

static void compose_login(const struct peer *peer, char text[LOGIN_SIZE])
{
    const char *user = peer->user != NULL ? peer->user : "default", *password = peer->password;
    size_t user_length = strlen(user), length = strlen(password);
    if (peer->protocol != PROTOCOL_RESP)
        snprintf(text, LOGIN_SIZE, "set tide-login 0 0 %zu\r\n%s %s\r\n", user_length + 1 + length,
                 user, password);
    else if (peer->user == NULL) /* Redis before 6 knows no names */
        snprintf(text, LOGIN_SIZE, "*2\r\n$4\r\nAUTH\r\n$%zu\r\n%s\r\n", length, password);
    else
        snprintf(text, LOGIN_SIZE, "*3\r\n$4\r\nAUTH\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n", user_length,
                 user, length, password);
}

/* The line that comes back, without its end; "" if none does. What is behind it stays in the
 * socket.
 */
static void exchange(int descriptor, const char *text, char line[LINE_SIZE])
{
    size_t length = 0;
    if (send(descriptor, text, strlen(text), MSG_NOSIGNAL) > 0)
        while (length < LINE_SIZE - 1 && recv(descriptor, line + length, 1, 0) == 1 &&
               line[length] != '\n')
            length++;
    line[length] = '\0';
    line[strcspn(line, "\r\n")] = '\0';
}

static int refuse_login(const char *why, char error[], size_t error_size)
{
    snprintf(error, error_size, "the login was refused: %s", why);
    return PEER_REFUSED;
}

/* A memcached that wants no password keeps that value: it is deleted again, and whether it was
 * there tells. */
static int log_in(const struct peer *peer, int descriptor, char error[], size_t error_size)
{
    char text[LOGIN_SIZE], line[LINE_SIZE];
    bool is_resp = peer->protocol == PROTOCOL_RESP;
    compose_login(peer, text);
    exchange(descriptor, text, line);
    if (line[0] == '\0') {
        snprintf(error, error_size, "no answer to the login");
        return -1;
    }
    if (strcmp(line, is_resp ? "+OK" : "STORED") != 0)
        return refuse_login(line, error, error_size);
    if (!is_resp)
        exchange(descriptor, "delete tide-login\r\n", line);
    return strcmp(line, "DELETED") == 0
               ? refuse_login("the server asks for no password", error, error_size)
               : 0;
}

int peer_connect(const struct peer *peer, char error[], size_t error_size)
{
    int descriptor = address_connect(peer->address);
    if (descriptor < 0) {
        snprintf(error, error_size, "%s", strerror(errno));
        return -1;
    }
    int status = peer->password == NULL ? 0 : log_in(peer, descriptor, error, error_size);
    if (status == 0)
        return descriptor;
    close(descriptor);
    return status;
}

/* ---- asking ---- */

static bool is_refusal(const char *answer)
{
    return answer[0] == '-' || strncmp(answer, "ERROR", 5) == 0 ||
           strncmp(answer, "CLIENT_ERROR", 12) == 0 || strncmp(answer, "SERVER_ERROR", 12) == 0;
}

ssize_t peer_ask(const struct peer *peer, const char *question, const char *end, char answer[],
                 size_t size)
{
    int descriptor = peer_connect(peer, answer, size);
    size_t length = 0;
    ssize_t got = -1;
    if (descriptor < 0)
        return descriptor;
    answer[0] = '\0';
    if (send(descriptor, question, strlen(question), MSG_NOSIGNAL) > 0)
        while (length + 1 < size && strstr(answer, end) == NULL &&
               !(is_refusal(answer) && strchr(answer, '\n') != NULL) &&
               (got = recv(descriptor, answer + length, size - 1 - length, 0)) > 0) {
            length += (size_t)got;
            answer[length] = '\0';
        }
    int cause = errno;
    close(descriptor);
    if (is_refusal(answer)) {
        answer[strcspn(answer, "\r\n")] = '\0';
        return PEER_REFUSED;
    }
    if (got > 0)
        return (ssize_t)length;
    snprintf(answer, size, "%s",
             got == 0                                  ? "the server closed the connection"
             : cause == EAGAIN || cause == EWOULDBLOCK ? "no answer"
                                                       : strerror(cause));
    return -1;
}

double answer_number(const char *answer, const char *name)
{
    const char *found = strstr(answer, name);
    char *end;
    if (found == NULL)
        return NAN;
    double number = strtod(found + strlen(name), &end);
    return end == found + strlen(name) ? NAN : number;
}

/* ---- what it holds ---- */

ssize_t peer_stats(const struct peer *peer, char answer[], size_t size)
{
    bool is_resp = peer->protocol == PROTOCOL_RESP;
    return peer_ask(peer, is_resp ? "INFO\r\nPING\r\n" : "stats\r\n",
                    is_resp ? "+PONG\r\n" : "END\r\n", answer, size);
}

double peer_items(const struct peer *peer)
{
    char answer[ANSWER_BYTES];
    if (peer->protocol == PROTOCOL_RESP)
        return peer_ask(peer, "DBSIZE\r\n", "\r\n", answer, sizeof answer) > 0
                   ? answer_number(answer, ":")
                   : NAN;
    return peer_stats(peer, answer, sizeof answer) > 0 ? answer_number(answer, "STAT curr_items ")
                                                       : NAN;
}

double peer_live_bytes(const struct peer *peer)
{
    char answer[ANSWER_BYTES];
    if (peer_stats(peer, answer, sizeof answer) < 0)
        return NAN;
    if (peer->protocol == PROTOCOL_RESP) /* Redis's figure of that name has its overhead in it */
        return strstr(answer, "ebb_version:") != NULL
                   ? answer_number(answer, "\nused_memory_dataset:")
                   : NAN;
    double live = answer_number(answer, "STAT ebb_live_bytes ");
    return !isnan(live) ? live
                        : answer_number(answer, "STAT bytes ") -
                              MEMCACHED_BESIDE * answer_number(answer, "STAT curr_items ");
}
