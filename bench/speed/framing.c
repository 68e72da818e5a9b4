/* SPDX-License-Identifier: MIT */
/* framing.c: see framing.h. */
#include "framing.h"

#include <stdbool.h>
#include <string.h>

/* ---- numbers ---- */

/* Reads digits up to the first byte that is none; NULL: there are no digits, or too many. */
static const char *read_number(const char *at, const char *end, size_t *number)
{
    const char *begin = at;
    size_t value = 0;
    while (at < end && (unsigned)(*at - '0') < 10 && at - begin < 10)
        value = value * 10 + (size_t)(*at++ - '0');
    *number = value;
    return at == begin ? NULL : at;
}

/* "*3\r\n" or "$20\r\n": sets *after behind it. 1: done, 0: more must come, -1: it is not that. */
static int read_header(const char *at, const char *end, char type, size_t *number,
                       const char **after)
{
    if (at == end)
        return 0;
    if (*at != type)
        return -1;
    const char *digits_end = read_number(at + 1, end, number);
    if (digits_end == NULL)
        return at + 1 == end ? 0 : -1;
    if (end - digits_end < 2)
        return 0;
    *after = digits_end + 2;
    return digits_end[0] == '\r' && digits_end[1] == '\n' ? 1 : -1;
}

/* ---- RESP ---- */

static enum frame_kind resp_kind(const char *name, size_t length, size_t arguments)
{
    char first = (char)(name[0] | 0x20);
    if (length == 3 && first == 'g' && arguments == 2)
        return FRAME_RESP_GET;
    if (length == 4 && first == 'm')
        return FRAME_RESP_MGET;
    if (length == 4 && first == 'p')
        return FRAME_RESP_PING;
    return FRAME_RESP_OTHER;
}

static ssize_t next_resp(const char *bytes, size_t len, struct frame *frame)
{
    const char *at = bytes, *end = bytes + len;
    size_t arguments, length;
    int found = read_header(at, end, '*', &arguments, &at);
    if (found <= 0 || arguments == 0)
        return found <= 0 ? found : -1;
    for (size_t i = 0; i < arguments; i++) {
        found = read_header(at, end, '$', &length, &at);
        if (found <= 0)
            return found;
        bool is_here = (size_t)(end - at) >= length + 2;
        if (i == 0 && is_here)
            frame->kind = resp_kind(at, length, arguments);
        if (i == arguments - 1 && (is_here || i > 0)) {
            frame->keys = (unsigned)i;
            return at - bytes + (ssize_t)length + 2;
        }
        if (!is_here)
            return 0;
        at += length + 2;
    }
    return -1;
}

/* ---- memcached ---- */

#define VERB(text) text, sizeof(text) - 1

static const struct {
    const char *text;
    size_t length;
    enum frame_kind kind;
    unsigned
        length_word; /* which word after the verb is the value's length; 0: there is no value */
} verbs[] = {
    {VERB("get "), FRAME_TEXT_GET, 0},
    {VERB("mg "), FRAME_META_GET, 0},
    {VERB("set "), FRAME_TEXT_SET, 4},
    {VERB("ms "), FRAME_META_SET, 2},
    {VERB("mn"), FRAME_META_NOOP, 0},
    {VERB("gets "), FRAME_TEXT_GET, 0},
    {VERB("version"), FRAME_VERSION, 0},
    {VERB("PING"), FRAME_RESP_PING, 0}, /* in RESP's short form */
};

static const char *skip_words(const char *at, const char *end, unsigned count)
{
    for (; count > 0 && at < end; count--) {
        const char *blank = memchr(at, ' ', (size_t)(end - at));
        at = blank == NULL ? end : blank + 1;
    }
    return at;
}

static ssize_t next_line(const char *bytes, size_t len, struct frame *frame)
{
    const char *newline = memchr(bytes, '\n', len);
    if (newline == NULL)
        return 0;
    const char *end = newline > bytes && newline[-1] == '\r' ? newline - 1 : newline;
    ssize_t line = newline + 1 - bytes;
    frame->kind = FRAME_UNKNOWN;
    for (size_t v = 0; v < sizeof verbs / sizeof verbs[0]; v++) {
        size_t value;
        if (*bytes != *verbs[v].text || (size_t)(end - bytes) < verbs[v].length ||
            memcmp(bytes, verbs[v].text, verbs[v].length) != 0)
            continue;
        frame->kind = verbs[v].kind;
        frame->words = bytes + verbs[v].length;
        frame->words_end = end;
        if (verbs[v].length_word == 0)
            return line;
        const char *at = skip_words(frame->words, end, verbs[v].length_word - 1);
        if (at == end || read_number(at, end, &value) == NULL)
            return -1;
        return line + (ssize_t)value + 2;
    }
    return line;
}

ssize_t frame_next(const char *bytes, size_t len, struct frame *frame)
{
    ssize_t length = bytes[0] == '*' ? next_resp(bytes, len, frame) : next_line(bytes, len, frame);
    return length == 0 && len > FRAME_HEAD_MAX_BYTES ? -1 : length;
}
