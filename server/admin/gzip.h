/* SPDX-License-Identifier: MIT */
/* gzip.h: bodies made smaller for clients that ask for it. */
#ifndef EBB_GZIP_H
#define EBB_GZIP_H

#include "../../proto/ebb_proto.h"

/* Whether an Accept-Encoding header lets gzip through: it or `*` is named, not with q=0. */
bool gzip_is_accepted(struct ebb_slice accept_encoding);
/* Adds the compressed bytes to `out`. False without memory: out->failed, or zlib had none. */
bool gzip_add(struct ebb_buf *out, const char *data, size_t len);

#endif
