/* SPDX-License-Identifier: MIT */
/* test_store_threads.c: workers' batches of commands on the same keys, while upkeep expires,
 * compacts and trims. A value says which key it is of and how often that was set: it is whole, and
 * never older than one this worker has seen. For the thread sanitizer above all.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <pthread.h>
#include <time.h>
#include <cmocka.h>

#include "../server/store/store.h"
#include "support/rng.h"
#include "support/twin.h"

#define WORKERS    3u
#define SHARDS     4u
#define KEYS       3000u
#define KEY_BYTES  8u
#define BATCH      16u
#define WORDS_MAX  40u
#define EXPIRES_IN 20

struct bench {
    struct store *store;
    uint64_t versions[KEYS]; /* of the last set: written with the key's shard entered */
    bool is_over;
};

struct worker {
    struct bench *bench;
    struct rng rng;
    pthread_t thread;
    size_t hits;
    uint64_t seen[KEYS];
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void set(struct worker *worker, struct store_session *session, const struct store_key *key,
                unsigned number)
{
    uint64_t words[WORDS_MAX], version = ++worker->bench->versions[number];
    size_t count = 2 + rng_below(&worker->rng, WORDS_MAX - 1);
    for (size_t w = 0; w < count; w++)
        words[w] = w % 2 == 0 ? number : version;
    struct store_value value = {.data = (const char *)words, .len = count * sizeof *words};
    if (rng_once_in(&worker->rng, 4))
        value.expire_ms = session->now_ms + EXPIRES_IN;
    TWIN_REQUIRE(store_set(session, key, &value) == STORE_OK);
}

static void get(struct worker *worker, struct store_session *session, const struct store_key *key,
                unsigned number)
{
    struct store_value value;
    uint64_t words[WORDS_MAX + 1];
    if (!store_get(session, key, &value))
        return;
    worker->hits++;
    TWIN_REQUIRE(value.len >= 2 * sizeof *words && value.len <= sizeof words);
    memcpy(words, value.data, value.len);
    for (size_t w = 0; w < value.len / sizeof *words; w++)
        TWIN_REQUIRE(words[w] == (w % 2 == 0 ? number : words[1]));
    TWIN_REQUIRE(words[1] == worker->bench->versions[number] && words[1] >= worker->seen[number]);
    worker->seen[number] = words[1];
}

static void run_batch(struct worker *worker, struct store_session *session)
{
    struct bench *bench = worker->bench;
    struct store_key keys[BATCH];
    char names[BATCH][KEY_BYTES + 1];
    unsigned numbers[BATCH];
    session->now_ms = now_ms();
    for (unsigned i = 0; i < BATCH; i++) {
        numbers[i] = (unsigned)rng_below(&worker->rng, KEYS);
        snprintf(names[i], sizeof names[i], "%08u", numbers[i]);
        keys[i] = store_key(bench->store, 0, names[i], KEY_BYTES);
    }
    store_expect_keys(session, keys, BATCH);
    for (unsigned i = 0; i < BATCH; i++) {
        store_enter(session, &keys[i]);
        if (rng_once_in(&worker->rng, 3))
            set(worker, session, &keys[i], numbers[i]);
        else if (rng_once_in(&worker->rng, 8))
            store_delete(session, &keys[i]);
        else
            get(worker, session, &keys[i], numbers[i]);
    }
    if (rng_once_in(&worker->rng, 10)) /* as for MGET: all at once */
        store_enter_keys(session, keys, BATCH);
    store_leave(session);
}

static void *work(void *context)
{
    struct worker *worker = context;
    struct store_session session;
    store_session_init(&session, worker->bench->store);
    for (unsigned round = 0; round < SCALED(20000); round++)
        run_batch(worker, &session);
    return NULL;
}

static void *keep_up(void *context)
{
    struct bench *bench = context;
    const struct timespec pause = {.tv_nsec = 200000};
    while (!__atomic_load_n(&bench->is_over, __ATOMIC_ACQUIRE)) {
        struct store_stats stats;
        store_upkeep(bench->store);
        store_stats(bench->store, &stats);
        TWIN_REQUIRE(stats.items <= KEYS);
        nanosleep(&pause, NULL);
    }
    return NULL;
}

static void batches_on_the_same_keys_see_whole_values(void **state)
{
    (void)state;
    static struct bench bench;
    static struct worker workers[WORKERS];
    struct rng rng = rng_start("store threads");
    struct store_config config = {.shard_count = SHARDS, .database_count = 1};
    assert_int_equal(store_create(&bench.store, &config), STORE_OK);
    pthread_t upkeep;
    assert_int_equal(pthread_create(&upkeep, NULL, keep_up, &bench), 0);
    for (unsigned w = 0; w < WORKERS; w++) {
        workers[w] = (struct worker){.bench = &bench, .rng = rng_seeded(rng_next(&rng))};
        assert_int_equal(pthread_create(&workers[w].thread, NULL, work, &workers[w]), 0);
    }
    for (unsigned w = 0; w < WORKERS; w++)
        assert_int_equal(pthread_join(workers[w].thread, NULL), 0);
    __atomic_store_n(&bench.is_over, true, __ATOMIC_RELEASE);
    assert_int_equal(pthread_join(upkeep, NULL), 0);
    for (unsigned w = 0; w < WORKERS; w++)
        assert_true(workers[w].hits > 0);
    assert_int_equal(store_check(bench.store), 0);
    store_destroy(bench.store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_on_the_same_keys_see_whole_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
