/* SPDX-License-Identifier: MIT */
/* mc_detail.c: commands counted by prefix; see mc_detail.h.
 */
#include "mc_detail.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "mc_verbs.h"

#define PREFIX_END   ':'
#define PREFIXES_MAX 1024u /* more are not counted: keys are the clients' and may be anything */
#define SLOT_COUNT   2048u

enum what { GETS, HITS, SETS, DELETES, WHAT_COUNT };

struct prefix {
    size_t len;
    char text[EBB_MC_KEY_MAX_BYTES];
    uint64_t counts[WHAT_COUNT];
};

struct mc_detail {
    pthread_mutex_t lock;
    bool is_on;            /* read without the lock */
    unsigned count;        /* of prefixes; guarded by the lock, like what follows */
    struct prefix **slots; /* by hash, SLOT_COUNT; NULL: never been on */
};

struct mc_detail *mc_detail_create(void)
{
    struct mc_detail *detail = calloc(1, sizeof(*detail));

    if (detail != NULL)
        pthread_mutex_init(&detail->lock, NULL);
    return detail;
}

void mc_detail_destroy(struct mc_detail *detail)
{
    if (detail == NULL)
        return;
    for (unsigned i = 0; detail->slots != NULL && i < SLOT_COUNT; i++)
        free(detail->slots[i]);
    free(detail->slots);
    pthread_mutex_destroy(&detail->lock);
    free(detail);
}

bool mc_detail_is_on(const struct service *service)
{
    return service->detail != NULL && __atomic_load_n(&service->detail->is_on, __ATOMIC_RELAXED);
}

/* ---- counting ---- */

static uint32_t hash_of(const char *text, size_t len) /* FNV-1a */
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)text[i]) * 16777619u;
    return hash;
}

/* The prefix's counts, made at its first use. NULL: there is no room for one more. */
static struct prefix *find(struct mc_detail *detail, const char *text, size_t len)
{
    unsigned at = hash_of(text, len) % SLOT_COUNT;

    for (; detail->slots[at] != NULL; at = (at + 1) % SLOT_COUNT)
        if (detail->slots[at]->len == len && memcmp(detail->slots[at]->text, text, len) == 0)
            return detail->slots[at];
    if (detail->count == PREFIXES_MAX)
        return NULL;
    struct prefix *prefix = calloc(1, sizeof(*prefix));
    if (prefix == NULL)
        return NULL;
    prefix->len = len;
    memcpy(prefix->text, text, len);
    detail->slots[at] = prefix;
    detail->count++;
    return prefix;
}

static void note(struct mc_detail *detail, enum what what, const char *key, size_t len)
{
    const char *end = memchr(key, PREFIX_END, len);
    size_t prefix_len = end != NULL ? (size_t)(end - key) : 0;

    if (end == NULL || prefix_len > EBB_MC_KEY_MAX_BYTES)
        return;
    pthread_mutex_lock(&detail->lock);
    struct prefix *prefix = detail->slots != NULL ? find(detail, key, prefix_len) : NULL;
    if (prefix != NULL)
        prefix->counts[what]++;
    pthread_mutex_unlock(&detail->lock);
}

void mc_detail_note_read(struct service *service, const struct store_key *key, bool is_hit)
{
    if (!mc_detail_is_on(service))
        return;
    note(service->detail, GETS, key->data, key->len);
    if (is_hit)
        note(service->detail, HITS, key->data, key->len);
}

void mc_detail_note_write(struct service *service, const struct ebb_mc_command *command)
{
    enum ebb_mc_verb verb = command->verb;
    bool is_set = (verb >= EBB_MC_SET && verb <= EBB_MC_CAS) || verb == EBB_MC_MS;
    bool is_delete = verb == EBB_MC_DELETE || verb == EBB_MC_MD;

    if ((is_set || is_delete) && mc_detail_is_on(service))
        note(service->detail, is_set ? SETS : DELETES, command->keys.at[0].data,
             command->keys.at[0].len);
}

void mc_detail_reset(struct service *service)
{
    struct mc_detail *detail = service->detail;

    if (detail == NULL)
        return;
    pthread_mutex_lock(&detail->lock);
    for (unsigned i = 0; detail->slots != NULL && i < SLOT_COUNT; i++) {
        free(detail->slots[i]);
        detail->slots[i] = NULL;
    }
    detail->count = 0;
    pthread_mutex_unlock(&detail->lock);
}

/* ---- stats detail ---- */

static void turn(struct mc_detail *detail, bool on)
{
    pthread_mutex_lock(&detail->lock);
    if (on && detail->slots == NULL)
        detail->slots = calloc(SLOT_COUNT, sizeof(struct prefix *));
    __atomic_store_n(&detail->is_on, on && detail->slots != NULL, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&detail->lock);
}

static void dump(struct cmd_context *context, struct mc_detail *detail)
{
    pthread_mutex_lock(&detail->lock);
    for (unsigned i = 0; detail->slots != NULL && i < SLOT_COUNT; i++) {
        const struct prefix *prefix = detail->slots[i];
        if (prefix != NULL)
            ebb_buf_printf(
                context->reply.out, "PREFIX %.*s get %llu hit %llu set %llu del %llu\r\n",
                (int)prefix->len, prefix->text, (unsigned long long)prefix->counts[GETS],
                (unsigned long long)prefix->counts[HITS], (unsigned long long)prefix->counts[SETS],
                (unsigned long long)prefix->counts[DELETES]);
    }
    pthread_mutex_unlock(&detail->lock);
    ebb_mc_write_line(context->reply.out, "END");
}

static bool is_word(struct ebb_slice word, const char *text)
{
    return word.len == strlen(text) && memcmp(word.data, text, word.len) == 0;
}

void mc_run_detail(struct cmd_context *context, const struct ebb_mc_command *command)
{
    struct mc_detail *detail = context->service->detail;
    struct ebb_slice word =
        command->keys.count < 2 ? (struct ebb_slice){"", 0} : command->keys.at[1];

    if (is_word(word, "dump")) {
        dump(context, detail);
    } else if (is_word(word, "on") || is_word(word, "off")) {
        turn(detail, word.len == 2);
        mc_answer(context, command, "OK");
    } else {
        mc_answer_error(context, command, "CLIENT_ERROR usage: stats detail on|off|dump");
    }
}
