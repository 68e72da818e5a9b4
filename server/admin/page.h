/* SPDX-License-Identifier: MIT */
/* page.h: the page at `/`: the main figures, what resident memory is made of, and links. It stands
 * alone: no script, no file beside it, nothing from elsewhere.
 */
#ifndef EBB_PAGE_H
#define EBB_PAGE_H

#include "metrics.h"

#define PAGE_NONCE_BYTES 33 /* 32 hexadecimal digits and the end */

/* A word that only this answer knows: it lets the page's own style through its policy. False when
 * the system has no random bytes to give. */
bool page_nonce(char nonce[PAGE_NONCE_BYTES]);
/* The header lines that go with the page. */
void page_headers(const char *nonce, char *headers, size_t size);
void page_write(const struct metrics *metrics, const char *nonce, struct ebb_buf *out);

/* "0 B", "1023 B", "1.5 KiB", "12.3 MiB". Pure. */
void page_format_bytes(char *text, size_t size, uint64_t bytes);

#endif
