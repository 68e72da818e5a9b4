/* SPDX-License-Identifier: MIT */
/* cmd_range.c: parts of values: APPEND, STRLEN, GETRANGE, SETRANGE.
 *
 * Handlers of commands.def; called by dispatch.c.
 */
#include "handler.h"

#include <stdlib.h>
#include <string.h>

#include "../options.h"

/* Whether a value of head + tail bytes is within the limit; answers the error when not. */
static bool fits_limit(struct cmd_context *context, size_t head, size_t tail)
{
    size_t max = (size_t)options_number(&context->service->options->proto_max_bulk_len);

    if (head <= max && tail <= max - head)
        return true;
    ebb_reply_error(&context->reply, ERROR_TOO_LONG);
    return false;
}

void cmd_append(struct cmd_context *context)
{
    struct store_key key = enter_key(context, 1);
    struct ebb_slice tail = context->args[2];
    struct store_value value;
    int rc;

    if (!store_peek(context->store, &key, &value)) {
        value = (struct store_value){0};
        rc = store_set(context->store, &key,
                       &(struct store_value){.data = tail.data, .len = tail.len});
    } else {
        if (!fits_limit(context, value.len, tail.len))
            return;
        rc = store_join(context->store, &key, value.data, value.len, tail.data, tail.len);
    }
    if (rc == STORE_OK)
        ebb_reply_int(&context->reply, (int64_t)(value.len + tail.len));
    else
        reply_store_error(context, rc);
}

void cmd_strlen(struct cmd_context *context)
{
    struct store_key key = enter_key(context, 1);
    struct store_value value;

    ebb_reply_int(&context->reply, read_key(context, &key, &value) ? (int64_t)value.len : 0);
}

/* Both ends count from 0, or from -1 backwards, and belong to the range. */
static struct ebb_slice cut(const struct store_value *value, int64_t start, int64_t end)
{
    int64_t len = (int64_t)value->len;
    struct ebb_slice none = {"", 0};

    if (start < 0 && end < 0 && start > end)
        return none;
    if (start < 0)
        start = start < -len ? 0 : start + len;
    if (end < 0)
        end = end < -len ? 0 : end + len;
    if (end >= len)
        end = len - 1;
    if (start > end)
        return none;
    return (struct ebb_slice){value->data + start, (size_t)(end - start + 1)};
}

void cmd_getrange(struct cmd_context *context)
{
    struct store_value value;
    struct ebb_slice part = {"", 0};
    int64_t start, end;

    if (!arg_int(context, 2, &start) || !arg_int(context, 3, &end))
        return;
    struct store_key key = enter_key(context, 1);
    if (read_key(context, &key, &value))
        part = cut(&value, start, end);
    reply_bytes_of(context, &key, &value, part);
}

/* The value continues with the patch from offset on, with zeros before it where it is shorter. */
static int overwrite(struct cmd_context *context, const struct store_key *key,
                     const struct store_value *old, size_t offset, struct ebb_slice patch)
{
    size_t gap = offset > old->len ? offset - old->len : 0;
    char *zeros = gap > 0 ? calloc(1, gap + patch.len) : NULL;

    if (gap > 0 && zeros == NULL)
        return STORE_ENOMEM;
    if (gap > 0)
        memcpy(zeros + gap, patch.data, patch.len);
    int rc = store_join(context->store, key, old->data, offset - gap, gap > 0 ? zeros : patch.data,
                        gap + patch.len);
    free(zeros);
    if (rc == STORE_OK)
        ebb_reply_int(&context->reply, (int64_t)(offset + patch.len));
    return rc;
}

/* A value that keeps its length is changed where it lies. */
static int overwrite_inside(struct cmd_context *context, const struct store_key *key,
                            const struct store_value *old, size_t offset, struct ebb_slice patch)
{
    int64_t len = (int64_t)old->len;
    char *bytes;
    int rc = store_edit(context->store, key, &bytes);

    if (rc != STORE_OK)
        return rc;
    memcpy(bytes + offset, patch.data, patch.len);
    store_edited(context->store, key);
    ebb_reply_int(&context->reply, len);
    return STORE_OK;
}

void cmd_setrange(struct cmd_context *context)
{
    struct ebb_slice patch = context->args[3];
    struct store_value old = {0};
    int64_t offset;

    if (!arg_int(context, 2, &offset))
        return;
    if (offset < 0) {
        ebb_reply_error(&context->reply, "ERR offset is out of range");
        return;
    }
    struct store_key key = enter_key(context, 1);
    store_peek(context->store, &key, &old);
    if (patch.len == 0) {
        ebb_reply_int(&context->reply, (int64_t)old.len);
        return;
    }
    if (!fits_limit(context, (size_t)offset, patch.len))
        return;
    int rc = (size_t)offset + patch.len <= old.len
                 ? overwrite_inside(context, &key, &old, (size_t)offset, patch)
                 : overwrite(context, &key, &old, (size_t)offset, patch);
    if (rc != STORE_OK)
        reply_store_error(context, rc);
}
