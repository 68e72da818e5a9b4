/* SPDX-License-Identifier: MIT */
/* base64.c: RFC 4648's first alphabet, with padding: how memcached's meta commands spell keys that
 * a text line can't hold. Called by mc_meta.c, mc_write.c and commands.
 */
#include "ebb_proto.h"

static const char letters[64] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int value_of(char letter)
{
    if (letter >= 'A' && letter <= 'Z')
        return letter - 'A';
    if (letter >= 'a' && letter <= 'z')
        return letter - 'a' + 26;
    if (letter >= '0' && letter <= '9')
        return letter - '0' + 52;
    return letter == '+' ? 62 : letter == '/' ? 63 : -1;
}

size_t ebb_base64_decode(const char *text, size_t len, char *bytes)
{
    size_t pad = 0, count = 0;
    if (len == 0 || len % 4 != 0)
        return 0;
    while (pad < 2 && text[len - 1 - pad] == '=')
        pad++;
    uint32_t group = 0;
    for (size_t i = 0; i < len; i++) {
        int value = i < len - pad ? value_of(text[i]) : 0;
        if (value < 0)
            return 0;
        group = group << 6 | (uint32_t)value;
        if (i % 4 != 3)
            continue;
        for (unsigned shift = 16; count < (len / 4) * 3 - pad; shift -= 8) {
            bytes[count++] = (char)(group >> shift);
            if (shift == 0)
                break;
        }
        group = 0;
    }
    return count;
}

size_t ebb_base64_encode(char *text, const char *bytes, size_t len)
{
    char *at = text;
    for (size_t i = 0; i < len; i += 3) {
        size_t left = len - i;
        uint32_t group = (uint32_t)(unsigned char)bytes[i] << 16;
        group |= left > 1 ? (uint32_t)(unsigned char)bytes[i + 1] << 8 : 0;
        group |= left > 2 ? (uint32_t)(unsigned char)bytes[i + 2] : 0;
        *at++ = letters[group >> 18];
        *at++ = letters[group >> 12 & 63];
        *at++ = left > 1 ? letters[group >> 6 & 63] : '=';
        *at++ = left > 2 ? letters[group & 63] : '=';
    }
    return (size_t)(at - text);
}
