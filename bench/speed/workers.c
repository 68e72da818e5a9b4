/* SPDX-License-Identifier: MIT */
/* workers.c: what a second worker is worth, as far as two processors can say, and what follows for
 * more of them.
 *
 * With two processors there is none left for the driver, so operations per second alone say little.
 * What says something is one process of two workers beside two processes of one worker each with
 * half of the keys, which share nothing. Both run on the same two processors under the same load;
 * all that is between them is what workers share: cache lines that go to and fro, which cost CPU
 * time, and locks, for which workers sleep, which costs operations. By whichever is worse an
 * operation is dearer by the serial part s, and N workers reach N / (1 + s (N - 1)) of one.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "../workload.h"
#include "ring.h"

#define KEYS        1000000u
#define KEYS_QUICK  100000u
#define VALUE_BYTES 100u
#define CONNECTIONS 64u
#define WAITS       "ebb_shard_lock_waits_total"
#define WAITED      "ebb_shard_lock_wait_seconds_total"

/* Two workers, in one process or in one each. */
struct crew {
    const char *row;
    struct proc procs[2];
    unsigned process_count;
    struct load load; /* of each process */
    double server_ns[PLAN_ROUNDS_MAX], operations[PLAN_ROUNDS_MAX], switches[PLAN_ROUNDS_MAX];
    double waits[PLAN_ROUNDS_MAX], waited_ns[PLAN_ROUNDS_MAX]; /* for shards, an operation */
};

/* One drive among those that go on at the same time. */
struct turn {
    pthread_t thread;
    const struct load *load;
    struct drive_options options;
    struct drive_result result;
};

static void start(struct crew *crew, const struct plan *plan, const struct plan_server *server,
                  unsigned processes, uint64_t keys)
{
    static const char *const one[] = {"--threads", "1", NULL}, *const two[] = {"--threads", "2",
                                                                               NULL};
    struct load_options options = {.value_bytes = VALUE_BYTES,
                                   .keys = keys / processes,
                                   .depth = 32,
                                   .multiget = 1,
                                   .get_share = 10.0 / 11,
                                   .seed = 1};
    crew->process_count = processes;
    crew->row = processes == 1 ? "1 process of 2" : "2 processes of 1";
    load_compose(&crew->load, &options);
    for (unsigned p = 0; p < processes; p++) {
        struct proc *proc = &crew->procs[p];
        plan_proc(plan, server, VALUE_BYTES, proc);
        proc->extra = processes == 1 ? two : one;
        proc->cpus = &plan->cores.both;
        proc_start(proc, options.keys * load_item_bytes(&options));
        load_fill(WIRE_RESP, proc->port, options.keys, VALUE_BYTES);
    }
}

static void *run(void *context)
{
    struct turn *turn = context;
    drive(turn->load, &turn->options, &turn->result);
    return NULL;
}

/* Of all its processes since they were started. */
static double count(const struct crew *crew, const char *metric)
{
    double sum = 0;
    for (unsigned p = 0; p < crew->process_count; p++) {
        char *metrics = proc_metrics(&crew->procs[p]);
        sum += proc_metric(metrics, metric);
        free(metrics);
    }
    return sum;
}

/* How many of one worker two of them are worth. */
static double worth_of(const struct crew *apart, const struct crew *together, unsigned round)
{
    double cpu = apart->server_ns[round] / together->server_ns[round];
    double operations = together->operations[round] / apart->operations[round];
    return 2 * (cpu < operations ? cpu : operations);
}

static void play(struct crew *crew, const struct plan *plan, unsigned round)
{
    struct turn turns[2];
    double cpu_seconds = 0, operations = 0, switches = 0, each_second = 0;
    double waits = count(crew, WAITS), waited = count(crew, WAITED);
    for (unsigned p = 0; p < crew->process_count; p++) {
        turns[p] = (struct turn){.load = &crew->load,
                                 .options = {.port = crew->procs[p].port,
                                             .connections = CONNECTIONS / crew->process_count,
                                             .threads = 2 / crew->process_count,
                                             .warm_seconds = plan->warm_seconds,
                                             .seconds = plan->seconds,
                                             .cpus = &plan->cores.both,
                                             .server = crew->procs[p].pid}};
        if (pthread_create(&turns[p].thread, NULL, run, &turns[p]) != 0)
            die("no thread");
    }
    for (unsigned p = 0; p < crew->process_count; p++) {
        const struct drive_result *result = &turns[p].result;
        pthread_join(turns[p].thread, NULL);
        cpu_seconds += result->server_cpu_seconds;
        operations += (double)result->operations;
        switches += (double)result->server_events.counts[EVENT_SWITCHES];
        each_second += drive_operations_per_second(result);
    }
    crew->server_ns[round] = cpu_seconds * 1e9 / operations;
    crew->operations[round] = each_second;
    crew->switches[round] = switches / operations;
    crew->waits[round] = (count(crew, WAITS) - waits) / operations;
    crew->waited_ns[round] = (count(crew, WAITED) - waited) * 1e9 / operations;
}

static void stop(struct crew *crew)
{
    for (unsigned p = 0; p < crew->process_count; p++)
        proc_stop(&crew->procs[p]);
    load_release(&crew->load);
}

static void report_crew(struct crew *crew, unsigned rounds, struct report *report)
{
    report->row = crew->row;
    report_add(report, "operations/s", spread_of(crew->operations, rounds).median);
    report_add(report, "server_ns", spread_of(crew->server_ns, rounds).median);
    report_add(report, "waited_ns", spread_of(crew->waited_ns, rounds).median);
    report_add(report, "waits/1000", 1000 * spread_of(crew->waits, rounds).median);
    report_add(report, "switches/1000", 1000 * spread_of(crew->switches, rounds).median);
}

static void print_model(double serial)
{
    static const unsigned workers[] = {1, 2, 4, 8, 16, 32};
    printf("\na serial part of %.2f %%: N workers reach as much as", 100 * serial);
    for (size_t w = 0; w < sizeof workers / sizeof workers[0]; w++)
        printf("%s %u: %.2f", w > 0 ? "," : "", workers[w],
               workers[w] / (1 + serial * (workers[w] - 1)));
    printf("\n");
}

void scene_workers(const struct plan *plan, struct report *report, struct reach *reach)
{
    static struct crew crews[2];
    static const char title[] = "2 workers against 1, from what they share";
    const struct plan_server *server = plan_find(plan, "ebb");
    if (server == NULL || plan->cores.is_shared) {
        reach_open(reach, server == NULL ? "no ebb" : "one processor", "%s", title);
        return;
    }
    uint64_t keys = plan->is_quick ? KEYS_QUICK : KEYS;
    double worth[PLAN_ROUNDS_MAX];
    for (unsigned c = 0; c < 2; c++)
        start(&crews[c], plan, server, 2 - c, keys);
    for (unsigned r = 0; r < plan->rounds; r++) {
        fprintf(stderr, "# workers, round %u of %u\n", r + 1, plan->rounds);
        for (unsigned c = 0; c < 2; c++)
            play(&crews[(c + r) % 2], plan, r);
        worth[r] = worth_of(&crews[0], &crews[1], r);
    }
    report->topic = "workers, depth 32, 100 B";
    report->phase = "";
    report->is_bound = false;
    for (unsigned c = 0; c < 2; c++) {
        report_crew(&crews[c], plan->rounds, report);
        stop(&crews[c]);
    }
    report_print_topic(report, report->topic);
    struct spread spread = spread_of(worth, plan->rounds);
    print_model(spread.median < 2 ? 2 / spread.median - 1 : 0);
    reach_at_least(reach, spread, 1.8, "%s", title);
}
