/* SPDX-License-Identifier: MIT */
/* expo.c: reads line by line; a family is complete when the next begins. */
#include "expo.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum type { TYPE_NONE, TYPE_GAUGE, TYPE_COUNTER, TYPE_INFO, TYPE_HISTOGRAM };

#define FAMILIES_MAX 512

struct reader {
    struct expo *expo;
    bool is_openmetrics, has_help, has_unit, ended;
    enum type type;
    char family[EXPO_NAME_BYTES];
    char families[FAMILIES_MAX][EXPO_NAME_BYTES];
    size_t family_count, family_start; /* first sample of the family */
    char line[1024];
};

static bool fail(struct reader *reader, const char *format, ...)
{
    char why[256];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    snprintf(reader->expo->error, sizeof reader->expo->error, "%s: %.200s", why, reader->line);
    return false;
}

/* ---- words ---- */

static size_t name_len(const char *text)
{
    size_t len = 0;
    if (isdigit((unsigned char)text[0]))
        return 0;
    while (isalnum((unsigned char)text[len]) || text[len] == '_')
        len++;
    return len;
}

static bool ends_with(const char *text, const char *suffix)
{
    size_t len = strlen(text), suffix_len = strlen(suffix);
    return len > suffix_len && strcmp(text + len - suffix_len, suffix) == 0;
}

/* A label's value with its quotes: backslash escapes only \\ \" \n. Its length, 0 if it is wrong.
 */
static size_t quoted_len(const char *text)
{
    size_t at = 1;
    if (text[0] != '"')
        return 0;
    for (; text[at] != '"'; at++) {
        if (text[at] == '\0')
            return 0;
        if (text[at] == '\\' && strchr("\\\"n", text[++at]) == NULL)
            return 0;
    }
    return at + 1;
}

static bool check_labels(struct reader *reader, const char *labels)
{
    char seen[16][64];
    size_t count = 0;
    for (const char *at = labels;;) {
        size_t name = name_len(at);
        if (name == 0 || name >= 64 || at[name] != '=' || count == 16)
            return fail(reader, "bad label name");
        snprintf(seen[count], sizeof seen[0], "%.*s", (int)name, at);
        for (size_t i = 0; i < count; i++)
            if (strcmp(seen[i], seen[count]) == 0)
                return fail(reader, "label %s twice", seen[count]);
        count++;
        size_t value = quoted_len(at + name + 1);
        if (value == 0)
            return fail(reader, "bad label value");
        at += name + 1 + value;
        if (*at == '\0')
            return true;
        if (*at++ != ',')
            return fail(reader, "no comma between labels");
    }
}

static bool parse_number(const char *text, double *value)
{
    char *end;
    if (strcmp(text, "+Inf") == 0 || strcmp(text, "-Inf") == 0) {
        *value = text[0] == '+' ? INFINITY : -INFINITY;
        return true;
    }
    if (strspn(text, "0123456789.eE+-") != strlen(text) || *text == '\0')
        return false; /* no NaN: we have no use for it */
    *value = strtod(text, &end);
    return *end == '\0';
}

/* ---- histograms ---- */

/* Splits `le` off the end of a label set. */
static bool split_bound(struct reader *reader, const struct expo_sample *sample, char *rest,
                        double *bound)
{
    const char *le = strstr(sample->labels, "le=\"");
    if (le == NULL)
        return fail(reader, "bucket without le");
    char number[64];
    snprintf(number, sizeof number, "%s", le + 4);
    number[strcspn(number, "\"")] = '\0';
    if (strpbrk(number, ".eI") == NULL || !parse_number(number, bound))
        return fail(reader, "le=%s is not canonical", number);
    size_t len = (size_t)(le - sample->labels);
    snprintf(rest, EXPO_LABELS_BYTES, "%.*s", (int)(len > 0 ? len - 1 : 0), sample->labels);
    return true;
}

