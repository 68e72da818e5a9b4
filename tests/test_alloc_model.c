/* SPDX-License-Identifier: MIT */
/* test_alloc_model.c: two million random operations on a heap and its twin. Everything a shard may
 * do to its heap is done here, in every order; contents, totals and validators are compared, and
 * the kernel is asked what is resident.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "support/fake_os.h"
#include "support/rng.h"
#include "support/twin.h"

#define OBJECTS      20000u
#define PINNED_MAX   40u
#define LARGE_RARELY 2000u /* once in so many objects */
#define LARGE_OFTEN  10u

struct model {
    struct fake_os fake;
    struct ebb_pool *pool;
    struct twin twin;
    struct rng rng;
    uint64_t now;  /* of due times */
    bool may_fail; /* the range is small and the system refuses some calls */
    size_t pinned[PINNED_MAX];
    size_t pinned_count;
    unsigned fill_percent; /* of objects that this phase aims at */
    unsigned large_once_in;
    size_t refused;
};

static size_t random_bytes(struct model *model)
{
    struct rng *rng = &model->rng;
    if (rng_once_in(rng, model->large_once_in))
        return rng_between(rng, EBB_LARGE_BYTES + 1, rng_once_in(rng, 20) ? 6 << 20 : 400000);
    switch (rng_below(rng, 6)) {
    case 0:
        return rng_between(rng, 1, 64);
    case 1:
        return rng_between(rng, 200, 260); /* many of few sizes: classes with long spans */
    case 2:
        return rng_once_in(rng, 8) ? rng_between(rng, 1, EBB_LARGE_BYTES) : 492;
    default:
        return rng_between(rng, 1, 1500);
    }
}

static size_t any_object(struct model *model)
{
    return rng_below(&model->rng, OBJECTS);
}

/* The system may have refused; then nothing has changed, and the twin has looked. */
static void require_or_refused(struct model *model, bool is_done)
{
    TWIN_REQUIRE(is_done || model->may_fail);
    model->refused += !is_done;
}

static void alloc_or_free(struct model *model)
{
    size_t n = any_object(model);
    const struct twin_object *object = &model->twin.objects[n];
    bool is_wanted = rng_below(&model->rng, 100) < model->fill_percent;
    if (object->ref == 0 && is_wanted)
        require_or_refused(model, twin_alloc(&model->twin, n, random_bytes(model)));
    else if (twin_has(&model->twin, n) && (!is_wanted || rng_once_in(&model->rng, 4)))
        twin_free(&model->twin, n);
    else if (object->ref != 0)
        twin_verify(&model->twin, n);
}

static void resize(struct model *model)
{
    size_t n = any_object(model);
    if (!twin_has(&model->twin, n))
        return;
    size_t before = model->twin.objects[n].bytes;
    size_t bytes = rng_once_in(&model->rng, 3) ? random_bytes(model)
                                               : before + rng_between(&model->rng, 1, 30);
    int error = twin_resize(&model->twin, n, bytes);
    if (error == EBB_ALLOC_EBUSY)
        TWIN_REQUIRE(ebb_is_pinned(model->twin.heap, model->twin.objects[n].ref));
    else
        require_or_refused(model, error == 0);
}

static void unpin_one(struct model *model)
{
    size_t at = rng_below(&model->rng, model->pinned_count);
    twin_unpin(&model->twin, model->pinned[at]);
    model->pinned[at] = model->pinned[--model->pinned_count];
}

static void pin_or_unpin(struct model *model)
{
    size_t n = any_object(model);
    if (model->pinned_count == PINNED_MAX ||
        (model->pinned_count > 0 && rng_once_in(&model->rng, 2))) {
        unpin_one(model);
    } else if (twin_has(&model->twin, n)) {
        twin_pin(&model->twin, n);
        model->pinned[model->pinned_count++] = n;
    }
}

static void note_or_visit_due(struct model *model)
{
    size_t n = any_object(model);
    model->now += rng_below(&model->rng, 3);
    if (rng_once_in(&model->rng, 300))
        twin_due_visit(&model->twin, model->now, rng_below(&model->rng, 2) * 500);
    else if (twin_has(&model->twin, n))
        twin_due_note(&model->twin, n, model->now + rng_between(&model->rng, 1, 5000));
}

static void compact(struct model *model)
{
    enum ebb_urge urge = (enum ebb_urge)rng_below(&model->rng, 3);
    twin_compact(&model->twin, urge, rng_below(&model->rng, 30000), 1 + rng_below(&model->rng, 3));
}

static void turn_clock_and_trim(struct model *model)
{
    fake_os_turn(&model->fake, rng_below(&model->rng, 400));
    ebb_pool_trim(model->pool, rng_below(&model->rng, 16) << 20, rng_once_in(&model->rng, 10));
}

