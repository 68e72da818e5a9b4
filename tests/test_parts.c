/* SPDX-License-Identifier: MIT */
/* test_parts.c: the arithmetic of resident memory: parts, windows, and whether memory follows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "../server/admin/parts.h"
#include "../server/admin/sample.h"
#include "../server/admin/window.h"

#define MIB ((size_t)1 << 20)

/* ---- parts ---- */

/* A server at rest in which every byte is known: figures that fit each other. */
static void fill_exact(struct store_stats *store, struct process_memory *memory)
{
    memset(store, 0, sizeof *store);
    memset(memory, 0, sizeof *memory);
    store->key_bytes = 10 * MIB;
    store->value_bytes = 70 * MIB;
    store->header_bytes = 4 * MIB;
    store->large_item_bytes = 19 * MIB;
    store->item_heap.large_bytes = 20 * MIB;
    store->item_heap.slot_bytes = 88 * MIB;     /* 3 of slack in slots, 1 in large ones */
    store->item_heap.resident_bytes = 93 * MIB; /* 5 free */
    store->index_bytes = 6 * MIB;
    store->index_heap.resident_bytes = 5 * MIB; /* the directories are of malloc */
    store->pool.idle_bytes = 7 * MIB;
    store->pool.metadata_bytes = 2 * MIB;
    memory->libc_bytes = (2 + 1 + 9) * MIB; /* with metadata, directories and connections */
    memory->stack_bytes = 1 * MIB;
    memory->program_bytes = 8 * MIB;
    memory->file_bytes = 11 * MIB;
    memory->shmem_bytes = 12 * MIB;
    memory->anon_bytes = (93 + 5 + 7 + 12 + 1 + 8) * MIB;
    memory->resident_bytes = memory->anon_bytes + 23 * MIB;
}

static size_t sum_of(const struct parts *parts)
{
    size_t sum = 0;
    for (size_t i = 0; i < PART_COUNT; i++)
        sum += parts->bytes[i];
    return sum;
}

static void parts_name_every_byte(void **state)
{
    (void)state;
    static const size_t expected[PART_COUNT] = {
        [PART_LIVE] = 80,       [PART_ITEM_HEADER] = 4,
        [PART_SLOT_SLACK] = 3,  [PART_LARGE_SLACK] = 1,
        [PART_SLOT_FREE] = 5,   [PART_SPAN_IDLE] = 7,
        [PART_INDEX] = 6,       [PART_ALLOCATOR_METADATA] = 2,
        [PART_CONNECTIONS] = 4, [PART_LIBC_HEAP] = 5,
        [PART_STACKS] = 1,      [PART_FILE] = 23,
        [PART_PROGRAM] = 8,
    };
    struct store_stats store;
    struct process_memory memory;
    struct parts parts;
    fill_exact(&store, &memory);
    parts_compute(&store, &memory, 4 * MIB, 0, &parts);
    for (size_t i = 0; i < PART_COUNT; i++) {
        if (parts.bytes[i] != expected[i] * MIB)
            print_error("part %s\n", part_name(i));
        assert_int_equal(parts.bytes[i], expected[i] * MIB);
    }
    assert_int_equal(parts.skew_bytes, 0);
}

static void parts_leave_the_unknown_unattributed(void **state)
{
    (void)state;
    struct store_stats store;
    struct process_memory memory;
    struct parts parts;
    fill_exact(&store, &memory);
    memory.resident_bytes += 3 * MIB;
    parts_compute(&store, &memory, 4 * MIB, 0, &parts);
    assert_int_equal(parts.bytes[PART_UNATTRIBUTED], 3 * MIB);
    assert_int_equal(parts.skew_bytes, -3 * (int64_t)MIB);
    assert_int_equal(sum_of(&parts), memory.resident_bytes);
}

static void parts_take_an_excess_off_beliefs_first(void **state)
{
    (void)state;
    struct store_stats store;
    struct process_memory memory;
    struct parts parts;
    fill_exact(&store, &memory);
    memory.resident_bytes -= 6 * MIB;
    parts_compute(&store, &memory, 4 * MIB, 0, &parts);
    assert_int_equal(parts.bytes[PART_SLOT_FREE], 0);
    assert_int_equal(parts.bytes[PART_SPAN_IDLE], 6 * MIB);
    assert_int_equal(parts.bytes[PART_LIVE], 80 * MIB);
    assert_int_equal(parts.bytes[PART_UNATTRIBUTED], 0);
    assert_int_equal(parts.skew_bytes, 6 * (int64_t)MIB);
}

static void parts_keep_connections_within_libc(void **state)
{
    (void)state;
    struct store_stats store;
    struct process_memory memory;
    struct parts parts;
    fill_exact(&store, &memory);
    parts_compute(&store, &memory, 100 * MIB, 0, &parts); /* buffers reserved, not touched */
    assert_int_equal(parts.bytes[PART_CONNECTIONS], 9 * MIB);
    assert_int_equal(parts.bytes[PART_LIBC_HEAP], 0);
    assert_int_equal(parts.skew_bytes, 0);
}

