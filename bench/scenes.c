/* SPDX-License-Identifier: MIT */
/* scenes.c: the scenes whose end is what counts: frag, keep, overhead, churn. See scenes.h, and
 * README.md for what each asks.
 */
#include "scenes.h"

#include <stdlib.h>
#include <string.h>

#define MIB (1024.0 * 1024)

/* ---- frag: small values, then larger ones, oldest out ---- */

#define FRAG_LIVE_BYTES  100e6 /* keys, values and 16 bytes an item */
#define FRAG_BOUND_BYTES 110e6

/* The table in the order of writing, taken from its front. */
struct queue {
    struct client *client;
    size_t head;
};

static double queue_bytes(const struct queue *queue)
{
    size_t items = queue->client->table.count - queue->head;
    return (double)queue->client->user_bytes + 16.0 * (double)items;
}

static void queue_add(struct queue *queue, size_t count, uint32_t bytes)
{
    for (size_t i = 0; i < count; i++) {
        client_add(queue->client, bytes);
        while (queue_bytes(queue) > FRAG_LIVE_BYTES)
            client_send_delete(queue->client, &queue->client->table.entries[queue->head++]);
    }
    client_settle(queue->client);
}

static void queue_end(struct queue *queue)
{
    struct table *table = &queue->client->table;
    table->count -= queue->head;
    memmove(table->entries, table->entries + queue->head, table->count * sizeof *table->entries);
}

bool scene_frag(const struct plan *plan, struct report *report, const struct proc *proc)
{
    struct stage stage;
    report->topic = "frag";
    stage_open(&stage, plan, report, proc, (uint64_t)FRAG_LIVE_BYTES, (struct sizes){16, 20});
    struct queue queue = {&stage.client, 0};
    uint64_t begin = clock_ns();
    queue_add(&queue, 700000, 240);
    double small = (double)stage_rss(&stage, "240 B");
    queue_add(&queue, 170000, 492);
    queue_end(&queue);
    report_add(report, "seconds", (double)(clock_ns() - begin) / 1e9);
    report_add(report, "small_rss_bytes", small);
    report_add(report, "end_rss_bytes", (double)stage_rss(&stage, "492 B"));
    sleep_ms(2000);
    report_add_bound(report, "rss_bytes", (double)stage_rss(&stage, "2 s later"), FRAG_BOUND_BYTES);
    report_add(report, "high_bytes", (double)sampler_high(&stage.sampler));
    report_add(report, "user_bytes", (double)stage.client.user_bytes);
    report_add(report, "items", (double)stage.client.table.count);
    if (stage.proc.http_port != 0)
        report_add_bound(report, "slice_max_us", stage_slice_max_us(&stage), 500);
    stage_verify(&stage);
    return stage_end(&stage);
}

/* ---- keep: one in twenty stays ---- */

#define KEEP_ONE_IN 20

/* The survivors are every twentieth, in the order of writing. */
static void keep_some(struct client *client)
{
    struct table *table = &client->table;
    size_t kept = 0;
    for (size_t i = 0; i < table->count; i++) {
        if (i % KEEP_ONE_IN == 0)
            table->entries[kept++] = table->entries[i];
        else
            client_send_delete(client, &table->entries[i]);
    }
    table->count = kept;
    client_settle(client);
}

bool scene_keep(const struct plan *plan, struct report *report, const struct proc *proc)
{
    static const struct {
        size_t count;
        uint32_t bytes;
    } batches[] = {{150000, 512}, {100000, 1024}, {50000, 2048}};
    struct stage stage;
    report->topic = "keep";
    stage_open(&stage, plan, report, proc, UINT64_C(300) << 20, (struct sizes){16, 20});
    for (size_t b = 0; b < sizeof batches / sizeof batches[0]; b++)
        for (size_t i = 0; i < batches[b].count; i++)
            client_add(&stage.client, batches[b].bytes);
    client_settle(&stage.client);
    report_add(report, "full_rss_bytes", (double)stage_rss(&stage, "full"));
    keep_some(&stage.client);
    double user = (double)stage.client.user_bytes, bound = 1.15 * user + (double)stage.idle_bytes;
    double followed = stage_follow(&stage, bound, 2000);
    report_add(report, "user_bytes", user);
    report_add(report, "2_s_rss_bytes", (double)stage_rss(&stage, "2 s"));
    sleep_ms(8000);
    double rss = (double)stage_rss(&stage, "10 s");
    report_add_bound(report, "rss_bytes", rss, bound);
    report_add_bound(report, "live_ratio", (rss - (double)stage.idle_bytes) / user, 1.15);
    report_add(report, "follow_seconds", followed);
    struct proc_usage before = proc_usage(stage.proc.pid);
    sleep_ms(4000);
    double spent = proc_usage(stage.proc.pid).cpu_seconds - before.cpu_seconds;
    report_add_bound(report, "idle_cpu_percent", spent / 4 * 100, 0.1);
    stage_verify(&stage);
    return stage_end(&stage);
}

