// SPDX-License-Identifier: BSD-2-Clause
// `run --bt-stats`: what the translator did, and how it paid off.
#ifndef RINGSIDE_RUN_BT_STATS_H
#define RINGSIDE_RUN_BT_STATS_H

#include <stdio.h>

#include "run/one_run.h"

void print_bt_stats(FILE *to, const struct run_outcome *outcome);

#endif
