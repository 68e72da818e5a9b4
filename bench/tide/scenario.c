/* SPDX-License-Identifier: MIT */
/* scenario.c: see scenario.h. A line is a word and its name=value pairs; which pairs a phase takes,
 * and what they must be, is a table.
 */
#include "scenario.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORD_MAX   256
#define KEY_LEAST  12u
#define SIGMA_MOST 4.0
#define TWO_PI     6.283185307179586

static const char *const kinds[PHASE_KIND_COUNT] = {"fill",   "delete", "churn", "oscillate",
                                                    "expire", "idle",   "resize"};

const char *phase_kind_name(enum phase_kind kind)
{
    return kinds[kind];
}

/* ---- the reader: where it is, what it says ---- */

struct reader {
    struct scenario *scenario;
    double scale;
    unsigned line, column; /* of the present word, from 1 */
    char *error;
    size_t error_size;
};

__attribute__((format(printf, 2, 3))) static int refuse(struct reader *reader, const char *format,
                                                        ...)
{
    va_list arguments;
    int length =
        snprintf(reader->error, reader->error_size, "%u:%u: ", reader->line, reader->column);
    if (length > 0 && (size_t)length < reader->error_size) {
        va_start(arguments, format);
        vsnprintf(reader->error + length, reader->error_size - (size_t)length, format, arguments);
        va_end(arguments);
    }
    return -1;
}

/* ---- numbers with units ---- */

struct unit {
    const char *name;
    double factor;
};

static const struct unit size_units[] = {{"", 1},         {"b", 1},           {"kb", 1024},
                                         {"mb", 1048576}, {"gb", 1073741824}, {NULL, 0}};
static const struct unit time_units[] = {{"s", 1},  {"", 1},     {"ms", 0.001},
                                         {"m", 60}, {"h", 3600}, {NULL, 0}};
static const struct unit share_units[] = {{"%", 0.01}, {NULL, 0}};
static const struct unit no_units[] = {{"", 1}, {NULL, 0}};

static bool read_number(const char *text, size_t length, const struct unit *units, double *number)
{
    char word[64], *end;
    if (length == 0 || length >= sizeof word)
        return false;
    memcpy(word, text, length);
    word[length] = '\0';
    *number = strtod(word, &end);
    if (end == word || !isfinite(*number) || *number < 0)
        return false;
    for (; units->name != NULL; units++) {
        if (strcmp(end, units->name) != 0)
            continue;
        *number *= units->factor;
        return *number <= 1e15;
    }
    return false;
}

/* LEAST-MOST, or one number for both. */
static bool read_range(const char *text, const struct unit *units, double *least, double *most)
{
    size_t first = strcspn(text, "-");
    if (!read_number(text, first, units, least))
        return false;
    *most = *least;
    return text[first] == '\0' ||
           (read_number(text + first + 1, strlen(text + first + 1), units, most) &&
            *most >= *least);
}

/* ---- distributions ---- */

static int read_weights(struct reader *reader, const char *path, struct mix *mix)
{
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return refuse(reader, "%s can't be read", path);
    mix->kind = MIX_WEIGHTS;
    mix->weights = calloc(SCENARIO_WEIGHTS, sizeof *mix->weights);
    double bytes, weight, sum = 0;
    int got = 0;
    while (mix->weights != NULL && mix->weight_count < SCENARIO_WEIGHTS &&
           (got = fscanf(file, "%lf %lf", &bytes, &weight)) == 2) {
        if (!(bytes >= 0 && bytes < SCENARIO_VALUE_MAX && weight >= 0 && weight < 1e300))
            break;
        sum += weight;
        mix->weights[mix->weight_count++] = (struct weight){(uint32_t)bytes, sum};
    }
    fclose(file);
    if (got != EOF || !(sum > 0) || !isfinite(sum)) {
        free(mix->weights);
        *mix = (struct mix){0};
        return refuse(reader, "%s is not 1 to %d lines of SIZE WEIGHT", path, SCENARIO_WEIGHTS);
    }
    for (size_t i = 0; i < mix->weight_count; i++)
        mix->weights[i].up_to /= sum;
    return 0;
}

static int read_lognormal(struct reader *reader, const char *text, struct mix *mix)
{
    size_t first = strcspn(text, ",");
    mix->kind = MIX_LOGNORMAL;
    if (text[first] != ',' || !read_number(text, first, size_units, &mix->median) ||
        !read_number(text + first + 1, strlen(text + first + 1), no_units, &mix->sigma) ||
        mix->median < 1 || mix->median >= SCENARIO_VALUE_MAX || mix->sigma > SIGMA_MOST)
        return refuse(reader, "lognormal:MEDIAN,SIGMA, sigma up to %g", SIGMA_MOST);
    return 0;
}

