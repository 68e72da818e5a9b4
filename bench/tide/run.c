/* SPDX-License-Identifier: MIT */
/* run.c: see run.h. Options, the server, the scenario's text; then the engine, then the files. */
#include "run.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <math.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../process.h"
#include "builtin.h"
#include "chart.h"
#include "engine.h"
#include "progress.h"
#include "report.h"
#include "result.h"
#include "spawn.h"

#define EXIT_REFUSED  2
#define READY_STEPS   2000
#define READY_STEP_US 10000
#define TEXT_MAX      (1u << 20)
#define ANSWER_BYTES  65536

static const char help[] =
    "tide run SCENARIO (--server HOST:PORT | --spawn COMMAND) [OPTION]...\n"
    "\n"
    "SCENARIO is one of `tide list` or a file; `man tide` describes the format.\n"
    "\n"
    "  -s, --server HOST:PORT  a server that runs and is empty\n"
    "  -S, --spawn COMMAND     start it, %p in the command is a free port; it is ended after\n"
    "  -P, --protocol NAME     resp (the default), memcached, or meta (memcached's ms, mg, md)\n"
    "  -p, --pid N             whose memory is read (default: the server's, if it runs here)\n"
    "  -m, --metrics URL       read memory there: Ebb's page of metrics or an exporter's\n"
    "                          (default for a server elsewhere: its INFO)\n"
    "  -x, --scale N           multiplies all sizes and counts of the scenario (default 1)\n"
    "      --time-scale N      and its times, but for those to settle (default 1)\n"
    "  -c, --connections N     of the load (default 8)\n"
    "  -d, --depth N           commands on their way on each (default 32)\n"
    "      --seed N            of all that is random (default 1)\n"
    "  -e, --evicting          the server has a limit: keys that are gone are no fault\n"
    "  -l, --label TEXT        how reports call this run\n"
    "  -j, --json FILE         all figures and samples\n"
    "      --csv FILE          the samples\n"
    "  -r, --report FILE       a page to look at; reads the figures from --json's file, or from\n"
    "                          FILE.json if that is not given\n"
    "  -h, --help              this\n"
    "\n"
    "Exit code: 0; 1: values were wrong or missing; 2: it could not be measured to its end. What "
    "was\n"
    "seen until then is written in any case.\n";

struct run {
    const char *server, *spawn, *metrics, *json, *csv, *report;
    char report_json[4096]; /* where the report's figures are, without --json */
    struct chart chart;
    double scale, time_scale;
    struct progress progress;
    pid_t pid;      /* given or spawned; 0 */
    double own_pid; /* the server's word; NAN */
    bool is_ours;
    char *text; /* of the scenario, to be freed */
    char address_text[280];
    struct addrinfo *address;
    struct scenario scenario;
    struct source source;
    struct engine engine;
    struct run_facts facts;
};