static void parts_give_libc_the_rest_when_not_all_was_seen(void **state)
{
    (void)state;
    struct store_stats store;
    struct process_memory memory;
    struct parts parts;
    fill_exact(&store, &memory);
    memory.libc_bytes = 1 * MIB;
    memory.is_partial = true;
    parts_compute(&store, &memory, 4 * MIB, 0, &parts);
    assert_int_equal(parts.bytes[PART_CONNECTIONS], 4 * MIB);
    assert_int_equal(parts.bytes[PART_LIBC_HEAP], 5 * MIB);
    assert_int_equal(parts.skew_bytes, 0);
}

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* Figures that make no sense together must still give parts that add up. */
static void parts_add_up_whatever_comes(void **state)
{
    (void)state;
    uint64_t seed = (uint64_t)time(NULL) * 2654435761u + 1;
    print_message("# seed %llu\n", (unsigned long long)seed);
    for (int round = 0; round < 100000; round++) {
        struct store_stats store = {.items = 0};
        struct process_memory memory = {.resident_bytes = 0};
        struct parts parts;
        size_t *const fields[] = {
            &store.key_bytes,
            &store.value_bytes,
            &store.header_bytes,
            &store.large_item_bytes,
            &store.item_heap.slot_bytes,
            &store.item_heap.large_bytes,
            &store.item_heap.resident_bytes,
            &store.index_bytes,
            &store.pool.idle_bytes,
            &store.pool.metadata_bytes,
            &store.index_heap.resident_bytes,
            &memory.resident_bytes,
            &memory.anon_bytes,
            &memory.libc_bytes,
            &memory.stack_bytes,
            &memory.program_bytes,
            &memory.file_bytes,
            &memory.shmem_bytes,
        };
        for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
            *fields[i] = next_random(&seed) >> (24 + next_random(&seed) % 40);
        memory.is_partial = next_random(&seed) % 4 == 0;
        parts_compute(&store, &memory, next_random(&seed) >> 40, 0, &parts);
        assert_int_equal(sum_of(&parts), memory.resident_bytes);
        for (size_t i = 0; i < PART_COUNT; i++)
            assert_true(parts.bytes[i] <= memory.resident_bytes); /* none wrapped below zero */
        assert_true(parts.skew_bytes >= 0 || parts.bytes[PART_UNATTRIBUTED] > 0);
    }
}

static void parts_have_different_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < PART_COUNT; i++)
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(part_name(i), part_name(j));
}

/* ---- windows ---- */

static void window_holds_the_extremes_of_its_time(void **state)
{
    (void)state;
    struct window window;
    window_init(&window, 60);
    window_add(&window, 1000, 50, 5);
    window_add(&window, 1001, 90, 8);
    window_add(&window, 1002, 20, 3);
    struct window_step now = window_read(&window, 1002);
    assert_int_equal(now.resident_max, 90);
    assert_int_equal(now.resident_min, 20);
    assert_int_equal(now.live_max, 8);
    now = window_read(&window, 1062);
    assert_int_equal(now.resident_max, 20); /* the others are over */
    now = window_read(&window, 1063);
    assert_int_equal(now.resident_max, 0);
    assert_int_equal(now.resident_min, 0);
}

static void window_before_the_first_sample_is_zero(void **state)
{
    (void)state;
    struct window window;
    window_init(&window, 600);
    struct window_step now = window_read(&window, 5);
    assert_int_equal(now.resident_max, 0);
    assert_int_equal(now.resident_min, 0);
}

/* Against all samples of the last hour, kept one by one. */
static void window_agrees_with_a_list(void **state)
{
    (void)state;
    enum { SAMPLES = 20000, SECONDS = 600, STEP = SECONDS / WINDOW_STEPS };
    static size_t all[SAMPLES];
    struct window window;
    uint64_t seed = (uint64_t)time(NULL) | 1;
    print_message("# seed %llu\n", (unsigned long long)seed);
    window_init(&window, SECONDS);
    for (size_t t = 0; t < SAMPLES; t++) {
        all[t] = next_random(&seed) % 1000 + 1;
        window_add(&window, t, all[t], all[t]);
        struct window_step now = window_read(&window, t);
        size_t from = t / STEP >= WINDOW_STEPS ? (t / STEP - WINDOW_STEPS) * STEP : 0;
        size_t high = 0, low = SIZE_MAX;
        for (size_t i = from; i <= t; i++) {
            high = all[i] > high ? all[i] : high;
            low = all[i] < low ? all[i] : low;
        }
        assert_true(t - from >= SECONDS || from == 0);
        assert_int_equal(now.resident_max, high);
        assert_int_equal(now.resident_min, low);
        assert_int_equal(now.live_max, high);
    }
}

/* ---- following ---- */

static void sample_is_behind_above_the_promise(void **state)
{
    (void)state;
    struct sample sample = {.live_bytes = 100 * MIB};
    sample.store.items = MIB; /* 16 MiB of overhead allowed */
    sample.parts.bytes[PART_CONNECTIONS] = 3 * MIB;
    size_t promised = 116 * MIB / 100 * 105 + 3 * MIB + 8 * MIB;
    sample.memory.resident_bytes = promised;
    assert_false(sample_is_behind(&sample));
    sample.memory.resident_bytes = promised + 4096;
    assert_true(sample_is_behind(&sample));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_name_every_byte),
        cmocka_unit_test(parts_leave_the_unknown_unattributed),
        cmocka_unit_test(parts_take_an_excess_off_beliefs_first),
        cmocka_unit_test(parts_keep_connections_within_libc),
        cmocka_unit_test(parts_give_libc_the_rest_when_not_all_was_seen),
        cmocka_unit_test(parts_add_up_whatever_comes),
        cmocka_unit_test(parts_have_different_names),
        cmocka_unit_test(window_holds_the_extremes_of_its_time),
        cmocka_unit_test(window_before_the_first_sample_is_zero),
        cmocka_unit_test(window_agrees_with_a_list),
        cmocka_unit_test(sample_is_behind_above_the_promise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
