/* SPDX-License-Identifier: MIT */
/* item.h: the layout of an item, one contiguous movable block without pointers.
 *
 *   byte 0       flags: which optional fields follow; the upper three bits are the value's type
 *   byte 1       key length    \ unless ITEM_LONG: then both lengths
 *   bytes 2-3    value length  / are the first optional field
 *   optional     ITEM_LONG      4 + 4 bytes: key length, value length
 *                ITEM_DATABASE  1 byte (absent: database 0)
 *                ITEM_EXPIRE    6 bytes: unix ms
 *                ITEM_FLAGS     4 bytes: memcached's flags
 *                ITEM_CAS       8 bytes: memcached's unique, once somebody asked for it
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

enum item_flag {
    ITEM_LONG = 1,
    ITEM_DATABASE = 2,
    ITEM_EXPIRE = 4,
    ITEM_FLAGS = 8,
    ITEM_CAS = 16,
    ITEM_TYPE_SHIFT = 5,
};

#define ITEM_HEADER_BYTES     4u
#define ITEM_SHORT_KEY_MAX    255u
#define ITEM_SHORT_VALUE_MAX  65535u
#define ITEM_EXPIRE_MAX_MS    ((INT64_C(1) << 48) - 1) /* what six bytes hold: the year 10889 */
#define ITEM_HEADER_MAX_BYTES (ITEM_HEADER_BYTES + 8 + 1 + 6 + 4 + 8)

/* Everything an item says of itself but key and value. */
struct item_meta {
    uint32_t key_len, value_len;
    unsigned database;
    int64_t expire_ms; /* 0: none */
    uint32_t flags;    /* memcached's */
    uint64_t cas;      /* 0: nobody has asked yet */
};

struct item_view {
    struct item_meta meta;
    uint32_t header_bytes;
    char *key, *value; /* in the item */
};

static inline uint32_t item_header_bytes(const struct item_meta *meta)
{
    bool is_long = meta->key_len > ITEM_SHORT_KEY_MAX || meta->value_len > ITEM_SHORT_VALUE_MAX;
    return ITEM_HEADER_BYTES + 8u * is_long + 1u * (meta->database != 0) +
           6u * (meta->expire_ms != 0) + 4u * (meta->flags != 0) + 8u * (meta->cas != 0);
}

static inline size_t item_bytes(const struct item_meta *meta)
{
    return (size_t)item_header_bytes(meta) + meta->key_len + meta->value_len;
}

/* Writes the header; key and value go behind it. Returns its length. */
uint32_t item_write_header(void *item, const struct item_meta *meta);
void item_read_long(const unsigned char *item, struct item_view *view);

/* Reads an item. The common one, without extras, without a branch more than that. */
static inline void item_read(const void *data, struct item_view *view)
{
    const unsigned char *item = data;
    if (item[0] != 0) {
        item_read_long(item, view);
        return;
    }
    uint16_t value_len;
    memcpy(&value_len, item + 2, 2);
    view->meta = (struct item_meta){.key_len = item[1], .value_len = value_len};
    view->header_bytes = ITEM_HEADER_BYTES;
    view->key = (char *)(uintptr_t)item + ITEM_HEADER_BYTES;
    view->value = view->key + item[1];
}

#endif
