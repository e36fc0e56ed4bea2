// SPDX-License-Identifier: BSD-2-Clause
// What a results file says of the machine that it was measured on.
#ifndef RINGSIDE_RUN_HOST_H
#define RINGSIDE_RUN_HOST_H

#include <jansson.h>

// The `machine` object of docs/results.md. root: the source tree, whose commit is recorded.
json_t *host_describe(const char *root);

#endif
