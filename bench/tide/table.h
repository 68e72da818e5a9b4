/* SPDX-License-Identifier: MIT */
/* table.h: a table of text in columns as wide as they need to be. The first row is the heading. */
#ifndef EBB_TIDE_TABLE_H
#define EBB_TIDE_TABLE_H

#include <stddef.h>
#include <stdio.h>

struct table {
    size_t columns, left_columns; /* the first `left_columns` are aligned to the left */
    size_t count, capacity;       /* of cells */
    char **cells;
};

void table_init(struct table *table, size_t columns, size_t left_columns);
/* Appends a cell: rows fill from left to right. Control bytes, and what is no UTF-8, come out as
 * '?': names may come from a file that wants to play with the terminal. */
void table_add(struct table *table, const char *text);
void table_print(const struct table *table, FILE *file);
void table_release(struct table *table);

#endif
