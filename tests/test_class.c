/* SPDX-License-Identifier: MIT */
/* test_class.c: sizes and spans' lengths, exhaustively: every size, every slot of every rung. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "../alloc/internal.h"

#define LINEAR_BYTES 128u

static void class_of_gives_the_smallest_class_that_fits(void **state)
{
    (void)state;
    for (size_t bytes = 1; bytes <= EBB_LARGE_BYTES; bytes++) {
        unsigned c = class_of(bytes);
        assert_true(c < EBB_CLASS_COUNT);
        assert_true(class_bytes(c) >= bytes);
        assert_true(c == 0 || class_bytes(c - 1) < bytes);
        assert_int_equal(ebb_round_bytes(bytes), class_bytes(c));
    }
}

static void class_sizes_are_whole_granules_and_ascend(void **state)
{
    (void)state;
    for (unsigned c = 0; c < EBB_CLASS_COUNT; c++) {
        assert_int_equal(class_bytes(c) % EBB_GRANULE_BYTES, 0);
        assert_true(c == 0 || class_bytes(c) > class_bytes(c - 1));
        assert_int_equal(class_of(class_bytes(c)), c);
    }
    assert_int_equal(class_bytes(EBB_CLASS_COUNT - 1), EBB_LARGE_BYTES);
}

static void rounding_costs_little(void **state)
{
    (void)state;
    uint64_t slack = 0, total = 0;
    for (size_t bytes = 1; bytes <= EBB_LARGE_BYTES; bytes++) {
        size_t lost = class_bytes(class_of(bytes)) - bytes;
        if (bytes <= LINEAR_BYTES)
            assert_true(lost < EBB_GRANULE_BYTES);
        else
            assert_true(lost * 1000 <= bytes * 32);
        slack += lost;
        total += bytes;
    }
    assert_true(slack * 1000 <= total * 16); /* 1.6 % over all sizes */
}

static void sizes_above_the_classes_round_to_pages(void **state)
{
    (void)state;
    assert_int_equal(ebb_round_bytes(EBB_LARGE_BYTES + 1), EBB_LARGE_BYTES + EBB_PAGE_BYTES);
    assert_int_equal(ebb_round_bytes(20 * EBB_PAGE_BYTES), 20 * EBB_PAGE_BYTES);
    assert_int_equal(ebb_round_bytes(20 * EBB_PAGE_BYTES + 1), 21 * EBB_PAGE_BYTES);
}

static void magic_division_is_exact_for_every_slot(void **state)
{
    (void)state;
    struct class_table table;
    class_table_init(&table);
    for (unsigned c = 0; c < EBB_CLASS_COUNT; c++) {
        uint64_t slot_bytes = table.slot_bytes[c];
        assert_int_equal(slot_bytes, class_bytes(c));
        for (unsigned r = 0; r < table.rung_count[c]; r++) {
            unsigned slots = class_slots(&table, c, table.rung_pages[c][r]);
            for (uint64_t slot = 0; slot < slots; slot++)
                assert_int_equal(slot * slot_bytes * table.magic[c] >> 32, slot);
        }
        /* Nor does an offset between slots pass for one: the quotient times the size differs. */
        uint64_t end = (uint64_t)table.rung_pages[c][table.rung_count[c] - 1] * EBB_PAGE_BYTES;
        for (uint64_t offset = 0; offset < end; offset += EBB_GRANULE_BYTES) {
            uint64_t slot = offset * table.magic[c] >> 32;
            if (offset % slot_bytes != 0)
                assert_int_not_equal(slot * slot_bytes, offset);
        }
    }
}

static void rungs_ascend_and_hold_slots(void **state)
{
    (void)state;
    struct class_table table;
    class_table_init(&table);
    for (unsigned c = 0; c < EBB_CLASS_COUNT; c++) {
        assert_in_range(table.rung_count[c], 1, RUNG_COUNT);
        for (unsigned r = 0; r < table.rung_count[c]; r++) {
            unsigned pages = table.rung_pages[c][r];
            unsigned slots = class_slots(&table, c, pages);
            assert_in_range(pages, 1, SPAN_PAGES_MAX);
            assert_in_range(slots, 1, SPAN_SLOTS_MAX);
            assert_true((size_t)slots * table.slot_bytes[c] <= (size_t)pages * EBB_PAGE_BYTES);
            assert_true(r == 0 || pages > table.rung_pages[c][r - 1]);
        }
    }
}

