// SPDX-License-Identifier: BSD-2-Clause
// The program's commands. Each gives its exit status, and where that is not STATUS_OK one line in err.
#ifndef RINGSIDE_RUN_COMMANDS_H
#define RINGSIDE_RUN_COMMANDS_H

#include <stddef.h>

#include "run/exit_status.h"
#include "run/options.h"

enum exit_status command_engines(const struct options *o, char *err, size_t err_size);
enum exit_status command_list(const struct options *o, char *err, size_t err_size);
enum exit_status command_run(const struct options *o, char *err, size_t err_size);
enum exit_status command_translate(const struct options *o, char *err, size_t err_size);
enum exit_status command_bench(const struct options *o, char *err, size_t err_size);
enum exit_status command_compare(const struct options *o, char *err, size_t err_size);
enum exit_status command_model(const struct options *o, char *err, size_t err_size);

#endif
