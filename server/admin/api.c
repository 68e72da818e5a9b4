/* SPDX-License-Identifier: MIT */
/* api.c: figures as JSON, built with jansson. History and heap map are written by hand: an hour is
 * a hundred thousand numbers, a map of 2 GiB a million letters, and a tree of them would cost more
 * memory than they do, and more time.
 */
#include "api.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../options.h"
#include "../store/store.h"

#define KIND_LETTERS ".-_+#" /* by enum ebb_page_kind */

/* ---- trees ---- */

static json_t *integer(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static int write_piece(const char *bytes, size_t len, void *out)
{
    return ebb_buf_add(out, bytes, len) ? 0 : -1;
}

/* Takes the tree. NULL, or parts missing for want of memory: out fails. */
static void write_tree(json_t *tree, struct ebb_buf *out)
{
    if (tree == NULL || json_dump_callback(tree, write_piece, out, JSON_COMPACT) != 0)
        out->failed = true;
    json_decref(tree);
    ebb_buf_add(out, "\n", 1);
}

void api_error(const char *text, struct ebb_buf *out)
{
    write_tree(json_pack("{ss}", "error", text), out);
}

void api_started(const char *action, struct ebb_buf *out)
{
    write_tree(json_pack("{ss}", "started", action), out);
}

/* ---- queries ---- */

/* The value of `name` in "a=1&name=2", or `otherwise`. False: it is no number or out of range. */
static bool query_number(struct ebb_slice query, const char *name, uint64_t least, uint64_t most,
                         uint64_t otherwise, uint64_t *value)
{
    size_t name_len = strlen(name);
    *value = otherwise;
    while (query.len > 0) {
        const char *end = memchr(query.data, '&', query.len);
        size_t len = end == NULL ? query.len : (size_t)(end - query.data);
        if (len > name_len && memcmp(query.data, name, name_len) == 0 &&
            query.data[name_len] == '=')
            return ebb_parse_u64(query.data + name_len + 1, len - name_len - 1, value) &&
                   *value >= least && *value <= most;
        size_t used = end == NULL ? len : len + 1;
        query.data += used;
        query.len -= used;
    }
    return true;
}

bool api_history_range(struct ebb_slice query, struct api_range *range)
{
    range->first = 0;
    return query_number(query, "seconds", 1, HISTORY_SECONDS, HISTORY_SECONDS, &range->count) &&
           query_number(query, "step", 1, HISTORY_SECONDS, 1, &range->step);
}

bool api_heapmap_range(struct ebb_slice query, struct api_range *range)
{
    range->step = 1;
    return query_number(query, "first", 0, UINT32_MAX, 0, &range->first) &&
           query_number(query, "count", 1, API_ARENAS_MAX, API_ARENAS_MAX, &range->count);
}

/* ---- memory ---- */

static json_t *parts_tree(const struct memory_facts *facts)
{
    json_t *parts = json_array();
    for (unsigned i = 0; i < facts->part_count; i++) {
        const struct memory_fact *part = &facts->parts[i];
        json_array_append_new(parts, json_pack("{ss, so, ss}", "part", part->name, "bytes",
                                               integer(part->bytes), "help", part->help));
    }
    return parts;
}

static json_t *verdict_tree(const struct memory_facts *facts)
{
    struct ebb_buf text;
    json_t *sentences = json_array();
    ebb_buf_init(&text, 16384);
    facts_verdict(facts, &text);
    const char *at = ebb_buf_data(&text), *end = at + ebb_buf_len(&text), *stop;
    for (; at < end && (stop = memchr(at, '\n', (size_t)(end - at))) != NULL; at = stop + 1)
        json_array_append_new(sentences, json_stringn(at, (size_t)(stop - at)));
    ebb_buf_release(&text);
    return sentences;
}

static json_t *peaks_tree(const struct metrics *metrics)
{
    const struct sample *sample = &metrics->sample;
    return json_pack("{so, sf, so, sf}", "resident_bytes", integer(sample->resident_peak.bytes),
                     "resident_time_seconds", sample->resident_peak.time_seconds, "live_bytes",
                     integer(sample->live_peak.bytes), "live_time_seconds",
                     sample->live_peak.time_seconds);
}

static json_t *windows_tree(const struct metrics *metrics)
{
    static const char *const names[WINDOW_COUNT] = {"1m", "10m", "1h"};
    json_t *windows = json_object();
    for (size_t i = 0; i < WINDOW_COUNT; i++) {
        const struct window_step *window = &metrics->windows[i];
        json_object_set_new(windows, names[i],
                            json_pack("{so, so, so}", "resident_max_bytes",
                                      integer(window->resident_max), "resident_min_bytes",
                                      integer(window->resident_min), "live_max_bytes",
                                      integer(window->live_max)));
    }
    return windows;
}

static json_t *compaction_tree(const struct metrics *metrics)
{
    const struct ebb_heap_stats *work = &metrics->work;
    return json_pack(
        "{so, so, so, so, so, sf, sb}", "reclaimable_bytes", integer(work->reclaimable_bytes),
        "moved_bytes", integer(work->moved_bytes), "moved_objects", integer(work->moved_objects),
        "freed_bytes", integer(work->freed_bytes), "pinned_bytes",
        integer(metrics->store.item_heap.pinned_bytes), "seconds", (double)work->compact_ns / 1e9,
        "active", (int)metrics->store.compaction_active);
}

static json_t *trim_tree(const struct metrics *metrics)
{
    const struct ebb_pool_stats *pool = &metrics->store.pool;
    return json_pack("{so, so, so, so, so, sf}", "trimmed_bytes", integer(pool->trim_bytes),
                     "refaulted_bytes", integer(pool->refault_bytes), "refaulted_early_bytes",
                     integer(pool->refault_early_bytes), "idle_bytes", integer(pool->idle_bytes),
                     "keep_bytes", integer(pool->keep_bytes), "window_seconds",
                     (double)pool->window_ms / 1e3);
}

static json_t *server_tree(const struct metrics *metrics)
{
    return json_pack("{ss, sf, si}", "version", EBB_VERSION, "start_time_seconds",
                     metrics->start_time_seconds, "threads", (int)metrics->service->worker_count);
}

void api_memory(const struct metrics *metrics, const struct memory_facts *facts, bool has_actions,
                struct ebb_buf *out)
{
    json_t *limit = facts->limit_bytes > 0 ? integer(facts->limit_bytes) : json_null();
    json_t *tree = json_pack(
        "{sf, so, so, so, so, so, sf, sf, so, sI, so, so, so, so, so, so, sb}", "time_seconds",
        facts->time_seconds, "resident_bytes", integer(facts->resident_bytes), "live_bytes",
        integer(facts->live_bytes), "limit_bytes", limit, "items", integer(facts->items), "clients",
        integer(facts->clients), "follow_lag_seconds", facts->follow_lag_seconds,
        "evicted_per_second", facts->evicted_per_second, "parts", parts_tree(facts), "skew_bytes",
        (json_int_t)facts->skew_bytes, "peaks", peaks_tree(metrics), "windows",
        windows_tree(metrics), "compaction", compaction_tree(metrics), "trim", trim_tree(metrics),
        "verdict", verdict_tree(facts), "server", server_tree(metrics), "has_actions",
        (int)has_actions);
    write_tree(tree, out);
}

/* ---- classes ---- */

static json_t *class_tree(struct store *store, unsigned index, const struct ebb_class_stats *class)
{
    size_t deciles[10];
    json_t *by_fullness = json_array();
    store_class_deciles(store, index, deciles);
    for (size_t d = 0; d < 10; d++)
        json_array_append_new(by_fullness, integer(deciles[d]));
    return json_pack("{so, so, so, so, so, so}", "slot_bytes",
                     class->slot_bytes == 0 ? json_null() : integer(class->slot_bytes),
                     "slots_used", integer(class->slots_used), "slots_free",
                     integer(class->slots_free), "allocations", integer(class->allocations),
                     "frees", integer(class->frees), "spans_by_fullness", by_fullness);
}

void api_classes(struct store *store, const struct classes *classes, struct ebb_buf *out)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < classes->count; i++)
        if (classes->at[i].slots_used + classes->at[i].slots_free > 0)
            json_array_append_new(list, class_tree(store, classes->index[i], &classes->at[i]));
    write_tree(json_pack("{so}", "classes", list), out);
}

