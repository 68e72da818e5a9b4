/* SPDX-License-Identifier: MIT */
/* test_metrics.c: what HTTP shows, over a real store: both formats of /metrics, the parts of
 * resident memory, the page and the routes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>
#include <unistd.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include <cmocka.h>

#include "../server/admin/admin.h"
#include "../server/cmd/cmd.h"
#include "../server/options.h"
#include "../server/store/store.h"
#include "support/expo.h"

#define MIB         ((size_t)1 << 20)
#define STALE_US    250000 /* a sample older than this is taken anew */
#define OPENMETRICS "application/openmetrics-text;version=1.0.0"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED true /* shadow memory is everywhere and has no name */
#else
#define IS_SANITIZED false
#endif

struct fixture {
    struct options options;
    struct counters counters;
    struct service service;
    struct store_session session;
    struct admin *admin;
};

static void sum_counters(void *server, struct counters *sum)
{
    struct fixture *fixture = server;
    counters_sum(sum, &fixture->counters);
}

static void do_nothing(void *server)
{
    (void)server;
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    struct store_config config = {.shard_count = 2, .database_count = 16};
    if (fixture == NULL || store_create(&fixture->service.store, &config) != STORE_OK)
        return -1;
    options_init(&fixture->options);
    fixture->service.options = &fixture->options;
    fixture->service.start_ms = 1700000000250;
    fixture->service.server = fixture;
    fixture->service.counters = fixture->service.counters_total = sum_counters;
    fixture->service.options_lock = fixture->service.options_unlock = do_nothing;
    store_session_init(&fixture->session, fixture->service.store);
    *state = fixture;
    return admin_create(&fixture->admin, &fixture->service);
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    admin_destroy(fixture->admin);
    store_destroy(fixture->service.store);
    options_release(&fixture->options);
    free(fixture);
    return 0;
}

/* ---- acting ---- */

static struct store_key key_of(struct fixture *fixture, char *name, size_t size, size_t number)
{
    int len = snprintf(name, size, "key:%08zu", number);
    return store_key(fixture->service.store, number % 3 == 0 ? 5 : 0, name, (size_t)len);
}

static void fill(struct fixture *fixture, size_t from, size_t to, size_t bytes)
{
    char name[32], *data = malloc(bytes);
    memset(data, 'v', bytes);
    for (size_t i = from; i < to; i++) {
        struct store_key key = key_of(fixture, name, sizeof name, i);
        struct store_value value = {.data = data, .len = bytes};
        store_enter(&fixture->session, &key);
        assert_int_equal(store_set(&fixture->session, &key, &value), STORE_OK);
        store_leave(&fixture->session);
    }
    free(data);
}

static bool read_back(struct fixture *fixture, size_t number)
{
    char name[32];
    struct store_value value;
    struct store_key key = key_of(fixture, name, sizeof name, number);
    store_enter(&fixture->session, &key);
    bool is_there = store_get(&fixture->session, &key, &value);
    store_leave(&fixture->session);
    return is_there;
}

/* Memory of malloc that is in use: the compiler must not see through it. */
static void *__attribute__((noinline)) touched(size_t bytes)
{
    volatile char *memory = malloc(bytes);
    for (size_t i = 0; i < bytes; i += 512)
        memory[i] = 1;
    return (void *)memory;
}

static struct ebb_slice slice_of(const char *text)
{
    return (struct ebb_slice){text, strlen(text)};
}

/* The whole response, to be freed. */
static char *request(struct fixture *fixture, enum ebb_http_method method, const char *path,
                     const char *accept)
{
    struct ebb_buf out;
    struct ebb_http_request request = {
        .method = method,
        .path = slice_of(path),
        .query = slice_of(""),
        .accept = slice_of(accept),
        .keep_alive = true,
    };
    ebb_buf_init(&out, 16 * MIB);
    admin_respond(fixture->admin, &request, &out);
    assert_false(out.failed);
    char *text = strndup(ebb_buf_data(&out), ebb_buf_len(&out));
    ebb_buf_release(&out);
    return text;
}

