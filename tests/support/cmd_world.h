/* SPDX-License-Identifier: MIT */
/* cmd_world.h: commands run against a store of their own, with no server and no socket around them.
 *
 *     world_init(&world);
 *     world_resp(&world, "SET a 1")      -> "+OK\r\n"
 *     world_mc(&world, "get a\r\n")      -> "VALUE a 0 1\r\n1\r\nEND\r\n"
 *
 * The clock stands still unless the test moves world.session.now_ms. What the server would do for a
 * command (sums, addresses, shutdown) is done here in the plainest way and counted.
 */
#ifndef EBB_TESTS_CMD_WORLD_H
#define EBB_TESTS_CMD_WORLD_H

#include "../../server/clients.h"
#include "../../server/cmd/cmd.h"
#include "../../server/cmd/events.h"
#include "../../server/cmd/script.h"
#include "../../server/cmd/slowlog.h"
#include "../../server/facts.h"
#include "../../server/options.h"

#define WORLD_NOW_MS INT64_C(1700000000123)

struct world {
    struct options options;
    struct service service;
    struct script_cache scripts;
    struct clients clients;
    struct slowlog slowlog;
    struct events events;
    struct store *store;
    struct store_session session;
    struct counters counters;
    struct class_hits class_hits[EBB_CLASS_COUNT + 1];
    struct client client;
    struct memory_facts facts; /* nothing is known, until a test says otherwise */
    struct cmd_context context;
    struct ebb_buf out,
        answer; /* as commands write it, and with the values that are sent in place */
    struct splices splices;
    const char *impossible; /* setting that the machine can't do, NULL: it can do all */
    size_t shutdowns, resets, options_changed, option_locks; /* calls of the service */
};

/* One shard, or as many as given; address space for values, 0: plenty. */
void world_init_with(struct world *world, unsigned shards, size_t reserve_bytes);
void world_init(struct world *world);
void world_release(struct world *world);

/* Runs one command line with the quoting of inline commands. The answer is good until the next. */
const char *world_resp(struct world *world, const char *line);
/* Runs the same command given as words, which may hold anything. */
const char *world_resp_words(struct world *world, const struct ebb_slice *words, uint32_t count);
/* Several commands in one batch: each is run, and the answers to all are sent together. */
void world_batch(struct world *world, const struct ebb_slice *words, uint32_t count);
const char *world_flush(struct world *world);
/* Runs all commands in the text. */
const char *world_mc(struct world *world, const char *text);
/* Lets the store's upkeep do what is due at session.now_ms. */
void world_upkeep(struct world *world);
/* Length of the latest answer, for those with NULs. */
size_t world_answer_len(const struct world *world);

#endif
