/* SPDX-License-Identifier: MIT */
/* command.c: the table of commands and how a name finds its row.
 *
 * The rows are commands.def. command_slots.def says which slot of a hash table is whose, so that
 * the table is constant and needs no set-up; tests/test_cmd compares it with the rows.
 */
#include "cmd.h"

#include <string.h>

#include "command_slots.h"
#include "handler.h"

const struct command commands[COMMAND_COUNT] = {
#define COMMAND(its_id, label, handler, words, flag_set, first, last, step, kind, in_group,        \
                version, cost, text)                                                               \
    {.name = label,                                                                                \
     .name_len = sizeof(label) - 1,                                                                \
     .id = COMMAND_##its_id,                                                                       \
     .run = handler,                                                                               \
     .arity = words,                                                                               \
     .flags = flag_set,                                                                            \
     .first_key = first,                                                                           \
     .last_key = last,                                                                             \
     .key_step = step,                                                                             \
     .family = kind,                                                                               \
     .group = in_group,                                                                            \
     .since = version,                                                                             \
     .complexity = cost,                                                                           \
     .summary = text},
#include "commands.def"
#undef COMMAND
};

static const uint8_t slots[COMMAND_SLOT_COUNT] = {
#define SLOT(index, id) [index] = COMMAND_##id + 1,
#include "command_slots.def"
#undef SLOT
};

_Static_assert(COMMAND_COUNT < UINT8_MAX, "a slot holds the id of any command");

static inline unsigned next_slot(unsigned slot)
{
    return (slot + 1) % COMMAND_SLOT_COUNT;
}

/* Names of more than eight bytes. */
__attribute__((noinline)) static const struct command *find_long(const char *name, size_t len)
{
    uint64_t words[COMMAND_NAME_WORDS];

    if (len >= COMMAND_NAME_BYTES)
        return NULL;
    for (size_t i = 0; 8 * i < len; i++)
        words[i] = command_word(name + 8 * i, len - 8 * i < 8 ? len - 8 * i : 8);
    for (unsigned slot = command_slot(words, len); slots[slot] != 0; slot = next_slot(slot)) {
        const struct command *command = &commands[slots[slot] - 1];
        if (command->name_len == len && memcmp(command->name, words, len) == 0)
            return command;
    }
    return NULL;
}

const struct command *command_find(const char *name, size_t len)
{
    if (len > 8)
        return find_long(name, len);
    uint64_t word = command_word(name, len);
    for (unsigned slot = command_slot(&word, len); slots[slot] != 0; slot = next_slot(slot)) {
        const struct command *command = &commands[slots[slot] - 1];
        uint64_t its;
        memcpy(&its, command->name, sizeof(its));
        if (its == word && command->name_len == len)
            return command;
    }
    return NULL;
}

const struct command *command_find_sub(const struct command *container, const char *name,
                                       size_t len)
{
    char whole[COMMAND_NAME_BYTES];
    size_t container_len = container->name_len;

    if (container_len + 1 + len > sizeof(whole))
        return NULL;
    memcpy(whole, container->name, container_len);
    whole[container_len] = '|';
    memcpy(whole + container_len + 1, name, len);
    return command_find(whole, container_len + 1 + len);
}