static const char *body_of(const char *response)
{
    const char *end = strstr(response, "\r\n\r\n");
    assert_non_null(end);
    return end + 4;
}

static void scrape_path(struct fixture *fixture, const char *path, bool is_openmetrics,
                        struct expo *expo)
{
    char *response = request(fixture, EBB_HTTP_GET, path, is_openmetrics ? OPENMETRICS : "");
    const char *body = body_of(response);
    bool is_good = expo_parse(expo, body, strlen(body), is_openmetrics);
    if (!is_good)
        print_error("%s\n", expo->error);
    assert_true(is_good);
    free(response);
}

static void scrape(struct fixture *fixture, bool is_openmetrics, struct expo *expo)
{
    scrape_path(fixture, "/metrics", is_openmetrics, expo);
}

static double value_now(struct fixture *fixture, const char *name, const char *labels)
{
    struct expo expo;
    scrape(fixture, false, &expo);
    double value = expo_value(&expo, name, labels);
    if (isnan(value))
        print_error("no %s{%s}\n", name, labels);
    expo_release(&expo);
    return value;
}

static void assert_value(struct fixture *fixture, const char *name, const char *labels,
                         double expected)
{
    double value = value_now(fixture, name, labels);
    if (value != expected)
        print_error("%s{%s} is %g, not %g\n", name, labels, value, expected);
    assert_true(value == expected);
}

/* Reading the classes is put off when it was dear, and any reading is when we are held up in it. */
static void assert_class_value(struct fixture *fixture, const char *name, const char *labels,
                               double expected)
{
    for (int tries = 0; tries < 100 && value_now(fixture, name, labels) != expected; tries++)
        usleep(100000);
    assert_value(fixture, name, labels, expected);
}

/* ---- formats ---- */

static void metrics_are_well_formed_from_the_start(void **state)
{
    for (int i = 0; i < 2; i++) {
        struct expo expo;
        scrape(*state, i == 1, &expo);
        assert_true(expo.count > 300);
        expo_release(&expo);
    }
}

static void assert_has_series_of(const struct expo *expo, const struct expo *other)
{
    for (size_t i = 0; i < other->count; i++) {
        const struct expo_sample *sample = &other->samples[i];
        if (isnan(expo_value(expo, sample->name, sample->labels)))
            print_error("missing: %s{%s}\n", sample->name, sample->labels);
        assert_false(isnan(expo_value(expo, sample->name, sample->labels)));
    }
}

static void metrics_are_the_same_in_both_formats(void **state)
{
    struct expo text, openmetrics;
    fill(*state, 0, 100, 50);
    fill(*state, 100, 103, 200000);
    scrape(*state, false, &text);
    scrape(*state, true, &openmetrics);
    assert_int_equal(text.count, openmetrics.count);
    assert_has_series_of(&text, &openmetrics);
    expo_release(&text);
    expo_release(&openmetrics);
}

static void metrics_pass_promtool(void **state)
{
    if (system("command -v promtool >/dev/null 2>&1") != 0)
        skip();
    fill(*state, 0, 1000, 100);
    char *response = request(*state, EBB_HTTP_GET, "/metrics", "");
    FILE *promtool = popen("said=$(promtool check metrics 2>&1); result=$?; "
                           "test -z \"$said\" || echo \"$said\" >&2; "
                           "test $result = 0 && test -z \"$said\"",
                           "w");
    assert_non_null(promtool);
    fputs(body_of(response), promtool);
    assert_int_equal(pclose(promtool), 0);
    free(response);
}

static void metrics_series_never_disappear(void **state)
{
    struct fixture *fixture = *state;
    struct expo before, full, after;
    scrape(fixture, false, &before);
    fill(fixture, 0, 1000, 10);
    fill(fixture, 1000, 1010, 5000);
    fill(fixture, 1010, 1012, 100000);
    scrape(fixture, false, &full);
    assert_has_series_of(&full, &before);
    assert_int_equal(full.count, before.count); /* nor appear */
    assert_false(isnan(expo_value(&full, "ebb_slots", "class=\"large\",state=\"used\"")));
    store_flush(&fixture->session, STORE_ALL_DATABASES);
    store_purge(&fixture->session);
    scrape(fixture, false, &after);
    assert_has_series_of(&after, &full);
    assert_true(expo_sum(&after, "ebb_items") == 0);
    expo_release(&before);
    expo_release(&full);
    expo_release(&after);
}

