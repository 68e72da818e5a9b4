/* SPDX-License-Identifier: MIT */
/* slowlog.c: the list of slow commands, newest first. dispatch.c adds through timing.c, and
 * cmd_slowlog.c reads with the mutex locked.
 */
#include "slowlog.h"

#include <stdlib.h>
#include <string.h>

void slowlog_init(struct slowlog *slowlog)
{
    memset(slowlog, 0, sizeof(*slowlog));
    pthread_mutex_init(&slowlog->mutex, NULL);
}

void slowlog_release(struct slowlog *slowlog)
{
    slowlog_reset(slowlog);
    pthread_mutex_destroy(&slowlog->mutex);
}

static void shorten(struct slowlog *slowlog, size_t max)
{
    while (slowlog->count > max) {
        struct slow_entry *oldest = slowlog->oldest;
        slowlog->oldest = oldest->newer;
        if (slowlog->oldest == NULL)
            slowlog->newest = NULL;
        else
            slowlog->oldest->older = NULL;
        slowlog->count--;
        free(oldest);
    }
}

void slowlog_add(struct slowlog *slowlog, struct slow_entry *entry, size_t max)
{
    pthread_mutex_lock(&slowlog->mutex);
    entry->id = slowlog->next_id++;
    entry->older = slowlog->newest;
    entry->newer = NULL;
    if (slowlog->newest == NULL)
        slowlog->oldest = entry;
    else
        slowlog->newest->newer = entry;
    slowlog->newest = entry;
    slowlog->count++;
    shorten(slowlog, max);
    pthread_mutex_unlock(&slowlog->mutex);
}

void slowlog_reset(struct slowlog *slowlog)
{
    pthread_mutex_lock(&slowlog->mutex);
    shorten(slowlog, 0);
    pthread_mutex_unlock(&slowlog->mutex);
}
