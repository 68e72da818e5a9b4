/* SPDX-License-Identifier: MIT */
/* test_room.c: what a write does to others when the store is at its limit: what can never fit costs
 * no key, what was evicted is paid once, and a time takes no second value.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../server/store/store_internal.h"

#define MIB     ((size_t)1 << 20)
#define NOW_MS  UINT64_C(1700000000000)
#define VALUE   500u
#define LIMIT   (32 * MIB)
#define EXPIRES ((int64_t)NOW_MS + 1000000)

struct bench {
    struct store *store;
    struct store_session session;
    char *bytes; /* of values */
};

static uint64_t now_ms(void)
{
    return NOW_MS;
}

static void set_limit(struct bench *bench, enum use_order order)
{
    struct store_limit limit = {
        .pool_bytes = LIMIT, .ahead_bytes = MIB / 4, .compact_bytes = 2 * MIB, .order = order};
    store_leave(&bench->session);
    store_set_limit(bench->store, &limit);
    store_upkeep(bench->store); /* which looks whether the limit is near */
}

static int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    struct store_config config = {
        .shard_count = 1, .database_count = 1, .reserve_bytes = (size_t)1 << 30, .now_ms = now_ms};
    bench->bytes = calloc(1, 2 * LIMIT);
    assert_int_equal(store_create(&bench->store, &config), STORE_OK);
    store_session_init(&bench->session, bench->store);
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;
    store_leave(&bench->session);
    store_destroy(bench->store);
    free(bench->bytes);
    free(bench);
    return 0;
}

static struct store_key enter(struct bench *bench, const char *name)
{
    struct store_key key = store_key(bench->store, 0, name, strlen(name));
    store_enter(&bench->session, &key);
    return key;
}

static int set(struct bench *bench, const char *name, size_t len)
{
    struct store_value value = {.data = bench->bytes, .len = len};
    struct store_key key = enter(bench, name);
    return store_set(&bench->session, &key, &value);
}

static void set_many(struct bench *bench, unsigned from, unsigned count)
{
    char name[24];
    for (unsigned i = from; i < from + count; i++) {
        snprintf(name, sizeof name, "key:%u", i);
        assert_int_equal(set(bench, name, VALUE), STORE_OK);
        if (i % 100 == 0) {
            store_leave(&bench->session);
            store_upkeep(bench->store);
        }
    }
    store_leave(&bench->session);
}

static struct shard *shard_of(struct bench *bench)
{
    return &bench->store->shards[0];
}

static size_t evicted(struct bench *bench)
{
    size_t count = 0;
    for (unsigned reason = 0; reason < STORE_EVICT_REASONS; reason++)
        count += shard_of(bench)->stats.evicted[reason];
    return count;
}

static size_t held(struct bench *bench)
{
    struct ebb_pool_stats pool;
    ebb_pool_stats(bench->store->pool, &pool);
    return pool.span_bytes + pool.idle_bytes + pool.metadata_bytes;
}

static void what_can_never_fit_evicts_nothing(void **state)
{
    struct bench *bench = *state;
    set_limit(bench, USE_LRU);
    set_many(bench, 0, 80000);
    size_t before = evicted(bench), items = shard_of(bench)->index.items;
    assert_true(before > 0);
    assert_int_equal(set(bench, "large", LIMIT + MIB), STORE_ENOMEM);
    assert_int_equal(evicted(bench), before);
    assert_int_equal(shard_of(bench)->index.items, items);
    assert_int_equal(set(bench, "large", LIMIT / 2), STORE_OK);
    assert_true(evicted(bench) > before);
}

/* A new item is paid for ahead, and what the write evicts in the end counts as well: so those that
 * come after have nothing left to pay. */
