/* SPDX-License-Identifier: MIT */
/* cmd_world.c: see cmd_world.h.
 */
#include "cmd_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../server/cmd/mc_detail.h"
#include "../../server/net/outgoing.h"

#define WORLD_ANSWER_MAX_BYTES (256u << 20)

static void require(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "cmd_world: %s\n", what);
    abort();
}

/* Upkeep's clock is a function without context. */
static uint64_t clock_ms = WORLD_NOW_MS;

static uint64_t read_clock(void)
{
    return clock_ms;
}

/* ---- what the server does for commands ---- */

static void sum_counters(void *context, struct counters *sum)
{
    const struct world *world = context;
    counters_sum(sum, &world->counters);
}

static void sum_store(void *context, struct store_stats *stats)
{
    store_stats(((struct world *)context)->store, stats);
}

/* Nothing is timed here. */
static void sum_latencies(void *context, struct latencies *sum)
{
    (void)context;
    memset(sum, 0, sizeof(*sum));
}

static void class_counts(void *context, unsigned class_index, struct class_hits *hits,
                         struct store_class_counts *counts)
{
    const struct world *world = context;
    *hits = world->class_hits[class_index];
    store_class_counts(world->store, class_index, counts);
}

static void reset_counters(void *context)
{
    struct world *world = context;
    memset(world->class_hits, 0, sizeof(world->class_hits));
    memset(&world->counters, 0, sizeof(world->counters));
    world->resets++;
}

static size_t write_address(const struct client *client, bool local, char *text, size_t size)
{
    (void)client;
    return (size_t)snprintf(text, size, "127.0.0.1:%d", local ? 6379 : 50000);
}

static void note_kill(struct client *client)
{
    client->is_killed = true;
}

static void count_shutdown(void *context)
{
    ((struct world *)context)->shutdowns++;
}

static bool is_possible(void *context, const struct options *wanted, size_t index, char *error)
{
    const char *impossible = ((struct world *)context)->impossible;
    require(wanted != &((struct world *)context)->options, "asked after it has been set");
    snprintf(error, OPTIONS_ERROR_BYTES, "not here");
    return impossible == NULL || strcmp(options_info(index)->name, impossible) != 0;
}

static void count_change(void *context, size_t index)
{
    struct world *world = context;
    require(index < options_count(), "an option that is none has changed");
    require(world->option_locks % 2 == 0, "an option has changed under the lock");
    world->options_changed++;
}

static void copy_facts(void *context, struct memory_facts *facts)
{
    *facts = ((struct world *)context)->facts;
}

static void lock_options(void *context)
{
    struct world *world = context;
    require(world->option_locks++ % 2 == 0, "the options are locked twice");
}

static void unlock_options(void *context)
{
    struct world *world = context;
    require(world->option_locks++ % 2 == 1, "the options are not locked");
}

/* ---- a world ---- */

static void init_service(struct world *world)
{
    world->service = (struct service){
        .options = &world->options,
        .store = world->store,
        .scripts = &world->scripts,
        .clients = &world->clients,
        .slowlog = &world->slowlog,
        .events = &world->events,
        .detail = mc_detail_create(),
        .start_ms = WORLD_NOW_MS - 3000,
        .executable = "/usr/bin/ebb",
        .config_file = "",
        .server = world,
        .counters = sum_counters,
        .counters_total = sum_counters,
        .latencies = sum_latencies,
        .class_counts = class_counts,
        .store_stats = sum_store,
        .counters_reset = reset_counters,
        .worker_count = 1,
        .client_address = write_address,
        .client_kill = note_kill,
        .shutdown = count_shutdown,
        .option_possible = is_possible,
        .option_changed = count_change,
        .memory_facts = copy_facts,
        .options_lock = lock_options,
        .options_unlock = unlock_options,
    };
    memset(world->service.run_id, 'a', 40);
}

