/* SPDX-License-Identifier: MIT */
/* environment.c: small files of /proc and /sys/fs/cgroup, opened anew each second: some 100 us.
 *
 * Which control group we are in stands in /proc/self/cgroup: "0::/path" for v2, "N:memory:/path"
 * for v1. Inside a container the path may be one of the host's that is not mounted here; then what
 * is mounted is our own group.
 */
#include "environment.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PATH_BYTES    512u
#define TEXT_BYTES    8192u
#define ROLLUP_NS     UINT64_C(10000000000)
#define ROLLUP_DEAR   10000u              /* it takes at most so small a part of the time */
#define UNLIMITED     (UINT64_C(1) << 60) /* v1 says "none" with a very large number */
#define MOUNT         "/sys/fs/cgroup"
#define GROUP_IS_OLD  1
#define GROUP_IS_NEW  2
#define MICROS_SECOND 1e6

struct environment_files {
    char root[PATH_BYTES / 4];
    char group[PATH_BYTES]; /* folder of the control group */
    size_t mount_len;       /* of the part of `group` that is where groups are mounted */
    int version;            /* GROUP_IS_..., 0: none */
    char pressure[PATH_BYTES + 32];
    uint64_t rollup_ns, rollup_cost_ns; /* when it was last read, and what that took */
    struct environment last;
};

/* ---- small files ---- */

static bool read_text(const char *path, char *text)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t len = read(fd, text, TEXT_BYTES - 1);
    close(fd);
    text[len > 0 ? len : 0] = '\0';
    return len > 0;
}

static bool read_in(const char *folder, const char *name, char *text)
{
    char path[PATH_BYTES + 64];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return read_text(path, text);
}

/* The number behind `name` at the start of a line. */
static bool find_number(const char *text, const char *name, uint64_t *value)
{
    size_t len = strlen(name);
    for (const char *line = text; line != NULL && *line != '\0'; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, len) == 0 && strchr(" :\t", line[len]) != NULL) {
            *value = strtoull(line + len + strspn(line + len, " :\t"), NULL, 10);
            return true;
        }
    }
    return false;
}

static void read_number_in(const char *folder, const char *name, uint64_t *value)
{
    char text[TEXT_BYTES];
    if (read_in(folder, name, text))
        *value = strtoull(text, NULL, 10);
}

/* ---- where the group is ---- */

/* The path of our group in a line of /proc/self/cgroup, or NULL. */
static char *path_of(char *text, const char *controller)
{
    char *save = NULL;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *names = strchr(line, ':'), *path = names == NULL ? NULL : strchr(names + 1, ':');
        if (path == NULL)
            continue;
        *path = '\0';
        char *rest = NULL, *name = strtok_r(names + 1, ",", &rest);
        if (name == NULL && controller[0] == '\0')
            return path + 1;
        for (; name != NULL; name = strtok_r(NULL, ",", &rest))
            if (strcmp(name, controller) == 0)
                return path + 1;
    }
    return NULL;
}

static bool is_group(struct environment_files *files, const char *mount, const char *path,
                     const char *file)
{
    char probe[PATH_BYTES + 64];
    int len = snprintf(files->group, sizeof files->group, "%s%s%s", files->root, mount,
                       strcmp(path, "/") == 0 ? "" : path);
    files->mount_len = strlen(files->root) + strlen(mount);
    if (len < 0 || (size_t)len >= sizeof files->group)
        return false;
    snprintf(probe, sizeof probe, "%s/%s", files->group, file);
    return access(probe, R_OK) == 0;
}

static int find_group(struct environment_files *files)
{
    static const struct {
        const char *controller, *mount, *file;
        int version;
    } kinds[] = {
        {"memory", MOUNT "/memory", "memory.usage_in_bytes", GROUP_IS_OLD},
        {"", MOUNT, "memory.current", GROUP_IS_NEW}, /* the root of all has no such file */
        {"", MOUNT "/unified", "memory.current", GROUP_IS_NEW},
    };
    char path[PATH_BYTES], text[TEXT_BYTES];
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        snprintf(path, sizeof path, "%s/proc/self/cgroup", files->root);
        if (!read_text(path, text))
            return 0;
        char *group = path_of(text, kinds[i].controller);
        if (group != NULL && (is_group(files, kinds[i].mount, group, kinds[i].file) ||
                              is_group(files, kinds[i].mount, "", kinds[i].file)))
            return kinds[i].version;
    }
    return 0;
}

/* ---- reading the group ---- */

/* A limit of a group binds all below it. */
static double limit_above(const struct environment_files *files)
{
    char folder[PATH_BYTES], text[TEXT_BYTES];
    double least = INFINITY;
    snprintf(folder, sizeof folder, "%s", files->group);
    while (strlen(folder) >= files->mount_len) {
        bool has_limit = read_in(folder, "memory.max", text) && strncmp(text, "max", 3) != 0;
        double limit = has_limit ? (double)strtoull(text, NULL, 10) : INFINITY;
        least = limit < least ? limit : least;
        char *slash = strrchr(folder, '/');
        if (slash == NULL)
            break;
        *slash = '\0';
    }
    return least;
}

static void read_new(const struct environment_files *files, struct environment *to)
{
    char text[TEXT_BYTES];
    read_number_in(files->group, "memory.current", &to->cgroup_current_bytes);
    read_number_in(files->group, "memory.peak", &to->cgroup_peak_bytes);
    if (read_in(files->group, "memory.stat", text))
        find_number(text, "anon", &to->cgroup_anon_bytes);
    if (read_in(files->group, "memory.events", text)) {
        find_number(text, "high", &to->cgroup_high);
        find_number(text, "max", &to->cgroup_max);
        find_number(text, "oom", &to->cgroup_oom);
        find_number(text, "oom_kill", &to->cgroup_oom_kill);
    }
    to->cgroup_limit_bytes = limit_above(files);
}

