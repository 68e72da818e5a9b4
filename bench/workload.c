/* SPDX-License-Identifier: MIT */
/* workload.c: see workload.h. Everything follows from the seed, so that each server and each
 * allocator is given the same operations in the same order.
 */
#include "workload.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define MIB (1024.0 * 1024)

const struct workload workloads[WORKLOAD_COUNT] = {
    {"W1", {100, 100}, 0, {0, 0}},          {"W2", {100, 100}, 0, {130, 130}},
    {"W3", {100, 100}, 90, {130, 130}},     {"W4", {100, 150}, 0, {200, 250}},
    {"W5", {100, 150}, 90, {200, 250}},     {"W6", {100, 200}, 50, {1000, 2000}},
    {"W7", {1000, 2000}, 90, {1500, 2500}}, {"W8", {50, 150}, 90, {5000, 15000}},
};

/* ---- what is stored ---- */

void table_add(struct table *table, struct entry entry)
{
    if (table->count == table->capacity) {
        table->capacity = table->capacity == 0 ? 4096 : table->capacity * 2;
        table->entries = must_realloc(table->entries, table->capacity * sizeof *table->entries);
    }
    table->entries[table->count++] = entry;
}

struct entry table_remove(struct table *table, size_t at)
{
    struct entry entry = table->entries[at];
    table->entries[at] = table->entries[--table->count];
    return entry;
}

size_t table_pick(const struct table *table, struct prng *prng)
{
    return prng_below(prng, table->count);
}

void table_release(struct table *table)
{
    free(table->entries);
    *table = (struct table){0};
}

double memory_bound(double user_bytes, double items)
{
    return 1.05 * (user_bytes + 16 * items) + 8 * MIB;
}

/* ---- ends ---- */

void *must_realloc(void *memory, size_t bytes)
{
    void *grown = realloc(memory, bytes);
    if (grown == NULL)
        die("out of memory for %zu bytes", bytes);
    return grown;
}

void die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("bench: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(2);
}