/* The samples of a histogram come as: buckets by rising le up to +Inf, _sum, _count. */
static bool check_histogram(struct reader *reader)
{
    struct expo *expo = reader->expo;
    char name[EXPO_NAME_BYTES + 8];
    size_t i = reader->family_start;
    while (i < expo->count) {
        double bound = -INFINITY, below = 0, next;
        char set[EXPO_LABELS_BYTES] = "", first[EXPO_LABELS_BYTES] = "";
        bool is_first = true;
        snprintf(name, sizeof name, "%s_bucket", reader->family);
        for (; i < expo->count && strcmp(expo->samples[i].name, name) == 0; i++) {
            if (!split_bound(reader, &expo->samples[i], set, &next))
                return false;
            if (is_first)
                strcpy(first, set);
            is_first = false;
            if (strcmp(first, set) != 0 || next <= bound || expo->samples[i].value < below)
                return fail(reader, "buckets of %s do not rise", reader->family);
            bound = next;
            below = expo->samples[i].value;
        }
        if (!isinf(bound) || is_first)
            return fail(reader, "no +Inf bucket in %s", reader->family);
        snprintf(name, sizeof name, "%s_sum", reader->family);
        if (i >= expo->count || strcmp(expo->samples[i].name, name) != 0 ||
            strcmp(expo->samples[i].labels, first) != 0)
            return fail(reader, "no sum in %s", reader->family);
        snprintf(name, sizeof name, "%s_count", reader->family);
        i++;
        if (i >= expo->count || strcmp(expo->samples[i].name, name) != 0 ||
            strcmp(expo->samples[i].labels, first) != 0 || expo->samples[i].value != below)
            return fail(reader, "count of %s is not its last bucket", reader->family);
        i++;
    }
    return true;
}

/* ---- families ---- */

static bool end_family(struct reader *reader)
{
    if (reader->family[0] == '\0')
        return true;
    if (reader->type == TYPE_NONE || !reader->has_help)
        return fail(reader, "%s lacks TYPE or HELP; before", reader->family);
    bool wants_unit = reader->is_openmetrics && (ends_with(reader->family, "_bytes") ||
                                                 ends_with(reader->family, "_seconds"));
    if (wants_unit != reader->has_unit)
        return fail(reader, "%s and its UNIT do not fit; before", reader->family);
    return reader->type != TYPE_HISTOGRAM || check_histogram(reader);
}

static bool begin_family(struct reader *reader, const char *name)
{
    if (!end_family(reader))
        return false;
    for (size_t i = 0; i < reader->family_count; i++)
        if (strcmp(reader->families[i], name) == 0)
            return fail(reader, "family %s twice", name);
    if (reader->family_count == FAMILIES_MAX || strlen(name) >= EXPO_NAME_BYTES)
        return fail(reader, "too many families or a name too long");
    strcpy(reader->families[reader->family_count++], name);
    strcpy(reader->family, name);
    reader->family_start = reader->expo->count;
    reader->type = TYPE_NONE;
    reader->has_help = reader->has_unit = false;
    return true;
}

static bool set_type(struct reader *reader, const char *text)
{
    static const char *const names[] = {"", "gauge", "counter", "info", "histogram"};
    for (enum type t = TYPE_GAUGE; t <= TYPE_HISTOGRAM; t++)
        if (strcmp(text, names[t]) == 0)
            reader->type = t;
    if (reader->type == TYPE_NONE || (reader->type == TYPE_INFO && !reader->is_openmetrics))
        return fail(reader, "unknown type");
    bool has_total = ends_with(reader->family, "_total");
    if (reader->is_openmetrics && (has_total || ends_with(reader->family, "_info")))
        return fail(reader, "family named as its samples");
    if (!reader->is_openmetrics && has_total != (reader->type == TYPE_COUNTER))
        return fail(reader, "_total is for counters, and only for them");
    return true;
}

/* OpenMetrics: TYPE, UNIT, HELP. Text: HELP, TYPE. */
static bool read_comment(struct reader *reader)
{
    char word[8] = "", name[EXPO_NAME_BYTES] = "";
    int text_at = 0;
    if (strcmp(reader->line, "# EOF") == 0 && reader->is_openmetrics) {
        reader->ended = true;
        return end_family(reader);
    }
    if (sscanf(reader->line, "# %7s %127s %n", word, name, &text_at) != 2 || text_at == 0 ||
        reader->line[text_at] == '\0' || name_len(name) != strlen(name))
        return fail(reader, "a comment that says nothing");
    const char *text = reader->line + text_at;
    bool is_first = strcmp(word, reader->is_openmetrics ? "TYPE" : "HELP") == 0;
    if (is_first && !begin_family(reader, name))
        return false;
    if (strcmp(name, reader->family) != 0 || reader->expo->count != reader->family_start)
        return fail(reader, "a comment out of its family");
    if (strcmp(word, "TYPE") == 0)
        return set_type(reader, text);
    if (strcmp(word, "HELP") == 0) {
        reader->has_help = true;
        return strpbrk(text, "\\\"") == NULL || fail(reader, "HELP that needs escaping");
    }
    if (strcmp(word, "UNIT") == 0 && reader->is_openmetrics && !reader->has_help) {
        reader->has_unit = ends_with(name, text) && name[strlen(name) - strlen(text) - 1] == '_';
        return reader->has_unit || fail(reader, "UNIT is not the end of the name");
    }
    return fail(reader, "unknown comment");
}

