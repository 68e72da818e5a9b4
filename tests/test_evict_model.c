/* SPDX-License-Identifier: MIT */
/* test_evict_model.c: a store under a small limit against a twin that knows what each key held
 * last. Keys may go, and only where the policy says so; what is there is right to the byte; the
 * pool never holds more than it may.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "../server/store/evict.h"
#include "../server/store/store.h"
#include "support/rng.h"

#define KEYS      4000u
#define VALUE_MAX 300000u
#define MIB       ((size_t)1 << 20)
#define BEYOND    (256u * 1024) /* segments of the index and short extras may pass the limit */

struct twin {
    bool is_set;
    uint32_t len, seed;
    int64_t expire_ms;
};

struct world {
    struct store *store;
    struct store_session session;
    struct store_limit limit;
    struct rng rng;
    struct twin twin[KEYS];
    size_t gone, refused, most_bytes;
    char bytes[2 * VALUE_MAX];
};

static uint64_t clock_ms = 1000000;

static uint64_t fake_now_ms(void)
{
    return clock_ms;
}

static const char *fill(struct world *world, uint32_t seed, size_t len)
{
    for (size_t i = 0; i < len; i++)
        world->bytes[i] = (char)(seed + i * 31);
    return world->bytes;
}

static void set_limit(struct world *world, size_t bytes)
{
    world->limit.pool_bytes = bytes;
    world->limit.ahead_bytes = bytes / 64;
    world->limit.compact_bytes = bytes / 20;
    store_set_limit(world->store, &world->limit);
}

static struct world *world_create(unsigned shards, enum use_order order, bool is_volatile)
{
    struct world *world = calloc(1, sizeof *world);
    struct store_config config = {.shard_count = shards,
                                  .database_count = 1,
                                  .reserve_bytes = (size_t)4 << 30,
                                  .now_ms = fake_now_ms};
    assert_int_equal(store_create(&world->store, &config), STORE_OK);
    store_session_init(&world->session, world->store);
    world->rng = rng_start(use_order_name(order));
    world->limit.order = order;
    world->limit.is_volatile = is_volatile;
    set_limit(world, 3 * MIB);
    return world;
}

static void world_destroy(struct world *world)
{
    store_leave(&world->session);
    store_destroy(world->store);
    free(world);
}

static struct store_key enter(struct world *world, unsigned number, char text[32])
{
    size_t len = (size_t)sprintf(text, "key:%u", number);
    struct store_key key = store_key(world->store, 0, text, len);
    world->session.now_ms = (int64_t)clock_ms;
    store_enter(&world->session, &key);
    return key;
}

/* What is there must be what was stored last; what is not there has gone for a reason. */
static bool check_key(struct world *world, const struct store_key *key, struct twin *twin)
{
    struct store_value value;
    bool is_due = twin->expire_ms != 0 && twin->expire_ms <= (int64_t)clock_ms;
    bool is_there = store_get(&world->session, key, &value);
    assert_false(is_there && (!twin->is_set || is_due));
    if (!is_there && twin->is_set && !is_due) {
        world->gone++;
        assert_true(world->limit.order != USE_NONE);
        assert_true(!world->limit.is_volatile || twin->expire_ms != 0);
    }
    twin->is_set = is_there;
    if (!is_there)
        return false;
    assert_int_equal(value.len, twin->len);
    assert_int_equal(value.expire_ms, twin->expire_ms);
    assert_memory_equal(value.data, fill(world, twin->seed, twin->len), twin->len);
    return true;
}

static uint32_t some_len(struct world *world)
{
    switch (rng_below(&world->rng, 100)) {
    case 0:
        return (uint32_t)rng_below(&world->rng, VALUE_MAX);
    case 1:
    case 2:
        return (uint32_t)rng_below(&world->rng, 20000);
    default:
        return (uint32_t)rng_below(&world->rng, 2000);
    }
}

static void do_set(struct world *world, const struct store_key *key, struct twin *twin)
{
    struct twin next = {.is_set = true, .len = some_len(world)};
    next.seed = (uint32_t)rng_below(&world->rng, 255);
    if (rng_once_in(&world->rng, 3))
        next.expire_ms = (int64_t)(clock_ms + 1 + rng_below(&world->rng, 3000));
    struct store_value value = {
        .data = fill(world, next.seed, next.len), .len = next.len, .expire_ms = next.expire_ms};
    int error = store_set(&world->session, key, &value);
    if (error == STORE_OK) {
        *twin = next;
        return;
    }
    assert_int_equal(error, STORE_ENOMEM);
    assert_true(world->limit.order == USE_NONE || world->limit.is_volatile);
    world->refused++;
}

