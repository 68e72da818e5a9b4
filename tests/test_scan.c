/* SPDX-License-Identifier: MIT */
/* test_scan.c: scans while keys come and go between their calls, so that segments of the index are
 * resized, split and merged behind, at and before the cursor. A key that stays is given exactly
 * once; one that comes or goes, once at most.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#include "../alloc/ebb_alloc.h"
#include "../server/store/store.h"
#include "support/rng.h"

#define KEYS 60000u
#define STAY 20u /* one key in so many */

struct world {
    struct store *store;
    struct store_session session;
    struct rng rng;
    bool is_there[KEYS];
    uint8_t given[KEYS];
};

static uint64_t fake_now_ms(void)
{
    return 1000000;
}

static void change(struct world *world, unsigned number, bool is_there)
{
    char text[32];
    struct store_value value = {.data = "v", .len = 1};
    struct store_key key =
        store_key(world->store, 0, text, (size_t)snprintf(text, sizeof text, "k:%u", number));
    store_enter(&world->session, &key);
    if (is_there)
        assert_int_equal(store_set(&world->session, &key, &value), STORE_OK);
    else
        assert_int_equal(store_delete(&world->session, &key), world->is_there[number]);
    world->is_there[number] = is_there;
}

static void set_up(struct world *world, unsigned shards, const char *name)
{
    struct store_config config = {.shard_count = shards,
                                  .database_count = 2,
                                  .reserve_bytes = (size_t)1 << 30,
                                  .now_ms = fake_now_ms};
    memset(world, 0, sizeof *world);
    world->rng = rng_start(name);
    assert_int_equal(store_create(&world->store, &config), STORE_OK);
    store_session_init(&world->session, world->store);
    for (unsigned i = 0; i < KEYS; i += STAY)
        change(world, i, true);
}

static void tear_down(struct world *world)
{
    store_leave(&world->session);
    assert_int_equal(store_check(world->store), 0);
    store_destroy(world->store);
    free(world);
}

static void see(void *context, const char *key, size_t key_len, const struct store_value *value)
{
    struct world *world = context;
    char text[32] = {0};
    (void)value;
    memcpy(text, key, key_len);
    unsigned number = (unsigned)atoi(text + 2);
    assert_true(world->is_there[number]);
    world->given[number]++;
}

/* More keys come than go, or fewer. */
static void let_change(struct world *world, unsigned changes, unsigned come_percent)
{
    for (unsigned i = 0; i < changes; i++) {
        unsigned number = (unsigned)rng_below(&world->rng, KEYS);
        if (number % STAY != 0)
            change(world, number, rng_below(&world->rng, 100) < come_percent);
    }
}

static void check(struct world *world)
{
    for (unsigned i = 0; i < KEYS; i++) {
        if (i % STAY == 0)
            assert_int_equal(world->given[i], 1);
        else
            assert_true(world->given[i] <= 1);
    }
}

/* Scans again and again while the index goes up and down; a scan may end anywhere of that. */
static void scan_meanwhile(unsigned shards, const char *name)
{
    struct world *world = malloc(sizeof *world);
    struct store_stats stats;
    unsigned calls = 0;
    set_up(world, shards, name);
    for (unsigned scan = 0; scan < 12; scan++) {
        uint64_t cursor = 0;
        memset(world->given, 0, sizeof world->given);
        do {
            cursor =
                store_scan(&world->session, 0, cursor, 1 + rng_below(&world->rng, 60), see, world);
            let_change(world, 200, calls++ / 150 % 2 == 0 ? 95 : 5);
        } while (cursor != 0);
        check(world);
    }
    store_leave(&world->session);
    store_stats(world->store, &stats);
    print_message("%u calls, %u splits, %u merges\n", calls, (unsigned)stats.index_splits,
                  (unsigned)stats.index_merges);
    assert_true(stats.index_splits > 20 && stats.index_merges > 20);
    tear_down(world);
}

static void a_key_is_given_once_while_the_index_changes(void **state)
{
    (void)state;
    scan_meanwhile(1, "one shard");
    scan_meanwhile(4, "four shards");
}

/* The index grows many times over while the cursor stands still: then keys may be given again, but
 * none is left out. */
static void no_key_is_left_out_by_a_scan_that_waits(void **state)
{
    (void)state;
    struct world *world = malloc(sizeof *world);
    set_up(world, 1, "waits");
    for (unsigned i = 0; i < KEYS; i++) { /* what there is is little */
        if (i % (100 * STAY) != 0 && world->is_there[i])
            change(world, i, false);
    }
    uint64_t cursor = store_scan(&world->session, 0, 0, 5, see, world);
    assert_true(cursor != 0);
    for (unsigned i = 0; i < KEYS; i++)
        change(world, i, true);
    while (cursor != 0)
        cursor = store_scan(&world->session, 0, cursor, 100, see, world);
    for (unsigned i = 0; i < KEYS; i += 100 * STAY)
        assert_in_range(world->given[i], 1, 2);
    tear_down(world);
}

static void a_cursor_of_a_clients_own_making_does_no_harm(void **state)
{
    (void)state;
    struct world *world = malloc(sizeof *world);
    set_up(world, 4, "any cursor");
    let_change(world, 20000, 100);
    for (unsigned i = 0; i < 2000; i++) {
        uint64_t cursor = rng_next(&world->rng);
        memset(world->given, 0, sizeof world->given);
        for (unsigned calls = 0; calls < 3 && cursor != 0; calls++) {
            cursor = store_scan(&world->session, 0, cursor, 10, see, world);
            assert_true(cursor < UINT64_C(1) << 53);
        }
        for (unsigned k = 0; k < KEYS; k++)
            assert_true(world->given[k] <= 1);
    }
    tear_down(world);
}

