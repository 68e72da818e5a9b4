/* SPDX-License-Identifier: MIT */
/* batch.h: commands parsed a few ahead of running them, so that the memory their keys lie in is on
 * its way when they run. The dialects of clients who store say how a command is parsed and run;
 * the order of things is here, once:
 *
 *   parse some -> name their keys, ask for their memory -> run them in order
 *
 * A connection that pauses or ends in the middle leaves the rest unrun, to be parsed again.
 */
#ifndef EBB_NET_BATCH_H
#define EBB_NET_BATCH_H

#include "../cmd/cmd.h"
#include "dialect.h"
#include "gather.h"
#include "unsent.h"

enum batch_end {
    BATCH_FULL,       /* there may be more */
    BATCH_INCOMPLETE, /* the place behind the last command holds what there is of the next */
    BATCH_ERROR,      /* what follows is not a command */
};

/* Commands parsed and not run yet; the commands themselves are in the worker. */
struct batch {
    unsigned count, max;
    unsigned database;                       /* of the keys */
    bool is_named;                           /* keys are hashed */
    bool is_changed;                         /* by parsing: it can't be parsed again */
    size_t ends[WORKER_BATCH_MAX];           /* offsets behind each */
    struct store_key keys[WORKER_BATCH_MAX]; /* what is taken for the key of each */
    enum batch_end end;
};

struct batch_rules {
    /* Whether the command that begins so may be parsed some time before it is run (gather.h).
     * NULL: any may. */
    bool (*may_wait)(const char *bytes);
    /* Adds commands until there are `max`, or one is incomplete, wrong, or has to be run first. */
    void (*parse)(struct connection *connection, char *bytes, size_t len, struct batch *batch);
    void (*run)(struct connection *connection, struct cmd_context *context, unsigned index);
    /* All have been run, and the batch did not end with BATCH_FULL. */
    void (*stop)(struct connection *connection, const struct batch *batch);
};

/* `name` is the word taken for the key: where it is none, nothing is lost but the asking. */
static inline void batch_add(struct batch *batch, size_t end, struct ebb_slice name)
{
    batch->keys[batch->count] = (struct store_key){.data = name.data, .len = name.len};
    batch->ends[batch->count++] = end;
}

/* What the commands of a connection are given. */
static inline struct cmd_context batch_context(struct connection *connection)
{
    struct worker *worker = connection_worker(connection);
    return (struct cmd_context){
        .service = worker->config.service,
        .store = &worker->session,
        .counters = &worker->counters,
        .class_hits = worker->class_hits,
        .client = &connection->client,
        .clock = &worker->clock,
        .reply = {.out = &worker->out, .version = 2},
        .splices = &worker->splices,
    };
}

/* Hashes the keys of the commands from `first` on. */
static inline void batch_name(struct worker *worker, struct batch *batch, unsigned first)
{
    const struct store *store = worker->config.service->store;
    for (unsigned i = first; i < batch->count; i++)
        batch->keys[i] = store_key(store, batch->database, batch->keys[i].data, batch->keys[i].len);
}

static inline void batch_prefetch(struct worker *worker, struct batch *batch)
{
    batch_name(worker, batch, 0);
    store_expect_keys(&worker->session, batch->keys, batch->count);
    batch->is_named = true;
}

/* Runs the commands from `ran` to `end` in order while it may. Returns how far it has come. */
static inline unsigned batch_run_commands(struct connection *connection, const struct batch *batch,
                                          unsigned ran, unsigned end,
                                          const struct batch_rules *rules)
{
    struct worker *worker = connection_worker(connection);
    struct cmd_context context = batch_context(connection);
    context.may_stop = !batch->is_changed;
    while (ran < end && connection_is_open(connection)) {
        context.named = batch->is_named ? &batch->keys[ran] : NULL;
        context.line_bytes = batch->ends[ran];
        context.sent_bytes = 0;
        rules->run(connection, &context, ran++);
        if (__builtin_expect(context.has_stopped, 0)) { /* it is kept as if it had not been run */
            ran--;
            break;
        }
        store_share(&worker->session);
        if (worker_has_much(worker))
            unsent_flush_part(connection);
    }
    return ran;
}

/* The dialect's `run`. */
static inline size_t batch_run(struct connection *connection, char *bytes, size_t len,
                               const struct batch_rules *rules)
{
    size_t done = 0;
    while (done < len && connection_is_open(connection)) {
        struct batch batch;
        batch.count = 0;
        /* What a guest sends is looked at one by one: the limits change when he has logged in. */
        batch.max = connection->client.authenticated ? WORKER_BATCH_MAX : 1;
        batch.is_named = false;
        batch.end = BATCH_FULL;
        rules->parse(connection, bytes + done, len - done, &batch);
        if (batch.count > 1)
            batch_prefetch(connection_worker(connection), &batch);
        unsigned ran = batch_run_commands(connection, &batch, 0, batch.count, rules);
        done += ran > 0 ? batch.ends[ran - 1] : 0;
        if (ran < batch.count) { /* what was parsed in vain is parsed again when its turn comes */
            dialect_of(connection->client.protocol)->begin(connection);
            break;
        }
        if (batch.end == BATCH_FULL)
            continue;
        rules->stop(connection, &batch);
        break;
    }
    return done;
}

#endif
