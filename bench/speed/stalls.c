/* SPDX-License-Identifier: MIT */
/* stalls.c: what another client feels while a server fills, compacts, trims, expires, flushes and
 * evicts: a GET each millisecond (probe.h), beside the same when nothing of that happens.
 *
 * What is done while clients write is held against a load that only overwrites; what happens by
 * itself against a server at rest.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../probe.h"
#include "../workload.h"
#include "load.h"
#include "plan.h"

#define VALUE_BYTES     100u
#define LONG_BYTES      (16u * 1024)
#define BATCH           16u /* small: the probe waits behind it */
#define EXPIRE_MAX      1000000u
#define EXPIRE_AHEAD_MS 100 /* the probe begins so long before the keys expire */
#define REST_MS         500
#define DAY_MS          86400000u
#define LIMIT_ITEM      200 /* bytes of the limit for each item while evicting */
#define LIMIT_LEAST     (48u << 20)

enum phase_id {
    CALM,
    STEADY,
    FILLING,
    DELETING,
    COMPACTING,
    EXPIRING,
    TRIMMING,
    FLUSHING,
    EVICTING,
    PHASE_COUNT
};

/* Ebb's counters that say whether a phase did what its name promises. */
static const struct {
    const char *column, *metric;
} counters[] = {
    {"moved_bytes", "ebb_compaction_moved_bytes_total"},
    {"trimmed_bytes", "ebb_trim_bytes_total"},
    {"expired", "ebb_expired_total{how=\"active\"}"},
    {"evicted", "ebb_evictions_total{reason=\"limit\"}"},
};
#define COUNTER_COUNT (sizeof counters / sizeof counters[0])

struct trial {
    const struct plan *plan;
    struct proc proc;
    struct wire wire;
    struct probe_result results[PHASE_COUNT];
    double counted[PHASE_COUNT][COUNTER_COUNT];
};

/* ---- commands ---- */

static void on_reply(void *context, unsigned number, const struct wire_reply *reply)
{
    (void)context;
    (void)number;
    if (reply->status == WIRE_ERROR)
        die("refused: %.*s", (int)(reply->length < 80 ? reply->length : 80), reply->data);
}

static void settle(struct trial *trial)
{
    wire_exchange(&trial->wire, on_reply, NULL);
}

static void set(struct trial *trial, uint64_t id, size_t bytes, uint64_t until_ms)
{
    static char value[LONG_BYTES];
    char key[KEY_MAX_BYTES];
    size_t length = key_write(key, id, (struct sizes){LOAD_KEY_BYTES, LOAD_KEY_BYTES});
    if (until_ms == 0)
        wire_set(&trial->wire, key, length, value, bytes);
    else
        wire_set_until(&trial->wire, key, length, value, bytes, until_ms);
    if (wire_is_full(&trial->wire))
        settle(trial);
}

static void store(struct trial *trial, uint64_t from, uint64_t to, size_t bytes)
{
    for (uint64_t id = from; id < to; id++)
        set(trial, id, bytes, 0);
    settle(trial);
}

static void delete (struct trial *trial, uint64_t id)
{
    char key[KEY_MAX_BYTES];
    size_t length = key_write(key, id, (struct sizes){LOAD_KEY_BYTES, LOAD_KEY_BYTES});
    wire_delete(&trial->wire, key, length);
    if (wire_is_full(&trial->wire))
        settle(trial);
}

static void say(struct trial *trial, const char *line)
{
    wire_line(&trial->wire, line);
    settle(trial);
}

static uint64_t seconds_ms(const struct trial *trial)
{
    return (uint64_t)(trial->plan->stall_seconds * 1000);
}

static uint64_t unix_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- phases: `prepare` before the probe begins, `run` while it probes ---- */

static void watch(struct trial *trial)
{
    sleep_ms(seconds_ms(trial));
}

static void store_a_tenth(struct trial *trial)
{
    store(trial, 0, trial->plan->stall_items / 10, VALUE_BYTES);
    sleep_ms(REST_MS);
}

static void overwrite(struct trial *trial)
{
    uint64_t end_ns = clock_ns() + seconds_ms(trial) * 1000000,
             keys = trial->plan->stall_items / 10;
    for (uint64_t id = 0; id % BATCH != 0 || clock_ns() < end_ns; id++)
        set(trial, id % keys, VALUE_BYTES, 0);
    settle(trial);
}

static void fill(struct trial *trial)
{
    store(trial, trial->plan->stall_items / 10, trial->plan->stall_items, VALUE_BYTES);
}

static void delete_most(struct trial *trial)
{
    for (uint64_t id = 0; id < trial->plan->stall_items; id++)
        if (prng_seeded(id).state % 10 != 0)
            delete (trial, id);
    settle(trial);
}

/* Stores keys that all expire at the same moment, but for each tenth of them if some are to stay
 * (for a day: items of the same size, so that they share pages); returns just before that moment.
 */
