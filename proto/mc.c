/* SPDX-License-Identifier: MIT */
/* mc.c: requests of memcached's text protocol; the words of meta commands are read in mc_meta.c.
 *
 *   set key flags exptime bytes [noreply]\r\n  value\r\n         get key key ...\r\n
 *
 * What memcached 1.6 takes is taken, and what it refuses is refused in its words, down to its lax
 * numbers and to "noreply" silencing errors; README.md lists the few differences. A command is a
 * row of `rules` and a function that reads its words. Nothing is allocated but the array of keys.
 */
#include "mc_words.h"

#define WORDS_ANY          MC_WORDS_MAX
#define LEADING_BLANKS_MAX 100u
#define BINARY_MAGIC       '\x80'
#define BINARY_HEAD_BYTES  24u

const char *const ebb_mc_verb_names[EBB_MC_VERB_COUNT] = {
    [EBB_MC_GET] = "get",
    [EBB_MC_GETS] = "gets",
    [EBB_MC_GAT] = "gat",
    [EBB_MC_GATS] = "gats",
    [EBB_MC_SET] = "set",
    [EBB_MC_ADD] = "add",
    [EBB_MC_REPLACE] = "replace",
    [EBB_MC_APPEND] = "append",
    [EBB_MC_PREPEND] = "prepend",
    [EBB_MC_CAS] = "cas",
    [EBB_MC_DELETE] = "delete",
    [EBB_MC_INCR] = "incr",
    [EBB_MC_DECR] = "decr",
    [EBB_MC_TOUCH] = "touch",
    [EBB_MC_MG] = "mg",
    [EBB_MC_MS] = "ms",
    [EBB_MC_MD] = "md",
    [EBB_MC_MA] = "ma",
    [EBB_MC_MN] = "mn",
    [EBB_MC_ME] = "me",
    [EBB_MC_FLUSH_ALL] = "flush_all",
    [EBB_MC_VERSION] = "version",
    [EBB_MC_VERBOSITY] = "verbosity",
    [EBB_MC_STATS] = "stats",
    [EBB_MC_QUIT] = "quit",
    [EBB_MC_CACHE_MEMLIMIT] = "cache_memlimit",
    [EBB_MC_LRU] = "lru",
    [EBB_MC_LRU_CRAWLER] = "lru_crawler",
    [EBB_MC_SLABS] = "slabs",
    [EBB_MC_SHUTDOWN] = "shutdown",
    [EBB_MC_WATCH] = "watch",
};

void ebb_mc_command_init(struct ebb_mc_command *command)
{
    *command = (struct ebb_mc_command){0};
    ebb_args_init(&command->keys);
}

void ebb_mc_command_release(struct ebb_mc_command *command)
{
    ebb_args_release(&command->keys);
}

void ebb_mc_parser_init(struct ebb_mc_parser *parser, size_t value_max_bytes)
{
    *parser = (struct ebb_mc_parser){.value_max_bytes = value_max_bytes};
}

/* ---- words and numbers ---- */

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the first byte is the lowest");

/* The first space at `at` or behind it, `end` if there is none; eight bytes at a time, of which
 * those become 0 that are spaces. */
static inline const char *find_blank(const char *at, const char *end)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones * 0x80;
    for (; end - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, at, sizeof(word));
        word ^= ones * ' ';
        uint64_t found = (word - ones) & ~word & tops; /* the lowest is right */
        if (found != 0)
            return at + __builtin_ctzll(found) / 8;
    }
    while (at < end && *at != ' ')
        at++;
    return at;
}

/* Only the space separates words; a tab is part of one. */
static inline bool next_word(struct ebb_slice *rest, struct ebb_slice *word)
{
    const char *at = rest->data, *end = at + rest->len;
    while (at < end && *at == ' ')
        at++;
    word->data = at;
    at = find_blank(at, end);
    word->len = (size_t)(at - word->data);
    *rest = (struct ebb_slice){at, (size_t)(end - at)};
    return word->len > 0;
}

