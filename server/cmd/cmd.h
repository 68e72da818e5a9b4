/* SPDX-License-Identifier: MIT */
/* cmd.h: commands of RESP and memcached, executed against the store. No socket is known here.
 *
 * net/ parses a batch, calls cmd_run_resp() or cmd_run_mc() for each command in order, and then
 * store_leave() and sends what was written to the reply, with the splices in it. Handlers are `void
 * cmd_NAME(struct cmd_context *)`, one per row of commands.def, grouped by family: cmd_string.c,
 * cmd_key.c, ...
 */
#ifndef EBB_CMD_H
#define EBB_CMD_H

#include "../../proto/ebb_proto.h"
#include "../service.h"
#include "../store/store.h"
#include "command_id.h"
#include "splices.h"

/* The upper part are the words that COMMAND INFO shows, in its order. */
enum command_flag {
    COMMAND_WRITE = 1 << 0,   /* may change keys */
    COMMAND_READ = 1 << 1,    /* reads keys */
    COMMAND_DENYOOM = 1 << 2, /* may add memory */
    COMMAND_ADMIN = 1 << 3,
    COMMAND_NOSCRIPT = 1 << 4,
    COMMAND_LOADING = 1 << 5,
    COMMAND_STALE = 1 << 6,
    COMMAND_FAST = 1 << 7,
    COMMAND_NO_AUTH = 1 << 8, /* allowed before AUTH */
    COMMAND_NO_MULTI = 1 << 9,
    COMMAND_ALLOW_BUSY = 1 << 10,
    COMMAND_SKIP_SLOWLOG = 1 << 11,

    COMMAND_CONTAINER = 1 << 16,     /* the rows below it with COMMAND_SUB are its subcommands */
    COMMAND_SUB = 1 << 17,           /* "container|name" */
    COMMAND_DANGEROUS = 1 << 18,     /* in Redis's category of that name, besides the admin ones */
    COMMAND_IN_KEYSPACE = 1 << 19,   /* in @keyspace, though its group is another */
    COMMAND_IN_CONNECTION = 1 << 20, /* in @connection likewise */

    COMMAND_UNQUEUED = 1 << 21,     /* runs at once between MULTI and EXEC */
    COMMAND_ALL_SHARDS = 1 << 22,   /* reaches beyond the keys at the positions of its row */
    COMMAND_COUNTED_KEYS = 1 << 23, /* args[2] says how many keys follow it */

    COMMAND_HANDSHAKE = COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE | COMMAND_FAST |
                        COMMAND_NO_AUTH | COMMAND_ALLOW_BUSY,
};

struct cmd_context;
struct command_clock;

#define COMMAND_NAME_BYTES 32
#define MC_DATABASE        0u /* where memcached's keys are */

struct command {
    char name[COMMAND_NAME_BYTES]; /* lower case, zeros behind; "container|name" for subcommands */
    uint32_t name_len;
    uint16_t id; /* its place in the table, COMMAND_... */
    void (*run)(struct cmd_context *context);
    int arity; /* with the name; -n: at least n */
    unsigned flags;
    int first_key, last_key, key_step; /* as COMMAND INFO reports them */
    enum command_family family;
    const char *group, *since, *complexity, *summary; /* for COMMAND DOCS and the README */
};
extern const struct command commands[COMMAND_COUNT];

struct cmd_context {
    struct service *service;
    struct store_session *store;
    struct counters *counters;
    struct class_hits *class_hits; /* by size class; of memcached's commands alone */
    struct client *client;
    const struct command *command; /* after cmd_run_resp(): the row it was, NULL: unknown */
    const struct ebb_slice *args;  /* args[0] is the name */
    uint32_t count;
    const struct store_key *named; /* one of args that was named as a key ahead; NULL: none was */
    struct ebb_reply reply;
    struct splices *splices;     /* where long values may go; NULL: all are copied */
    struct command_clock *clock; /* NULL: nobody wants to know how long it takes */
    uint64_t took_ns;            /* after cmd_run_resp(): 0 if it was not timed by itself */
    bool may_stop;               /* a command may be given a second time if it stops half way */
    bool has_stopped;            /* it has, and is to be given again when its client reads on */
    size_t line_bytes;           /* it is no longer than this; 0: that is not known */
    size_t sent_bytes;           /* of its reply, no longer in reply.out */
};

/* The row for a name in any case ("get", "client|id"), or NULL. O(1). */
const struct command *command_find(const char *name, size_t len);
/* The row for a subcommand of a container, or NULL. */
const struct command *command_find_sub(const struct command *container, const char *name,
                                       size_t len);

/* The row that the words of a command line name, subcommands resolved; NULL when there is none. */
const struct command *command_resolve(const struct ebb_slice *args, uint32_t count);
/* Whether that many words are right for it. */
static inline bool command_fits(const struct command *command, uint32_t count)
{
    return command->arity >= 0 ? count == (uint32_t)command->arity
                               : count >= (uint32_t)-command->arity;
}

/* Executes one command and writes its reply, or the protocol's own error. Takes the reply's version
 * from the client. */
void cmd_run_resp(struct cmd_context *context, const struct ebb_args *args);
/* Runs a command that EXEC has made the context's, as if it came now. */
void cmd_run_queued(struct cmd_context *context);
/* Frees what commands have left with a client that has gone. Leaves all shards. */
void cmd_client_gone(struct client *client, struct store_session *store, struct counters *counters);
/* The same for memcached; context->reply.out is used, the rest of reply is not. */
void cmd_run_mc(struct cmd_context *context, const struct ebb_mc_command *command);
/* While client->dump is there: writes the next piece of it. false: that was the last one. */
bool cmd_mc_dump(struct cmd_context *context);

#endif