static void read_old(const struct environment_files *files, struct environment *to)
{
    char text[TEXT_BYTES];
    uint64_t limit = UNLIMITED;
    read_number_in(files->group, "memory.usage_in_bytes", &to->cgroup_current_bytes);
    read_number_in(files->group, "memory.max_usage_in_bytes", &to->cgroup_peak_bytes);
    read_number_in(files->group, "memory.failcnt", &to->cgroup_max);
    if (read_in(files->group, "memory.stat", text)) {
        find_number(text, "total_rss", &to->cgroup_anon_bytes);
        find_number(text, "hierarchical_memory_limit", &limit);
    }
    if (read_in(files->group, "memory.oom_control", text))
        find_number(text, "oom_kill", &to->cgroup_oom_kill);
    to->cgroup_limit_bytes = limit >= UNLIMITED ? INFINITY : (double)limit;
}

/* ---- pressure, machine, pages ---- */

/* some avg10=0.00 avg60=0.00 avg300=0.00 total=12345 */
static double stall_seconds(const char *text, const char *kind)
{
    const char *line = strstr(text, kind);
    const char *total = line == NULL ? NULL : strstr(line, "total=");
    return total == NULL ? 0 : (double)strtoull(total + strlen("total="), NULL, 10) / MICROS_SECOND;
}

static void read_pressure(const struct environment_files *files, struct environment *to)
{
    char text[TEXT_BYTES];
    if (!to->has_pressure || !read_text(files->pressure, text))
        return;
    to->pressure_some = stall_seconds(text, "some");
    to->pressure_full = stall_seconds(text, "full");
}

static void read_machine(const struct environment_files *files, struct environment *to)
{
    char path[PATH_BYTES], text[TEXT_BYTES];
    uint64_t kib = 0;
    snprintf(path, sizeof path, "%s/proc/meminfo", files->root);
    if (read_text(path, text) && find_number(text, "MemAvailable", &kib))
        to->available_bytes = kib * 1024;
}

/* "always [madvise] never" -> "madvise" */
static void read_huge_pages(const struct environment_files *files, struct environment *to)
{
    char path[PATH_BYTES], text[TEXT_BYTES];
    snprintf(path, sizeof path, "%s/sys/kernel/mm/transparent_hugepage/enabled", files->root);
    const char *open = read_text(path, text) ? strchr(text, '[') : NULL;
    const char *close = open == NULL ? NULL : strchr(open, ']');
    if (close == NULL)
        snprintf(to->huge_pages, sizeof to->huge_pages, "none");
    else
        snprintf(to->huge_pages, sizeof to->huge_pages, "%.*s", (int)(close - open - 1), open + 1);
}

static uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The kernel walks all our page tables for it: the more is resident, the less often we ask. */
static void read_rollup(struct environment_files *files, uint64_t now_ns, struct environment *to)
{
    char path[PATH_BYTES], text[TEXT_BYTES];
    uint64_t dear_ns = files->rollup_cost_ns * ROLLUP_DEAR, kib = 0;
    uint64_t pause_ns = dear_ns > ROLLUP_NS ? dear_ns : ROLLUP_NS;
    if (files->rollup_ns != 0 && now_ns - files->rollup_ns < pause_ns)
        return;
    uint64_t begin = clock_ns();
    snprintf(path, sizeof path, "%s/proc/self/smaps_rollup", files->root);
    if (read_text(path, text)) {
        if (find_number(text, "AnonHugePages", &kib))
            to->anon_huge_bytes = kib * 1024;
        if (find_number(text, "LazyFree", &kib))
            to->lazy_free_bytes = kib * 1024;
    }
    files->rollup_ns = now_ns;
    files->rollup_cost_ns = clock_ns() - begin;
}

void environment_read(struct environment_files *files, uint64_t now_ns,
                      struct environment *environment)
{
    struct environment *to = &files->last;
    if (files->version == GROUP_IS_NEW)
        read_new(files, to);
    if (files->version == GROUP_IS_OLD)
        read_old(files, to);
    read_pressure(files, to);
    read_machine(files, to);
    read_huge_pages(files, to);
    read_rollup(files, now_ns, to);
    *environment = *to;
}

/* ---- life ---- */

static void find_pressure(struct environment_files *files)
{
    snprintf(files->pressure, sizeof files->pressure, "%s/memory.pressure", files->group);
    files->last.has_pressure = files->version == GROUP_IS_NEW && access(files->pressure, R_OK) == 0;
    if (files->last.has_pressure)
        return;
    snprintf(files->pressure, sizeof files->pressure, "%s/proc/pressure/memory", files->root);
    files->last.has_pressure = access(files->pressure, R_OK) == 0;
    files->last.is_pressure_of_system = true;
}

int environment_create(struct environment_files **out, const char *root)
{
    struct environment_files *files = calloc(1, sizeof *files);
    if (files == NULL)
        return -1;
    snprintf(files->root, sizeof files->root, "%s", root);
    files->version = find_group(files);
    files->last.has_cgroup = files->version != 0;
    files->last.cgroup_limit_bytes = INFINITY;
    find_pressure(files);
    *out = files;
    return 0;
}

void environment_destroy(struct environment_files *files)
{
    free(files);
}
