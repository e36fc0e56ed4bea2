// SPDX-License-Identifier: BSD-2-Clause
// Benchmarks of a program. The measuring is guest/measure.c, as for images.
#include "guest/bantam/user/lib.h"
#include "guest/insn.h"
#include "guest/repeat.h"
#include "guest/report.h"

REPEAT_DEFINE_EMPTY(empty, __attribute__((noinline)))

static uint64_t time_body(bench_fn *body, uint64_t n, void *ctx)
{
    uint64_t start = tsc_begin();
    body(n, ctx);
    return tsc_end() - start;
}

// By system call, which is -ENOSYS on Linux; with the option marks= by the port itself, where Linux is the guest and
// has given permission (guest/linux/init.c).
void measure_mark(unsigned value)
{
    if (option("marks"))
        outl(PORT_MARK, value);
    else
        syscall3(SYS_ringside_mark, value, 0, 0);
}

void bench_run(const char *name, bench_fn *body, void *ctx)
{
    measure(&(struct measured){
        .name = name, .body = body, .empty = empty, .time = time_body, .ctx = ctx, .n_max = MEASURED_N_MAX});
}

// The record of a benchmark that runs once has no other figure than `cold`.
void bench_once(const char *name, uint64_t n, bench_fn *body, void *ctx)
{
    measure_mark(MARK(MARK_BEGIN, 0));
    uint64_t t = time_body(body, n, ctx);
    measure_mark(MARK(MARK_END, 0));
    print(RS1_PREFIX "cold name=%s tsc=%lu\n", name, t);
}
