/* SPDX-License-Identifier: MIT */
/* mc_stats.c: memcached's `stats` in its forms, filled from our own figures.
 *
 * Called by mc.c. Only what is measured here is answered: tools skip what is missing. Connections,
 * bytes and commands are those of the memcached port; memory and keys are those of the whole store.
 * Size classes stand for memcached's slab classes, and spans for its pages.
 */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../clients.h"
#include "../options.h"
#include "mc_auth.h"
#include "mc_detail.h"
#include "mc_dump.h"
#include "mc_verbs.h"

#define SIZE_STEP_BYTES 32u

/* One moment of the server. */
struct sample {
    struct cmd_context *context;
    const struct options *options;
    struct ebb_buf *out;
    struct counters counters;
    struct store_stats store;
};

static void take(struct sample *sample, struct cmd_context *context)
{
    struct service *service = context->service;

    memset(sample, 0, sizeof(*sample));
    sample->context = context;
    sample->options = service->options;
    sample->out = context->reply.out;
    service->counters(service->server, &sample->counters);
    service->store_stats(service->server, &sample->store);
}

/* What there is of a size class, and what has happened in it. */
struct class_view {
    struct ebb_class_stats slots;
    struct class_hits hits;
    struct store_class_counts counts;
};

static void view_class(struct sample *sample, unsigned class_index, struct class_view *class)
{
    struct service *service = sample->context->service;

    store_class_stats(sample->context->store->store, class_index, &class->slots);
    service->class_counts(service->server, class_index, &class->hits, &class->counts);
}

static void put(struct sample *sample, const char *name, uint64_t number)
{
    ebb_mc_write_stat(sample->out, name, "%llu", (unsigned long long)number);
}

static void put_option(struct sample *sample, const char *name, const int64_t *option)
{
    put(sample, name, (uint64_t)options_number(option));
}

static void put_word(struct sample *sample, const char *name, const char *word)
{
    ebb_mc_write_stat(sample->out, name, "%s", word);
}

static void put_seconds(struct sample *sample, const char *name, const struct timeval *time)
{
    ebb_mc_write_stat(sample->out, name, "%ld.%06ld", (long)time->tv_sec, (long)time->tv_usec);
}

/* ---- stats ---- */

static void put_process(struct sample *sample)
{
    const struct service *service = sample->context->service;
    int64_t now_ms = sample->context->store->now_ms;
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    put(sample, "pid", (uint64_t)getpid());
    put(sample, "uptime", (uint64_t)((now_ms - service->start_ms) / 1000));
    put(sample, "time", (uint64_t)(now_ms / 1000));
    put_word(sample, "version", EBB_MEMCACHED_VERSION);
    put_word(sample, "ebb_version", EBB_VERSION);
    put(sample, "pointer_size", sizeof(void *) * 8);
    put_seconds(sample, "rusage_user", &usage.ru_utime);
    put_seconds(sample, "rusage_system", &usage.ru_stime);
    put(sample, "threads", service->worker_count);
}

static void put_connections(struct sample *sample)
{
    const struct counters *counters = &sample->counters;
    uint64_t all = 0;

    for (size_t protocol = 0; protocol < PROTOCOL_COUNT; protocol++)
        all += counters->connections[protocol];
    put_option(sample, "max_connections", &sample->options->maxclients);
    put(sample, "curr_connections", counters->connections[PROTOCOL_MEMCACHED]);
    put(sample, "total_connections", counters->accepted[PROTOCOL_MEMCACHED]);
    put(sample, "rejected_connections", counters->rejected_maxclients);
    put(sample, "connection_structures", all);
    put(sample, "accepting_conns", 1); /* one too many is taken and told so */
    put(sample, "idle_kicks", counters->closed[CLOSE_IDLE]);
    put(sample, "bytes_read", counters->received_bytes[PROTOCOL_MEMCACHED]);
    put(sample, "bytes_written", counters->sent_bytes[PROTOCOL_MEMCACHED]);
    put(sample, "auth_cmds", counters->mc_auths);
    put(sample, "auth_errors", counters->auth_failures);
}

