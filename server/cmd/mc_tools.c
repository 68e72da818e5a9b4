/* SPDX-License-Identifier: MIT */
/* mc_tools.c: what tools and operators say to memcached: its limit, its LRU crawler, its slabs.
 *
 * Much of it steers what works by itself here: compaction moves memory between size classes, upkeep
 * finds expired items, and neither can be turned off. Such commands are checked as memcached does,
 * and those that ask for what happens anyway are answered with OK.
 */
#include "mc_verbs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../options.h"
#include "mc_dump.h"

#define MIB               (INT64_C(1) << 20)
#define MEMLIMIT_LEAST_MB 8u /* memcached's */
#define MEMLIMIT_MOST_MB  (100000000u)
#define SLEEP_MOST_US     1000000u

/* ---- words ---- */

static struct ebb_slice word_at(const struct ebb_mc_command *command, uint32_t index)
{
    return index < command->keys.count ? command->keys.at[index] : (struct ebb_slice){"", 0};
}

static bool word_is(const struct ebb_mc_command *command, uint32_t index, const char *text)
{
    struct ebb_slice word = word_at(command, index);
    return word.len == strlen(text) && memcmp(word.data, text, word.len) == 0;
}

/* Words behind the verb, but for noreply. */
static uint32_t word_count(const struct ebb_mc_command *command)
{
    return command->keys.count - command->noreply;
}

static bool number_at(const struct ebb_mc_command *command, uint32_t index, int64_t *number)
{
    struct ebb_slice word = word_at(command, index);
    return ebb_parse_i64(word.data, word.len, number);
}

static bool is_fraction(struct ebb_slice word)
{
    char text[32], *end;

    if (word.len == 0 || word.len >= sizeof(text))
        return false;
    memcpy(text, word.data, word.len);
    text[word.len] = '\0';
    strtod(text, &end);
    return *end == '\0';
}

/* ---- cache_memlimit ---- */

static bool set_maxmemory(struct cmd_context *context, int64_t bytes)
{
    struct service *service = context->service;
    int index = options_find("maxmemory", strlen("maxmemory"));
    char text[EBB_NUM_TEXT_BYTES + 1], error[OPTIONS_ERROR_BYTES];

    snprintf(text, sizeof(text), "%lld", (long long)bytes);
    store_leave(context->store); /* what the server does now may want the shards */
    service->options_lock(service->server);
    int rc = options_set(service->options, (size_t)index, text, error);
    service->options_unlock(service->server);
    if (rc == 0)
        service->option_changed(service->server, (size_t)index);
    return rc == 0;
}

void mc_run_memlimit(struct cmd_context *context, const struct ebb_mc_command *command)
{
    int64_t megabytes;

    if (!number_at(command, 0, &megabytes) || megabytes < 0)
        mc_answer_error(context, command, "ERROR");
    else if (megabytes < MEMLIMIT_LEAST_MB)
        mc_answer_error(context, command, "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m");
    else if (megabytes > MEMLIMIT_MOST_MB)
        mc_answer_error(context, command,
                        "MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes");
    else if (!set_maxmemory(context, megabytes * MIB))
        mc_answer_error(context, command,
                        "MEMLIMIT_ADJUST_FAILED out of bounds or unable to adjust");
    else
        mc_answer(context, command, "OK");
}

/* ---- lru_crawler ---- */

static void answer_if(struct cmd_context *context, const struct ebb_mc_command *command,
                      bool is_right, const char *error)
{
    if (is_right)
        mc_answer(context, command, "OK");
    else
        mc_answer_error(context, command, error);
}

static void run_crawler_sleep(struct cmd_context *context, const struct ebb_mc_command *command)
{
    int64_t us;

    if (!number_at(command, 1, &us) || us < 0)
        mc_answer_error(context, command, "CLIENT_ERROR bad command line format");
    else
        answer_if(context, command, us <= SLEEP_MOST_US,
                  "CLIENT_ERROR sleep must be one second or less");
}

static void run_crawler_tocrawl(struct cmd_context *context, const struct ebb_mc_command *command)
{
    int64_t items;
    answer_if(context, command, number_at(command, 1, &items) && items >= 0,
              "CLIENT_ERROR bad command line format");
}

/* Upkeep visits what has expired, in every class and without being told. */
static void run_crawler_crawl(struct cmd_context *context, const struct ebb_mc_command *command)
{
    int64_t class_id;
    bool is_right = word_is(command, 1, "all") || word_is(command, 1, "hash") ||
                    (number_at(command, 1, &class_id) && class_id > 0 &&
                     class_id <= (int64_t)EBB_CLASS_COUNT + 1);
    answer_if(context, command, is_right, "BADCLASS invalid class id");
}

