/* SPDX-License-Identifier: MIT */
/* mc_meta.c: requests of memcached's meta commands: a key, then flags of one letter, some with a
 * token right behind it.
 *
 *   mg key v k t O7\r\n         ms key 5 T90 c\r\n  value\r\n
 *
 * Every command takes the flags of all and passes over what it has no use for, as memcached does.
 * The flags stay in the command as words, in their order: replies follow it. What memcached makes
 * of wrong flags is found in the order in which it looks.
 */
#include "mc_words.h"

#define WORDS_META_MAX   19u /* with the verb */
#define OPAQUE_MAX_BYTES 32u /* with its letter */

static const char bad_token[] = "CLIENT_ERROR bad token in command line format";

/* ---- one flag. NULL or the error; a later error takes the place of an earlier one. ---- */

static const char *read_token(struct ebb_mc_command *command, const struct ebb_slice *word)
{
    struct ebb_slice token = {word->data + 1, word->len - 1};
    uint64_t number;
    switch (word->data[0]) {
    case 'N':
        return mc_read_i64(&token, &command->vivify_exptime) ? NULL : bad_token;
    case 'T':
        return mc_read_i64(&token, &command->exptime) ? NULL : bad_token;
    case 'R':
        return mc_read_i64(&token, &command->recache_exptime) ? NULL : bad_token;
    case 'C':
        return mc_read_u64(&token, &command->cas) ? NULL : bad_token;
    case 'E':
        return mc_read_u64(&token, &command->new_cas) ? NULL : bad_token;
    case 'J':
        return mc_read_u64(&token, &command->initial)
                   ? NULL
                   : "CLIENT_ERROR invalid numeric initial value";
    case 'D':
        return mc_read_u64(&token, &command->delta) ? NULL
                                                    : "CLIENT_ERROR invalid numeric delta value";
    case 'F':
        if (!mc_read_u64(&token, &number))
            return MC_BAD_FORMAT;
        command->flags = (uint32_t)number; /* memcached drops the upper half, too */
        return NULL;
    case 'M':
        command->mode = token.len == 1 ? token.data[0] : '\0';
        return token.len == 1 ? NULL : "CLIENT_ERROR incorrect length for M token";
    default:
        return NULL;
    }
}

/* In place of the key's text its bytes, which the command keeps. */
static const char *decode_key(struct ebb_mc_command *command)
{
    struct ebb_slice *key = &command->keys.at[0];
    key->len = ebb_base64_decode(key->data, key->len, command->binary_key);
    key->data = command->binary_key;
    return key->len > 0 ? NULL : "CLIENT_ERROR error decoding key";
}

static const char *read_flags(struct ebb_mc_command *command, const struct words *words,
                              unsigned first)
{
    static const char known[] = "CDEFIJLMNOPRTbcfhklqstuvx";
    const char *error = NULL;
    for (unsigned i = first; i < words->count; i++) {
        const struct ebb_slice *word = &words->at[i];
        unsigned char letter = (unsigned char)word->data[0];
        bool is_letter = letter < 127;
        if (!is_letter || (letter >= 'A' && ebb_mc_has(command, (char)letter)))
            return "CLIENT_ERROR duplicate flag";
        if (strchr(known, letter) == NULL)
            return "CLIENT_ERROR invalid flag";
        command->meta |= EBB_MC_FLAG(letter);
        const char *wrong = letter == 'b' ? decode_key(command) : read_token(command, word);
        /* A wrong F says nothing of its own. */
        if (wrong && (letter != 'F' || !error))
            error = wrong;
        if (!ebb_args_add(&command->keys, word->data, word->len))
            return mc_out_of_memory;
    }
    return error;
}

/* An opaque that is too long is found only when the flags are used. */
static bool has_long_opaque(const struct ebb_mc_command *command)
{
    for (uint32_t i = 1; i < command->keys.count; i++)
        if (command->keys.at[i].data[0] == 'O' && command->keys.at[i].len > OPAQUE_MAX_BYTES)
            return true;
    return false;
}

static const char *const long_opaque = "CLIENT_ERROR opaque token too long";

/* ---- the commands ---- */

static const char *check_arithmetic_mode(char mode)
{
    return mode == '\0' || strchr("ID+-", mode) != NULL
               ? NULL
               : "CLIENT_ERROR invalid mode for ma M token";
}

const char *mc_read_meta(struct ebb_mc_command *command, struct words *words)
{
    bool is_get = command->verb == EBB_MC_MG;
    const char *error = mc_read_key(command, &words->at[1]);
    if (error)
        return error;
    if (words->count > WORDS_META_MAX)
        return is_get ? "CLIENT_ERROR options flags are too long"
                      : "CLIENT_ERROR options flags too long";
    command->delta = 1;
    error = read_flags(command, words, 2);
    if (error && error != mc_out_of_memory && !is_get)
        error = "CLIENT_ERROR invalid or duplicate flag";
    if (!error && command->verb == EBB_MC_MA)
        error = check_arithmetic_mode(command->mode);
    if (!error && has_long_opaque(command))
        error = long_opaque;
    return error;
}

const char *mc_read_meta_set(struct ebb_mc_command *command, struct words *words)
{
    int64_t value_bytes;
    const char *error = mc_read_key(command, &words->at[1]);
    if (error)
        return error;
    if (words->count == 2)
        return MC_BAD_FORMAT;
    if (words->count > WORDS_META_MAX)
        return "CLIENT_ERROR options flags too long";
    if (!mc_read_i64(&words->at[2], &value_bytes) || value_bytes < 0 || value_bytes > INT32_MAX - 2)
        return MC_BAD_FORMAT;
    error = read_flags(command, words, 3);
    if (!error && command->mode != '\0' && strchr("EAPRS", command->mode) == NULL)
        error = "CLIENT_ERROR invalid mode for ms M token";
    if (!error && has_long_opaque(command))
        error = long_opaque;
    if (error)
        words->skip_bytes = (size_t)value_bytes + 2;
    command->value.len = (size_t)value_bytes;
    return error;
}

const char *mc_read_meta_debug(struct ebb_mc_command *command, struct words *words)
{
    if (words->count < 2)
        return MC_BAD_FORMAT;
    const char *error = mc_read_key(command, &words->at[1]);
    if (error || words->count < 3 || !is_word(&words->at[2], "b", 1))
        return error;
    command->meta = EBB_MC_FLAG('b');
    return decode_key(command) ? MC_BAD_FORMAT : NULL;
}
