/* SPDX-License-Identifier: MIT */
/* client.h: a client that knows what it stored: sends sets and deletes in batches, checks every
 * reply, reads everything back.
 *
 * What a server answers is settled a batch later: client_settle() before anything is measured.
 */
#ifndef EBB_BENCH_CLIENT_H
#define EBB_BENCH_CLIENT_H

#include "wire.h"
#include "workload.h"

struct client {
    struct wire wire;
    struct prng prng;
    struct sizes key_lengths;
    struct table table; /* what is stored */
    uint64_t next_id;
    uint64_t user_bytes;    /* keys and values in the table */
    uint64_t written_bytes; /* keys and values sent since the start */
    uint64_t sets, deletes, reads;
    uint64_t wrong;                     /* values that are not what was stored */
    uint64_t missing;                   /* keys that are not there, read or deleted */
    uint64_t refused;                   /* errors */
    struct entry asked[WIRE_BATCH_MAX]; /* of the present batch */
    char value[WORKLOAD_VALUE_MAX];
};

/* `lengths` of keys; commands go out `batch` at a time. */
void client_open(struct client *client, enum wire_protocol protocol, uint16_t port, unsigned batch,
                 struct sizes lengths, uint64_t seed);
void client_close(struct client *client);

/* A new key with a value of so many bytes. */
void client_add(struct client *client, uint32_t bytes);
/* Another value for the entry at that place in the table. */
void client_overwrite(struct client *client, size_t at, uint32_t bytes);
void client_delete(struct client *client, size_t at);
/* The same for an entry that the caller takes out of the table. */
void client_send_delete(struct client *client, const struct entry *entry);
/* Waits until all that was sent has been answered. */
void client_settle(struct client *client);

/* Adds values of `sizes` until so many bytes more have been written; random others go so that the
 * user bytes never pass live_bytes. Settled. */
void client_write(struct client *client, struct sizes sizes, uint64_t live_bytes, uint64_t bytes);
/* Deletes at random until `left` entries remain. Settled. */
void client_thin(struct client *client, size_t left);
/* Reads every key back and compares every byte. */
void client_read_all(struct client *client);

#endif