/* The value grows out of itself: its bytes must stay while room is made for the longer one. */
static void do_append(struct world *world, const struct store_key *key, struct twin *twin)
{
    struct store_value old;
    if (!check_key(world, key, twin) || !store_peek(&world->session, key, &old))
        return;
    uint32_t more = some_len(world);
    if (twin->len + more > VALUE_MAX)
        return;
    const char *tail = fill(world, twin->seed, twin->len + more) + twin->len;
    int error = store_join(&world->session, key, old.data, old.len, tail, more);
    if (error == STORE_OK)
        twin->len += more;
    else
        world->refused++;
}

/* And a value made of another key's. */
static void do_copy(struct world *world, const struct store_key *key, const struct twin *twin)
{
    char text[32];
    unsigned to = (unsigned)rng_below(&world->rng, KEYS);
    size_t len = (size_t)sprintf(text, "key:%u", to);
    struct store_key pair[2] = {*key, store_key(world->store, 0, text, len)};
    struct store_value value;
    store_enter_keys(&world->session, pair, 2);
    if (&world->twin[to] == twin || !store_peek(&world->session, key, &value))
        return;
    int error = store_set(&world->session, &pair[1], &value);
    if (error == STORE_OK)
        world->twin[to] = *twin;
    else
        world->refused++;
}

static void step(struct world *world)
{
    char text[32];
    unsigned number = (unsigned)rng_below(&world->rng, KEYS);
    if (rng_once_in(&world->rng, 2)) /* some are dearer than others */
        number /= 8;
    struct twin *twin = &world->twin[number];
    struct store_key key = enter(world, number, text);
    unsigned what = (unsigned)rng_below(&world->rng, 100);
    if (what < 40)
        do_set(world, &key, twin);
    else if (what < 80)
        check_key(world, &key, twin);
    else if (what < 87)
        do_append(world, &key, twin);
    else if (what < 92)
        do_copy(world, &key, twin);
    else if (what < 95 && check_key(world, &key, twin))
        twin->expire_ms = store_set_expire(&world->session, &key, (int64_t)clock_ms + 5000)
                              ? (int64_t)clock_ms + 5000
                              : twin->expire_ms;
    else if (what < 99)
        twin->is_set = store_delete(&world->session, &key) && false;
    size_t untouched, held = store_pool_bytes(world->store, &untouched);
    world->most_bytes = held > world->most_bytes ? held : world->most_bytes;
    assert_true(held <= world->limit.pool_bytes + BEYOND);
}

static void run(struct world *world, size_t steps)
{
    for (size_t i = 0; i < steps; i++) {
        step(world);
        if (!rng_once_in(&world->rng, 20))
            continue;
        clock_ms += rng_below(&world->rng, 30);
        store_leave(&world->session);
        store_upkeep(world->store);
        if (rng_once_in(&world->rng, 300))
            assert_int_equal(store_check(world->store), 0);
    }
    store_leave(&world->session);
    assert_int_equal(store_check(world->store), 0);
}

#define STEPS SCALED(60000)

/* What is counted by class is what is counted in all. */
static void check_class_counts(struct world *world, const struct store_stats *stats)
{
    struct store_class_counts sum = {0}, one;
    for (unsigned i = 0; i <= EBB_CLASS_COUNT; i++) {
        store_class_counts(world->store, i, &one);
        sum.evicted += one.evicted;
        sum.evicted_unfetched += one.evicted_unfetched;
        sum.rejected += one.rejected;
        sum.expired_evicted += one.expired_evicted;
        sum.expired_reaped += one.expired_reaped;
        assert_true(one.evicted_with_ttl <= one.evicted);
    }
    assert_int_equal(sum.evicted, stats->evicted);
    assert_int_equal(sum.evicted_unfetched, stats->evicted_unfetched);
    assert_int_equal(sum.rejected, stats->rejected_memory);
    assert_int_equal(sum.expired_evicted + sum.expired_reaped, stats->expired_active);
}

static void model(unsigned shards, enum use_order order, bool is_volatile)
{
    struct world *world = world_create(shards, order, is_volatile);
    struct store_stats stats;
    run(world, STEPS);
    store_stats(world->store, &stats);
    print_message("# %s%s, %u shards: %llu evicted, %zu found gone, %zu refused, at most %zu KiB\n",
                  is_volatile ? "volatile-" : "", use_order_name(order), shards,
                  (unsigned long long)stats.evicted, world->gone, world->refused,
                  world->most_bytes >> 10);
    assert_true(stats.rejected_memory == world->refused);
    check_class_counts(world, &stats);
    if (order == USE_NONE)
        assert_true(stats.evicted == 0 && world->refused > 0);
    else
        assert_true(stats.evicted > 100);
    assert_true(world->most_bytes > 2 * MIB);
    world_destroy(world);
}

