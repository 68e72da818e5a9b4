/* SPDX-License-Identifier: MIT */
/* assets.c: the table of the page's files, by path. */
#include "assets.h"

#include <string.h>

#define ASSET(symbol, path, file, file_gz, type)                                                   \
    extern const char asset_##symbol[], asset_##symbol##_end[];                                    \
    extern const char asset_##symbol##_gz[], asset_##symbol##_gz_end[];
#include "assets.def"
#undef ASSET

static const struct row {
    const char *path, *content_type;
    const char *plain, *plain_end, *gzip, *gzip_end;
} rows[] = {
#define ASSET(symbol, path, file, file_gz, type)                                                   \
    {path,                                                                                         \
     type,                                                                                         \
     asset_##symbol,                                                                               \
     asset_##symbol##_end,                                                                         \
     asset_##symbol##_gz,                                                                          \
     asset_##symbol##_gz_end},
#include "assets.def"
#undef ASSET
};

bool asset_at(size_t index, struct asset *asset)
{
    if (index >= sizeof rows / sizeof rows[0])
        return false;
    const struct row *row = &rows[index];
    *asset = (struct asset){
        .path = row->path,
        .content_type = row->content_type,
        .plain = {row->plain, (size_t)(row->plain_end - row->plain)},
        .gzip = {row->gzip, (size_t)(row->gzip_end - row->gzip)},
    };
    return true;
}

bool asset_find(struct ebb_slice path, struct asset *asset)
{
    for (size_t i = 0; asset_at(i, asset); i++)
        if (path.len == strlen(asset->path) && memcmp(path.data, asset->path, path.len) == 0)
            return true;
    return false;
}
