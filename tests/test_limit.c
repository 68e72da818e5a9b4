/* SPDX-License-Identifier: MIT */
/* test_limit.c: the arithmetic of maxmemory, what cgroups say, the ladder of pressure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "../server/cgroup.h"
#include "../server/limit.h"
#include "../server/pressure.h"

#define MIB ((size_t)1 << 20)

/* ---- the plan ---- */

static void no_limit_is_no_plan(void **state)
{
    (void)state;
    struct limit_view view = {.resident_bytes = 100 * MIB, .clients = -3};
    struct limit_plan plan = limit_make_plan(&view, NULL);
    assert_true(plan.limit_bytes == SIZE_MAX && plan.pool_bytes == SIZE_MAX);
    assert_true(plan.start_bytes == SIZE_MAX && plan.clients_bytes == SIZE_MAX);
    assert_true(plan.compact_bytes == SIZE_MAX);
}

static struct limit_view some_view(void)
{
    return (struct limit_view){.limit_bytes = 256 * MIB,
                               .clients = (int64_t)(8 * MIB),
                               .client_bytes = MIB,
                               .resident_bytes = 105 * MIB,
                               .pool_bytes = 100 * MIB};
}

static void the_parts_come_to_the_limit(void **state)
{
    (void)state;
    struct limit_view view = some_view();
    struct limit_plan plan = limit_make_plan(&view, NULL);
    assert_int_equal(plan.others_bytes, 4 * MIB);
    assert_int_equal(plan.clients_bytes, 8 * MIB);
    assert_int_equal(plan.pool_bytes, 256 * MIB - 4 * MIB - 8 * MIB - MIB); /* slack: 1/256 */
    assert_true(plan.ahead_bytes > 0 && plan.ahead_bytes < plan.pool_bytes / 32);
    assert_int_equal(plan.compact_bytes, 256 * MIB / 20);
    assert_true(plan.start_bytes < plan.limit_bytes);
}

static void clients_within_their_cap_cost_no_key(void **state)
{
    (void)state;
    struct limit_view view = some_view();
    struct limit_plan calm = limit_make_plan(&view, NULL);
    view.client_bytes += 6 * MIB;
    view.resident_bytes += 6 * MIB;
    struct limit_plan busy = limit_make_plan(&view, &calm);
    assert_int_equal(busy.pool_bytes, calm.pool_bytes);
    view.client_bytes += 20 * MIB; /* beyond it they do, rather than the limit is passed */
    view.resident_bytes += 20 * MIB;
    assert_true(limit_make_plan(&view, &busy).pool_bytes < calm.pool_bytes - 15 * MIB);
}

static void a_moment_is_not_taken_for_the_usual(void **state)
{
    (void)state;
    struct limit_view view = some_view();
    struct limit_plan plan = limit_make_plan(&view, NULL), first = plan;
    view.resident_bytes -= 3 * MIB; /* a large value whose pages are not touched yet */
    plan = limit_make_plan(&view, &plan);
    assert_true(plan.pool_bytes < first.pool_bytes + MIB / 8);
    view.resident_bytes += 6 * MIB; /* a reply that is not claimed yet */
    plan = limit_make_plan(&view, &plan);
    assert_true(plan.pool_bytes > first.pool_bytes - MIB / 8);
    for (unsigned i = 0; i < 1000; i++)
        plan = limit_make_plan(&view, &plan);
    assert_int_equal(plan.others_bytes, 7 * MIB);
    assert_int_equal(plan.pool_bytes, first.pool_bytes - 3 * MIB);
}

static void pressure_lowers_the_limit(void **state)
{
    (void)state;
    struct limit_view view = some_view();
    view.lowered = 10;
    struct limit_plan plan = limit_make_plan(&view, NULL);
    assert_in_range(plan.limit_bytes, 230 * MIB, 231 * MIB);
    assert_true(plan.pool_bytes < 220 * MIB);
}

static void a_limit_below_the_process_leaves_nothing(void **state)
{
    (void)state;
    struct limit_view view = some_view();
    view.limit_bytes = 2 * MIB;
    struct limit_plan plan = limit_make_plan(&view, NULL);
    assert_int_equal(plan.pool_bytes, 0);
}

static void the_share_of_clients_is_reasonable(void **state)
{
    (void)state;
    assert_true(limit_clients(0, -3) == SIZE_MAX);
    assert_true(limit_clients(256 * MIB, 0) == SIZE_MAX);
    assert_int_equal(limit_clients(256 * MIB, 12345), 12345);
    assert_int_equal(limit_clients(1000 * MIB, -5), 50 * MIB);
    assert_int_equal(limit_clients(64 * MIB, -3), 4 * MIB); /* one percent would serve nobody */
    assert_int_equal(limit_clients(8 * MIB, -3), MIB);
}

static void resident_memory_is_read(void **state)
{
    (void)state;
    int fd = limit_open_resident();
    size_t before = limit_read_resident(fd);
    char *memory = malloc(32 * MIB);
    memset(memory, 1, 32 * MIB);
    size_t after = limit_read_resident(fd) + (size_t)(((volatile char *)memory)[MIB] - 1);
    assert_true(before > MIB / 2 && after >= before + 31 * MIB);
    assert_int_equal(close(fd), 0);
    assert_int_equal(limit_read_resident(-1), 0);
    free(memory);
}

