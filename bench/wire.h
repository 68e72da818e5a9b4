/* SPDX-License-Identifier: MIT */
/* wire.h: one connection to a server, RESP or memcached text, many commands at a time.
 *
 *   wire_set() ... wire_get() ... wire_delete()    put commands into the batch
 *   wire_exchange()                                sends it and hands over each reply, in order
 *
 * Every command is answered and every answer is looked at: no noreply. A server that breaks the
 * protocol, hangs for WIRE_PATIENCE_MS or goes away ends the program.
 */
#ifndef EBB_BENCH_WIRE_H
#define EBB_BENCH_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_BATCH_MAX   512
#define WIRE_BYTES_MAX   (256u * 1024) /* of a batch's commands, and of the values it asks for */
#define WIRE_PATIENCE_MS 60000

enum wire_protocol { WIRE_RESP, WIRE_MEMCACHED };
enum wire_command { WIRE_SET, WIRE_GET, WIRE_DELETE };

enum wire_status {
    WIRE_DONE,    /* stored, deleted */
    WIRE_VALUE,   /* data and length are the value */
    WIRE_MISSING, /* there is no such key */
    WIRE_ERROR,   /* data and length are what the server said */
};

struct wire_reply {
    enum wire_status status;
    const char *data;
    size_t length;
};

struct wire {
    int fd;
    enum wire_protocol protocol;
    unsigned batch; /* commands to send at a time, at most WIRE_BATCH_MAX */
    unsigned count; /* in the present batch */
    unsigned char commands[WIRE_BATCH_MAX];
    char *out, *in;
    size_t out_length, out_capacity, in_length, in_capacity;
    size_t wanted_bytes; /* of values asked for */
};

/* A socket that is connected to 127.0.0.1, -1: nobody there. receive_bytes of its buffer, 0: the
 * system's choice. */
int wire_dial(uint16_t port, int receive_bytes);
/* Connects to 127.0.0.1. false: nobody there. */
bool wire_open(struct wire *wire, enum wire_protocol protocol, uint16_t port, unsigned batch);
void wire_close(struct wire *wire);

void wire_set(struct wire *wire, const char *key, size_t key_length, const void *value,
              size_t length);
/* A value that is to go at that time. */
void wire_set_until(struct wire *wire, const char *key, size_t key_length, const void *value,
                    size_t length, uint64_t unix_ms);
/* `length` is what the value is believed to have. */
void wire_get(struct wire *wire, const char *key, size_t key_length, size_t length);
void wire_delete(struct wire *wire, const char *key, size_t key_length);
/* Another command, as a line with its end, that is answered like a set: FLUSHALL, CONFIG SET. */
void wire_line(struct wire *wire, const char *line);

static inline bool wire_is_full(const struct wire *wire)
{
    return wire->count >= wire->batch || wire->out_length >= WIRE_BYTES_MAX ||
           wire->wanted_bytes >= WIRE_BYTES_MAX;
}

/* Sends the batch, waits for all replies; `number` counts them from 0. Nothing may be called from
 * on_reply, and data is good only until it returns. */
void wire_exchange(struct wire *wire,
                   void (*on_reply)(void *context, unsigned number, const struct wire_reply *reply),
                   void *context);

/* A question and the raw answer up to `end` (or the end of the connection), for HTTP, INFO and
 * stats; on a connection of its own. NULL: no answer. The caller frees it. */
char *wire_ask(uint16_t port, const char *question, const char *end);

#endif
