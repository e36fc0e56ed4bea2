// SPDX-License-Identifier: BSD-2-Clause
// The parts of check_cpu: an engine's run by worker processes, and what is said of it.
#ifndef RINGSIDE_TESTS_CPU_RUN_H
#define RINGSIDE_TESTS_CPU_RUN_H

#include <jansson.h>

#include "tests/cpu/tester.h"

enum { MOST_JOBS = 64 };

struct run_options {
    const char *engine; // interp, bt, or NULL: both
    uint64_t seed, first, cases;
    unsigned seconds; // for each engine; 0: as long as the cases take
    unsigned jobs;
    const char *only, *json, *replay;
};

// One engine's run, while it goes on and afterwards.
struct run {
    const struct subject *subject;
    const struct run_options *options;
    struct case_plan plan;
    uint64_t cases;
    struct totals *totals; // of each worker, in shared memory
    uint64_t crashes, hangs;
    double seconds;
    bool interrupted;
    char skipped[200]; // why it could not be run, or ""
};

// Runs the plan's cases in options->jobs processes, shows how far it is, and starts a process again that a case has
// ended. False where nothing could be run at all.
bool run_engine(struct run *r);

// The workers' totals as one.
void run_sum(const struct run *r, struct totals *sum);
// Whether nothing was found, nor was lost.
bool run_is_clean(const struct run *r);
void run_say(const struct run *r);
json_t *run_json(const struct run *r);

#endif