static int read_mix(struct reader *reader, const char *text, struct mix *mix)
{
    const char *colon = strchr(text, ':');
    double least, most;
    *mix = (struct mix){0};
    if (strncmp(text, "lognormal:", 10) == 0)
        return read_lognormal(reader, colon + 1, mix);
    if (strncmp(text, "weights:", 8) == 0)
        return read_weights(reader, colon + 1, mix);
    mix->kind = strncmp(text, "uniform:", 8) == 0 ? MIX_UNIFORM : MIX_FIXED;
    if ((mix->kind == MIX_FIXED && strncmp(text, "fixed:", 6) != 0) ||
        !read_range(colon + 1, size_units, &least, &most) || most >= SCENARIO_VALUE_MAX ||
        (mix->kind == MIX_FIXED && least != most))
        return refuse(reader, "sizes are fixed:N, uniform:N-M, lognormal:MEDIAN,SIGMA or "
                              "weights:FILE, below 16mb");
    mix->range = (struct sizes){(uint32_t)least, (uint32_t)most};
    return 0;
}

static double chance(struct prng *prng) /* 0 < x < 1 */
{
    return ((double)(prng_next(prng) >> 11) + 0.5) * 0x1p-53;
}

static uint32_t pick_lognormal(const struct mix *mix, struct prng *prng)
{
    double normal = sqrt(-2 * log(chance(prng))) * cos(TWO_PI * chance(prng));
    double bytes = mix->median * exp(mix->sigma * normal);
    return bytes < SCENARIO_VALUE_MAX - 1 ? (uint32_t)bytes : SCENARIO_VALUE_MAX - 1;
}

uint32_t mix_pick(const struct mix *mix, struct prng *prng)
{
    if (mix->kind == MIX_LOGNORMAL)
        return pick_lognormal(mix, prng);
    if (mix->kind != MIX_WEIGHTS)
        return sizes_pick(mix->range, prng);
    double at = chance(prng);
    size_t low = 0, high = mix->weight_count - 1;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (mix->weights[middle].up_to < at)
            low = middle + 1;
        else
            high = middle;
    }
    return mix->weights[low].bytes;
}

/* ---- the pairs of a phase ---- */

enum pair_type { PAIR_SIZE, PAIR_COUNT, PAIR_NUMBER, PAIR_SHARE, PAIR_TIME, PAIR_OWN };

#define FILL      (1u << PHASE_FILL)
#define DELETE    (1u << PHASE_DELETE)
#define CHURN     (1u << PHASE_CHURN)
#define OSCILLATE (1u << PHASE_OSCILLATE)
#define EXPIRE    (1u << PHASE_EXPIRE)
#define IDLE      (1u << PHASE_IDLE)
#define RESIZE    (1u << PHASE_RESIZE)
#define ANY       ((1u << PHASE_KIND_COUNT) - 1)

static const struct pair {
    const char *name;
    unsigned kinds; /* of phases that take it */
    enum pair_type type;
    size_t offset; /* in struct phase */
} pairs[] = {
    {"live", FILL | DELETE | OSCILLATE, PAIR_SIZE, offsetof(struct phase, live_bytes)},
    {"low", OSCILLATE, PAIR_SIZE, offsetof(struct phase, low_bytes)},
    {"written", FILL, PAIR_SIZE, offsetof(struct phase, written_bytes)},
    {"items", FILL | DELETE, PAIR_COUNT, offsetof(struct phase, items)},
    {"every", DELETE, PAIR_NUMBER, offsetof(struct phase, every)},
    {"share", DELETE | RESIZE, PAIR_SHARE, offsetof(struct phase, share)},
    {"writes", CHURN, PAIR_SHARE, offsetof(struct phase, writes)},
    {"seconds", CHURN | OSCILLATE | IDLE, PAIR_TIME, offsetof(struct phase, seconds)},
    {"period", OSCILLATE, PAIR_TIME, offsetof(struct phase, period)},
    {"settle", ANY, PAIR_TIME, offsetof(struct phase, settle)},
    {"rate", FILL | DELETE | CHURN | RESIZE, PAIR_OWN, 0},
    {"name", ANY, PAIR_OWN, 0},
    {"value", FILL | CHURN | OSCILLATE | RESIZE, PAIR_OWN, 0},
    {"ttl", FILL, PAIR_OWN, 0},
    {"popularity", CHURN, PAIR_OWN, 0},
    {"order", DELETE, PAIR_OWN, 0},
};

static int read_popularity(struct reader *reader, struct phase *phase, const char *text)
{
    phase->zipf = 0;
    if (strcmp(text, "uniform") == 0)
        return 0;
    if (strncmp(text, "zipf:", 5) != 0 ||
        !read_number(text + 5, strlen(text + 5), no_units, &phase->zipf) || phase->zipf >= 1)
        return refuse(reader, "popularity is uniform or zipf:S with S below 1");
    return 0;
}

