/* SPDX-License-Identifier: MIT */
/* feed_targets.c: the parsers of proto/ as targets of feed.h. */
#include "feed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void log_text(struct ebb_buf *log, const char *text)
{
    ebb_buf_add(log, text, strlen(text));
}

/* Logs "[bytes]" of a span that must lie inside bytes[0 .. len). */
static void log_span(struct ebb_buf *log, struct ebb_slice span, const char *bytes, size_t len)
{
    bool is_inside = span.data >= bytes && span.data <= bytes + len &&
                     span.len <= (size_t)(bytes + len - span.data);
    if (!is_inside) {
        fprintf(stderr, "feed: a span of %zu bytes is outside of the %zu given\n", span.len, len);
        abort();
    }
    log_text(log, "[");
    ebb_buf_add(log, span.data, span.len);
    log_text(log, "]");
}

/* ---- RESP ---- */

static void resp_begin(void *context)
{
    struct feed_resp *resp = context;
    ebb_resp_parser_init(&resp->parser);
    resp->parser.unauthenticated = resp->settings.unauthenticated;
    resp->parser.bulk_max_bytes = resp->settings.bulk_max_bytes;
}

static ssize_t resp_parse(void *context, char *bytes, size_t len, struct ebb_buf *log)
{
    struct feed_resp *resp = context;
    ssize_t used = ebb_resp_parse(&resp->parser, bytes, len, &resp->args);
    if (used < 0)
        ebb_buf_printf(log, "! %s\n", resp->parser.error);
    if (used <= 0)
        return used;
    for (uint32_t i = 0; i < resp->args.count; i++)
        log_span(log, resp->args.at[i], bytes, (size_t)used);
    log_text(log, "\n");
    return used;
}

static size_t resp_need_bytes(const void *context)
{
    const struct feed_resp *resp = context;
    return resp->parser.need_bytes;
}

struct feed_target feed_resp_target(struct feed_resp *context)
{
    *context = (struct feed_resp){0};
    ebb_args_init(&context->args);
    return (struct feed_target){context, resp_begin, resp_parse, resp_need_bytes};
}

void feed_resp_release(struct feed_resp *context)
{
    ebb_args_release(&context->args);
}

/* ---- memcached ---- */

static void mc_begin(void *context)
{
    struct feed_mc *mc = context;
    ebb_mc_parser_init(&mc->parser, mc->value_max_bytes);
}

/* A key given in base64 lies in the command itself. */
static void log_binary_key(struct ebb_buf *log, const struct ebb_mc_command *command)
{
    struct ebb_slice key = command->keys.at[0];
    log_span(log, key, command->binary_key, sizeof(command->binary_key));
}

static void log_meta(struct ebb_buf *log, const struct ebb_mc_command *command)
{
    if (ebb_mc_has(command, 'F'))
        ebb_buf_printf(log, " flags=%u", command->flags);
    if (ebb_mc_has(command, 'N'))
        ebb_buf_printf(log, " vivify=%lld", (long long)command->vivify_exptime);
    if (ebb_mc_has(command, 'R'))
        ebb_buf_printf(log, " recache=%lld", (long long)command->recache_exptime);
    if (ebb_mc_has(command, 'C'))
        ebb_buf_printf(log, " cas=%llu", (unsigned long long)command->cas);
    if (ebb_mc_has(command, 'E'))
        ebb_buf_printf(log, " new-cas=%llu", (unsigned long long)command->new_cas);
    if (ebb_mc_has(command, 'J'))
        ebb_buf_printf(log, " initial=%llu", (unsigned long long)command->initial);
    if (command->mode)
        ebb_buf_printf(log, " mode=%c", command->mode);
}