static void what_is_evicted_is_paid_once(void **state)
{
    struct bench *bench = *state;
    set_limit(bench, USE_LRU);
    set_many(bench, 0, 80000);
    set_limit(bench, USE_LRU);
    assert_int_equal(set(bench, "large", LIMIT / 2), STORE_OK);
    assert_true(shard_of(bench)->evictor.owed_bytes <= (ptrdiff_t)MIB);
    size_t before = evicted(bench);
    set_many(bench, 80000, 1000);
    assert_in_range(evicted(bench) - before, 0, 3000);
}

static void nothing_is_owed_after_a_flush(void **state)
{
    struct bench *bench = *state;
    shard_of(bench)->evictor.owed_bytes = (ptrdiff_t)MIB;
    assert_int_equal(set(bench, "key", VALUE), STORE_OK);
    store_leave(&bench->session);
    store_enter_all(&bench->session);
    store_flush(&bench->session, 0);
    store_leave(&bench->session);
    assert_int_equal(shard_of(bench)->evictor.owed_bytes, 0);
}

/* Bytes of a value whose item ends where a page does. */
static size_t to_the_end_of_a_page(size_t bytes, const char *name)
{
    struct item_meta meta = {.key_len = (uint32_t)strlen(name), .value_len = (uint32_t)bytes};
    return bytes - item_bytes(&meta) % EBB_PAGE_BYTES;
}

static int expire(struct bench *bench, const char *name, int64_t expire_ms)
{
    struct store_key key = enter(bench, name);
    return store_set_expire(&bench->session, &key, expire_ms);
}

static void look(struct bench *bench, const char *name, size_t len, int64_t expire_ms)
{
    struct store_value value;
    struct store_key key = enter(bench, name);
    assert_true(store_peek(&bench->session, &key, &value));
    assert_int_equal(value.len, len);
    assert_int_equal(value.expire_ms, expire_ms);
    assert_memory_equal(value.data, bench->bytes, len);
}

static void a_time_takes_no_second_value(void **state)
{
    struct bench *bench = *state;
    size_t len = to_the_end_of_a_page(20 * MIB, "large");
    for (size_t i = 0; i < 2 * LIMIT; i++)
        bench->bytes[i] = (char)(i * 31 >> 8);
    set_limit(bench, USE_NONE);
    assert_int_equal(set(bench, "large", len), STORE_OK);
    assert_int_equal(set(bench, "behind", 70000), STORE_OK); /* so that it can't just be extended */
    size_t before = held(bench);
    assert_true(expire(bench, "large", EXPIRES));
    assert_in_range(held(bench), before, before + 5 * MIB);
    look(bench, "large", len, EXPIRES);
    assert_true(expire(bench, "large", 0));
    look(bench, "large", len, 0);
    assert_int_equal(ebb_heap_check(shard_of(bench)->items), 0);
}

static void nor_does_one_that_is_being_read(void **state)
{
    struct bench *bench = *state;
    size_t len = 20 * MIB;
    struct store_pin pin;
    struct store_value value;
    set_limit(bench, USE_NONE);
    assert_int_equal(set(bench, "large", len), STORE_OK);
    struct store_key key = enter(bench, "large");
    assert_true(store_get(&bench->session, &key, &value));
    assert_true(store_pin(&bench->session, &key, &value, &pin));
    size_t before = held(bench);
    assert_false(expire(bench, "large", EXPIRES)); /* there is no room for it twice */
    assert_int_equal(held(bench), before);
    look(bench, "large", len, 0);
    set_limit(bench, USE_LRU);
    assert_false(expire(bench, "large", EXPIRES)); /* and it is not evicted for itself */
    look(bench, "large", len, 0);
    store_leave(&bench->session);
    store_unpin(&bench->session, &pin, 1);
    assert_true(expire(bench, "large", EXPIRES));
    look(bench, "large", len, EXPIRES);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_can_never_fit_evicts_nothing), TEST(what_is_evicted_is_paid_once),
        TEST(nothing_is_owed_after_a_flush),     TEST(a_time_takes_no_second_value),
        TEST(nor_does_one_that_is_being_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