static void s3_keeps_the_limit_and_every_byte(void **state)
{
    (void)state;
    model(1, USE_S3, false);
    model(4, USE_S3, false);
}

static void lru_and_lfu_do(void **state)
{
    (void)state;
    model(1, USE_LRU, false);
    model(2, USE_LFU, false);
}

static void random_does(void **state)
{
    (void)state;
    model(2, USE_RANDOM, false);
}

static void volatile_policies_leave_keys_without_a_time(void **state)
{
    (void)state;
    model(1, USE_TTL, true);
    model(2, USE_LRU, true);
    model(1, USE_S3, true);
}

static void noeviction_refuses(void **state)
{
    (void)state;
    model(1, USE_NONE, false);
    model(4, USE_NONE, false);
}

/* It must not wait for shards that have nothing to give: each look costs a client its time. */
static void who_can_win_nothing_is_refused_at_once(void **state)
{
    (void)state;
    enum {
        WRITES = 20,
        LOOKS = 64
    }; /* of moves that find no room too; who waits looks 256 times */
    for (unsigned is_volatile = 0; is_volatile < 2; is_volatile++) {
        struct world *world = world_create(16, USE_S3, is_volatile);
        struct store_stats stats;
        char text[32];
        struct store_value value = {.data = fill(world, 1, VALUE_MAX), .len = 400};
        unsigned stored = 0;
        set_limit(world, SIZE_MAX);
        for (; is_volatile && stored < 1000; stored++) { /* none of them has a time */
            struct store_key key = enter(world, stored, text);
            assert_int_equal(store_set(&world->session, &key, &value), STORE_OK);
        }
        set_limit(world, 0);
        value.len = VALUE_MAX; /* which no free slot serves */
        for (unsigned i = 0; i < WRITES; i++) {
            struct store_key key = enter(world, stored + i, text);
            assert_int_equal(store_set(&world->session, &key, &value), STORE_ENOMEM);
        }
        store_leave(&world->session);
        store_stats(world->store, &stats);
        assert_int_equal(stats.items, stored);
        assert_true(stats.pool.refusals <= WRITES * LOOKS);
        world_destroy(world);
    }
}

static void a_lowered_limit_is_reached_by_upkeep_alone(void **state)
{
    (void)state;
    struct world *world = world_create(2, USE_S3, false);
    set_limit(world, 8 * MIB);
    run(world, STEPS / 3);
    set_limit(world, 2 * MIB);
    size_t untouched, calls = 0;
    while (store_pool_bytes(world->store, &untouched) > 2 * MIB && calls++ < 10000)
        usleep((useconds_t)store_upkeep(world->store)); /* its budget is time's */
    assert_true(store_pool_bytes(world->store, &untouched) <= 2 * MIB);
    assert_int_equal(store_check(world->store), 0);
    run(world, STEPS / 3);
    world_destroy(world);
}

/* More than 5 % to be won by moving: then nobody goes. */
static void nobody_is_evicted_while_compaction_can_win_it(void **state)
{
    (void)state;
    struct world *world = world_create(1, USE_S3, false);
    struct store_stats stats;
    char text[32], data[400] = {0};
    set_limit(world, SIZE_MAX);
    for (unsigned i = 0; i < 100000; i++) {
        struct store_key key = enter(world, i, text);
        struct store_value value = {.data = data, .len = 200};
        assert_int_equal(store_set(&world->session, &key, &value), STORE_OK);
    }
    for (unsigned i = 0; i < 100000; i++) { /* two in three go: no span is empty by itself */
        struct store_key key = enter(world, i, text);
        if (i % 3 != 0)
            assert_true(store_delete(&world->session, &key));
    }
    store_leave(&world->session);
    size_t untouched, held = store_pool_bytes(world->store, &untouched);
    set_limit(world, held); /* as full as can be, two thirds of it air */
    for (unsigned i = 200000; i < 220000; i++) {
        struct store_key key = enter(world, i, text);
        struct store_value value = {.data = data, .len = 300};
        assert_int_equal(store_set(&world->session, &key, &value), STORE_OK);
        store_leave(&world->session);
    }
    store_stats(world->store, &stats);
    assert_int_equal(stats.evicted, 0);
    assert_true(stats.item_heap.moved_objects > 0);
    assert_int_equal(store_check(world->store), 0);
    world_destroy(world);
}

