/* SPDX-License-Identifier: MIT */
/* item.h: the layout of an item, one contiguous movable block without pointers.
 *
 *   byte 0       flags: which optional fields follow; the upper three bits are the value's type
 *   byte 1       key length    \ unless ITEM_LONG: then both lengths
 *   bytes 2-3    value length  / are an optional field
 *   optional     ITEM_MORE      1 byte: flags of what is rare, enum item_more
 *                ITEM_LONG      4 + 4 bytes: key length, value length
 *                ITEM_DATABASE  1 byte (absent: database 0)
 *                ITEM_EXPIRE    6 bytes: unix ms
 *                ITEM_FLAGS     4 bytes: memcached's flags
 *                ITEM_CAS       8 bytes: memcached's unique, once somebody asked for it
 *                ITEM_ACCESS    4 bytes: unix s of the last use, once somebody asked for it
 *   key          item_view.key
 *   value        item_view.value, right behind the key
 *
 * An item without extras costs 4 bytes. All fields may lie unaligned: items are aligned to 4.
 */
#ifndef EBB_STORE_ITEM_H
#define EBB_STORE_ITEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "store.h"

enum item_flag {
    ITEM_MORE = 1,
    ITEM_DATABASE = 2,
    ITEM_EXPIRE = 4,
    ITEM_FLAGS = 8,
    ITEM_FETCHED = 16, /* no field: it has been read since it was set */
    ITEM_TYPE_SHIFT = 5,
};

enum item_more {
    ITEM_LONG = 1,
    ITEM_CAS = 2,
    ITEM_ACCESS = 4,
    ITEM_MARK_SHIFT = 3, /* above: enum store_mark, but for STORE_FETCHED */
};

#define ITEM_HEADER_BYTES     4u
#define ITEM_SHORT_KEY_MAX    255u
#define ITEM_SHORT_VALUE_MAX  65535u
#define ITEM_EXPIRE_MAX_MS    ((INT64_C(1) << 48) - 1) /* what six bytes hold: the year 10889 */
#define ITEM_HEADER_MAX_BYTES (ITEM_HEADER_BYTES + 1 + 8 + 1 + 6 + 4 + 8 + 4)

/* Everything an item says of itself but key and value. */
struct item_meta {
    uint32_t key_len, value_len;
    unsigned database;
    int64_t expire_ms; /* 0: none */
    uint32_t flags;    /* memcached's */
    unsigned marks;    /* enum store_mark */
    uint64_t cas;      /* 0: nobody has asked yet */
    uint32_t access_s; /* unix; 0: nobody has asked yet */
};

struct item_view {
    struct item_meta meta;
    uint32_t header_bytes;
    char *key, *value; /* in the item */
};

static inline unsigned item_more_flags(const struct item_meta *meta)
{
    bool is_long = meta->key_len > ITEM_SHORT_KEY_MAX || meta->value_len > ITEM_SHORT_VALUE_MAX;
    unsigned marks = meta->marks & ~(unsigned)STORE_FETCHED;
    return (is_long ? ITEM_LONG : 0u) | (meta->cas != 0 ? ITEM_CAS : 0u) |
           (meta->access_s != 0 ? ITEM_ACCESS : 0u) | marks << ITEM_MARK_SHIFT;
}

static inline uint32_t item_header_bytes(const struct item_meta *meta)
{
    unsigned more = item_more_flags(meta);
    return ITEM_HEADER_BYTES + (more != 0) + (more & ITEM_LONG ? 8u : 0) +
           1u * (meta->database != 0) + 6u * (meta->expire_ms != 0) + 4u * (meta->flags != 0) +
           (more & ITEM_CAS ? 8u : 0) + (more & ITEM_ACCESS ? 4u : 0);
}

static inline size_t item_bytes(const struct item_meta *meta)
{
    return (size_t)item_header_bytes(meta) + meta->key_len + meta->value_len;
}

static inline size_t item_view_bytes(const struct item_view *view)
{
    return (size_t)view->header_bytes + view->meta.key_len + view->meta.value_len;
}

/* Writes the header; key and value go behind it. Returns its length. */
uint32_t item_write_header(void *item, const struct item_meta *meta);
void item_read_long(const unsigned char *item, struct item_view *view);
/* Marks the item as read at that time, in place. */
void item_note_use(void *item, const struct item_meta *meta, uint32_t now_s);
/* Marks it as set at that time, and not read since. */
void item_note_set(void *item, const struct item_meta *meta, uint32_t now_s);

/* Reads an item. The common one, without extras, without a branch more than that. */
static inline void item_read(const void *data, struct item_view *view)
{
    const unsigned char *item = data;
    if ((item[0] & ~ITEM_FETCHED) != 0) {
        item_read_long(item, view);
        return;
    }
    uint16_t value_len;
    memcpy(&value_len, item + 2, 2);
    view->meta = (struct item_meta){.key_len = item[1], .value_len = value_len};
    view->meta.marks = item[0] != 0 ? STORE_FETCHED : 0;
    view->header_bytes = ITEM_HEADER_BYTES;
    view->key = (char *)(uintptr_t)item + ITEM_HEADER_BYTES;
    view->value = view->key + item[1];
}

#endif
