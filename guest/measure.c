// SPDX-License-Identifier: BSD-2-Clause
// Measuring: calibration, and the records of a benchmark. Between the two timer reads there is nothing but the body;
// marks and records lie outside. Why the empty loop is timed too: guest/repeat.h.
#include "guest/report.h"

#define DEFAULT_REPS 10
#define DEFAULT_CYCLES 2000000

static uint64_t time_prepared(const struct measured *job, uint64_t n)
{
    if (job->prepare)
        job->prepare(n, job->ctx);
    return job->time(job->body, n, job->ctx);
}

// Asked twice, so that one interrupt or one first translation does not end the calibration early.
static bool long_enough(const struct measured *job, uint64_t n, uint64_t cycles)
{
    return time_prepared(job, n) >= cycles && time_prepared(job, n) >= cycles;
}

static uint64_t calibrate(const struct measured *job)
{
    uint64_t n = option_u64("n", 0);
    if (n)
        return n < job->n_max ? n : job->n_max;
    uint64_t cycles = option_u64("cycles", DEFAULT_CYCLES);
    n = 1;
    while (2 * n <= job->n_max && !long_enough(job, n, cycles))
        n *= 2;
    return n;
}

// The run of n (id 0) or 2n (id 1), announced and framed. The record is out, down to its last bit, before the run
// starts: somebody may be timing it by that.
static uint64_t marked_run(const struct measured *job, uint64_t n, unsigned id)
{
    if (job->prepare)
        job->prepare(n, job->ctx);
    print(RS1_PREFIX "run name=%s n=%lu\n", job->name, n);
    console_flush();
    measure_mark(MARK(MARK_BEGIN, id));
    uint64_t t = job->time(job->body, n, job->ctx);
    measure_mark(MARK(MARK_END, id));
    return t;
}

void measure(const struct measured *job)
{
    print(RS1_PREFIX "cold name=%s tsc=%lu\n", job->name, time_prepared(job, 1));
    uint64_t n = calibrate(job);
    uint64_t reps = option_u64("reps", DEFAULT_REPS);
    job->time(job->empty, n, job->ctx); // its own first pass, with translation and faults, is nobody's figure
    for (uint64_t i = 0; i < reps; i++) {
        uint64_t e1 = job->time(job->empty, n, job->ctx);
        uint64_t e2 = job->time(job->empty, 2 * n, job->ctx);
        uint64_t t1 = marked_run(job, n, 0);
        uint64_t t2 = marked_run(job, 2 * n, 1);
        print(RS1_PREFIX "warm name=%s n=%lu t1=%lu t2=%lu e1=%lu e2=%lu\n", job->name, n, t1, t2, e1, e2);
    }
}

void bench_value(const char *name, uint64_t value)
{
    print(RS1_PREFIX "value name=%s value=%lu\n", name, value);
}
