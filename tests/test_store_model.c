/* SPDX-License-Identifier: MIT */
/* test_store_model.c: the store against a stupid twin: an array with a slot for every key there can
 * be. Random commands, times, scans, flushes and upkeep between; replies and totals are compared.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../server/store/index.h"
#include "../server/store/store.h"

#define DATABASES 3u
#define KEYS      700u /* in each database */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(EBB_HARD)
#define STEPS 60000u
#else
#define STEPS 1000000u
#endif

struct twin {
    bool is_set;
    uint32_t len, seed; /* bytes are a function of seed */
    int64_t expire_ms;
    uint32_t flags;
    uint64_t cas; /* 0: nobody asked */
    unsigned marks;
    uint32_t access_s; /* 0: not kept */
};

struct world {
    struct store *store;
    struct store_session session;
    struct twin twin[DATABASES][KEYS];
    uint64_t random;
    char bytes[400000];
};

/* The store takes a function without context for its clock. */
static uint64_t clock_ms = 1000000;

static uint64_t fake_now_ms(void)
{
    return clock_ms;
}

static uint32_t rnd(struct world *world, uint32_t below)
{
    world->random = world->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(world->random >> 33) % below;
}

static const char *fill(struct world *world, uint32_t seed, size_t len)
{
    for (size_t i = 0; i < len; i++)
        world->bytes[i] = (char)(seed + i * 31);
    return world->bytes;
}

static size_t key_text(char *text, unsigned number)
{
    return (size_t)sprintf(text, "%s:%u",
                           number % 5 == 0 ? "a-rather-longer-key-for-the-model" : "k", number);
}

static bool is_alive(const struct twin *twin)
{
    return twin->is_set && (twin->expire_ms == 0 || twin->expire_ms > (int64_t)clock_ms);
}

static uint32_t some_len(struct world *world)
{
    switch (rnd(world, 40)) {
    case 0:
        return rnd(world, 300000);
    case 1:
        return rnd(world, 70000);
    default:
        return rnd(world, 300);
    }
}

static int64_t some_expiry(struct world *world)
{
    return rnd(world, 3) == 0 ? (int64_t)clock_ms + 1 + rnd(world, 5000) : 0;
}

static void compare(struct world *world, const struct twin *twin, const struct store_value *value)
{
    assert_int_equal(value->len, twin->len);
    assert_int_equal(value->expire_ms, twin->expire_ms);
    assert_int_equal(value->flags, twin->flags);
    assert_int_equal(value->marks, twin->marks);
    assert_int_equal(value->access_s, twin->access_s);
    assert_true(twin->cas == 0 || value->cas == twin->cas);
    assert_memory_equal(value->data, fill(world, twin->seed, twin->len), twin->len);
}

/* ---- commands ---- */

static void do_get(struct world *world, const struct store_key *key, struct twin *twin)
{
    struct store_value value;
    bool found = store_get(&world->session, key, &value);
    assert_int_equal(found, is_alive(twin));
    if (!found)
        return;
    compare(world, twin, &value);
    twin->marks |= STORE_FETCHED;
    if (twin->access_s != 0)
        twin->access_s = (uint32_t)(clock_ms / 1000);
}

static void do_set(struct world *world, const struct store_key *key, struct twin *twin)
{
    struct twin next = {.is_set = true, .len = some_len(world), .seed = rnd(world, 255)};
    next.expire_ms = some_expiry(world);
    next.flags = rnd(world, 4) == 0 ? rnd(world, 1000) : 0;
    struct store_value value = {.len = next.len, .expire_ms = next.expire_ms, .flags = next.flags};
    value.data = fill(world, next.seed, next.len);
    if (rnd(world, 5) == 0) {
        next.expire_ms = is_alive(twin) ? twin->expire_ms : 0;
        value.expire_ms = STORE_KEEP_TTL;
    }
    next.access_s = is_alive(twin) && twin->access_s != 0 ? (uint32_t)(clock_ms / 1000) : 0;
    if (rnd(world, 5) == 0) {
        next.marks = rnd(world, STORE_FETCHED);
        next.cas = rnd(world, 2) == 0 ? UINT64_MAX - rnd(world, 100) : 0;
        assert_int_equal(store_set_marked(&world->session, key, &value, next.marks, next.cas),
                         STORE_OK);
    } else {
        assert_int_equal(store_set(&world->session, key, &value), STORE_OK);
    }
    *twin = next;
}

