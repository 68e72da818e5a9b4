/* SPDX-License-Identifier: MIT */
/* script.h: which published script a text or a SHA-1 is. There is no Lua here: what clients send to
 * hold locks and caches together is known by name, and cmd_script.c does natively what it does.
 *
 * A text is compared in its plain form: without comments and needless spaces, with one kind of
 * quotes, and what stands in them in lower case. So one row covers all ways to write a script down.
 */
#ifndef EBB_SCRIPT_H
#define EBB_SCRIPT_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "sha1.h"

#define SCRIPT_TEXT_MAX_BYTES 4096u /* longer ones are none of ours */
#define SCRIPT_LOADED_MAX     64u   /* of other spellings, remembered for EVALSHA */

enum script_id {
#define SCRIPT(id, ...) SCRIPT_##id,
#include "scripts.def"
#undef SCRIPT
    SCRIPT_COUNT /* none of them */
};

/* Spellings that SCRIPT LOAD or EVAL have shown, for the whole server. Any thread. */
struct script_cache {
    pthread_mutex_t mutex;
    struct {
        char sha1[SHA1_TEXT_BYTES];
        enum script_id id;
    } loaded[SCRIPT_LOADED_MAX]; /* the oldest is overwritten */
    unsigned next;
};
void script_cache_init(struct script_cache *cache);
void script_cache_release(struct script_cache *cache);
void script_cache_clear(struct script_cache *cache);

/* Writes the text's SHA-1; a script that is known is remembered by it. */
enum script_id script_load(struct script_cache *cache, const char *text, size_t len,
                           char sha1[SHA1_TEXT_BYTES]);
/* The script with that SHA-1, in digits of any case. */
enum script_id script_find(struct script_cache *cache, const char *sha1, size_t len);

#endif
