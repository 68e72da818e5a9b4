/* SPDX-License-Identifier: MIT */
/* test_process.c: what the kernel says about us, checked against memory that the test itself
 * touches and against smaps_rollup, which walks every page.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "../server/admin/areas.h"
#include "../server/admin/process.h"

#define MIB        ((size_t)1 << 20)
#define NEAR_BYTES ((size_t)256 << 10) /* what Linux before 6.17 may leave out, see process.h */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED true /* shadow memory is everywhere */
#else
#define IS_SANITIZED false
#endif

static void assert_near(size_t value, size_t expected)
{
    size_t distance = value > expected ? value - expected : expected - value;
    if (distance > NEAR_BYTES)
        print_error("%zu is not near %zu\n", value, expected);
    assert_true(distance <= NEAR_BYTES);
}

static struct process_memory look(struct process *process)
{
    struct process_memory memory;
    assert_int_equal(process_read_memory(process, &memory), 0);
    return memory;
}

static int setup(void **state)
{
    struct process *process;
    if (process_create(&process) != 0)
        return -1;
    look(process); /* the first look touches pages of its own */
    *state = process;
    return 0;
}

static int teardown(void **state)
{
    process_destroy(*state);
    return 0;
}

/* ---- texts ---- */

static void process_parse_status_reads_the_fields(void **state)
{
    (void)state;
    struct process_memory memory;
    assert_true(process_parse_status("Name:\tebb\nVmPeak:\t    9999 kB\nVmSize:\t    9000 kB\n"
                                     "VmHWM:\t    5000 kB\nVmRSS:\t    4100 kB\nRssAnon:\t"
                                     "    1000 kB\nRssFile:\t    3000 kB\nRssShmem:\t     100 kB\n"
                                     "VmSwap:\t       8 kB\nThreads:\t7\nSigQ:\t0/95\n",
                                     &memory));
    assert_int_equal(memory.resident_bytes, 4100 * 1024);
    assert_int_equal(memory.anon_bytes, 1000 * 1024);
    assert_int_equal(memory.file_bytes, 3000 * 1024);
    assert_int_equal(memory.shmem_bytes, 100 * 1024);
    assert_int_equal(memory.virtual_bytes, 9000 * 1024);
    assert_int_equal(memory.resident_peak_bytes, 5000 * 1024);
    assert_int_equal(memory.swap_bytes, 8 * 1024);
    assert_int_equal(memory.thread_count, 7);
}

static void process_parse_status_refuses_a_zombie(void **state)
{
    (void)state;
    struct process_memory memory;
    assert_false(process_parse_status("Name:\tebb\nState:\tZ (zombie)\nThreads:\t1\n", &memory));
    assert_false(process_parse_status("", &memory));
}

static void area_parse_reads_a_line(void **state)
{
    (void)state;
    struct area area;
    assert_true(area_parse(
        "7f2c1a000000-7f2c1a021000 rw-p 00001000 08:01 1234   /usr/lib/libc.so.6", &area));
    assert_true(area.start == 0x7f2c1a000000 && area.end == 0x7f2c1a021000);
    assert_true(area.is_file && area.is_writable && area.is_private && area.is_accessible);
    assert_string_equal(area.name, "");
    assert_true(area_parse("ffff0000-ffff1000 ---s 00000000 00:00 0 ", &area));
    assert_false(area.is_file || area.is_writable || area.is_private || area.is_accessible);
    assert_true(area_parse("1000-2000 rw-p 00000000 00:00 0   [heap]", &area));
    assert_string_equal(area.name, "[heap]");
    assert_false(area_parse("", &area));
    assert_false(area_parse("what is this", &area));
}

static void area_kind_follows_the_mapping(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum area_kind kind;
    } rows[] = {
        {"1000-2000 r-xp 00000000 08:01 7 /bin/ebb", AREA_PROGRAM},
        {"2000-3000 rw-p 00001000 08:01 7 /bin/ebb", AREA_PROGRAM},
        {"3000-4000 rw-p 00000000 00:00 0 ", AREA_PROGRAM}, /* its bss */
        {"5000-6000 rw-p 00000000 00:00 0 [heap]", AREA_LIBC},
        {"7000-8000 rw-p 00000000 00:00 0 ", AREA_LIBC},
        {"8000-9000 ---p 00000000 00:00 0 ", AREA_NONE},
        {"9000-a000 r--p 00000000 08:01 8 /lib/x.so", AREA_PROGRAM},
        {"a000-b000 rw-p 00000000 00:00 0 ", AREA_LIBC}, /* behind, but not its bss */
        {"b000-c000 rw-s 00000000 00:01 9 /dev/shm/x", AREA_NONE},
        {"c000-d000 rw-p 00000000 00:00 0 [anon:glibc malloc]", AREA_LIBC},
        {"d000-e000 rw-p 00000000 00:00 0 [stack]", AREA_STACK},
        {"e000-f000 r-xp 00000000 00:00 0 [vdso]", AREA_NONE},
    };
    struct area before = {.start = 0};
    enum area_kind before_kind = AREA_NONE;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct area area;
        assert_true(area_parse(rows[i].line, &area));
        enum area_kind kind = area_kind_of(&area, &before, before_kind);
        if (kind != rows[i].kind)
            print_error("%s is kind %d\n", rows[i].line, kind);
        assert_int_equal(kind, rows[i].kind);
        before = area;
        before_kind = kind;
    }
}

