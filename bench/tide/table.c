/* SPDX-License-Identifier: MIT */
/* table.c: see table.h. */
#include "table.h"

#include <stdlib.h>
#include <string.h>

#define TABLE_GAP 2

void table_init(struct table *table, size_t columns, size_t left_columns)
{
    *table = (struct table){.columns = columns, .left_columns = left_columns};
}

/* The bytes of the printable character that begins here; 0 if there is none. C1 controls (U+0080 to
 * U+009F) are none, nor is what was encoded longer than it must be. */
static size_t character_length(const unsigned char *text)
{
    unsigned char first = text[0];
    if (first < 0x80)
        return first >= 0x20 && first != 0x7f;
    size_t length = first >= 0xc2 && first < 0xe0   ? 2
                    : first >= 0xe0 && first < 0xf0 ? 3
                    : first >= 0xf0 && first < 0xf5 ? 4
                                                    : 0;
    for (size_t i = 1; i < length; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    if ((first == 0xc2 && text[1] < 0xa0) || (first == 0xe0 && text[1] < 0xa0) ||
        (first == 0xf0 && text[1] < 0x90))
        return 0;
    return length;
}

static char *printable(const char *text)
{
    char *copy = malloc(strlen(text) + 1), *to = copy;
    if (copy == NULL)
        abort();
    while (*text != '\0') {
        size_t length = character_length((const unsigned char *)text);
        if (length == 0)
            *to++ = '?';
        else
            to = (char *)memcpy(to, text, length) + length;
        text += length == 0 ? 1 : length;
    }
    *to = '\0';
    return copy;
}

void table_add(struct table *table, const char *text)
{
    if (table->count == table->capacity) {
        table->capacity = table->capacity == 0 ? 64 : table->capacity * 2;
        table->cells = realloc(table->cells, table->capacity * sizeof *table->cells);
        if (table->cells == NULL)
            abort();
    }
    table->cells[table->count++] = printable(text);
}

/* Characters, not bytes. */
static size_t width_of(const char *text)
{
    size_t width = 0;
    for (; *text != '\0'; text++)
        width += (*text & 0xc0) != 0x80;
    return width;
}

static size_t column_width(const struct table *table, size_t column)
{
    size_t widest = 0;
    for (size_t i = column; i < table->count; i += table->columns)
        if (width_of(table->cells[i]) > widest)
            widest = width_of(table->cells[i]);
    return widest;
}

static void print_blanks(FILE *file, size_t count)
{
    fprintf(file, "%*s", (int)count, "");
}

void table_print(const struct table *table, FILE *file)
{
    for (size_t i = 0; i < table->count; i++) {
        size_t column = i % table->columns;
        size_t blanks = column_width(table, column) - width_of(table->cells[i]);
        if (column >= table->left_columns)
            print_blanks(file, blanks);
        fputs(table->cells[i], file);
        if (column + 1 == table->columns) {
            fputc('\n', file);
            continue;
        }
        if (column < table->left_columns)
            print_blanks(file, blanks);
        print_blanks(file, TABLE_GAP);
    }
}

void table_release(struct table *table)
{
    for (size_t i = 0; i < table->count; i++)
        free(table->cells[i]);
    free(table->cells);
    *table = (struct table){0};
}