static bool is_space(char byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

static bool read_number(const struct ebb_slice *word, bool *is_negative, uint64_t *magnitude)
{
    const char *at = word->data, *end = at + word->len;
    while (at < end && is_space(*at))
        at++;
    *is_negative = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+'))
        at++;
    const char *digits = at;
    *magnitude = 0;
    for (; at < end && *at >= '0' && *at <= '9'; at++) {
        uint64_t digit = (uint64_t)(*at - '0');
        if (*magnitude > (UINT64_MAX - digit) / 10)
            return false;
        *magnitude = *magnitude * 10 + digit;
    }
    return at > digits && (at == end || is_space(*at));
}

bool mc_read_u64(const struct ebb_slice *word, uint64_t *value)
{
    bool is_negative;
    uint64_t magnitude;
    if (!read_number(word, &is_negative, &magnitude))
        return false;
    *value = is_negative ? 0 - magnitude : magnitude;
    /* "-1" is refused, but "-18446744073709551615" is 1, as strtoull() and memcached have it. */
    return !(is_negative && *value > INT64_MAX);
}

bool mc_read_i64(const struct ebb_slice *word, int64_t *value)
{
    bool is_negative;
    uint64_t magnitude;
    if (!read_number(word, &is_negative, &magnitude) ||
        magnitude > (uint64_t)INT64_MAX + is_negative)
        return false;
    *value = (int64_t)(is_negative ? 0 - magnitude : magnitude);
    return true;
}

/* memcached looks for it in the last place of any line that may have it. */
static bool read_noreply(struct ebb_mc_command *command, const struct words *words)
{
    command->noreply = is_word(&words->at[words->count - 1], "noreply", 7);
    return command->noreply;
}

/* ---- the verbs. Each reads its words; NULL or the error to answer. ---- */

const char *const mc_out_of_memory = "SERVER_ERROR out of memory";

const char *mc_read_key(struct ebb_mc_command *command, const struct ebb_slice *word)
{
    if (word->len > EBB_MC_KEY_MAX_BYTES)
        return MC_BAD_FORMAT;
    return ebb_args_add(&command->keys, word->data, word->len) ? NULL : mc_out_of_memory;
}

static const char *read_storage(struct ebb_mc_command *command, struct words *words)
{
    bool has_cas = command->verb == EBB_MC_CAS;
    uint64_t flags;
    int64_t value_bytes;
    read_noreply(command, words);
    const char *error = mc_read_key(command, &words->at[1]);
    if (error)
        return error;
    if (!mc_read_u64(&words->at[2], &flags) || !mc_read_i64(&words->at[3], &command->exptime) ||
        !mc_read_i64(&words->at[4], &value_bytes))
        return MC_BAD_FORMAT;
    if (has_cas && !mc_read_u64(&words->at[5], &command->cas))
        return MC_BAD_FORMAT;
    if (value_bytes < 0 || value_bytes > INT32_MAX - 2)
        return MC_BAD_FORMAT;
    command->flags = (uint32_t)flags; /* memcached drops the upper half, too */
    command->value.len = (size_t)value_bytes;
    return NULL;
}

static const char *read_delete(struct ebb_mc_command *command, struct words *words)
{
    if (words->count > 2) { /* an old form has a time, which may only be 0 */
        bool is_zero = is_word(&words->at[2], "0", 1);
        bool is_silent = read_noreply(command, words);
        if (words->count == 3 ? !is_zero && !is_silent : !is_zero || !is_silent)
            return MC_BAD_FORMAT ".  Usage: delete <key> [noreply]";
    }
    return mc_read_key(command, &words->at[1]);
}

static const char *read_delta(struct ebb_mc_command *command, struct words *words)
{
    read_noreply(command, words);
    const char *error = mc_read_key(command, &words->at[1]);
    if (!error && !mc_read_u64(&words->at[2], &command->delta))
        error = "CLIENT_ERROR invalid numeric delta argument";
    return error;
}

static const char *const bad_exptime = "CLIENT_ERROR invalid exptime argument";

static const char *read_touch(struct ebb_mc_command *command, struct words *words)
{
    read_noreply(command, words);
    const char *error = mc_read_key(command, &words->at[1]);
    if (!error && !mc_read_i64(&words->at[2], &command->exptime))
        error = bad_exptime;
    return error;
}

static const char *read_flush_all(struct ebb_mc_command *command, struct words *words)
{
    bool is_silent = read_noreply(command, words);
    command->has_delay = words->count != (is_silent ? 2 : 1);
    if (command->has_delay && !mc_read_i64(&words->at[1], &command->exptime))
        return bad_exptime;
    return NULL;
}

static const char *read_any_words(struct ebb_mc_command *command, struct words *words)
{
    for (unsigned i = 1; i < words->count; i++)
        if (!ebb_args_add(&command->keys, words->at[i].data, words->at[i].len))
            return mc_out_of_memory;
    return NULL;
}

static const char *read_any_words_or_noreply(struct ebb_mc_command *command, struct words *words)
{
    read_noreply(command, words);
    return read_any_words(command, words);
}

static const char *read_verbosity(struct ebb_mc_command *command, struct words *words)
{
    uint64_t level;
    read_noreply(command, words);
    return mc_read_u64(&words->at[1], &level) ? read_any_words(command, words) : MC_BAD_FORMAT;
}

struct rule {
    const char *name;
    size_t name_len;
    enum ebb_mc_verb verb;
    unsigned words_min, words_max;
    /* NULL: read_keys() */
    const char *(*read)(struct ebb_mc_command *command, struct words *words);
};

/* The usual ones first: they are looked for in this order. */
static const struct rule rules[] = {
    {"get", 3, EBB_MC_GET, 0, 0, NULL},
    {"set", 3, EBB_MC_SET, 5, 6, read_storage},
    {"mg", 2, EBB_MC_MG, 2, WORDS_ANY, mc_read_meta},
    {"ms", 2, EBB_MC_MS, 2, WORDS_ANY, mc_read_meta_set},
    {"md", 2, EBB_MC_MD, 2, WORDS_ANY, mc_read_meta},
    {"ma", 2, EBB_MC_MA, 2, WORDS_ANY, mc_read_meta},
    {"mn", 2, EBB_MC_MN, 1, WORDS_ANY, read_any_words},
    {"gets", 4, EBB_MC_GETS, 0, 0, NULL},
    {"delete", 6, EBB_MC_DELETE, 2, 4, read_delete},
    {"incr", 4, EBB_MC_INCR, 3, 4, read_delta},
    {"decr", 4, EBB_MC_DECR, 3, 4, read_delta},
    {"add", 3, EBB_MC_ADD, 5, 6, read_storage},
    {"cas", 3, EBB_MC_CAS, 6, 7, read_storage},
    {"touch", 5, EBB_MC_TOUCH, 3, 4, read_touch},
    {"replace", 7, EBB_MC_REPLACE, 5, 6, read_storage},
    {"append", 6, EBB_MC_APPEND, 5, 6, read_storage},
    {"prepend", 7, EBB_MC_PREPEND, 5, 6, read_storage},
    {"gat", 3, EBB_MC_GAT, 0, 0, NULL},
    {"gats", 4, EBB_MC_GATS, 0, 0, NULL},
    {"stats", 5, EBB_MC_STATS, 1, WORDS_ANY, read_any_words},
    {"version", 7, EBB_MC_VERSION, 1, WORDS_ANY, read_any_words},
    {"flush_all", 9, EBB_MC_FLUSH_ALL, 1, 3, read_flush_all},
    {"verbosity", 9, EBB_MC_VERBOSITY, 2, 3, read_verbosity},
    {"quit", 4, EBB_MC_QUIT, 1, WORDS_ANY, read_any_words},
    {"me", 2, EBB_MC_ME, 1, WORDS_ANY, mc_read_meta_debug},
    {"lru_crawler", 11, EBB_MC_LRU_CRAWLER, 1, WORDS_ANY, read_any_words},
    {"cache_memlimit", 14, EBB_MC_CACHE_MEMLIMIT, 2, 3, read_any_words_or_noreply},
    {"slabs", 5, EBB_MC_SLABS, 1, WORDS_ANY, read_any_words_or_noreply},
    {"lru", 3, EBB_MC_LRU, 1, WORDS_ANY, read_any_words},
    {"watch", 5, EBB_MC_WATCH, 1, WORDS_ANY, read_any_words},
    {"shutdown", 8, EBB_MC_SHUTDOWN, 1, WORDS_ANY, read_any_words},
    {"bget", 4, EBB_MC_GET, 0, 0, NULL}, /* memcached still knows this old name */
};

static const struct rule *find_rule(const struct ebb_slice *name)
{
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        if (is_word(name, rules[i].name, rules[i].name_len))
            return &rules[i];
    return NULL;
}

static const char *read_keys(struct ebb_mc_command *command, struct ebb_slice rest)
{
    struct ebb_slice word;
    bool has_exptime = command->verb == EBB_MC_GAT || command->verb == EBB_MC_GATS;
    if (!next_word(&rest, &word))
        return "ERROR";
    if (has_exptime) {
        if (!mc_read_i64(&word, &command->exptime))
            return bad_exptime;
        if (!next_word(&rest, &word))
            return "END"; /* memcached answers so: no keys, no values */
    }
    do {
        if (command->keys.count == EBB_MC_KEYS_MAX)
            return "SERVER_ERROR too many keys";
        const char *error = mc_read_key(command, &word);
        if (error)
            return error;
    } while (next_word(&rest, &word));
    return NULL;
}

/* ---- lines ---- */

static bool is_get(const char *bytes, size_t len)
{
    static const char *const starts[] = {"get ", "gets ", "gat ", "gats "};
    size_t blanks = 0;
    while (blanks < len && blanks < LEADING_BLANKS_MAX && bytes[blanks] == ' ')
        blanks++;
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        size_t start_len = strlen(starts[i]);
        if (len - blanks >= start_len && memcmp(bytes + blanks, starts[i], start_len) == 0)
            return true;
    }
    return false;
}