/* ---- figures ---- */

static void metrics_follow_the_store(void **state)
{
    struct fixture *fixture = *state;
    fill(fixture, 0, 300, 100);
    fill(fixture, 300, 302, 100000);
    assert_true(read_back(fixture, 7));
    assert_true(read_back(fixture, 8));
    assert_false(read_back(fixture, 999999));
    admin_sample(fixture->admin, false);
    struct expo expo;
    scrape(fixture, false, &expo);
    assert_true(expo_value(&expo, "ebb_items", "db=\"0\"") == 201);
    assert_true(expo_value(&expo, "ebb_items", "db=\"5\"") == 101);
    assert_true(expo_value(&expo, "ebb_items", "db=\"15\"") == 0);
    assert_true(expo_sum(&expo, "ebb_items_with_ttl") == 0);
    assert_true(expo_value(&expo, "ebb_lookups_total", "") == 3);
    assert_true(expo_value(&expo, "ebb_lookup_hits_total", "") == 2);
    assert_true(expo_value(&expo, "ebb_item_sets_total", "") == 302);
    assert_true(expo_value(&expo, "ebb_large_values", "") == 2);
    assert_true(expo_value(&expo, "ebb_index_entries", "") == 302);
    double live = 302 * 12 + 300 * 100 + 2 * 100000;
    assert_true(expo_value(&expo, "ebb_memory_live_bytes", "") == live);
    assert_true(expo_value(&expo, "ebb_memory_live_peak_bytes", "") >= live);
    assert_true(expo_value(&expo, "ebb_memory_resident_bytes", "part=\"live\"") == live);
    assert_true(expo_value(&expo, "process_start_time_seconds", "") == 1700000000.25);
    expo_release(&expo);
}

static void metrics_tell_slots_by_class(void **state)
{
    struct fixture *fixture = *state;
    static const char labels[] = "class=\"1024\""; /* the group of slots up to 1 KiB */
    fill(fixture, 1, 3, 1000);                     /* of one database, so with the same header */
    fill(fixture, 4, 6, 1000);
    assert_class_value(fixture, "ebb_slots", "class=\"1024\",state=\"used\"", 4);
    assert_value(fixture, "ebb_slot_size_bytes", labels, 1024);
    assert_value(fixture, "ebb_allocations_total", labels, 4);
    store_flush(&fixture->session, STORE_ALL_DATABASES);
    assert_class_value(fixture, "ebb_frees_total", labels, 4);
    assert_value(fixture, "ebb_allocations_total", labels, 4);
}

