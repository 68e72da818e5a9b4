/* SPDX-License-Identifier: MIT */
/* hits.c: misses at equal resident memory. Plays streams of requests against each server as a cache
 * in front of something slower: a get, and a set for each miss.
 *
 * Ebb is given a limit. The others' limits mean something else, so each is run again with another
 * one until its resident memory is the same as Ebb's: what is compared is what a machine has to
 * pay.
 */
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proc.h"
#include "report.h"
#include "workload.h"

#define MIB          ((uint64_t)1 << 20)
#define HITS_BATCH   64u
#define VALUE_MOST   240000u
#define CLOSE_ENOUGH 0.01 /* of resident memory */
#define EQUAL        0.05
#define WARM_SHARE   3u /* the first third of the requests is not counted */

/* ---- streams ---- */

/* Sizes and exponents: Twitter's clusters (OSDI'20) and Meta's kvcache and CDN (OSDI'20, CacheLib);
 * a size belongs to its key, log-normal with that median. */
static const struct stream {
    const char *name;
    double exponent, median_bytes, sigma;
    unsigned once_percent; /* of requests are for keys that are never asked for again */
    bool shifts;           /* half way through other keys are asked for, ten times as large */
} streams[] = {
    {"kv", 0.9, 150, 0.9, 0, false},
    {"small", 1.0, 32, 0.6, 15, false},
    {"cdn", 0.8, 13000, 1.34, 5, false},
    {"shift", 0.9, 125, 0.3, 0, true},
};
#define STREAM_COUNT (sizeof streams / sizeof streams[0])
#define ONCE_FLAG    (UINT64_C(1) << 40)
#define SHIFT_FLAG   (UINT64_C(1) << 41)

static const struct sizes key_lengths = {16, 40};

struct plan {
    uint64_t limit_bytes;
    double over;  /* what all keys come to, in limits */
    double turns; /* requests per key */
    unsigned stream_mask, runs;
    uint64_t seed;
    const char *binary, *json;
    bool must_meet;
};

static double uniform(struct prng *prng)
{
    return ((double)(prng_next(prng) >> 11) + 0.5) / 9007199254740992.0;
}

static uint32_t value_bytes(const struct stream *stream, uint64_t id)
{
    struct prng prng = prng_seeded(id * 2 + 1);
    double radius = sqrt(-2 * log(uniform(&prng))), angle = 2 * M_PI * uniform(&prng);
    double bytes = stream->median_bytes * exp(stream->sigma * radius * cos(angle));
    if (id & SHIFT_FLAG)
        bytes *= 10;
    return bytes < 1 ? 1 : bytes > VALUE_MOST ? VALUE_MOST : (uint32_t)bytes;
}

struct source {
    const struct stream *stream;
    struct prng prng;
    double *sums; /* of the ranks' shares */
    size_t keys, requests, at;
    uint64_t once;
};

static void source_open(struct source *source, const struct stream *stream, const struct plan *plan)
{
    double mean = stream->median_bytes * exp(stream->sigma * stream->sigma / 2);
    mean = mean * (stream->shifts ? 5.5 : 1) + 28 + 16;
    *source = (struct source){.stream = stream, .prng = prng_seeded(plan->seed)};
    source->keys = (size_t)((double)plan->limit_bytes * plan->over / mean);
    source->requests = (size_t)((double)source->keys * plan->turns);
    source->sums = must_realloc(NULL, source->keys * sizeof *source->sums);
    double sum = 0;
    for (size_t k = 0; k < source->keys; k++)
        source->sums[k] = sum += pow((double)k + 1, -stream->exponent);
}

static uint64_t source_next(struct source *source)
{
    const struct stream *stream = source->stream;
    bool is_late = ++source->at > source->requests / 2;
    if (prng_below(&source->prng, 100) < stream->once_percent)
        return ONCE_FLAG | source->once++;
    double at = uniform(&source->prng) * source->sums[source->keys - 1];
    size_t low = 0, high = source->keys - 1;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (source->sums[middle] < at)
            low = middle + 1;
        else
            high = middle;
    }
    return stream->shifts && is_late ? SHIFT_FLAG | low : low;
}

/* ---- one run ---- */

struct contestant {
    const char *label, *server, *policy; /* policy NULL: the server has but one */
};

struct run {
    struct source source;
    struct wire wire;
    uint64_t ids[HITS_BATCH];
    bool is_missing[HITS_BATCH];
    bool has_errors;
    size_t counted, misses;
    double missed_bytes, counted_bytes;
    uint64_t rss_bytes, high_bytes;
};

static void on_get(void *context, unsigned number, const struct wire_reply *reply)
{
    struct run *run = context;
    run->is_missing[number] = reply->status == WIRE_MISSING;
    run->has_errors = run->has_errors || reply->status == WIRE_ERROR;
}

static void on_set(void *context, unsigned number, const struct wire_reply *reply)
{
    struct run *run = context;
    (void)number;
    run->has_errors = run->has_errors || reply->status != WIRE_DONE;
}

