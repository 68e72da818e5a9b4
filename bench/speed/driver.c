/* SPDX-License-Identifier: MIT */
/* driver.c: the driver as a program of its own: reads the options, fills, drives once, prints.
 * `drive --help` says how.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../arguments.h"
#include "../workload.h"
#include "drive.h"

struct options {
    struct load_options load;
    struct drive_options drive;
    bool has_fill;
};

static void usage(FILE *file)
{
    fputs(
        "drive --port N [OPTION]...\n"
        "\n"
        "Plays gets and sets against a server on 127.0.0.1 and prints what it reached, and what "
        "the\n"
        "driver and the server spent on it.\n"
        "\n"
        "  --port N\n"
        "  --protocol NAME     resp (default), text or meta\n"
        "  --connections N     (default 50)\n"
        "  --depth N           commands on their way on each (default 1)\n"
        "  --value-bytes N     of every value (default 100)\n"
        "  --keys N            how many there are, of 20 bytes (default 10000)\n"
        "  --fill              store all of them first\n"
        "  --get-ratio F       share of gets among the commands (default 0.91)\n"
        "  --multiget N        keys of a get: MGET, get of many keys, many mg (default 1)\n"
        "  --zipf F            exponent of the keys' popularity, below 1 (default 0: all the "
        "same)\n"
        "  --seconds F         (default 5)\n"
        "  --operations N      instead of seconds: until so many keys were read or written\n"
        "  --warm F            seconds before that do not count (default 0.5)\n"
        "  --threads N         of the driver (default 1)\n"
        "  --cpu N             where the driver runs\n"
        "  --pid N             the server's process, to see what it spends\n"
        "  --seed N            (default 1)\n"
        "\n"
        "An operation is a key read or written: a MGET of 100 counts for 100. Exit code: 0, or 2\n"
        "when it could not be measured; a reply that is not what it must be ends it so.\n",
        file);
}

/* ---- reading the options ---- */

enum option_id {
    PORT,
    PROTOCOL,
    CONNECTIONS,
    DEPTH,
    VALUE_BYTES,
    KEYS,
    FILL,
    GET_RATIO,
    MULTIGET,
    ZIPF,
    SECONDS,
    OPERATIONS,
    WARM,
    THREADS,
    CPU,
    PID,
    SEED,
    HELP
};

static const struct row {
    const char *name;
    double least, most; /* both 0: no number */
} rows[] = {
    [PORT] = {"port", 1, 65535},
    [PROTOCOL] = {"protocol", 0, 0},
    [CONNECTIONS] = {"connections", 1, 1e6},
    [DEPTH] = {"depth", 1, 1e4},
    [VALUE_BYTES] = {"value-bytes", 1, 32e6},
    [KEYS] = {"keys", 1, 4e9},
    [FILL] = {"fill", 0, 0},
    [GET_RATIO] = {"get-ratio", 0, 1},
    [MULTIGET] = {"multiget", 1, 1e4},
    [ZIPF] = {"zipf", 0, 0.999},
    [SECONDS] = {"seconds", 0.01, 1e6},
    [OPERATIONS] = {"operations", 1, 1e15},
    [WARM] = {"warm", 0, 1e4},
    [THREADS] = {"threads", 1, 256},
    [CPU] = {"cpu", 0, CPU_SETSIZE - 1},
    [PID] = {"pid", 1, 1e9},
    [SEED] = {"seed", 0, 1e15},
    [HELP] = {"help", 0, 0},
};
#define OPTION_COUNT (sizeof rows / sizeof rows[0])

static enum load_protocol read_protocol(const char *name)
{
    static const char *const names[] = {
        [LOAD_RESP] = "resp", [LOAD_TEXT] = "text", [LOAD_META] = "meta"};
    for (unsigned p = 0; p < sizeof names / sizeof names[0]; p++)
        if (strcmp(name, names[p]) == 0)
            return (enum load_protocol)p;
    die("--protocol: resp, text or meta");
}

