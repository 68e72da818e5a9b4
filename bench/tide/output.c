/* SPDX-License-Identifier: MIT */
/* output.c: see output.h. */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MODE 0666 /* less the umask */

static bool is_replaceable(const char *path)
{
    struct stat there;
    return stat(path, &there) < 0 || S_ISREG(there.st_mode);
}

int output_open(struct output *output, const char *path)
{
    bool is_beside = is_replaceable(path);
    *output = (struct output){.path = path};
    if (is_beside && asprintf(&output->part, "%s.%d.part", path, (int)getpid()) < 0)
        return -1;
    int flags = O_WRONLY | O_CLOEXEC | (is_beside ? O_CREAT | O_TRUNC : 0);
    int descriptor = open(is_beside ? output->part : path, flags, FILE_MODE);
    output->file = descriptor < 0 ? NULL : fdopen(descriptor, "w");
    if (output->file != NULL)
        return 0;
    int cause = errno;
    if (descriptor >= 0)
        close(descriptor);
    free(output->part);
    errno = cause;
    return -1;
}

int output_close(struct output *output, bool is_all)
{
    bool is_written = fflush(output->file) == 0 && !ferror(output->file);
    int cause = errno;
    if (fclose(output->file) != 0 && is_written) {
        is_written = false;
        cause = errno;
    }
    is_written = is_written && is_all;
    if (is_written && output->part != NULL && rename(output->part, output->path) < 0) {
        is_written = false;
        cause = errno;
    }
    if (!is_written && output->part != NULL)
        unlink(output->part);
    free(output->part);
    errno = cause;
    return is_written ? 0 : -1;
}

int output_try(const char *path)
{
    struct output output;
    struct stat there;
    if (!is_replaceable(path)) {
        errno = EISDIR;
        return stat(path, &there) == 0 && S_ISDIR(there.st_mode) ? -1 : access(path, W_OK);
    }
    if (output_open(&output, path) < 0)
        return -1;
    errno = 0;
    output_close(&output, false);
    return 0;
}