static void count(struct run *run, unsigned number)
{
    uint32_t bytes = value_bytes(run->source.stream, run->ids[number]);
    if (run->source.at <= run->source.requests / WARM_SHARE)
        return;
    run->counted++;
    run->counted_bytes += bytes;
    run->misses += run->is_missing[number];
    run->missed_bytes += run->is_missing[number] ? bytes : 0;
}

/* A batch of gets, then what was missing. */
static void step(struct run *run)
{
    static char value[VALUE_MOST];
    char key[KEY_MAX_BYTES];
    unsigned asked = 0;
    while (asked < HITS_BATCH && !wire_is_full(&run->wire)) {
        uint64_t id = run->ids[asked++] = source_next(&run->source);
        size_t len = key_write(key, id, key_lengths);
        wire_get(&run->wire, key, len, value_bytes(run->source.stream, id));
    }
    wire_exchange(&run->wire, on_get, run);
    for (unsigned i = 0; i < asked; i++) {
        count(run, i);
        if (!run->is_missing[i])
            continue;
        uint32_t bytes = value_bytes(run->source.stream, run->ids[i]);
        size_t len = key_write(key, run->ids[i], key_lengths);
        value_write(value, bytes, run->ids[i], 1);
        if (wire_is_full(&run->wire))
            wire_exchange(&run->wire, on_set, run);
        wire_set(&run->wire, key, len, value, bytes);
    }
    wire_exchange(&run->wire, on_set, run);
}

static void start(struct proc *proc, const struct contestant *who, const struct plan *plan,
                  uint64_t limit_bytes)
{
    static char limit[32];
    static const char *extra[8];
    bool is_memcached = strcmp(who->server, "memcached") == 0;
    snprintf(limit, sizeof limit, "%llu",
             (unsigned long long)(is_memcached ? limit_bytes / MIB : limit_bytes));
    size_t count = 0;
    extra[count++] = is_memcached ? "-m" : "--maxmemory";
    extra[count++] = limit;
    if (who->policy != NULL) {
        extra[count++] = "--maxmemory-policy";
        extra[count++] = who->policy;
    }
    extra[count] = NULL;
    *proc = (struct proc){.name = who->server, .label = who->label, .extra = extra};
    if (strcmp(who->server, "ebb") == 0)
        proc->binary = plan->binary;
    proc_start(proc, limit_bytes);
}

static void play(struct run *run, const struct contestant *who, const struct plan *plan,
                 const struct stream *stream, uint64_t limit_bytes)
{
    struct proc proc;
    struct sampler sampler;
    *run = (struct run){.has_errors = false};
    start(&proc, who, plan, limit_bytes);
    source_open(&run->source, stream, plan);
    if (!wire_open(&run->wire, proc.protocol, proc.port, HITS_BATCH))
        die("%s does not answer", who->label);
    sampler_start(&sampler, proc.pid);
    while (run->source.at < run->source.requests)
        step(run);
    run->rss_bytes = proc_rss(proc.pid);
    run->high_bytes = sampler_high(&sampler);
    sampler_stop(&sampler);
    wire_close(&run->wire);
    free(run->source.sums);
    proc_stop(&proc);
    fprintf(stderr, "#   %-22s limit %7.1f MiB: %7.1f MiB resident, misses %.4f%s\n", who->label,
            (double)limit_bytes / (double)MIB, (double)run->rss_bytes / (double)MIB,
            (double)run->misses / (double)run->counted, run->has_errors ? ", ERRORS" : "");
}

/* ---- contestants ---- */

static const struct contestant contestants[] = {
    {"ebb s3fifo", "ebb", "allkeys-s3fifo"}, {"ebb lru", "ebb", "allkeys-lru"},
    {"ebb lfu", "ebb", "allkeys-lfu"},       {"redis lru", "redis", "allkeys-lru"},
    {"redis lfu", "redis", "allkeys-lfu"},   {"memcached", "memcached", NULL},
};
#define CONTESTANT_COUNT (sizeof contestants / sizeof contestants[0])

static double off(const struct run *run, double target)
{
    return fabs((double)run->rss_bytes - target) / target;
}

/* Runs a peer with one limit after another, and keeps the run that came nearest to the target. */
static void find_equal(struct run *best, const struct contestant *who, const struct plan *plan,
                       const struct stream *stream, double target)
{
    double limit = target * 0.85;
    for (unsigned n = 0; n < plan->runs; n++) {
        struct run run;
        play(&run, who, plan, stream, (uint64_t)limit);
        if (n == 0 || off(&run, target) < off(best, target))
            *best = run;
        if (off(best, target) < CLOSE_ENOUGH)
            return;
        double grown = target - (double)run.rss_bytes;
        limit = limit + grown > target / 8 ? limit + grown : target / 8;
    }
}

static double ratio_of(const struct run *run)
{
    return (double)run->misses / (double)run->counted;
}

static bool is_installed(const struct contestant *who, const struct plan *plan)
{
    struct proc proc = {.name = who->server};
    if (strcmp(who->server, "ebb") == 0)
        proc.binary = plan->binary;
    return proc_is_installed(&proc);
}