static void store_what_expires(struct trial *trial, uint64_t from, uint64_t items, bool some_stay)
{
    uint64_t begin_ms = unix_ms();
    store(trial, from, from + items / 10, VALUE_BYTES); /* how long does a tenth of them take? */
    uint64_t now_ms = unix_ms(), until_ms = now_ms + 20 * (now_ms - begin_ms) + 2 * REST_MS;
    for (uint64_t id = 0; id < items; id++)
        set(trial, from + id, VALUE_BYTES, until_ms + (some_stay && id % 10 == 0 ? DAY_MS : 0));
    settle(trial);
    now_ms = unix_ms();
    if (now_ms + EXPIRE_AHEAD_MS < until_ms)
        sleep_ms(until_ms - EXPIRE_AHEAD_MS - now_ms);
}

static void store_a_million_that_expires(struct trial *trial)
{
    uint64_t items = trial->plan->stall_items / 5;
    store_what_expires(trial, trial->plan->stall_items, items < EXPIRE_MAX ? items : EXPIRE_MAX,
                       false);
}

/* What is left lies scattered, and no client's commands pass the time that compaction takes. */
static void store_all_for_a_while(struct trial *trial)
{
    store_what_expires(trial, 0, trial->plan->stall_items, true);
}

static uint64_t keys_there(const struct trial *trial)
{
    char *answer = wire_ask(trial->proc.port, "DBSIZE\r\n", "\n");
    uint64_t keys = answer != NULL && answer[0] == ':' ? strtoull(answer + 1, NULL, 10) : 0;
    free(answer);
    return keys;
}

/* Until nothing has expired for a while. */
static void watch_them_go(struct trial *trial)
{
    watch(trial);
    for (uint64_t keys = keys_there(trial), before = keys + 1; keys < before;) {
        sleep_ms(REST_MS);
        before = keys;
        keys = keys_there(trial);
    }
}

static void free_long_values(struct trial *trial)
{
    uint64_t from = 2 * trial->plan->stall_items, items = trial->plan->stall_items / 250;
    store(trial, from, from + items, LONG_BYTES);
    sleep_ms(REST_MS);
    for (uint64_t id = from; id < from + items; id++)
        delete (trial, id);
    settle(trial);
}

static void store_all(struct trial *trial)
{
    store(trial, 0, trial->plan->stall_items, VALUE_BYTES);
    sleep_ms(REST_MS);
}

static void flush(struct trial *trial)
{
    say(trial, "FLUSHALL\r\n");
    watch(trial);
}

static void lower_the_limit(struct trial *trial)
{
    char command[64];
    uint64_t limit = trial->plan->stall_items * LIMIT_ITEM / 10;
    snprintf(command, sizeof command, "CONFIG SET maxmemory %llu\r\n",
             (unsigned long long)(limit < LIMIT_LEAST ? LIMIT_LEAST : limit));
    if (strcmp(trial->proc.name, "ebb") != 0)
        say(trial, "CONFIG SET maxmemory-policy allkeys-lru\r\n");
    say(trial, command);
    store(trial, 0, limit < LIMIT_LEAST ? LIMIT_LEAST / VALUE_BYTES : limit / VALUE_BYTES,
          VALUE_BYTES);
}

static void store_new_ones(struct trial *trial)
{
    uint64_t end_ns = clock_ns() + seconds_ms(trial) * 1000000, from = 3 * trial->plan->stall_items;
    for (uint64_t id = 0; id % BATCH != 0 || clock_ns() < end_ns; id++)
        set(trial, from + id, VALUE_BYTES, 0);
    settle(trial);
}

static const struct phase {
    const char *name;
    void (*prepare)(struct trial *trial); /* NULL: nothing */
    void (*run)(struct trial *trial);
    enum phase_id against; /* itself: it is what others are held against */
    bool is_fresh; /* on a new server: one that has seen load come and go keeps memory for it */
} phases[PHASE_COUNT] = {
    [CALM] = {"calm", store_a_tenth, watch, CALM, false},
    [STEADY] = {"steady", NULL, overwrite, STEADY, false},
    [FILLING] = {"filling", NULL, fill, STEADY, false},
    [DELETING] = {"deleting", NULL, delete_most, STEADY, false},
    [COMPACTING] = {"compacting", store_all_for_a_while, watch_them_go, CALM, false},
    [EXPIRING] = {"expiring", store_a_million_that_expires, watch_them_go, CALM, false},
    [TRIMMING] = {"trimming", free_long_values, watch, CALM, true},
    [FLUSHING] = {"flushing", store_all, flush, CALM, true},
    [EVICTING] = {"evicting", lower_the_limit, store_new_ones, STEADY, true},
};

/* ---- a trial: all phases of one server ---- */

static void count(const struct trial *trial, double *counted, double sign)
{
    char *metrics = proc_metrics(&trial->proc);
    for (size_t c = 0; c < COUNTER_COUNT; c++)
        counted[c] += sign * proc_metric(metrics, counters[c].metric);
    free(metrics);
}

static void run_phase(struct trial *trial, enum phase_id id)
{
    struct probe probe;
    trial->wire.batch = WIRE_BATCH_MAX;
    if (phases[id].prepare != NULL)
        phases[id].prepare(trial);
    trial->wire.batch = BATCH;
    count(trial, trial->counted[id], -1);
    probe_start(&probe, trial->proc.protocol, trial->proc.port);
    phases[id].run(trial);
    trial->results[id] = probe_stop(&probe);
    count(trial, trial->counted[id], 1);
}

