/* SPDX-License-Identifier: MIT */
/* item.c: items with optional fields; see item.h for the layout. */
#include "item.h"

uint32_t item_write_header(void *data, const struct item_meta *meta)
{
    unsigned char *item = data;
    unsigned char *at = item + ITEM_HEADER_BYTES;
    unsigned flags = meta->marks & STORE_FETCHED ? ITEM_FETCHED : 0, more = item_more_flags(meta);
    uint16_t short_value = (uint16_t)meta->value_len;
    if (more != 0) {
        flags |= ITEM_MORE;
        *at++ = (unsigned char)more;
    }
    if (more & ITEM_LONG) {
        memcpy(at, &meta->key_len, 4);
        memcpy(at + 4, &meta->value_len, 4);
        at += 8;
        short_value = 0;
    }
    item[1] = more & ITEM_LONG ? 0 : (unsigned char)meta->key_len;
    memcpy(item + 2, &short_value, 2);
    if (meta->database != 0) {
        flags |= ITEM_DATABASE;
        *at++ = (unsigned char)meta->database;
    }
    if (meta->expire_ms != 0) {
        flags |= ITEM_EXPIRE;
        memcpy(at, &meta->expire_ms, 6); /* little-endian: the low 48 bits */
        at += 6;
    }
    if (meta->flags != 0) {
        flags |= ITEM_FLAGS;
        memcpy(at, &meta->flags, 4);
        at += 4;
    }
    if (more & ITEM_CAS) {
        memcpy(at, &meta->cas, 8);
        at += 8;
    }
    if (more & ITEM_ACCESS) {
        memcpy(at, &meta->access_s, 4);
        at += 4;
    }
    item[0] = (unsigned char)flags;
    return (uint32_t)(at - item);
}

void item_read_long(const unsigned char *item, struct item_view *view)
{
    const unsigned char *at = item + ITEM_HEADER_BYTES;
    unsigned more = item[0] & ITEM_MORE ? *at++ : 0;
    uint16_t short_value;
    memcpy(&short_value, item + 2, 2);
    struct item_meta meta = {.key_len = item[1], .value_len = short_value};
    meta.marks = more >> ITEM_MARK_SHIFT | (item[0] & ITEM_FETCHED ? STORE_FETCHED : 0);
    if (more & ITEM_LONG) {
        memcpy(&meta.key_len, at, 4);
        memcpy(&meta.value_len, at + 4, 4);
        at += 8;
    }
    if (item[0] & ITEM_DATABASE)
        meta.database = *at++;
    if (item[0] & ITEM_EXPIRE) {
        memcpy(&meta.expire_ms, at, 6);
        at += 6;
    }
    if (item[0] & ITEM_FLAGS) {
        memcpy(&meta.flags, at, 4);
        at += 4;
    }
    if (more & ITEM_CAS) {
        memcpy(&meta.cas, at, 8);
        at += 8;
    }
    if (more & ITEM_ACCESS) {
        memcpy(&meta.access_s, at, 4);
        at += 4;
    }
    view->meta = meta;
    view->header_bytes = (uint32_t)(at - item);
    view->key = (char *)(uintptr_t)at;
    view->value = view->key + meta.key_len;
}

static void note_access(unsigned char *item, const struct item_meta *meta, uint32_t now_s)
{
    if (meta->access_s != 0 && meta->access_s != now_s) /* the last field of the header */
        memcpy(item + item_header_bytes(meta) - 4, &now_s, 4);
}

void item_note_use(void *data, const struct item_meta *meta, uint32_t now_s)
{
    unsigned char *item = data;
    if (!(meta->marks & STORE_FETCHED))
        item[0] |= ITEM_FETCHED;
    note_access(item, meta, now_s);
}

void item_note_set(void *data, const struct item_meta *meta, uint32_t now_s)
{
    unsigned char *item = data;
    item[0] &= (unsigned char)~ITEM_FETCHED;
    note_access(item, meta, now_s);
}
