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
#include <string.h>

#include "cmd.h"

#define COMMAND_SLOT_BITS  9
#define COMMAND_SLOT_COUNT (1u << COMMAND_SLOT_BITS)
#define COMMAND_NAME_WORDS (COMMAND_NAME_BYTES / 8)

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words of names are compared as bytes");

/* Up to eight bytes as they stand, zeros behind: read in two overlapping halves. */
static inline uint64_t command_bytes(const char *name, size_t len)
{
    uint32_t low = 0, high = 0;

    if (len >= 4) {
        memcpy(&low, name, 4);
        memcpy(&high, name + len - 4, 4);
        return low | (uint64_t)high << 8 * (len - 4);
    }
    if (len == 0)
        return 0;
    low = (unsigned char)name[0] | (uint32_t)(unsigned char)name[len / 2] << 8 * (len / 2);
    return low | (uint32_t)(unsigned char)name[len - 1] << 8 * (len - 1);
}

/* The same in lower case, all bytes at a time: the top bit of a byte that lies between 'A' and 'Z'
 * becomes the bit that lower case has more. */
static inline uint64_t command_word(const char *name, size_t len)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t word = command_bytes(name, len);
    uint64_t seven = word & ones * 0x7f;
    uint64_t from_a = seven + ones * (0x80 - 'A'), over_z = seven + ones * (0x7f - 'Z');

    return word | ((from_a & ~over_z & ~word & ones * 0x80) >> 2);
}

/* Where to look first: a taken slot sends a name to the next one. */
static inline unsigned command_slot(const uint64_t *words, size_t len)
{
    uint64_t hash = 0;

    for (size_t i = 0; 8 * i < len; i++)
        hash = (hash ^ words[i]) * UINT64_C(0x9E3779B97F4A7C15);
    return (unsigned)(hash >> (64 - COMMAND_SLOT_BITS));
}

#endif
