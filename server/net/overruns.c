/* SPDX-License-Identifier: MIT */
/* overruns.c: the lines in the log. A crowd of clients that never reads must not fill the disk. */
#include "overruns.h"

#include <stdio.h>

#include "../clock.h"
#include "connection.h"
#include "worker.h"

#define QUIET_MS   1000
#define NAME_BYTES 128

static void tell(struct connection *connection, const char *why)
{
    struct worker *worker = connection_worker(connection);
    struct overruns *overruns = &worker->overruns;
    int64_t now_ms = clock_unix_ms();
    if (now_ms >= overruns->told_ms && now_ms - overruns->told_ms < QUIET_MS) {
        overruns->untold++;
        return;
    }
    char address[NAME_BYTES], others[64] = "";
    connection_address(&connection->client, false, address, sizeof(address));
    if (overruns->untold > 0)
        snprintf(others, sizeof(others), "; %llu others since the last such line",
                 (unsigned long long)overruns->untold);
    log_write(worker->config.log, LOG_WARNING, "closing client %llu (%s), %s%s",
              (unsigned long long)connection->client.id, address, why, others);
    *overruns = (struct overruns){.told_ms = now_ms};
}

void overruns_tell(struct connection *connection, const char *setting, int64_t limit_bytes)
{
    char why[NAME_BYTES];
    snprintf(why, sizeof(why), "which is over %s, %lld bytes", setting, (long long)limit_bytes);
    tell(connection, why);
}

void overruns_tell_memory(struct connection *connection)
{
    tell(connection, "as there is no memory for its replies");
}