static void metrics_show_the_counters(void **state)
{
    struct fixture *fixture = *state;
    struct counters *counters = &fixture->counters;
    counters->resp_commands[COMMAND_GET] = 11;
    counters->resp_errors[COMMAND_SET] = 12;
    counters->resp_ns[COMMAND_GET] = 1500000000;
    counters->resp_unknown = 13;
    counters->mc_commands[EBB_MC_TOUCH] = 14;
    counters->connections[PROTOCOL_MEMCACHED] = 15;
    counters->closed[CLOSE_BUFFER_LIMIT] = 16;
    counters->received_bytes[PROTOCOL_HTTP] = 17;
    counters->output_bytes = 18;
    counters_record(counters, FAMILY_WRITE, 60000, 1);
    counters_record(counters, FAMILY_WRITE, 2000000, 1);
    struct expo expo;
    scrape(fixture, true, &expo);
    assert_true(expo_value(&expo, "ebb_commands_total", "protocol=\"resp\",cmd=\"get\"") == 11);
    assert_true(expo_value(&expo, "ebb_command_errors_total", "protocol=\"resp\",cmd=\"set\"") ==
                12);
    assert_true(expo_value(&expo, "ebb_command_seconds_total", "protocol=\"resp\",cmd=\"get\"") ==
                1.5);
    assert_true(expo_value(&expo, "ebb_commands_total", "protocol=\"resp\",cmd=\"unknown\"") == 13);
    assert_true(expo_value(&expo, "ebb_commands_total", "protocol=\"memcached\",cmd=\"touch\"") ==
                14);
    assert_true(expo_value(&expo, "ebb_connections", "protocol=\"memcached\"") == 15);
    assert_true(expo_value(&expo, "ebb_connections_closed_total", "reason=\"buffer_limit\"") == 16);
    assert_true(expo_value(&expo, "ebb_network_receive_bytes_total", "protocol=\"http\"") == 17);
    assert_true(expo_value(&expo, "ebb_buffer_bytes", "direction=\"out\"") == 18);
    const char *duration = "ebb_command_duration_seconds_bucket";
    assert_true(expo_value(&expo, duration, "family=\"write\",le=\"5e-05\"") == 0);
    assert_true(expo_value(&expo, duration, "family=\"write\",le=\"0.0001\"") == 1);
    assert_true(expo_value(&expo, duration, "family=\"write\",le=\"0.0025\"") == 2);
    assert_true(expo_value(&expo, duration, "family=\"write\",le=\"+Inf\"") == 2);
    assert_true(expo_value(&expo, "ebb_command_duration_seconds_sum", "family=\"write\"") ==
                0.00206);
    expo_release(&expo);
}

static void metrics_show_how_long_requests_and_turns_take(void **state)
{
    struct fixture *fixture = *state;
    counters_record_requests(&fixture->counters, PROTOCOL_MEMCACHED, 2000, 3);
    counters_record_stall(&fixture->counters, 300000);
    struct expo expo;
    scrape(fixture, true, &expo);
    const char *bucket = "ebb_request_duration_seconds_bucket";
    assert_true(expo_value(&expo, bucket, "protocol=\"memcached\",le=\"1e-06\"") == 0);
    assert_true(expo_value(&expo, bucket, "protocol=\"memcached\",le=\"2.5e-06\"") == 3);
    assert_true(expo_value(&expo, bucket, "protocol=\"resp\",le=\"+Inf\"") == 0);
    assert_true(expo_value(&expo, "ebb_loop_stall_seconds_bucket", "le=\"0.00025\"") == 0);
    assert_true(expo_value(&expo, "ebb_loop_stall_seconds_bucket", "le=\"0.0005\"") == 1);
    assert_true(expo_value(&expo, "ebb_loop_stall_seconds_sum", "") == 0.0003);
    expo_release(&expo);
}

static void metrics_count_the_sizes_of_values(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        size_t bytes;
        const char *le;
    } rows[] = {{1, "64.0"},        {64, "64.0"},       {65, "256.0"},
                {256, "256.0"},     {257, "1024.0"},    {1024, "1024.0"},
                {16384, "16384.0"}, {16385, "65536.0"}, {17000000, "+Inf"}};
    double sum = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char labels[32];
        fill(fixture, 1, 2, rows[i].bytes); /* the same key: overwriting counts as well */
        sum += (double)rows[i].bytes;
        struct expo expo;
        scrape(fixture, false, &expo);
        size_t at_most = 0;
        for (size_t j = 0; j <= i; j++)
            at_most += strcmp(rows[j].le, rows[i].le) == 0 || j < i;
        snprintf(labels, sizeof labels, "le=\"%s\"", rows[i].le);
        assert_true(expo_value(&expo, "ebb_value_size_bytes_bucket", labels) == (double)at_most);
        assert_true(expo_value(&expo, "ebb_value_size_bytes_count", "") == (double)(i + 1));
        assert_true(expo_value(&expo, "ebb_value_size_bytes_sum", "") == sum);
        expo_release(&expo);
    }
}

/* ---- the exporters' names ---- */

static void compat_is_well_formed_in_both_formats(void **state)
{
    static const char *const paths[] = {"/metrics/redis", "/metrics/memcached"};
    for (size_t i = 0; i < 4; i++) {
        struct expo expo;
        scrape_path(*state, paths[i / 2], i % 2 == 1, &expo);
        assert_true(expo.count > 100);
        expo_release(&expo);
    }
}

