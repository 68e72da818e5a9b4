/* SPDX-License-Identifier: MIT */
/* ebb_proto.h: bytes to commands and replies to bytes, for the three dialects Ebb speaks.
 *
 * Parsers are functions over bytes: they do no input or output and keep nothing but what their
 * parser struct says. All of them answer
 *     > 0   that many bytes are one complete command
 *     0     the command is not complete yet: call again with more bytes after the same ones
 *     < 0   enum ebb_proto_error: the bytes can't be a command; what to do is said at each
 * Spans of bytes in a command point into the caller's buffer and live as long as it does.
 */
#ifndef EBB_PROTO_H
#define EBB_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ebb_buf.h"

struct ebb_slice {
    const char *data;
    size_t len;
};

/* Limits; those of Redis and memcached where they have one. */
#define EBB_RESP_INLINE_MAX_BYTES (64u * 1024)
#define EBB_RESP_ARGS_MAX         (1024u * 1024)
#define EBB_RESP_BULK_MAX_BYTES   (512u * 1024 * 1024)
#define EBB_MC_LINE_MAX_BYTES     (16u * 1024) /* any line but that of a get */
#define EBB_MC_KEY_MAX_BYTES      250u
#define EBB_MC_KEYS_MAX           (32u * 1024)
#define EBB_MC_GET_MAX_BYTES      (EBB_MC_KEYS_MAX * (EBB_MC_KEY_MAX_BYTES + 1))
#define EBB_HTTP_HEAD_MAX_BYTES   (16u * 1024)

enum ebb_proto_error {
    EBB_PROTO_EBAD = -1,   /* not the protocol: answer parser->error, then close */
    EBB_PROTO_ELIMIT = -2, /* over a limit above: answer parser->error, then close */
    EBB_PROTO_ENOMEM = -3, /* no memory for the arguments: close */
};

/* ---- numbers: bounded, no locale, no allocation (num.c) ---- */

#define EBB_NUM_TEXT_BYTES 24 /* room for any 64-bit number */
/* Whole text must be a number in canonical form ("-5", not "+5", "05", " 5", ""). */
bool ebb_parse_i64(const char *text, size_t len, int64_t *value);
bool ebb_parse_u64(const char *text, size_t len, uint64_t *value);
/* Returns the length written. Not NUL-terminated. */
size_t ebb_format_i64(char *text, int64_t value);
size_t ebb_format_u64(char *text, uint64_t value);

/* ---- RESP2/RESP3 requests (resp.c) ---- */

/* The arguments of a command, kept by the caller for many commands; grows, never shrinks by itself.
 */
struct ebb_args {
    struct ebb_slice *at;
    uint32_t count, capacity;
};
void ebb_args_init(struct ebb_args *args);
void ebb_args_release(struct ebb_args *args);
bool ebb_args_grow(struct ebb_args *args); /* doubles the capacity; false: no memory */

static inline bool ebb_args_add(struct ebb_args *args, const char *data, size_t len)
{
    if (args->count == args->capacity && !ebb_args_grow(args))
        return false;
    args->at[args->count++] = (struct ebb_slice){data, len};
    return true;
}

/* Where the parser stands inside an incomplete command, so that nothing is parsed twice. Valid
 * together with `args` (offsets until the command is complete) and the same leading bytes (which
 * may have moved). Zeroed by ebb_resp_parser_init() but for what the caller sets. */
struct ebb_resp_parser {
    size_t offset;         /* bytes of the command already parsed */
    int64_t bulk_bytes;    /* length of the argument being read, -1: its header is not read yet */
    uint32_t args_left;    /* arguments still to come */
    uint32_t offsets;      /* arguments found before this piece came; they are kept as offsets */
    bool in_command;       /* false: the next byte starts a command */
    bool unauthenticated;  /* set by the caller: Redis's smaller limits hold (10 args, 16 KiB) */
    size_t bulk_max_bytes; /* set by the caller; 0: EBB_RESP_BULK_MAX_BYTES */
    size_t need_bytes;     /* after 0: with fewer bytes in total the answer stays 0 */
    const char *error;     /* after < 0: text for the reply, without "-" and line end; good until
                            * `args` is used again */
};
void ebb_resp_parser_init(struct ebb_resp_parser *parser);
/* Multibulk and inline (with Redis's quoting rules). A complete command may have no arguments
 * (empty line, "*0"): args->count is 0 and there is nothing to execute. */
ssize_t ebb_resp_parse(struct ebb_resp_parser *parser, char *bytes, size_t len,
                       struct ebb_args *args);

/* ---- RESP replies (resp_write.c) ---- */