static int read_own(struct reader *reader, struct phase *phase, const char *name, const char *text)
{
    if (strcmp(name, "value") == 0) {
        free(phase->value.weights);
        return read_mix(reader, text, &phase->value);
    }
    if (strcmp(name, "popularity") == 0)
        return read_popularity(reader, phase, text);
    if (strcmp(name, "ttl") == 0)
        return read_range(text, time_units, &phase->ttl_least, &phase->ttl_most) &&
                       phase->ttl_least >= 1
                   ? 0
                   : refuse(reader, "ttl is a time or a range such as 10s-20s, 1s at least");
    if (strcmp(name, "rate") == 0)
        return read_number(text, strlen(text), no_units, &phase->rate)
                   ? 0
                   : refuse(reader, "rate is operations per second");
    if (strcmp(name, "order") == 0) {
        phase->order = strcmp(text, "oldest") == 0 ? ORDER_OLDEST : ORDER_RANDOM;
        return phase->order == ORDER_OLDEST || strcmp(text, "random") == 0
                   ? 0
                   : refuse(reader, "order is random or oldest");
    }
    if (strlen(text) >= SCENARIO_NAME_MAX)
        return refuse(reader, "a name has at most %d bytes", SCENARIO_NAME_MAX - 1);
    strcpy(phase->name, text);
    return 0;
}

static int read_pair(struct reader *reader, struct phase *phase, const struct pair *pair,
                     const char *text)
{
    static const struct unit *const units[] = {[PAIR_SIZE] = size_units,
                                               [PAIR_COUNT] = no_units,
                                               [PAIR_NUMBER] = no_units,
                                               [PAIR_SHARE] = share_units,
                                               [PAIR_TIME] = time_units};
    static const char *const wanted[] = {[PAIR_SIZE] = "a size such as 64mb",
                                         [PAIR_COUNT] = "a number",
                                         [PAIR_NUMBER] = "a number",
                                         [PAIR_SHARE] = "a share such as 90%",
                                         [PAIR_TIME] = "a time such as 500ms, 5s or 2m"};
    double number;
    if (pair->type == PAIR_OWN)
        return read_own(reader, phase, pair->name, text);
    if (!read_number(text, strlen(text), units[pair->type], &number) ||
        (pair->type == PAIR_SHARE && number > 1))
        return refuse(reader, "%s is %s, not %s", pair->name, wanted[pair->type], text);
    void *field = (char *)phase + pair->offset;
    if (pair->type == PAIR_SHARE || pair->type == PAIR_TIME)
        *(double *)field = number;
    else if (pair->type == PAIR_NUMBER || number == 0)
        *(uint64_t *)field = (uint64_t)number;
    else /* what is given is never scaled to nothing */
        *(uint64_t *)field = (uint64_t)fmax(1, number * reader->scale);
    return 0;
}

static int read_word(struct reader *reader, struct phase *phase, char *word)
{
    char *equals = strchr(word, '=');
    if (equals == NULL)
        return refuse(reader, "%s is not NAME=VALUE", word);
    *equals = '\0';
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        if (strcmp(pairs[i].name, word) == 0 && pairs[i].kinds >> phase->kind & 1)
            return read_pair(reader, phase, &pairs[i], equals + 1);
    return refuse(reader, "%s has no %s", kinds[phase->kind], word);
}

/* ---- what a phase can't do without ---- */

static int check_phase(struct reader *reader, const struct phase *phase)
{
    bool has_value = phase->value.kind != MIX_NONE;
    switch (phase->kind) {
    case PHASE_FILL:
        if (!has_value || (phase->live_bytes == 0 && phase->items == 0))
            return refuse(reader, "fill needs value= and one of live= and items=");
        return 0;
    case PHASE_DELETE:
        if (phase->share == 0 && phase->every == 0 && phase->live_bytes == 0 && phase->items == 0)
            return refuse(reader, "delete needs share=, every=, live= or items=");
        return 0;
    case PHASE_CHURN:
        if (!has_value || phase->seconds == 0)
            return refuse(reader, "churn needs value= and seconds=");
        return 0;
    case PHASE_OSCILLATE:
        if (!has_value || phase->low_bytes >= phase->live_bytes || phase->period == 0 ||
            phase->seconds < phase->period)
            return refuse(reader, "oscillate needs value=, low= below live=, and a period= that "
                                  "seconds= has at least once");
        return 0;
    case PHASE_RESIZE:
        return has_value ? 0 : refuse(reader, "resize needs value=");
    case PHASE_IDLE:
        return phase->seconds > 0 ? 0 : refuse(reader, "idle needs seconds=");
    default:
        return 0;
    }
}

