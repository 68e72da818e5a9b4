/* SPDX-License-Identifier: MIT */
/* builtin_data.S: the texts of builtin.def, each ended by a zero byte. */
    .section .rodata

#define SCENARIO(symbol, name, file) .global tide_scenario_##symbol; tide_scenario_##symbol: .incbin file; .byte 0;
#include "builtin.def"

    .section .note.GNU-stack, "", %progbits
