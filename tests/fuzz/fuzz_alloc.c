/* SPDX-License-Identifier: MIT */
/* fuzz_alloc.c: libFuzzer on the allocator. The bytes are a program: each operation takes one byte
 * for what, one for which object, and what else it needs. The twin holds the contents against it,
 * and the validators run after every operation of a short program, now and then of a long one.
 */
#include "../support/fake_os.h"
#include "../support/twin.h"

#define OBJECTS       250u
#define RESERVE_BYTES (UINT64_C(1) << 28)
#define LIVE_MAX      (UINT64_C(4) << 20) /* more only slows it down */
#define WRITTEN_MAX   20000u              /* larger ones are not written: neither do they */
#define SHORT_BYTES   200u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct program {
    const uint8_t *data;
    size_t left;
};

struct machine {
    struct fake_os fake;
    struct ebb_pool *pool;
    struct twin twin;
    uint64_t now;
};

static unsigned byte(struct program *program)
{
    if (program->left == 0)
        return 0;
    program->left--;
    return *program->data++;
}

/* Three shapes: any size up to 256, up to 64 KiB, and large ones. */
static size_t size_of(struct program *program)
{
    unsigned shape = byte(program), low = byte(program);
    if (shape < 128)
        return low + 1;
    if (shape < 248)
        return 1 + low + (size_t)(shape - 128) * 546;
    return EBB_LARGE_BYTES + ((size_t)(shape - 247) << 19) / 256 * (low + 1);
}

static void give_and_take(struct machine *machine, struct program *program, size_t n)
{
    struct twin *twin = &machine->twin;
    size_t bytes = size_of(program);
    bool fits = twin->live_bytes + bytes < LIVE_MAX;
    bool is_written = bytes <= WRITTEN_MAX;
    if (twin->objects[n].ref == 0 && fits)
        TWIN_REQUIRE((is_written ? twin_alloc : twin_alloc_virgin)(twin, n, bytes) ||
                     machine->fake.failed > 0);
    else if (twin_has(twin, n) && fits)
        twin_resize(twin, n, bytes);
}

/* Many objects at once: what one by one would take a long program. */
static void many(struct machine *machine, struct program *program)
{
    struct twin *twin = &machine->twin;
    size_t bytes = size_of(program) % 5000 + 1, from = byte(program), step = byte(program) % 8;
    for (size_t n = from % OBJECTS; n < OBJECTS; n += step + 1) {
        if (twin->objects[n].ref == 0)
            twin_alloc(twin, n, bytes);
        else if (twin_has(twin, n) && step > 3)
            twin_free(twin, n);
    }
}

static void pin(struct twin *twin, size_t n)
{
    if (twin_has(twin, n) && twin->objects[n].pins < 3)
        twin_pin(twin, n);
    else if (twin->objects[n].pins > 0)
        twin_unpin(twin, n);
}

static void unpin_all(struct twin *twin)
{
    for (size_t n = 0; n < OBJECTS; n++)
        while (twin->objects[n].pins > 0)
            twin_unpin(twin, n);
}

static void operate(struct machine *machine, struct program *program)
{
    struct twin *twin = &machine->twin;
    unsigned what = byte(program) % 20;
    size_t n = byte(program) % OBJECTS;
    switch (what) {
    case 0:
        many(machine, program);
        break;
    case 1:
        pin(twin, n);
        break;
    case 2:
        machine->now += n;
        if (twin_has(twin, n))
            twin_due_note(twin, n, machine->now + byte(program) + 1);
        break;
    case 3:
        twin_due_visit(twin, machine->now, byte(program) % 3);
        break;
    case 4:
        twin_compact(twin, (enum ebb_urge)(n % 3), byte(program), 1 + n % 4);
        break;
    case 5:
        ebb_heap_shuffle(twin->heap);
        break;
    case 6:
        ebb_pool_trim(machine->pool, (size_t)byte(program) << 12, n % 2);
        break;
    case 7:
        fake_os_turn(&machine->fake, n * byte(program));
        break;
    case 8:
        twin_each(twin, byte(program) % 4);
        break;
    case 9:
        if (n < 40)
            twin_reset(twin);
        break;
    case 10:
        fake_os_fail(&machine->fake, FAKE_ANY, n % 8 + 1, byte(program) % 4);
        break;
    case 11:
    case 12:
    case 13:
        if (twin_has(twin, n))
            twin_free(twin, n);
        break;
    default:
        give_and_take(machine, program, n);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct program program = {data, size};
    struct machine machine = {.now = 1};
    fake_os_init(&machine.fake);
    machine.fake.tick_ns = 10;
    struct ebb_pool_config config = {.os = &machine.fake.os, .reserve_bytes = RESERVE_BYTES};
    TWIN_REQUIRE(ebb_pool_create(&machine.pool, &config) == 0);
    twin_init(&machine.twin, machine.pool, OBJECTS);
    for (unsigned step = 0; program.left > 0; step++) {
        operate(&machine, &program);
        if (size <= SHORT_BYTES || step % 32 == 0)
            twin_check(&machine.twin);
    }
    twin_verify_all(&machine.twin);
    unpin_all(&machine.twin);
    twin_check(&machine.twin);
    fake_os_fail_never(&machine.fake);
    twin_release(&machine.twin);
    ebb_pool_trim(machine.pool, SIZE_MAX, true);
    TWIN_REQUIRE(ebb_pool_check(machine.pool) == 0);
    ebb_pool_destroy(machine.pool);
    TWIN_REQUIRE(fake_os_is_clean(&machine.fake));
    return 0;
}