static void run_crawler_metadump(struct cmd_context *context, const struct ebb_mc_command *command)
{
    mc_dump_begin(context, command, MC_DUMP_META, word_at(command, 1));
}

static void run_crawler_mgdump(struct cmd_context *context, const struct ebb_mc_command *command)
{
    mc_dump_begin(context, command, MC_DUMP_GET, word_at(command, 1));
}

static void run_crawler_enable(struct cmd_context *context, const struct ebb_mc_command *command)
{
    mc_answer(context, command, "OK");
}

static void run_crawler_disable(struct cmd_context *context, const struct ebb_mc_command *command)
{
    mc_answer_error(context, command, "ERROR failed to stop lru crawler thread");
}

void mc_run_crawler(struct cmd_context *context, const struct ebb_mc_command *command)
{
    static const struct {
        const char *word;
        uint32_t count;
        void (*run)(struct cmd_context *context, const struct ebb_mc_command *command);
    } forms[] = {
        {"metadump", 2, run_crawler_metadump}, {"mgdump", 2, run_crawler_mgdump},
        {"crawl", 2, run_crawler_crawl},       {"sleep", 2, run_crawler_sleep},
        {"tocrawl", 2, run_crawler_tocrawl},   {"enable", 1, run_crawler_enable},
        {"disable", 1, run_crawler_disable},
    };

    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (word_count(command) == forms[i].count && word_is(command, 0, forms[i].word)) {
            forms[i].run(context, command);
            return;
        }
    }
    mc_answer_error(context, command, "ERROR");
}

/* ---- slabs, lru ---- */

/* Compaction gives a class's memory to whoever needs it: there is nothing left to do. */
static void run_reassign(struct cmd_context *context, const struct ebb_mc_command *command)
{
    int64_t from, to, most = (int64_t)EBB_CLASS_COUNT + 1;

    if (!number_at(command, 1, &from) || !number_at(command, 2, &to))
        mc_answer_error(context, command, "CLIENT_ERROR bad command line format");
    else if (from == to)
        mc_answer_error(context, command, "SAME src and dst class are identical");
    else
        answer_if(context, command, from >= -1 && from != 0 && from <= most && to > 0 && to <= most,
                  "BADCLASS invalid src or dst class id");
}

static void run_automove(struct cmd_context *context, const struct ebb_mc_command *command)
{
    int64_t level;

    if (!number_at(command, 1, &level) || level < 0)
        mc_answer_error(context, command, "CLIENT_ERROR bad command line format");
    else
        answer_if(context, command, level <= 2, "ERROR");
}

void mc_run_slabs(struct cmd_context *context, const struct ebb_mc_command *command)
{
    uint32_t count = word_count(command);

    if (count == 3 && word_is(command, 0, "reassign"))
        run_reassign(context, command);
    else if (count >= 2 && word_is(command, 0, "automove"))
        run_automove(context, command);
    else
        mc_answer_error(context, command, "ERROR");
}

static bool is_tune(const struct ebb_mc_command *command)
{
    int64_t hot, warm;
    return command->keys.count >= 5 && number_at(command, 1, &hot) && hot >= 0 &&
           number_at(command, 2, &warm) && warm >= 0 && is_fraction(word_at(command, 3)) &&
           is_fraction(word_at(command, 4));
}

/* There are no LRU lists to be tuned; what a tuning script says is checked and let pass. */
void mc_run_lru(struct cmd_context *context, const struct ebb_mc_command *command)
{
    int64_t seconds;
    bool is_right = (word_is(command, 0, "tune") && is_tune(command)) ||
                    (word_is(command, 0, "mode") &&
                     (word_is(command, 1, "flat") || word_is(command, 1, "segmented"))) ||
                    (word_is(command, 0, "temp_ttl") && number_at(command, 1, &seconds));
    answer_if(context, command, is_right, "ERROR");
}

/* ---- what is not had ---- */

/* memcached's words for a server started without -A. */
void mc_run_shutdown(struct cmd_context *context, const struct ebb_mc_command *command)
{
    mc_answer_error(context, command, "ERROR: shutdown not enabled");
}

/* And with -W: what happens is on /metrics. */
void mc_run_watch(struct cmd_context *context, const struct ebb_mc_command *command)
{
    mc_answer_error(context, command, "CLIENT_ERROR watch commands not allowed");
}
