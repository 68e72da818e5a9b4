/* SPDX-License-Identifier: MIT */
/* cmd_clients.c: CLIENT INFO, LIST and KILL: connections of all workers, looked at from one.
 *
 * Handlers of commands.def; called by dispatch.c. How that goes without a race: clients.h.
 */
#include "handler.h"

#include <stdlib.h>
#include <string.h>

#include "../clients.h"

#define CLIENT_ADDRESS_BYTES 128

struct address {
    char text[CLIENT_ADDRESS_BYTES];
    size_t len;
};

static struct address address_of(const struct service *service, const struct client *client,
                                 bool local)
{
    struct address address;

    address.len = service->client_address(client, local, address.text, sizeof(address.text));
    return address;
}

/* ---- one line a client ---- */

static const char *text_or_empty(const char *text)
{
    return text == NULL ? "" : text;
}

static const char *command_of(const struct client *client)
{
    uint16_t id = client_look(client->last_command);
    return id == COMMAND_COUNT ? "NULL" : commands[id].name;
}

static const char *flags_of(const struct client *client)
{
    bool is_untouching = client_look(client->no_touch);

    if (client_look(client->in_multi))
        return is_untouching ? "xT" : "x";
    return is_untouching ? "T" : "N";
}

/* Of Redis's fields those that exist here. A running command's bytes and reply lie in its worker's
 * buffers and are nobody's yet: qbuf and omem are what waits on the connection itself. */
static void describe(struct cmd_context *context, const struct client *client, struct ebb_buf *out)
{
    const struct service *service = context->service;
    struct address peer = address_of(service, client, false);
    struct address local = address_of(service, client, true);
    long long now_ms = context->store->now_ms;
    long long idle_ms = now_ms - client_look(client->last_command_ms);
    size_t input = client_look(client->input_bytes), output = client_look(client->output_bytes);
    size_t queue = client_look(client->queue_bytes);
    bool in_multi = client_look(client->in_multi);

    ebb_buf_printf(out, "id=%llu addr=%.*s laddr=%.*s name=%s age=%lld idle=%lld flags=%s db=%d ",
                   (unsigned long long)client->id, (int)peer.len, peer.text, (int)local.len,
                   local.text, text_or_empty(client->name), (now_ms - client->connected_ms) / 1000,
                   idle_ms > 0 ? idle_ms / 1000 : 0, flags_of(client),
                   client_look(client->database));
    ebb_buf_printf(
        out,
        "sub=0 psub=0 ssub=0 multi=%d qbuf=%zu qbuf-free=0 argv-mem=0 multi-mem=%zu obl=0 "
        "oll=%d omem=%zu tot-mem=%zu events=r cmd=%s user=default redir=-1 resp=%d "
        "lib-name=%s lib-ver=%s\n",
        in_multi ? (int)client_look(client->queued) : -1, input, queue, output > 0, output,
        sizeof(*client) + input + queue + output, command_of(client),
        client_look(client->resp_version), text_or_empty(client->library_name),
        text_or_empty(client->library_version));
}

void cmd_client_info(struct cmd_context *context)
{
    struct ebb_buf line;

    ebb_buf_init(&line, context->reply.out->max_bytes);
    describe(context, context->client, &line);
    ebb_reply_verbatim(&context->reply, ebb_buf_data(&line), ebb_buf_len(&line));
    ebb_buf_release(&line);
}

/* ---- which clients ---- */

enum skip { SKIP_UNSAID, SKIP_YES, SKIP_NO };

/* Only those that pass all of these. */
struct filter {
    uint64_t id;                     /* 0: any number */
    struct ebb_slice address, local; /* data NULL: any */
    bool nobody;                     /* replicas and subscribers: there are none */
    enum skip skip_me;
};

static bool has_address(const struct cmd_context *context, const struct client *client, bool local,
                        struct ebb_slice wanted)
{
    if (wanted.data == NULL)
        return true;
    struct address address = address_of(context->service, client, local);
    return address.len == wanted.len && memcmp(address.text, wanted.data, wanted.len) == 0;
}

