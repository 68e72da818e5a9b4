/* SPDX-License-Identifier: MIT */
/* cgroup.c: reads the files of cgroup v1 and v2. In a container the group's path, as the process
 * sees it, may not exist below the folder that is mounted: then the nearest folder that does is the
 * group.
 */
#include "cgroup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_BYTES   8192u
#define AUTO_PERCENT 80u
#define NO_LIMIT     (UINT64_C(1) << 62) /* v1 says "none" by a number that is larger */

static bool join(char *path, const char *folder, const char *name)
{
    int len = snprintf(path, PATH_MAX, "%s/%s", folder, name);
    return len > 0 && len < PATH_MAX;
}

static bool read_file(const char *folder, const char *name, char text[FILE_BYTES])
{
    char path[PATH_MAX];
    text[0] = '\0';
    FILE *file = join(path, folder, name) ? fopen(path, "re") : NULL;
    if (!file)
        return false;
    size_t len = fread(text, 1, FILE_BYTES - 1, file);
    text[len] = '\0';
    fclose(file);
    return len > 0;
}

/* The number behind a word at the start of a line or after a blank, 0: it is not there. */
static uint64_t number_after(const char *text, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = text; (at = strstr(at, word)) != NULL; at += len)
        if (at == text || at[-1] == '\n' || at[-1] == ' ')
            return strtoull(at + len, NULL, 10);
    return 0;
}

/* ---- the group ---- */

static const char *limit_file(const struct cgroup *cgroup)
{
    return cgroup->is_v2 ? "memory.max" : "memory.limit_in_bytes";
}

static bool has_file(const char *folder, const char *name)
{
    char path[PATH_MAX];
    return join(path, folder, name) && access(path, R_OK) == 0;
}

/* Cuts the last name off. false: that was the top. */
static bool go_up(char *folder, const char *top)
{
    if (strlen(folder) <= strlen(top))
        return false;
    *strrchr(folder, '/') = '\0';
    return true;
}

/* Whether the second field of a line of /proc/self/cgroup names the memory controller. */
static bool names_memory(const char *controllers, size_t len)
{
    for (size_t at = 0; at < len; at += strcspn(controllers + at, ",:") + 1)
        if (strncmp(controllers + at, "memory", 6) == 0 && strchr(",:", controllers[at + 6]))
            return true;
    return false;
}

/* Sets the group from a line "number:controllers:path". true: it is the one for memory. */
static bool take_line(struct cgroup *cgroup, const char *root, const char *line)
{
    const char *controllers = strchr(line, ':');
    const char *path = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!path)
        return false;
    controllers++;
    size_t len = (size_t)(path - controllers);
    bool is_v2 = len == 0;
    if (!is_v2 && !names_memory(controllers, len))
        return false;
    int path_len = (int)strcspn(path + 1, "\n");
    cgroup->is_v2 = is_v2;
    int top_len = snprintf(cgroup->top, PATH_MAX, "%s%s", root, is_v2 ? "" : "/memory");
    int group_len = snprintf(cgroup->group, PATH_MAX, "%.*s%.*s", PATH_MAX / 2, cgroup->top,
                             path_len < PATH_MAX / 2 ? path_len : 0, path + 1);
    if (top_len >= PATH_MAX / 2 || group_len >= PATH_MAX)
        return false;
    while (cgroup->group[0] != '\0' && cgroup->group[strlen(cgroup->group) - 1] == '/')
        cgroup->group[strlen(cgroup->group) - 1] = '\0';
    while (!has_file(cgroup->group, limit_file(cgroup)))
        if (!go_up(cgroup->group, cgroup->top)) /* the root group of v2 has no limit */
            return false;
    return true;
}

void cgroup_find(struct cgroup *cgroup, const char *root, const char *proc)
{
    char text[FILE_BYTES];
    memset(cgroup, 0, sizeof(*cgroup));
    snprintf(cgroup->proc, sizeof(cgroup->proc), "%s", proc);
    read_file(proc, "self/cgroup", text);
    /* With both mounted, v1 has the memory controller if there is a line for it. */
    struct cgroup found = *cgroup;
    for (const char *line = text; line && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        struct cgroup other = *cgroup;
        if (take_line(&other, root, line) && (found.group[0] == '\0' || !other.is_v2))
            found = other;
    }
    *cgroup = found;
}

uint64_t cgroup_limit(const struct cgroup *cgroup)
{
    char folder[PATH_MAX], text[FILE_BYTES];
    uint64_t least = NO_LIMIT;
    if (cgroup->group[0] == '\0')
        return 0;
    strcpy(folder, cgroup->group);
    do {
        if (!read_file(folder, limit_file(cgroup), text) || strncmp(text, "max", 3) == 0)
            continue;
        uint64_t limit = strtoull(text, NULL, 10);
        least = limit > 0 && limit < least ? limit : least;
    } while (go_up(folder, cgroup->top));
    return least < NO_LIMIT ? least : 0;
}

uint64_t cgroup_machine(const struct cgroup *cgroup)
{
    char text[FILE_BYTES];
    read_file(cgroup->proc, "meminfo", text);
    return number_after(text, "MemTotal:") * 1024;
}

uint64_t cgroup_auto(const struct cgroup *cgroup)
{
    uint64_t limit = cgroup_limit(cgroup), machine = cgroup_machine(cgroup);
    if (limit == 0 || (machine > 0 && machine < limit))
        limit = machine;
    return limit / 100 * AUTO_PERCENT;
}

/* ---- pressure ---- */

/* "some avg10=0.00 avg60=0.00 avg300=0.00 total=123" */
static bool read_stalls(const char *folder, const char *name, uint64_t *us)
{
    char text[FILE_BYTES];
    if (!read_file(folder, name, text) || strncmp(text, "some ", 5) != 0)
        return false;
    *us = number_after(text, "total=");
    return true;
}

void cgroup_read_pressure(const struct cgroup *cgroup, struct cgroup_pressure *pressure)
{
    char text[FILE_BYTES];
    bool has_group = cgroup->group[0] != '\0';
    memset(pressure, 0, sizeof(*pressure));
    pressure->has_stalls = (has_group && cgroup->is_v2 &&
                            read_stalls(cgroup->group, "memory.pressure", &pressure->stalls_us)) ||
                           read_stalls(cgroup->proc, "pressure/memory", &pressure->stalls_us);
    if (has_group && cgroup->is_v2 && read_file(cgroup->group, "memory.events", text)) {
        pressure->hits = number_after(text, "high ") + number_after(text, "max ");
        pressure->kills = number_after(text, "oom_kill ");
    } else if (has_group && !cgroup->is_v2) {
        if (read_file(cgroup->group, "memory.failcnt", text))
            pressure->hits = strtoull(text, NULL, 10);
        if (read_file(cgroup->group, "memory.oom_control", text))
            pressure->kills = number_after(text, "oom_kill ");
    }
}