/* ---- lines ---- */

/* Copies the next word, moves on, notes its column. Its length; 0: the line ends; -1: too long. */
static int next_word(struct reader *reader, const char *start, const char **at, char *word)
{
    *at += strspn(*at, " \t\r");
    size_t length = strcspn(*at, " \t\r\n");
    reader->column = (unsigned)(*at - start) + 1;
    if (length == 0 || **at == '#')
        return 0;
    if (length >= WORD_MAX)
        return refuse(reader, "a word of more than %d bytes", WORD_MAX - 1);
    memcpy(word, *at, length);
    word[length] = '\0';
    *at += length;
    return (int)length;
}

static int read_title(struct reader *reader, const char *at)
{
    at += strspn(at, " \t");
    size_t length = strcspn(at, "\r\n");
    if (length >= sizeof reader->scenario->title)
        return refuse(reader, "a title of more than %zu bytes", sizeof reader->scenario->title - 1);
    memcpy(reader->scenario->title, at, length);
    reader->scenario->title[length] = '\0';
    return 0;
}

static int read_keys(struct reader *reader, const char *start, const char *at)
{
    char word[WORD_MAX];
    double least, most;
    int length = next_word(reader, start, &at, word);
    if (length < 0)
        return -1;
    if (length == 0 || !read_range(word, size_units, &least, &most) || least < KEY_LEAST ||
        most > KEY_MAX_BYTES)
        return refuse(reader, "keys have %u to %d bytes, such as 16-20", KEY_LEAST, KEY_MAX_BYTES);
    reader->scenario->key_lengths = (struct sizes){(uint32_t)least, (uint32_t)most};
    return 0;
}

static int read_phase(struct reader *reader, const char *start, const char *at, int kind)
{
    struct scenario *scenario = reader->scenario;
    char word[WORD_MAX];
    unsigned column = reader->column;
    int length;
    if (scenario->count == SCENARIO_PHASES_MAX)
        return refuse(reader, "more than %d phases", SCENARIO_PHASES_MAX);
    struct phase *phase = &scenario->phases[scenario->count++];
    *phase = (struct phase){.kind = (enum phase_kind)kind, .settle = -1, .writes = -1};
    strcpy(phase->name, kinds[kind]);
    while ((length = next_word(reader, start, &at, word)) > 0)
        if (read_word(reader, phase, word) < 0)
            return -1;
    if (length < 0)
        return -1;
    if (phase->settle < 0)
        phase->settle =
            kind == PHASE_DELETE || kind == PHASE_EXPIRE || kind == PHASE_RESIZE ? 2 : 0;
    if (phase->writes < 0)
        phase->writes = 1;
    reader->column = column;
    return check_phase(reader, phase);
}

static int read_line(struct reader *reader, const char *start)
{
    char word[WORD_MAX];
    const char *at = start;
    int length = next_word(reader, start, &at, word);
    if (length <= 0)
        return length;
    if (strcmp(word, "title") == 0)
        return read_title(reader, at);
    if (strcmp(word, "keys") == 0)
        return read_keys(reader, start, at);
    if (strcmp(word, "evicting") == 0) {
        reader->scenario->is_evicting = true;
        return 0;
    }
    for (int kind = 0; kind < PHASE_KIND_COUNT; kind++)
        if (strcmp(word, kinds[kind]) == 0)
            return read_phase(reader, start, at, kind);
    return refuse(reader, "%s is neither a phase nor title, keys or evicting", word);
}

int scenario_parse(struct scenario *scenario, const char *text, double scale, char error[],
                   size_t error_size)
{
    struct reader reader = {scenario, scale, 1, 1, error, error_size};
    *scenario = (struct scenario){.key_lengths = {16, 20}};
    while (*text != '\0') {
        if (read_line(&reader, text) < 0) {
            scenario_release(scenario);
            return -1;
        }
        text += strcspn(text, "\n");
        if (*text == '\n') {
            text++;
            reader.line++;
        }
    }
    reader.column = 1;
    return scenario->count > 0 ? 0 : refuse(&reader, "no phase");
}

void scenario_stretch(struct scenario *scenario, double factor)
{
    for (size_t i = 0; i < scenario->count; i++) {
        struct phase *phase = &scenario->phases[i];
        phase->seconds *= factor;
        phase->period *= factor;
        if (phase->ttl_least > 0) {
            phase->ttl_least = fmax(1, phase->ttl_least * factor);
            phase->ttl_most = fmax(1, phase->ttl_most * factor);
        }
    }
}

void scenario_release(struct scenario *scenario)
{
    for (size_t i = 0; i < scenario->count; i++)
        free(scenario->phases[i].value.weights);
    scenario->count = 0;
}