static void put_commands(struct sample *sample)
{
    const struct counters *counters = &sample->counters;
    uint64_t sets = counters->mc_commands[EBB_MC_MS], meta = 0;

    for (size_t verb = EBB_MC_SET; verb <= EBB_MC_CAS; verb++)
        sets += counters->mc_commands[verb];
    for (size_t verb = EBB_MC_MG; verb <= EBB_MC_ME; verb++)
        meta += counters->mc_commands[verb];
    put(sample, "cmd_get", counters->mc_get_hits + counters->mc_get_misses);
    put(sample, "cmd_set", sets);
    put(sample, "cmd_flush", counters->mc_commands[EBB_MC_FLUSH_ALL]);
    put(sample, "cmd_touch", counters->mc_touch_hits + counters->mc_touch_misses);
    put(sample, "cmd_meta", meta);
    put(sample, "get_hits", counters->mc_get_hits);
    put(sample, "get_misses", counters->mc_get_misses);
    put(sample, "delete_misses", counters->mc_delete_misses);
    put(sample, "delete_hits", counters->mc_delete_hits);
    put(sample, "incr_misses", counters->mc_incr_misses);
    put(sample, "incr_hits", counters->mc_incr_hits);
    put(sample, "decr_misses", counters->mc_decr_misses);
    put(sample, "decr_hits", counters->mc_decr_hits);
    put(sample, "cas_misses", counters->mc_cas_misses);
    put(sample, "cas_hits", counters->mc_cas_hits);
    put(sample, "cas_badval", counters->mc_cas_badval);
    put(sample, "touch_hits", counters->mc_touch_hits);
    put(sample, "touch_misses", counters->mc_touch_misses);
    put(sample, "store_too_large", counters->mc_too_large);
    put(sample, "store_no_memory", counters->mc_no_memory);
}

static unsigned log2_of(size_t number)
{
    return number == 0 ? 0 : 63u - (unsigned)__builtin_clzll(number);
}

/* What `stats items` has by class. */
static void put_items_of_all(struct sample *sample)
{
    const struct service *service = sample->context->service;
    struct store_class_counts all = {0}, one;
    struct class_hits hits;

    for (unsigned i = 0; i <= EBB_CLASS_COUNT; i++) {
        service->class_counts(service->server, i, &hits, &one);
        all.expired_evicted += one.expired_evicted;
        all.expired_reaped += one.expired_reaped;
        all.expired_unfetched += one.expired_unfetched;
        all.evicted_by_writer += one.evicted_by_writer;
    }
    put(sample, "expired_unfetched", all.expired_unfetched);
    put(sample, "reclaimed", all.expired_evicted);
    put(sample, "crawler_reclaimed", all.expired_reaped);
    put(sample, "direct_reclaims", all.evicted_by_writer);
}

static void put_store(struct sample *sample)
{
    const struct store_stats *store = &sample->store;

    put(sample, "limit_maxbytes", service_limit_bytes(sample->context->service));
    put(sample, "hash_power_level", log2_of(store->index_slots));
    put(sample, "hash_bytes", store->index_bytes);
    put(sample, "slab_reassign_rescues", store->item_heap.moved_objects);
    put(sample, "slab_reassign_running", store->compaction_active);
    put(sample, "slabs_moved", store->item_heap.freed_spans);
    put(sample, "malloc_fails", store->item_heap.failures);
    put(sample, "bytes", store->key_bytes + store->value_bytes + store->header_bytes);
    put(sample, "ebb_live_bytes", store->key_bytes + store->value_bytes);
    put(sample, "curr_items", store->items);
    put(sample, "total_items", store->sets);
    put(sample, "evictions", store->evicted);
    put(sample, "evicted_unfetched", store->evicted_unfetched);
    put_items_of_all(sample);
}

static void put_general(struct sample *sample)
{
    put_process(sample);
    put_connections(sample);
    put_commands(sample);
    put_store(sample);
}

/* ---- stats settings ---- */

static void put_settings(struct sample *sample)
{
    const struct options *options = sample->options;
    const struct service *service = sample->context->service;

    put(sample, "maxbytes", (uint64_t)options_maxmemory(options));
    put_option(sample, "maxconns", &options->maxclients);
    put_option(sample, "tcpport", &options->memcached_port);
    put(sample, "udpport", 0);
    put_word(sample, "domain_socket", "NULL"); /* the unix socket is for RESP */
    put_word(sample, "shutdown_command", "no");
    put_word(sample, "evictions",
             options_number(&options->maxmemory_policy) == POLICY_NOEVICTION ? "off" : "on");
    put(sample, "num_threads", service->worker_count);
    put_word(sample, "stat_key_prefix", ":");
    put_word(sample, "detail_enabled", mc_detail_is_on(service) ? "yes" : "no");
    put_word(sample, "cas_enabled", "yes");
    put_word(sample, "binding_protocol", "ascii");
    put_word(sample, "auth_enabled_sasl", "no");
    service->options_lock(service->server);
    put_word(sample, "inter", options->bind);
    service->options_unlock(service->server);
    put_word(sample, "auth_enabled_ascii",
             mc_auth_is_needed(sample->context->service) ? "yes" : "no");
    put_option(sample, "item_size_max", &options->proto_max_bulk_len);
    put_word(sample, "flush_enabled", "yes");
    put_word(sample, "dump_enabled", "yes");
    put_word(sample, "maxconns_fast", "yes");
    put_word(sample, "slab_reassign", "yes");
    put_word(sample, "lru_crawler", "yes");
    put_word(sample, "hash_algorithm", "xxh3");
    put_option(sample, "idle_timeout", &options->timeout);
    put_word(sample, "track_sizes", "yes");
    put_word(sample, "ssl_enabled", "no");
}

