/* SPDX-License-Identifier: MIT */
/* compare.h: `tide compare`, earlier runs beside each other. */
#ifndef EBB_TIDE_COMPARE_H
#define EBB_TIDE_COMPARE_H

/* argv[0] is "tide compare". Returns the exit code: 0, or 2 for what could not be read or written.
 */
int compare_main(int argc, char **argv);

#endif
