/* SPDX-License-Identifier: MIT */
/* timing.h: how long a command takes, as far as somebody wants to know (slowlog.h says when).
 * Called by dispatch.c around each command.
 */
#ifndef EBB_TIMING_H
#define EBB_TIMING_H

#include "cmd.h"
#include "slowlog.h"

#define TIMING_LONG_BYTES     (64u * 1024) /* a word or a reply of such a length is worth a look */
#define TIMING_MANY_WORDS     32u
#define TIMING_EXACT_BELOW_US 1000

/* Whether the command is timed by itself. */
static inline bool timing_is_exact(const struct cmd_context *context)
{
    const struct command *command = context->command;

    return context->clock != NULL &&
           (context->count > TIMING_MANY_WORDS ||
            (command->family >= FAMILY_MULTI && !(command->flags & COMMAND_FAST)) ||
            context->args[context->count - 1].len > TIMING_LONG_BYTES ||
            (uint64_t)context->clock->slower_than_us < TIMING_EXACT_BELOW_US ||
            context->clock->event_ms > 0);
}

void timing_begin(struct cmd_context *context);
/* Notes what the command took, since it began, or (not is_exact) had to make room, or the last look
 * at the clock: in context->took_ns, in the slow log if it was slow, and as an event
 * if that is wanted. */
void timing_end(struct cmd_context *context, bool is_exact);

#endif
