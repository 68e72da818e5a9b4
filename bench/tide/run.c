/* SPDX-License-Identifier: MIT */
/* run.c: see run.h. Options, the server, the scenario's text; then the engine, then the files. */
#include "run.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "builtin.h"
#include "chart.h"
#include "engine.h"
#include "host.h"
#include "output.h"
#include "progress.h"
#include "refuse.h"
#include "report.h"
#include "result.h"

#define EXIT_REFUSED 2
#define TEXT_MAX     (1u << 20)

static const char help[] =
    "tide run SCENARIO (--server HOST:PORT | --spawn COMMAND) [OPTION]...\n"
    "\n"
    "SCENARIO is one of `tide list` or a file; `man tide` describes the format.\n"
    "\n"
    "  -s, --server HOST:PORT  a server that runs and is empty\n"
    "  -S, --spawn COMMAND     start it, %p in the command is a free port; it is ended after\n"
    "  -P, --protocol NAME     resp (the default), memcached, or meta (memcached's ms, mg, md)\n"
    "  -p, --pid N             whose memory is read (default: the server's, if it runs here)\n"
    "  -a, --pass PASSWORD     the server's; better in the environment, as TIDE_AUTH\n"
    "      --user NAME         whose password it is, if the server has several users\n"
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
    "A phase's verdicts: resident memory at its end, also over what is live then; peak/live, the\n"
    "highest in it; follow, seconds from its last command until memory had followed; the server's "
    "CPU\n"
    "seconds; p99.9 and longest delay of a question asked each millisecond; page faults by what "
    "was\n"
    "written; values that were wrong or missing; off, by how much the server's own count of live\n"
    "bytes differs. A star is the best of several runs, - what there is not: memory that did not\n"
    "follow while it was waited for, say.\n"
    "\n"
    "Exit code: 0; 1: values were wrong or missing; 2: it could not be measured to its end. What "
    "was\n"
    "seen until then is written in any case.\n";

struct run {
    struct host host;
    const char *json, *csv, *report;
    char report_json[4096]; /* where the report's figures are, without --json */
    struct chart chart;
    struct progress progress;
    char *text;    /* of the scenario, to be freed */
    char *command; /* the host's as it may be seen, to be freed */
    char password[PEER_SECRET_MAX + 1];
    struct scenario scenario;
    struct engine engine;
    struct run_facts facts;
};

/* ---- options ---- */

enum { SEED = 256, CSV, TIME_SCALE, USER };

static const struct option rows[] = {
    {"server", required_argument, NULL, 's'},
    {"spawn", required_argument, NULL, 'S'},
    {"protocol", required_argument, NULL, 'P'},
    {"pid", required_argument, NULL, 'p'},
    {"pass", required_argument, NULL, 'a'},
    {"user", required_argument, NULL, USER},
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
            run->host.peer.protocol = protocol;
            return 0;
        }
    return refuse("--protocol is resp, memcached or meta, not %s", text);
}

/* Whoever lists the processes sees stars. */
static int read_password(struct run *run, char *text)
{
    if (strlen(text) > PEER_SECRET_MAX)
        return refuse("a password has %d bytes at most", PEER_SECRET_MAX);
    strcpy(run->password, text);
    memset(text, '*', strlen(text));
    return 0;
}