/* Continues the pattern of the present value, so that the twin's seed still describes it; from its
 * end on, or from a place before. */
static void do_append(struct world *world, const struct store_key *key, struct twin *twin)
{
    struct store_value old = {.data = "", .len = 0};
    bool exists = store_peek(&world->session, key, &old);
    assert_int_equal(exists, is_alive(twin));
    if (!exists)
        *twin = (struct twin){.is_set = true, .seed = rnd(world, 255)};
    uint32_t more = some_len(world) / 4;
    uint32_t kept = rnd(world, 3) == 0 ? rnd(world, twin->len + 1) : twin->len;
    if (kept + more > sizeof world->bytes)
        return;
    const char *tail = fill(world, twin->seed, kept + more) + kept;
    assert_int_equal(store_join(&world->session, key, old.data, kept, tail, more), STORE_OK);
    twin->len = kept + more;
    twin->cas = 0;
    twin->marks = 0;
    if (twin->access_s != 0)
        twin->access_s = (uint32_t)(clock_ms / 1000);
}

static void do_delete(struct world *world, const struct store_key *key, struct twin *twin)
{
    assert_int_equal(store_delete(&world->session, key), is_alive(twin));
    twin->is_set = false;
}

static void do_expire(struct world *world, const struct store_key *key, struct twin *twin)
{
    int64_t expire_ms = some_expiry(world);
    if (rnd(world, 10) == 0)
        expire_ms = (int64_t)clock_ms - 1;
    assert_int_equal(store_set_expire(&world->session, key, expire_ms), is_alive(twin));
    if (is_alive(twin))
        twin->expire_ms = expire_ms;
}

static void do_cas(struct world *world, const struct store_key *key, struct twin *twin)
{
    if (twin->cas != 0 && is_alive(twin))
        assert_true(store_cas_matches(&world->session, key, twin->cas));
    uint64_t unique = store_cas_unique(&world->session, key);
    assert_int_equal(unique != 0, is_alive(twin));
    if (twin->cas != 0 && unique != 0)
        assert_int_equal(unique, twin->cas);
    if (unique != 0)
        twin->cas = unique;
    assert_false(store_cas_matches(&world->session, key, unique + 1));
}

static void do_mark(struct world *world, const struct store_key *key, struct twin *twin)
{
    unsigned set = rnd(world, STORE_FETCHED), clear = rnd(world, STORE_FETCHED);
    assert_int_equal(store_mark(&world->session, key, set, clear), is_alive(twin));
    if (is_alive(twin))
        twin->marks = (twin->marks & ~clear) | set;
}

static void do_set_cas(struct world *world, const struct store_key *key, struct twin *twin)
{
    uint64_t unique = rnd(world, 2) == 0 ? UINT64_MAX - rnd(world, 100) : 0;
    assert_int_equal(store_set_cas(&world->session, key, unique), is_alive(twin));
    if (is_alive(twin))
        twin->cas = unique;
}

static void do_keep_access(struct world *world, const struct store_key *key, struct twin *twin)
{
    assert_int_equal(store_keep_access(&world->session, key), is_alive(twin));
    if (is_alive(twin) && twin->access_s == 0)
        twin->access_s = (uint32_t)(clock_ms / 1000);
}