static void tails_are_at_most_an_eighth(void **state)
{
    (void)state;
#ifndef EBB_HARD /* three slots to a span waste most of their page, which is the point there */
    struct class_table table;
    class_table_init(&table);
    /* 512 slots of 4 bytes fill half a page: the only class for which no length will do. */
    for (unsigned c = 1; c < EBB_CLASS_COUNT; c++) {
        for (unsigned r = 0; r < table.rung_count[c]; r++) {
            size_t run = table.rung_pages[c][r] * (size_t)EBB_PAGE_BYTES;
            size_t slots = class_slots(&table, c, table.rung_pages[c][r]);
            assert_true((run - slots * table.slot_bytes[c]) * 8 <= run);
        }
    }
#endif
}

static void longest_rung_loses_little(void **state)
{
    (void)state;
#ifndef EBB_HARD
    struct class_table table;
    class_table_init(&table);
    for (unsigned c = 1; c < EBB_CLASS_COUNT; c++) {
        unsigned pages = table.rung_pages[c][table.rung_count[c] - 1];
        size_t run = pages * (size_t)EBB_PAGE_BYTES;
        size_t slots = class_slots(&table, c, pages);
        assert_true((run - slots * table.slot_bytes[c]) * 50 <= run);
    }
#endif
}

/* What a class loses on average: the ends of its spans, and half of a span that is not full. */
static double loss_of(const struct class_table *table, unsigned c, unsigned rung, size_t live)
{
    size_t run = table->rung_pages[c][rung] * (size_t)EBB_PAGE_BYTES;
    size_t slots = class_slots(table, c, table->rung_pages[c][rung]);
    size_t tail = run - slots * table->slot_bytes[c];
    return (double)live * (double)tail / (double)run + (double)run / 2;
}

static size_t run_of(const struct class_table *table, unsigned c, unsigned rung)
{
    return table->rung_pages[c][rung] * (size_t)EBB_PAGE_BYTES;
}

/* Climbs when the next span is 1/32 of the class, or when that loses less; stays where it is. */
static void climbs_for_a_reason(const struct class_table *table, unsigned c, unsigned r,
                                size_t live)
{
    unsigned rung = class_rung(table, c, r, live);
    assert_int_equal(class_rung(table, c, rung, live), rung);
    if (rung > r) {
        assert_true(run_of(table, c, rung) * 8 <= live);
        assert_true(run_of(table, c, rung) * 32 <= live ||
                    loss_of(table, c, rung, live) < loss_of(table, c, r, live));
    }
}

/* Up when the next span would be 1/32 of the class, down when the present one is over 1/8, unless
 * shorter ones lose more at their ends. */
static void rung_climbs_late_and_steps_down_later(void **state)
{
    (void)state;
    struct class_table table;
    class_table_init(&table);
    for (unsigned c = 0; c < EBB_CLASS_COUNT; c++) {
        for (unsigned r = 0; r + 1 < table.rung_count[c]; r++) {
            size_t up = run_of(&table, c, r + 1) * 32, down = run_of(&table, c, r + 1) * 8;
            for (size_t live = down / 8; live < up; live += live / 4 + 1)
                climbs_for_a_reason(&table, c, r, live);
            assert_true(class_rung(&table, c, r, up) > r);
            assert_true(class_rung(&table, c, r, down / 2) <= r);
            assert_int_equal(class_rung(&table, c, r + 1, down), r + 1);
            assert_true(class_rung(&table, c, r + 1, down / 2 - 1) <= r);
        }
        assert_int_equal(class_rung(&table, c, RUNG_COUNT, 0), 0);
        assert_int_equal(class_rung(&table, c, 0, SIZE_MAX / 2), table.rung_count[c] - 1);
    }
}

static void rung_is_stable_where_it_is(void **state)
{
    (void)state;
    struct class_table table;
    class_table_init(&table);
    for (unsigned c = 0; c < EBB_CLASS_COUNT; c++)
        for (size_t live = 0; live < (size_t)256 << 20; live = live * 2 + 1)
            for (unsigned from = 0; from < table.rung_count[c]; from++) {
                unsigned rung = class_rung(&table, c, from, live);
                assert_int_equal(class_rung(&table, c, rung, live), rung);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(class_of_gives_the_smallest_class_that_fits),
        cmocka_unit_test(class_sizes_are_whole_granules_and_ascend),
        cmocka_unit_test(rounding_costs_little),
        cmocka_unit_test(sizes_above_the_classes_round_to_pages),
        cmocka_unit_test(magic_division_is_exact_for_every_slot),
        cmocka_unit_test(rungs_ascend_and_hold_slots),
        cmocka_unit_test(tails_are_at_most_an_eighth),
        cmocka_unit_test(longest_rung_loses_little),
        cmocka_unit_test(rung_climbs_late_and_steps_down_later),
        cmocka_unit_test(rung_is_stable_where_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
