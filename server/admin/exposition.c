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

#define LABELS_BYTES 256u

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
static size_t family_len(const char *name, size_t len, enum metric_type type)
{
    if (type == METRIC_COUNTER && has_suffix(name, len, "_total"))
        len -= strlen("_total");
    if (type == METRIC_INFO && has_suffix(name, len, "_info"))
        len -= strlen("_info");
    return len;
}

static void add(struct exposition *to, const char *text)
{
    ebb_buf_add(to->out, text, strlen(text));
}

/* "# TYPE name rest", of the name's first `len` bytes. */
static void add_comment(struct exposition *to, const char *word, size_t len, const char *rest)
{
    add(to, word);
    ebb_buf_add(to->out, to->name, len);
    ebb_buf_add(to->out, " ", 1);
    add(to, rest);
    ebb_buf_add(to->out, "\n", 1);
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
    to->name_len = strlen(name);
    if (to->format == EXPOSITION_TEXT) {
        add_comment(to, "# HELP ", to->name_len, help);
        add_comment(to, "# TYPE ", to->name_len, text_types[type]);
        return;
    }
    size_t len = family_len(name, to->name_len, type);
    add_comment(to, "# TYPE ", len, openmetrics_types[type]);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (has_suffix(name, len, units[i]) && name[len - strlen(units[i]) - 1] == '_')
            add_comment(to, "# UNIT ", len, units[i]);
    add_comment(to, "# HELP ", len, help);
}

void exposition_end(struct exposition *to)
{
    if (to->format == EXPOSITION_OPENMETRICS)
        add(to, "# EOF\n");
}

/* ---- numbers ---- */

/* Whole numbers up to 2^53, where doubles are exact. */
#define WHOLE_MAX 9007199254740992.0
/* Half of it: there doubles lie closer together than the parts that are counted. */
#define COUNTED_MAX (WHOLE_MAX / 2)
/* digits * 10^(exponent + 1 - len), as %g would write it. */
static size_t place_point(char *text, const char *digits, size_t len, int exponent)
{
    char *at = text;
    if (exponent < -4) {
        *at++ = digits[0];
        if (len > 1) {
            *at++ = '.';
            memcpy(at, digits + 1, len - 1);
            at += len - 1;
        }
        memcpy(at, "e-0", 3);
        at[3] = (char)('0' - exponent);
        return (size_t)(at + 4 - text);
    }
    size_t whole = exponent < 0 ? 0 : (size_t)exponent + 1, zeros = 0;
    if (whole == 0) {
        zeros = (size_t)(-exponent - 1);
        *at++ = '0';
    }
    for (size_t i = 0; i < whole; i++)
        *at++ = i < len ? digits[i] : '0';
    if (len > whole) {
        *at++ = '.';
        memset(at, '0', zeros);
        memcpy(at + zeros, digits + whole, len - whole);
        at += zeros + len - whole;
    }
    return (size_t)(at - text);
}

/* A whole number of `scale`ths, a power of ten; both are below 2^53, so that their quotient is the
 * double nearest to the decimal. 0: it is none. */
static size_t format_parts(char *text, double value, double scale, int scale_digits)
{
    char digits[EBB_NUM_TEXT_BYTES];
    uint64_t count = (uint64_t)(value * scale + 0.5);
    if (count == 0 || (double)count / scale != value)
        return 0;
    size_t len = ebb_format_u64(digits, count);
    int exponent = (int)len - 1 - scale_digits;
    while (digits[len - 1] == '0')
        len--;
    return place_point(text, digits, len, exponent);
}

/* Counts of nanoseconds, moments in milliseconds, round bounds: nearly all that we have. */
static size_t format_counted(char *text, double value)
{
    if (value < COUNTED_MAX / 1e9)
        return format_parts(text, value, 1e9, 9);
    return value < COUNTED_MAX / 1e3 ? format_parts(text, value, 1e3, 3) : 0;
}

