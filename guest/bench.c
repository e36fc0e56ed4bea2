// SPDX-License-Identifier: BSD-2-Clause
// Benchmarks of an image: at CPL 0, or at CPL 3 by way of user_call(). The measuring is guest/measure.c.
#include "guest/insn.h"
#include "guest/repeat.h"
#include "guest/report.h"
#include "guest/state.h"

REPEAT_DEFINE_EMPTY(empty_kernel, __attribute__((noinline)))
REPEAT_DEFINE_EMPTY(empty_user, USER_CODE)

static uint64_t time_kernel(bench_fn *body, uint64_t n, void *ctx)
{
    uint64_t start = tsc_begin();
    body(n, ctx);
    return tsc_end() - start;
}

static uint64_t time_user(bench_fn *body, uint64_t n, void *ctx)
{
    uint64_t start = tsc_begin();
    user_call((uint64_t)body, n, (uint64_t)ctx);
    return tsc_end() - start;
}

void measure_mark(unsigned value)
{
    outl(PORT_MARK, value);
}

void bench_run(const char *name, bench_fn *body, void *ctx)
{
    measure(&(struct measured){
        .name = name, .body = body, .empty = empty_kernel, .time = time_kernel, .ctx = ctx, .n_max = MEASURED_N_MAX});
}

void bench_run_user(const char *name, bench_fn *body, void *ctx)
{
    measure(&(struct measured){
        .name = name, .body = body, .empty = empty_user, .time = time_user, .ctx = ctx, .n_max = MEASURED_N_MAX});
}

void bench_run_prepared(const char *name, bench_fn *body, bench_prepare_fn *prepare, uint64_t most, void *ctx)
{
    measure(&(struct measured){.name = name,
                               .body = body,
                               .empty = empty_kernel,
                               .time = time_kernel,
                               .ctx = ctx,
                               .prepare = prepare,
                               .n_max = most / 2});
}