static void rare(struct model *model)
{
    switch (rng_below(&model->rng, 6)) {
    case 0:
        ebb_heap_shuffle(model->twin.heap);
        break;
    case 1:
        twin_each(&model->twin, rng_below(&model->rng, 30));
        break;
    case 2:
        model->fill_percent = (unsigned)rng_between(&model->rng, model->may_fail ? 70 : 2, 98);
        break;
    case 3:
        if (!model->may_fail)
            model->large_once_in = rng_once_in(&model->rng, 2) ? LARGE_RARELY : LARGE_RARELY / 8;
        break;
    case 4:
        if (rng_once_in(&model->rng, 4))
            twin_reset(&model->twin);
        break;
    default:
        if (model->may_fail)
            fake_os_fail(&model->fake, FAKE_ANY, rng_between(&model->rng, 1, 20),
                         rng_between(&model->rng, 1, 5));
    }
}

static void operate(struct model *model)
{
    unsigned dice = (unsigned)rng_below(&model->rng, 1000);
    if (dice < 700)
        alloc_or_free(model);
    else if (dice < 850)
        resize(model);
    else if (dice < 900)
        pin_or_unpin(model);
    else if (dice < 950)
        note_or_visit_due(model);
    else if (dice < 980)
        compact(model);
    else if (dice < 990)
        turn_clock_and_trim(model);
    else if (rng_once_in(&model->rng, 25))
        rare(model);
}

/* Nothing is resident that is not in the books. */
static void check_residence(const struct model *model)
{
    struct ebb_heap_stats heap;
    struct ebb_pool_stats pool;
    ebb_heap_stats(model->twin.heap, &heap);
    ebb_pool_stats(model->pool, &pool);
    size_t kernel = fake_os_resident_bytes(&model->fake, ebb_pool_base(model->pool),
                                           (size_t)model->pool->arena_frontier * ARENA_BYTES);
    TWIN_REQUIRE(kernel <= heap.resident_bytes + pool.idle_bytes);
    TWIN_REQUIRE(heap.span_bytes == pool.span_bytes);
}

static void run(struct rng rng, size_t operations, bool may_fail, bool is_sharing)
{
    struct model *model = calloc(1, sizeof *model);
    model->rng = rng;
    model->may_fail = may_fail;
    model->fill_percent = 70;
    model->large_once_in = may_fail ? LARGE_OFTEN : LARGE_RARELY;
    model->now = 1;
    fake_os_init(&model->fake);
    model->fake.tick_ns = 100;
    struct ebb_pool_config config = {.os = &model->fake.os, .reserve_bytes = FAKE_RESERVE_BYTES};
    if (may_fail)
        config.reserve_bytes /= 4;
    assert_int_equal(ebb_pool_create(&model->pool, &config), 0);
    if (is_sharing)
        twin_init_sharing(&model->twin, model->pool, OBJECTS);
    else
        twin_init(&model->twin, model->pool, OBJECTS);
    for (size_t n = 0; n < operations; n++) {
        operate(model);
        if (n % 5000 == 0) {
            twin_check(&model->twin);
            check_residence(model);
        }
        if (n % 50000 == 0)
            twin_verify_all(&model->twin);
    }
    while (model->pinned_count > 0)
        unpin_one(model);
    twin_verify_all(&model->twin);
    twin_check(&model->twin);
    assert_true(model->twin.moves > operations / 100);
    assert_true((model->refused > 0) == may_fail);
    fake_os_fail_never(&model->fake);
    twin_release(&model->twin);
    ebb_pool_trim(model->pool, SIZE_MAX, true);
    assert_int_equal(fake_os_resident_bytes(&model->fake, ebb_pool_base(model->pool),
                                            (size_t)model->pool->arena_frontier * ARENA_BYTES),
                     0);
    ebb_pool_destroy(model->pool);
    assert_true(fake_os_is_clean(&model->fake));
    free(model);
}

static void two_million_operations_agree_with_the_twin(void **state)
{
    (void)state;
    struct rng rng = rng_start("model");
    for (unsigned part = 0; part < 4; part++)
        run(rng_seeded(rng_next(&rng)), SCALED(500000), false, part % 2 == 1);
}

static void a_system_that_refuses_changes_nothing(void **state)
{
    (void)state;
    struct rng rng = rng_start("model with failures");
    for (unsigned part = 0; part < 2; part++)
        run(rng_seeded(rng_next(&rng)), SCALED(150000), true, part == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_million_operations_agree_with_the_twin),
        cmocka_unit_test(a_system_that_refuses_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
