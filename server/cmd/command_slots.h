/* SPDX-License-Identifier: MIT */
/* command_slots.h: the hash behind command_slots.def. Shared by command.c and by the test that says
 * which slot a new command gets.
 *
 * A name is taken as words of eight bytes, in lower case and filled up with zeros: nearly all names
 * are one word, which is hashed and compared in a register.
 */
#ifndef EBB_COMMAND_SLOTS_H
#define EBB_COMMAND_SLOTS_H

#include <stddef.h>
#include <stdint.h>

#include "cmd.h"

#define COMMAND_SLOT_BITS  9
#define COMMAND_SLOT_COUNT (1u << COMMAND_SLOT_BITS)
#define COMMAND_NAME_WORDS (COMMAND_NAME_BYTES / 8)

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words of names are compared as bytes");

static inline uint64_t command_word(const char *name, size_t len)
{
    uint64_t word = 0;

    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)name[i];
        word |= (uint64_t)(c >= 'A' && c <= 'Z' ? c | 0x20 : c) << 8 * i;
    }
    return word;
}

/* Where to look first: a taken slot sends a name to the next one. */
static inline unsigned command_slot(const uint64_t words[COMMAND_NAME_WORDS], size_t len)
{
    uint64_t hash = 0;

    for (size_t i = 0; 8 * i < len; i++)
        hash = (hash ^ words[i]) * UINT64_C(0x9E3779B97F4A7C15);
    return (unsigned)(hash >> (64 - COMMAND_SLOT_BITS));
}

#endif
