/* SPDX-License-Identifier: MIT */
/* crowd.c: ten thousand connections: what each costs while nothing comes over it, and what the
 * server does when all of them talk.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../workload.h"
#include "ring.h"

#define KEYS        10000u
#define VALUE_BYTES 100u
#define REST_MS     2500 /* until a worker has given up the buffers that it does not need */

/* Each has asked once: none is as empty as one that never spoke. */
static int come_and_ask(const struct proc *proc)
{
    static const char *const questions[] = {
        [WIRE_RESP] = "PING\r\n", [WIRE_MEMCACHED] = "version\r\n"};
    const char *question = questions[proc->protocol];
    char answer[64];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(proc->port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        send(fd, question, strlen(question), MSG_NOSIGNAL) < 0 ||
        recv(fd, answer, sizeof answer, 0) <= 0)
        die("%s: no more connections: %s", proc->label, strerror(errno));
    return fd;
}

static double idle_bytes(const struct proc *proc, unsigned crowd)
{
    int *fds = must_realloc(NULL, crowd * sizeof *fds);
    fprintf(stderr, "# crowd, %s, %u idle\n", proc->label, crowd);
    sleep_ms(REST_MS);
    double before = (double)proc_rss(proc->pid);
    for (unsigned c = 0; c < crowd; c++)
        fds[c] = come_and_ask(proc);
    sleep_ms(REST_MS);
    double bytes = ((double)proc_rss(proc->pid) - before) / crowd;
    for (unsigned c = 0; c < crowd; c++)
        close(fds[c]);
    free(fds);
    return bytes;
}

static void be_idle(const struct ring *ring, struct report *report, struct reach *reach)
{
    const struct plan *plan = ring->plan;
    report->topic = "idle connections";
    report->phase = "";
    report->is_bound = false;
    for (size_t s = 0; s < ring->server_count; s++) {
        const struct proc *proc = &ring->servers[s];
        double bytes = idle_bytes(proc, plan->crowd);
        report->row = proc->label;
        report_add(report, "connections", plan->crowd);
        report_add(report, "B each", bytes);
        if (strcmp(proc->name, "ebb") == 0)
            reach_at_most(reach, (struct spread){bytes, bytes, bytes}, 512,
                          "RSS of an idle connection, %u of them, B", plan->crowd);
    }
    report_print_topic(report, "idle connections");
}

void scene_crowd(const struct plan *plan, struct report *report, struct reach *reach)
{
    struct ring ring;
    struct outcome outcome;
    struct course course = {"all of a crowd at depth 1", VALUE_BYTES, 1, plan->crowd, 1, false};
    ring_open(&ring, plan, VALUE_BYTES, KEYS);
    be_idle(&ring, report, reach);
    ring_play(&ring, &course, &outcome);
    outcome_report(&outcome, report);
    report_print_topic(report, course.name);
    outcome_release(&outcome);
    ring_close(&ring);
}