static void compat_shows_redis_what_it_knows(void **state)
{
    struct fixture *fixture = *state;
    struct counters *counters = &fixture->counters;
    fill(fixture, 0, 30, 1000); /* ten of them in database 5 */
    read_back(fixture, 1);
    read_back(fixture, 999);
    counters->resp_commands[COMMAND_GET] = 7;
    counters->resp_errors[COMMAND_GET] = 5;
    counters->resp_rejected[COMMAND_GET] = 2;
    counters->connections[PROTOCOL_RESP] = 3;
    counters->connections[PROTOCOL_MEMCACHED] = 1;
    counters->connections[PROTOCOL_HTTP] = 9;
    fixture->options.maxmemory = 1000000;
    fixture->service.limits.limit_bytes = 900000; /* as it is set, not as pressure has it */
    admin_sample(fixture->admin, false);
    struct expo expo;
    scrape_path(fixture, "/metrics/redis", false, &expo);
    assert_true(expo_value(&expo, "redis_up", "") == 1);
    assert_true(expo_value(&expo, "redis_connected_clients", "") == 4);
    assert_true(expo_value(&expo, "redis_memory_max_bytes", "") == 1000000);
    assert_true(expo_value(&expo, "redis_config_maxmemory", "") == 1000000);
    assert_true(expo_value(&expo, "redis_memory_used_dataset_bytes", "") == 30 * 1012);
    assert_true(expo_value(&expo, "redis_memory_used_bytes", "") > 30 * 1012);
    assert_true(expo_value(&expo, "redis_memory_used_rss_bytes", "") >
                expo_value(&expo, "redis_memory_used_bytes", ""));
    double active = expo_value(&expo, "redis_allocator_active_bytes", "");
    assert_true(expo_value(&expo, "redis_allocator_frag_bytes", "") ==
                active - expo_value(&expo, "redis_allocator_allocated_bytes", ""));
    assert_true(expo_value(&expo, "redis_allocator_rss_bytes", "") ==
                expo_value(&expo, "redis_allocator_resident_bytes", "") - active);
    assert_true(expo_value(&expo, "redis_allocator_frag_ratio", "") >= 1);
    assert_true(expo_value(&expo, "redis_allocator_rss_ratio", "") >= 1);
    assert_true(expo_value(&expo, "redis_db_keys", "db=\"db0\"") == 20);
    assert_true(expo_value(&expo, "redis_db_keys", "db=\"db5\"") == 10);
    assert_true(expo_value(&expo, "redis_keyspace_hits_total", "") == 1);
    assert_true(expo_value(&expo, "redis_keyspace_misses_total", "") == 1);
    assert_true(expo_value(&expo, "redis_commands_total", "cmd=\"get\"") == 7);
    assert_true(expo_value(&expo, "redis_commands_failed_calls_total", "cmd=\"get\"") == 3);
    assert_true(expo_value(&expo, "redis_commands_rejected_calls_total", "cmd=\"get\"") == 2);
    expo_release(&expo);
}

static void compat_shows_memcached_what_it_knows(void **state)
{
    struct fixture *fixture = *state;
    fill(fixture, 1, 3, 1000);
    fixture->counters.mc_get_hits = 11;
    fixture->counters.mc_cas_badval = 12;
    fixture->counters.mc_commands[EBB_MC_SET] = 13;
    fixture->counters.mc_commands[EBB_MC_ADD] = 1;
    fixture->counters.connections[PROTOCOL_MEMCACHED] = 2;
    fixture->service.limits.limit_bytes = 900000;
    struct expo expo;
    assert_class_value(fixture, "ebb_slots", "class=\"1024\",state=\"used\"", 2);
    scrape_path(fixture, "/metrics/memcached", false, &expo);
    const char *by_command = "memcached_commands_total";
    assert_true(expo_value(&expo, "memcached_up", "") == 1);
    assert_true(expo_value(&expo, "memcached_current_items", "") == 2);
    assert_true(expo_sum(&expo, "memcached_slab_current_items") == 2);
    assert_true(expo_sum(&expo, "memcached_slab_current_pages") >= 1);
    assert_true(expo_value(&expo, "memcached_process_resident_memory_bytes", "") > 1e6);
    assert_true(expo_value(&expo, "memcached_limit_bytes", "") == 900000);
    assert_true(expo_value(&expo, "memcached_current_connections", "") == 2);
    assert_true(expo_value(&expo, by_command, "command=\"get\",status=\"hit\"") == 11);
    assert_true(expo_value(&expo, by_command, "command=\"cas\",status=\"badval\"") == 12);
    assert_true(expo_value(&expo, by_command, "command=\"set\",status=\"hit\"") == 14);
    assert_true(expo_sum(&expo, "memcached_slab_chunks_used") == 2);
    expo_release(&expo);
}

