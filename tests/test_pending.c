/* SPDX-License-Identifier: MIT */
/* test_pending.c: what a connection keeps of a command that is not complete. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../server/net/pending.h"

#define KIB 1024u
#define MIB (1024u * KIB)

static char block[64 * KIB];

/* A command of many small arguments lacks a few bytes each time: its reads must not be as small. */
static void many_small_arguments_take_few_reads(void **state)
{
    (void)state;
    struct pending *pending = pending_create(16 * MIB);
    assert_true(pending_keep(pending, block, 33 * KIB));
    unsigned reads = 0;
    size_t room;
    while (ebb_buf_len(&pending->in) < 8 * MIB) {
        pending_need(pending, ebb_buf_len(&pending->in) + 5);
        assert_true(pending_is_long(pending));
        assert_non_null(pending_room(pending, &room));
        ebb_buf_commit(&pending->in, room);
        reads++;
    }
    assert_in_range(reads, 1, 40);
    pending_destroy(pending);
}

/* A large value is paid for as it comes: by about as much again as there is. */
static void a_large_value_takes_what_it_needs(void **state)
{
    (void)state;
    struct pending *pending = pending_create(16 * MIB);
    assert_true(pending_keep(pending, block, 60 * KIB));
    pending_need(pending, 5 * MIB);
    while (ebb_buf_len(&pending->in) < pending->need_bytes) {
        size_t len = ebb_buf_len(&pending->in), room;
        assert_non_null(pending_room(pending, &room));
        assert_true(pending->in.capacity <= 3 * len + 64 * KIB);
        assert_true(pending->in.capacity <= pending->need_bytes + pending->need_bytes / 2);
        ebb_buf_commit(&pending->in, room < 100 * KIB ? room : 100 * KIB);
        assert_int_equal(ebb_buf_check(&pending->in), 0);
    }
    pending_destroy(pending);
}

static void there_is_no_room_beyond_the_maximum(void **state)
{
    (void)state;
    struct pending *pending = pending_create(100 * KIB);
    size_t room;
    assert_true(pending_keep(pending, block, 60 * KIB));
    while (ebb_buf_len(&pending->in) < 100 * KIB) {
        pending_need(pending, ebb_buf_len(&pending->in) + 1);
        assert_non_null(pending_room(pending, &room));
        assert_in_range(room, 1, 100 * KIB - ebb_buf_len(&pending->in));
        ebb_buf_commit(&pending->in, room);
    }
    assert_null(pending_room(pending, &room));
    pending_destroy(pending);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_small_arguments_take_few_reads),
        cmocka_unit_test(a_large_value_takes_what_it_needs),
        cmocka_unit_test(there_is_no_room_beyond_the_maximum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
