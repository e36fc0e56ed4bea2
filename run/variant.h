// SPDX-License-Identifier: BSD-2-Clause
// An engine with settings, by one name: `bt:no-chaining:tu=4` is bt with two options of its own. So it stands on the
// command line, as a column's name and in the results.
#ifndef RINGSIDE_RUN_VARIANT_H
#define RINGSIDE_RUN_VARIANT_H

#include <stddef.h>

#include "include/vcpu.h"
#include "run/options.h"

enum { VARIANT_NAME_SIZE = 96 };

struct variant {
    const struct engine *engine;
    char name[VARIANT_NAME_SIZE];
};

// The engine and settings that `name` says, and those of the command line's --ENGINE-NAME words that are for that
// engine. 0, or -1 with one line in err.
int variant_parse(struct variant *v, const char *name, const struct options *o, char *err, size_t err_size);

// What follows the engine's name in the variant's: for struct vcpu. "" where it is the engine as it is.
const char *variant_settings(const char *name);

// Whether all --ENGINE-NAME words of the command line are for this engine. 0, or -1 with one line in err.
int variant_takes_all(const struct variant *v, const struct options *o, char *err, size_t err_size);

#endif
