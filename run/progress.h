// SPDX-License-Identifier: BSD-2-Clause
// How far a benchmark run is and how long it will take, on standard error.
#ifndef RINGSIDE_RUN_PROGRESS_H
#define RINGSIDE_RUN_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "run/bench_plan.h"

struct progress {
    const struct plan *plan;
    bool tty;
    uint64_t start_ns, job_start_ns, last_line_ns;
    size_t done; // jobs; the next one is running
    uint64_t spent_ns[PLAN_ENGINES_MAX];
    size_t finished[PLAN_ENGINES_MAX];
};

void progress_start(struct progress *p, const struct plan *plan);
void progress_show(struct progress *p); // from time to time; writes a line where it is due
void progress_job_begins(struct progress *p);
void progress_job_ended(struct progress *p);
void progress_end(struct progress *p);

#endif
