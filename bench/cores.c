/* SPDX-License-Identifier: MIT */
/* cores.c: see cores.h. */
#include "cores.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "workload.h"

/* The core that a processor belongs to; itself when the system does not tell. */
static long core_of(int cpu)
{
    char path[96];
    long core = -1, package = 0;
    static const char *const names[] = {"core_id", "physical_package_id"};
    long *const numbers[] = {&core, &package};
    for (unsigned n = 0; n < 2; n++) {
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/%s", cpu, names[n]);
        FILE *file = fopen(path, "r");
        if (file == NULL || fscanf(file, "%ld", numbers[n]) != 1)
            core = -1;
        if (file != NULL)
            fclose(file);
    }
    return core < 0 ? cpu : package << 20 | core;
}

static int first_of(const cpu_set_t *cpus)
{
    int cpu = 0;
    while (!CPU_ISSET((size_t)cpu, cpus))
        cpu++;
    return cpu;
}

/* The last one of another core, or the last one. */
static int other_than(int driver, const cpu_set_t *cpus)
{
    int last = driver, other = -1;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET((size_t)cpu, cpus))
            continue;
        last = cpu;
        if (core_of(cpu) != core_of(driver))
            other = cpu;
    }
    return other >= 0 ? other : last;
}

void cores_choose(struct cores *cores)
{
    cpu_set_t cpus;
    if (sched_getaffinity(0, sizeof cpus, &cpus) != 0)
        die("sched_getaffinity: %s", strerror(errno));
    int driver = first_of(&cpus), server = other_than(driver, &cpus);
    CPU_ZERO(&cores->driver);
    CPU_ZERO(&cores->server);
    CPU_SET((size_t)driver, &cores->driver);
    CPU_SET((size_t)server, &cores->server);
    CPU_OR(&cores->both, &cores->driver, &cores->server);
    cores->is_shared = driver == server;
    cores->is_sibling = !cores->is_shared && core_of(driver) == core_of(server);
}

void cores_print(const struct cores *cores)
{
    if (cores->is_shared)
        printf("driver and server share processor %d, there is no other: only CPU times count\n",
               first_of(&cores->driver));
    else
        printf("driver on processor %d, server on processor %d%s\n", first_of(&cores->driver),
               first_of(&cores->server),
               cores->is_sibling ? ", two threads of one core: they slow each other down" : "");
}