static void open_server(struct trial *trial, const struct plan_server *server)
{
    plan_proc(trial->plan, server, LONG_BYTES, &trial->proc);
    proc_start(&trial->proc, trial->plan->stall_items * (VALUE_BYTES + LOAD_KEY_BYTES));
    if (!wire_open(&trial->wire, trial->proc.protocol, trial->proc.port, BATCH))
        die("%s does not answer", server->label);
}

static void close_server(struct trial *trial)
{
    wire_close(&trial->wire);
    proc_stop(&trial->proc);
}

static void run_trial(struct trial *trial, const struct plan *plan,
                      const struct plan_server *server)
{
    *trial = (struct trial){.plan = plan};
    open_server(trial, server);
    for (enum phase_id id = 0; id < PHASE_COUNT; id++) {
        if (phases[id].is_fresh) {
            close_server(trial);
            open_server(trial, server);
        }
        run_phase(trial, id);
    }
    close_server(trial);
}

/* ---- figures ---- */

static double p50_us(const struct probe_result *result)
{
    return result->p50_ms * 1e3;
}

static double p999_us(const struct probe_result *result)
{
    return result->p999_ms * 1e3;
}

static double longest_ms(const struct probe_result *result)
{
    return result->longest_ms;
}

static double over_1_ms(const struct probe_result *result)
{
    return (double)result->over_1_ms;
}

static double probes(const struct probe_result *result)
{
    return (double)result->count;
}

static const struct {
    const char *name;
    double (*figure)(const struct probe_result *result);
} columns[] = {
    {"p50_us", p50_us},       {"p99.9_us", p999_us}, {"longest_ms", longest_ms},
    {"over 1 ms", over_1_ms}, {"probes", probes},
};
#define COLUMN_COUNT (sizeof columns / sizeof columns[0])

static struct spread spread_over(const struct trial *trials, unsigned rounds, enum phase_id id,
                                 double (*figure)(const struct probe_result *result))
{
    double values[PLAN_ROUNDS_MAX];
    for (unsigned r = 0; r < rounds; r++)
        values[r] = figure(&trials[r].results[id]);
    return spread_of(values, rounds);
}

static void report_trials(const struct trial *trials, unsigned rounds, const char *label,
                          struct report *report)
{
    report->topic = "stalls";
    report->row = label;
    report->is_bound = false;
    for (enum phase_id id = 0; id < PHASE_COUNT; id++) {
        report->phase = phases[id].name;
        for (size_t c = 0; c < COLUMN_COUNT; c++)
            report_add(report, columns[c].name,
                       spread_over(trials, rounds, id, columns[c].figure).median);
        for (size_t c = 0; c < COUNTER_COUNT && trials[0].proc.http_port != 0; c++)
            report_add(report, counters[c].column, trials[0].counted[id][c]);
    }
}

static void reach_trials(const struct trial *trials, unsigned rounds, struct reach *reach)
{
    struct spread calm = spread_over(trials, rounds, CALM, longest_ms);
    for (enum phase_id id = 0; id < PHASE_COUNT; id++) {
        double ratios[PLAN_ROUNDS_MAX];
        enum phase_id against = phases[id].against;
        if (id == against)
            continue;
        for (unsigned r = 0; r < rounds; r++)
            ratios[r] = trials[r].results[id].p999_ms / trials[r].results[against].p999_ms;
        reach_at_most(reach, spread_of(ratios, rounds), 1.5, "p99.9 of a GET while %s against %s",
                      phases[id].name, phases[against].name);
        struct reach_line *line = reach_at_most(reach, spread_over(trials, rounds, id, longest_ms),
                                                1, "longest GET while %s, ms", phases[id].name);
        snprintf(line->note, sizeof line->note, "%.2f %s", calm.median, phases[CALM].name);
    }
}

void scene_stalls(const struct plan *plan, struct report *report, struct reach *reach)
{
    cpu_set_t before;
    unsigned rounds = plan->stall_rounds;
    struct trial *trials = must_realloc(NULL, rounds * sizeof *trials);
    sched_getaffinity(0, sizeof before, &before);
    sched_setaffinity(0, sizeof plan->cores.driver, &plan->cores.driver);
    for (size_t s = 0; s < plan->server_count; s++) {
        const struct plan_server *server = &plan->servers[s];
        if (strcmp(server->name, "limit") == 0 || strcmp(server->name, "memcached") == 0)
            continue; /* nothing is stored; no commands for all phases */
        for (unsigned r = 0; r < rounds; r++) {
            fprintf(stderr, "# stalls, %s, round %u of %u\n", server->label, r + 1, rounds);
            run_trial(&trials[r], plan, server);
        }
        report_trials(trials, rounds, server->label, report);
        if (strcmp(server->name, "ebb") == 0)
            reach_trials(trials, rounds, reach);
    }
    sched_setaffinity(0, sizeof before, &before);
    report_print_topic(report, "stalls");
    free(trials);
}
