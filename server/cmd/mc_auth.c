/* SPDX-License-Identifier: MIT */
/* mc_auth.c: how a memcached client logs in: with memcached's option -Y, it `set`s any key to
 * "NAME PASSWORD" before anything else.
 *
 * Option auth-file names a file of "name:password" lines, memcached's own; without it the password
 * of option requirepass is asked for, whatever the name. The file is read at each login, so that
 * passwords change without a restart: it is short, and logins are few.
 */
#include "mc_auth.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../options.h"
#include "handler.h"

#define AUTH_FILE_MAX_BYTES (64u * 1024)

/* ---- the file ---- */

/* All of the file; the caller frees it. NULL: errno says why. */
static char *read_file(const char *path, size_t *len)
{
    char *text = malloc(AUTH_FILE_MAX_BYTES);
    int fd = text != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t got = 1;

    *len = 0;
    while (fd >= 0 && got > 0 && *len < AUTH_FILE_MAX_BYTES) {
        got = read(fd, text + *len, AUTH_FILE_MAX_BYTES - *len);
        *len += got > 0 ? (size_t)got : 0;
    }
    int error = fd < 0 || got < 0 ? errno : *len == AUTH_FILE_MAX_BYTES ? EFBIG : 0;
    if (fd >= 0)
        close(fd);
    if (error == 0)
        return text;
    free(text);
    errno = error;
    return NULL;
}

/* Cuts the next line into name and password; lines without a colon are none. */
static bool next_user(struct ebb_slice *rest, struct ebb_slice *name, struct ebb_slice *password)
{
    while (rest->len > 0) {
        const char *line = rest->data, *newline = memchr(line, '\n', rest->len);
        size_t len = newline != NULL ? (size_t)(newline - line) : rest->len;
        size_t used = len + (newline != NULL);
        const char *colon = memchr(line, ':', len);
        *rest = (struct ebb_slice){line + used, rest->len - used};
        if (colon == NULL)
            continue;
        *name = (struct ebb_slice){line, (size_t)(colon - line)};
        *password = (struct ebb_slice){colon + 1, len - name->len - 1};
        return true;
    }
    return false;
}

int mc_auth_check_file(const char *path)
{
    size_t len;
    struct ebb_slice name, password;
    char *text = read_file(path, &len);

    if (text == NULL)
        return -errno;
    struct ebb_slice rest = {text, len};
    bool has_users = next_user(&rest, &name, &password);
    free(text);
    return has_users ? 0 : -EINVAL;
}

static bool is_in_file(const char *path, struct ebb_slice name, struct ebb_slice password)
{
    size_t len;
    bool is_right = false;
    struct ebb_slice right_name, right;
    char *text = read_file(path, &len);

    if (text == NULL)
        return false;
    for (struct ebb_slice rest = {text, len}; next_user(&rest, &right_name, &right);)
        is_right |= auth_is_same(name, right_name) & auth_is_same(password, right);
    free(text);
    return is_right;
}

/* ---- logging in ---- */

bool mc_auth_is_needed(struct service *service)
{
    if (service->options->auth_file[0] != '\0') /* never changes */
        return true;
    service->options_lock(service->server);
    bool is_needed = service->options->requirepass[0] != '\0';
    service->options_unlock(service->server);
    return is_needed;
}

/* "name password": words as memcached finds them; `rest` is all from the second on. false: there
 * is no second. */
static bool split_token(struct ebb_slice value, struct ebb_slice *name, struct ebb_slice *password,
                        struct ebb_slice *rest)
{
    const char *at = value.data, *end = at + value.len;
    const char *starts[2];
    size_t lens[2];

    for (unsigned i = 0; i < 2; i++) {
        while (at < end && *at == ' ')
            at++;
        starts[i] = at;
        while (at < end && *at != ' ')
            at++;
        lens[i] = (size_t)(at - starts[i]);
    }
    *name = (struct ebb_slice){starts[0], lens[0]};
    *password = (struct ebb_slice){starts[1], lens[1]};
    *rest = (struct ebb_slice){starts[1], (size_t)(end - starts[1])};
    return lens[1] > 0;
}

static bool is_right(struct service *service, struct ebb_slice name, struct ebb_slice password,
                     struct ebb_slice rest)
{
    const struct options *options = service->options;

    if (options->auth_file[0] != '\0')
        return is_in_file(options->auth_file, name, password);
    service->options_lock(service->server);
    const char *right = options->requirepass;
    bool is_same = auth_is_same(rest, (struct ebb_slice){right, strlen(right)});
    service->options_unlock(service->server);
    return is_same;
}

static const char *log_in(struct cmd_context *context, struct ebb_slice token)
{
    struct ebb_slice name, password, rest;

    if (!split_token(token, &name, &password, &rest))
        return "CLIENT_ERROR bad authentication token format";
    counter_add(&context->counters->mc_auths, 1);
    if (!is_right(context->service, name, password, rest)) {
        counter_add(&context->counters->auth_failures, 1);
        return "CLIENT_ERROR authentication failure";
    }
    context->client->authenticated = true;
    return "STORED";
}

void mc_auth_run(struct cmd_context *context, const struct ebb_mc_command *command)
{
    bool has_token = command->verb == EBB_MC_SET && command->value.data != NULL;

    if (!command->error && (command->verb == EBB_MC_VERSION || command->verb == EBB_MC_QUIT)) {
        cmd_run_mc(context, command);
        return;
    }
    context->client->commands++;
    const char *answer = !has_token       ? "CLIENT_ERROR unauthenticated"
                         : command->error ? "CLIENT_ERROR bad command line termination"
                                          : log_in(context, command->value);
    ebb_mc_write_line(context->reply.out, answer);
}