/* Where replies go and how they are written. */
struct ebb_reply {
    struct ebb_buf *out;
    int version; /* RESP 2 or 3 */
};
void ebb_reply_simple(struct ebb_reply *reply, const char *text); /* +text */
void ebb_reply_error(struct ebb_reply *reply, const char *text);  /* -text; line ends blanked */
void ebb_reply_errorf(struct ebb_reply *reply, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void ebb_reply_int(struct ebb_reply *reply, int64_t value); /* :value */
void ebb_reply_bulk(struct ebb_reply *reply, const void *data, size_t len);
void ebb_reply_bulk_head(struct ebb_reply *reply, size_t len);  /* data and line end must follow */
void ebb_reply_text(struct ebb_reply *reply, const char *text); /* bulk of a C string */
void ebb_reply_bulkf(struct ebb_reply *reply, const char *format, ...) /* bulk */
    __attribute__((format(printf, 2, 3)));
void ebb_reply_null(struct ebb_reply *reply);       /* $-1 or _ */
void ebb_reply_null_array(struct ebb_reply *reply); /* *-1 or _ */
void ebb_reply_array(struct ebb_reply *reply, size_t count);
void ebb_reply_map(struct ebb_reply *reply, size_t pairs);    /* %pairs or *2*pairs */
void ebb_reply_set(struct ebb_reply *reply, size_t count);    /* ~count or *count */
void ebb_reply_push(struct ebb_reply *reply, size_t count);   /* >count or *count */
void ebb_reply_bool(struct ebb_reply *reply, bool value);     /* #t/#f or :1/:0 */
void ebb_reply_double(struct ebb_reply *reply, double value); /* ,x or bulk, %.17g */
/* txt verbatim string in RESP3 (=len txt:...), bulk in RESP2. */
void ebb_reply_verbatim(struct ebb_reply *reply, const char *data, size_t len);
/* Copies a reply that is ready made (a whole number of RESP values). */
void ebb_reply_raw(struct ebb_reply *reply, const void *data, size_t len);

/* ---- base64 (base64.c) ---- */

/* Room for the text of so many bytes. */
#define EBB_BASE64_BYTES(len) (((len) + 2) / 3 * 4)
/* The bytes of a text, at most len / 4 * 3. Returns how many; 0: it is none. */
size_t ebb_base64_decode(const char *text, size_t len, char *bytes);
/* Returns EBB_BASE64_BYTES(len). Not NUL-terminated. */
size_t ebb_base64_encode(char *text, const char *bytes, size_t len);

/* ---- memcached text (mc.c, mc_meta.c, mc_write.c) ---- */

/* clang-format off */
enum ebb_mc_verb {
    EBB_MC_GET, EBB_MC_GETS, EBB_MC_GAT, EBB_MC_GATS,
    EBB_MC_SET, EBB_MC_ADD, EBB_MC_REPLACE, EBB_MC_APPEND, EBB_MC_PREPEND, EBB_MC_CAS,
    EBB_MC_DELETE, EBB_MC_INCR, EBB_MC_DECR, EBB_MC_TOUCH,
    EBB_MC_MG, EBB_MC_MS, EBB_MC_MD, EBB_MC_MA, EBB_MC_MN, EBB_MC_ME,
    EBB_MC_FLUSH_ALL, EBB_MC_VERSION, EBB_MC_VERBOSITY, EBB_MC_STATS, EBB_MC_QUIT,
    EBB_MC_CACHE_MEMLIMIT, EBB_MC_LRU, EBB_MC_LRU_CRAWLER, EBB_MC_SLABS, EBB_MC_SHUTDOWN,
    EBB_MC_WATCH,
    EBB_MC_VERB_COUNT
};
/* clang-format on */
extern const char *const ebb_mc_verb_names[EBB_MC_VERB_COUNT];

struct ebb_mc_command {
    enum ebb_mc_verb verb;
    bool noreply;
    bool has_delay;         /* flush_all had a delay; exptime holds it */
    uint32_t flags;         /* storage verbs; meta F */
    int64_t exptime;        /* storage, gat, touch, flush_all, meta T: seconds as sent */
    uint64_t cas;           /* cas, meta C */
    uint64_t delta;         /* incr, decr, meta D (1 without it) */
    struct ebb_slice value; /* storage verbs and ms, without the line end */
    /* Meta verbs: the flags there are, as bits, and the tokens of some. */
    uint64_t meta;
    int64_t vivify_exptime, recache_exptime; /* N, R */
    uint64_t initial, new_cas;               /* J, E */
    char mode;                               /* M; 0: none */
    /* Keys of get/gets/gat/gats (>= 1), the key of the others (1), words after stats/verbosity and
     * the like (of a long line the first twenty or so). Of a meta verb the key, decoded, and then
     * its flags in their order, each with its token. */
    struct ebb_args keys;
    /* A command that is wrong but over: answer this line (no line end; "" for nothing, the rules of
     * noreply have been applied) and go on. Then no other field but `noreply` counts. Exception: a
     * value refused for its size leaves verb and key, since memcached drops the old value of a
     * refused `set`; is_too_large says so. */
    const char *error;
    bool is_too_large;
    char binary_key[EBB_MC_KEY_MAX_BYTES]; /* where a key given in base64 lies */
};

/* Whether a meta command has the flag of that letter. */
#define EBB_MC_FLAG(letter) (UINT64_C(1) << ((letter) - 'A'))
static inline bool ebb_mc_has(const struct ebb_mc_command *command, char letter)
{
    return (command->meta & EBB_MC_FLAG(letter)) != 0;
}

void ebb_mc_command_init(struct ebb_mc_command *command);
void ebb_mc_command_release(struct ebb_mc_command *command);

/* Which request of the binary protocol a refusal answers. */
struct ebb_mc_binary {
    uint8_t opcode;
    char opaque[4]; /* as sent */
};

struct ebb_mc_parser {
    uint64_t skip_bytes;    /* bytes of a refused value still to be thrown away */
    size_t value_max_bytes; /* set by the caller; larger values are refused and skipped */
    size_t need_bytes;      /* after 0: with fewer bytes in total the answer stays 0; else 0 */
    size_t scanned_bytes;   /* of the line, known to hold no line end */
    bool has_begun;         /* a command was seen: the binary protocol is no longer looked for */
    const char *error;      /* after < 0: line for the reply, without line end */
    bool is_binary;         /* after < 0: the reply is ebb_mc_write_binary_error() */
    struct ebb_mc_binary binary;
};
void ebb_mc_parser_init(struct ebb_mc_parser *parser, size_t value_max_bytes);
/* May return > 0 with command->error == "" for bytes of a skipped value. Wrong commands are
 * reported in command->error exactly as memcached 1.6 words them. < 0: answer parser->error and
 * close: a line over EBB_MC_LINE_MAX_BYTES (a get: over EBB_MC_GET_MAX_BYTES), or the binary
 * protocol. */
ssize_t ebb_mc_parse(struct ebb_mc_parser *parser, const char *bytes, size_t len,
                     struct ebb_mc_command *command);

void ebb_mc_write_line(struct ebb_buf *out, const char *line); /* adds the line end */
/* "Not supported" in the words of the binary protocol, with a text for people. */
void ebb_mc_write_binary_error(struct ebb_buf *out, const struct ebb_mc_binary *request,
                               const char *text);
/* VALUE key flags len [cas]\r\n data \r\n */
void ebb_mc_write_value(struct ebb_buf *out, struct ebb_slice key, uint32_t flags,
                        struct ebb_slice value, const uint64_t *cas);
/* Its first line; the value and a line end must follow. */
void ebb_mc_write_value_head(struct ebb_buf *out, struct ebb_slice key, uint32_t flags,
                             size_t value_bytes, const uint64_t *cas);
void ebb_mc_write_number(struct ebb_buf *out, uint64_t number); /* incr, decr */

/* Meta replies in their pieces: a code of two letters, then for each flag a space and it. */
void ebb_mc_write_code(struct ebb_buf *out, const char *code);
void ebb_mc_write_flag(struct ebb_buf *out, const char *flag, size_t len); /* ready made */
void ebb_mc_write_flag_number(struct ebb_buf *out, char flag, uint64_t number);
/* The key as it is, or in base64 and with flag b behind it. */
void ebb_mc_write_flag_key(struct ebb_buf *out, struct ebb_slice key, bool is_binary);
/* "VA 5", which a value must follow behind the flags. */
void ebb_mc_write_value_code(struct ebb_buf *out, size_t value_bytes);
/* Ends the line of flags; with a value, that comes behind it. */
void ebb_mc_write_end(struct ebb_buf *out, const struct ebb_slice *value);

void ebb_mc_write_stat(struct ebb_buf *out, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- HTTP/1.1 (http.c over llhttp, http_write.c) ---- */

enum ebb_http_method { EBB_HTTP_GET, EBB_HTTP_HEAD, EBB_HTTP_POST, EBB_HTTP_OTHER };

struct ebb_http_request {
    enum ebb_http_method method;
    struct ebb_slice path;  /* without the query, still percent-encoded */
    struct ebb_slice query; /* after '?', may be empty */
    struct ebb_slice accept, accept_encoding, authorization; /* empty when absent */
    bool keep_alive;
};
/* One request with its body, which is skipped; at most EBB_HTTP_HEAD_MAX_BYTES in all. There is no
 * parser to keep: requests are small and are parsed anew when more bytes come. < 0: *status is the
 * answer to give before closing (400, 413, 414, 431, 505), and *request may be given to
 * ebb_http_write() for it. */
ssize_t ebb_http_parse(const char *bytes, size_t len, struct ebb_http_request *request,
                       int *status);

struct ebb_http_response {
    int status;
    const char *content_type;
    const char *extra_headers; /* whole lines with line ends, or NULL */
    struct ebb_slice body;
};
/* Writes the response; for HEAD without the body but with its length. */
void ebb_http_write(struct ebb_buf *out, const struct ebb_http_request *request,
                    const struct ebb_http_response *response);
const char *ebb_http_status_text(int status);

#endif
