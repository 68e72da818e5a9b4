/* SPDX-License-Identifier: MIT */
/* assets.h: the files of the page, embedded at build time (assets.def names them, assets_data.S
 * holds them). Constant for the life of the program.
 */
#ifndef EBB_ASSETS_H
#define EBB_ASSETS_H

#include "../../proto/ebb_proto.h"

struct asset {
    const char *path, *content_type;
    struct ebb_slice plain, gzip;
};

bool asset_find(struct ebb_slice path, struct asset *asset); /* false: no such file */
bool asset_at(size_t index, struct asset *asset);            /* false: behind the last */

#endif