/* ---- this process ---- */

static size_t rollup_bytes(void)
{
    char line[256];
    size_t kib = 0;
    FILE *file = fopen("/proc/self/smaps_rollup", "re");
    if (file == NULL)
        skip();
    while (fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "Rss: %zu", &kib) == 1)
            break;
    fclose(file);
    return kib * 1024;
}

static void *churn(void *argument)
{
    char *memory = argument;
    unsigned seed = (unsigned)(uintptr_t)&seed;
    for (size_t i = 0; i < 20000; i++) {
        char *page = memory + (size_t)rand_r(&seed) % (32 * MIB / 4096) * 4096;
        if (i % 3 == 0)
            madvise(page, 4096, MADV_DONTNEED);
        else
            *page = 1;
    }
    return NULL;
}

static void process_resident_is_what_a_walk_counts(void **state)
{
    if (IS_SANITIZED)
        skip();
    char *memory = mmap(NULL, 32 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(memory, MAP_FAILED);
    pthread_t threads[3];
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, churn, memory), 0);
    for (size_t i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    size_t walked = rollup_bytes();
    struct process_memory now = look(*state);
    assert_near(now.resident_bytes, walked);
    assert_near(process_resident_bytes(*state), walked);
    assert_int_equal(now.resident_bytes, now.anon_bytes + now.file_bytes + now.shmem_bytes);
    assert_true(now.resident_peak_bytes >= now.resident_bytes);
    assert_true(now.virtual_bytes > now.resident_bytes);
    munmap(memory, 32 * MIB);
}

static void process_names_all_anonymous_memory(void **state)
{
    if (IS_SANITIZED)
        skip();
    struct process_memory now = look(*state);
    assert_true(now.libc_bytes > 0 && now.stack_bytes > 0 && now.program_bytes > 0);
    assert_near(now.libc_bytes + now.stack_bytes + now.program_bytes, now.anon_bytes);
}

static void process_counts_only_touched_pages_of_malloc(void **state)
{
    if (IS_SANITIZED)
        skip();
    struct process_memory before = look(*state);
    volatile char *memory = malloc(32 * MIB);
    for (size_t i = 0; i < 16 * MIB; i += 1024)
        memory[i] = 1;
    struct process_memory now = look(*state);
    assert_near(now.libc_bytes, before.libc_bytes + 16 * MIB);
    free((void *)memory);
    assert_near(look(*state).libc_bytes, before.libc_bytes);
}

static void process_does_not_count_pages_that_were_only_read(void **state)
{
    if (IS_SANITIZED)
        skip();
    struct process_memory before = look(*state);
    volatile char *memory =
        mmap(NULL, 8 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(memory != MAP_FAILED);
    for (size_t i = 0; i < 8 * MIB; i += 4096)
        assert_int_equal(memory[i], 0);
    struct process_memory now = look(*state);
    assert_near(now.anon_bytes, before.anon_bytes);
    assert_near(now.libc_bytes, before.libc_bytes);
    munmap((void *)memory, 8 * MIB);
}

struct sleeper {
    sem_t is_deep, may_end;
};

static void *sleep_deep(void *argument)
{
    struct sleeper *sleeper = argument;
    volatile char room[MIB];
    for (size_t i = 0; i < sizeof room; i += 1024)
        room[i] = (char)i;
    sem_post(&sleeper->is_deep);
    sem_wait(&sleeper->may_end);
    return NULL;
}

static void process_finds_the_stacks_of_threads(void **state)
{
    if (IS_SANITIZED)
        skip();
    struct sleeper sleeper;
    sem_init(&sleeper.is_deep, 0, 0);
    sem_init(&sleeper.may_end, 0, 0);
    struct process_memory before = look(*state);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, sleep_deep, &sleeper), 0);
    sem_wait(&sleeper.is_deep);
    struct process_memory now = look(*state);
    /* It may not sleep quite yet at the first look. */
    for (int i = 0; i < 100 && now.stack_bytes < before.stack_bytes + MIB; i++) {
        usleep(10000);
        now = look(*state);
    }
    sem_post(&sleeper.may_end);
    pthread_join(thread, NULL);
    assert_near(now.stack_bytes, before.stack_bytes + MIB);
    assert_near(now.libc_bytes, before.libc_bytes);
    assert_int_equal(now.thread_count, before.thread_count + 1);
}

