/* SPDX-License-Identifier: MIT */
/* test_policy.c: the ladder of reasons, a row for each rung and border; and what a class promises
 * to free. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "../alloc/internal.h"

#define MIB (UINT64_C(1) << 20)

struct ladder_row {
    const char *what;
    struct compact_view view; /* slot, reclaimable, small bytes, urge, phase */
    enum ebb_reason reason;
};

static const struct ladder_row LADDER[] = {
    {"an empty heap", {0, 0, 512, EBB_URGE_CALM, COMPACT_CALM}, EBB_REASON_NONE},
    {"nothing to win", {100 * MIB, 0, 512, EBB_URGE_CALM, COMPACT_CALM}, EBB_REASON_NONE},
    {"nothing to win, asked for",
     {100 * MIB, 0, 512, EBB_URGE_MANUAL, COMPACT_CALM},
     EBB_REASON_NONE},
    {"nothing to win, short",
     {100 * MIB, 0, 512, EBB_URGE_PRESSURE, COMPACT_ACTIVE},
     EBB_REASON_NONE},
    {"asked for", {100 * MIB, 1, 512, EBB_URGE_MANUAL, COMPACT_CALM}, EBB_REASON_MANUAL},
    {"asked for, under way",
     {100 * MIB, 1, 512, EBB_URGE_MANUAL, COMPACT_ACTIVE},
     EBB_REASON_MANUAL},
    {"short", {100 * MIB, 1, 512, EBB_URGE_PRESSURE, COMPACT_CALM}, EBB_REASON_PRESSURE},
    {"one below small", {1000, 511, 512, EBB_URGE_CALM, COMPACT_CALM}, EBB_REASON_SMALL},
    {"one below small, under way",
     {1000, 511, 512, EBB_URGE_CALM, COMPACT_ACTIVE},
     EBB_REASON_SMALL},
    {"small no more", {1000, 512, 512, EBB_URGE_CALM, COMPACT_CALM}, EBB_REASON_WASTE},
    {"start: at 1/32", {128 * MIB, 4 * MIB, 512, EBB_URGE_CALM, COMPACT_CALM}, EBB_REASON_PACKED},
    {"start: above", {128 * MIB, 4 * MIB + 1, 512, EBB_URGE_CALM, COMPACT_CALM}, EBB_REASON_WASTE},
    {"going on: in the band",
     {128 * MIB, 4 * MIB, 512, EBB_URGE_CALM, COMPACT_ACTIVE},
     EBB_REASON_WASTE},
    {"going on: above 1/80",
     {160 * MIB, 2 * MIB + 1, 512, EBB_URGE_CALM, COMPACT_ACTIVE},
     EBB_REASON_WASTE},
    {"again: at 1/48",
     {96 * MIB, 2 * MIB, 512, EBB_URGE_CALM, COMPACT_SETTLING},
     EBB_REASON_PACKED},
    {"again: above",
     {96 * MIB, 2 * MIB + 1, 512, EBB_URGE_CALM, COMPACT_SETTLING},
     EBB_REASON_WASTE},
    {"stop: at 1/80", {160 * MIB, 2 * MIB, 512, EBB_URGE_CALM, COMPACT_ACTIVE}, EBB_REASON_PACKED},
    {"no object left in slots", {0, 1 * MIB, 512, EBB_URGE_CALM, COMPACT_CALM}, EBB_REASON_WASTE},
};

static void ladder_gives_the_first_reason_that_holds(void **state)
{
    (void)state;
    for (size_t r = 0; r < sizeof LADDER / sizeof *LADDER; r++) {
        enum ebb_reason reason = policy_compact(&LADDER[r].view);
        if (reason != LADDER[r].reason)
            fail_msg("%s: got %s, expected %s", LADDER[r].what, ebb_reason_text(reason),
                     ebb_reason_text(LADDER[r].reason));
    }
}

