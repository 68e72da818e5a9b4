/* SPDX-License-Identifier: MIT */
/* exposition.c: the rules of the two formats and of choosing between them. Pure; metrics.c says
 * what is written. A full output buffer shows in out->failed.
 */
#include "exposition.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- which format ---- */

static struct ebb_slice trim_blanks(struct ebb_slice text)
{
    while (text.len > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
        text.data++;
        text.len--;
    }
    while (text.len > 0 && (text.data[text.len - 1] == ' ' || text.data[text.len - 1] == '\t'))
        text.len--;
    return text;
}

/* Takes what lies before the separator off the front of `rest`. */
static struct ebb_slice next_piece(struct ebb_slice *rest, char separator)
{
    const char *end = memchr(rest->data, separator, rest->len);
    struct ebb_slice piece = {rest->data, end == NULL ? rest->len : (size_t)(end - rest->data)};
    size_t used = end == NULL ? piece.len : piece.len + 1;
    rest->data += used;
    rest->len -= used;
    return trim_blanks(piece);
}

static bool is_text(struct ebb_slice slice, const char *text)
{
    return slice.len == strlen(text) && strncasecmp(slice.data, text, slice.len) == 0;
}

/* The value of a parameter `name=value`, quotes taken off; data is NULL for another parameter. */
static struct ebb_slice parameter_value(struct ebb_slice parameter, const char *name)
{
    struct ebb_slice value = parameter;
    if (!is_text(next_piece(&value, '='), name))
        return (struct ebb_slice){NULL, 0};
    value = trim_blanks(value);
    if (value.len >= 2 && value.data[0] == '"' && value.data[value.len - 1] == '"')
        return (struct ebb_slice){value.data + 1, value.len - 2};
    return value;
}

/* "0.75" -> 750. Anything that is no quality counts as 0: the client can't mean it as a wish. */
static unsigned quality_of(struct ebb_slice text)
{
    char copy[8] = "";
    if (text.len == 0 || text.len >= sizeof copy)
        return 0;
    memcpy(copy, text.data, text.len);
    if (strspn(copy, "0123456789.") < text.len)
        return 0;
    double quality = strtod(copy, NULL);
    return quality >= 1 ? 1000 : (unsigned)(quality * 1000 + 0.5);
}

enum exposition_format exposition_choose(struct ebb_slice accept)
{
    unsigned openmetrics = 0, text = 0;
    while (accept.len > 0) {
        struct ebb_slice range = next_piece(&accept, ',');
        struct ebb_slice type = next_piece(&range, ';');
        unsigned quality = 1000;
        bool is_ours = true; /* a version that we do not write is as good as not asked for */
        while (range.len > 0) {
            struct ebb_slice parameter = next_piece(&range, ';');
            struct ebb_slice value = parameter_value(parameter, "version");
            if (value.data != NULL)
                is_ours = is_text(value, "1.0.0");
            value = parameter_value(parameter, "q");
            if (value.data != NULL)
                quality = quality_of(value);
        }
        if (is_text(type, "application/openmetrics-text") && is_ours && quality > openmetrics)
            openmetrics = quality;
        if (is_text(type, "text/plain") && quality > text)
            text = quality;
    }
    return openmetrics > 0 && openmetrics >= text ? EXPOSITION_OPENMETRICS : EXPOSITION_TEXT;
}

const char *exposition_content_type(enum exposition_format format)
{
    return format == EXPOSITION_OPENMETRICS
               ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
               : "text/plain; version=0.0.4; charset=utf-8";
}

/* ---- families ---- */

static bool has_suffix(const char *name, size_t len, const char *suffix)
{
    size_t suffix_len = strlen(suffix);
    return len > suffix_len && memcmp(name + len - suffix_len, suffix, suffix_len) == 0;
}

/* OpenMetrics names the family, not its samples. */
static int family_len(const char *name, enum metric_type type)
{
    size_t len = strlen(name);
    if (type == METRIC_COUNTER && has_suffix(name, len, "_total"))
        len -= strlen("_total");
    if (type == METRIC_INFO && has_suffix(name, len, "_info"))
        len -= strlen("_info");
    return (int)len;
}

/* The help texts are our own and hold no backslash or line end; OpenMetrics would have quotes
 * escaped too, so they hold none of these either (test_metrics.c looks). */