static int read_option(struct run *run, int letter, char *text)
{
    double number = 0;
    int status = 0;
    switch (letter) {
    case 's':
        run->host.server = text;
        break;
    case 'S':
        run->host.command = text;
        break;
    case 'm':
        run->host.metrics = text;
        break;
    case 'a':
        return read_password(run, text);
    case USER:
        run->host.peer.user = text;
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
        return read_number("scale", text, 1e-6, 1e6, &run->facts.scale);
    case TIME_SCALE:
        return read_number("time-scale", text, 1e-6, 1e6, &run->facts.time_scale);
    case 'p':
        status = read_number("pid", text, 1, 1 << 30, &number);
        run->host.pid = (pid_t)number;
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

/* ---- who we are ---- */

static int take_password(struct run *run)
{
    struct peer *peer = &run->host.peer;
    const char *outer = getenv("TIDE_AUTH");
    if (run->password[0] == '\0' && outer != NULL &&
        snprintf(run->password, sizeof run->password, "%s", outer) > PEER_SECRET_MAX)
        return refuse("a password has %d bytes at most", PEER_SECRET_MAX);
    if (run->password[0] != '\0')
        peer->password = run->password;
    if (peer->user == NULL)
        return 0;
    if (peer->password == NULL)
        return refuse("--user needs --pass, or TIDE_AUTH in the environment");
    if (strlen(peer->user) > PEER_SECRET_MAX || strpbrk(peer->user, " \r\n") != NULL)
        return refuse("--user is a word of %d bytes at most", PEER_SECRET_MAX);
    return 0;
}

/* The command that started the server, for people to see; NULL: none, or no memory. */
static char *shown_command(const struct run *run)
{
    const char *at = run->host.command, *secret = run->password, *found;
    char *text = NULL;
    size_t size = 0, length = strlen(secret);
    FILE *file = at != NULL ? open_memstream(&text, &size) : NULL;
    if (file == NULL)
        return NULL;
    for (; length > 0 && (found = strstr(at, secret)) != NULL; at = found + length)
        fprintf(file, "%.*s***", (int)(found - at), at);
    fputs(at, file);
    fclose(file);
    return text;
}

/* ---- the scenario ---- */

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = file != NULL ? malloc(TEXT_MAX) : NULL;
    if (text != NULL) {
        size_t length = fread(text, 1, TEXT_MAX - 1, file);
        text[length] = '\0';
        if (length == TEXT_MAX - 1)
            errno = EFBIG;
        if (ferror(file) || length == TEXT_MAX - 1) { /* a folder, say */
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
    if (scenario_parse(&run->scenario, text, run->facts.scale, error, sizeof error) < 0)
        return refuse("%s:%s", name, error);
    scenario_stretch(&run->scenario, run->facts.time_scale);
    const char *slash = strrchr(name, '/');
    run->facts.scenario_name = slash != NULL ? slash + 1 : name;
    run->facts.scenario_text = text;
    run->engine.scenario = &run->scenario;
    run->engine.is_evicting = run->engine.is_evicting || run->scenario.is_evicting;
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
    fprintf(stderr, "tide: %s, for a browser\n", run->report);
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
    run->facts.host = &run->host;
    run->facts.command = run->command = shown_command(run);
    run->facts.started = time(NULL);
    engine->peer = &run->host.peer;
    engine->source = &run->host.source;
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

/* Before hours of work, not after them. */
static int try_outputs(const struct run *run)
{
    const char *const paths[] = {run->json, run->csv, run->report};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        if (paths[i] != NULL && output_try(paths[i]) < 0)
            return refuse("%s can't be written: %s", paths[i], strerror(errno));
    return 0;
}

/* Each connection is a file. */
static void allow_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static int prepare(struct run *run, const char *scenario)
{
    if ((run->host.server == NULL) == (run->host.command == NULL))
        return refuse("one of --server and --spawn is needed; tide run --help says more");
    if (run->host.metrics != NULL && run->host.pid != 0)
        return refuse("--pid and --metrics say two things of where memory is read");
    if (run->report != NULL && run->json == NULL) {
        snprintf(run->report_json, sizeof run->report_json, "%s.json", run->report);
        run->json = run->report_json;
    }
    allow_files();
    return read_scenario(run, scenario) < 0 || try_outputs(run) < 0 || take_password(run) < 0 ||
                   host_open(&run->host) < 0
               ? -1
               : 0;
}

int run_main(int argc, char **argv)
{
    static struct run run; /* large: the phases are in it */
    int letter, status;
    run = (struct run){.facts = {.scale = 1, .time_scale = 1},
                       .engine = {.lane_count = 8, .depth = 32, .seed = 1}};
    while ((letter = getopt_long(argc, argv, "s:S:P:p:a:m:x:c:d:el:j:r:h", rows, NULL)) != -1) {
        if (letter == 'h')
            return fputs(help, stdout) < 0 ? EXIT_REFUSED : 0;
        if (read_option(&run, letter, optarg) < 0)
            return EXIT_REFUSED;
    }
    if (optind != argc - 1) {
        refuse("run needs one scenario; tide list names them");
        return EXIT_REFUSED;
    }
    status = prepare(&run, argv[optind]) < 0 ? EXIT_REFUSED : play(&run);
    host_close(&run.host);
    engine_release(&run.engine);
    scenario_release(&run.scenario);
    free(run.command);
    free(run.text);
    return status;
}
