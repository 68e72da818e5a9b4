/* SPDX-License-Identifier: MIT */
/* client.c: see client.h. What the server must hold is in the table from the moment of sending; the
 * replies say whether it does.
 */
#include "client.h"

#include <stdio.h>
#include <stdlib.h>

#define COMPLAINTS_MAX 5 /* shown; all are counted */

void client_open(struct client *client, enum wire_protocol protocol, uint16_t port, unsigned batch,
                 struct sizes lengths, uint64_t seed)
{
    *client = (struct client){.prng = prng_seeded(seed), .key_lengths = lengths};
    if (!wire_open(&client->wire, protocol, port, batch))
        die("no connection to port %u", port);
}

void client_close(struct client *client)
{
    wire_close(&client->wire);
    table_release(&client->table);
}

/* ---- replies ---- */

static void complain(const struct client *client, const char *what, const struct entry *entry,
                     const struct wire_reply *reply)
{
    if (client->wrong + client->missing + client->refused > COMPLAINTS_MAX)
        return;
    int length = reply->length < 60 ? (int)reply->length : 60;
    fprintf(stderr, "bench: id %llu version %u, %u bytes: %s", (unsigned long long)entry->id,
            entry->version, entry->bytes, what);
    if (reply->status == WIRE_ERROR)
        fprintf(stderr, ": %.*s", length, reply->data);
    fputc('\n', stderr);
}

static void on_reply(void *context, unsigned number, const struct wire_reply *reply)
{
    struct client *client = context;
    const struct entry *entry = &client->asked[number];
    switch (reply->status) {
    case WIRE_DONE:
        break;
    case WIRE_VALUE:
        if (reply->length == entry->bytes &&
            value_is_right(reply->data, reply->length, entry->id, entry->version))
            break;
        client->wrong++;
        complain(client, "a wrong value", entry, reply);
        break;
    case WIRE_MISSING:
        client->missing++;
        complain(client, "not there", entry, reply);
        break;
    case WIRE_ERROR:
        client->refused++;
        complain(client, "refused", entry, reply);
        break;
    }
}

void client_settle(struct client *client)
{
    wire_exchange(&client->wire, on_reply, client);
}

/* ---- one command ---- */

/* Writes the entry's key and makes it the one that the next reply is about. */
static size_t ask(struct client *client, const struct entry *entry, char *key)
{
    if (wire_is_full(&client->wire))
        client_settle(client);
    client->asked[client->wire.count] = *entry;
    return key_write(key, entry->id, client->key_lengths);
}

static size_t entry_bytes(const struct client *client, const struct entry *entry)
{
    return key_length(entry->id, client->key_lengths) + entry->bytes;
}

static void set(struct client *client, const struct entry *entry)
{
    char key[KEY_MAX_BYTES];
    size_t length = ask(client, entry, key);
    if (entry->bytes > sizeof client->value)
        die("a value of %u bytes", entry->bytes);
    value_write(client->value, entry->bytes, entry->id, entry->version);
    wire_set(&client->wire, key, length, client->value, entry->bytes);
    client->sets++;
    client->user_bytes += length + entry->bytes;
    client->written_bytes += length + entry->bytes;
}

void client_add(struct client *client, uint32_t bytes)
{
    struct entry entry = {client->next_id++, bytes, 0};
    table_add(&client->table, entry);
    set(client, &entry);
}

void client_overwrite(struct client *client, size_t at, uint32_t bytes)
{
    struct entry *entry = &client->table.entries[at];
    client->user_bytes -= entry_bytes(client, entry);
    entry->bytes = bytes;
    entry->version++;
    set(client, entry);
}

void client_send_delete(struct client *client, const struct entry *entry)
{
    char key[KEY_MAX_BYTES];
    size_t length = ask(client, entry, key);
    wire_delete(&client->wire, key, length);
    client->deletes++;
    client->user_bytes -= length + entry->bytes;
}

void client_delete(struct client *client, size_t at)
{
    struct entry entry = table_remove(&client->table, at);
    client_send_delete(client, &entry);
}

static void get(struct client *client, const struct entry *entry)
{
    char key[KEY_MAX_BYTES];
    size_t length = ask(client, entry, key);
    wire_get(&client->wire, key, length, entry->bytes);
    client->reads++;
}

/* ---- many ---- */

void client_write(struct client *client, struct sizes sizes, uint64_t live_bytes, uint64_t bytes)
{
    uint64_t goal = client->written_bytes + bytes;
    while (client->written_bytes < goal) {
        uint32_t next = sizes_pick(sizes, &client->prng);
        size_t key = key_length(client->next_id, client->key_lengths);
        while (client->user_bytes + key + next > live_bytes && client->table.count > 0)
            client_delete(client, table_pick(&client->table, &client->prng));
        client_add(client, next);
    }
    client_settle(client);
}

void client_thin(struct client *client, size_t left)
{
    while (client->table.count > left)
        client_delete(client, table_pick(&client->table, &client->prng));
    client_settle(client);
}

void client_read_all(struct client *client)
{
    for (size_t i = 0; i < client->table.count; i++)
        get(client, &client->table.entries[i]);
    client_settle(client);
}
