/* SPDX-License-Identifier: MIT */
/* glob.h: patterns of KEYS, SCAN and CONFIG GET.
 *
 *   ?  one byte      *  any bytes      \x  x itself
 *   [abc] [a-z] [^a]  one byte out of a set, or out of all others
 */
#ifndef EBB_GLOB_H
#define EBB_GLOB_H

#include <stdbool.h>
#include <stddef.h>

/* Whether the whole text fits the pattern, by Redis's reading of ill-formed ones too. Takes time
 * in proportion to the product of the lengths at most. */
bool glob_matches(const char *pattern, size_t pattern_len, const char *text, size_t text_len,
                  bool any_case);
/* Whether the pattern is one that every text fits: "*". */
bool glob_is_all(const char *pattern, size_t pattern_len);
/* Whether there is anything in it but itself to fit. */
bool glob_is_plain(const char *pattern, size_t pattern_len);

#endif