static void metrics_show_the_limits(void **state)
{
    struct fixture *fixture = *state;
    assert_value(fixture, "ebb_memory_limit_bytes", "", INFINITY);
    assert_value(fixture, "ebb_memory_evict_start_bytes", "", INFINITY);
    assert_value(fixture, "ebb_memory_clients_limit_bytes", "", INFINITY);
    fixture->service.limits = (struct memory_limits){.limit_bytes = 123456789,
                                                     .start_bytes = 120000000,
                                                     .clients_max_bytes = 5000000,
                                                     .client_bytes = 4321,
                                                     .pressure_level = 3,
                                                     .pressure_stalls_us = 1500000};
    assert_value(fixture, "ebb_memory_limit_bytes", "", 123456789);
    assert_value(fixture, "ebb_memory_evict_start_bytes", "", 120000000);
    assert_value(fixture, "ebb_memory_clients_limit_bytes", "", 5000000);
    assert_value(fixture, "ebb_memory_clients_bytes", "", 4321);
    assert_value(fixture, "ebb_memory_pressure_level", "", 3);
    assert_value(fixture, "ebb_memory_pressure_seconds_total", "", 1.5);
    fixture->options.maxclients = 77;
    assert_value(fixture, "ebb_connections_limit", "", 77);
    assert_value(fixture, "ebb_scrapes_total", "", 11);
}

/* ---- resident memory ---- */

/* Linux counts resident pages exactly since 6.17, see process.h. */
static double kernel_error_bytes(void)
{
    struct utsname system;
    int major = 0, minor = 0;
    assert_int_equal(uname(&system), 0);
    assert_int_equal(sscanf(system.release, "%d.%d", &major, &minor), 2);
    return major > 6 || (major == 6 && minor >= 17) ? 0 : 256 * 1024;
}

/* Every sum is exact; how much of it has no name depends on the allocator's books, which must be
 * right to one per cent of what is resident here. */
static void assert_adds_up(struct fixture *fixture, const char *when)
{
    struct expo expo;
    admin_sample(fixture->admin, false);
    scrape(fixture, false, &expo);
    double resident = expo_value(&expo, "process_resident_memory_bytes", "");
    double skew = expo_value(&expo, "ebb_memory_attribution_skew_bytes", "");
    double part = expo_value(&expo, "ebb_memory_resident_bytes", "part=\"unattributed\"");
    print_message("# %s: resident %.0f KiB, skew %.0f KiB\n", when, resident / 1024, skew / 1024);
    assert_true(expo_sum(&expo, "ebb_memory_resident_bytes") == resident);
    assert_true(part == (skew < 0 ? -skew : 0));
    assert_true(fabs(skew) <= 0.01 * resident + kernel_error_bytes() || IS_SANITIZED);
    expo_release(&expo);
}

static void metrics_parts_add_up_in_every_phase(void **state)
{
    struct fixture *fixture = *state;
    assert_adds_up(fixture, "empty");
    fill(fixture, 0, 200000, 100);
    assert_adds_up(fixture, "200,000 small values");
    fill(fixture, 200000, 200040, 1000000);
    assert_adds_up(fixture, "and 40 large ones");
    fill(fixture, 0, 200000, 150);
    assert_adds_up(fixture, "small ones overwritten");
    store_flush(&fixture->session, 5);
    assert_adds_up(fixture, "a third flushed");
    store_flush(&fixture->session, STORE_ALL_DATABASES);
    assert_adds_up(fixture, "all flushed");
    store_purge(&fixture->session);
    assert_adds_up(fixture, "purged");
}

