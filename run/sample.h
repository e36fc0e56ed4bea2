// SPDX-License-Identifier: BSD-2-Clause
// One process of a benchmark run: starts it, and makes records of what it brought.
#ifndef RINGSIDE_RUN_SAMPLE_H
#define RINGSIDE_RUN_SAMPLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "run/bench_plan.h"

struct sample_request {
    const struct plan *plan;
    const struct job *job;
    size_t order;
    uint64_t timeout_ns;
    bool last; // it has what is left of the whole run's time, and may be cut off
    int stop_fd;
    void (*tick)(void *ctx);
    void *tick_ctx;
};

struct sample_result {
    json_t *records; // list of `sample`, `failed` and `skipped` records
    bool stopped;    // interrupted: no records
    bool timed_out;
};

void sample_run(const struct sample_request *request, struct sample_result *result);

// A `failed` record. status: -1 where there is none.
json_t *sample_failed(const struct plan *plan, const struct job *job, size_t order, int status, const char *reason);
// A `skipped` record: no figure, and no failure of what was to be measured.
json_t *sample_skipped(const struct plan *plan, const struct job *job, size_t order, const char *reason);

#endif