/* ---- what a value is made of ---- */

static void set_timed(struct world *world, unsigned number, size_t len, int64_t expire_ms)
{
    char text[32];
    struct store_value value = {.data = fill(world, number, len), .len = len};
    struct store_key key = enter(world, number, text);
    value.expire_ms = expire_ms;
    assert_int_equal(store_set(&world->session, &key, &value), STORE_OK);
}

static bool has_key(struct world *world, unsigned number)
{
    char text[32];
    struct store_value value;
    struct store_key key = enter(world, number, text);
    return store_peek(&world->session, &key, &value);
}

/* Key 0 expires first and grows; key 1 is the only other one that may go, of thousands. */
static void grow_the_soonest(size_t own_len, size_t other_len)
{
    struct world *world = world_create(1, USE_S3, true);
    char text[32];
    struct store_value value;
    set_limit(world, SIZE_MAX);
    set_timed(world, 0, own_len, (int64_t)clock_ms + 1000);
    for (unsigned i = 2; i < 8000; i++)
        set_timed(world, i, 100, 0);
    set_timed(world, 1, other_len, (int64_t)clock_ms + 100000);
    store_leave(&world->session);
    store_purge(&world->session);
    size_t untouched;
    set_limit(world, store_pool_bytes(world->store, &untouched));
    struct store_key key = enter(world, 0, text);
    assert_true(store_peek(&world->session, &key, &value));
    size_t more = other_len / 4;
    const char *tail = fill(world, 0, value.len + more) + value.len;
    assert_int_equal(store_join(&world->session, &key, value.data, value.len, tail, more),
                     STORE_OK);
    assert_true(store_peek(&world->session, &key, &value));
    assert_memory_equal(value.data, fill(world, 0, own_len + more), own_len + more);
    assert_false(has_key(world, 1));
    store_leave(&world->session);
    clock_ms += 1000; /* and upkeep still knows when key 0 is due */
    while (store_count_expires(world->store, 0) > 0)
        usleep((useconds_t)store_upkeep(world->store));
    assert_int_equal(store_check(world->store), 0);
    world_destroy(world);
}

static void the_soonest_to_expire_may_grow_at_the_expense_of_others(void **state)
{
    (void)state;
    grow_the_soonest(100000, 300000);
    grow_the_soonest(9000, 200000);
}

/* The limit may be taken away between a look whether there is one and the sum. */
static void room_without_a_limit_can_be_added_to(void **state)
{
    (void)state;
    struct world *world = world_create(1, USE_S3, false);
    ptrdiff_t sum;
    set_limit(world, SIZE_MAX);
    assert_false(__builtin_add_overflow(limit_room(world->store), (ptrdiff_t)1 << 40, &sum));
    assert_false(limit_is_tight(world->store));
    world_destroy(world);
}

/* ---- what is told of a key's use ---- */

/* Time passes as values come in, ten seconds for each MB; key 0 is set first and never again. */
static void let_time_pass(struct world *world, unsigned first, unsigned count)
{
    char text[32], data[1000] = {0};
    for (unsigned i = first; i < first + count; i++) {
        struct store_key key = enter(world, i, text);
        struct store_value value = {.data = data, .len = sizeof data};
        store_delete(&world->session, &key); /* epochs are measured in new items */
        assert_int_equal(store_set(&world->session, &key, &value), STORE_OK);
        clock_ms += 10;
    }
}

static uint32_t idle_seconds(struct world *world, unsigned number)
{
    char text[32];
    uint32_t seconds = UINT32_MAX;
    struct store_key key = enter(world, number, text);
    assert_true(store_idle(&world->session, &key, &seconds));
    return seconds;
}

static void idle_time_is_never_more_than_has_passed(enum use_order order)
{
    struct world *world = world_create(1, order, false);
    struct store_value value;
    char text[32];
    set_limit(world, 64 * MIB); /* nobody is evicted */
    uint64_t start_ms = clock_ms;
    let_time_pass(world, 0, 20000);
    uint64_t passed_s = (clock_ms - start_ms) / 1000;
    uint32_t known_s = idle_seconds(world, 0);
    print_message("%s: %u of %u s\n", use_order_name(order), known_s, (unsigned)passed_s);
    assert_true(known_s <= passed_s);
    if (order == USE_LRU || order == USE_S3)
        assert_true(known_s >= passed_s / 2);
    for (unsigned i = 0; i < 20000; i += 97) {
        uint64_t since_s = (clock_ms - start_ms - i * 10) / 1000;
        assert_true(idle_seconds(world, i) <= since_s);
    }
    clock_ms += 5000;
    assert_int_equal(idle_seconds(world, 0), known_s + 5); /* from then on it is kept */
    struct store_key key = enter(world, 0, text);
    assert_true(store_get(&world->session, &key, &value));
    assert_int_equal(idle_seconds(world, 0), 0);
    world_destroy(world);
}