__attribute__((format(printf, 1, 2))) static int refuse(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("tide: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    return -1;
}

/* ---- options ---- */

enum { SEED = 256, CSV, TIME_SCALE };

static const struct option rows[] = {
    {"server", required_argument, NULL, 's'},
    {"spawn", required_argument, NULL, 'S'},
    {"protocol", required_argument, NULL, 'P'},
    {"pid", required_argument, NULL, 'p'},
    {"metrics", required_argument, NULL, 'm'},
    {"scale", required_argument, NULL, 'x'},
    {"time-scale", required_argument, NULL, TIME_SCALE},
    {"connections", required_argument, NULL, 'c'},
    {"depth", required_argument, NULL, 'd'},
    {"seed", required_argument, NULL, SEED},
    {"evicting", no_argument, NULL, 'e'},
    {"label", required_argument, NULL, 'l'},
    {"json", required_argument, NULL, 'j'},
    {"csv", required_argument, NULL, CSV},
    {"report", required_argument, NULL, 'r'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static int read_number(const char *name, const char *text, double least, double most,
                       double *number)
{
    char *end;
    *number = strtod(text, &end);
    if (end == text || *end != '\0' || !(*number >= least && *number <= most))
        return refuse("--%s is a number from %g to %g, not %s", name, least, most, text);
    return 0;
}

static int read_protocol(struct run *run, const char *text)
{
    for (unsigned protocol = 0; protocol < PROTOCOL_COUNT; protocol++)
        if (strcmp(text, protocol_name(protocol)) == 0) {
            run->engine.protocol = protocol;
            return 0;
        }
    return refuse("--protocol is resp, memcached or meta, not %s", text);
}

static int read_option(struct run *run, int letter, const char *text)
{
    double number = 0;
    int status = 0;
    switch (letter) {
    case 's':
        run->server = text;
        break;
    case 'S':
        run->spawn = text;
        break;
    case 'm':
        run->metrics = text;
        break;
    case 'P':
        return read_protocol(run, text);
    case 'e':
        run->engine.is_evicting = true;
        break;
    case 'l':
        run->facts.label = text;
        break;
    case 'j':
        run->json = text;
        break;
    case CSV:
        run->csv = text;
        break;
    case 'r':
        run->report = text;
        break;
    case 'x':
        return read_number("scale", text, 1e-6, 1e6, &run->scale);
    case TIME_SCALE:
        return read_number("time-scale", text, 1e-6, 1e6, &run->time_scale);
    case 'p':
        status = read_number("pid", text, 1, 1 << 30, &number);
        run->pid = (pid_t)number;
        break;
    case 'c':
        status = read_number("connections", text, 1, ENGINE_LANES_MAX, &number);
        run->engine.lane_count = (unsigned)number;
        break;
    case 'd':
        status = read_number("depth", text, 1, LANE_DEPTH_MAX, &number);
        run->engine.depth = (unsigned)number;
        break;
    case SEED:
        status = read_number("seed", text, 0, 1e15, &number);
        run->engine.seed = (uint64_t)number;
        break;
    default:
        return -1; /* getopt has said it */
    }
    return status;
}

/* ---- the scenario ---- */

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = file != NULL ? malloc(TEXT_MAX) : NULL;
    if (text != NULL) {
        size_t length = fread(text, 1, TEXT_MAX - 1, file);
        text[length] = '\0';
        if (ferror(file)) { /* a folder, say */
            free(text);
            text = NULL;
        }
    }
    if (file != NULL)
        fclose(file);
    return text;
}

static int read_scenario(struct run *run, const char *name)
{
    char error[200];
    const char *text = builtin_text(name);
    if (text == NULL)
        text = run->text = read_file(name);
    if (text == NULL)
        return refuse("%s is neither built in (see tide list) nor a file: %s", name,
                      strerror(errno));
    if (scenario_parse(&run->scenario, text, run->scale, error, sizeof error) < 0)
        return refuse("%s:%s", name, error);
    scenario_stretch(&run->scenario, run->time_scale);
    const char *slash = strrchr(name, '/');
    run->facts.scenario_name = slash != NULL ? slash + 1 : name;
    run->facts.scenario_text = text;
    run->engine.scenario = &run->scenario;
    run->engine.is_evicting = run->engine.is_evicting || run->scenario.is_evicting;
    return 0;
}

/* ---- the server ---- */

static int find_address(struct run *run)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    char host[256];
    const char *colon = strrchr(run->address_text, ':');
    if (colon == NULL || colon == run->address_text || colon - run->address_text > 255)
        return refuse("--server is HOST:PORT, not %s", run->address_text);
    snprintf(host, sizeof host, "%.*s", (int)(colon - run->address_text), run->address_text);
    int status = getaddrinfo(host, colon + 1, &hints, &run->address);
    return status == 0 ? 0 : refuse("%s: %s", run->address_text, gai_strerror(status));
}

static bool answers(const struct run *run)
{
    char answer[256];
    bool is_resp = run->engine.protocol == PROTOCOL_RESP;
    return server_ask(run->address, is_resp ? "PING\r\n" : "version\r\n",
                      is_resp ? "+PONG\r\n" : "VERSION", answer, sizeof answer) > 0;
}

static int start_server(struct run *run)
{
    uint16_t port = spawn_free_port();
    if (port == 0)
        return refuse("no free port");
    snprintf(run->address_text, sizeof run->address_text, "127.0.0.1:%u", port);
    if (find_address(run) < 0)
        return -1;
    run->pid = spawn_start(run->spawn, port);
    if (run->pid < 0)
        return refuse("can't start %s: %s", run->spawn, strerror(errno));
    run->is_ours = true;
    for (unsigned step = 0; step < READY_STEPS; step++) {
        if (waitpid(run->pid, NULL, WNOHANG) == run->pid) {
            run->is_ours = false;
            return refuse("the server ended at once: %s", run->spawn);
        }
        if (answers(run))
            return 0;
        usleep(READY_STEP_US);
    }
    return refuse("the server does not answer on port %u (is %%p in the command?)", port);
}

static void read_text(const char *answer, const char *name, char text[], size_t size)
{
    const char *found = strstr(answer, name);
    if (found != NULL)
        snprintf(text, size, "%.*s", (int)strcspn(found + strlen(name), "\r\n"),
                 found + strlen(name));
}

/* What it is, and whether it is empty. */
static int ask_server(struct run *run)
{
    static char answer[ANSWER_BYTES];
    bool is_resp = run->engine.protocol == PROTOCOL_RESP;
    char *version = run->facts.server_version;
    if (server_ask(run->address, is_resp ? "INFO\r\nPING\r\n" : "stats\r\n",
                   is_resp ? "+PONG\r\n" : "END\r\n", answer, sizeof answer) < 0)
        return refuse("%s: nobody there who speaks %s", run->address_text,
                      is_resp ? "resp" : "memcached");
    run->facts.server_name = is_resp ? "redis" : "memcached";
    read_text(answer, is_resp ? "redis_version:" : "STAT version ", version,
              sizeof run->facts.server_version);
    if (strstr(answer, "ebb_version") != NULL || strstr(version, "ebb") != NULL) {
        run->facts.server_name = "ebb";
        read_text(answer, "ebb_version:", version, sizeof run->facts.server_version);
    }
    run->own_pid = answer_number(answer, is_resp ? "process_id:" : "STAT pid ");
    double items = server_items(run->address, run->engine.protocol);
    if (items > 0)
        return refuse("%s holds %.0f items; tide needs an empty server", run->address_text, items);
    return 0;
}

/* ---- whose memory ---- */

static uint16_t port_of(const struct addrinfo *address)
{
    const void *socket_address = address->ai_addr;
    in_port_t port = address->ai_family == AF_INET6
                         ? ((const struct sockaddr_in6 *)socket_address)->sin6_port
                         : ((const struct sockaddr_in *)socket_address)->sin_port;
    return ntohs(port);
}

/* Whether the id that the server gives is one on this machine. Of another user's process only the
 * name is seen. */
static bool runs_here(const struct run *run)
{
    char name[64];
    if (!(run->own_pid >= 1 && run->own_pid < INT_MAX))
        return false;
    pid_t pid = (pid_t)run->own_pid;
    enum process_listens listens = process_listens(pid, port_of(run->address));
    return listens == LISTENS_YES ||
           (listens == LISTENS_UNKNOWN && process_read(pid, "comm", name, sizeof name) &&
            strstr(name, run->facts.server_name) != NULL);
}

static int choose_source(struct run *run)
{
    char error[400];
    int status;
    if (run->pid == 0 && run->metrics == NULL && runs_here(run))
        run->pid = (pid_t)run->own_pid;
    run->engine.source = &run->source;
    if (run->metrics != NULL)
        status = source_of_metrics(&run->source, run->metrics, error, sizeof error);
    else if (run->pid != 0)
        status = source_of_process(&run->source, run->pid, error, sizeof error);
    else if (run->engine.protocol == PROTOCOL_RESP)
        status = source_of_info(&run->source, run->address, error, sizeof error);
    else
        return refuse("%s: it does not run here as a process that can be read, and memcached does "
                      "not say its resident memory; give --pid, or --metrics",
                      run->address_text);
    if (status < 0)
        return refuse("%s", error);
    source_text(&run->source, error, sizeof error);
    fprintf(stderr, "tide: memory from %s\n", error);
    return 0;
}

/* ---- the run ---- */

#define DRAW_SAMPLES 5 /* a picture each quarter of a second */

static void on_sample(void *context, const struct engine *engine)
{
    struct run *run = context;
    const struct sample *sample = &engine->samples[engine->sample_count - 1];
    chart_add(&run->chart, sample->seconds, sample->resident, sample->live);
    progress_note(&run->progress, engine);
    if (engine->sample_count % DRAW_SAMPLES != 1)
        return;
    double left = progress_seconds_left(&run->progress, engine);
    double share = left < 0 ? 0 : sample->seconds / (sample->seconds + left + 1e-9);
    chart_draw(&run->chart, share, left, engine->scenario->phases[engine->phase].name);
}

static int write_report(const struct run *run)
{
    char error[512];
    char *const paths[] = {(char *)(uintptr_t)run->json}; /* is only read */
    if (report_write(run->report, paths, 1, error, sizeof error) < 0)
        return refuse("%s", error);
    return 0;
}

static int write_files(const struct run *run, const json_t *result)
{
    int status = 0;
    if (run->json != NULL && result_write_json(result, run->json) < 0)
        status = refuse("%s can't be written: %s", run->json, strerror(errno));
    if (run->csv != NULL && result_write_csv(&run->engine, run->csv) < 0)
        status = refuse("%s can't be written: %s", run->csv, strerror(errno));
    if (run->report != NULL && status == 0)
        status = write_report(run);
    return status;
}

static int show(const struct run *run)
{
    json_t *result = result_make(&run->engine, &run->facts);
    int status = 0;
    if (result == NULL)
        return refuse("no memory for the result");
    if (result_print(result, stdout) < 0)
        status = refuse("no table: %s", strerror(errno));
    if (write_files(run, result) < 0)
        status = -1;
    json_decref(result);
    return status;
}

static int play(struct run *run)
{
    struct engine *engine = &run->engine;
    run->facts.address = run->address_text;
    run->facts.command = run->spawn;
    run->facts.pid = run->pid;
    run->facts.started = time(NULL);
    engine->address = run->address;
    engine->on_sample = on_sample;
    engine->context = run;
    progress_init(&run->progress, engine->scenario);
    chart_init(&run->chart, stderr, isatty(STDERR_FILENO));
    int status = engine_run(engine);
    chart_end(&run->chart);
    if (status < 0)
        refuse("%s", engine->error);
    if (show(run) < 0 || status < 0)
        return EXIT_REFUSED;
    return engine->counts.wrong + engine->counts.missing > 0;
}

static int prepare_and_play(struct run *run, const char *scenario)
{
    if ((run->server == NULL) == (run->spawn == NULL)) {
        refuse("one of --server and --spawn is needed; tide run --help says more");
        return EXIT_REFUSED;
    }
    if (read_scenario(run, scenario) < 0)
        return EXIT_REFUSED;
    if (run->server != NULL)
        snprintf(run->address_text, sizeof run->address_text, "%s", run->server);
    if ((run->spawn != NULL ? start_server(run) : find_address(run)) < 0 || ask_server(run) < 0 ||
        choose_source(run) < 0)
        return EXIT_REFUSED;
    return play(run);
}

int run_main(int argc, char **argv)
{
    static struct run run; /* large: the phases are in it */
    int letter, status;
    run = (struct run){
        .scale = 1, .time_scale = 1, .engine = {.lane_count = 8, .depth = 32, .seed = 1}};
    while ((letter = getopt_long(argc, argv, "s:S:P:p:m:x:c:d:el:j:r:h", rows, NULL)) != -1) {
        if (letter == 'h')
            return fputs(help, stdout) < 0 ? EXIT_REFUSED : 0;
        if (read_option(&run, letter, optarg) < 0)
            return EXIT_REFUSED;
    }
    if (optind != argc - 1) {
        refuse("run needs one scenario; tide list names them");
        return EXIT_REFUSED;
    }
    if (run.report != NULL && run.json == NULL) {
        snprintf(run.report_json, sizeof run.report_json, "%s.json", run.report);
        run.json = run.report_json;
    }
    status = prepare_and_play(&run, argv[optind]);
    source_release(&run.source);
    if (run.is_ours)
        spawn_end(run.pid);
    engine_release(&run.engine);
    scenario_release(&run.scenario);
    if (run.address != NULL)
        freeaddrinfo(run.address);
    free(run.text);
    return status;
}
