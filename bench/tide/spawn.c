/* SPDX-License-Identifier: MIT */
/* spawn.c: see spawn.h. */
#include "spawn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define STOP_STEPS   1000
#define STOP_STEP_US 10000

uint16_t spawn_free_port(void)
{
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bool is_bound = descriptor >= 0 &&
                    bind(descriptor, (struct sockaddr *)&address, sizeof address) == 0 &&
                    getsockname(descriptor, (struct sockaddr *)&address, &length) == 0;
    if (descriptor >= 0)
        close(descriptor);
    return is_bound ? ntohs(address.sin_port) : 0;
}

/* So that no shell stays between, where one command is all there is: it would not pass on the death
 * of tide. */
static const char *prefix_of(const char *command)
{
    static const char exec[] = "exec ";
    size_t first = strcspn(command, " ");
    if (strpbrk(command, ";&|()`\n") != NULL || strncmp(command, exec, strlen(exec)) == 0)
        return "";
    return memchr(command, '=', first) != NULL ? "exec env " : exec;
}

/* The command with the port in it; the caller frees it. */
static char *shell_text(const char *command, uint16_t port)
{
    size_t size = 0;
    char *text = NULL;
    FILE *file = open_memstream(&text, &size);
    if (file == NULL)
        return NULL;
    fputs(prefix_of(command), file);
    for (; *command != '\0'; command++) {
        if (command[0] == '%' && command[1] == 'p') {
            fprintf(file, "%u", port);
            command++;
        } else {
            fputc(*command, file);
        }
    }
    fclose(file);
    return text;
}

pid_t spawn_start(const char *command, uint16_t port)
{
    char *text = shell_text(command, port);
    prctl(PR_SET_CHILD_SUBREAPER, 1); /* those a shell leaves behind are waited for too */
    pid_t parent = getpid(), pid = text == NULL ? -1 : fork();
    if (pid > 0)
        setpgid(pid, pid); /* as the child does: whoever comes first */
    if (pid != 0) {
        free(text);
        return pid;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a run that is broken off leaves nothing running */
    if (getppid() != parent)
        _exit(127);
    setpgid(0, 0); /* control-C is for tide, which ends it in order */
    signal(SIGPIPE, SIG_DFL);
    int null = open("/dev/null", O_RDWR);
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO); /* what it complains of is shown: stderr stays */
    execl("/bin/sh", "sh", "-c", text, (char *)NULL);
    _exit(127);
}

void spawn_end(pid_t pid)
{
    pid_t ended;
    kill(-pid, SIGTERM);
    for (unsigned step = 0; (ended = waitpid(-pid, NULL, WNOHANG)) >= 0; step++) {
        if (step == STOP_STEPS)
            kill(-pid, SIGKILL);
        if (ended == 0)
            usleep(STOP_STEP_US);
    }
}