/* ---- history ---- */

/* Six digits that count, as "%.6g" writes, which takes ten times as long. */
static size_t format_fraction(char *text, double value)
{
    uint64_t unit = 1, digits;
    unsigned decimals = 0;
    for (; value * (double)unit < 1e5; unit *= 10)
        decimals++;
    for (digits = (uint64_t)(value * (double)unit + 0.5); decimals > 0 && digits % 10 == 0;
         digits /= 10, unit /= 10)
        decimals--;
    size_t len = ebb_format_u64(text, digits / unit);
    if (decimals == 0)
        return len;
    text[len++] = '.';
    for (unsigned i = decimals; i-- > 0; digits /= 10)
        text[len + i] = (char)('0' + digits % 10);
    return len + decimals;
}

static size_t format_number(char *text, size_t size, double value)
{
    if (fabs(value) < 1e18 && value == (double)(int64_t)value)
        return ebb_format_i64(text, (int64_t)value);
    if (value >= 1e-9 && value < 1e6)
        return format_fraction(text, value);
    return (size_t)snprintf(text, size, "%.6g", value);
}

static void write_number(struct ebb_buf *out, double value, bool is_first)
{
    char text[40] = ",";
    size_t len = 1 + format_number(text + 1, sizeof text - 1, value);
    ebb_buf_add(out, text + is_first, len - is_first);
}

/* Of `step` points that end `age` points ago: of levels the moment when most was resident, so that
 * a peak is seen at any zoom and the parts still add up; of rates the mean. */