static void idle_time_is_a_lower_bound_under_each_order(void **state)
{
    (void)state;
    idle_time_is_never_more_than_has_passed(USE_S3);
    idle_time_is_never_more_than_has_passed(USE_LRU);
    idle_time_is_never_more_than_has_passed(USE_RANDOM);
    idle_time_is_never_more_than_has_passed(USE_NONE);
}

static void frequency_grows_with_use_and_fades(void **state)
{
    (void)state;
    struct world *world = world_create(1, USE_LFU, false);
    struct store_value value;
    unsigned born, used, faded;
    char text[32];
    set_limit(world, 64 * MIB);
    let_time_pass(world, 0, 1000);
    struct store_key key = enter(world, 999, text);
    assert_true(store_frequency(&world->session, &key, &born));
    for (unsigned i = 0; i < 100; i++)
        assert_true(store_get(&world->session, &key, &value));
    assert_true(store_frequency(&world->session, &key, &used));
    assert_true(used > born && used <= 15);
    for (unsigned i = 0; i < 3; i++) /* all else is replaced */
        let_time_pass(world, 0, 999);
    key = enter(world, 999, text);
    assert_true(store_frequency(&world->session, &key, &faded));
    assert_true(faded < used);
    world_destroy(world);
}

#ifndef EBB_HARD /* whose segments are so small that chance fills and empties them */
static void write_new_keys(struct world *world, unsigned from, unsigned to)
{
    char text[32];
    for (unsigned i = from; i < to; i++) {
        struct store_value value = {.data = fill(world, i, 100), .len = 100};
        struct store_key key = enter(world, i, text);
        assert_int_equal(store_set(&world->session, &key, &value), STORE_OK);
        if (i % 1000 == 0) {
            store_leave(&world->session);
            store_upkeep(world->store);
        }
    }
    store_leave(&world->session);
}

/* Who comes is spread evenly over all segments, so who goes must be: or the index would split here
 * and merge there for ever, and stand half empty. */
static void segments_stay_alike(enum use_order order)
{
    struct world *world = world_create(1, order, false);
    struct store_stats before, after;
    set_limit(world, 16 * MIB);
    write_new_keys(world, 0, 200000); /* more than twice what there is room for */
    store_stats(world->store, &before);
    write_new_keys(world, 200000, 1000000);
    store_stats(world->store, &after);
    uint64_t moved = after.index_moved - before.index_moved;
    print_message("%s: of %zu slots %zu in use, %.1f entries moved a key, %u splits, %u merges\n",
                  use_order_name(order), after.index_slots, after.items, (double)moved / 800000,
                  (unsigned)(after.index_splits - before.index_splits),
                  (unsigned)(after.index_merges - before.index_merges));
    assert_true(after.items * 10 > after.index_slots * 6);
    assert_true(after.index_merges - before.index_merges < 100);
    assert_true(moved < 8 * UINT64_C(800000));
    world_destroy(world);
}

static void eviction_leaves_the_index_as_full_as_it_was(void **state)
{
    (void)state;
    segments_stay_alike(USE_S3);
    segments_stay_alike(USE_LRU);
    segments_stay_alike(USE_RANDOM);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(s3_keeps_the_limit_and_every_byte),
        cmocka_unit_test(lru_and_lfu_do),
        cmocka_unit_test(random_does),
        cmocka_unit_test(volatile_policies_leave_keys_without_a_time),
        cmocka_unit_test(noeviction_refuses),
        cmocka_unit_test(who_can_win_nothing_is_refused_at_once),
        cmocka_unit_test(a_lowered_limit_is_reached_by_upkeep_alone),
        cmocka_unit_test(nobody_is_evicted_while_compaction_can_win_it),
        cmocka_unit_test(the_soonest_to_expire_may_grow_at_the_expense_of_others),
        cmocka_unit_test(room_without_a_limit_can_be_added_to),
        cmocka_unit_test(idle_time_is_a_lower_bound_under_each_order),
        cmocka_unit_test(frequency_grows_with_use_and_fades),
#ifndef EBB_HARD
        cmocka_unit_test(eviction_leaves_the_index_as_full_as_it_was),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