/* The line at `bytes`. > 0: its length with the line end, 0: it has not ended, ELIMIT. */
static ssize_t find_line(struct ebb_mc_parser *parser, const char *bytes, size_t len,
                         struct ebb_slice *line)
{
    const char *newline = memchr(bytes + parser->scanned_bytes, '\n', len - parser->scanned_bytes);
    size_t line_bytes = newline ? (size_t)(newline - bytes) : len;
    if (line_bytes > EBB_MC_LINE_MAX_BYTES &&
        (line_bytes > EBB_MC_GET_MAX_BYTES || !is_get(bytes, line_bytes)))
        return EBB_PROTO_ELIMIT;
    if (!newline) {
        parser->scanned_bytes = len;
        parser->need_bytes = len + 1;
        return 0;
    }
    parser->scanned_bytes = 0;
    size_t text_bytes = line_bytes;
    if (text_bytes > 1 && newline[-1] == '\r')
        text_bytes--;
    const char *nul = memchr(bytes, '\0', text_bytes); /* ends the line for memcached */
    *line = (struct ebb_slice){bytes, nul ? (size_t)(nul - bytes) : text_bytes};
    return (ssize_t)line_bytes + 1;
}

/* Reads the words of a line; the rule is stored when the verb is known. */
static const char *read_line(struct ebb_mc_command *command, struct ebb_slice rest,
                             struct words *words, const struct rule **rule)
{
    *rule = NULL;
    if (!next_word(&rest, &words->at[0]))
        return "ERROR";
    const struct rule *found = find_rule(&words->at[0]);
    if (!found)
        return "ERROR";
    *rule = found;
    command->verb = found->verb;
    if (!found->read)
        return read_keys(command, rest);
    words->count = 1;
    while (words->count < MC_WORDS_MAX && next_word(&rest, &words->at[words->count]))
        words->count++;
    if (words->count < found->words_min || words->count > found->words_max)
        return "ERROR";
    return found->read(command, words);
}

