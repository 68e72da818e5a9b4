/* SPDX-License-Identifier: MIT */
/* key_access.c: see key_access.h. Called by cmd_command.c. Pure.
 */
#include "key_access.h"

#include "handler.h"

#define READS   (KEY_RO | KEY_ACCESS)
#define CHANGES (KEY_RW | KEY_ACCESS | KEY_UPDATE)

/* Those whose flags do not say it all: others read and show, or change and show, every key. */
static const struct {
    enum command_id id;
    struct key_accesses accesses;
} special[] = {
    {COMMAND_APPEND, {KEY_RW | KEY_INSERT, KEY_RW | KEY_INSERT}},
    {COMMAND_BITFIELD, {CHANGES | KEY_VARIABLE, CHANGES | KEY_VARIABLE}},
    {COMMAND_BITOP, {KEY_OW | KEY_UPDATE, READS}},
    {COMMAND_COPY, {READS, KEY_OW | KEY_UPDATE}},
    {COMMAND_DEL, {KEY_RM | KEY_DELETE, KEY_RM | KEY_DELETE}},
    {COMMAND_EXISTS, {KEY_RO, KEY_RO}},
    {COMMAND_EXPIRE, {KEY_RW | KEY_UPDATE, KEY_RW | KEY_UPDATE}},
    {COMMAND_EXPIREAT, {KEY_RW | KEY_UPDATE, KEY_RW | KEY_UPDATE}},
    {COMMAND_GETDEL, {KEY_RW | KEY_ACCESS | KEY_DELETE, KEY_RW | KEY_ACCESS | KEY_DELETE}},
    {COMMAND_MEMORY_USAGE, {KEY_RO, KEY_RO}},
    {COMMAND_MSET, {KEY_OW | KEY_UPDATE, KEY_OW | KEY_UPDATE}},
    {COMMAND_MSETNX, {KEY_OW | KEY_INSERT, KEY_OW | KEY_INSERT}},
    {COMMAND_OBJECT_ENCODING, {KEY_RO, KEY_RO}},
    {COMMAND_OBJECT_FREQ, {KEY_RO, KEY_RO}},
    {COMMAND_OBJECT_IDLETIME, {KEY_RO, KEY_RO}},
    {COMMAND_OBJECT_REFCOUNT, {KEY_RO, KEY_RO}},
    {COMMAND_PERSIST, {KEY_RW | KEY_UPDATE, KEY_RW | KEY_UPDATE}},
    {COMMAND_PEXPIRE, {KEY_RW | KEY_UPDATE, KEY_RW | KEY_UPDATE}},
    {COMMAND_PEXPIREAT, {KEY_RW | KEY_UPDATE, KEY_RW | KEY_UPDATE}},
    {COMMAND_PSETEX, {KEY_OW | KEY_UPDATE, KEY_OW | KEY_UPDATE}},
    {COMMAND_RENAME, {KEY_RW | KEY_ACCESS | KEY_DELETE, KEY_OW | KEY_UPDATE}},
    {COMMAND_RENAMENX, {KEY_RW | KEY_ACCESS | KEY_DELETE, KEY_OW | KEY_INSERT}},
    {COMMAND_SET, {CHANGES | KEY_VARIABLE, CHANGES | KEY_VARIABLE}},
    {COMMAND_SETEX, {KEY_OW | KEY_UPDATE, KEY_OW | KEY_UPDATE}},
    {COMMAND_SETNX, {KEY_OW | KEY_INSERT, KEY_OW | KEY_INSERT}},
    {COMMAND_SETRANGE, {KEY_RW | KEY_UPDATE, KEY_RW | KEY_UPDATE}},
    {COMMAND_STRLEN, {KEY_RO, KEY_RO}},
    {COMMAND_TOUCH, {KEY_RO, KEY_RO}},
    {COMMAND_TYPE, {KEY_RO, KEY_RO}},
    {COMMAND_UNLINK, {KEY_RM | KEY_DELETE, KEY_RM | KEY_DELETE}},
    {COMMAND_WATCH, {KEY_RO, KEY_RO}},
};

struct key_accesses key_accesses_of(const struct command *command)
{
    for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++) {
        if (command == &commands[special[i].id])
            return special[i].accesses;
    }
    bool changes = command->flags & (COMMAND_WRITE | COMMAND_COUNTED_KEYS);
    return changes ? (struct key_accesses){CHANGES, CHANGES} : (struct key_accesses){READS, READS};
}

/* ---- of a command line ---- */

static unsigned access_of_set(const struct ebb_slice *args, uint32_t count)
{
    for (uint32_t i = 3; i < count; i++) {
        if (arg_is(args[i], "get"))
            return CHANGES;
    }
    return KEY_OW | KEY_UPDATE;
}

/* Words that are wrong may be anything. */
static unsigned access_of_bitfield(const struct ebb_slice *args, uint32_t count)
{
    for (uint32_t i = 2; i < count;) {
        if (arg_is(args[i], "get") && count - i > 2)
            i += 3;
        else if (arg_is(args[i], "overflow") && count - i > 1)
            i += 2;
        else
            return CHANGES;
    }
    return READS;
}

struct key_accesses key_accesses_in(const struct command *command, const struct ebb_slice *args,
                                    uint32_t count)
{
    struct key_accesses accesses = key_accesses_of(command);

    if (command == &commands[COMMAND_SET])
        accesses.first = accesses.others = access_of_set(args, count);
    else if (command == &commands[COMMAND_BITFIELD])
        accesses.first = accesses.others = access_of_bitfield(args, count);
    return accesses;
}