static void metrics_count_buffers_as_connections(void **state)
{
    struct fixture *fixture = *state;
    void *buffer = touched(20 * MIB);
    fixture->counters.output_bytes = 20 * MIB;
    assert_adds_up(fixture, "20 MiB of buffers");
    assert_value(fixture, "ebb_memory_resident_bytes", "part=\"connections\"", 20.0 * MIB);
    free(buffer);
}

static void metrics_sample_is_fresh_but_not_taken_twice(void **state)
{
    struct fixture *fixture = *state;
    double first = 0, again = 1;
    for (int tries = 0; first != again && tries < 10;
         tries++) { /* we may be held up between them */
        usleep(STALE_US);
        first = value_now(fixture, "ebb_memory_sample_timestamp_seconds", "");
        again = value_now(fixture, "ebb_memory_sample_timestamp_seconds", "");
    }
    assert_true(first == again);
    for (int tries = 0; again == first && tries < 100; tries++) { /* it is put off when dear */
        usleep(STALE_US);
        again = value_now(fixture, "ebb_memory_sample_timestamp_seconds", "");
    }
    assert_true(again > first);
}

static void metrics_remember_the_peaks(void **state)
{
    struct fixture *fixture = *state;
    fill(fixture, 0, 100, 200000);
    admin_sample(fixture->admin, false);
    store_flush(&fixture->session, STORE_ALL_DATABASES);
    store_purge(&fixture->session);
    admin_sample(fixture->admin, false);
    struct expo expo;
    scrape(fixture, false, &expo);
    double high = expo_value(&expo, "ebb_memory_resident_window_max_bytes", "window=\"1m\"");
    double low = expo_value(&expo, "ebb_memory_resident_window_min_bytes", "window=\"1m\"");
    assert_true(high >= low + 19e6 || IS_SANITIZED);
    assert_true(expo_value(&expo, "ebb_memory_live_window_max_bytes", "window=\"1h\"") >= 2e7);
    assert_true(expo_value(&expo, "ebb_memory_live_peak_bytes", "") >= 2e7);
    assert_true(expo_value(&expo, "ebb_memory_live_bytes", "") == 0);
    assert_true(expo_value(&expo, "ebb_memory_resident_peak_bytes", "") >= high);
    expo_release(&expo);
}

/* Live is nothing, and 40 MiB of libc's are resident: more than the promise allows. */
static void metrics_tell_for_how_long_memory_is_behind(void **state)
{
    struct fixture *fixture = *state;
    admin_sample(fixture->admin, false);
    struct expo expo;
    scrape(fixture, false, &expo);
    bool was_behind = expo_value(&expo, "ebb_memory_follow_lag_seconds", "") > 0;
    expo_release(&expo);
    void *waste = touched(40 * MIB);
    admin_sample(fixture->admin, false);
    usleep(STALE_US);
    admin_sample(fixture->admin, false);
    assert_true(value_now(fixture, "ebb_memory_follow_lag_seconds", "") >= STALE_US / 1e6);
    free(waste);
    admin_sample(fixture->admin, false);
    if (!was_behind && !IS_SANITIZED)
        assert_value(fixture, "ebb_memory_follow_lag_seconds", "", 0);
}

static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void metrics_scrape_takes_less_than_two_milliseconds(void **state)
{
    enum { SCRAPES = 100 };
    if (IS_SANITIZED)
        skip();
    fill(*state, 0, 300000, 64);
    double before = cpu_seconds();
    for (int i = 0; i < SCRAPES; i++)
        free(request(*state, EBB_HTTP_GET, "/metrics", OPENMETRICS));
    double each = (cpu_seconds() - before) / SCRAPES;
    print_message("# a scrape takes %.0f us of CPU\n", each * 1e6);
    assert_true(each < 0.002);
}

