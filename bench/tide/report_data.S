/* SPDX-License-Identifier: MIT */
/* report_data.S: the two halves of the report's page, as page.sh has made them. */
    .section .rodata

#define HALF(symbol, file) .global symbol; .global symbol##_end; symbol: .incbin file; symbol##_end:;
HALF(report_head, "head.html")
HALF(report_tail, "tail.html")

    .section .note.GNU-stack, "", %progbits
