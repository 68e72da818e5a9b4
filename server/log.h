/* SPDX-License-Identifier: MIT */
/* log.h: messages for people, one line each: "2024-05-01 12:00:00.123 notice  text".
 *
 * A struct log belongs to the server and is passed to whoever has something to say. Any thread may
 * write: a line goes out in one write(2), so lines never mix.
 */
#ifndef EBB_LOG_H
#define EBB_LOG_H

#include <stddef.h>

#include "options.h"

#define LOG_LINE_BYTES 1024 /* longer lines are cut */

struct log {
    int fd;
    enum log_level level; /* less important messages are dropped; read and changed by any thread */
    bool owns_fd;
};

/* Logs to the end of the file, or to standard error when the path is empty. 0, or a negative errno;
 * then the log still works and goes to standard error. */
int log_init(struct log *log, const char *path, enum log_level level);
/* Opens the file again: whoever moved it away gets no more lines. Any thread may write meanwhile.
 * 0, or a negative errno; then all stays as it was. */
int log_reopen(struct log *log, const char *path);
void log_release(struct log *log);
void log_set_level(struct log *log, enum log_level level);
void log_write(struct log *log, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
