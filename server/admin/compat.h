/* SPDX-License-Identifier: MIT */
/* compat.h: the same figures under the names of redis_exporter and memcached_exporter. */
#ifndef EBB_COMPAT_H
#define EBB_COMPAT_H

#include "metrics.h"

void compat_write_redis(struct metrics *metrics, enum exposition_format format,
                        struct ebb_buf *out);
void compat_write_memcached(struct metrics *metrics, enum exposition_format format,
                            struct ebb_buf *out);

#endif