void world_init_with(struct world *world, unsigned shards, size_t reserve_bytes)
{
    struct store_config config = {.shard_count = shards,
                                  .database_count = 16,
                                  .reserve_bytes = reserve_bytes,
                                  .now_ms = read_clock};

    memset(world, 0, sizeof(*world));
    options_init(&world->options);
    script_cache_init(&world->scripts);
    clients_init(&world->clients);
    slowlog_init(&world->slowlog);
    events_init(&world->events);
    require(store_create(&world->store, &config) == STORE_OK, "no store");
    store_session_init(&world->session, world->store);
    world->session.now_ms = WORLD_NOW_MS;
    init_service(world);
    world->client = (struct client){.id = 7,
                                    .resp_version = 2,
                                    .authenticated = true,
                                    .connected_ms = WORLD_NOW_MS - 2000,
                                    .last_command_ms = WORLD_NOW_MS,
                                    .last_command = COMMAND_COUNT};
    clients_add(&world->clients, &world->client);
    ebb_buf_init(&world->out, WORLD_ANSWER_MAX_BYTES);
    ebb_buf_init(&world->answer, WORLD_ANSWER_MAX_BYTES);
    world->context = (struct cmd_context){.service = &world->service,
                                          .store = &world->session,
                                          .counters = &world->counters,
                                          .class_hits = world->class_hits,
                                          .client = &world->client,
                                          .reply = {.out = &world->out, .version = 2},
                                          .splices = &world->splices};
}

void world_init(struct world *world)
{
    world_init_with(world, 1, 0);
}

void world_release(struct world *world)
{
    cmd_client_gone(&world->client, &world->session, &world->counters);
    require(store_check(world->store) == 0, "the store is damaged");
    store_destroy(world->store);
    clients_remove(&world->clients, &world->client);
    clients_release(&world->clients);
    slowlog_release(&world->slowlog);
    events_release(&world->events);
    script_cache_release(&world->scripts);
    mc_detail_destroy(world->service.detail);
    options_release(&world->options);
    ebb_buf_release(&world->out);
    ebb_buf_release(&world->answer);
}

/* As net/ ends a batch. Returns the answer with a NUL behind it. */
const char *world_flush(struct world *world)
{
    struct outgoing outgoing;

    store_leave(&world->session);
    require(!world->out.failed, "the answer is too long");
    outgoing_init(&outgoing, &world->out, &world->splices);
    ebb_buf_clear(&world->answer);
    require(outgoing_copy(&outgoing, &world->answer), "no memory for the answer");
    ebb_buf_clear(&world->out);
    splices_release(&world->splices, &world->session);
    char *end = ebb_buf_reserve(&world->answer, 1);
    require(end != NULL, "no memory for the answer");
    *end = '\0';
    return ebb_buf_data(&world->answer);
}

void world_batch(struct world *world, const struct ebb_slice *words, uint32_t count)
{
    struct ebb_args args = {.count = count, .capacity = count};

    args.at = malloc((count + 1) * sizeof(*words));
    require(args.at != NULL, "no memory for the words");
    memcpy(args.at, words, count * sizeof(*words));
    cmd_run_resp(&world->context, &args);
    free(args.at);
}

const char *world_resp_words(struct world *world, const struct ebb_slice *words, uint32_t count)
{
    ebb_buf_clear(&world->out);
    world_batch(world, words, count);
    return world_flush(world);
}

const char *world_resp(struct world *world, const char *line)
{
    struct ebb_resp_parser parser;
    struct ebb_args args;
    size_t len = strlen(line) + 2;
    char *text = malloc(len + 1);

    require(text != NULL, "no memory for the line");
    snprintf(text, len + 1, "%s\r\n", line);
    ebb_resp_parser_init(&parser);
    ebb_args_init(&args);
    require(ebb_resp_parse(&parser, text, len, &args) == (ssize_t)len, "not a command line");
    const char *answer = world_resp_words(world, args.at, args.count);
    ebb_args_release(&args);
    free(text);
    return answer;
}

const char *world_mc(struct world *world, const char *text)
{
    struct ebb_mc_parser parser;
    struct ebb_mc_command command;
    size_t left = strlen(text);

    ebb_buf_clear(&world->out);
    world->client.protocol = PROTOCOL_MEMCACHED;
    ebb_mc_parser_init(&parser, 1u << 20);
    ebb_mc_command_init(&command);
    while (left > 0) {
        ssize_t used = ebb_mc_parse(&parser, text, left, &command);
        require(used > 0, "not whole commands");
        cmd_run_mc(&world->context, &command);
        while (world->client.dump != NULL)
            cmd_mc_dump(&world->context);
        text += used;
        left -= (size_t)used;
    }
    ebb_mc_command_release(&command);
    world->client.protocol = PROTOCOL_RESP;
    return world_flush(world);
}

void world_upkeep(struct world *world)
{
    clock_ms = (uint64_t)world->session.now_ms;
    for (int i = 0; i < 100; i++)
        store_upkeep(world->store);
}

size_t world_answer_len(const struct world *world)
{
    return ebb_buf_len(&world->answer);
}
