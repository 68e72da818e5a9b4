/* SPDX-License-Identifier: MIT */
/* auth.c: who may run commands. There is one user, Redis's "default", with the password of option
 * requirepass or with none. Called by dispatch.c and the connection commands; memcached clients log
 * in through mc_auth.c.
 */
#include "handler.h"

#include <string.h>

#include "../options.h"

/* Takes as long for a wrong byte at the start as for one at the end. */
bool auth_is_same(struct ebb_slice given, struct ebb_slice right)
{
    unsigned char difference = given.len != right.len;

    for (size_t i = 0; i < given.len; i++)
        difference |=
            (unsigned char)(given.data[i] ^ (right.len == 0 ? 0 : right.data[i % right.len]));
    return difference == 0;
}

bool auth_has_password(struct cmd_context *context)
{
    struct service *service = context->service;

    service->options_lock(service->server);
    bool has_password = service->options->requirepass[0] != '\0';
    service->options_unlock(service->server);
    return has_password;
}

bool auth_passed(struct cmd_context *context)
{
    return context->client->authenticated || !auth_has_password(context);
}

bool auth_try(struct cmd_context *context, struct ebb_slice user, struct ebb_slice password)
{
    struct service *service = context->service;

    service->options_lock(service->server);
    const char *right = service->options->requirepass;
    bool is_right =
        right[0] == '\0' || auth_is_same(password, (struct ebb_slice){right, strlen(right)});
    service->options_unlock(service->server);

    /* User names are told apart by case. */
    if (user.len != strlen("default") || memcmp(user.data, "default", user.len) != 0)
        is_right = false;
    if (is_right)
        context->client->authenticated = true;
    else
        counter_add(&context->counters->auth_failures, 1);
    return is_right;
}