/* Nobody is evicted here, so there is no order to know more from. */
static void do_idle(struct world *world, const struct store_key *key, struct twin *twin)
{
    uint32_t now_s = (uint32_t)(clock_ms / 1000), seconds = 77;
    assert_int_equal(store_idle(&world->session, key, &seconds), is_alive(twin));
    if (is_alive(twin) && twin->access_s == 0)
        twin->access_s = now_s;
    assert_int_equal(seconds, is_alive(twin) ? now_s - twin->access_s : 77);
}

static void do_look(struct world *world, const struct store_key *key, struct twin *twin)
{
    struct store_value value;
    unsigned frequency;
    assert_int_equal(store_look(&world->session, key, &value), is_alive(twin));
    if (is_alive(twin))
        compare(world, twin, &value);
    assert_int_equal(store_frequency(&world->session, key, &frequency), is_alive(twin));
    assert_int_equal(is_alive(twin) ? frequency : 0, 0);
}

/* ---- everything ---- */

struct seen {
    struct world *world;
    unsigned database;
    uint8_t count[KEYS];
};

static void see(void *context, const char *key, size_t key_len, const struct store_value *value)
{
    struct seen *seen = context;
    char text[64];
    memcpy(text, key, key_len);
    text[key_len] = 0;
    unsigned number = (unsigned)atoi(strchr(text, ':') + 1);
    const struct twin *twin = &seen->world->twin[seen->database][number];
    assert_true(is_alive(twin));
    compare(seen->world, twin, value);
    seen->count[number]++;
}

static void do_scan(struct world *world)
{
    struct seen seen = {.world = world, .database = rnd(world, DATABASES)};
    uint64_t cursor = 0;
    do {
        cursor = store_scan(&world->session, seen.database, cursor, rnd(world, 50), see, &seen);
        assert_true(cursor < UINT64_C(1) << 53);
    } while (cursor != 0);
    for (unsigned k = 0; k < KEYS; k++)
        assert_int_equal(seen.count[k], is_alive(&world->twin[seen.database][k]));
}

static void do_random(struct world *world)
{
    struct seen seen = {.world = world, .database = rnd(world, DATABASES)};
    unsigned alive = 0, given = 0;
    bool found = store_random(&world->session, seen.database, see, &seen);
    for (unsigned k = 0; k < KEYS; k++) {
        alive += is_alive(&world->twin[seen.database][k]);
        given += seen.count[k];
    }
    assert_int_equal(found, alive > 0);
    assert_int_equal(given, found);
}

static void do_flush(struct world *world)
{
    unsigned database = rnd(world, DATABASES + 1);
    store_flush(&world->session, database == DATABASES ? STORE_ALL_DATABASES : database);
    for (unsigned d = 0; d < DATABASES; d++)
        if (database == DATABASES || d == database)
            memset(world->twin[d], 0, sizeof world->twin[d]);
}

static void check_totals(struct world *world)
{
    struct store_stats stats;
    store_leave(&world->session);
    assert_int_equal(store_check(world->store), 0);
    store_stats(world->store, &stats);
    size_t known = 0;
    for (unsigned d = 0; d < DATABASES; d++)
        known += store_count(world->store, d);
    assert_int_equal(stats.items, known);
}

static void step(struct world *world)
{
    unsigned database = rnd(world, DATABASES), number = rnd(world, KEYS);
    struct twin *twin = &world->twin[database][number];
    char text[64];
    size_t len = key_text(text, number);
    struct store_key key = store_key(world->store, database, text, len);
    store_enter(&world->session, &key);
    unsigned what = rnd(world, 100);
    if (what < 36)
        do_get(world, &key, twin);
    else if (what < 38)
        do_look(world, &key, twin);
    else if (what < 39)
        do_idle(world, &key, twin);
    else if (what < 70)
        do_set(world, &key, twin);
    else if (what < 76)
        do_append(world, &key, twin);
    else if (what < 87)
        do_delete(world, &key, twin);
    else if (what < 91)
        do_expire(world, &key, twin);
    else if (what < 94)
        do_mark(world, &key, twin);
    else if (what < 96)
        do_set_cas(world, &key, twin);
    else if (what < 97)
        do_keep_access(world, &key, twin);
    else
        do_cas(world, &key, twin);
}