/* ---- routes ---- */

static void assert_answer(void **state, enum ebb_http_method method, const char *path,
                          const char *status, const char *body)
{
    char *response = request(*state, method, path, "");
    if (strncmp(response, status, strlen(status)) != 0)
        print_error("%s: %.60s\n", path, response);
    assert_int_equal(strncmp(response, status, strlen(status)), 0);
    if (body != NULL)
        assert_string_equal(body_of(response), body);
    free(response);
}

static void admin_answers_health_and_readiness(void **state)
{
    assert_answer(state, EBB_HTTP_GET, "/healthz", "HTTP/1.1 200 OK\r\n", "ok\n");
    assert_answer(state, EBB_HTTP_GET, "/readyz", "HTTP/1.1 200 OK\r\n", "ready\n");
}

static void admin_answers_404_for_other_paths(void **state)
{
    static const char *const paths[] = {"/nothing",  "",   "/metrics/",   "/metric",
                                        "/healthz2", "//", "/../metrics", "/%6Detrics"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        assert_answer(state, EBB_HTTP_GET, paths[i], "HTTP/1.1 404 ", "not found\n");
        assert_answer(state, EBB_HTTP_POST, paths[i], "HTTP/1.1 404 ", NULL);
    }
}

static void admin_answers_405_with_allow(void **state)
{
    static const char *const paths[] = {"/", "/metrics", "/healthz", "/readyz"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        assert_answer(state, EBB_HTTP_POST, paths[i], "HTTP/1.1 405 ", NULL);
        char *response = request(*state, EBB_HTTP_OTHER, paths[i], "");
        assert_non_null(strstr(response, "\r\nAllow: GET, HEAD\r\n"));
        free(response);
    }
}

static void admin_head_has_the_headers_and_no_body(void **state)
{
    static const char *const paths[] = {"/", "/metrics", "/healthz", "/readyz", "/nothing"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        char *response = request(*state, EBB_HTTP_HEAD, paths[i], "");
        assert_string_equal(body_of(response), "");
        assert_non_null(strstr(response, "\r\nContent-Length: "));
        assert_null(strstr(response, "\r\nContent-Length: 0\r\n"));
        free(response);
    }
}

static void admin_names_the_format_it_chose(void **state)
{
    char *response = request(*state, EBB_HTTP_GET, "/metrics", "");
    assert_non_null(
        strstr(response, "\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    assert_non_null(strstr(response, "\r\nVary: Accept, Accept-Encoding\r\n"));
    free(response);
    response = request(*state, EBB_HTTP_GET, "/metrics", OPENMETRICS);
    assert_non_null(strstr(response, "\r\nContent-Type: application/openmetrics-text; "
                                     "version=1.0.0; charset=utf-8\r\n"));
    free(response);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(metrics_parts_add_up_in_every_phase), /* first: the process is still small */
        TEST(metrics_are_well_formed_from_the_start),
        TEST(metrics_are_the_same_in_both_formats),
        TEST(metrics_pass_promtool),
        TEST(metrics_series_never_disappear),
        TEST(metrics_follow_the_store),
        TEST(metrics_tell_slots_by_class),
        TEST(metrics_show_the_counters),
        TEST(metrics_show_how_long_requests_and_turns_take),
        TEST(metrics_count_the_sizes_of_values),
        TEST(compat_is_well_formed_in_both_formats),
        TEST(compat_shows_redis_what_it_knows),
        TEST(compat_shows_memcached_what_it_knows),
        TEST(metrics_show_the_limits),
        TEST(metrics_count_buffers_as_connections),
        TEST(metrics_sample_is_fresh_but_not_taken_twice),
        TEST(metrics_remember_the_peaks),
        TEST(metrics_tell_for_how_long_memory_is_behind),
        TEST(metrics_scrape_takes_less_than_two_milliseconds),
        TEST(admin_answers_health_and_readiness),
        TEST(admin_answers_404_for_other_paths),
        TEST(admin_answers_405_with_allow),
        TEST(admin_head_has_the_headers_and_no_body),
        TEST(admin_names_the_format_it_chose),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
