/* SPDX-License-Identifier: MIT */
/* proc.c: starting, asking and ending a server. What the kernel says of it is in usage.c. */
#include "proc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "metrics_text.h"
#include "workload.h"

#define READY_MS       20000
#define STOP_MS        30000
#define STARTS_MAX     3 /* somebody else may take a port that was free a moment ago */
#define ARGUMENTS_MAX  24
#define MEMCACHED_ROOM 16 /* its limit over what it will hold */

enum kind { KIND_EBB, KIND_REDIS, KIND_MEMCACHED, KIND_LIMIT, KIND_RUNNING };

static enum kind kind_of(const struct proc *proc)
{
    if (strcmp(proc->name, "ebb") == 0)
        return KIND_EBB;
    if (strcmp(proc->name, "redis") == 0)
        return KIND_REDIS;
    if (strcmp(proc->name, "memcached") == 0)
        return KIND_MEMCACHED;
    if (strcmp(proc->name, "limit") == 0)
        return KIND_LIMIT;
    if (strchr(proc->name, ':') == NULL)
        die("%s: a server is ebb, redis, memcached or HOST:PORT", proc->name);
    return KIND_RUNNING;
}

static const char *binary_of(const struct proc *proc)
{
    static const char *const usual[] = {[KIND_EBB] = "build/ebb",
                                        [KIND_REDIS] = "redis-server",
                                        [KIND_MEMCACHED] = "memcached",
                                        [KIND_LIMIT] = "build/bench/limit"};
    return proc->binary != NULL ? proc->binary : usual[kind_of(proc)];
}

bool proc_is_installed(const struct proc *proc)
{
    if (kind_of(proc) == KIND_RUNNING)
        return true;
    const char *binary = binary_of(proc), *path = getenv("PATH");
    if (strchr(binary, '/') != NULL)
        return access(binary, X_OK) == 0;
    while (path != NULL && *path != '\0') {
        size_t length = strcspn(path, ":");
        char file[512];
        snprintf(file, sizeof file, "%.*s/%s", (int)length, path, binary);
        if (access(file, X_OK) == 0)
            return true;
        path += length + (path[length] == ':');
    }
    return false;
}

/* ---- starting ---- */

static uint16_t free_port(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) != 0)
        die("no free port: %s", strerror(errno));
    close(fd);
    return ntohs(address.sin_port);
}

struct arguments {
    char *list[ARGUMENTS_MAX + 1];
    size_t count;
};

static void add(struct arguments *arguments, const char *text)
{
    if (arguments->count == ARGUMENTS_MAX)
        die("too many arguments for a server");
    arguments->list[arguments->count++] = strdup(text);
}

static void add_number(struct arguments *arguments, const char *option, uint64_t number)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    add(arguments, option);
    add(arguments, text);
}

static void ebb_arguments(struct proc *proc, struct arguments *arguments)
{
    bool is_resp = proc->protocol == WIRE_RESP;
    proc->http_port = free_port();
    proc->memcached_port = is_resp ? free_port() : proc->port;
    add_number(arguments, "--port", is_resp ? proc->port : free_port());
    add_number(arguments, "--memcached-port", proc->memcached_port);
    add_number(arguments, "--http-port", proc->http_port);
}

static void redis_arguments(struct proc *proc, struct arguments *arguments)
{
    proc->protocol = WIRE_RESP;
    add_number(arguments, "--port", proc->port);
    const char *const fixed[] = {"--bind", "127.0.0.1", "--save", "", "--appendonly", "no"};
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
        add(arguments, fixed[i]);
}

static void memcached_arguments(struct proc *proc, struct arguments *arguments, uint64_t live_bytes)
{
    proc->protocol = WIRE_MEMCACHED;
    add_number(arguments, "-p", proc->port);
    add_number(arguments, "-U", 0);
    add_number(arguments, "-m", (live_bytes * MEMCACHED_ROOM >> 20) + 1024);
    add(arguments, "-l");
    add(arguments, "127.0.0.1");
    if (geteuid() == 0) { /* it insists on being told */
        add(arguments, "-u");
        add(arguments, "root");
    }
}

static void limit_arguments(struct proc *proc, struct arguments *arguments)
{
    proc->memcached_port = proc->port; /* it tells them apart */
    add_number(arguments, "--port", proc->port);
    add_number(arguments, "--value-bytes", proc->value_bytes);
}

/* Options may come from the environment too: none of ours shall reach the server. */
static void clear_environment(void)
{
    extern char **environ;
    for (char **at = environ; *at != NULL;) {
        if (strncmp(*at, "EBB_", 4) != 0) {
            at++;
            continue;
        }
        char name[128];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(*at, "="), *at);
        if (unsetenv(name) != 0)
            at++;
    }
}

static void spawn(struct proc *proc, const struct arguments *arguments, int log)
{
    pid_t parent = getpid();
    proc->pid = fork();
    if (proc->pid < 0)
        die("fork: %s", strerror(errno));
    if (proc->pid > 0)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a bench that is broken off leaves nothing running */
    if (getppid() != parent)
        _exit(127);
    if (proc->cpus != NULL)
        sched_setaffinity(0, sizeof *proc->cpus, proc->cpus);
    clear_environment();
    int null = open("/dev/null", O_RDONLY);
    dup2(null, STDIN_FILENO);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    execvp(arguments->list[0], arguments->list);
    fprintf(stderr, "%s: %s\n", arguments->list[0], strerror(errno));
    _exit(127);
}