static size_t format_any(char *text, double value)
{
    int digits = 6;
    snprintf(text, EXPOSITION_NUMBER_BYTES, "%.15g", value);
    if (strtod(text, NULL) != value)
        digits = 16; /* fewer will not do */
    for (; digits < 17; digits++) {
        int len = snprintf(text, EXPOSITION_NUMBER_BYTES, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            return (size_t)len;
    }
    return (size_t)snprintf(text, EXPOSITION_NUMBER_BYTES, "%.17g", value);
}

size_t exposition_format_double(char *text, double value)
{
    if (isinf(value))
        return (size_t)snprintf(text, EXPOSITION_NUMBER_BYTES, value > 0 ? "+Inf" : "-Inf");
    if (value < 0) {
        text[0] = '-';
        return 1 + exposition_format_double(text + 1, -value);
    }
    if (value <= WHOLE_MAX && value == floor(value)) {
        size_t len = ebb_format_u64(text, (uint64_t)value);
        text[len] = '\0';
        return len;
    }
    size_t len = format_counted(text, value);
    if (len == 0)
        return format_any(text, value);
    text[len] = '\0';
    return len;
}

/* ---- samples ---- */

/* One line: name, suffix, labels and a number of its own. */
static void write_sample(struct exposition *to, const char *suffix, const char *labels,
                         const char *number, size_t number_len)
{
    size_t suffix_len = strlen(suffix), labels_len = strlen(labels);
    size_t len = to->name_len + suffix_len + labels_len + number_len + sizeof "{} \n";
    char *at = ebb_buf_reserve(to->out, len);
    if (at == NULL)
        return;
    char *start = at;
    memcpy(at, to->name, to->name_len);
    at += to->name_len;
    memcpy(at, suffix, suffix_len);
    at += suffix_len;
    if (labels_len > 0) {
        *at++ = '{';
        memcpy(at, labels, labels_len);
        at += labels_len;
        *at++ = '}';
    }
    *at++ = ' ';
    memcpy(at, number, number_len);
    at += number_len;
    *at++ = '\n';
    ebb_buf_commit(to->out, (size_t)(at - start));
}

static void write_u64(struct exposition *to, const char *suffix, const char *labels, uint64_t value)
{
    char text[EBB_NUM_TEXT_BYTES];
    write_sample(to, suffix, labels, text, ebb_format_u64(text, value));
}

static void write_double(struct exposition *to, const char *suffix, const char *labels,
                         double value)
{
    char text[EXPOSITION_NUMBER_BYTES];
    write_sample(to, suffix, labels, text, exposition_format_double(text, value));
}

void exposition_u64(struct exposition *to, const char *labels, uint64_t value)
{
    write_u64(to, "", labels, value);
}

void exposition_double(struct exposition *to, const char *labels, double value)
{
    write_double(to, "", labels, value);
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
    char bucket[LABELS_BYTES], bound[EXPOSITION_NUMBER_BYTES];
    size_t len = (size_t)snprintf(bucket, sizeof bucket / 2, "%s", labels);
    uint64_t count = 0;
    for (size_t i = 0; i <= histogram->bound_count; i++) {
        bucket[len < sizeof bucket / 2 ? len : sizeof bucket / 2 - 1] = '\0';
        format_bound(bound, i < histogram->bound_count ? histogram->bounds[i] : INFINITY);
        exposition_label(bucket, sizeof bucket, "le", bound);
        count += histogram->counts[i];
        write_u64(to, "_bucket", bucket, count);
    }
    write_double(to, "_sum", labels, histogram->sum);
    write_u64(to, "_count", labels, count);
}

void exposition_label(char *labels, size_t size, const char *name, const char *value)
{
    size_t start = strlen(labels), len = start, name_len = strlen(name);
    if (start + name_len + sizeof ",=\"\"" > size)
        return;
    if (start > 0)
        labels[len++] = ',';
    memcpy(labels + len, name, name_len);
    len += name_len;
    labels[len++] = '=';
    labels[len++] = '"';
    for (; *value != '\0' && len + 4 <= size; value++) {
        if (*value == '\\' || *value == '"' || *value == '\n')
            labels[len++] = '\\';
        labels[len++] = *value == '\n' ? 'n' : *value;
    }
    memcpy(labels + len, "\"", 2);
}