static void refuse(struct ebb_mc_command *command, const char *error)
{
    command->error = command->noreply ? "" : error;
}

/* The value behind a line of `used` bytes. Answers as the parser does. */
static ssize_t read_value(struct ebb_mc_parser *parser, struct ebb_mc_command *command,
                          const char *bytes, size_t len, size_t used)
{
    size_t value_bytes = command->value.len;
    if (value_bytes > parser->value_max_bytes) {
        parser->skip_bytes = value_bytes + 2;
        command->is_too_large = true;
        refuse(command, "SERVER_ERROR object too large for cache");
        return (ssize_t)used;
    }
    if (len - used < value_bytes + 2) {
        parser->need_bytes = used + value_bytes + 2;
        return 0;
    }
    command->value.data = bytes + used;
    if (memcmp(bytes + used + value_bytes, "\r\n", 2) != 0)
        refuse(command, "CLIENT_ERROR bad data chunk");
    return (ssize_t)(used + value_bytes + 2);
}

/* All but the array of keys and the bytes of a key in base64, which nothing points to any more. */
static void forget(struct ebb_mc_command *command)
{
    struct ebb_args keys = command->keys;
    keys.count = 0;
    memset(command, 0, offsetof(struct ebb_mc_command, binary_key));
    command->keys = keys;
}