/* ---- overhead: what an item costs beside its key and value ---- */

#define OVERHEAD_ITEMS 2000000u

static bool overhead_of(const struct plan *plan, struct report *report, const struct proc *proc,
                        const char *phase, uint32_t bytes, double bound)
{
    struct stage stage;
    size_t items = plan->items != 0 ? plan->items : OVERHEAD_ITEMS;
    stage_open(&stage, plan, report, proc, items * (bytes + 20 + 80), (struct sizes){20, 20});
    report->phase = phase;
    for (size_t i = 0; i < items; i++)
        client_add(&stage.client, bytes);
    client_settle(&stage.client);
    sleep_ms(2000);
    double rss = (double)stage_rss(&stage, phase), user = (double)stage.client.user_bytes;
    report_add(report, "items", (double)items);
    report_add(report, "idle_bytes", (double)stage.idle_bytes);
    report_add(report, "user_bytes", user);
    report_add(report, "rss_bytes", rss);
    report_add_bound(report, "overhead_each",
                     (rss - (double)stage.idle_bytes - user) / (double)items, bound);
    stage_verify(&stage);
    return stage_end(&stage);
}

bool scene_overhead(const struct plan *plan, struct report *report, const struct proc *proc)
{
    static const struct {
        const char *phase;
        uint32_t bytes;
        double bound;
    } rows[] = {{"32 B", 32, 20}, {"100 B", 100, 20}, {"230 B", 230, 20}, {"1000 B", 1000, 40}};
    bool is_right = true;
    report->topic = "overhead";
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++)
        is_right = overhead_of(plan, report, proc, rows[r].phase, rows[r].bytes, rows[r].bound) &&
                   is_right;
    return is_right;
}

/* ---- churn: the same mix of sizes, over and over ---- */

#define CHURN_SECONDS 60
#define CHURN_SIZES   ((struct sizes){100, 1000})

static void overwrite_for(struct client *client, double seconds)
{
    uint64_t end = clock_ns() + (uint64_t)(seconds * 1e9);
    while (clock_ns() < end) {
        for (unsigned i = 0; i < 100; i++)
            client_overwrite(client, table_pick(&client->table, &client->prng),
                             sizes_pick(CHURN_SIZES, &client->prng));
        client_settle(client);
    }
}

bool scene_churn(const struct plan *plan, struct report *report, const struct proc *proc)
{
    struct stage stage;
    struct client *client = &stage.client;
    report->topic = "churn";
    stage_open(&stage, plan, report, proc, plan->live_bytes, (struct sizes){16, 20});
    client_write(client, CHURN_SIZES, plan->live_bytes, plan->live_bytes);
    client_thin(client, client->table.count * 95 / 100);
    sleep_ms(3000);
    double moved = stage_moved_bytes(&stage), written = (double)client->written_bytes;
    struct proc_usage before = proc_usage(stage.proc.pid);
    report_add(report, "begin_rss_bytes", (double)stage_rss(&stage, "begin"));
    sampler_reset(&stage.sampler);
    overwrite_for(client, plan->churn_seconds > 0 ? plan->churn_seconds : CHURN_SECONDS);
    double high = (double)sampler_high(&stage.sampler), low = (double)sampler_low(&stage.sampler);
    struct proc_usage after = proc_usage(stage.proc.pid);
    report_add(report, "end_rss_bytes", (double)stage_rss(&stage, "end"));
    report_add(report, "user_bytes", (double)client->user_bytes);
    report_add(report, "written_bytes", (double)client->written_bytes - written);
    report_add_bound(report, "high_low_ratio", high / low, 1.02);
    if (stage.proc.http_port != 0)
        report_add_bound(report, "moved_bytes", stage_moved_bytes(&stage) - moved, 0);
    report_add(report, "faults", (double)(after.faults - before.faults));
    report_add(report, "cpu_seconds", after.cpu_seconds - before.cpu_seconds);
    stage_verify(&stage);
    return stage_end(&stage);
}
