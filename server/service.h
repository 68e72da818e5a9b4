/* SPDX-License-Identifier: MIT */
/* service.h: what a command or a page may know of the running server besides the store.
 *
 * Built by answers.c, handed to every worker; the pointers are constant for the life of the server.
 * net/ fills in the functions, so that cmd/ and admin/ never touch a socket or a loop.
 */
#ifndef EBB_SERVICE_H
#define EBB_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "counters.h"

#define EBB_VERSION           "0.1.0"
#define EBB_REDIS_VERSION     "7.2.4"  /* the Redis whose commands we speak, for clients that ask */
#define EBB_MEMCACHED_VERSION "1.6.27" /* the same for memcached */

struct clients;
struct events;
struct mc_detail;
struct options;
struct script_cache;
struct slowlog;
struct store;
struct store_class_counts;
struct store_stats;
struct service;
struct memory_facts;

/* What a command sees of its client. Owned by the connection, used by its worker only. */
struct client {
    uint64_t id;
    int database;
    int resp_version;       /* 2 or 3 */
    bool authenticated;     /* true from the start when no password is set */
    bool close_after_reply; /* set by a command: QUIT */
    bool reply_off;         /* CLIENT REPLY OFF */
    bool reply_skip_next;   /* CLIENT REPLY SKIP */
    bool reply_skip;        /* the command being run is the skipped one */
    uint8_t close_reason;   /* with it: enum close_reason */
    bool no_touch;          /* CLIENT NO-TOUCH: reads are no use of the keys */
    bool in_multi;          /* between MULTI and EXEC */
    bool is_killed;         /* CLIENT KILL: its worker is to close it */
    uint16_t last_command;  /* COMMAND_... id, COMMAND_COUNT: none */
    enum protocol protocol;
    int64_t connected_ms, last_command_ms;
    uint64_t commands;
    char *name;                           /* CLIENT SETNAME; malloc, NULL: none */
    char *library_name, *library_version; /* CLIENT SETINFO; malloc, NULL */
    struct transaction *transaction;      /* MULTI, WATCH; NULL: neither */
    size_t input_bytes, output_bytes;     /* that wait on its connection */
    size_t queue_bytes;                   /* of `transaction`, in counters.input_bytes */
    uint32_t queued;                      /* commands between MULTI and EXEC */
    uint32_t resume_at;             /* the word where a command that stopped goes on, 0: none */
    struct client *next, *previous; /* in clients.h */
    struct mc_dump *dump;           /* that memcached's client waits for; malloc, NULL */
};
void client_release(struct client *client); /* frees the texts and the dump */

/* What memory.c has found; read with counter_read(). */
struct memory_limits {
    uint64_t limit_bytes;       /* maxmemory, less what pressure takes off; 0: none */
    uint64_t start_bytes;       /* resident bytes from which on keys are evicted; 0: never */
    uint64_t clients_max_bytes; /* what the buffers of all clients may come to; 0: no cap */
    uint64_t client_bytes;      /* what they come to; changed by all workers, atomically */
    uint64_t pressure_level;    /* 0: the system has memory; see pressure.h */
    uint64_t pressure_stalls_us;
};

/* CLIENT_FULL: it takes no more for now, or has gone. */
enum client_sent { CLIENT_LITTLE, CLIENT_SENT, CLIENT_FULL };

struct service {
    struct options *options;
    struct store *store;
    struct memory_limits limits;
    struct script_cache *scripts;
    struct clients *clients;
    struct slowlog *slowlog;
    struct events *events;    /* for LATENCY */
    struct mc_detail *detail; /* memcached's `stats detail` */
    int64_t start_ms;         /* unix time */
    char run_id[41];          /* 40 hex digits */
    const char *executable;   /* path, or "" */
    const char *config_file;  /* path, or "" */
    void *server;             /* context of the functions */
    /* Sums the counters of all workers. */
    void (*counters)(void *server, struct counters *sum);
    /* The same since the start, whatever CONFIG RESETSTAT has zeroed: Prometheus wants counters
     * that never go down. */
    void (*counters_total)(void *server, struct counters *sum);
    /* How long commands took, since the start or the last counters_reset(). */
    void (*latencies)(void *server, struct latencies *sum);
    /* What has happened in a size class since the start or the last counters_reset(): by
     * memcached's commands, and to its items. */
    void (*class_counts)(void *server, unsigned class_index, struct class_hits *hits,
                         struct store_class_counts *counts);
    /* store_stats(), its counts less those of the last counters_reset(). */
    void (*store_stats)(void *server, struct store_stats *stats);
    /* Zeroes what CONFIG RESETSTAT zeroes, by remembering a base of both. */
    void (*counters_reset)(void *server);
    unsigned worker_count;
    /* 1: the main loop looks after the store only once a second, until it hears of work. */
    uint64_t rests;
    void (*wake)(void *server); /* from any thread; see service_note_work() */
    uint64_t ends; /* 1: the server waits for its workers to end; read with counter_read() */
    /* Of the last second; written by the main thread, read with counter_read(). */
    struct {
        uint64_t commands, received_bytes, sent_bytes;
    } rates;
    /* "ip:port" or path of the client's two ends; returns the length. */
    size_t (*client_address)(const struct client *client, bool local, char *text, size_t size);
    /* Lets the client's worker close it soon; the list of clients is locked. */
    void (*client_kill)(struct client *client);
    /* On its worker: sends what there is of its reply, if that is much. Leaves all shards. */
    enum client_sent (*client_send)(struct client *client);
    /* Asks the server to end in order; returns at once. */
    void (*shutdown)(void *server);
    /* Whether the machine can do what CONFIG SET is about to ask for with a setting of `wanted`; if
     * not, with the reason in `error` (OPTIONS_ERROR_BYTES). */
    bool (*option_possible)(void *server, const struct options *wanted, size_t index, char *error);
    /* A setting has been changed by CONFIG SET (index in options.def): make it felt. */
    void (*option_changed)(void *server, size_t index);
    /* What is known of memory: of the last second, from any thread. */
    void (*memory_facts)(void *server, struct memory_facts *facts);
    /* CPU seconds of each loop's thread: the main one first, then the workers. Returns how many. */
    unsigned (*loop_seconds)(void *server, double *seconds, unsigned most);
    void (*options_lock)(void *server); /* around reading or changing text options */
    void (*options_unlock)(void *server);
};

/* The limit of resident memory in force, 0: none. It is what maxmemory is set to, less what
 * pressure takes off; whoever shows or draws a limit, and not the setting, asks here. From any
 * thread. */
static inline size_t service_limit_bytes(const struct service *service)
{
    return (size_t)counter_read(&service->limits.limit_bytes);
}

/* To be called by whoever has been given something to do, before or after it is done. */
static inline void service_note_work(struct service *service)
{
    if (__builtin_expect(counter_read(&service->rests) != 0, 0))
        service->wake(service->server);
}

#endif
