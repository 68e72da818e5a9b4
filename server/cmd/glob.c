/* SPDX-License-Identifier: MIT */
/* glob.c: patterns of KEYS, SCAN and CONFIG GET; pure functions.
 *
 * A star is tried with nothing first, and takes one byte more after each failure. Only the latest
 * star needs that: what stands before it fits already, and the shortest fit leaves most to what
 * follows. So there is no recursion that a pattern could blow up.
 */
#include "glob.h"

#include <ctype.h>
#include <string.h>

struct glob {
    const unsigned char *at, *end;
};

static int fold(int c, bool any_case)
{
    return any_case ? tolower(c) : c;
}

/* A range may stand in either order; the order counts before the case is taken away. */
static bool range_has(int low, int high, int c, bool any_case)
{
    if (low > high) {
        int swapped = low;
        low = high;
        high = swapped;
    }
    c = fold(c, any_case);
    return fold(low, any_case) <= c && c <= fold(high, any_case);
}

/* Steps over a set whose '[' has been read, up to and with its ']'. A set that does not end takes
 * the rest of the pattern. */
static bool set_has(struct glob *glob, int c, bool any_case)
{
    bool is_inverted = glob->at < glob->end && *glob->at == '^';
    bool has = false;

    glob->at += is_inverted;
    while (glob->at < glob->end && *glob->at != ']') {
        size_t left = (size_t)(glob->end - glob->at);
        if (*glob->at == '\\' && left >= 2) {
            has |= glob->at[1] == c; /* in its own case only */
            glob->at += 2;
        } else if (left >= 3 && glob->at[1] == '-') {
            has |= range_has(glob->at[0], glob->at[2], c, any_case);
            glob->at += 3;
        } else {
            has |= fold(*glob->at, any_case) == fold(c, any_case);
            glob->at++;
        }
    }
    if (glob->at < glob->end)
        glob->at++;
    return has != is_inverted;
}

/* Whether the next element of the pattern, which is no star, fits the byte. Steps over it. */
static bool step_fits(struct glob *glob, int c, bool any_case)
{
    int element = *glob->at++;

    if (element == '?')
        return true;
    if (element == '[')
        return set_has(glob, c, any_case);
    if (element == '\\' && glob->at < glob->end)
        element = *glob->at++;
    return fold(element, any_case) == fold(c, any_case);
}

bool glob_matches(const char *pattern, size_t pattern_len, const char *text, size_t text_len,
                  bool any_case)
{
    struct glob glob = {(const unsigned char *)pattern,
                        (const unsigned char *)pattern + pattern_len};
    struct glob after_star = {NULL, NULL};
    const unsigned char *at = (const unsigned char *)text, *end = at + text_len;
    const unsigned char *star_at = at; /* where the text behind the latest star starts */

    if (text_len == 0)
        return pattern_len == 0; /* in Redis not even a star fits the empty text */
    while (at < end || glob.at < glob.end) {
        if (glob.at < glob.end && *glob.at == '*') {
            glob.at++;
            after_star = glob;
            star_at = at;
            continue;
        }
        if (glob.at < glob.end && at < end && step_fits(&glob, *at, any_case)) {
            at++;
            continue;
        }
        if (after_star.at == NULL || star_at >= end)
            return false;
        at = ++star_at;
        glob = after_star;
    }
    return true;
}

bool glob_is_all(const char *pattern, size_t pattern_len)
{
    return pattern_len == 1 && pattern[0] == '*';
}

bool glob_is_plain(const char *pattern, size_t pattern_len)
{
    for (size_t i = 0; i < pattern_len; i++) {
        if (memchr("*?[", pattern[i], 3) != NULL)
            return false;
    }
    return true;
}
