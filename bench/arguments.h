/* SPDX-License-Identifier: MIT */
/* arguments.h: values of options as text, for the benchmarks. What is wrong with one ends the
 * program and names the option. */
#ifndef EBB_BENCH_ARGUMENTS_H
#define EBB_BENCH_ARGUMENTS_H

#include <stdint.h>

double argument_number(const char *text, const char *option, double least, double most);
/* Bytes: 1048576, 512mb, 2gb. */
uint64_t argument_size(const char *text, const char *option);

#endif
