/* SPDX-License-Identifier: MIT */
/* run.h: `tide run`. */
#ifndef EBB_TIDE_RUN_H
#define EBB_TIDE_RUN_H

/* argv[0] is "tide run". The exit code: 0; 1: values were wrong or missing; 2: it could not be
 * done. */
int run_main(int argc, char **argv);

#endif
