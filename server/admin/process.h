/* SPDX-License-Identifier: MIT */
/* process.h: what the kernel says about this process. Main thread only.
 *
 * Resident memory is taken from /proc/self/status. Its counters are kept per processor; since Linux
 * 6.17 a read of this file (and of statm) adds up all of them, so it is exact: over 600 MB of pages
 * faulted and given back by four threads at once it agreed with smaps_rollup to the page, in 20 us
 * instead of 3 ms, and smaps_rollup costs time in proportion to what is resident. Linux 6.2 to 6.16
 * leave out what the processors have not handed in yet: at most 32 pages or twice the processors,
 * whichever is more, for each of them (256 KiB on a machine of two).
 */
#ifndef EBB_PROCESS_H
#define EBB_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct process_memory {
    size_t resident_bytes; /* anon + file + shmem */
    size_t anon_bytes, file_bytes, shmem_bytes;
    size_t resident_peak_bytes, virtual_bytes, swap_bytes;
    size_t thread_count;
    /* of anon_bytes, outside the value store; see areas.h */
    size_t libc_bytes, stack_bytes, program_bytes;
    bool is_partial; /* these three fall short: there was too much to look at all of it */
};

struct process_usage {
    double cpu_seconds, user_seconds, system_seconds;
    uint64_t minor_faults, major_faults;
    uint64_t voluntary_switches, forced_switches;
    uint64_t open_fds;
    double max_fds, max_virtual_bytes; /* infinity: no limit */
};

struct process;
int process_create(struct process **process); /* 0, or -1: no memory or no /proc */
void process_destroy(struct process *process);
/* The address range of the values, which account for themselves. */
void process_exclude(struct process *process, const void *start, size_t bytes);
int process_read_memory(struct process *process, struct process_memory *memory); /* 0 or -1 */
/* Of this very moment, for whoever wants to know how long the above has been true; 0: no answer. */
size_t process_resident_bytes(struct process *process);
double process_cpu_seconds(void); /* of all threads, since start */
void process_read_usage(const struct process *process, struct process_usage *usage);
/* The text of /proc/self/status; false when it lacks VmRSS. Pure. */
bool process_parse_status(const char *text, struct process_memory *memory);

#endif