static char bss[4 * MIB];

static void process_counts_the_programs_own_data(void **state)
{
    if (IS_SANITIZED)
        skip();
    struct process_memory before = look(*state);
    memset(bss, 1, sizeof bss);
    struct process_memory now = look(*state);
    assert_near(now.program_bytes, before.program_bytes + sizeof bss);
    assert_near(now.libc_bytes, before.libc_bytes);
}

static void process_leaves_out_the_values(void **state)
{
    if (IS_SANITIZED) /* writing 8 MiB writes shadow memory too */
        skip();
    struct process_memory before = look(*state);
    char *values =
        mmap(NULL, 64 * MIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_ptr_not_equal(values, MAP_FAILED);
    assert_int_equal(mprotect(values, 16 * MIB, PROT_READ | PROT_WRITE), 0);
    memset(values, 1, 8 * MIB);
    process_exclude(*state, values, 64 * MIB);
    struct process_memory now = look(*state);
    assert_near(now.anon_bytes, before.anon_bytes + 8 * MIB);
    assert_near(now.libc_bytes, before.libc_bytes);
    munmap(values, 64 * MIB);
}

static void process_says_when_there_is_too_much_to_look_at(void **state)
{
    if (IS_SANITIZED)
        skip();
    assert_false(look(*state).is_partial);
    char *memory = mmap(NULL, 300 * MIB, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_ptr_not_equal(memory, MAP_FAILED);
    assert_true(look(*state).is_partial);
    munmap(memory, 300 * MIB);
    assert_false(look(*state).is_partial);
}

static void process_usage_counts(void **state)
{
    struct process_usage before, now;
    struct rlimit limit;
    process_read_usage(*state, &before);
    int fd = dup(0);
    char *memory = mmap(NULL, 4 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(memory, MAP_FAILED);
    for (size_t i = 0; i < 4 * MIB; i += 4096)
        memory[i] = 1;
    for (clock_t start = clock(); clock() - start < CLOCKS_PER_SEC / 20;)
        continue;
    usleep(1000);
    process_read_usage(*state, &now);
    close(fd);
    munmap(memory, 4 * MIB);
    assert_int_equal(now.open_fds, before.open_fds + 1);
    assert_true(now.minor_faults >= before.minor_faults + 1024 || IS_SANITIZED);
    assert_true(now.cpu_seconds > before.cpu_seconds + 0.04);
    assert_true(now.voluntary_switches > before.voluntary_switches);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_true(now.max_fds == (double)limit.rlim_cur || limit.rlim_cur == RLIM_INFINITY);
}

/* Once a second must stay below 0.1 % of a processor. */
static void process_look_costs_less_than_a_millisecond(void **state)
{
    if (IS_SANITIZED)
        skip();
    struct process_usage before, now;
    process_read_usage(*state, &before);
    for (int i = 0; i < 200; i++)
        look(*state);
    process_read_usage(*state, &now);
    double each = (now.cpu_seconds - before.cpu_seconds) / 200;
    print_message("# a look takes %.0f us of CPU\n", each * 1e6);
    assert_true(each < 0.001);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(process_parse_status_reads_the_fields),
        cmocka_unit_test(process_parse_status_refuses_a_zombie),
        cmocka_unit_test(area_parse_reads_a_line),
        cmocka_unit_test(area_kind_follows_the_mapping),
        cmocka_unit_test_setup_teardown(process_resident_is_what_a_walk_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(process_names_all_anonymous_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(process_counts_only_touched_pages_of_malloc, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(process_does_not_count_pages_that_were_only_read, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(process_finds_the_stacks_of_threads, setup, teardown),
        cmocka_unit_test_setup_teardown(process_counts_the_programs_own_data, setup, teardown),
        cmocka_unit_test_setup_teardown(process_leaves_out_the_values, setup, teardown),
        cmocka_unit_test_setup_teardown(process_says_when_there_is_too_much_to_look_at, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(process_usage_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(process_look_costs_less_than_a_millisecond, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