void exposition_begin(struct exposition *to, enum metric_type type, const char *name,
                      const char *help)
{
    static const char *const text_types[] = {"gauge", "counter", "gauge", "histogram"};
    static const char *const openmetrics_types[] = {"gauge", "counter", "info", "histogram"};
    static const char *const units[] = {"seconds", "bytes"};
    to->name = name;
    if (to->format == EXPOSITION_TEXT) {
        ebb_buf_printf(to->out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, text_types[type]);
        return;
    }
    int len = family_len(name, type);
    ebb_buf_printf(to->out, "# TYPE %.*s %s\n", len, name, openmetrics_types[type]);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (has_suffix(name, (size_t)len, units[i]) &&
            name[(size_t)len - strlen(units[i]) - 1] == '_')
            ebb_buf_printf(to->out, "# UNIT %.*s %s\n", len, name, units[i]);
    ebb_buf_printf(to->out, "# HELP %.*s %s\n", len, name, help);
}

void exposition_end(struct exposition *to)
{
    if (to->format == EXPOSITION_OPENMETRICS)
        ebb_buf_printf(to->out, "# EOF\n");
}

/* ---- samples ---- */

size_t exposition_format_double(char *text, double value)
{
    if (isinf(value))
        return (size_t)snprintf(text, EXPOSITION_NUMBER_BYTES, value > 0 ? "+Inf" : "-Inf");
    for (int digits = 6; digits < 17; digits++) {
        int len = snprintf(text, EXPOSITION_NUMBER_BYTES, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            return (size_t)len;
    }
    return (size_t)snprintf(text, EXPOSITION_NUMBER_BYTES, "%.17g", value);
}

static void write_name(struct exposition *to, const char *suffix, const char *labels)
{
    const char *open = labels[0] == '\0' ? "" : "{", *close = labels[0] == '\0' ? " " : "} ";
    ebb_buf_add(to->out, to->name, strlen(to->name));
    ebb_buf_add(to->out, suffix, strlen(suffix));
    ebb_buf_add(to->out, open, strlen(open));
    ebb_buf_add(to->out, labels, strlen(labels));
    ebb_buf_add(to->out, close, strlen(close));
}

static void write_u64(struct exposition *to, uint64_t value)
{
    char text[EBB_NUM_TEXT_BYTES + 1];
    size_t len = ebb_format_u64(text, value);
    text[len++] = '\n';
    ebb_buf_add(to->out, text, len);
}

static void write_double(struct exposition *to, double value)
{
    char text[EXPOSITION_NUMBER_BYTES + 1];
    size_t len = exposition_format_double(text, value);
    text[len++] = '\n';
    ebb_buf_add(to->out, text, len);
}

void exposition_u64(struct exposition *to, const char *labels, uint64_t value)
{
    write_name(to, "", labels);
    write_u64(to, value);
}

void exposition_double(struct exposition *to, const char *labels, double value)
{
    write_name(to, "", labels);
    write_double(to, value);
}

/* `le` is part of a series' name, so it is written the same way in both formats: as OpenMetrics
 * wants it, with a point or an exponent in every number. */
static void format_bound(char *text, double bound)
{
    size_t len = exposition_format_double(text, bound);
    if (strpbrk(text, ".eI") == NULL)
        memcpy(text + len, ".0", sizeof ".0");
}

void exposition_histogram(struct exposition *to, const char *labels,
                          const struct histogram *histogram)
{
    const char *comma = labels[0] == '\0' ? "" : ",";
    uint64_t count = 0;
    for (size_t i = 0; i <= histogram->bound_count; i++) {
        char bucket[256], bound[EXPOSITION_NUMBER_BYTES];
        format_bound(bound, i < histogram->bound_count ? histogram->bounds[i] : INFINITY);
        snprintf(bucket, sizeof bucket, "%s%sle=\"%s\"", labels, comma, bound);
        count += histogram->counts[i];
        write_name(to, "_bucket", bucket);
        write_u64(to, count);
    }
    write_name(to, "_sum", labels);
    write_double(to, histogram->sum);
    write_name(to, "_count", labels);
    write_u64(to, count);
}

void exposition_label(char *labels, size_t size, const char *name, const char *value)
{
    size_t len = strlen(labels);
    int head = snprintf(labels + len, size - len, "%s%s=\"", len == 0 ? "" : ",", name);
    if (head < 0 || (size_t)head + 2 > size - len) {
        labels[len] = '\0';
        return;
    }
    len += (size_t)head;
    for (; *value != '\0' && len + 4 <= size; value++) {
        if (*value == '\\' || *value == '"' || *value == '\n')
            labels[len++] = '\\';
        labels[len++] = *value == '\n' ? 'n' : *value;
    }
    memcpy(labels + len, "\"", 2);
}
