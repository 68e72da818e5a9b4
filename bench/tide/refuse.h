/* SPDX-License-Identifier: MIT */
/* refuse.h: how tide says why it does not go on. */
#ifndef EBB_TIDE_REFUSE_H
#define EBB_TIDE_REFUSE_H

/* A line on stderr, after "tide: ". Always -1. */
__attribute__((format(printf, 1, 2))) int refuse(const char *format, ...);

#endif