static ssize_t close_with(struct ebb_mc_parser *parser, enum ebb_proto_error error,
                          const char *text)
{
    parser->error = text;
    return error;
}

/* Refuses a binary request as such: its client waits for an answer to that opcode and opaque, and
 * some would wait for ever while a line of text came and the connection went. */
static ssize_t refuse_binary(struct ebb_mc_parser *parser, const char *bytes, size_t len)
{
    if (len < BINARY_HEAD_BYTES) {
        parser->need_bytes = BINARY_HEAD_BYTES;
        return 0;
    }
    parser->is_binary = true;
    parser->binary.opcode = (uint8_t)bytes[1];
    memcpy(parser->binary.opaque, bytes + 12, sizeof(parser->binary.opaque));
    return close_with(parser, EBB_PROTO_EBAD, "binary protocol not supported");
}

ssize_t ebb_mc_parse(struct ebb_mc_parser *parser, const char *bytes, size_t len,
                     struct ebb_mc_command *command)
{
    forget(command);
    parser->need_bytes = 0;
    if (len == 0) {
        parser->need_bytes = 1;
        return 0;
    }
    if (parser->skip_bytes > 0) {
        size_t skipped = len < parser->skip_bytes ? len : (size_t)parser->skip_bytes;
        parser->skip_bytes -= skipped;
        command->error = "";
        return (ssize_t)skipped;
    }
    if (!parser->has_begun && bytes[0] == BINARY_MAGIC)
        return refuse_binary(parser, bytes, len);
    parser->has_begun = true;

    struct ebb_slice line;
    ssize_t used = find_line(parser, bytes, len, &line);
    if (used < 0)
        return close_with(parser, EBB_PROTO_ELIMIT, "CLIENT_ERROR line too long");
    if (used == 0)
        return 0;
    struct words words;
    words.skip_bytes = 0;
    const struct rule *rule;
    const char *error = read_line(command, line, &words, &rule);
    if (error == mc_out_of_memory)
        return close_with(parser, EBB_PROTO_ENOMEM, mc_out_of_memory);
    if (error) {
        refuse(command, error);
        parser->skip_bytes = words.skip_bytes;
    } else if (rule->read == read_storage || rule->read == mc_read_meta_set) {
        return read_value(parser, command, bytes, len, (size_t)used);
    }
    return used;
}