/* ---- stats items, stats slabs ---- */

/* memcached's numbers of slab classes start at 1. */
static void put_of_class(struct sample *sample, const char *prefix, unsigned class_index,
                         const char *field, uint64_t number)
{
    char name[64];

    snprintf(name, sizeof(name), "%s%u:%s", prefix, class_index + 1, field);
    put(sample, name, number);
}

static void put_items_of(struct sample *sample, unsigned class_index)
{
    struct class_view class;

    view_class(sample, class_index, &class);
    const struct {
        const char *field;
        uint64_t number;
    } fields[] = {
        {"number", class.slots.slots_used},
        {"evicted", class.counts.evicted},
        {"evicted_nonzero", class.counts.evicted_with_ttl},
        {"evicted_time", class.counts.evicted_idle_s},
        {"outofmemory", class.counts.rejected},
        {"tailrepairs", 0}, /* no item is ever lost */
        {"reclaimed", class.counts.expired_evicted},
        {"expired_unfetched", class.counts.expired_unfetched},
        {"evicted_unfetched", class.counts.evicted_unfetched},
        {"crawler_reclaimed", class.counts.expired_reaped},
        {"direct_reclaims", class.counts.evicted_by_writer},
    };
    if (class.slots.slots_used == 0)
        return;
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        put_of_class(sample, "items:", class_index, fields[i].field, fields[i].number);
}

static void put_items(struct sample *sample)
{
    for (unsigned i = 0; i <= EBB_CLASS_COUNT; i++)
        put_items_of(sample, i);
}

static void put_hits(struct sample *sample, unsigned class_index, const struct class_hits *hits)
{
    put_of_class(sample, "", class_index, "get_hits", hits->get);
    put_of_class(sample, "", class_index, "cmd_set", hits->stored);
    put_of_class(sample, "", class_index, "delete_hits", hits->delete);
    put_of_class(sample, "", class_index, "incr_hits", hits->incr);
    put_of_class(sample, "", class_index, "decr_hits", hits->decr);
    put_of_class(sample, "", class_index, "cas_hits", hits->cas);
    put_of_class(sample, "", class_index, "cas_badval", hits->cas_badval);
    put_of_class(sample, "", class_index, "touch_hits", hits->touch);
}

/* Returns whether the class has any span. Large values have slots of their own sizes. */
static bool put_slab(struct sample *sample, unsigned class_index)
{
    struct class_view class;

    view_class(sample, class_index, &class);
    const struct ebb_class_stats *slots = &class.slots;
    size_t spans = slots->spans_full + slots->spans_partial + slots->spans_empty;
    size_t count = slots->slots_used + slots->slots_free;
    if (spans == 0)
        return false;
    if (class_index < EBB_CLASS_COUNT)
        put_of_class(sample, "", class_index, "chunk_size", slots->slot_bytes);
    put_of_class(sample, "", class_index, "chunks_per_page", count / spans);
    put_of_class(sample, "", class_index, "total_pages", spans);
    put_of_class(sample, "", class_index, "total_chunks", count);
    put_of_class(sample, "", class_index, "used_chunks", slots->slots_used);
    put_of_class(sample, "", class_index, "free_chunks", slots->slots_free);
    put_of_class(sample, "", class_index, "free_chunks_end", 0);
    put_hits(sample, class_index, &class.hits);
    return true;
}

static void put_slabs(struct sample *sample)
{
    unsigned active = 0;

    for (unsigned i = 0; i <= EBB_CLASS_COUNT; i++)
        active += put_slab(sample, i);
    put(sample, "active_slabs", active);
    put(sample, "total_malloced", sample->store.item_heap.span_bytes);
}

/* ---- stats sizes, stats conns ---- */

static void put_size(struct sample *sample, size_t bytes, size_t count)
{
    char name[32];

    snprintf(name, sizeof(name), "%zu", bytes);
    if (count > 0)
        put(sample, name, count);
}

