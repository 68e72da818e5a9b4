/* SPDX-License-Identifier: MIT */
/* sha1.h: SHA-1 (FIPS 180-4), by which clients name scripts. For names only: it protects nothing.
 */
#ifndef EBB_SHA1_H
#define EBB_SHA1_H

#include <stddef.h>
#include <stdint.h>

#define SHA1_BYTES      20u
#define SHA1_TEXT_BYTES 40u /* hex digits, without a NUL */

struct sha1 {
    uint32_t state[5];
    uint64_t len;            /* bytes taken in */
    unsigned char block[64]; /* its last len % 64 bytes */
};
void sha1_init(struct sha1 *sha1);
void sha1_add(struct sha1 *sha1, const void *data, size_t len);
void sha1_end(struct sha1 *sha1, unsigned char digest[SHA1_BYTES]);
/* Writes the digest as lower-case hex digits. */
void sha1_text(const unsigned char digest[SHA1_BYTES], char text[SHA1_TEXT_BYTES]);

#endif
