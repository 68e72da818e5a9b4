/* SPDX-License-Identifier: MIT */
/* server_internal.h: struct server, for server.c, which starts and stops its parts in order,
 * loop.c, what the main thread does while it runs, and answers.c, what the others may ask of it.
 */
#ifndef EBB_SERVER_INTERNAL_H
#define EBB_SERVER_INTERNAL_H

#include <limits.h>
#include <uv.h>

#include "admin/admin.h"
#include "baseline.h"
#include "clients.h"
#include "cmd/events.h"
#include "cmd/script.h"
#include "cmd/slowlog.h"
#include "libc_heap.h"
#include "log.h"
#include "memory.h"
#include "net/listeners.h"
#include "net/worker.h"
#include "server.h"
#include "service.h"
#include "store/store.h"

#define SIGNAL_COUNT 3u

/* Since the start. */
struct totals {
    uint64_t commands, received_bytes, sent_bytes;
};

struct server {
    struct options *options;
    struct log log;
    struct service service;
    struct script_cache scripts;
    struct clients clients;
    struct slowlog slowlog;
    struct events events;
    char executable[PATH_MAX];
    struct libc_heap libc_heap;
    struct memory memory;
    struct store *store;
    struct admin *admin;
    struct worker main;
    struct worker *workers;
    unsigned worker_count, running_count, next_worker;
    struct listeners listeners;
    uint64_t next_client_id;
    uint64_t open_connections; /* changed atomically, by every worker */
    uint64_t open_pages;       /* HTTP connections: a server full of clients still says how it is */
    uv_mutex_t options_mutex;
    struct baseline baseline;
    struct totals last_second;
    unsigned idle_looks;     /* of upkeep, in a row */
    unsigned rested_seconds; /* in which nobody has had work */
    uv_async_t stop, work;
    uv_signal_t signals[SIGNAL_COUNT];
    uv_timer_t upkeep, second;
    unsigned stage; /* how many stages have started */
};

/* Writes "what: why" and is SERVER_FAILED. */
enum server_result server_failed(char *error, const char *what, const char *why);

/* answers.c */
enum server_result server_start_service(struct server *server, char *error);
void server_stop_service(struct server *server);
/* As Redis does: serves fewer clients than maxclients when their descriptors are not granted. */
void server_raise_descriptor_limit(struct server *server);

/* loop.c: the handles of the main loop that are nobody else's */
enum server_result server_start_loop(struct server *server, char *error);
void server_stop_loop(struct server *server);

/* Tells the store how long its work may take before it is an event. */
void server_set_slow(struct server *server);

#endif