static bool answers(const struct proc *proc)
{
    bool is_resp = proc->protocol == WIRE_RESP;
    char *answer = wire_ask(proc->port, is_resp ? "PING\r\n" : "version\r\n", "\n");
    bool is_there =
        answer != NULL && strncmp(answer, is_resp ? "+PONG" : "VERSION", is_resp ? 5 : 7) == 0;
    free(answer);
    return is_there;
}

static bool becomes_ready(struct proc *proc)
{
    uint64_t end = clock_ns() + READY_MS * UINT64_C(1000000);
    while (clock_ns() < end) {
        if (waitpid(proc->pid, NULL, WNOHANG) == proc->pid)
            return false;
        if (answers(proc))
            return true;
        sleep_ms(5);
    }
    kill(proc->pid, SIGKILL);
    waitpid(proc->pid, NULL, 0);
    return false;
}

static void show_log(int log)
{
    char text[2048];
    ssize_t length = pread(log, text, sizeof text, 0);
    if (length > 0)
        fprintf(stderr, "%.*s", (int)length, text);
}

static bool start_once(struct proc *proc, uint64_t live_bytes, bool is_last)
{
    struct arguments arguments = {0};
    int log = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (log < 0)
        die("/tmp: %s", strerror(errno));
    add(&arguments, binary_of(proc));
    proc->port = free_port();
    if (kind_of(proc) == KIND_EBB)
        ebb_arguments(proc, &arguments);
    else if (kind_of(proc) == KIND_REDIS)
        redis_arguments(proc, &arguments);
    else if (kind_of(proc) == KIND_LIMIT)
        limit_arguments(proc, &arguments);
    else
        memcached_arguments(proc, &arguments, live_bytes);
    for (size_t i = 0; proc->extra != NULL && proc->extra[i] != NULL; i++)
        add(&arguments, proc->extra[i]); /* the later wins */
    spawn(proc, &arguments, log);
    bool is_ready = becomes_ready(proc);
    if (!is_ready && is_last)
        show_log(log);
    close(log);
    for (size_t i = 0; i < arguments.count; i++)
        free(arguments.list[i]);
    return is_ready;
}

/* ---- one that runs already ---- */

/* The number behind `name` in INFO, CONFIG GET or stats; 0 if there is none. */
static unsigned long ask_number(uint16_t port, const char *question, const char *name,
                                const char *end)
{
    char *answer = wire_ask(port, question, end);
    const char *found = answer != NULL ? strstr(answer, name) : NULL;
    unsigned long number = 0;
    if (found != NULL) {
        found += strlen(name);
        if (strncmp(found, "\r\n$", 3) == 0) /* the next string of an array: skip its length */
            found = strchr(found + 3, '\n');
        number = found != NULL ? strtoul(found, NULL, 10) : 0;
    }
    free(answer);
    return number;
}

static void find_running(struct proc *proc)
{
    const char *port = strrchr(proc->name, ':') + 1;
    size_t host_length = (size_t)(port - 1 - proc->name);
    if (strncmp(proc->name, "127.0.0.1", host_length) != 0 &&
        strncmp(proc->name, "localhost", host_length) != 0)
        die("%s: only a server on this machine (127.0.0.1) can be watched", proc->name);
    proc->port = (uint16_t)strtoul(port, NULL, 10);
    if (!answers(proc))
        die("%s: nobody there who speaks the protocol (see --protocol)", proc->name);
    if (proc->protocol == WIRE_RESP) {
        proc->pid = (pid_t)ask_number(proc->port, "INFO server\r\n", "process_id:", "process_id:");
        proc->http_port = (uint16_t)ask_number(proc->port, "CONFIG GET http-port\r\nPING\r\n",
                                               "http-port", "+PONG");
    } else {
        proc->pid = (pid_t)ask_number(proc->port, "stats\r\n", "STAT pid ", "END\r\n");
    }
    if (proc->pid <= 0)
        die("%s: does not tell its process id", proc->name);
}

/* ---- life ---- */

void proc_start(struct proc *proc, uint64_t live_bytes)
{
    if (kind_of(proc) == KIND_RUNNING) {
        find_running(proc);
        return;
    }
    for (unsigned start = 1; start <= STARTS_MAX; start++) {
        if (start_once(proc, live_bytes, start == STARTS_MAX)) {
            proc->is_ours = true;
            return;
        }
    }
    die("%s: %s does not start", proc->name, binary_of(proc));
}

void proc_stop(struct proc *proc)
{
    if (!proc->is_ours)
        return;
    kill(proc->pid, SIGTERM);
    uint64_t end = clock_ns() + STOP_MS * UINT64_C(1000000);
    while (waitpid(proc->pid, NULL, WNOHANG) != proc->pid) {
        if (clock_ns() >= end)
            kill(proc->pid, SIGKILL);
        sleep_ms(5);
    }
    proc->is_ours = false;
    proc->pid = 0;
}

/* ---- Ebb's own figures ---- */

char *proc_metrics(const struct proc *proc)
{
    if (proc->http_port == 0)
        return NULL;
    return wire_ask(proc->http_port,
                    "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", NULL);
}

double proc_metric(const char *metrics, const char *name)
{
    double number = metrics != NULL ? metrics_number(metrics, name) : NAN;
    return isnan(number) ? 0 : number;
}
