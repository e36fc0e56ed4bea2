// SPDX-License-Identifier: BSD-2-Clause
// The engines by name: the one table that --engine, --engines, --help and `engines` go by.
#ifndef RINGSIDE_RUN_ENGINES_H
#define RINGSIDE_RUN_ENGINES_H

#include <stddef.h>

#include "include/vcpu.h"

// Beside the engines, `bench` knows this name: the benchmark's native program, where it has one.
#define NATIVE_NAME "native"
#define NATIVE_SUMMARY "the same code as a program of the host, at CPL 3 (bench only, where the benchmark has one)"

extern const struct engine *const engine_table[];
extern const size_t engine_count;

// NULL where there is none; err then says so in one line, with the nearest name.
const struct engine *engine_find(const char *name, char *err, size_t err_size);

// What is known about the native column.
void native_probe(struct engine_info *info);

// What an engine counts under a name that may have settings in it: "vtx:exits".
event_mask engine_counts(const struct engine *engine, const char *name);

enum { COLUMN_SIZE = 192 };
// The full table head: "vtx: kvm_pvm (software back end, not hardware), shadow, in a VM".
void engine_column(const char *name, const struct engine_info *info, char column[static COLUMN_SIZE]);

#endif