/* ---- cgroups ---- */

struct files {
    char folder[64], root[80], proc[80];
};

static void write_file(const struct files *files, const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", files->folder, name);
    for (char *slash = strchr(path + strlen(files->folder) + 1, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int make_files(void **state)
{
    struct files *files = calloc(1, sizeof *files);
    strcpy(files->folder, "/tmp/ebb-cgroup-XXXXXX");
    if (mkdtemp(files->folder) == NULL)
        return -1;
    snprintf(files->root, sizeof files->root, "%s/fs", files->folder);
    snprintf(files->proc, sizeof files->proc, "%s/proc", files->folder);
    write_file(files, "proc/meminfo", "MemTotal:        8000000 kB\nMemFree:  1 kB\n");
    *state = files;
    return 0;
}

static int remove_files(void **state)
{
    struct files *files = *state;
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", files->folder);
    int result = system(command);
    free(files);
    return result;
}

static void v2_takes_the_least_of_its_parents(void **state)
{
    struct files *files = *state;
    struct cgroup cgroup;
    write_file(files, "proc/self/cgroup", "0::/pod/box\n");
    write_file(files, "fs/pod/memory.max", "1073741824\n");
    write_file(files, "fs/pod/box/memory.max", "max\n");
    cgroup_find(&cgroup, files->root, files->proc);
    assert_int_equal(cgroup_limit(&cgroup), 1 << 30);
    assert_int_equal(cgroup_auto(&cgroup), (1 << 30) / 100 * 80);
    write_file(files, "fs/pod/box/memory.max", "536870912\n");
    assert_int_equal(cgroup_limit(&cgroup), 512 << 20);
}

static void v2_in_a_container_is_what_is_mounted(void **state)
{
    struct files *files = *state;
    struct cgroup cgroup;
    write_file(files, "proc/self/cgroup", "0::/not/to/be/seen/from/here\n");
    write_file(files, "fs/memory.max", "268435456\n");
    cgroup_find(&cgroup, files->root, files->proc);
    assert_true(cgroup.is_v2);
    assert_int_equal(cgroup_limit(&cgroup), 256 << 20);
}

static void v1_is_the_line_with_memory(void **state)
{
    struct files *files = *state;
    struct cgroup cgroup;
    write_file(files, "proc/self/cgroup",
               "5:cpu,cpuacct:/x\n4:hugetlb,memory:/docker/abc\n1:name=systemd:/y\n0::/z\n");
    write_file(files, "fs/memory.max", "1\n");
    write_file(files, "fs/memory/memory.limit_in_bytes", "9223372036854771712\n");
    write_file(files, "fs/memory/docker/abc/memory.limit_in_bytes", "134217728\n");
    cgroup_find(&cgroup, files->root, files->proc);
    assert_false(cgroup.is_v2);
    assert_int_equal(cgroup_limit(&cgroup), 128 << 20);
    write_file(files, "fs/memory/docker/abc/memory.limit_in_bytes", "9223372036854771712\n");
    assert_int_equal(cgroup_limit(&cgroup), 0);
    assert_int_equal(cgroup_auto(&cgroup), UINT64_C(8000000) * 1024 / 100 * 80);
}

static void without_groups_the_machine_counts(void **state)
{
    struct files *files = *state;
    struct cgroup cgroup;
    cgroup_find(&cgroup, files->root, files->proc);
    assert_int_equal(cgroup_limit(&cgroup), 0);
    assert_int_equal(cgroup_machine(&cgroup), UINT64_C(8000000) * 1024);
    assert_int_equal(cgroup_auto(&cgroup), UINT64_C(8000000) * 1024 / 100 * 80);
    write_file(files, "proc/self/cgroup", "0::/\nrubbish\n:\n");
    write_file(files, "fs/memory.max", "900000000000\n"); /* more than the machine has */
    cgroup_find(&cgroup, files->root, files->proc);
    assert_int_equal(cgroup_auto(&cgroup), UINT64_C(8000000) * 1024 / 100 * 80);
}

static void pressure_is_the_groups_or_the_machines(void **state)
{
    struct files *files = *state;
    struct cgroup cgroup;
    struct cgroup_pressure pressure;
    write_file(files, "proc/self/cgroup", "0::/a\n");
    write_file(files, "fs/a/memory.max", "max\n");
    cgroup_find(&cgroup, files->root, files->proc);
    cgroup_read_pressure(&cgroup, &pressure);
    assert_false(pressure.has_stalls);
    write_file(files, "proc/pressure/memory",
               "some avg10=0.00 avg60=0.00 avg300=0.00 total=77\nfull avg10=0.00 total=5\n");
    cgroup_read_pressure(&cgroup, &pressure);
    assert_true(pressure.has_stalls && pressure.stalls_us == 77);
    write_file(files, "fs/a/memory.pressure",
               "some avg10=0.00 avg60=0.00 avg300=0.00 total=123456\nfull avg10=0.00 total=5\n");
    write_file(files, "fs/a/memory.events", "low 9\nhigh 4\nmax 3\noom 2\noom_kill 1\n");
    cgroup_read_pressure(&cgroup, &pressure);
    assert_true(pressure.stalls_us == 123456 && pressure.hits == 7 && pressure.kills == 1);
}

static void v1_counts_its_failures(void **state)
{
    struct files *files = *state;
    struct cgroup cgroup;
    struct cgroup_pressure pressure;
    write_file(files, "proc/self/cgroup", "3:memory:/\n");
    write_file(files, "fs/memory/memory.limit_in_bytes", "134217728\n");
    write_file(files, "fs/memory/memory.failcnt", "42\n");
    write_file(files, "fs/memory/memory.oom_control",
               "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n");
    cgroup_find(&cgroup, files->root, files->proc);
    cgroup_read_pressure(&cgroup, &pressure);
    assert_true(!pressure.has_stalls && pressure.hits == 42 && pressure.kills == 3);
}

/* ---- the ladder ---- */

static void pressure_rises_by_steps_and_goes_in_quiet(void **state)
{
    (void)state;
    struct pressure pressure = {.level = 0};
    struct cgroup_pressure now = {.has_stalls = true, .stalls_us = 5000000};
    int64_t ms = 1000;
    assert_int_equal(pressure_look(&pressure, &now, ms), 0); /* the past does not count */
    for (unsigned i = 1; i <= 8; i++) {
        now.stalls_us += 150000; /* 15 % of a second */
        unsigned level = pressure_look(&pressure, &now, ms += 1000);
        assert_int_equal(level, i < PRESSURE_LEVEL_MAX ? i : PRESSURE_LEVEL_MAX);
        assert_int_equal(pressure_lowers(level), level > 1 ? (level - 1) * 5 : 0);
    }
    assert_int_equal(pressure_lowers(PRESSURE_LEVEL_MAX), 20);
    assert_int_equal(pressure.stalls_us, 8 * 150000);
    for (unsigned i = 0; i < 9; i++) {
        now.stalls_us += 50000; /* half as much as would count */
        assert_int_equal(pressure_look(&pressure, &now, ms += 1000), PRESSURE_LEVEL_MAX);
    }
    for (unsigned i = 0; i < 60; i++)
        pressure_look(&pressure, &now, ms += 1000);
    assert_int_equal(pressure.level, 0);
    assert_int_equal(pressure.rises, 5);
}

static void where_stalls_are_not_counted_running_against_the_limit_is(void **state)
{
    (void)state;
    struct pressure pressure = {.level = 0};
    struct cgroup_pressure now = {.hits = 10};
    pressure_look(&pressure, &now, 1000);
    now.hits++;
    assert_int_equal(pressure_look(&pressure, &now, 2000), 1);
    assert_int_equal(pressure_look(&pressure, &now, 3000), 1);
    struct pressure other = {.level = 0};
    struct cgroup_pressure stalls = {.has_stalls = true, .hits = 10};
    pressure_look(&other, &stalls, 1000);
    stalls.hits += 100; /* a file was read: its cache is what went */
    assert_int_equal(pressure_look(&other, &stalls, 2000), 0);
    stalls.kills++;
    assert_int_equal(pressure_look(&other, &stalls, 3000), 1);
}

static void where_nothing_is_counted_there_is_no_pressure(void **state)
{
    struct files *files = *state;
    struct cgroup cgroup;
    struct cgroup_pressure now;
    struct pressure pressure = {.level = 0};
    cgroup_find(&cgroup, files->root, files->proc); /* neither a group nor pressure/memory */
    for (int64_t ms = 1000; ms < 20000; ms += 1000) {
        cgroup_read_pressure(&cgroup, &now);
        assert_true(!now.has_stalls && now.hits == 0 && now.kills == 0);
        assert_int_equal(pressure_look(&pressure, &now, ms), 0);
    }
}

#define FILES_TEST(name) cmocka_unit_test_setup_teardown(name, make_files, remove_files)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_limit_is_no_plan),
        cmocka_unit_test(the_parts_come_to_the_limit),
        cmocka_unit_test(clients_within_their_cap_cost_no_key),
        cmocka_unit_test(a_moment_is_not_taken_for_the_usual),
        cmocka_unit_test(pressure_lowers_the_limit),
        cmocka_unit_test(a_limit_below_the_process_leaves_nothing),
        cmocka_unit_test(the_share_of_clients_is_reasonable),
        cmocka_unit_test(resident_memory_is_read),
        FILES_TEST(v2_takes_the_least_of_its_parents),
        FILES_TEST(v2_in_a_container_is_what_is_mounted),
        FILES_TEST(v1_is_the_line_with_memory),
        FILES_TEST(without_groups_the_machine_counts),
        FILES_TEST(pressure_is_the_groups_or_the_machines),
        FILES_TEST(v1_counts_its_failures),
        FILES_TEST(where_nothing_is_counted_there_is_no_pressure),
        cmocka_unit_test(pressure_rises_by_steps_and_goes_in_quiet),
        cmocka_unit_test(where_stalls_are_not_counted_running_against_the_limit_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
