/* SPDX-License-Identifier: MIT */
/* test_tide_scenario.c: the parser, its complaints, distributions of sizes and of popularity,
 * values, the model. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "../bench/tide/builtin.h"
#include "../bench/tide/model.h"
#include "../bench/tide/popularity.h"
#include "../bench/tide/progress.h"
#include "../bench/tide/scenario.h"

static struct scenario scenario;

static void scenario_says_line_and_column(void **state)
{
    (void)state;
    static const struct {
        const char *text, *place;
    } bad[] = {
        {"", "1:1: "},
        {"# nothing\nfly\n", "2:1: "},
        {"fill live=1mb value=fixed:8\nidle seconds=1s live=1mb\n", "2:17: "},
        {"delete  share=120%\n", "1:9: "},
        {"fill live=1mb value=fixed:16mb\n", "1:15: "},
        {"fill live=x value=fixed:1\n", "1:6: "},
        {"keys 4-8\n", "1:6: "},
        {"fill live=1mb\n", "1:1: "},
        {"churn value=fixed:1 seconds=1 popularity=zipf:1\n", "1:31: "},
        {"fill live=1mb value=weights:/nowhere\n", "1:15: "},
    };
    char error[160];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(scenario_parse(&scenario, bad[i].text, 1, error, sizeof error), -1);
        if (strncmp(error, bad[i].place, strlen(bad[i].place)) != 0)
            fail_msg("\"%s\" does not begin with \"%s\"", error, bad[i].place);
    }
}

static void scenario_scales_sizes_and_counts_not_times(void **state)
{
    (void)state;
    char error[160];
    const char *text = "fill live=2mb items=10 value=fixed:1kb settle=3s\ndelete every=20\n";
    assert_int_equal(scenario_parse(&scenario, text, 0.5, error, sizeof error), 0);
    assert_int_equal(scenario.phases[0].live_bytes, 1048576);
    assert_int_equal(scenario.phases[0].items, 5);
    assert_int_equal(scenario.phases[0].value.range.most, 1024);
    assert_true(scenario.phases[0].settle == 3);
    assert_int_equal(scenario.phases[1].every, 20);
    scenario_release(&scenario);
}

static void builtins_all_parse(void **state)
{
    (void)state;
    char error[160];
    for (size_t i = 0; i < builtin_count; i++) {
        if (scenario_parse(&scenario, builtins[i].text, 1, error, sizeof error) < 0)
            fail_msg("%s:%s", builtins[i].name, error);
        assert_true(scenario.title[0] != '\0');
        scenario_release(&scenario);
    }
}

static void mix_lognormal_has_its_median(void **state)
{
    (void)state;
    struct mix mix = {.kind = MIX_LOGNORMAL, .median = 300, .sigma = 1};
    struct prng prng = prng_seeded(7);
    unsigned below = 0;
    for (unsigned i = 0; i < 20000; i++)
        below += mix_pick(&mix, &prng) < 300;
    assert_in_range(below, 9700, 10300);
}

/* Beside the same by pow(). */
static void popularity_is_the_power_it_stands_for(void **state)
{
    (void)state;
    static const double exponents[] = {0, 0.5, 0.9, 0.99};
    static struct popularity popularity;
    struct prng prng = prng_seeded(3);
    const size_t count = (size_t)1 << 40; /* so that rounding to a place does not show */
    for (size_t e = 0; e < sizeof exponents / sizeof exponents[0]; e++) {
        popularity_init(&popularity, exponents[e]);
        for (unsigned i = 0; i < 20000; i++) {
            uint64_t random = prng_next(&prng) >> (i % 3 * 4);
            double even = (double)random * 0x1p-64;
            double wanted = (double)count * pow(even, 1 / (1 - exponents[e]));
            double got = (double)popularity_place(&popularity, random, count);
            assert_true(fabs(got - wanted) <= wanted * 0.002 + 1);
        }
        assert_int_equal(popularity_place(&popularity, 0, 1), 0);
        assert_int_equal(popularity_place(&popularity, UINT64_MAX, 10), 9);
    }
}

static void value_with_any_bit_wrong_is_found(void **state)
{
    (void)state;
    unsigned char value[61];
    for (size_t bytes = 0; bytes <= sizeof value; bytes++) {
        value_write(value, bytes, 77, 3);
        assert_true(value_is_right(value, bytes, 77, 3));
        assert_int_equal(value_is_right(value, bytes, 78, 3), bytes == 0);
        assert_int_equal(value_is_right(value, bytes, 77, 4), bytes <= 8);
        for (size_t bit = 0; bit < bytes * 8; bit++) {
            value[bit / 8] ^= (unsigned char)(1u << bit % 8);
            assert_false(value_is_right(value, bytes, 77, 3));
            value[bit / 8] ^= (unsigned char)(1u << bit % 8);
        }
    }
}

