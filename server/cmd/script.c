/* SPDX-License-Identifier: MIT */
/* script.c: from a text or its SHA-1 to a row of scripts.def. Called by cmd_script.c.
 */
#include "script.h"

#include <ctype.h>
#include <string.h>

struct known {
    enum script_id id;
    char sha1[SHA1_TEXT_BYTES + 1];
};

static const struct known forms[] = {
#define SCRIPT_FORM(id, sha1) {SCRIPT_##id, sha1},
#include "scripts.def"
#undef SCRIPT_FORM
};

static const struct known published[] = {
#define SCRIPT_SHA1(id, sha1) {SCRIPT_##id, sha1},
#include "scripts.def"
#undef SCRIPT_SHA1
};

static enum script_id look_up(const struct known *rows, size_t count,
                              const char sha1[SHA1_TEXT_BYTES])
{
    for (size_t i = 0; i < count; i++) {
        if (memcmp(rows[i].sha1, sha1, SHA1_TEXT_BYTES) == 0)
            return rows[i].id;
    }
    return SCRIPT_COUNT;
}

/* ---- the plain form ---- */

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

struct plain {
    char text[SCRIPT_TEXT_MAX_BYTES + 1];
    size_t len;
};

/* The quotes at text[at] and what is in them. Returns where it goes on. */
static size_t add_quoted(struct plain *plain, const char *text, size_t len, size_t at)
{
    char quote = text[at++];

    plain->text[plain->len++] = '"';
    while (at < len && text[at] != quote)
        plain->text[plain->len++] = (char)tolower((unsigned char)text[at++]);
    if (at < len)
        plain->text[plain->len++] = '"';
    return at + 1;
}

static size_t skip_comment(const char *text, size_t len, size_t at)
{
    while (at < len && text[at] != '\n')
        at++;
    return at;
}

/* Never longer than the text itself. */
static void make_plain(struct plain *plain, const char *text, size_t len)
{
    bool after_space = false;

    plain->len = 0;
    for (size_t at = 0; at < len;) {
        if (text[at] == '-' && at + 1 < len && text[at + 1] == '-') {
            at = skip_comment(text, len, at);
            continue;
        }
        if (strchr(" \t\r\n", text[at]) != NULL && text[at] != '\0') {
            after_space = true;
            at++;
            continue;
        }
        if (after_space && plain->len > 0 && is_word(plain->text[plain->len - 1]) &&
            is_word(text[at]))
            plain->text[plain->len++] = ' ';
        after_space = false;
        if (text[at] == '"' || text[at] == '\'')
            at = add_quoted(plain, text, len, at);
        else
            plain->text[plain->len++] = text[at++];
    }
}

static void hash(const char *text, size_t len, char sha1[SHA1_TEXT_BYTES])
{
    unsigned char digest[SHA1_BYTES];
    struct sha1 state;

    sha1_init(&state);
    sha1_add(&state, text, len);
    sha1_end(&state, digest);
    sha1_text(digest, sha1);
}

static enum script_id recognise(const char *text, size_t len)
{
    struct plain plain;
    char sha1[SHA1_TEXT_BYTES];

    if (len > SCRIPT_TEXT_MAX_BYTES)
        return SCRIPT_COUNT;
    make_plain(&plain, text, len);
    hash(plain.text, plain.len, sha1);
    return look_up(forms, sizeof(forms) / sizeof(forms[0]), sha1);
}

/* ---- the cache ---- */

void script_cache_init(struct script_cache *cache)
{
    memset(cache, 0, sizeof(*cache));
    pthread_mutex_init(&cache->mutex, NULL);
}

void script_cache_release(struct script_cache *cache)
{
    pthread_mutex_destroy(&cache->mutex);
}

void script_cache_clear(struct script_cache *cache)
{
    pthread_mutex_lock(&cache->mutex);
    memset(cache->loaded, 0, sizeof(cache->loaded));
    pthread_mutex_unlock(&cache->mutex);
}

/* A row that nothing has been loaded into is all zeros, and so may be what a client sends. */
static bool is_loaded(const struct script_cache *cache, unsigned i)
{
    return cache->loaded[i].sha1[0] != '\0';
}

static enum script_id find_loaded(struct script_cache *cache, const char sha1[SHA1_TEXT_BYTES])
{
    enum script_id id = SCRIPT_COUNT;

    pthread_mutex_lock(&cache->mutex);
    for (unsigned i = 0; i < SCRIPT_LOADED_MAX && id == SCRIPT_COUNT; i++) {
        if (is_loaded(cache, i) && memcmp(cache->loaded[i].sha1, sha1, SHA1_TEXT_BYTES) == 0)
            id = cache->loaded[i].id;
    }
    pthread_mutex_unlock(&cache->mutex);
    return id;
}

static void remember(struct script_cache *cache, const char sha1[SHA1_TEXT_BYTES],
                     enum script_id id)
{
    pthread_mutex_lock(&cache->mutex);
    unsigned at = cache->next++ % SCRIPT_LOADED_MAX;
    memcpy(cache->loaded[at].sha1, sha1, SHA1_TEXT_BYTES);
    cache->loaded[at].id = id;
    pthread_mutex_unlock(&cache->mutex);
}

enum script_id script_load(struct script_cache *cache, const char *text, size_t len,
                           char sha1[SHA1_TEXT_BYTES])
{
    hash(text, len, sha1);
    enum script_id id = script_find(cache, sha1, SHA1_TEXT_BYTES);
    if (id != SCRIPT_COUNT)
        return id;
    id = recognise(text, len);
    if (id != SCRIPT_COUNT)
        remember(cache, sha1, id);
    return id;
}

enum script_id script_find(struct script_cache *cache, const char *sha1, size_t len)
{
    char lower[SHA1_TEXT_BYTES];

    if (len != SHA1_TEXT_BYTES)
        return SCRIPT_COUNT;
    for (size_t i = 0; i < len; i++)
        lower[i] = (char)tolower((unsigned char)sha1[i]);
    enum script_id id = look_up(published, sizeof(published) / sizeof(published[0]), lower);
    return id != SCRIPT_COUNT ? id : find_loaded(cache, lower);
}
