// SPDX-License-Identifier: BSD-2-Clause
// The table at the end of a benchmark run: the median of each benchmark on each engine, and what failed.
#ifndef RINGSIDE_RUN_SUMMARY_H
#define RINGSIDE_RUN_SUMMARY_H

#include <jansson.h>
#include <stddef.h>

#include "run/bench_plan.h"

struct summary_row {
    char suite[IMAGE_NAME_MAX], bench[IMAGE_NAME_MAX];
    struct {
        double *cost;
        size_t count;
    } engine[PLAN_ENGINES_MAX];
};

struct failure {
    size_t image, engine;
    unsigned times;
    char reason[256]; // the first one's
};

struct summary {
    struct summary_row *row;
    size_t row_count;
    struct failure *failure;
    size_t failure_count;
    size_t samples, failed, skipped; // records
};

void summary_add_sample(struct summary *s, const struct job *job, const json_t *sample);
void summary_add_failure(struct summary *s, const struct job *job, const char *reason);
void summary_print(struct summary *s, const struct plan *plan);
void summary_free(struct summary *s);

#endif
