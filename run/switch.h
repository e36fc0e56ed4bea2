// SPDX-License-Identifier: BSD-2-Clause
// A guest that moves from one engine to the next every so often, in mid-run: `run --engine=A,B --switch=S`.
#ifndef RINGSIDE_RUN_SWITCH_H
#define RINGSIDE_RUN_SWITCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "machine/machine.h"
#include "run/variant.h"

enum { SWITCH_ENGINES_MAX = MACHINE_ENGINES_MAX };

struct switch_plan {
    struct variant engine[SWITCH_ENGINES_MAX]; // in the order in which the guest goes round
    size_t count;                              // 1: it stays where it is
    uint64_t every_ns;
};

// The engines that `names` lists, with the command line's settings. 0, or -1 with one line in err.
int switch_parse(struct switch_plan *plan, const char *names, uint64_t every_ns, const struct options *o, char *err,
                 size_t err_size);

struct switcher {
    const struct switch_plan *plan;
    struct machine *machine;
    uint64_t due; // CLOCK_MONOTONIC; UINT64_MAX: never
    unsigned now; // number of the engine
    uint64_t switches;
};

// All engines of the plan but the first, which the machine was created with. 0, or -1 with one line in err.
int switch_begin(struct switcher *s, const struct switch_plan *plan, struct machine *m, char *err, size_t err_size);

bool switch_due(const struct switcher *s);
// Moves the guest to the next engine. 0, or -1 with one line in err.
int switch_engines(struct switcher *s, char *err, size_t err_size);

#endif
