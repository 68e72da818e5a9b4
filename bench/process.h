/* SPDX-License-Identifier: MIT */
/* process.h: what the kernel says of a process, and the clock. Each answers false when the process
 * is gone, or is not ours; proc.h has versions that then end the program.
 */
#ifndef EBB_BENCH_PROCESS_H
#define EBB_BENCH_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The first `bytes` of a file as a text; false if there are none. */
bool file_read(const char *path, char *text, size_t bytes);
/* The same of /proc/PID/NAME. */
bool process_read(pid_t pid, const char *name, char *text, size_t bytes);

/* Resident bytes. Exact: from smaps_rollup, where that can be read: walks the page tables, so not
 * for every few milliseconds. Else from statm: cheap, and on a kernel with counters per processor
 * off by some 100 KiB. */
bool process_rss(pid_t pid, bool is_exact, uint64_t *bytes);
bool process_cpu(pid_t pid, double *seconds);     /* user and system, all threads */
bool process_faults(pid_t pid, uint64_t *faults); /* minor and major */

/* Whether it listens on that TCP port. An id that a server gives of itself may be that of a process
 * elsewhere, or in another container: only here it is known to be the same. */
enum process_listens { LISTENS_NO, LISTENS_YES, LISTENS_UNKNOWN /* it is another user's */ };
enum process_listens process_listens(pid_t pid, uint16_t port);

uint64_t clock_ns(void); /* monotonic */
void sleep_ms(uint64_t ms);

#endif