static void read_option(struct options *options, enum option_id id, const char *text)
{
    static cpu_set_t cpus;
    const struct row *row = &rows[id];
    double number = row->most > 0 ? argument_number(text, row->name, row->least, row->most) : 0;
    switch (id) {
    case PORT:
        options->drive.port = (uint16_t)number;
        break;
    case PROTOCOL:
        options->load.protocol = read_protocol(text);
        break;
    case CONNECTIONS:
        options->drive.connections = (unsigned)number;
        break;
    case DEPTH:
        options->load.depth = (unsigned)number;
        break;
    case VALUE_BYTES:
        options->load.value_bytes = (size_t)number;
        break;
    case KEYS:
        options->load.keys = (uint64_t)number;
        break;
    case FILL:
        options->has_fill = true;
        break;
    case GET_RATIO:
        options->load.get_share = number;
        break;
    case MULTIGET:
        options->load.multiget = (unsigned)number;
        break;
    case ZIPF:
        options->load.zipf = number;
        break;
    case SECONDS:
        options->drive.seconds = number;
        break;
    case OPERATIONS:
        options->drive.operations = (uint64_t)number;
        options->drive.seconds = 0;
        break;
    case WARM:
        options->drive.warm_seconds = number;
        break;
    case THREADS:
        options->drive.threads = (unsigned)number;
        break;
    case CPU:
        CPU_ZERO(&cpus);
        CPU_SET((size_t)number, &cpus);
        options->drive.cpus = &cpus;
        break;
    case PID:
        options->drive.server = (pid_t)number;
        break;
    case SEED:
        options->load.seed = (uint64_t)number;
        break;
    case HELP:
        usage(stdout);
        exit(0);
    }
}

static void read_options(struct options *options, int argc, char **argv)
{
    struct option known[OPTION_COUNT + 1] = {0};
    for (unsigned o = 0; o < OPTION_COUNT; o++)
        known[o] = (struct option){
            rows[o].name, o == FILL || o == HELP ? no_argument : required_argument, NULL, (int)o};
    *options = (struct options){
        .load = {.value_bytes = 100,
                 .keys = 10000,
                 .depth = 1,
                 .multiget = 1,
                 .get_share = 10.0 / 11,
                 .seed = 1},
        .drive = {.connections = 50, .threads = 1, .warm_seconds = 0.5, .seconds = 5}};
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (option == '?') {
            usage(stderr);
            exit(2);
        }
        read_option(options, (enum option_id)option, optarg);
    }
    if (optind < argc || options->drive.port == 0)
        die("drive --port N [OPTION]... (see --help)");
}

/* ---- printing ---- */

static double per_operation(double seconds, const struct drive_result *result)
{
    return seconds * 1e9 / (double)result->operations;
}

static void print_server(const struct drive_result *result)
{
    static const char *const names[EVENT_COUNT] = {"instructions", "cycles", "context switches"};
    printf("server         %.0f ns CPU an operation, busy %.0f %%\n",
           per_operation(result->server_cpu_seconds, result), 100 * drive_server_busy(result));
    for (unsigned e = 0; e < EVENT_COUNT; e++) {
        if (result->server_events.has[e])
            printf("               %.3g %s an operation\n",
                   (double)result->server_events.counts[e] / (double)result->operations, names[e]);
        else
            printf("               %s can't be counted here\n", names[e]);
    }
    if (drive_is_limit(result))
        printf("the driver is the limit: compare the server's CPU time, not operations/s\n");
}

static void print(const struct options *options, const struct drive_result *result)
{
    const struct histogram *latency = &result->latency;
    printf("operations/s   %.0f (%llu in %.2f s; %llu commands, %u connections, %u at a time)\n",
           (double)result->operations / result->seconds, (unsigned long long)result->operations,
           result->seconds, (unsigned long long)result->commands, options->drive.connections,
           options->load.depth);
    printf("MB/s           %.1f received, %.1f sent\n",
           (double)result->received_bytes / result->seconds / 1e6,
           (double)result->sent_bytes / result->seconds / 1e6);
    printf("latency us     p50 %.1f  p99 %.1f  p99.9 %.1f  longest %.1f\n",
           (double)histogram_quantile(latency, 0.5) / 1e3,
           (double)histogram_quantile(latency, 0.99) / 1e3,
           (double)histogram_quantile(latency, 0.999) / 1e3, (double)latency->longest_ns / 1e3);
    printf("misses         %llu\n", (unsigned long long)result->misses);
    printf("driver         %.0f ns CPU an operation, busy %.0f %%\n",
           per_operation(result->driver_cpu_seconds, result), 100 * drive_driver_busy(result));
    if (options->drive.server != 0)
        print_server(result);
}

int main(int argc, char **argv)
{
    struct options options;
    struct load load;
    static struct drive_result result;
    read_options(&options, argc, argv);
    load_compose(&load, &options.load);
    if (options.has_fill)
        load_fill(options.load.protocol == LOAD_RESP ? WIRE_RESP : WIRE_MEMCACHED,
                  options.drive.port, options.load.keys, options.load.value_bytes);
    drive(&load, &options.drive, &result);
    print(&options, &result);
    load_release(&load);
    return 0;
}
