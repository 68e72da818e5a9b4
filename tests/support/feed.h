/* SPDX-License-Identifier: MIT */
/* feed.h: gives bytes to a parser in every way a network can, and sees that it says the same.
 *
 * A target wraps one parser: each call parses once and adds what the parser said to a log, as text.
 * The ways differ in how many bytes are there when the parser is called; in all of them the bytes
 * lie elsewhere at each call and end against a page that can't be read. Knows no test framework, so
 * that fuzzers can use it.
 */
#ifndef EBB_TESTS_FEED_H
#define EBB_TESTS_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../../proto/ebb_buf.h"
#include "../../proto/ebb_proto.h"

struct feed_target {
    void *context;
    void (*begin)(void *context); /* a new connection */
    /* One call of the parser on `len` > 0 bytes; answers as parsers do. Aborts when a span of the
     * command is not inside the bytes. */
    ssize_t (*parse)(void *context, char *bytes, size_t len, struct ebb_buf *log);
    /* After 0: with fewer bytes the answer must stay 0. NULL: the parser does not say. */
    size_t (*need_bytes)(const void *context);
};

/* Feeds whole, one byte more at a time, split at every position (at a few hundred when there are
 * many) and whole again. `log` is emptied and then holds what the first way said, with "...N" at
 * the end for N bytes that wait for more. False, with the two logs on stderr, when a way differs.
 */
bool feed_all_ways(const struct feed_target *target, const char *bytes, size_t len,
                   struct ebb_buf *log);
/* The same with one random splitting only. */
bool feed_randomly(const struct feed_target *target, const char *bytes, size_t len, uint64_t seed,
                   struct ebb_buf *log);

/* ---- targets for the parsers of proto/ (feed_targets.c) ---- */

struct feed_resp {
    struct ebb_resp_parser parser, settings; /* settings: what begin() gives to the parser */
    struct ebb_args args;
};
/* Logs "[arg][arg]" and "! text", one line each. */
struct feed_target feed_resp_target(struct feed_resp *context);
void feed_resp_release(struct feed_resp *context);

struct feed_mc {
    struct ebb_mc_parser parser;
    struct ebb_mc_command command;
    size_t value_max_bytes; /* set by feed_mc_target() to 1 MiB */
};
/* Logs "verb [word] field=value... [value]", "= line to answer" and "! text". */
struct feed_target feed_mc_target(struct feed_mc *context);
void feed_mc_release(struct feed_mc *context);

/* Logs "METHOD path ?query header=[value]... keep|close" and "! status". Needs no context. */
struct feed_target feed_http_target(void);

#endif