static double merged(const struct history *history, size_t age, size_t step,
                     enum history_column column)
{
    const struct history_point *highest = history_at(history, age);
    double sum = 0;
    for (size_t i = age; i < age + step; i++) {
        const struct history_point *point = history_at(history, i);
        if (point->values[HISTORY_RESIDENT] > highest->values[HISTORY_RESIDENT])
            highest = point;
        sum += (double)point->values[column];
    }
    return history_is_rate(column) ? sum / (double)step : (double)highest->values[column];
}

void api_history(const struct history *history, const struct api_range *range, struct ebb_buf *out)
{
    size_t step = range->step,
           count = range->count < history->count ? range->count : history->count;
    size_t steps = count / step;
    ebb_buf_printf(out, "{\"step_seconds\":%zu,\"columns\":{\"time_seconds\":[", step);
    for (size_t i = steps; i-- > 0;)
        write_number(out, history_at(history, i * step)->time_seconds, i + 1 == steps);
    for (size_t c = 0; c < HISTORY_COLUMNS; c++) {
        char name[HISTORY_NAME_BYTES];
        history_name((enum history_column)c, name);
        ebb_buf_printf(out, "],\n\"%s\":[", name);
        for (size_t i = steps; i-- > 0;)
            write_number(out, merged(history, i * step, step, (enum history_column)c),
                         i + 1 == steps);
    }
    ebb_buf_printf(out, "]}}\n");
}

/* ---- heap map ---- */

/* By slot size: a below 16 bytes, a letter more for each doubling, z: large. */
static char class_letter(const struct ebb_page *page)
{
    char letter = 'a';
    if (page->slot_bytes == 0)
        return 'z';
    for (uint32_t bytes = page->slot_bytes; bytes >= 16; bytes /= 2)
        letter++;
    return letter;
}

/* How full the span is: 0 (empty), 1 (up to a ninth) .. 9, pages of large values among these. */
static char fullness_digit(const struct ebb_page *page)
{
    unsigned ninths = (page->used_percent * 9u + 99u) / 100u;
    return (char)('0' + (ninths > 9 ? 9 : ninths));
}

static void write_arena(struct ebb_buf *out, size_t number, const struct ebb_page *pages,
                        bool is_first)
{
    char kinds[EBB_ARENA_PAGES], letters[EBB_ARENA_PAGES];
    size_t resident = 0, pinned = 0;
    for (size_t i = 0; i < EBB_ARENA_PAGES; i++) {
        bool is_used = pages[i].kind == EBB_PAGE_USED, is_idle = pages[i].kind == EBB_PAGE_IDLE;
        kinds[i] = is_used ? fullness_digit(&pages[i]) : KIND_LETTERS[pages[i].kind];
        letters[i] = is_used || pages[i].kind == EBB_PAGE_FRESH ? class_letter(&pages[i]) : ' ';
        resident += is_used || is_idle;
        pinned += pages[i].is_pinned;
    }
    ebb_buf_printf(out, "%s{\"arena\":%zu,\"resident_pages\":%zu,\"pinned_pages\":%zu,\"pages\":\"",
                   is_first ? "" : ",\n", number, resident, pinned);
    ebb_buf_add(out, kinds, sizeof kinds);
    ebb_buf_printf(out, "\",\"classes\":\"");
    ebb_buf_add(out, letters, sizeof letters);
    ebb_buf_printf(out, "\"}");
}

/* Arenas without a page that was ever touched say nothing and are left out. */
static bool is_untouched(const struct ebb_page *pages)
{
    for (size_t i = 0; i < EBB_ARENA_PAGES; i++)
        if (pages[i].kind != EBB_PAGE_UNTOUCHED)
            return false;
    return true;
}

void api_heapmap(struct store *store, const struct api_range *range, struct ebb_buf *out)
{
    struct ebb_page *pages = malloc(EBB_MAP_ARENAS_MAX * EBB_ARENA_PAGES * sizeof *pages);
    size_t at = range->first, end = range->first + range->count, done = 1, written = 0;
    ebb_buf_printf(out, "{\"page_bytes\":%u,\"arena_pages\":%u,\"arenas_end\":%zu,\"arenas\":[",
                   EBB_PAGE_BYTES, EBB_ARENA_PAGES, store_arenas(store));
    while (pages != NULL && at < end && done > 0) {
        done = store_map(store, at, end - at, pages);
        for (size_t i = 0; i < done; i++)
            if (!is_untouched(pages + i * EBB_ARENA_PAGES))
                write_arena(out, at + i, pages + i * EBB_ARENA_PAGES, written++ == 0);
        at += done;
    }
    if (pages == NULL)
        out->failed = true;
    free(pages);
    if (at >= end && at < store_arenas(store))
        ebb_buf_printf(out, "],\"next\":%zu}\n", at);
    else
        ebb_buf_printf(out, "],\"next\":null}\n");
}