static void run_stream(const struct stream *stream, const struct plan *plan, struct report *report)
{
    double target = 0, own = 0;
    fprintf(stderr, "# %s\n", stream->name);
    report->topic = "hits";
    report->phase = stream->name;
    for (size_t c = 0; c < CONTESTANT_COUNT; c++) {
        const struct contestant *who = &contestants[c];
        bool is_ebb = strcmp(who->server, "ebb") == 0;
        struct run run;
        if (!is_installed(who, plan)) {
            fprintf(stderr, "bench: %s is not installed: left out\n", who->server);
            continue;
        }
        if (is_ebb)
            play(&run, who, plan, stream, plan->limit_bytes);
        else
            find_equal(&run, who, plan, stream, target);
        if (c == 0) {
            target = (double)run.rss_bytes;
            own = ratio_of(&run);
        }
        report->row = who->label;
        report->is_bound = is_ebb;
        report_add(report, "miss_ratio", ratio_of(&run));
        report_add(report, "byte_miss_ratio", run.missed_bytes / run.counted_bytes);
        if (is_ebb)
            report_add_bound(report, "high_bytes", (double)run.high_bytes,
                             (double)plan->limit_bytes + 6.0 * (double)MIB);
        else
            report_add(report, "high_bytes", (double)run.high_bytes);
        report_add(report, "rss_bytes", (double)run.rss_bytes);
        report->is_bound = !is_ebb;
        /* Below 1 Ebb misses less often. A peer that can't do with as little is not compared. */
        if (!is_ebb && off(&run, target) < EQUAL)
            report_add_bound(report, "ebb_ratio", own / ratio_of(&run), 1.0);
    }
}

/* ---- options ---- */

static void usage(FILE *file)
{
    fputs("hits [STREAM]... [OPTION]...\n"
          "\n"
          "STREAM is kv, small, cdn or shift (default: all).\n"
          "\n"
          "  --binary PATH   Ebb's program (default build/ebb)\n"
          "  --limit MIB     Ebb's maxmemory (default 128)\n"
          "  --over N        what all keys come to, in limits (default 5)\n"
          "  --turns N       requests per key (default 4)\n"
          "  --runs N        most runs of a peer to find the same resident memory (default 4)\n"
          "  --seed N        of the streams (default 1)\n"
          "  --json FILE     all figures\n"
          "  --must-meet     exit with 1 when a peer misses less or Ebb passes its limit\n",
          file);
}

static unsigned stream_bit(const char *name)
{
    for (unsigned s = 0; s < STREAM_COUNT; s++)
        if (strcmp(streams[s].name, name) == 0)
            return 1u << s;
    die("%s: no such stream (see --help)", name);
}

static void read_options(struct plan *plan, int argc, char **argv)
{
    static const struct option rows[] = {
        {"binary", required_argument, NULL, 'b'}, {"limit", required_argument, NULL, 'l'},
        {"over", required_argument, NULL, 'o'},   {"turns", required_argument, NULL, 't'},
        {"runs", required_argument, NULL, 'r'},   {"seed", required_argument, NULL, 's'},
        {"json", required_argument, NULL, 'j'},   {"must-meet", no_argument, NULL, 'm'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
    };
    for (int option; (option = getopt_long(argc, argv, "", rows, NULL)) != -1;) {
        double number = optarg != NULL ? strtod(optarg, NULL) : 0;
        switch (option) {
        case 'b':
            plan->binary = optarg;
            break;
        case 'l':
            plan->limit_bytes = (uint64_t)(number * (double)MIB);
            break;
        case 'o':
            plan->over = number;
            break;
        case 't':
            plan->turns = number;
            break;
        case 'r':
            plan->runs = (unsigned)number;
            break;
        case 's':
            plan->seed = (uint64_t)number;
            break;
        case 'j':
            plan->json = optarg;
            break;
        case 'm':
            plan->must_meet = true;
            break;
        default:
            usage(option == 'h' ? stdout : stderr);
            exit(option == 'h' ? 0 : 2);
        }
    }
    for (; optind < argc; optind++)
        plan->stream_mask |= stream_bit(argv[optind]);
    if (plan->stream_mask == 0)
        plan->stream_mask = (1u << STREAM_COUNT) - 1;
    if (plan->limit_bytes < 8 * MIB || plan->over <= 0 || plan->turns <= 0 || plan->runs == 0)
        die("a number is too small (see --help)");
}

int main(int argc, char **argv)
{
    struct plan plan = {.limit_bytes = 128 * MIB, .over = 5, .turns = 4, .runs = 4, .seed = 1};
    struct report report = {0};
    read_options(&plan, argc, argv);
    for (unsigned s = 0; s < STREAM_COUNT; s++)
        if (plan.stream_mask >> s & 1)
            run_stream(&streams[s], &plan, &report);
    report_print_topic(&report, "hits");
    report_print_missed(&report);
    if (plan.json != NULL && !report_write_json(&report, plan.json))
        die("%s can't be written", plan.json);
    bool is_met = report_missed(&report) == 0;
    report_release(&report);
    return plan.must_meet && !is_met;
}