/* Items by size in steps of 32 bytes, as memcached has them. What is known of an item here is the
 * slot it lies in, and of those above the largest slot their mean. */
static void put_sizes(struct sample *sample)
{
    const struct ebb_heap_stats *heap = &sample->store.item_heap;
    struct ebb_class_stats class;
    size_t bytes = 0, count = 0;

    for (unsigned i = 0; i < EBB_CLASS_COUNT; i++) {
        store_class_stats(sample->context->store->store, i, &class);
        size_t step = (class.slot_bytes + SIZE_STEP_BYTES - 1) / SIZE_STEP_BYTES * SIZE_STEP_BYTES;
        if (step != bytes)
            put_size(sample, bytes, count);
        count = step != bytes ? class.slots_used : count + class.slots_used;
        bytes = step;
    }
    put_size(sample, bytes, count);
    if (heap->large_count > 0)
        put_size(sample, heap->large_bytes / heap->large_count / SIZE_STEP_BYTES * SIZE_STEP_BYTES,
                 heap->large_count);
}

static void put_of_client(struct sample *sample, const struct client *client, const char *field,
                          const char *word)
{
    char name[64];

    snprintf(name, sizeof(name), "%llu:%s", (unsigned long long)client->id, field);
    put_word(sample, name, word);
}

/* In memcached's words: whether it asks this, reads on, or waits for bytes from or to the client.
 */
static const char *state_of(const struct sample *sample, const struct client *client)
{
    if (client == sample->context->client)
        return "conn_parse_cmd";
    if (client_look(client->output_bytes) > 0)
        return "conn_mwrite";
    return client_look(client->input_bytes) > 0 ? "conn_nread" : "conn_read";
}

static void put_client(struct sample *sample, const struct client *client)
{
    const struct service *service = sample->context->service;
    int64_t idle_ms = sample->context->store->now_ms - client_look(client->last_command_ms);
    char text[160];

    for (int local = 0; local < 2; local++) {
        size_t len = (size_t)snprintf(text, sizeof(text), "tcp:");
        len += service->client_address(client, local, text + len, sizeof(text) - len - 1);
        text[len] = '\0';
        put_of_client(sample, client, local ? "listen_addr" : "addr", text);
    }
    put_of_client(sample, client, "state", state_of(sample, client));
    snprintf(text, sizeof(text), "%lld", (long long)(idle_ms > 0 ? idle_ms / 1000 : 0));
    put_of_client(sample, client, "secs_since_last_cmd", text);
}

static void put_conns(struct sample *sample)
{
    struct clients *clients = sample->context->service->clients;

    clients_lock(clients);
    struct client *client = clients->first;
    while (client != NULL) {
        if (client->protocol == PROTOCOL_MEMCACHED)
            put_client(sample, client);
        client = clients_after(clients, client);
    }
    clients_unlock(clients);
}

/* ---- the forms ---- */

static const struct {
    const char *word;
    void (*put)(struct sample *sample);
} forms[] = {
    {"", put_general},    {"settings", put_settings}, {"items", put_items},
    {"slabs", put_slabs}, {"sizes", put_sizes},       {"conns", put_conns},
};

static bool word_is(const struct ebb_mc_command *command, uint32_t index, const char *text)
{
    if (index >= command->keys.count)
        return false;
    struct ebb_slice word = command->keys.at[index];
    return word.len == strlen(text) && memcmp(word.data, text, word.len) == 0;
}

static void run_reset(struct cmd_context *context, const struct ebb_mc_command *command)
{
    context->service->counters_reset(context->service->server);
    mc_detail_reset(context->service);
    mc_answer(context, command, "RESET");
}

/* Forms that answer in ways of their own. */
static const struct {
    const char *word;
    void (*run)(struct cmd_context *context, const struct ebb_mc_command *command);
} other_forms[] = {
    {"reset", run_reset},
    {"cachedump", mc_dump_begin_items},
    {"detail", mc_run_detail},
};

void mc_run_stats(struct cmd_context *context, const struct ebb_mc_command *command)
{
    struct sample sample;

    store_leave(context->store); /* the sums look at every shard */
    for (size_t i = 0; i < sizeof(other_forms) / sizeof(other_forms[0]); i++) {
        if (word_is(command, 0, other_forms[i].word)) {
            other_forms[i].run(context, command);
            return;
        }
    }
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (command->keys.count == 0 ? forms[i].word[0] != '\0'
                                     : !word_is(command, 0, forms[i].word))
            continue;
        take(&sample, context);
        forms[i].put(&sample);
        ebb_mc_write_line(context->reply.out, "END");
        return;
    }
    mc_answer_error(context, command, "ERROR");
}
