/* SPDX-License-Identifier: MIT */
/* log.c: formats a line on the stack and writes it at once. It takes no lock and no memory, so it
 * may be called from any thread and when memory is out.
 */
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static const char *const level_names[LOG_LEVEL_COUNT] = {"debug", "verbose", "notice", "warning"};

static int open_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    return fd < 0 ? -errno : fd;
}

int log_init(struct log *log, const char *path, enum log_level level)
{
    *log = (struct log){.fd = STDERR_FILENO, .level = level};
    if (path[0] == '\0')
        return 0;
    int fd = open_file(path);
    if (fd < 0)
        return fd;
    log->fd = fd;
    log->owns_fd = true;
    return 0;
}

int log_reopen(struct log *log, const char *path)
{
    int fd = open_file(path);
    if (fd < 0)
        return fd;
    /* In one step: other threads write to this number all the time. */
    int result = dup3(fd, log->fd, O_CLOEXEC) < 0 ? -errno : 0;
    close(fd);
    return result;
}

void log_release(struct log *log)
{
    if (log->owns_fd)
        close(log->fd);
    *log = (struct log){.fd = STDERR_FILENO};
}

void log_set_level(struct log *log, enum log_level level)
{
    __atomic_store_n(&log->level, level, __ATOMIC_RELAXED);
}

static size_t write_prefix(char *line, size_t size, enum log_level level)
{
    struct timespec now;
    struct tm parts;
    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &parts);
    size_t len = strftime(line, size, "%Y-%m-%d %H:%M:%S", &parts);
    return len + (size_t)snprintf(line + len, size - len, ".%03ld %-8s", now.tv_nsec / 1000000,
                                  level_names[level]);
}

void log_write(struct log *log, enum log_level level, const char *format, ...)
{
    if (level < __atomic_load_n(&log->level, __ATOMIC_RELAXED))
        return;
    char line[LOG_LINE_BYTES];
    size_t len = write_prefix(line, sizeof(line), level);
    va_list args;
    va_start(args, format);
    int text_len = vsnprintf(line + len, sizeof(line) - len, format, args);
    va_end(args);
    if (text_len < 0)
        return;
    len += (size_t)text_len;
    if (len > sizeof(line) - 1)
        len = sizeof(line) - 1;
    line[len++] = '\n';
    /* Where the log can't be written there is nobody left to tell. */
    if (write(log->fd, line, len) < 0)
        return;
}