static void run_model(unsigned shards, uint64_t seed)
{
    struct world *world = calloc(1, sizeof *world);
    struct store_config config = {.shard_count = shards,
                                  .database_count = DATABASES,
                                  .reserve_bytes = (size_t)4 << 30,
                                  .now_ms = fake_now_ms};
    print_message("seed %llu, %u shards\n", (unsigned long long)seed, shards);
    world->random = seed;
    assert_int_equal(store_create(&world->store, &config), STORE_OK);
    store_session_init(&world->session, world->store);
    for (unsigned i = 0; i < STEPS; i++) {
        world->session.now_ms = (int64_t)clock_ms;
        step(world);
        if (rnd(world, 10) == 0) {
            clock_ms += rnd(world, 20);
            store_leave(&world->session);
            store_upkeep(world->store);
        }
        world->session.now_ms = (int64_t)clock_ms;
        if (rnd(world, 2000) == 0)
            do_scan(world);
        if (rnd(world, 500) == 0)
            do_random(world);
        if (rnd(world, 20000) == 0)
            do_flush(world);
        if (rnd(world, STEPS / 40) == 0) {
            store_purge(&world->session);
            check_totals(world);
        }
    }
    check_totals(world);
    store_destroy(world->store);
    free(world);
}

static void store_agrees_with_its_twin(void **state)
{
    (void)state;
    run_model(1, 20261123);
}

static void store_agrees_with_its_twin_in_shards(void **state)
{
    (void)state;
    run_model(8, 8);
}

/* index.h loads buckets as whole cache lines. */
static void buckets_lie_in_cache_lines(void **state)
{
    (void)state;
#ifdef EBB_HARD /* there segments are so small that their classes are no multiples of a line */
    skip();
#endif
    for (unsigned step = 0; step < SEGMENT_STEPS; step++) {
        size_t bytes = step_buckets(step) * BUCKET_SLOTS * sizeof(uint64_t);
        assert_int_equal(ebb_round_bytes(bytes) % 64, 0);
    }
}

/* ---- a flush that waits for its time ---- */

static struct store_session *replacer; /* whose next flush is ordered at the second look */
static unsigned clock_looks;

/* The second look comes after upkeep has seen that a flush is due and before it takes it. */
static uint64_t replacing_now_ms(void)
{
    if (replacer != NULL && ++clock_looks == 2)
        store_flush_at(replacer, (int64_t)clock_ms + 1000);
    return clock_ms;
}

static void a_flush_ordered_while_one_comes_due_is_kept(void **state)
{
    (void)state;
    struct store_config config = {.shard_count = 1,
                                  .database_count = 1,
                                  .reserve_bytes = (size_t)1 << 30,
                                  .now_ms = replacing_now_ms};
    struct store *store;
    struct store_session session;
    assert_int_equal(store_create(&store, &config), STORE_OK);
    store_session_init(&session, store);
    store_flush_at(&session, (int64_t)clock_ms);
    replacer = &session;
    store_upkeep(store);
    replacer = NULL;
    struct store_key key = store_key(store, 0, "a", 1);
    struct store_value value = {.data = "1", .len = 1};
    store_enter(&session, &key);
    assert_int_equal(store_set(&session, &key, &value), STORE_OK);
    store_leave(&session);
    store_upkeep(store);
    assert_int_equal(store_count(store, 0), 1);
    clock_ms += 1000;
    store_upkeep(store);
    assert_int_equal(store_count(store, 0), 0);
    store_destroy(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(store_agrees_with_its_twin),
        cmocka_unit_test(store_agrees_with_its_twin_in_shards),
        cmocka_unit_test(buckets_lie_in_cache_lines),
        cmocka_unit_test(a_flush_ordered_while_one_comes_due_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
