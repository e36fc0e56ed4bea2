// SPDX-License-Identifier: BSD-2-Clause
// The few statistics that the program itself prints; tables are made from the results file by scripts.
#ifndef RINGSIDE_RUN_STATS_H
#define RINGSIDE_RUN_STATS_H

#include <stddef.h>

// Sorts values. NaN where there are none.
double stats_median(double *values, size_t count);

#endif
