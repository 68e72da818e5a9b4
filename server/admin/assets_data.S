/* SPDX-License-Identifier: MIT */
/* assets_data.S: the bytes of the files of assets.def, put into the program by the assembler. Read-
 * only and never touched until somebody asks, so they cost no memory. */
    .section .rodata

#define ASSET(symbol, path, file, file_gz, type)                                                   \
    .global asset_##symbol; .global asset_##symbol##_end;                                          \
    .global asset_##symbol##_gz; .global asset_##symbol##_gz_end;                                  \
    .balign 16; asset_##symbol: .incbin file; asset_##symbol##_end:;                               \
    .balign 16; asset_##symbol##_gz: .incbin file_gz; asset_##symbol##_gz_end:;
#include "assets.def"

    .section .note.GNU-stack, "", %progbits