/* ---- a key taken at random ---- */

static size_t unlocks;
static struct world *changes_at_unlock; /* NULL: nothing does */

#ifdef EBB_HARD
#define CHANGES 20u /* there are as many more ranges */
#else
#define CHANGES 400u
#endif

/* What others may do when they have a chance. */
static void let_others(struct world *world)
{
    static unsigned changes;
    changes_at_unlock = NULL;
    let_change(world, CHANGES, changes / KEYS % 2 == 0 ? 95 : 5);
    changes += CHANGES;
    store_leave(&world->session);
    changes_at_unlock = world;
}

/* Stands before the library's: how often others had a chance is counted. */
int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    static int (*of_library)(pthread_mutex_t *);
    if (of_library == NULL)
        *(void **)&of_library = dlsym(RTLD_NEXT, "pthread_mutex_unlock");
    unlocks++;
    int result = of_library(mutex);
    if (changes_at_unlock != NULL)
        let_others(changes_at_unlock);
    return result;
}

static void set_in(struct world *world, unsigned database, const char *name, int64_t expire_ms)
{
    struct store_value value = {.data = "v", .len = 1, .expire_ms = expire_ms};
    struct store_key key = store_key(world->store, database, name, strlen(name));
    store_enter(&world->session, &key);
    assert_int_equal(store_set(&world->session, &key, &value), STORE_OK);
    store_leave(&world->session);
}

static void see_one(void *context, const char *key, size_t key_len, const struct store_value *value)
{
    (void)value;
    assert_memory_equal(key, "one", key_len);
    ++*(size_t *)context;
}

/* One key among tens of thousands of another database: the shard is let go time and again. */
static void a_random_key_of_few_is_found_in_steps(void **state)
{
    (void)state;
    struct world *world = malloc(sizeof *world);
    size_t seen = 0;
    set_up(world, 1, "random");
    for (unsigned i = 0; i < KEYS; i++)
        change(world, i, true);
    store_leave(&world->session);
    assert_false(store_random(&world->session, 1, see_one, &seen));
    set_in(world, 1, "one", 0);
    for (size_t i = 1; i <= 20; i++) {
        assert_true(store_random(&world->session, 1, see_one, &seen));
        assert_int_equal(seen, i);
    }
    /* It is looked for everywhere, and is dead. */
    set_in(world, 1, "one", world->session.now_ms + 1);
    world->session.now_ms += 1;
    unlocks = 0;
    assert_false(store_random(&world->session, 1, see_one, &seen));
    print_message("%zu times let go\n", unlocks);
    assert_true(unlocks >= KEYS / 8 / 256); /* as often as 256 buckets have been seen */
    tear_down(world);
}

/* ---- flushing ---- */

/* The page with the head of an item that has pages of its own. */
static char *large_page(struct world *world, unsigned database, const char *name)
{
    static const char bytes[100000];
    struct store_value value = {.data = bytes, .len = sizeof bytes};
    struct store_key key = store_key(world->store, database, name, strlen(name));
    store_enter(&world->session, &key);
    assert_int_equal(store_set(&world->session, &key, &value), STORE_OK);
    assert_true(store_peek(&world->session, &key, &value));
    return (char *)((uintptr_t)value.data / EBB_PAGE_BYTES * EBB_PAGE_BYTES);
}

/* A flush goes from span to span, the newest first: no other page may be looked at. */
static void a_flush_ends_with_the_last_key_of_its_database(void **state)
{
    (void)state;
#ifdef EBB_HARD
    skip(); /* there all items are looked at and moved whenever the shard is let go */
#endif
    struct world *world = malloc(sizeof *world);
    set_up(world, 1, "flush");
    char *older = large_page(world, 0, "older");
    large_page(world, 1, "newer");
    assert_int_equal(mprotect(older, EBB_PAGE_BYTES, PROT_NONE), 0);
    store_flush(&world->session, 1);
    assert_int_equal(mprotect(older, EBB_PAGE_BYTES, PROT_READ | PROT_WRITE), 0);
    assert_int_equal(store_count(world->store, 1), 0);
    assert_int_equal(store_count(world->store, 0), KEYS / STAY + 1);
    tear_down(world);
}

/* ---- all of them ---- */

static void a_walk_lets_go_between_ranges_and_gives_a_key_once(void **state)
{
    (void)state;
    struct world *world = malloc(sizeof *world);
    struct store_stats stats;
    set_up(world, 2, "walk");
    for (unsigned walk = 0; walk < 15; walk++) {
        memset(world->given, 0, sizeof world->given);
        store_leave(&world->session);
        changes_at_unlock = world;
        store_each(&world->session, 0, see, world);
        changes_at_unlock = NULL;
        check(world);
    }
    store_leave(&world->session);
    store_stats(world->store, &stats);
    print_message("%u splits, %u merges\n", (unsigned)stats.index_splits,
                  (unsigned)stats.index_merges);
    assert_true(stats.index_splits > 20 && stats.index_merges > 20);
    tear_down(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_given_once_while_the_index_changes),
        cmocka_unit_test(no_key_is_left_out_by_a_scan_that_waits),
        cmocka_unit_test(a_random_key_of_few_is_found_in_steps),
        cmocka_unit_test(a_flush_ends_with_the_last_key_of_its_database),
        cmocka_unit_test(a_walk_lets_go_between_ranges_and_gives_a_key_once),
        cmocka_unit_test(a_cursor_of_a_clients_own_making_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
