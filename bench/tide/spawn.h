/* SPDX-License-Identifier: MIT */
/* spawn.h: a server that is started for a run and ended after it. */
#ifndef EBB_TIDE_SPAWN_H
#define EBB_TIDE_SPAWN_H

#include <stdint.h>
#include <sys/types.h>

/* A port of 127.0.0.1 that is free at the moment; 0 if none can be had. */
uint16_t spawn_free_port(void);
/* Runs the command through the shell, each %p replaced by the port, in a process group of its own.
 * Its first process dies with its parent: the server if the command is no more than that, else the
 * shell. Its id; -1 with errno. */
pid_t spawn_start(const char *command, uint16_t port);
/* SIGTERM to the group, and SIGKILL after ten seconds; returns when all of it has gone. */
void spawn_end(pid_t pid);

#endif