/* ---- samples ---- */

static bool fits_family(const struct reader *reader, const char *name)
{
    static const char *const openmetrics[][3] = {
        [TYPE_GAUGE] = {""}, [TYPE_COUNTER] = {"_total"}, [TYPE_INFO] = {"_info"}};
    static const char *const histogram[] = {"_bucket", "_sum", "_count"};
    size_t len = strlen(reader->family);
    if (strncmp(name, reader->family, len) != 0)
        return false;
    for (size_t i = 0; reader->type == TYPE_HISTOGRAM && i < 3; i++)
        if (strcmp(name + len, histogram[i]) == 0)
            return true;
    if (reader->type == TYPE_HISTOGRAM || reader->type == TYPE_NONE)
        return false;
    return strcmp(name + len, reader->is_openmetrics ? openmetrics[reader->type][0] : "") == 0;
}

static bool add_sample(struct reader *reader, const struct expo_sample *sample)
{
    struct expo *expo = reader->expo;
    for (size_t i = reader->family_start; i < expo->count; i++)
        if (strcmp(expo->samples[i].name, sample->name) == 0 &&
            strcmp(expo->samples[i].labels, sample->labels) == 0)
            return fail(reader, "series twice");
    if (expo->count == expo->capacity) {
        expo->capacity = expo->capacity * 2 + 64;
        expo->samples = realloc(expo->samples, expo->capacity * sizeof *expo->samples);
        if (expo->samples == NULL)
            abort();
    }
    expo->samples[expo->count++] = *sample;
    return true;
}

static bool read_sample(struct reader *reader)
{
    struct expo_sample sample = {.labels = ""};
    size_t len = name_len(reader->line);
    const char *rest = reader->line + len;
    if (len == 0 || len >= EXPO_NAME_BYTES)
        return fail(reader, "no name");
    memcpy(sample.name, reader->line, len);
    if (!fits_family(reader, sample.name))
        return fail(reader, "not of family %s", reader->family);
    if (*rest == '{') {
        const char *end = strrchr(rest, '}');
        if (end == NULL || end - rest > EXPO_LABELS_BYTES)
            return fail(reader, "labels do not end");
        memcpy(sample.labels, rest + 1, (size_t)(end - rest - 1));
        if (!check_labels(reader, sample.labels))
            return false;
        rest = end + 1;
    }
    if (*rest != ' ' || !parse_number(rest + 1, &sample.value))
        return fail(reader, "no number");
    if (reader->type != TYPE_GAUGE && sample.value < 0)
        return fail(reader, "less than nothing");
    if (reader->type == TYPE_INFO && sample.value != 1)
        return fail(reader, "an info is 1");
    return add_sample(reader, &sample);
}

bool expo_parse(struct expo *expo, const char *text, size_t len, bool is_openmetrics)
{
    memset(expo, 0, sizeof *expo);
    struct reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL)
        abort();
    reader->expo = expo;
    reader->is_openmetrics = is_openmetrics;
    bool is_good = true;
    for (size_t at = 0; is_good && at < len;) {
        const char *end = memchr(text + at, '\n', len - at);
        size_t line_len = end == NULL ? 0 : (size_t)(end - text) - at;
        snprintf(reader->line, sizeof reader->line, "%.*s", (int)line_len, text + at);
        if (end == NULL || line_len == 0 || line_len >= sizeof reader->line || reader->ended)
            is_good = fail(reader, "empty, unended, too long, or after the end");
        else
            is_good = text[at] == '#' ? read_comment(reader) : read_sample(reader);
        at += line_len + 1;
    }
    if (is_good && is_openmetrics && !reader->ended)
        is_good = fail(reader, "no EOF");
    if (is_good && !is_openmetrics)
        is_good = end_family(reader);
    free(reader);
    return is_good;
}

void expo_release(struct expo *expo)
{
    free(expo->samples);
    memset(expo, 0, sizeof *expo);
}

double expo_value(const struct expo *expo, const char *name, const char *labels)
{
    for (size_t i = 0; i < expo->count; i++)
        if (strcmp(expo->samples[i].name, name) == 0 &&
            strcmp(expo->samples[i].labels, labels) == 0)
            return expo->samples[i].value;
    return NAN;
}

double expo_sum(const struct expo *expo, const char *name)
{
    double sum = 0;
    for (size_t i = 0; i < expo->count; i++)
        if (strcmp(expo->samples[i].name, name) == 0)
            sum += expo->samples[i].value;
    return sum;
}