static void log_mc_command(const struct ebb_mc_command *command, const char *bytes, size_t len,
                           struct ebb_buf *log)
{
    enum ebb_mc_verb verb = command->verb;
    bool is_storage = verb >= EBB_MC_SET && verb <= EBB_MC_CAS;
    log_text(log, ebb_mc_verb_names[verb]);
    log_text(log, " ");
    for (uint32_t i = 0; i < command->keys.count; i++) {
        if (i == 0 && ebb_mc_has(command, 'b'))
            log_binary_key(log, command);
        else
            log_span(log, command->keys.at[i], bytes, len);
    }
    if (command->meta)
        log_meta(log, command);
    if (is_storage)
        ebb_buf_printf(log, " flags=%u", command->flags);
    if (command->exptime)
        ebb_buf_printf(log, " exptime=%lld", (long long)command->exptime);
    if (verb == EBB_MC_CAS)
        ebb_buf_printf(log, " cas=%llu", (unsigned long long)command->cas);
    if (verb == EBB_MC_INCR || verb == EBB_MC_DECR)
        ebb_buf_printf(log, " delta=%llu", (unsigned long long)command->delta);
    if (command->has_delay)
        log_text(log, " delay");
    if (command->noreply)
        log_text(log, " noreply");
    if (is_storage || verb == EBB_MC_MS) {
        log_text(log, " ");
        log_span(log, command->value, bytes, len);
    }
    log_text(log, "\n");
}

static ssize_t mc_parse(void *context, char *bytes, size_t len, struct ebb_buf *log)
{
    struct feed_mc *mc = context;
    ssize_t used = ebb_mc_parse(&mc->parser, bytes, len, &mc->command);
    if (used < 0)
        ebb_buf_printf(log, "! %s\n", mc->parser.error);
    if (used <= 0)
        return used;
    if (mc->command.is_too_large)
        ebb_buf_printf(log, "too large: %s %.*s\n", ebb_mc_verb_names[mc->command.verb],
                       (int)mc->command.keys.at[0].len, mc->command.keys.at[0].data);
    /* Silence is not logged: skipped bytes of a value come in as many pieces as they are fed in. */
    if (mc->command.error && mc->command.error[0])
        ebb_buf_printf(log, "= %s\n", mc->command.error);
    if (!mc->command.error)
        log_mc_command(&mc->command, bytes, (size_t)used, log);
    return used;
}

static size_t mc_need_bytes(const void *context)
{
    const struct feed_mc *mc = context;
    return mc->parser.need_bytes;
}

struct feed_target feed_mc_target(struct feed_mc *context)
{
    *context = (struct feed_mc){.value_max_bytes = 1024 * 1024};
    ebb_mc_command_init(&context->command);
    return (struct feed_target){context, mc_begin, mc_parse, mc_need_bytes};
}

void feed_mc_release(struct feed_mc *context)
{
    ebb_mc_command_release(&context->command);
}

/* ---- HTTP ---- */

static void http_begin(void *context)
{
    (void)context;
}

static void log_header(struct ebb_buf *log, const char *name, struct ebb_slice value,
                       const char *bytes, size_t len)
{
    if (!value.data)
        return;
    ebb_buf_printf(log, " %s=", name);
    log_span(log, value, bytes, len);
}

static ssize_t http_parse(void *context, char *bytes, size_t len, struct ebb_buf *log)
{
    (void)context;
    static const char *const methods[] = {"GET", "HEAD", "POST", "OTHER"};
    struct ebb_http_request request;
    int status = 0;
    ssize_t used = ebb_http_parse(bytes, len, &request, &status);
    if (used < 0)
        ebb_buf_printf(log, "! %d\n", status);
    if (used <= 0)
        return used;
    ebb_buf_printf(log, "%s ", methods[request.method]);
    /* A URL without a path has one all the same. */
    if (request.path.len == 1 && request.path.data[0] == '/')
        log_text(log, "[/]");
    else
        log_span(log, request.path, bytes, (size_t)used);
    log_header(log, "query", request.query, bytes, (size_t)used);
    log_header(log, "accept", request.accept, bytes, (size_t)used);
    log_header(log, "encoding", request.accept_encoding, bytes, (size_t)used);
    log_header(log, "auth", request.authorization, bytes, (size_t)used);
    log_text(log, request.keep_alive ? " keep\n" : " close\n");
    return used;
}

struct feed_target feed_http_target(void)
{
    return (struct feed_target){NULL, http_begin, http_parse, NULL};
}