static bool passes(const struct cmd_context *context, const struct client *client,
                   const struct filter *filter)
{
    return client->protocol == PROTOCOL_RESP && !filter->nobody &&
           (filter->id == 0 || filter->id == client->id) &&
           (filter->skip_me != SKIP_YES || client != context->client) &&
           has_address(context, client, false, filter->address) &&
           has_address(context, client, true, filter->local);
}

static bool parse_type(struct cmd_context *context, struct ebb_slice type, struct filter *filter)
{
    static const char *const types[] = {"normal", "master", "replica", "slave", "pubsub"};
    size_t i = 0;

    while (i < 5 && !arg_is(type, types[i]))
        i++;
    filter->nobody = i > 0;
    if (i < 5)
        return true;
    ebb_reply_errorf(&context->reply, "ERR Unknown client type '%.*s'", arg_print_len(type, 1024),
                     type.data);
    return false;
}

/* ---- LIST ---- */

/* Those that pass, in the order in which they came. */
static void list_all(struct cmd_context *context, const struct filter *filter,
                     struct ebb_buf *lines)
{
    struct clients *clients = context->service->clients;

    clients_lock(clients);
    struct client *client = clients->first;
    while (client != NULL) {
        if (passes(context, client, filter))
            describe(context, client, lines);
        client = clients_after(clients, client);
    }
    clients_unlock(clients);
}

/* One of the numbers that were asked for. */
struct wanted {
    int64_t id;
    const struct client *client; /* NULL: there is none */
};

static int compare_ids(const void *a, const void *b)
{
    int64_t x = ((const struct wanted *)a)->id, y = ((const struct wanted *)b)->id;
    return (x > y) - (x < y);
}

static struct wanted *find_wanted(struct wanted *wanted, size_t count, int64_t id)
{
    struct wanted key = {.id = id};
    return bsearch(&key, wanted, count, sizeof(*wanted), compare_ids);
}

/* Sorted, each once; 0: one of them is no number, which is answered. */
static size_t parse_ids(struct cmd_context *context, struct wanted *wanted)
{
    size_t count = context->count - 3, kept = 0;

    for (size_t i = 0; i < count; i++) {
        struct ebb_slice arg = context->args[i + 3];
        wanted[i] = (struct wanted){0};
        if (!ebb_parse_i64(arg.data, arg.len, &wanted[i].id)) {
            ebb_reply_error(&context->reply, "ERR Invalid client ID");
            return 0;
        }
    }
    qsort(wanted, count, sizeof(*wanted), compare_ids);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || wanted[i].id != wanted[i - 1].id)
            wanted[kept++] = wanted[i];
    }
    return kept;
}

/* In the order of the numbers, as often as they stand there. The clients are gone through once,
 * however many numbers there are: all others wait meanwhile. */
static void list_wanted(struct cmd_context *context, struct wanted *wanted, size_t count,
                        struct ebb_buf *lines)
{
    struct clients *clients = context->service->clients;
    struct filter filter = {0};

    clients_lock(clients);
    struct client *client = clients->first;
    while (client != NULL) {
        struct wanted *found = find_wanted(wanted, count, (int64_t)client->id);
        if (found != NULL && passes(context, client, &filter))
            found->client = client;
        client = clients_after(clients, client);
    }
    for (uint32_t i = 3; i < context->count && !lines->failed; i++) {
        int64_t id = 0;
        ebb_parse_i64(context->args[i].data, context->args[i].len, &id);
        const struct wanted *found = find_wanted(wanted, count, id);
        if (found->client != NULL)
            describe(context, found->client, lines);
    }
    clients_unlock(clients);
}

static void reply_lines(struct cmd_context *context, struct ebb_buf *lines)
{
    ebb_reply_verbatim(&context->reply, ebb_buf_data(lines), ebb_buf_len(lines));
    ebb_buf_release(lines);
}

static void list_ids(struct cmd_context *context)
{
    struct wanted *wanted = malloc((context->count - 3) * sizeof(*wanted));
    struct ebb_buf lines;

    if (wanted == NULL) {
        ebb_reply_error(&context->reply, ERROR_MEMORY);
        return;
    }
    size_t count = parse_ids(context, wanted);
    if (count > 0) {
        ebb_buf_init(&lines, context->reply.out->max_bytes);
        list_wanted(context, wanted, count, &lines);
        reply_lines(context, &lines);
    }
    free(wanted);
}

