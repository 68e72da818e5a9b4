/* SPDX-License-Identifier: MIT */
/* options_rewrite.c: writes the present settings back to the config file (CONFIG REWRITE).
 * Comments, order and the lines of settings that are as the file says stay; the new file takes the
 * place of the old one in one step. The caller holds the options lock.
 */
#include "options.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define VALUE_BYTES (OPTIONS_TEXT_MAX_BYTES + 1)

/* The value as it should be read back: what was left to the server is left to it again. */
static void format(const struct options *options, size_t index, char *value)
{
    if (options_is_auto(options, index))
        strcpy(value, "auto");
    else
        options_format(options, index, value, VALUE_BYTES);
}

static bool is_default(const struct options *options, const struct options *defaults, size_t index)
{
    char value[VALUE_BYTES], usual[VALUE_BYTES];
    format(options, index, value);
    format(defaults, index, usual);
    return strcmp(value, usual) == 0;
}

static bool is_plain(const char *value)
{
    if (value[0] == '\0')
        return false;
    for (; *value; value++)
        if (isspace((unsigned char)*value) || !isprint((unsigned char)*value) ||
            strchr("\"'\\#", *value))
            return false;
    return true;
}

/* `name value`, quoted so that options_split() reads the same value back. */
static void write_setting(FILE *to, const struct options *options, size_t index)
{
    const struct option_info *info = options_info(index);
    char value[VALUE_BYTES];
    format(options, index, value);
    fprintf(to, "%s ", info->name);
    if (is_plain(value) || (info->type == OPTION_LIST && value[0])) {
        fprintf(to, "%s\n", value);
        return;
    }
    fputc('"', to);
    for (const char *at = value; *at; at++) {
        if (*at == '"' || *at == '\\')
            fprintf(to, "\\%c", *at);
        else if (isprint((unsigned char)*at))
            fputc(*at, to);
        else
            fprintf(to, "\\x%02x", (unsigned char)*at);
    }
    fprintf(to, "\"\n");
}

/* The row that a line of the file sets, or -1 for comments and blank lines. */
static int row_of(const char *line)
{
    const char *name = line + strspn(line, " \t");
    return options_find(name, strcspn(name, " \t\r\n"));
}

static void write_all(FILE *to, FILE *from, const struct options *options,
                      const struct options *defaults)
{
    uint64_t written = 0;
    char *line = NULL;
    size_t size = 0;
    while (from && getline(&line, &size, from) >= 0) {
        int index = row_of(line);
        if (index < 0) {
            fputs(line, to);
            continue;
        }
        if (!(written >> index & 1))
            write_setting(to, options, (size_t)index);
        written |= (uint64_t)1 << index;
    }
    free(line);
    for (size_t i = 0; i < options_count(); i++)
        if (!(written >> i & 1) && !is_default(options, defaults, i))
            write_setting(to, options, i);
}

/* 0 when the new file is there as a whole, or a negative errno. A file that is there but can't be
 * read to its end is an error: its other lines would be lost. */
static int write_file(FILE *to, const struct options *options, const struct options *defaults,
                      const char *path)
{
    FILE *from = fopen(path, "re");
    if (!from && errno != ENOENT)
        return -errno;
    errno = 0;
    write_all(to, from, options, defaults);
    bool is_whole = !ferror(to) && (!from || feof(from));
    int error = errno != 0 ? errno : EIO;
    if (from)
        fclose(from);
    if (!is_whole)
        return -error;
    /* The file may hold the password: nobody gets to read it who could not before. */
    struct stat old;
    mode_t mode = stat(path, &old) == 0 ? old.st_mode & 0777 : 0600;
    int fd = fileno(to);
    return fflush(to) == 0 && fsync(fd) == 0 && fchmod(fd, mode) == 0 ? 0 : -errno;
}

static int replace_file(const struct options *options, const struct options *defaults,
                        const char *path, char *temporary)
{
    int fd = mkstemp(temporary);
    FILE *to = fd < 0 ? NULL : fdopen(fd, "w");
    if (!to) {
        int error = errno;
        if (fd >= 0) {
            close(fd);
            unlink(temporary);
        }
        return -error;
    }
    int result = write_file(to, options, defaults, path);
    if (fclose(to) != 0 && result == 0)
        result = -errno;
    if (result == 0 && rename(temporary, path) != 0)
        result = -errno;
    if (result != 0)
        unlink(temporary);
    return result;
}

int options_rewrite(const struct options *options, char *error)
{
    const char *path = options->config_file;
    if (path[0] == '\0') {
        snprintf(error, OPTIONS_ERROR_BYTES, "The server is running without a config file");
        return -1;
    }
    size_t size = strlen(path) + sizeof(".XXXXXX");
    char *temporary = malloc(size);
    int result = -ENOMEM;
    if (temporary) {
        struct options defaults;
        options_init(&defaults);
        snprintf(temporary, size, "%s.XXXXXX", path);
        result = replace_file(options, &defaults, path, temporary);
        options_release(&defaults);
    }
    free(temporary);
    if (result == 0)
        return 0;
    snprintf(error, OPTIONS_ERROR_BYTES, "%s", strerror(-result));
    return -1;
}
