/* SPDX-License-Identifier: MIT */
/* bit.h: what the commands on bits share. Called by cmd_bit.c and cmd_bitfield.c.
 */
#ifndef EBB_BIT_H
#define EBB_BIT_H

#include "handler.h"

/* Reads the place of a bit, below 8 * proto-max-bulk-len; "#n" is the n-th of `unit` bits, unless
 * unit is 0. Answers the error and returns false when it is none. */
bool arg_bit_offset(struct cmd_context *context, uint32_t index, int64_t unit, uint64_t *offset);
/* The value's bytes for writing, grown by zeros to at least `len`; the key's shard is entered. Good
 * until the next call that changes the store. NULL: no memory, answered. */
unsigned char *bit_writable(struct cmd_context *context, const struct store_key *key, size_t len);

#endif