void cmd_client_list(struct cmd_context *context)
{
    struct filter filter = {0};
    struct ebb_buf lines;

    if (context->count > 3 && arg_is(context->args[2], "id")) {
        list_ids(context);
        return;
    }
    if (context->count == 4 && arg_is(context->args[2], "type")) {
        if (!parse_type(context, context->args[3], &filter))
            return;
    } else if (context->count > 2) {
        ebb_reply_error(&context->reply, ERROR_SYNTAX);
        return;
    }
    ebb_buf_init(&lines, context->reply.out->max_bytes);
    list_all(context, &filter, &lines);
    reply_lines(context, &lines);
}

/* ---- KILL ---- */

static bool parse_user(struct cmd_context *context, struct ebb_slice user)
{
    if (user.len == strlen("default") && memcmp(user.data, "default", user.len) == 0)
        return true;
    ebb_reply_errorf(&context->reply, "ERR No such user '%.*s'", arg_print_len(user, 1024),
                     user.data);
    return false;
}

static bool parse_id(struct cmd_context *context, uint32_t index, struct filter *filter)
{
    struct ebb_slice arg = context->args[index];
    int64_t id;

    if (ebb_parse_i64(arg.data, arg.len, &id) && id > 0) {
        filter->id = (uint64_t)id;
        return true;
    }
    ebb_reply_error(&context->reply, "ERR client-id should be greater than 0");
    return false;
}

static bool parse_option(struct cmd_context *context, uint32_t index, struct filter *filter)
{
    struct ebb_slice word = context->args[index], arg = context->args[index + 1];

    if (arg_is(word, "id"))
        return parse_id(context, index + 1, filter);
    if (arg_is(word, "type"))
        return parse_type(context, arg, filter);
    if (arg_is(word, "user"))
        return parse_user(context, arg);
    if (arg_is(word, "addr")) {
        filter->address = arg;
    } else if (arg_is(word, "laddr")) {
        filter->local = arg;
    } else if (arg_is(word, "skipme") && (arg_is(arg, "yes") || arg_is(arg, "no"))) {
        filter->skip_me = arg_is(arg, "yes") ? SKIP_YES : SKIP_NO;
    } else {
        ebb_reply_error(&context->reply, ERROR_SYNTAX);
        return false;
    }
    return true;
}

/* With one word it is an address, as it was before there were options. */
static bool parse_kill(struct cmd_context *context, struct filter *filter)
{
    *filter = (struct filter){.skip_me = SKIP_YES};
    if (context->count == 3) {
        *filter = (struct filter){.address = context->args[2], .skip_me = SKIP_NO};
        return true;
    }
    for (uint32_t i = 2; i < context->count; i += 2) {
        if (i + 1 == context->count) {
            ebb_reply_error(&context->reply, ERROR_SYNTAX);
            return false;
        }
        if (!parse_option(context, i, filter))
            return false;
    }
    return true;
}

/* This connection still gets the reply. */
static void kill_client(struct cmd_context *context, struct client *client)
{
    if (client == context->client) {
        client->close_after_reply = true;
        client->close_reason = CLOSE_KILLED;
    } else {
        context->service->client_kill(client);
    }
}

void cmd_client_kill(struct cmd_context *context)
{
    struct clients *clients = context->service->clients;
    struct filter filter;
    int64_t count = 0;

    if (!parse_kill(context, &filter))
        return;
    clients_lock(clients);
    struct client *client = clients->first;
    while (client != NULL) {
        if (!client_look(client->is_killed) && passes(context, client, &filter)) {
            kill_client(context, client);
            count++;
        }
        client = clients_after(clients, client);
    }
    clients_unlock(clients);
    if (context->count > 3)
        ebb_reply_int(&context->reply, count);
    else if (count > 0)
        reply_ok(context);
    else
        ebb_reply_error(&context->reply, "ERR No such client");
}