static void ladder_band_keeps_its_width(void **state)
{
    (void)state;
    /* Whatever starts it is well above what stops it: a run that just ended cannot begin again. */
    for (size_t slot_bytes = MIB; slot_bytes < 1024 * MIB; slot_bytes = slot_bytes * 3 / 2) {
        struct compact_view view = {.slot_bytes = slot_bytes, .phase = COMPACT_ACTIVE};
        while (policy_compact(&view) != EBB_REASON_WASTE)
            view.reclaimable_bytes += slot_bytes / 1000;
        size_t stop = view.reclaimable_bytes;
        view.phase = COMPACT_SETTLING;
        while (policy_compact(&view) != EBB_REASON_WASTE)
            view.reclaimable_bytes += slot_bytes / 1000;
        assert_true(view.reclaimable_bytes * 2 >= stop * 3);
    }
}

static void reasons_have_names(void **state)
{
    (void)state;
    for (int a = 0; a < EBB_REASON_COUNT; a++)
        for (int b = 0; b < a; b++)
            assert_string_not_equal(ebb_reason_text(a), ebb_reason_text(b));
    assert_string_equal(ebb_reason_text(EBB_REASON_COUNT), "unknown");
    assert_string_equal(ebb_reason_text((enum ebb_reason) - 1), "unknown");
}

/* `spans` spans of the class's rung with `used` slots taken of all of them together. */
static struct heap_class class_with(const struct class_table *table, unsigned class_index,
                                    unsigned rung, uint32_t spans, uint64_t used)
{
    unsigned pages = table->rung_pages[class_index][rung];
    return (struct heap_class){
        .rung = (uint8_t)rung,
        .spans = spans,
        .slots = (uint64_t)spans * class_slots(table, class_index, pages),
        .used = used,
        .pages = (uint64_t)spans * pages,
    };
}

static void reclaimable_is_whole_spans_of_free_slots(void **state)
{
    (void)state;
    struct class_table table;
    class_table_init(&table);
    for (unsigned c = 0; c < EBB_CLASS_COUNT; c += 7) {
        unsigned rung = table.rung_count[c] - 1u;
        size_t span_bytes = (size_t)table.rung_pages[c][rung] * EBB_PAGE_BYTES;
        uint64_t per_span = class_slots(&table, c, table.rung_pages[c][rung]);
        for (uint64_t emptied = 0; emptied < 8; emptied++) {
            struct heap_class class = class_with(&table, c, rung, 8, (8 - emptied) * per_span);
            assert_int_equal(policy_reclaimable(&table, c, &class), emptied * span_bytes);
            class.used++; /* one more, and the last of them is not whole */
            if (emptied > 1)
                assert_int_equal(policy_reclaimable(&table, c, &class), (emptied - 1) * span_bytes);
        }
    }
}

static void reclaimable_of_nothing_is_nothing(void **state)
{
    (void)state;
    struct class_table table;
    struct heap_class none = {0};
    class_table_init(&table);
    assert_int_equal(policy_reclaimable(&table, 5, &none), 0);
    struct heap_class large = {.spans = 4, .slots = 4, .used = 1, .pages = 400};
    assert_int_equal(policy_reclaimable(&table, CLASS_LARGE, &large), 0);
}

static void reclaimable_of_one_long_span_is_the_pages_a_shorter_saves(void **state)
{
    (void)state;
    struct class_table table;
    class_table_init(&table);
    unsigned found = 0;
    for (unsigned c = 0; c < EBB_CLASS_COUNT; c++) {
        unsigned top = table.rung_count[c] - 1u;
        const uint8_t *pages = table.rung_pages[c];
        struct heap_class class = class_with(&table, c, top, 1, 1);
        size_t won = policy_reclaimable(&table, c, &class);
        assert_int_equal(won, (size_t)(pages[top] - pages[0]) * EBB_PAGE_BYTES);
        found += won > 0;
        /* Full to the last slot, it needs what it has. */
        class.used = class.slots;
        assert_int_equal(policy_reclaimable(&table, c, &class), 0);
    }
#ifndef EBB_HARD
    assert_true(found > 100);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ladder_gives_the_first_reason_that_holds),
        cmocka_unit_test(ladder_band_keeps_its_width),
        cmocka_unit_test(reasons_have_names),
        cmocka_unit_test(reclaimable_is_whole_spans_of_free_slots),
        cmocka_unit_test(reclaimable_of_nothing_is_nothing),
        cmocka_unit_test(reclaimable_of_one_long_span_is_the_pages_a_shorter_saves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
