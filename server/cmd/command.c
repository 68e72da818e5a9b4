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
#define COMMAND(id, label, handler, words, flag_set, first, last, step, kind, in_group, version,   \
                cost, text)                                                                        \
    {.name = label,                                                                                \
     .name_len = sizeof(label) - 1,                                                                \
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

/* The row in the slot or behind it that has the name; `word` is its first eight bytes. */
static const struct command *find_from(unsigned slot, uint64_t word, const char *rest, size_t len)
{
    for (; slots[slot] != 0; slot = (slot + 1) % COMMAND_SLOT_COUNT) {
        const struct command *command = &commands[slots[slot] - 1];
        uint64_t its;
        memcpy(&its, command->name, sizeof(its));
        if (its == word && command->name_len == len &&
            (len <= 8 || memcmp(command->name + 8, rest, len - 8) == 0))
            return command;
    }
    return NULL;
}

const struct command *command_find(const char *name, size_t len)
{
    uint64_t words[COMMAND_NAME_WORDS];

    if (len <= 8) { /* nearly all */
        words[0] = command_word(name, len);
        return find_from(command_slot(words, len), words[0], NULL, len);
    }
    if (len >= COMMAND_NAME_BYTES)
        return NULL;
    for (size_t i = 0; 8 * i < len; i++)
        words[i] = command_word(name + 8 * i, len - 8 * i < 8 ? len - 8 * i : 8);
    return find_from(command_slot(words, len), words[0], (const char *)(words + 1), len);
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
