/* SPDX-License-Identifier: MIT */
/* test_environment.c: control groups of both versions, pressure and page figures, read from folders
 * that the tests make up as the kernel would.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "../server/admin/environment.h"

#define SECOND UINT64_C(1000000000)

struct world {
    char root[64];
    struct environment_files *files;
    struct environment environment;
};

static int setup(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    snprintf(world->root, sizeof world->root, "/tmp/ebb-test-XXXXXX");
    *state = world;
    return mkdtemp(world->root) == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    char command[128];
    environment_destroy(world->files);
    snprintf(command, sizeof command, "rm -rf '%s'", world->root);
    int result = system(command);
    free(world);
    return result;
}

/* Writes root/path, folders and all. */
static void put(struct world *world, const char *path, const char *text)
{
    char full[512];
    snprintf(full, sizeof full, "%s%s", world->root, path);
    for (char *slash = full + strlen(world->root) + 1; (slash = strchr(slash, '/')) != NULL;
         *slash++ = '/') {
        *slash = '\0';
        mkdir(full, 0700);
    }
    FILE *file = fopen(full, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static const struct environment *look(struct world *world, uint64_t now_ns)
{
    if (world->files == NULL)
        assert_int_equal(environment_create(&world->files, world->root), 0);
    environment_read(world->files, now_ns, &world->environment);
    return &world->environment;
}

static void put_group_v2(struct world *world, const char *folder)
{
    char path[256];
    static const char *const files[][2] = {
        {"memory.current", "1000001\n"},
        {"memory.peak", "2000002\n"},
        {"memory.max", "max\n"},
        {"memory.stat", "anon 300\nfile 400\nanon_thp 7\n"},
        {"memory.events", "low 0\nhigh 5\nmax 6\noom 7\noom_kill 8\noom_group_kill 9\n"},
        {"memory.pressure", "some avg10=0.00 avg60=0.00 avg300=0.00 total=1500000\n"
                            "full avg10=0.00 avg60=0.00 avg300=0.00 total=250000\n"},
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, files[i][0]);
        put(world, path, files[i][1]);
    }
}

/* ---- version 2 ---- */

static void environment_reads_a_group_of_version_2(void **state)
{
    struct world *world = *state;
    put(world, "/proc/self/cgroup", "0::/system.slice/ebb.service\n");
    put_group_v2(world, "/sys/fs/cgroup/system.slice/ebb.service");
    const struct environment *now = look(world, SECOND);
    assert_true(now->has_cgroup && now->has_pressure && !now->is_pressure_of_system);
    assert_int_equal(now->cgroup_current_bytes, 1000001);
    assert_int_equal(now->cgroup_peak_bytes, 2000002);
    assert_int_equal(now->cgroup_anon_bytes, 300);
    assert_int_equal(now->cgroup_high, 5);
    assert_int_equal(now->cgroup_max, 6);
    assert_int_equal(now->cgroup_oom, 7);
    assert_int_equal(now->cgroup_oom_kill, 8);
    assert_true(now->pressure_some == 1.5 && now->pressure_full == 0.25);
    assert_true(isinf(now->cgroup_limit_bytes));
    assert_string_equal(now->huge_pages, "none");
    put(world, "/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
    assert_string_equal(look(world, 2 * SECOND)->huge_pages, "madvise");
}

static void environment_finds_the_least_limit_above(void **state)
{
    struct world *world = *state;
    put(world, "/proc/self/cgroup", "0::/a/b/c\n");
    put_group_v2(world, "/sys/fs/cgroup/a/b/c");
    put(world, "/sys/fs/cgroup/a/b/memory.max", "700\n");
    put(world, "/sys/fs/cgroup/a/memory.max", "900\n");
    assert_true(look(world, SECOND)->cgroup_limit_bytes == 700);
    put(world, "/sys/fs/cgroup/a/b/c/memory.max", "500\n");
    assert_true(look(world, 2 * SECOND)->cgroup_limit_bytes == 500);
}

/* The path is the host's; what is mounted here is our group. */
static void environment_finds_its_group_in_a_container(void **state)
{
    struct world *world = *state;
    put(world, "/proc/self/cgroup", "0::/../kubepods/pod17\n");
    put_group_v2(world, "/sys/fs/cgroup");
    assert_true(look(world, SECOND)->has_cgroup);
    assert_int_equal(look(world, SECOND)->cgroup_current_bytes, 1000001);
}

/* ---- version 1 ---- */

static void environment_reads_a_group_of_version_1(void **state)
{
    struct world *world = *state;
    put(world, "/proc/self/cgroup", "9:name=systemd:/x\n5:cpu,memory:/y/z\n1:cpuset:/\n0::/q\n");
    put(world, "/sys/fs/cgroup/memory/y/z/memory.usage_in_bytes", "111\n");
    put(world, "/sys/fs/cgroup/memory/y/z/memory.max_usage_in_bytes", "222\n");
    put(world, "/sys/fs/cgroup/memory/y/z/memory.failcnt", "3\n");
    put(world, "/sys/fs/cgroup/memory/y/z/memory.stat",
        "rss 1\nhierarchical_memory_limit 4444\ntotal_rss_huge 9\ntotal_rss 55\n");
    put(world, "/sys/fs/cgroup/memory/y/z/memory.oom_control",
        "oom_kill_disable 0\nunder_oom 0\noom_kill 6\n");
    put(world, "/proc/pressure/memory", "some avg10=0.00 total=2000000\n");
    const struct environment *now = look(world, SECOND);
    assert_true(now->has_cgroup && now->has_pressure && now->is_pressure_of_system);
    assert_int_equal(now->cgroup_current_bytes, 111);
    assert_int_equal(now->cgroup_peak_bytes, 222);
    assert_int_equal(now->cgroup_max, 3);
    assert_int_equal(now->cgroup_anon_bytes, 55);
    assert_int_equal(now->cgroup_oom_kill, 6);
    assert_true(now->cgroup_limit_bytes == 4444);
    assert_true(now->pressure_some == 2 && now->pressure_full == 0);
    put(world, "/sys/fs/cgroup/memory/y/z/memory.stat",
        "hierarchical_memory_limit 9223372036854771712\n");
    assert_true(isinf(look(world, 2 * SECOND)->cgroup_limit_bytes));
}

/* ---- none ---- */

static void environment_does_without(void **state)
{
    struct world *world = *state;
    const struct environment *now = look(world, SECOND);
    assert_false(now->has_cgroup);
    assert_false(now->has_pressure);
    assert_int_equal(now->available_bytes, 0);
    put(world, "/proc/self/cgroup", "garbage\n::\n0:\n\n");
    environment_destroy(world->files);
    world->files = NULL;
    assert_false(look(world, SECOND)->has_cgroup);
    put_group_v2(world, "/sys/fs/cgroup"); /* too late: series do not appear */
    assert_false(look(world, 2 * SECOND)->has_cgroup);
}

/* ---- pages and machine ---- */

static void environment_looks_at_pages_each_ten_seconds(void **state)
{
    struct world *world = *state;
    put(world, "/proc/meminfo", "MemTotal: 900 kB\nMemAvailable:     123 kB\n");
    put(world, "/proc/self/smaps_rollup",
        "00400000-7fff0000 ---p 00000000 00:00 0 [rollup]\nRss: 10 kB\nAnonHugePages: 4096 kB\n"
        "LazyFree: 8 kB\n");
    const struct environment *now = look(world, SECOND);
    assert_int_equal(now->available_bytes, 123 * 1024);
    assert_int_equal(now->anon_huge_bytes, 4096 * 1024);
    assert_int_equal(now->lazy_free_bytes, 8 * 1024);
    put(world, "/proc/self/smaps_rollup", "AnonHugePages: 0 kB\nLazyFree: 0 kB\n");
    assert_int_equal(look(world, 10 * SECOND)->anon_huge_bytes, 4096 * 1024);
    assert_int_equal(look(world, 10000 * SECOND)->anon_huge_bytes, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(environment_reads_a_group_of_version_2),
        TEST(environment_finds_the_least_limit_above),
        TEST(environment_finds_its_group_in_a_container),
        TEST(environment_reads_a_group_of_version_1),
        TEST(environment_does_without),
        TEST(environment_looks_at_pages_each_ten_seconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