/* The last digits of the id in base 16, behind a name and zeros. */
static void key_ends_in_its_id(void **state)
{
    (void)state;
    char key[KEY_MAX_BYTES + 1] = "";
    assert_int_equal(key_write(key, 0, (struct sizes){12, 12}), 12);
    assert_string_equal(key, "key:00000000");
    assert_int_equal(key_write(key, 0x1f03, (struct sizes){16, 20}), 16 + 0x1f03 % 5);
    assert_memory_equal(key, "key:0000000000001f03", 16 + 0x1f03 % 5);
    key_write(key, UINT64_C(0xfedcba9876543210), (struct sizes){12, 12});
    assert_memory_equal(key, "key:76543210", 12);
}

static void progress_knows_what_is_still_to_come(void **state)
{
    (void)state;
    static struct progress progress;
    static struct engine engine;
    char error[160];
    assert_int_equal(scenario_parse(&scenario,
                                    "keys 16\n"
                                    "fill items=1000 value=fixed:84\n"
                                    "delete share=25% settle=3s\n"
                                    "fill live=100000b written=50000b value=fixed:84\n"
                                    "churn seconds=20 writes=50% value=fixed:84\n"
                                    "fill items=600 value=fixed:84 ttl=2s-8s rate=100\n"
                                    "expire settle=0\n",
                                    1, error, sizeof error),
                     0);
    scenario_stretch(&scenario, 0.5);
    progress_init(&progress, &scenario);
    /* Added, removed, read back. The second fill adds 500, which is 250 too many. */
    const double operations[] = {1000, 250, 750, 0, 0, 0}, verify[] = {1000, 750, 1000, 1000, 1600};
    for (size_t i = 0; i < 5; i++) {
        assert_true(fabs(progress.phases[i].operations - operations[i]) < 1);
        assert_true(fabs(progress.phases[i].verify - verify[i]) < 1);
    }
    assert_true(progress.phases[3].seconds == 10 && progress.phases[5].seconds == 4);
    assert_true(progress.phases[4].seconds == 6);

    engine.scenario = &scenario;
    assert_true(progress_seconds_left(&progress, &engine) < 0);
    engine.now = 2; /* half of the first phase, in two seconds */
    engine.counts.operations = 500;
    progress_note(&progress, &engine);
    double sent = 500 + 250 + 750 + 1000 + 750 + 1000 + 1000 + 1600 + 1000;
    double waited = 3 + 10 + 6 + 4;
    assert_true(fabs(progress_seconds_left(&progress, &engine) - (sent / 250 + waited)) < 0.1);
    engine.phase = 5;
    engine.stage = STAGE_SETTLE;
    engine.stage_begin = 1;
    assert_true(fabs(progress_seconds_left(&progress, &engine) - 1000.0 / 250) < 0.1);
    scenario_release(&scenario);
}

static void model_counts_as_a_sum_over_all(void **state)
{
    (void)state;
    struct model model;
    struct prng prng = prng_seeded(1);
    model_init(&model, (struct sizes){16, 20});
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t what = prng_below(&prng, 4), size = prng_below(&prng, 5000);
        if (what < 2 || model.count == 0)
            assert_non_null(model_add(&model, (uint32_t)size, what == 1 ? i + 9 : 0));
        else if (what == 2)
            model_replace(&model, prng_below(&prng, model.count), (uint32_t)size);
        else
            model_remove(&model, prng_below(&prng, model.count));
        if (i % 1000 == 0) {
            model_expire(&model, i);
            assert_int_equal(model_check(&model), 0);
        }
    }
    model_sort(&model);
    for (size_t i = 1; i < model.count; i++)
        assert_true(model.items[i - 1].id > model.items[i].id);
    assert_int_equal(model_check(&model), 0);
    model_release(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scenario_says_line_and_column),
        cmocka_unit_test(scenario_scales_sizes_and_counts_not_times),
        cmocka_unit_test(builtins_all_parse),
        cmocka_unit_test(mix_lognormal_has_its_median),
        cmocka_unit_test(popularity_is_the_power_it_stands_for),
        cmocka_unit_test(value_with_any_bit_wrong_is_found),
        cmocka_unit_test(key_ends_in_its_id),
        cmocka_unit_test(progress_knows_what_is_still_to_come),
        cmocka_unit_test(model_counts_as_a_sum_over_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
