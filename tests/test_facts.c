/* SPDX-License-Identifier: MIT */
/* test_facts.c: the verdict says what would make resident memory smaller, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../server/facts.h"

#define MIB ((size_t)1 << 20)

static struct memory_facts healthy(void)
{
    return (struct memory_facts){
        .time_seconds = 1700000000,
        .resident_bytes = 110 * MIB,
        .live_bytes = 100 * MIB,
        .items = 1000,
        .clients = 7,
        .parts = {{"live", "", 100 * MIB}, {"connections", "", MIB / 2}, {"index", "", MIB}},
        .part_count = 3,
        .window_seconds = 2.5,
    };
}

static char *verdict(const struct memory_facts *facts)
{
    struct ebb_buf out;
    ebb_buf_init(&out, 65536);
    facts_verdict(facts, &out);
    char *text = strndup(ebb_buf_data(&out), ebb_buf_len(&out));
    assert_int_equal(text[strlen(text) - 1], '\n');
    ebb_buf_release(&out);
    return text;
}

static void assert_says(const struct memory_facts *facts, const char *what, bool alone)
{
    char *text = verdict(facts);
    if (strstr(text, what) == NULL)
        print_error("no \"%s\" in: %s", what, text);
    assert_non_null(strstr(text, what));
    size_t lines = 0;
    for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    if (alone)
        assert_int_equal(lines, 2);
    free(text);
}

static void verdict_of_a_healthy_server_is_that_all_is_well(void **state)
{
    (void)state;
    struct memory_facts facts = healthy();
    assert_says(&facts, "110.0 MiB are resident for 100.0 MiB of live", true);
    assert_says(&facts, "1.10 times", true);
    assert_says(&facts, "All is well", true);
}

static void verdict_of_a_small_cache_names_the_program(void **state)
{
    (void)state;
    struct memory_facts facts = healthy();
    facts.resident_bytes = 9 * MIB;
    facts.live_bytes = 5 * MIB;
    facts.parts[2] = (struct memory_fact){"file", "", 3 * MIB};
    assert_says(&facts, "3.0 MiB of it are the program itself", false);
    assert_says(&facts, "All is well", false);
}

static void verdict_names_the_idle_reserve(void **state)
{
    (void)state;
    struct memory_facts facts = healthy();
    facts.idle_bytes = facts.keep_bytes = 30 * MIB;
    assert_says(&facts, "30.0 MiB are free and kept: within the last 2.5 s", true);
    facts.keep_bytes = 0;
    assert_says(&facts, "30.0 MiB are free and on their way back", true);
}

static void verdict_names_the_buffers_of_clients(void **state)
{
    (void)state;
    struct memory_facts facts = healthy();
    facts.parts[1].bytes = 40 * MIB;
    facts.unread_bytes = 38 * MIB;
    facts.unfinished_bytes = 2 * MIB;
    assert_says(&facts, "40.0 MiB are held by 7 clients", true);
    assert_says(&facts, "buffers: 95 % of it for replies they have not read, 5 % for", true);
    assert_says(&facts, "client-output-limit", true);
    facts.unread_bytes = 1 * MIB;
    facts.unfinished_bytes = 0; /* then it is the many clients themselves */
    assert_says(&facts, "40.0 MiB are held by 7 clients and their buffers. It goes", true);
}

static void verdict_names_pinned_values(void **state)
{
    (void)state;
    struct memory_facts facts = healthy();
    facts.pinned_bytes = 20 * MIB;
    assert_says(&facts, "20.0 MiB could not move", true);
}

static void verdict_names_what_compaction_can_win(void **state)
{
    (void)state;
    struct memory_facts facts = healthy();
    facts.reclaimable_bytes = 9 * MIB;
    assert_says(&facts, "can still free 9.0 MiB: MEMORY PURGE", true);
    facts.is_compacting = true;
    assert_says(&facts, "can still free 9.0 MiB and is at it", true);
}

static void verdict_names_limit_swap_overhead_and_the_unnamed(void **state)
{
    (void)state;
    struct memory_facts facts = healthy();
    facts.limit_bytes = 112 * MIB;
    assert_says(&facts, "98 % of the limit of 112.0 MiB", true);
    facts.evicted_per_second = 27000.4;
    assert_says(&facts, "98 % of the limit of 112.0 MiB, and items are evicted", true);
    facts.limit_bytes = 200 * MIB; /* there may be more room than is left for keys */
    assert_says(&facts, "55 % of the limit of 200.0 MiB, and items", true);
    assert_says(&facts, "to stay below it: 27001 a second. Store less", true);
    facts = healthy();
    facts.swap_bytes = 5 * MIB;
    assert_says(&facts, "swapped 5.0 MiB out", true);
    facts = healthy();
    facts.parts[2].bytes = 60 * MIB;
    facts.items = 1 << 20;
    assert_says(&facts, "60 bytes each", true);
    facts = healthy();
    facts.parts[2].name = "unattributed";
    facts.parts[2].bytes = 10 * MIB;
    assert_says(&facts, "10.0 MiB have no name", true);
}

static void verdict_leaves_small_things_unsaid(void **state)
{
    (void)state;
    struct memory_facts facts = healthy();
    facts.reclaimable_bytes = facts.idle_bytes = facts.pinned_bytes = MIB - 1;
    assert_says(&facts, "All is well", true);
    facts.reclaimable_bytes = 2 * MIB; /* 2 % */
    assert_says(&facts, "All is well", true);
}

static void verdict_before_the_first_sample_says_so(void **state)
{
    (void)state;
    struct memory_facts facts = {.time_seconds = 0};
    assert_says(&facts, "Nothing is known yet", false);
}

static void facts_find_parts_by_name(void **state)
{
    (void)state;
    struct memory_facts facts = healthy();
    assert_int_equal(facts_part(&facts, "live"), 100 * MIB);
    assert_int_equal(facts_part(&facts, "nothing"), 0);
}

static void facts_format_bytes_for_people(void **state)
{
    (void)state;
    static const struct {
        uint64_t bytes;
        const char *text;
    } rows[] = {
        {0, "0 B"},
        {1023, "1023 B"},
        {1024, "1.0 KiB"},
        {1536, "1.5 KiB"},
        {MIB - 1, "1.0 MiB"},
        {(uint64_t)5 << 30, "5.0 GiB"},
        {UINT64_MAX, "16777216.0 TiB"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[FACTS_BYTES_TEXT];
        facts_format_bytes(text, sizeof text, rows[i].bytes);
        assert_string_equal(text, rows[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verdict_of_a_healthy_server_is_that_all_is_well),
        cmocka_unit_test(verdict_of_a_small_cache_names_the_program),
        cmocka_unit_test(verdict_names_the_idle_reserve),
        cmocka_unit_test(verdict_names_the_buffers_of_clients),
        cmocka_unit_test(verdict_names_pinned_values),
        cmocka_unit_test(verdict_names_what_compaction_can_win),
        cmocka_unit_test(verdict_names_limit_swap_overhead_and_the_unnamed),
        cmocka_unit_test(verdict_leaves_small_things_unsaid),
        cmocka_unit_test(verdict_before_the_first_sample_says_so),
        cmocka_unit_test(facts_find_parts_by_name),
        cmocka_unit_test(facts_format_bytes_for_people),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
