/* SPDX-License-Identifier: MIT */
/* main.c: tide's command line. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "builtin.h"
#include "compare.h"
#include "run.h"
#include "scenario.h"

static const char help[] =
    "tide: load-tests how a cache server gives memory back\n"
    "\n"
    "  tide run SCENARIO [OPTION]...   play it on a server, print a verdict of each phase\n"
    "  tide list                       the scenarios that are built in\n"
    "  tide show NAME                  the text of one, to be changed and given to run\n"
    "  tide compare FILE.json...       earlier runs beside each other, --report FILE.html as a "
    "page\n"
    "\n"
    "For a server of yours, started for the test on a port that tide puts for %p, and ended "
    "after:\n"
    "\n"
    "  tide run w3 --scale 0.1 --spawn 'redis-server --port %p --save \"\"' --json redis.json\n"
    "  tide run w3 --scale 0.1 --protocol memcached --spawn 'memcached -p %p -m 4096' \\\n"
    "      --json memcached.json\n"
    "\n"
    "  tide compare redis.json memcached.json --report both.html\n"
    "\n"
    "Each takes some fifteen seconds; at full size, without --scale, two minutes. One that runs\n"
    "already and is empty, here or elsewhere: --server HOST:PORT instead of --spawn, and --pass "
    "if\n"
    "it wants a password. By TCP alone: for TLS or a Unix socket put stunnel or socat between.\n"
    "\n"
    "`tide run --help` lists the options, `man tide` says what the figures mean.\n";

static int list(void)
{
    static struct scenario scenario;
    char error[160];
    for (size_t i = 0; i < builtin_count; i++) {
        if (scenario_parse(&scenario, builtins[i].text, 1, error, sizeof error) < 0) {
            fprintf(stderr, "tide: %s:%s\n", builtins[i].name, error);
            return 2;
        }
        printf("%-14s %s\n", builtins[i].name, scenario.title);
        scenario_release(&scenario);
    }
    return 0;
}

static int show(const char *name)
{
    const char *text = name != NULL ? builtin_text(name) : NULL;
    if (text == NULL) {
        fprintf(stderr, "tide: no such scenario (see tide list)\n");
        return 2;
    }
    fputs(text, stdout);
    return 0;
}

static int finish(int status)
{
    if (fflush(stdout) == 0)
        return status;
    perror("tide: standard output");
    return 2;
}

int main(int argc, char **argv)
{
    static char run_name[] = "tide run", compare_name[] = "tide compare"; /* for getopt's words */
    const char *word = argc > 1 ? argv[1] : "";
    signal(SIGPIPE, SIG_IGN); /* a pipe that nobody reads to its end is no reason to lose a run */
    if (strcmp(word, "run") == 0) {
        argv[1] = run_name;
        return finish(run_main(argc - 1, argv + 1));
    }
    if (strcmp(word, "compare") == 0) {
        argv[1] = compare_name;
        return finish(compare_main(argc - 1, argv + 1));
    }
    if (strcmp(word, "list") == 0)
        return finish(list());
    if (strcmp(word, "show") == 0)
        return finish(show(argv[2]));
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0)
        return finish(puts("tide " TIDE_VERSION) < 0 ? 2 : 0);
    bool is_asked =
        strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0;
    if (!is_asked && word[0] != '\0')
        fprintf(stderr, "tide: no such command: %s; tide --help names them\n", word);
    else
        fputs(help, is_asked ? stdout : stderr);
    return finish(is_asked ? 0 : 2);
}
