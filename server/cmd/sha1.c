/* SPDX-License-Identifier: MIT */
/* sha1.c: see sha1.h. Called by script.c.
 */
#include "sha1.h"

#include <string.h>

void sha1_init(struct sha1 *sha1)
{
    *sha1 = (struct sha1){.state = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0}};
}

static uint32_t rotate(uint32_t word, unsigned bits)
{
    return word << bits | word >> (32 - bits);
}

static void expand(const unsigned char block[64], uint32_t words[80])
{
    for (unsigned i = 0; i < 16; i++)
        words[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
                   (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    for (unsigned i = 16; i < 80; i++)
        words[i] = rotate(words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16], 1);
}

static uint32_t mix(unsigned round, const uint32_t s[5])
{
    if (round < 20)
        return ((s[1] & s[2]) | (~s[1] & s[3])) + 0x5a827999;
    if (round < 40)
        return (s[1] ^ s[2] ^ s[3]) + 0x6ed9eba1;
    if (round < 60)
        return ((s[1] & s[2]) | (s[1] & s[3]) | (s[2] & s[3])) + 0x8f1bbcdc;
    return (s[1] ^ s[2] ^ s[3]) + 0xca62c1d6;
}

static void take_block(uint32_t state[5], const unsigned char block[64])
{
    uint32_t words[80], s[5];

    expand(block, words);
    memcpy(s, state, sizeof(s));
    for (unsigned round = 0; round < 80; round++) {
        uint32_t next = rotate(s[0], 5) + mix(round, s) + s[4] + words[round];
        s[4] = s[3];
        s[3] = s[2];
        s[2] = rotate(s[1], 30);
        s[1] = s[0];
        s[0] = next;
    }
    for (unsigned i = 0; i < 5; i++)
        state[i] += s[i];
}

void sha1_add(struct sha1 *sha1, const void *data, size_t len)
{
    const unsigned char *bytes = data;

    while (len > 0) {
        size_t at = sha1->len % 64, room = 64 - at;
        size_t part = len < room ? len : room;
        memcpy(sha1->block + at, bytes, part);
        bytes += part;
        len -= part;
        sha1->len += part;
        if (part == room)
            take_block(sha1->state, sha1->block);
    }
}

void sha1_end(struct sha1 *sha1, unsigned char digest[SHA1_BYTES])
{
    static const unsigned char padding[64] = {0x80};
    unsigned char bits[8];

    for (unsigned i = 0; i < 8; i++)
        bits[i] = (unsigned char)(sha1->len * 8 >> (56 - 8 * i));
    sha1_add(sha1, padding, 1 + (119 - sha1->len % 64) % 64);
    sha1_add(sha1, bits, sizeof(bits));
    for (unsigned i = 0; i < SHA1_BYTES; i++)
        digest[i] = (unsigned char)(sha1->state[i / 4] >> (24 - 8 * (i % 4)));
}

void sha1_text(const unsigned char digest[SHA1_BYTES], char text[SHA1_TEXT_BYTES])
{
    for (unsigned i = 0; i < SHA1_BYTES; i++) {
        text[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        text[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
}
